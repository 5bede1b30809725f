"""A suspended account: no money comes in, whoever is in it may leave, and its rollovers go on."""

from decimal import Decimal

import pytest

from accounts.models import PammAccount, PersonalAccount
from allocation.models import Investment
from brokers.errors import NotAllowed, Refusal
from investing.errors import AccountNotActive, AccountNotSuspended, AccountSuspended, ReasonMissing
from investing.models import Request
from investing.services import confirm_request, order_closing, resume_account, suspend_account
from offers.models import Offer
from outbox.models import Event
from rollover.models import Rollover
from rollover.services import settle_open_transfers
from rollover.verification import verify_account, verify_ledger
from tests.circle.books import assert_books_agree
from tests.circle.world import Desk, terms


@pytest.fixture
def bob(desk: Desk) -> PersonalAccount:
    return desk.client("bob", "2000")


@pytest.fixture
def offer(desk: Desk) -> Offer:
    account = desk.pamm_account(desk.client("alice", "10000"), "1000.00")
    return desk.offer(account, terms((None, "0.20"), interval_unit="months"))


@pytest.fixture
def stake(desk: Desk, bob: PersonalAccount, offer: Offer) -> Investment:
    """1,000.00 of Bob's beside 1,000.00 of Alice's own, at price 1."""
    investment = desk.invest(bob, offer, "1000.00")
    desk.roll(offer.account)
    return investment


def suspended(desk: Desk, offer: Offer) -> PammAccount:
    return suspend_account(account=offer.account, by=desk.dealer, note="Trades outside his mandate")


def resumed(desk: Desk, offer: Offer) -> PammAccount:
    return resume_account(account=offer.account, by=desk.dealer, note="Settled")


def fresh(investment: Investment) -> Investment:
    return Investment.objects.select_related("account", "terms__offer", "owner").get(pk=investment.pk)


def test_nobody_joins_or_adds_money_to_a_suspended_account(
    desk: Desk, stake: Investment, offer: Offer
) -> None:
    suspended(desk, offer)
    carol = desk.client("carol", "500")
    for ask in (
        lambda: desk.invest(carol, offer, "300.00"),
        lambda: desk.add_money(fresh(stake), "100.00"),
        lambda: desk.add_money(Investment.objects.get(account=offer.account, is_own_capital=True), "1.00"),
    ):
        with pytest.raises(AccountSuspended):
            ask()
    resumed(desk, offer)
    desk.invest(carol, offer, "300.00")
    desk.roll(offer.account)
    assert desk.balance(carol.login) == Decimal("200.00")


def test_deposits_under_way_go_back_and_are_not_confirmed(
    desk: Desk, bob: PersonalAccount, stake: Investment, offer: Offer
) -> None:
    waiting = desk.add_money(fresh(stake), "200.00")
    suspended(desk, offer)
    waiting.refresh_from_db()
    assert (waiting.state, waiting.reason_code) == (Request.State.CANCELLED, "account_suspended")
    with pytest.raises(Refusal):
        confirm_request(request=waiting, by=desk.dealer)
    desk.roll(offer.account)
    assert desk.balance(bob.login) == Decimal("1000.00")
    assert_books_agree(desk, offer.account)


def test_deposit_that_a_rollover_has_collected_goes_back_at_the_next_price(
    desk: Desk, bob: PersonalAccount, stake: Investment, offer: Offer
) -> None:
    collected = desk.add_money(fresh(stake), "200.00")
    Request.objects.filter(pk=collected.pk).update(state=Request.State.COLLECTING)
    suspended(desk, offer)
    collected.refresh_from_db()
    assert collected.state == Request.State.COLLECTING
    desk.roll(offer.account)
    collected.refresh_from_db()
    assert (collected.state, collected.reason_code) == (Request.State.FAILED, "account_suspended")
    settle_open_transfers()
    assert desk.balance(bob.login) == Decimal("1000.00")
    assert_books_agree(desk, offer.account)
    assert [str(found) for found in (*verify_account(offer.account_id).differences, *verify_ledger())] == []


def test_deposit_that_was_being_collected_goes_back_also_where_the_suspension_has_ended(
    desk: Desk, bob: PersonalAccount, stake: Investment, offer: Offer
) -> None:
    collected = desk.add_money(fresh(stake), "200.00")
    Request.objects.filter(pk=collected.pk).update(state=Request.State.COLLECTING)
    suspended(desk, offer)
    # Nothing moves at this price.
    desk.hold(offer.account, Decimal("-1.00"))
    desk.age_ticks(seconds=4000)
    desk.roll(offer.account)
    resumed(desk, offer)
    desk.earn(offer.account, Decimal("1.00"))
    desk.roll(offer.account)
    collected.refresh_from_db()
    assert (collected.state, collected.reason_code) == (Request.State.FAILED, "account_suspended")
    settle_open_transfers()
    assert desk.balance(bob.login) == Decimal("1000.00")
    assert_books_agree(desk, offer.account)


def test_who_is_in_a_suspended_account_withdraws_and_leaves_at_its_rollovers(
    desk: Desk, bob: PersonalAccount, stake: Investment, offer: Offer
) -> None:
    suspended(desk, offer)
    desk.withdraw(fresh(stake), "100.00")
    desk.roll(offer.account)
    assert desk.balance(bob.login) == Decimal("1100.00")
    desk.close(fresh(stake))
    (rolled,) = desk.roll(offer.account)
    assert rolled.state == Rollover.State.COMPLETED
    assert desk.balance(bob.login) == Decimal("2000.00")
    assert_books_agree(desk, offer.account)


def test_suspending_twice_is_suspending_once_and_so_is_resuming(
    desk: Desk, stake: Investment, offer: Offer
) -> None:
    for _ in range(2):
        assert suspended(desk, offer).state == PammAccount.State.SUSPENDED
    for _ in range(2):
        assert resumed(desk, offer).state == PammAccount.State.ACTIVE
    told = Event.objects.filter(kind__in=["account.suspended", "account.resumed"]).order_by("pk")
    assert [(event.kind, event.payload["note"]) for event in told] == [
        ("account.suspended", "Trades outside his mandate"),
        ("account.resumed", "Settled"),
    ]


def test_only_staff_suspends_with_a_reason_and_only_what_is_active(
    desk: Desk, bob: PersonalAccount, stake: Investment, offer: Offer
) -> None:
    manager = offer.account.manager.user
    for person in (manager, bob.user):
        with pytest.raises(NotAllowed):
            suspend_account(account=offer.account, by=person, note="mine")
        with pytest.raises(NotAllowed):
            resume_account(account=offer.account, by=person, note="mine")
    with pytest.raises(ReasonMissing):
        suspend_account(account=offer.account, by=desk.dealer, note=" ")
    suspended(desk, offer)
    order_closing(account=offer.account, by=desk.dealer, note="For good")
    with pytest.raises(AccountNotActive):
        suspended(desk, offer)
    with pytest.raises(AccountNotSuspended):
        resumed(desk, offer)
