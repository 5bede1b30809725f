"""What an investor has: figures that keep themselves up to date, explanations, files; nobody else's."""

import csv
import io
import re
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import PammAccount
from allocation.models import Investment, UnitEntry
from allocation.web.shares import allocation
from brokers.scope import broker_scope
from brokers.web.csv_files import csv_lines
from fees.calc.crystallisation import FeeState, Situation, interval_end
from fees.calc.performance import Standing
from fees.calc.schedule import Basis, Mode, Schedule, Tier
from fees.calc.terms import FeeTerms
from fees.explanations import explained, explanation_text
from fees.models import Charge
from investing.models import Request
from tests.offers.drafts import plain
from tests.track_record.histories import price_points
from tests.web.charges import charged, performance_line
from tests.web.investor.conftest import Visit
from tests.web.investor.reading import text_of
from tests.worlds import JOINED, AliceBobCharlie, person, personal_account, pool


def _price(world: AliceBobCharlie, price: str, after: int = 1) -> None:
    account = PammAccount.objects.get(pk=world.pool.account.pk)
    price_points(
        account, [price], start=JOINED + timedelta(hours=after), every=timedelta(hours=1), after=after
    )


def _more_investments(world: AliceBobCharlie, count: int, first_login: int) -> None:
    for number in range(count):
        pool(
            manager=world.alice_manager,
            income_account=world.pool.account.income_account,
            investor=world.bob,
            personal_account=world.bob_account,
            login=first_login + number,
        )


def test_portfolio_tells_value_accrued_fee_net_and_profit(world: AliceBobCharlie, bob: Client) -> None:
    _price(world, "1.1")
    page = text_of(bob.get("/portfolio/"))
    # 1,000 units at 1.1; 20 % of the 100 above the mark.
    for figure in ("1,100.00", "20.00", "1,080.00 USD", "+80.00 USD", "+8.00 %"):
        assert figure in page


def test_portfolio_of_somebody_without_investments_shows_the_way_to_offers(
    world: AliceBobCharlie, visit: Visit
) -> None:
    page = visit(person("dora@example.com")).get("/portfolio/")
    assert "Browse offers" in text_of(page)
    assert "Pool 9000" not in text_of(page)


