"""Closing an account in order, and closing positions in proportion to what leaves."""

from decimal import Decimal

import pytest

from accounts.models import PammAccount, PersonalAccount
from allocation.models import Investment
from brokers.errors import NotAllowed
from fees.models import Charge
from investing.errors import AccountNotActive, OfferNotOpen, ReasonMissing
from investing.models import Request
from investing.services import order_closing, set_margin_policy
from offers.models import Offer
from rollover.verification import verify_account, verify_ledger
from tests.circle.books import assert_books_agree
from tests.circle.world import Desk, login_of, terms
from trading.models import Order


@pytest.fixture
def bob(desk: Desk) -> PersonalAccount:
    return desk.client("bob", "2000")


@pytest.fixture
def offer(desk: Desk) -> Offer:
    account = desk.pamm_account(desk.client("alice", "10000"), "1000.00")
    return desk.offer(account, terms((None, "0.20"), interval_unit="months"))


@pytest.fixture
def pool(desk: Desk, bob: PersonalAccount, offer: Offer) -> PammAccount:
    """2,000.00 at price 1: half of it Alice's own, half Bob's."""
    desk.invest(bob, offer, "1000.00")
    desk.roll(offer.account)
    account: PammAccount = PammAccount.objects.select_related("manager__user").get(pk=offer.account_id)
    return account


def close_in_proportion(pool: PammAccount) -> None:
    policy = PammAccount.MarginPolicy.CLOSE_IN_PROPORTION
    set_margin_policy(account=pool, policy=policy, by=pool.manager.user)


def closing(desk: Desk, pool: PammAccount) -> PammAccount:
    return order_closing(account=pool, by=desk.dealer, note="The manager retires")


def states(pool: PammAccount) -> set[tuple[str, str]]:
    return set(Investment.objects.filter(account=pool).values_list("state", "end_reason"))


def test_closing_closes_positions_pays_everybody_without_exit_fee_and_archives(
    desk: Desk, bob: PersonalAccount, pool: PammAccount
) -> None:
    carol = desk.client("carol", "1000")
    locked_in = terms(
        (None, "0.10"), interval_unit="months", lock_in_days=90, early_exit_rate=Decimal("0.10")
    )
    desk.invest(carol, desk.offer(pool, locked_in, name="Locked in"), "1000.00")
    desk.roll(pool)
    desk.hold(pool, Decimal("300.00"))
    closing(desk, pool)
    desk.roll(pool)
    pool.refresh_from_db()
    assert pool.state == PammAccount.State.CLOSED
    assert desk.pool_balance(pool) == 0
    assert Order.objects.get().state == Order.State.FILLED
    assert states(pool) == {(Investment.State.CLOSED, Investment.EndReason.ACCOUNT)}
    record = desk.gateway.account(login_of(pool))
    assert record is not None
    assert not record.may_trade
    # Everybody gains 100.00: Bob pays 20 % of it, Carol 10 % and nothing for leaving early.
    assert (desk.balance(bob.login), desk.balance(carol.login)) == (Decimal("2080.00"), Decimal("1090.00"))
    assert not Charge.objects.filter(kind=Charge.Kind.EARLY_EXIT).exists()
    assert not Offer.objects.exclude(state=Offer.State.CLOSED).exists()
    assert_books_agree(desk, pool)
    assert [str(found) for found in (*verify_account(pool.pk).differences, *verify_ledger())] == []


def test_closing_sends_deposits_back_and_takes_no_more(
    desk: Desk, bob: PersonalAccount, offer: Offer, pool: PammAccount
) -> None:
    carol = desk.client("carol", "500")
    waiting = desk.invest(carol, offer, "300.00")
    closing(desk, pool)
    assert Request.objects.get(investment=waiting).state == Request.State.CANCELLED
    with pytest.raises(OfferNotOpen):
        desk.add_money(Investment.objects.get(account=pool, owner=bob.user), "100.00")
    desk.roll(pool)
    assert desk.balance(carol.login) == Decimal("500.00")


def test_account_whose_positions_cannot_be_closed_yet_goes_on_closing(desk: Desk, pool: PammAccount) -> None:
    desk.hold(pool, Decimal("50.00"))
    desk.age_ticks(seconds=4000)
    closing(desk, pool)
    desk.roll(pool)
    pool.refresh_from_db()
    assert pool.state == PammAccount.State.CLOSING
    desk.age_ticks(seconds=0)
    desk.roll(pool)
    pool.refresh_from_db()
    assert pool.state == PammAccount.State.CLOSED


def test_closing_is_ordered_by_manager_or_staff_with_a_reason(
    desk: Desk, bob: PersonalAccount, pool: PammAccount
) -> None:
    with pytest.raises(NotAllowed):
        order_closing(account=pool, by=bob.user, note="mine")
    with pytest.raises(ReasonMissing):
        order_closing(account=pool, by=desk.dealer, note=" ")
    order_closing(account=pool, by=pool.manager.user, note="I retire")
    with pytest.raises(AccountNotActive):
        closing(desk, pool)


def test_withdrawal_closes_positions_in_proportion_where_the_account_says_so(
    desk: Desk, bob: PersonalAccount, pool: PammAccount
) -> None:
    close_in_proportion(pool)
    desk.bind_margin(pool)
    held = sum(row.volume for row in desk.gateway.positions([login_of(pool)])[login_of(pool)])
    desk.withdraw(Investment.objects.get(account=pool, owner=bob.user), "500.00")
    desk.roll(pool)
    left = sum(row.volume for row in desk.gateway.positions([login_of(pool)])[login_of(pool)])
    # 500.00 of 2,000.00 leave: a quarter of the 39.7 lots, rounded up to the symbol's step.
    assert (desk.balance(bob.login), held, left) == (Decimal("1500.00"), Decimal("39.7"), Decimal("29.7"))
    assert_books_agree(desk, pool)


def test_withdrawal_waits_where_the_account_keeps_its_positions(
    desk: Desk, bob: PersonalAccount, pool: PammAccount
) -> None:
    desk.bind_margin(pool)
    request = desk.withdraw(Investment.objects.get(account=pool, owner=bob.user), "500.00")
    desk.roll(pool)
    request.refresh_from_db()
    assert (request.state, request.reason_code) == (Request.State.CONFIRMED, "free_margin")
    assert not Order.objects.exists()


def test_order_whose_answer_is_lost_is_looked_up_and_never_sent_twice(
    desk: Desk, bob: PersonalAccount, pool: PammAccount
) -> None:
    close_in_proportion(pool)
    desk.bind_margin(pool)
    desk.withdraw(Investment.objects.get(account=pool, owner=bob.user), "500.00")
    desk.simulator.arm_fault("drop_after", command="dealer/send_request")
    desk.roll(pool)
    desk.roll(pool)
    orders = list(Order.objects.values_list("state", "attempts"))
    assert (Order.State.FILLED, 1) in orders
    assert desk.balance(bob.login) == Decimal("1500.00")
    assert_books_agree(desk, pool)
