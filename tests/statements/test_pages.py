"""Statement pages and CSV files: what they tell, whose they are, how many queries they take."""

import csv
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import PammAccount, Role, User
from accounts.services import make_agent
from allocation.models import Investment, UnitEntry
from brokers.models import Broker
from fees.models import Charge
from tests.statements.conftest import Visit
from tests.statements.worlds import FEBRUARY, JANUARY, MONTH_END, fee, many_fees, price
from tests.web.charges import charged, performance_line
from tests.web.investor.reading import text_of
from tests.worlds import AliceBobCharlie, person, pool


def rows_of(answer: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(answer.content.decode().splitlines()))


def test_investor_reads_opening_flows_result_fees_and_closing(
    world: AliceBobCharlie, january: None, bob: Client
) -> None:
    page = text_of(bob.get(f"/statements/?{JANUARY}"))
    for words in (
        "1 Jan 2026 to 31 Jan 2026",
        "Value at the start 0.00 Deposits 1,000.00 Withdrawals 0.00 Result of trading +100.00 Fees 22.00",
        "Value at the end 1,078.00 USD",
        "+78.00 USD",
        "Performance fee 22.00 USD",
        "Deposit",
    ):
        assert words in page, words
    page = text_of(bob.get(f"/statements/?{FEBRUARY}"))
    assert "Value at the start 1,078.00" in page
    assert "Nothing was booked in this period" in page


def test_loss_of_everything_is_told_as_what_it_was(world: AliceBobCharlie, bob: Client) -> None:
    """The account goes on afterwards as another series, of which this investment has nothing."""
    point = price(world, "0", MONTH_END, 1)
    UnitEntry.objects.create(
        account=world.pool.account, investment=world.pool.investment, price_point=point, currency_digits=2,
        kind=UnitEntry.Kind.WIPE_OUT, units=-1000, amount=0,
    )  # fmt: skip
    Investment.objects.filter(pk=world.pool.investment.pk).update(
        state=Investment.State.CLOSED, units=0, closed_at=MONTH_END, end_reason=Investment.EndReason.WIPED_OUT
    )
    price(world, "1", datetime(2026, 2, 3, tzinfo=UTC), 2)
    page = text_of(bob.get("/statements/?since=2026-01-02&until=2026-02-28"))
    assert "Value at the start 1,000.00" in page
    assert "Result of trading -1,000.00 Fees 0.00" in page
    assert "Value at the end 0.00 USD" in page
    assert "The account was wiped out" in page
    assert "Nothing invested in this period" in text_of(bob.get(f"/statements/?{FEBRUARY}"))


def test_csv_of_an_investor_adds_up_from_opening_to_closing(
    world: AliceBobCharlie, january: None, bob: Client
) -> None:
    answer = bob.get(f"/statements/statement.csv?{JANUARY}")
    assert answer["Content-Disposition"] == (
        'attachment; filename="statement-investor-2026-01-01-2026-01-31.csv"'
    )
    rows = rows_of(answer)
    told = [(row["record"], row["kind"], row["amount"]) for row in rows]
    assert told == [
        ("opening", "", "0.00"),
        ("line", "deposit", "1000.00"),
        ("line", "performance_fee", "-22.00"),
        ("result", "", "100.00"),
        ("closing", "", "1078.00"),
    ]
    assert sum(Decimal(row["amount"]) for row in rows[:-1]) == Decimal(rows[-1]["amount"])
    assert [row["time"] for row in rows[:2]] == ["2026-01-01T00:00:00+00:00"] * 2
    assert rows[2]["charge"] == str(Charge.objects.get().public_id)


def test_name_that_a_spreadsheet_would_compute_is_made_harmless(
    world: AliceBobCharlie, january: None, bob: Client
) -> None:
    PammAccount.objects.filter(pk=world.pool.account.pk).update(name="=HYPERLINK(1)")
    rows = rows_of(bob.get(f"/statements/statement.csv?{JANUARY}"))
    assert {row["account_name"] for row in rows} == {"'=HYPERLINK(1)"}
    assert rows[2]["amount"] == "-22.00"


