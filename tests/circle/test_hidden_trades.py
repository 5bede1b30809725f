"""What a manager does with an account is his: nobody else reads a symbol, position, order or trade of it.

The accounts have closed trades, open positions, fees by the lot and a hold that names its deals. Whoever is
neither their manager nor the broker's staff reads every route with every id there is, and his mail.
"""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core import mail
from django.db import transaction
from django.test import Client
from django.utils import timezone

from accounts.models import PammAccount, Role, User
from events.services import deliver_notifications
from events.services.mails import send_due_mails
from rollover.models import CountedDeal
from rollover.services.holding import hold
from rollover.services.snapshot import shown
from tests.circle.world import Desk, login_of, terms
from tests.isolation.crawler import crawl
from tests.worlds import signed_in
from trading.gateway import Filled, Side

HOST = "a.localhost"
TRADED = {PammAccount.Disclosure.HIDDEN: "USDCHF", PammAccount.Disclosure.DELAYED: "AUDUSD"}
"""What the account of each disclosure trades; all of it a moment ago."""
BID, ASK = Decimal("0.87641"), Decimal("0.87653")


@dataclass(frozen=True, slots=True)
class Traded:
    """The people around the accounts, and what must not be read of these."""

    manager: User
    dealer: User
    others: dict[str, User | None]
    account: PammAccount
    secrets: frozenset[str]

    def told_in(self, text: str) -> list[str]:
        return sorted(secret for secret in self.secrets if secret in text)


@pytest.fixture
def traded(desk: Desk) -> Traded:
    manager = desk.client("alice", "90000", Role.INVESTOR, Role.MANAGER)
    other = desk.client("mallory", "50000", Role.INVESTOR, Role.MANAGER)
    bob = desk.client("bob", "50000")
    desk.pamm_account(other, "1000", name="Other")
    accounts, secrets = [], {str(BID), str(ASK)}
    for disclosure in TRADED:
        account = desk.pamm_account(manager, "5000", name=f"Pool {disclosure}", disclosure=disclosure)
        draft = terms((None, "0.20"), volume_amount_per_lot=Decimal(3))
        desk.invest(bob, desk.offer(account, draft), "5000")
        accounts.append(account)
    desk.roll(*accounts)
    for account, symbol in zip(accounts, TRADED.values(), strict=True):
        secrets |= {symbol, f"zebra-{symbol}"} | _trade(desk, account, symbol)
    desk.roll(*accounts)
    for account, symbol in zip(accounts, TRADED.values(), strict=True):
        assert CountedDeal.objects.filter(account=account, symbol=symbol).count() >= 2
        account.refresh_from_db()
        login, now = login_of(account), timezone.now()
        deals = desk.gateway.deals([login], now - timedelta(days=1), now + timedelta(days=1))[login]
        with transaction.atomic():
            hold(account, "balance_differs", {"deals": [shown(deal) for deal in deals]})
    deliver_notifications()
    send_due_mails()
    people = {"investor": bob.user, "other manager": other.user, "visitor": None}
    return Traded(manager.user, desk.dealer, people, accounts[0], frozenset(secrets))


def test_nobody_else_reads_anything_of_what_is_traded(traded: Traded) -> None:
    for who, person in traded.others.items():
        read = dict(crawl(_browser(person)))
        assert len(read) > 200, who
        assert any(traded.account.name in text for text in read.values()), who
        told = {address: traded.told_in(text) for address, text in read.items() if traded.told_in(text)}
        assert told == {}, who
        letters = [letter for letter in mail.outbox if person is not None and person.email in letter.to]
        assert letters or who != "investor"
        assert [letter.subject for letter in letters if traded.told_in(str(letter.message()))] == []


def test_crawler_finds_what_the_staff_read_and_what_slips_out(traded: Traded) -> None:
    wanted = {*TRADED.values(), str(BID), str(ASK)}
    for _, text in crawl(_browser(traded.dealer)):
        wanted -= set(traded.told_in(text))
        if not wanted:
            break
    assert wanted == set()
    PammAccount.objects.filter(pk=traded.account.pk).update(description="Long USDCHF since Monday")
    for who in ("investor", "visitor"):
        assert any(traded.told_in(text) for _, text in crawl(_browser(traded.others[who]))), who


def _browser(person: User | None) -> Client:
    return Client(HTTP_HOST=HOST) if person is None else signed_in(person)


def _trade(desk: Desk, account: PammAccount, symbol: str) -> set[str]:
    """One trade opened and closed, another left open; the tickets of deals, orders and positions."""
    login = login_of(account)
    desk.simulator.set_tick(symbol, BID, ASK)
    filled = []
    for number, side in enumerate((Side.BUY, Side.BUY)):
        key = f"zebra-{symbol}-{number}"
        outcome = desk.gateway.place_market_order(login, symbol, side, Decimal("0.37"), key)
        assert isinstance(outcome, Filled), outcome
        filled.append(outcome)
    first, _second = desk.gateway.positions([login])[login]
    closed = desk.gateway.place_market_order(
        login, symbol, Side.SELL, first.volume, f"zebra-{symbol}-closed", position=first.ticket
    )
    assert isinstance(closed, Filled), closed
    filled.append(closed)
    assert desk.gateway.positions([login])[login]
    return {str(number) for order in filled for number in (order.deal, order.order) if number > 99_999}
