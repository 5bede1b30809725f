"""Balance operations whose answer is lost: looked up by key, never made twice, never forgotten."""

import time
from decimal import Decimal

import pytest
from pytest_django.fixtures import Settings

from accounts.models import PersonalAccount
from allocation.models import Investment
from investing.models import Request
from offers.models import Offer
from rollover.models import Decision, Rollover
from rollover.services import Choice, release_account, roll_over, settle_open_transfers
from tests.circle.books import assert_books_agree
from tests.circle.world import Desk, terms
from transfers.models import Leg, Transfer
from transfers.services import LOGIN_BUSY_SECONDS

TWENTY = terms((None, "0.20"), interval_unit="months")


@pytest.fixture
def bob(desk: Desk) -> PersonalAccount:
    return desk.client("bob", "1000")


@pytest.fixture
def offer(desk: Desk) -> Offer:
    account = desk.pamm_account(desk.client("alice", "10000"), "1000.00")
    opened = desk.offer(account, TWENTY)
    desk.roll(account)
    return opened


def deposit_of(investment: Investment) -> Request:
    return Request.objects.select_related("collection").get(investment=investment, kind=Request.Kind.DEPOSIT)


@pytest.mark.parametrize("fault", ["drop_before", "drop_after"])
@pytest.mark.parametrize("which", ["first leg", "second leg"])
def test_deposit_whose_answer_is_lost_is_made_exactly_once(
    desk: Desk, bob: PersonalAccount, offer: Offer, fault: str, which: str
) -> None:
    investment = desk.invest(bob, offer, "500.00")
    login = bob.login if which == "first leg" else offer.account.login
    desk.simulator.arm_fault(fault, login=login)
    desk.roll(offer.account)
    for _ in range(3):
        desk.expire_answers()
        desk.roll(offer.account)
    request = deposit_of(investment)
    assert (request.state, request.collection.state) == (Request.State.EXECUTED, Transfer.State.COMPLETED)
    assert desk.balance(bob.login) == Decimal("500.00")
    assert desk.pool_balance(offer.account) == Decimal("1500.00")
    assert_books_agree(desk, offer.account)


def test_deposit_without_an_answer_waits_and_says_so(desk: Desk, bob: PersonalAccount, offer: Offer) -> None:
    investment = desk.invest(bob, offer, "500.00")
    desk.simulator.arm_fault("drop_before", login=bob.login)
    desk.roll(offer.account)
    request = deposit_of(investment)
    assert (request.state, request.reason_code) == (Request.State.COLLECTING, "transfer_under_way")
    assert desk.balance(bob.login) == Decimal("1000.00")
    leg = Leg.objects.get(transfer=request.collection)
    assert leg.state in (Leg.State.SENDING, Leg.State.UNKNOWN)


def test_sender_held_up_longer_than_the_look_ups_take_sends_nothing(
    desk: Desk, bob: PersonalAccount, offer: Offer, settings: Settings
) -> None:
    investment = desk.invest(bob, offer, "500.00")
    pauses = settings.TRANSFER_LOOKUP_SECONDS
    settings.TRANSFER_LOOKUP_SECONDS = (0.0,)
    desk.roll(offer.account)
    leg = Leg.objects.get(transfer=deposit_of(investment).collection, position=1)
    assert (leg.state, leg.refusal_text) == (Leg.State.UNKNOWN, "not sent: too late")
    assert desk.balance(bob.login) == Decimal("1000.00")
    settings.TRANSFER_LOOKUP_SECONDS = pauses
    desk.expire_answers()
    desk.roll(offer.account)
    assert deposit_of(investment).state == Request.State.EXECUTED
    assert desk.balance(bob.login) == Decimal("500.00")


def test_deposit_refused_when_it_is_sent_again_fails_before_the_next_rollover(
    desk: Desk, bob: PersonalAccount, offer: Offer
) -> None:
    investment = desk.invest(bob, offer, "500.00")
    desk.simulator.arm_fault("drop_before", login=bob.login)
    desk.roll(offer.account)
    desk.expire_answers()
    desk.simulator.arm_fault("refuse", code=10019, login=bob.login)
    settle_open_transfers()
    request = deposit_of(investment)
    assert (request.state, request.reason_code) == (Request.State.FAILED, "refused_by_trading_server")
    assert desk.balance(bob.login) == Decimal("1000.00")


