"""What a manager does with an account is his: nobody else reads more of it than he shows.

Three accounts, hidden, delayed and open, have closed trades, open positions, fees by the lot and a hold that
names its deals. Whoever is neither their manager nor the broker's staff reads every route with every id there
is, and his mail.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core import mail
from django.db import transaction
from django.test import Client
from django.utils import timezone

from accounts.models import OpenPositions, PammAccount, Role, User
from accounts.services import set_disclosure
from allocation.models import Investment
from events.services import deliver_notifications
from events.services.mails import send_due_mails
from offers.models import Offer
from rollover.models import CountedDeal
from rollover.services.holding import hold
from rollover.services.snapshot import shown
from tests.circle.world import Calendar, Desk, login_of, terms
from tests.isolation.crawler import crawl
from tests.worlds import signed_in
from trading.gateway import Filled, Side

HOST = "a.localhost"
Disclosure = PammAccount.Disclosure
DELAY = timedelta(days=1)
PRICES = {
    "USDCHF": ("0.87641", "0.87653"),
    "AUDUSD": ("0.65641", "0.65653"),
    "NZDUSD": ("0.60241", "0.60253"),
    "USDCAD": ("1.37141", "1.37153"),
    "GBPUSD": ("1.27241", "1.27253"),
    "EURUSD": ("1.08541", "1.08553"),
    "XAUUSD": ("2345.41", "2345.53"),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What an account closes at first, what three hours later, and what it then leaves open."""

    first: str
    second: str
    left_open: str


TRADED = {
    Disclosure.HIDDEN: Plan("USDCHF", "USDCHF", "USDCHF"),
    Disclosure.DELAYED: Plan("AUDUSD", "NZDUSD", "USDCAD"),
    Disclosure.OPEN: Plan("GBPUSD", "EURUSD", "XAUUSD"),
}


def figures_of(*symbols: str) -> set[str]:
    """What gives a trade in them away: their names, and the prices they were traded at."""
    return {text for symbol in symbols for text in (symbol, *PRICES[symbol])}


HIDDEN = figures_of("USDCHF")
OLD, YOUNG = figures_of("AUDUSD"), figures_of("NZDUSD", "USDCAD")
PUBLISHED = figures_of("GBPUSD", "EURUSD", "XAUUSD")


@dataclass(frozen=True, slots=True)
class Traded:
    """The people around the accounts. `secrets`: numbers and comments that nobody else reads of any."""

    manager: User
    dealer: User
    others: dict[str, User | None]
    accounts: dict[Disclosure, PammAccount]
    secrets: frozenset[str]
    calendar: Calendar

    def doors_of(self, disclosure: Disclosure) -> tuple[str, ...]:
        """How the addresses begin at which something of an account's trading may be read."""
        account = self.accounts[disclosure]
        offers = Offer.objects.filter(account=account).values_list("public_id", flat=True)
        stakes = Investment.objects.filter(account=account).values_list("public_id", flat=True)
        return (
            *(f"/offers/{key}/" for key in offers),
            *(f"/investments/{key}/" for key in stakes),
            *(f"/api/v1/pamm-accounts/{account.public_id}/{what}/" for what in ("trades", "open-positions")),
        )


@pytest.fixture
def traded(calendar: Calendar, desk: Desk) -> Traded:
    manager = desk.client("alice", "90000", Role.INVESTOR, Role.MANAGER)
    other = desk.client("mallory", "50000", Role.INVESTOR, Role.MANAGER)
    bob = desk.client("bob", "50000")
    desk.pamm_account(other, "1000", name="Other")
    accounts: dict[Disclosure, PammAccount] = {}
    for disclosure in TRADED:
        account = desk.pamm_account(
            manager, "5000", name=f"Pool {disclosure}", disclosure=disclosure, disclosure_delay=DELAY
        )
        draft = terms((None, "0.20"), volume_amount_per_lot=Decimal(3))
        desk.invest(bob, desk.offer(account, draft), "5000")
        accounts[disclosure] = account
    desk.roll(*accounts.values())
    secrets: set[str] = set()
    for disclosure, plan in TRADED.items():
        secrets |= _trade(desk, accounts[disclosure], plan.first, "early")
    desk.roll(*accounts.values())
    calendar.let_pass(hours=3)
    for disclosure, plan in TRADED.items():
        secrets |= _trade(desk, accounts[disclosure], plan.second, "late")
        secrets |= _open(desk, accounts[disclosure], plan.left_open, "left")[0]
    desk.roll(*accounts.values())
    for account in accounts.values():
        assert CountedDeal.objects.filter(account=account, closed_lots__gt=0).count() == 2
        account.refresh_from_db()
        login, now = login_of(account), timezone.now()
        deals = desk.gateway.deals([login], now - timedelta(days=1), now + timedelta(days=1))[login]
        with transaction.atomic():
            hold(account, "balance_differs", {"deals": [shown(deal) for deal in deals]})
    deliver_notifications()
    send_due_mails()
    people = {"investor": bob.user, "other manager": other.user, "visitor": None}
    return Traded(manager.user, desk.dealer, people, accounts, frozenset(secrets), calendar)


