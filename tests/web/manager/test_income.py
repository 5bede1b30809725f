"""Fee income: whose charges, which period, totals by currency, and the same as CSV."""

import csv
import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import Manager, Role
from brokers.scope import broker_scope
from brokers.web import csv_files
from fees.models import Charge
from fees.web import manager
from tests.web.charges import charged, performance_line
from tests.web.manager.pools import charge, investor, more_accounts
from tests.web.manager.reading import text_of
from tests.worlds import AliceBobCharlie, person, personal_account, pool

ADDRESS = "/manage/income/"


def _csv(client: Client, query: str = "") -> list[list[str]]:
    answer = client.get(f"{reverse('fees:income-csv')}{query}")
    assert answer["Content-Disposition"] == 'attachment; filename="fee-income.csv"'
    # The request is over, and with it its scope: the lines must find their own.
    with broker_scope(None):
        text = answer.getvalue().decode()
    return list(csv.reader(text.splitlines()))


def test_income_sums_by_currency_and_lists_each_charge(world: AliceBobCharlie, alice: Client) -> None:
    charge(world.pool, world.pool.investment, "12.34", broker="2.30")
    more_accounts(world, [9101])
    page = text_of(alice.get(ADDRESS))
    assert "20.04 USD" in page, "her own part"
    assert "22.34 USD" in page, "all that was charged"
    assert "2.30 USD" in page, "the broker's part"
    assert "2 charges" in page
    assert "You earned, by account" in page
    assert "bob@example.com" in page


def test_income_is_what_agents_and_broker_leave_of_a_fee(world: AliceBobCharlie, alice: Client) -> None:
    agents = tuple((uuid.uuid4(), part) for part in ("3.00", "0.40"))
    charged(world.pool.investment, performance_line("20.00"), broker="5.00", agents=agents)
    page = text_of(alice.get(ADDRESS))
    for part in ("20.00 USD", "5.00 USD", "3.40 USD", "11.60 USD"):
        assert part in page
    assert "Profit × rate" in page
    earned = text_of(alice.get(reverse("accounts:managed")))
    assert "11.60 USD" in earned
    assert "20.00 USD" not in earned
    (row,) = _csv(alice)[1:]
    assert row[10:16] == ["20.00", "0.00", "5.00", "3.40", "11.60", "USD"]
    assert row[16].startswith("Value after the other fees: 1,100.00 USD; ")


def test_income_is_narrowed_by_account_investment_and_period(world: AliceBobCharlie, alice: Client) -> None:
    charge(world.pool, world.pool.investment, "1.00", days_ago=40)
    charge(world.pool, investor(world.pool), "2.00")
    (other,) = more_accounts(world, [9101])
    today = timezone.localdate()
    account, investment = world.pool.account.public_id, world.pool.investment.public_id
    for query, total in (
        (f"?account={account}", "3.00"),
        (f"?account={other.public_id}", "10.00"),
        (f"?investment={investment}", "1.00"),
        (f"?since={today}&until={today}", "12.00"),
        (f"?until={today - timedelta(days=30)}", "1.00"),
        ("?since=0001-01-01&until=9999-12-31", "13.00"),
    ):
        assert f">{total} USD<span" in text_of(alice.get(f"{ADDRESS}{query}")), query
    for nonsense in ("?account=x", "?since=yesterday", f"?account={world.charlie_pool.account.public_id}"):
        page = alice.get(f"{ADDRESS}{nonsense}")
        assert page.status_code == 200
        assert "Nothing in this selection." in text_of(page)


def test_csv_holds_every_charge_of_the_selection_and_no_one_elses(
    world: AliceBobCharlie, alice: Client, visit: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_files, "ROWS_AT_ONCE", 2)
    made = [
        charge(world.pool, world.pool.investment, f"{number}.50", days_ago=9 - number) for number in range(5)
    ]
    with broker_scope(world.beta.pk):
        charge(world.charlie_pool, world.charlie_pool.investment, "66.60")
    rival = person("rival@example.com", Role.INVESTOR, Role.MANAGER)
    rivals = pool(
        manager=Manager.objects.create(user=rival, display_name="Rival"), login=9500, investor=world.bob,
        income_account=personal_account(rival, world.pool.account.server, 5555),
        personal_account=world.bob_account,
    )  # fmt: skip
    charge(rivals, rivals.investment, "77.70")
    assert "77.70" not in text_of(alice.get(ADDRESS))
    head, *rows = _csv(alice)
    assert head == list(manager.COLUMNS)
    assert [row[0] for row in rows] == [str(row.public_id) for row in made]
    assert [row[14] for row in rows] == [f"{number}.50" for number in range(5)]
    assert len(_csv(alice, f"?since={timezone.localdate() - timedelta(days=6)}")) == 3
    assert visit(world.bob).get(reverse("fees:income-csv")).status_code == 404


def test_csv_makes_no_formula_of_a_name(world: AliceBobCharlie, alice: Client) -> None:
    world.bob.first_name = "=HYPERLINK(1)"
    world.bob.save()
    charge(world.pool, world.pool.investment, "1.00")
    assert _csv(alice)[1][4] == "'=HYPERLINK(1)"


def test_income_costs_the_same_statements_at_any_number(world: AliceBobCharlie, alice: Client) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert alice.get(ADDRESS).status_code == 200
        return len(captured)

    more_accounts(world, [9101])
    charge(world.pool, world.pool.investment, "1.00")
    statements()
    few = statements()
    for _ in range(5):
        charge(world.pool, investor(world.pool), "1.00")
    more_accounts(world, [9102, 9103])
    assert statements() == few
    assert Charge.objects.count() == 9