def test_days_begin_by_the_clocks_of_whom_it_is_about(
    world: AliceBobCharlie, bob: Client, visit: Visit
) -> None:
    """23:30 on 31 January in Berlin is 1 February in Shanghai, for a reader anywhere."""
    fee(world, "22.00", price(world, "1.10", datetime(2026, 1, 31, 22, 30, tzinfo=UTC), 1))
    Broker.objects.update(time_zone="Europe/Berlin")
    assert "Fees 22.00" in text_of(bob.get(f"/statements/?{JANUARY}"))
    User.objects.filter(pk=world.bob.pk).update(time_zone="Asia/Shanghai")
    assert "Fees 0.00" in text_of(bob.get(f"/statements/?{JANUARY}"))
    page = text_of(bob.get(f"/statements/?{FEBRUARY}"))
    assert "Fees 22.00" in page
    assert "1 Feb 2026, 06:30" in page
    assert "Asia/Shanghai" in page
    auditor = person("audit@example.com", Role.AUDITOR, time_zone="America/New_York")
    page = text_of(visit(auditor).get(f"/statements/of/{world.bob.public_id}/?{FEBRUARY}"))
    assert "1 Feb 2026, 06:30" in page


def test_manager_reads_income_by_kind_account_and_payee(
    world: AliceBobCharlie, january: None, alice: Client
) -> None:
    page = text_of(alice.get(f"/manage/statements/?{JANUARY}"))
    assert "Performance fee 22.00 USD 2.00 USD 0.00 USD 20.00 USD" in page
    assert "Pool 9000 22.00 USD 2.00 USD 0.00 USD 20.00 USD" in page
    assert "Together in USD 22.00 USD" in page
    (row,) = [
        row
        for row in rows_of(alice.get(f"/manage/statements/statement.csv?{JANUARY}"))
        if row["record"] == "line"
    ]
    assert (row["amount"], row["charged"], row["broker_part"], row["agents_part"]) == (
        "20.00",
        "22.00",
        "2.00",
        "0.00",
    )
    assert row["investor"] == "bob@example.com"


def test_agent_reads_own_parts_by_client_and_nothing_else(world: AliceBobCharlie, visit: Visit) -> None:
    agent = make_agent(user=person("ned@example.com", first_name="Ned"), by=None)
    Investment.objects.filter(pk=world.pool.investment.pk).update(agents=[str(agent.public_id)])
    point = price(world, "1.10", MONTH_END, 1)
    fee(world, "22.00", point, broker="2.00", agents=((agent.public_id, "3.00"),))
    page = text_of(visit(agent.user).get(f"/agent/statements/?{JANUARY}"))
    assert "b…@example.com 1 3.00 USD" in page
    assert "Performance fee 1 3.00 USD" in page
    for foreign in ("bob@example.com", "22.00", "2.00", "17.00", "1,000"):
        assert foreign not in page
    (row,) = rows_of(visit(agent.user).get(f"/agent/statements/statement.csv?{JANUARY}"))
    assert (row["amount"], row["through"], row["level"]) == ("3.00", "b…@example.com", "1")


def test_staff_open_a_clients_statement_and_nobody_else_does(
    world: AliceBobCharlie, january: None, visit: Visit, alice: Client
) -> None:
    auditor = visit(person("audit@example.com", Role.AUDITOR))
    address = f"/statements/of/{world.bob.public_id}/"
    page = auditor.get(f"{address}?{JANUARY}")
    assert "Value at the end 1,078.00 USD" in text_of(page)
    assert "bob@example.com" in text_of(page)
    assert rows_of(auditor.get(f"{address}statement.csv?{JANUARY}"))
    assert auditor.get(f"/manage/statements/of/{world.bob.public_id}/").status_code == 404
    assert "Pool 9000" in text_of(auditor.get(f"/manage/statements/of/{world.alice.public_id}/?{JANUARY}"))
    for stranger in (alice, visit(person("eve@example.com")), visit(world.charlie)):
        assert stranger.get(address).status_code == 404
        assert stranger.get(f"{address}statement.csv").status_code == 404
    for kind in ("manage", "agent"):
        assert visit(world.bob).get(f"/{kind}/statements/").status_code == 404


def test_back_office_leads_to_the_statements_of_a_client(world: AliceBobCharlie, visit: Visit) -> None:
    auditor = visit(person("audit@example.com", Role.AUDITOR))
    pages = {
        user: auditor.get(f"/admin/accounts/user/{user.public_id}/change/").content.decode()
        for user in (world.alice, world.bob)
    }
    for user, page in pages.items():
        assert f"/statements/of/{user.public_id}/" in page
    assert f"/manage/statements/of/{world.alice.public_id}/" in pages[world.alice]
    assert "/manage/statements/" not in pages[world.bob]