def test_portfolio_figures_are_sent_again_only_after_they_changed(
    world: AliceBobCharlie, bob: Client
) -> None:
    _price(world, "1.1")
    first = bob.get("/portfolio/figures/")
    same = bob.get("/portfolio/figures/", headers={"If-None-Match": first["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    _price(world, "1.2", after=2)
    changed = bob.get("/portfolio/figures/", headers={"If-None-Match": first["ETag"]})
    assert changed.status_code == 200
    assert "1,200.00" in text_of(changed)
    assert changed["ETag"] in changed.content.decode().replace("&quot;", '"').replace('\\"', '"')


@pytest.mark.parametrize("url", ["/portfolio/", "/portfolio/figures/"])
def test_portfolio_takes_the_same_queries_whatever_the_number_of_investments(
    world: AliceBobCharlie, bob: Client, url: str
) -> None:
    counts = []
    for number in range(2):
        _more_investments(world, 1 + 8 * number, 9100 + 100 * number)
        with CaptureQueriesContext(connection) as queries:
            bob.get(url)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 12


def _charge(world: AliceBobCharlie) -> Charge:
    """4.725 at 50 %, rounded down."""
    schedule = Schedule(
        Basis.NET_WORTH,
        Mode.WHOLE,
        (Tier(None, Decimal("0.50")), Tier(Decimal(1000), Decimal("0.40"))),
    )
    (line,) = interval_end(
        FeeTerms(schedule),
        FeeState(Standing(Decimal(945))),
        Situation(Decimal("954.45"), 2, net_worth=Decimal("954.45")),
    ).lines
    return charged(world.pool.investment, line)


def test_charge_opens_to_its_inputs_and_steps(world: AliceBobCharlie, bob: Client) -> None:
    _charge(world)
    page = text_of(bob.get(f"/investments/{world.pool.investment.public_id}/"))
    for words in (
        "Performance fee",
        "A share of the profit above the high-water mark.",
        "-4.72 USD",
        "954.45 USD",
        "+9.45 USD",
        "50 %",
        "below 1,000.00 USD",
        "4.725 USD",
        "0.005 USD",
        "949.73 USD",
    ):
        assert words in page


def test_charge_whose_record_cannot_be_read_spoils_no_page(world: AliceBobCharlie, bob: Client) -> None:
    made = _charge(world)
    made.pk, made.public_id, made.explanation = None, uuid.uuid4(), {"steps": "nonsense"}
    Charge.objects.bulk_create([made])
    page = text_of(bob.get(f"/investments/{world.pool.investment.public_id}/"))
    assert "The record of this charge cannot be read" in page


def test_fees_file_explains_every_fee_as_the_page_does(world: AliceBobCharlie, bob: Client) -> None:
    made = _charge(world)
    with broker_scope(world.beta.pk):
        charged(world.charlie_pool.investment, performance_line("1.00"))
    (row,) = _rows(bob.get("/portfolio/fees.csv"))
    assert (row["charge"], row["kind"], row["amount"]) == (str(made.public_id), "performance", "4.72")
    assert row["explanation"] == explanation_text(made.explanation, "USD")
    page = text_of(bob.get(f"/investments/{world.pool.investment.public_id}/"))
    for sentence in explained(made).sentences:
        assert all(plain(part) in page for part in (sentence.label, sentence.figure, sentence.note))


def test_investment_lists_everything_that_happened_the_latest_first(
    world: AliceBobCharlie, bob: Client
) -> None:
    _charge(world)
    page = text_of(bob.get(f"/investments/{world.pool.investment.public_id}/"))
    assert page.index("End of the trading interval") < page.index("Deposit invested")


def test_investment_page_takes_the_same_queries_whatever_has_happened(
    world: AliceBobCharlie, bob: Client
) -> None:
    url = f"/investments/{world.pool.investment.public_id}/"
    counts = []
    for _ in range(2):
        for _ in range(5):
            _charge(world)
        with CaptureQueriesContext(connection) as queries:
            assert bob.get(url).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 14


@pytest.mark.parametrize("page", ["", "figures/", "withdraw/", "close/", "deposit/"])
def test_investment_of_somebody_else_is_not_found(world: AliceBobCharlie, visit: Visit, page: str) -> None:
    dora = visit(person("dora@example.com"))
    for investment in (world.pool.investment, world.charlie_pool.investment):
        assert dora.get(f"/investments/{investment.public_id}/{page}").status_code == 404
    with broker_scope(world.beta.pk):
        eve = person("eve@example.com")
    assert visit(eve).get(f"/investments/{world.pool.investment.public_id}/{page}").status_code == 404


@pytest.mark.parametrize(
    "url",
    [
        "/portfolio/",
        "/portfolio/figures/",
        "/portfolio/entries.csv",
        "/portfolio/fees.csv",
        "/requests/",
        "/requests.csv",
    ],
)
def test_pages_of_a_person_ask_visitors_to_sign_in(world: AliceBobCharlie, url: str) -> None:
    answer = Client(SERVER_NAME="alpha.localhost").get(url)
    assert answer.status_code == 302
    assert "/accounts/login/" in answer["Location"]


def test_poll_of_somebody_signed_out_reloads_the_page(world: AliceBobCharlie) -> None:
    answer = Client(SERVER_NAME="alpha.localhost").get("/portfolio/figures/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer["HX-Refresh"], answer.content) == (204, "true", b"")


def _rows(answer: Any) -> list[dict[str, str]]:
    # Read where no broker is in scope, as the server reads a streamed answer.
    with broker_scope(None):
        body = b"".join(answer.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(body)))


def test_entries_file_streams_the_persons_own_rows_only(world: AliceBobCharlie, bob: Client) -> None:
    dora = person("dora@example.com")
    pool(
        manager=world.alice_manager,
        income_account=world.pool.account.income_account,
        investor=dora,
        personal_account=personal_account(dora, world.pool.account.server, 5900),
        login=9100,
    )
    PammAccount.objects.filter(pk=world.pool.account.pk).update(name="=1+1")
    (row,) = _rows(bob.get("/portfolio/entries.csv"))
    assert (row["kind"], row["amount"], row["currency"]) == ("deposit", "1000.00", "USD")
    assert row["account"] == "'=1+1"
    assert UnitEntry.objects.count() == 2


def test_lines_of_a_file_enter_the_scope_themselves(world: AliceBobCharlie) -> None:
    rows = UnitEntry.objects.all()
    with broker_scope(None):
        lines = list(csv_lines(world.alpha.pk, ["amount"], rows, lambda entry: [str(entry.account.name)]))
    assert lines == ["amount\r\n", "Pool 9000\r\n"]


def test_numbers_stay_numbers_and_formulas_become_texts(world: AliceBobCharlie) -> None:
    written = ["-1.5", "+7", "-1+1", "@x", "=A1", "plain"]
    (_, line) = csv_lines(world.alpha.pk, ["x"], UnitEntry.objects.all(), lambda _: written)
    assert line == "-1.5,+7,'-1+1,'@x,'=A1,plain\r\n"


def test_requests_file_streams_the_persons_own_rows_only(world: AliceBobCharlie, bob: Client) -> None:
    Request.objects.create(
        investment=world.pool.investment,
        account=world.pool.account,
        kind="withdrawal",
        amount=Decimal("12.5"),
        currency="USD",
        currency_digits=2,
        idempotency_key="one",
        created_by=world.bob,
    )
    (row,) = _rows(bob.get("/requests.csv"))
    assert (row["kind"], row["amount"], row["state"]) == ("withdrawal", "12.50", "pending")


def test_closed_investment_shows_its_result(world: AliceBobCharlie, bob: Client) -> None:
    Investment.objects.filter(pk=world.pool.investment.pk).update(
        state=Investment.State.CLOSED,
        units=0,
        paid_out=Decimal("1100"),
        fees_paid=Decimal("25"),
        closed_at=JOINED + timedelta(days=3),
        end_reason="owner",
    )
    for url in ("/portfolio/", f"/investments/{world.pool.investment.public_id}/"):
        page = text_of(bob.get(url))
        assert "+100.00 USD" in page
        assert "Closed" in page


def test_pages_of_a_signed_in_person_are_kept_in_no_cache(
    world: AliceBobCharlie, bob: Client, client: Client
) -> None:
    assert bob.get("/portfolio/")["Cache-Control"] == "private, no-store"
    assert not client.get("/", headers={"host": "a.localhost"}).has_header("Cache-Control")


def test_investment_takes_at_most_twelve_queries_whatever_has_happened(
    world: AliceBobCharlie, bob: Client
) -> None:
    url = f"/investments/{world.pool.investment.public_id}/"
    counts = []
    for after in (1, 3):
        _price(world, "1.1", after=after)
        for _number in range(after):
            _charge(world)
        with CaptureQueriesContext(connection) as queries:
            assert bob.get(url).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 12


def test_portfolio_tells_what_the_day_has_brought_as_a_statement_of_it(
    world: AliceBobCharlie, bob: Client
) -> None:
    """Yesterday's last price is where the day begins, and it begins where the reader is."""
    with time_machine.travel(datetime(2026, 1, 8, 15, tzinfo=UTC), tick=False):
        account = world.pool.account
        account.refresh_from_db()
        price_points(
            account, ["1.10"], start=datetime(2026, 1, 7, 20, tzinfo=UTC), every=timedelta(hours=1), after=1
        )
        assert re.search(r"0\.00 USD today", text_of(bob.get("/portfolio/")))
        price_points(
            account, ["1.07"], start=datetime(2026, 1, 8, 12, tzinfo=UTC), every=timedelta(hours=1), after=2
        )
        page = text_of(bob.get("/portfolio/"))
        assert "-30.00 USD today" in page
        # In Tokyo it is midnight already.
        world.bob.time_zone = "Asia/Tokyo"
        world.bob.save()
        assert re.search(r"(?<!3)0\.00 USD today", text_of(bob.get("/portfolio/")))


def test_allocation_shares_are_of_the_whole_and_the_smallest_stand_together() -> None:
    amounts = [(f"Pool {number}", Decimal(number)) for number in range(1, 10)] + [("Pool 9", Decimal(1))]
    slices = allocation([*amounts, ("Lost", Decimal(0))])
    assert [(part.name, part.accounts, part.amount) for part in slices] == [
        ("Pool 9", 1, Decimal(10)),
        *((f"Pool {number}", 1, Decimal(number)) for number in (8, 7, 6, 5, 4)),
        ("", 3, Decimal(6)),
    ]
    assert sum(part.rate for part in slices) == 1
    assert len({part.letter for part in slices}) == 7
    assert allocation(amounts[:1]) == allocation([]) == []


def test_portfolio_shows_where_the_money_is(world: AliceBobCharlie, bob: Client) -> None:
    assert "Where your money is" not in text_of(bob.get("/portfolio/"))
    _more_investments(world, 1, 9300)
    page = text_of(bob.get("/portfolio/"))
    assert re.search(r"Where your money is .* A Pool 9300 1,000.00 50.0 % B Pool 9000 1,000.00 50.0 %", page)
