"""The page and the file of an account's trades: who sees how much of them, and how one finds one's way."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import OpenPositions, PammAccount
from allocation.models import Investment, PricePoint
from offers.models import JoinLink, Offer
from rollover.models import CountedDeal
from rollover.web.trades import PAGE_SIZE
from tests.track_record.histories import price_points
from tests.web.investor.conftest import Visit
from tests.web.investor.reading import text_of
from tests.worlds import JOINED, AliceBobCharlie
from trading.gateway import DealAction

Disclosure = PammAccount.Disclosure
LONG_AGO = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)


@pytest.fixture
def visitor() -> Client:
    return Client(SERVER_NAME="alpha.localhost")


def disclosed(world: AliceBobCharlie, disclosure: Disclosure, **fields: object) -> PammAccount:
    PammAccount.objects.filter(pk=world.pool.account.pk).update(disclosure=disclosure, **fields)
    account: PammAccount = PammAccount.objects.get(pk=world.pool.account.pk)
    return account


def closed(account: PammAccount, number: int, symbol: str = "EURUSD", **fields: object) -> CountedDeal:
    """A position that was bought, closed with a gain of 12.30."""
    values: dict[str, object] = {
        "part": CountedDeal.Part.RESULT,
        "action": DealAction.SELL,
        "executed_at": LONG_AGO,
        "symbol": symbol,
        "volume": Decimal("0.50"),
        "price": Decimal("1.10235"),
        "closed_lots": Decimal("0.50"),
        "amount": Decimal("12.30"),
        "currency_digits": 2,
    }
    made: CountedDeal = CountedDeal.objects.create(
        account=account,
        price_point=PricePoint.objects.filter(account=account).latest("sequence"),
        ticket=778_000 + number,
        **values | fields,
    )
    return made


def of_offer(world: AliceBobCharlie, name: str = "offer") -> str:
    return reverse(f"trades:{name}", args=[_offer(world).public_id])


def of_investment(world: AliceBobCharlie, name: str = "investment") -> str:
    return reverse(f"trades:{name}", args=[world.pool.investment.public_id])


def _offer(world: AliceBobCharlie) -> Offer:
    offer: Offer = Offer.objects.get(account=world.pool.account)
    return offer


def _lines(answer: object) -> list[str]:
    content = b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    return content.decode().splitlines()


def test_hidden_account_says_so_and_shows_nothing(
    world: AliceBobCharlie, visitor: Client, bob: Client
) -> None:
    closed(disclosed(world, Disclosure.HIDDEN), 1)
    for browser, address in ((visitor, of_offer(world)), (bob, of_investment(world))):
        page = text_of(browser.get(address))
        assert "This manager does not publish trades." in page
        assert "EURUSD" not in page
        assert "CSV" not in page
    assert len(_lines(visitor.get(of_offer(world, "offer-csv")))) == 1
    own = bob.get(reverse("allocation:investment", args=[world.pool.investment.public_id]))
    assert of_investment(world) not in own.content.decode()
    for answer in (own, visitor.get(_offer_address(world))):
        assert "This manager does not publish trades." in text_of(answer)


def _offer_address(world: AliceBobCharlie) -> str:
    return reverse("offers:offer", args=[_offer(world).public_id])


def test_open_account_shows_trades_and_what_was_open(
    world: AliceBobCharlie, visitor: Client, bob: Client
) -> None:
    account = disclosed(world, Disclosure.OPEN)
    price_points(account, ["1.0"], start=JOINED + timedelta(days=1), every=timedelta(days=1))
    point = PricePoint.objects.filter(account=account).latest("sequence")
    assert point.equity > 0
    closed(account, 1, amount=round(point.equity / 50, 2))
    closed(account, 2, "XAUUSD", action=DealAction.BUY, amount=Decimal("-7.00"), price=Decimal("2345.4"))
    closed(account, 3, "GBPUSD", action=DealAction.BUY_CANCELED, closed_lots=Decimal("-0.50"))
    # An opening, a commission, and somebody's balance operation are no trades.
    closed(account, 4, "USDCHF", closed_lots=Decimal(0))
    closed(account, 5, "USDCHF", action=DealAction.COMMISSION_DAILY)
    closed(account, 6, "USDCHF", part=CountedDeal.Part.FOREIGN)
    position = {
        "symbol": "NZDUSD", "side": "sell", "lots": "0.30", "opened_at": "2026-03-05T09:00:00+00:00",
        "price_open": "0.60241", "price": "0.60141", "result": "30.00",
    }  # fmt: skip
    OpenPositions.objects.create(
        account=account, seen_at=LONG_AGO, equity=Decimal(3000), currency_digits=2, positions=[position]
    )
    for browser, address in ((visitor, of_offer(world)), (bob, of_investment(world))):
        page = text_of(browser.get(address))
        for words in (
            "EURUSD Buy", "1.10235", "+2.00 %", "XAUUSD Sell", "2,345.40", "-7.00 USD",
            "GBPUSD Sell Cancelled", "Closed trades 3", "NZDUSD Sell", "0.60241", "0.60141", "+1.00 %",
            "+30.00 USD", "as of 2 Mar 2026, 14:30",
        ):  # fmt: skip
            assert words in page, words
        assert "USDCHF" not in page
    assert {line.split(",")[1] for line in _lines(visitor.get(of_offer(world, "offer-csv")))[1:]} == {
        "EURUSD", "XAUUSD", "GBPUSD",
    }  # fmt: skip
    answer = visitor.get(_offer_address(world))
    assert "XAUUSD Sell" in text_of(answer)
    assert "NZDUSD" not in text_of(answer)
    assert f'href="{of_offer(world)}"' in answer.content.decode()
    answer = bob.get(reverse("allocation:investment", args=[world.pool.investment.public_id]))
    assert "Closed trades and open positions are shown" in text_of(answer)
    assert f'href="{of_investment(world)}"' in answer.content.decode()


def test_positions_are_promised_before_a_rollover_has_looked(world: AliceBobCharlie, visitor: Client) -> None:
    account = disclosed(world, Disclosure.OPEN)
    assert "They are shown from the next rollover on." in text_of(visitor.get(of_offer(world)))
    OpenPositions.objects.create(account=account, seen_at=LONG_AGO, equity=Decimal(0), currency_digits=2)
    assert "Nothing was open." in text_of(visitor.get(of_offer(world)))


@pytest.mark.parametrize("name", ["offer", "offer-csv"])
def test_delayed_trade_is_shown_from_the_instant_its_delay_has_passed(
    world: AliceBobCharlie, visitor: Client, name: str, time_machine: object
) -> None:
    now = timezone.now().replace(microsecond=0)
    time_machine.move_to(now, tick=False)  # type: ignore[attr-defined]
    account = disclosed(world, Disclosure.DELAYED, disclosure_delay=timedelta(hours=36))
    closed(account, 1, executed_at=now - timedelta(hours=36))
    closed(account, 2, "GBPUSD", executed_at=now - timedelta(hours=36) + timedelta(microseconds=1))
    OpenPositions.objects.create(
        account=account, seen_at=now, equity=Decimal(1), currency_digits=2, positions=[{"symbol": "NZDUSD"}]
    )
    before = visitor.get(of_offer(world, name))
    told = _text(before)
    assert "EURUSD" in told
    assert "GBPUSD" not in told
    assert "NZDUSD" not in told
    assert "no-store" in before["Cache-Control"]
    time_machine.shift(timedelta(microseconds=1))  # type: ignore[attr-defined]
    assert "GBPUSD" in _text(visitor.get(of_offer(world, name)))


def _text(answer: object) -> str:
    if getattr(answer, "streaming", False):
        return "\n".join(_lines(answer))
    return text_of(answer)


def test_delay_is_told_in_days_or_hours(world: AliceBobCharlie, visitor: Client) -> None:
    for delay, words in (
        (timedelta(days=7), "Trades appear 7 days after they are closed."),
        (timedelta(days=1), "Trades appear 1 day after they are closed."),
        (timedelta(hours=36), "Trades appear 36 hours after they are closed."),
    ):
        disclosed(world, Disclosure.DELAYED, disclosure_delay=delay)
        assert words in text_of(visitor.get(of_offer(world)))
        assert words in text_of(visitor.get(_offer_address(world)))


def test_trades_are_found_by_symbol_and_day_in_the_readers_zone(
    world: AliceBobCharlie, visitor: Client, bob: Client
) -> None:
    account = disclosed(world, Disclosure.OPEN)
    world.bob.time_zone = "Asia/Tokyo"
    world.bob.save()
    # Past midnight in Tokyo.
    closed(account, 1, executed_at=datetime(2026, 3, 2, 15, 30, tzinfo=UTC))
    closed(account, 2, "GBPUSD")
    assert "EURUSD Buy" in text_of(bob.get(of_investment(world), {"since": "2026-03-03"}))
    assert "GBPUSD Buy" not in text_of(bob.get(of_investment(world), {"since": "2026-03-03"}))
    assert "EURUSD Buy" not in text_of(bob.get(of_investment(world), {"until": "2026-03-02"}))
    assert "GBPUSD Buy" in text_of(bob.get(of_investment(world), {"until": "2026-03-02"}))
    page = bob.get(of_investment(world), {"symbol": "GBPUSD"})
    assert "GBPUSD Buy" in text_of(page)
    assert "EURUSD Buy" not in text_of(page)
    (file,) = re.findall(r'href="([^"]+trades\.csv[^"]*)"', page.content.decode())
    assert [line.split(",")[1] for line in _lines(bob.get(file))[1:]] == ["GBPUSD"]
    for query in ({"symbol": "nothing"}, {"since": "soon"}, {"since": "9999-12-31", "until": "0001-01-01"}):
        answer = visitor.get(of_offer(world), query)
        assert "No trade in this selection" in text_of(answer), query
        assert len(_lines(visitor.get(of_offer(world, "offer-csv"), query))) == 1


def test_symbols_to_choose_from_are_those_that_are_shown(world: AliceBobCharlie, visitor: Client) -> None:
    account = disclosed(world, Disclosure.DELAYED)
    closed(account, 1)
    closed(account, 2, "GBPUSD", executed_at=timezone.now())
    assert re.findall(r'<option value="(\w+)"', visitor.get(of_offer(world)).content.decode()) == ["EURUSD"]


def test_many_trades_are_read_page_by_page_with_the_same_statements(
    world: AliceBobCharlie, visitor: Client
) -> None:
    account = disclosed(world, Disclosure.OPEN)
    closed(account, 0, "FIRST", executed_at=LONG_AGO - timedelta(days=1))
    few = _statements(visitor, of_offer(world))
    for number in range(1, 2 * PAGE_SIZE):
        # Several at one instant: none is lost or shown twice between two pages.
        closed(account, number, f"S{number:03d}", executed_at=LONG_AGO - timedelta(minutes=number // 7))
    assert _statements(visitor, of_offer(world)) == few <= 12
    seen: list[str] = []
    address = of_offer(world)
    while address:
        body = visitor.get(address).content.decode()
        seen += re.findall(r'translate="no">(\w+)</span>', body)
        following = re.search(r'href="([^"]+)" rel="next"', body)
        address = following[1] if following else ""
    assert len(seen) == len(set(seen)) == 2 * PAGE_SIZE
    assert seen[-1] == "FIRST"
    for nonsense in ("x", "1-", "-1", "9" * 30 + "-1", "1-²"):
        assert visitor.get(of_offer(world), {"before": nonsense}).status_code == 200


def _statements(browser: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert browser.get(address).status_code == 200
    return len(queries)


def test_offer_by_link_leads_to_its_trades_and_nobody_else_gets_there(
    world: AliceBobCharlie, visitor: Client, visit: Visit
) -> None:
    account = disclosed(world, Disclosure.OPEN)
    closed(account, 1)
    Offer.objects.filter(account=account).update(visibility=Offer.Visibility.LINK)
    link = JoinLink.objects.create(offer=_offer(world), token="known")
    page = visitor.get(reverse("offers:by-link", args=[link.token])).content.decode()
    address = f"{of_offer(world)}?link=known"
    assert address in page
    answer = visitor.get(address)
    assert "EURUSD Buy" in text_of(answer)
    assert f"{of_offer(world, 'offer-csv')}?link=known" in answer.content.decode()
    for name in ("offer", "offer-csv"):
        assert visitor.get(of_offer(world, name)).status_code == 404
        assert visitor.get(of_offer(world, name), {"link": "unknown"}).status_code == 404
    for name in ("investment", "investment-csv"):
        assert visitor.get(of_investment(world, name)).status_code == 302
        assert visit(world.alice).get(of_investment(world, name)).status_code == 404


def test_who_has_left_still_reads_what_is_shown(world: AliceBobCharlie, bob: Client) -> None:
    closed(disclosed(world, Disclosure.OPEN), 1)
    Offer.objects.filter(account=world.pool.account).update(state=Offer.State.CLOSED)
    Investment.objects.filter(pk=world.pool.investment.pk).update(state=Investment.State.CLOSED)
    assert "EURUSD Buy" in text_of(bob.get(of_investment(world)))