def test_lines_lead_to_their_explanations(
    world: AliceBobCharlie, january: None, bob: Client, alice: Client, visit: Visit
) -> None:
    charge, entry = Charge.objects.get(), UnitEntry.objects.get(kind=UnitEntry.Kind.DEPOSIT)
    page = bob.get(f"/statements/?{JANUARY}").content.decode()
    fee_page, deposit_page = (
        f"/statements/charges/{charge.public_id}/",
        f"/statements/movements/{entry.public_id}/",
    )
    assert fee_page in page
    assert deposit_page in page
    assert "high-water mark" in text_of(bob.get(fee_page))
    assert "Units = amount ÷ price 1,000.000000" in text_of(bob.get(deposit_page))
    assert alice.get(fee_page).status_code == 200, "who manages the account"
    assert alice.get(deposit_page).status_code == 404
    eve = visit(person("eve@example.com"))
    assert {eve.get(address).status_code for address in (fee_page, deposit_page)} == {404}


def test_statement_of_an_empty_period_shows_the_way(
    world: AliceBobCharlie, visit: Visit, alice: Client
) -> None:
    page = text_of(visit(person("dora@example.com")).get("/statements/"))
    assert "Nothing invested in this period" in page
    assert "No fee charged in this period" in text_of(alice.get("/manage/statements/"))
    everything = visit(person("emil@example.com")).get("/statements/?period=all")
    assert everything.status_code == 200


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("since=2026-02-01&until=2026-01-01", "before the first"),
        ("since=2026-02-01", "Give both days"),
        ("since=tomorrow&until=2026-01-01", "valid date"),
        ("since=0001-01-01&until=0001-01-02", "too long ago"),
        ("period=forever", "Select a valid choice"),
    ],
)
def test_period_that_cannot_be_read_is_said_and_no_file_is_made_of_it(
    world: AliceBobCharlie, bob: Client, query: str, error: str
) -> None:
    assert error in text_of(bob.get(f"/statements/?{query}"))
    answer = bob.get(f"/statements/statement.csv?{query}")
    assert answer.status_code == 422
    assert "This period cannot be read" in text_of(answer)


def test_what_lies_ahead_is_left_out(world: AliceBobCharlie, bob: Client) -> None:
    with time_machine.travel(datetime(2026, 1, 20, 12, tzinfo=UTC), tick=False):
        page = text_of(bob.get("/statements/?since=2026-01-01&until=9999-12-31"))
        assert "1 Jan 2026 to 20 Jan 2026" in page
        assert bob.get("/statements/?since=2027-01-01&until=2027-12-31").status_code == 200


@pytest.mark.parametrize("address", ["/statements/", "/manage/statements/", "/agent/statements/"])
def test_page_takes_twelve_queries_at_most_whatever_the_number_of_rows(
    world: AliceBobCharlie, january: None, visit: Visit, address: str
) -> None:
    agent = make_agent(user=person("ned@example.com"), by=None)
    reader = {"/statements/": world.bob, "/manage/statements/": world.alice, "/agent/statements/": agent.user}
    client = visit(reader[address])
    counts = []
    for number in range(2):
        for login in range(9100 + 100 * number, 9101 + 108 * number):
            made = pool(
                manager=world.alice_manager, income_account=world.pool.account.income_account,
                investor=world.bob, personal_account=world.bob_account, login=login,
            )  # fmt: skip
            Investment.objects.filter(pk=made.investment.pk).update(agents=[str(agent.public_id)])
            made.investment.refresh_from_db()
            for _ in range(1 + 5 * number):
                charged(
                    made.investment, performance_line("22.00"), point=made.investment.joined,
                    broker="2.00", agents=((agent.public_id, "3.00"),),
                )  # fmt: skip
        with CaptureQueriesContext(connection) as queries:
            assert client.get(f"{address}?{JANUARY}").status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 12, "\n".join(query["sql"][:200] for query in queries)


def test_lines_go_on_on_the_next_screen_and_none_is_left_out(world: AliceBobCharlie, bob: Client) -> None:
    many_fees(world, 120)
    seen: list[str] = []
    address = f"/statements/?{JANUARY}"
    while address:
        page = bob.get(address)
        seen += [str(line.public_id) for line in page.context["lines"]]
        address = page.context["page"].next_url
    assert len(seen) == len(set(seen)) == 121
    rows = rows_of(bob.get(f"/statements/statement.csv?{JANUARY}"))
    assert [row["charge"] for row in rows if row["charge"]] == seen[1:]
    assert bob.get(f"/statements/?{JANUARY}&from=999999").status_code == 200
