"""Who rolls over when: the broker's own schedule, by hand, once an hour, in anybody's hands."""

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import PammAccount
from allocation.models import Investment
from brokers.errors import NotAllowed
from investing import services as investing
from investing.models import Request
from rollover.errors import AccountNotRolling
from rollover.models import Rollover, Schedule
from rollover.services import dispatch_due_rollovers, order_rollover, roll_over, settle_open_transfers
from tests.circle.books import assert_books_agree
from tests.circle.world import Desk, terms


@pytest.fixture
def account(desk: Desk) -> PammAccount:
    return desk.pamm_account(desk.client("alice", "10000"), "1000.00")


def due(minutes_ago: int = 0, every: int = 60) -> Schedule:
    schedule: Schedule = Schedule.objects.create(
        every_minutes=every, next_at=timezone.now().replace(microsecond=0) - timedelta(minutes=minutes_ago)
    )
    return schedule


def test_due_hour_is_handed_out_once(account: PammAccount) -> None:
    due()
    slices = dispatch_due_rollovers()
    assert slices == [[Rollover.objects.get().pk]]
    assert dispatch_due_rollovers() == []


def test_missed_hours_are_not_replayed(account: PammAccount) -> None:
    schedule = due(minutes_ago=185)
    dispatch_due_rollovers()
    rollover = Rollover.objects.get()
    assert rollover.scheduled_for == schedule.next_at + timedelta(hours=3)
    schedule.refresh_from_db()
    assert schedule.next_at == rollover.scheduled_for + timedelta(hours=1)


def test_hour_not_due_yet_hands_out_nothing(account: PammAccount) -> None:
    due(minutes_ago=-5)
    assert dispatch_due_rollovers() == []


def test_two_beats_at_once_write_one_rollover_down(account: PammAccount) -> None:
    due()

    def tick() -> list[list[int]]:
        try:
            return dispatch_due_rollovers()
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(copy_context().run, tick) for _ in range(8)]
        handed = [slice_ for answer in answers for slice_ in answer.result()]
    assert Rollover.objects.count() == 1
    assert handed == [[Rollover.objects.get().pk]]


def test_message_delivered_eight_times_at_once_rolls_over_once(account: PammAccount) -> None:
    due()
    ((rollover_id,),) = dispatch_due_rollovers()

    def work() -> None:
        try:
            roll_over([rollover_id])
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        for answer in [pool.submit(copy_context().run, work) for _ in range(8)]:
            answer.result()
    rollover = Rollover.objects.get()
    assert (rollover.state, rollover.attempts) == (Rollover.State.COMPLETED, 1)
    account.refresh_from_db()
    assert account.sequence == 1


def test_accounts_are_handed_out_in_slices(desk: Desk, account: PammAccount, settings: Any) -> None:
    settings.ROLLOVER_SLICE_SIZE = 2
    for name in ("bea", "cid"):
        desk.pamm_account(desk.client(name, "1000"), "500.00")
    due()
    assert [len(slice_) for slice_ in dispatch_due_rollovers()] == [2, 1]


def test_held_account_takes_part_in_no_rollover(desk: Desk, account: PammAccount) -> None:
    PammAccount.objects.update(is_held=True)
    due()
    assert dispatch_due_rollovers() == []
    with pytest.raises(AccountNotRolling):
        desk.roll(account)


def test_claim_of_a_dead_worker_is_taken_over_when_its_lease_ends(account: PammAccount) -> None:
    due()
    ((rollover_id,),) = dispatch_due_rollovers()
    Rollover.objects.update(
        state=Rollover.State.RUNNING, lease_holder="dead", lease_until=timezone.now() + timedelta(seconds=60)
    )
    roll_over([rollover_id])
    assert Rollover.objects.get().state == Rollover.State.RUNNING
    Rollover.objects.update(lease_until=timezone.now() - timedelta(seconds=1), dispatched_at=None)
    assert dispatch_due_rollovers() == [[rollover_id]]
    roll_over([rollover_id])
    assert Rollover.objects.get().state == Rollover.State.COMPLETED


def test_rollover_by_hand_executes_what_was_confirmed_before_it(desk: Desk, account: PammAccount) -> None:
    offer = desk.offer(account, terms((None, "0.20")))
    early = desk.invest(desk.client("bob", "1000"), offer, "500.00")
    ordered = order_rollover(accounts=[PammAccount.objects.get(pk=account.pk)], by=desk.dealer)
    late = desk.invest(desk.client("carol", "1000"), offer, "500.00")
    roll_over([rollover.pk for rollover in ordered])
    assert Request.objects.get(investment=early).state == Request.State.EXECUTED
    assert Request.objects.get(investment=late).state == Request.State.CONFIRMED


def test_rollover_by_hand_is_for_dealers_and_administrators(account: PammAccount) -> None:
    with pytest.raises(NotAllowed):
        order_rollover(accounts=[account], by=account.manager.user)


def test_request_nobody_approves_expires(desk: Desk, account: PammAccount) -> None:
    offer = desk.offer(account, terms((None, "0.20")))
    bob = desk.client("bob", "1000")
    request = investing.request_first_deposit(
        owner=bob.user,
        offer=offer,
        terms=offer.terms.latest("version"),
        personal_account=bob,
        amount=offer.terms.latest("version").minimum_first,
        idempotency_key="once",
    )
    Request.objects.filter(pk=request.pk).update(expires_at=timezone.now())
    assert investing.expire_requests() == 1
    request.refresh_from_db()
    assert (request.state, request.investment.state) == (Request.State.EXPIRED, Investment.State.CANCELLED)


def test_accounts_of_one_manager_roll_over_side_by_side(desk: Desk) -> None:
    """Six workers pay fees into one personal account at once: one operation at a time on it, none lost."""
    alice, bob = desk.client("alice", "20000"), desk.client("bob", "20000")
    accounts, investments = [], []
    for number in range(6):
        pool = desk.pamm_account(alice, "500.00", name=f"Pool {number}")
        accounts.append(pool)
        investments.append(desk.invest(bob, desk.offer(pool, terms((None, "0.20"))), "1000.00"))
    desk.roll(*accounts)
    for pool, investment in zip(accounts, investments, strict=True):
        investment.refresh_from_db()
        desk.bring_price_to(pool, Decimal("1.10"))
        desk.withdraw(investment, "100.00")
    ordered = order_rollover(accounts=PammAccount.objects.all(), by=desk.dealer)

    def work(rollover_id: int) -> None:
        try:
            roll_over([rollover_id])
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as workers:
        for answer in [workers.submit(copy_context().run, work, rollover.pk) for rollover in ordered]:
            answer.result()
    settle_open_transfers()
    states = Rollover.objects.filter(pk__in=[rollover.pk for rollover in ordered]).values_list(
        "state", flat=True
    )
    assert set(states) == {Rollover.State.COMPLETED}
    assert desk.balance(alice.login) == Decimal("17000.00") + 6 * Decimal("20.00")
    assert desk.balance(bob.login) == Decimal("14000.00") + 6 * Decimal("100.00")
    for pool in accounts:
        assert_books_agree(desk, pool)