def test_nobody_reads_more_of_what_is_traded_than_is_shown(traded: Traded) -> None:
    doors = traded.doors_of(Disclosure.OPEN)
    for who, person in traded.others.items():
        read = dict(crawl(_browser(person)))
        assert len(read) > 200, who
        assert any(traded.accounts[Disclosure.HIDDEN].name in text for text in read.values()), who
        assert _told(read, traded.secrets | HIDDEN | OLD | YOUNG) == {}, who
        published = _told(read, PUBLISHED)
        assert [address for address in published if not address.startswith(doors)] == [], who
        # Trades on the pages, trades and positions on the page of trades, closed ones in the file.
        seen = set().union(*published.values()) if published else set()
        assert seen >= {"GBPUSD", "EURUSD", "XAUUSD", PRICES["EURUSD"][0]}, who
        files = [said for address, said in published.items() if address.partition("?")[0].endswith(".csv")]
        assert files, who
        assert all("XAUUSD" not in said for said in files), who
        letters = [letter for letter in mail.outbox if person is not None and person.email in letter.to]
        assert letters or who != "investor"
        everything = traded.secrets | HIDDEN | OLD | YOUNG | PUBLISHED
        assert [letter.subject for letter in letters if _in(str(letter.message()), everything)] == []


def test_trades_appear_when_their_delay_has_passed_and_are_gone_when_hidden(traded: Traded) -> None:
    investor = traded.others["investor"]
    traded.calendar.let_pass(hours=22)
    read = dict(crawl(_browser(investor)))
    assert _told(read, traded.secrets | HIDDEN | YOUNG) == {}
    aged = _told(read, OLD)
    doors = traded.doors_of(Disclosure.DELAYED)
    assert [address for address in aged if not address.startswith(doors)] == []
    kinds = ("/offers/", "/investments/", "/api/", "trades.csv")
    assert [kind for kind in kinds if not any(kind in address for address in aged)] == []
    assert not any(address.endswith("/open-positions/") for address in aged)
    (offer,) = Offer.objects.filter(account=traded.accounts[Disclosure.OPEN])
    address, browser = f"/offers/{offer.public_id}/trades/", _browser(None)
    answer = browser.get(address)
    assert "XAUUSD" in answer.text
    for disclosure in (Disclosure.OPEN, Disclosure.DELAYED):
        account = traded.accounts[disclosure]
        set_disclosure(account=account, disclosure=Disclosure.HIDDEN, delay=DELAY, by=traded.manager)
    assert not OpenPositions.objects.exists()
    known = {"HTTP_IF_NONE_MATCH": answer.headers.get("ETag", "*")}
    again = browser.get(address, **known)  # type: ignore[arg-type]
    assert again.status_code == 200
    assert "This manager does not publish trades" in again.text
    read = dict(crawl(_browser(investor)))
    assert _told(read, traded.secrets | HIDDEN | OLD | YOUNG | PUBLISHED) == {}


def test_crawler_finds_what_the_staff_read_and_what_slips_out(traded: Traded) -> None:
    wanted = {"USDCHF", "AUDUSD", "NZDUSD", *PRICES["USDCHF"], *PRICES["AUDUSD"]}
    for _, text in crawl(_browser(traded.dealer)):
        wanted -= set(_in(text, wanted))
        if not wanted:
            break
    assert wanted == set()
    hidden = traded.accounts[Disclosure.HIDDEN]
    PammAccount.objects.filter(pk=hidden.pk).update(description="Long USDCHF since Monday")
    for who in ("investor", "visitor"):
        assert any(_in(text, HIDDEN) for _, text in crawl(_browser(traded.others[who]))), who


def _told(read: dict[str, str], what: Iterable[str]) -> dict[str, list[str]]:
    """By address, what of it is told there."""
    found = {address: _in(text, what) for address, text in read.items()}
    return {address: told for address, told in found.items() if told}


def _in(text: str, what: Iterable[str]) -> list[str]:
    return sorted(secret for secret in what if secret in text)


def _browser(person: User | None) -> Client:
    return Client(HTTP_HOST=HOST) if person is None else signed_in(person)


def _open(desk: Desk, account: PammAccount, symbol: str, comment: str) -> tuple[set[str], int]:
    """What numbers and comments a new position has, and its ticket."""
    bid, ask = (Decimal(price) for price in PRICES[symbol])
    desk.simulator.set_tick(symbol, bid, ask)
    key = f"zebra-{symbol}-{comment}"
    outcome = desk.gateway.place_market_order(login_of(account), symbol, Side.BUY, Decimal("0.17"), key)
    assert isinstance(outcome, Filled), outcome
    login = login_of(account)
    position = max(row.ticket for row in desk.gateway.positions([login])[login])
    return _numbers(outcome) | {key}, position


def _trade(desk: Desk, account: PammAccount, symbol: str, comment: str) -> set[str]:
    """One position opened and closed: its numbers and comments."""
    secrets, position = _open(desk, account, symbol, comment)
    closed = desk.gateway.place_market_order(
        login_of(account), symbol, Side.SELL, Decimal("0.17"), f"zebra-{symbol}-{comment}-end",
        position=position,
    )  # fmt: skip
    assert isinstance(closed, Filled), closed
    return secrets | _numbers(closed)


def _numbers(order: Filled) -> set[str]:
    return {str(number) for number in (order.deal, order.order) if number > 99_999}