@pytest.mark.parametrize("fault", ["drop_before", "drop_after"])
def test_payments_behind_a_lost_answer_do_not_each_wait_for_it(desk: Desk, offer: Offer, fault: str) -> None:
    clients = [desk.client(f"client{number}", "1000") for number in range(6)]
    taken = [desk.invest(client, offer, "500.00") for client in clients]
    desk.roll(offer.account)
    for investment in taken:
        investment.refresh_from_db()
        desk.withdraw(investment, "100.00")
    desk.simulator.arm_fault(fault, login=offer.account.login or 0)
    begun = time.monotonic()
    desk.roll(offer.account)
    assert time.monotonic() - begun < 2 * LOGIN_BUSY_SECONDS
    desk.expire_answers()
    desk.roll(offer.account)
    assert [desk.balance(client.login) for client in clients] == [Decimal("600.00")] * 6
    assert_books_agree(desk, offer.account)


def test_foreign_deposit_of_the_same_amount_is_not_taken_for_ours(
    desk: Desk, bob: PersonalAccount, offer: Offer
) -> None:
    investment = desk.invest(bob, offer, "500.00")
    desk.simulator.arm_fault("drop_before", login=bob.login)
    desk.simulator.adjust_as_dealer(bob.login, "-500.00", comment="by hand")
    desk.roll(offer.account)
    request = deposit_of(investment)
    assert request.state != Request.State.EXECUTED


def test_foreign_operation_on_a_pool_holds_it_deal_by_deal(
    desk: Desk, bob: PersonalAccount, offer: Offer
) -> None:
    account = offer.account
    ticket = desk.simulator.adjust_as_dealer(account.login, "25.00", comment="by hand")
    (rollover,) = desk.roll(account)
    account.refresh_from_db()
    assert (rollover.state, account.is_held, account.hold_reason) == (
        Rollover.State.HELD,
        True,
        "foreign_operation",
    )
    assert [deal["ticket"] for deal in account.hold_details["deals"]] == [str(ticket)]
    assert desk.pool_balance(account) == Decimal("1025.00")


def test_released_account_takes_an_accepted_operation_as_the_investors_result(
    desk: Desk, offer: Offer
) -> None:
    account = offer.account
    ticket = desk.simulator.adjust_as_dealer(account.login, "25.00", comment="compensation")
    desk.roll(account)
    release_account(
        account=account,
        by=desk.dealer,
        note="compensation for an outage",
        choices=[Choice(ticket, Decision.Kind.RESULT)],
    )
    (rollover,) = desk.roll(account)
    assert rollover.state == Rollover.State.COMPLETED
    assert rollover.price_point.equity == Decimal("1025.00")
    assert_books_agree(desk, account)


def test_one_accounts_hold_stops_no_other(desk: Desk, offer: Offer) -> None:
    other = desk.pamm_account(desk.client("dora", "5000"), "500.00")
    desk.simulator.adjust_as_dealer(offer.account.login, "25.00")
    states = {rollover.account_id: rollover.state for rollover in desk.roll(offer.account, other)}
    assert states == {offer.account_id: Rollover.State.HELD, other.pk: Rollover.State.COMPLETED}


def test_trading_server_that_is_down_postpones_and_nothing_is_lost(
    desk: Desk, bob: PersonalAccount, offer: Offer
) -> None:
    investment = desk.invest(bob, offer, "500.00")
    desk.simulator.kill()
    (rollover,) = desk.roll(offer.account)
    assert (rollover.state, rollover.reason_code) == (Rollover.State.WAITING, "trading_server_unavailable")
    desk.simulator.start()
    desk.expire_answers()
    roll_over([rollover.pk])
    rollover.refresh_from_db()
    assert rollover.state == Rollover.State.COMPLETED
    assert deposit_of(investment).state == Request.State.EXECUTED
    assert_books_agree(desk, offer.account)


def test_position_without_a_live_price_lets_nothing_move(
    desk: Desk, bob: PersonalAccount, offer: Offer
) -> None:
    account = offer.account
    investment = desk.invest(bob, offer, "500.00")
    desk.hold(account, Decimal("10.00"))
    desk.age_ticks(seconds=4000)
    (rollover,) = desk.roll(account)
    request = deposit_of(investment)
    assert rollover.price_point.moves_money is False
    assert (request.state, request.reason_code) == (Request.State.COLLECTING, "no_live_price")
    desk.flatten(account)
    desk.roll(account)
    request.refresh_from_db()
    assert request.state == Request.State.EXECUTED
