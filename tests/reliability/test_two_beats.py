"""Two beats and eight workers on the same hour: every account rolls over once, whatever the queue does, and
what a dead worker had in hand is finished by another.
"""

import time
from datetime import timedelta

import redis
from django.conf import settings
from django.utils import timezone

from accounts.models import PammAccount
from allocation.models import UnitEntry
from investing.models import Request
from rollover.models import Rollover, Schedule
from tests.circle.world import Desk
from tests.counts import cases
from tests.reliability.carrier import Carrier
from tests.reliability.fleet import Fleet, Member
from tests.reliability.pools import OWN_CAPITAL, differences, opened_accounts, price_points
from tests.reliability.settings import DELIVERED, PUBLISHED, UNHURRIED
from tests.reliability.waiting import until

BEATS, WORKERS, TIMES = 2, 8, 5
ACCOUNTS = cases(push=40, soak=200)
VERIFIED = cases(push=8, soak=ACCOUNTS)
SLICE_SIZE = 2
SLICE = "rollover.tasks.roll_over_task"
COPIES_SECONDS = 20.0
TAKEN_OVER_WITHIN = timedelta(seconds=20)
"""After the lease has ended: a beat's tick, workers that are busy with copies of ticks, a loaded machine."""


def test_two_beats_and_eight_workers_roll_each_account_over_once_though_all_is_published_five_times(
    desk: Desk, fleet: Fleet
) -> None:
    accounts = opened_accounts(desk, ACCOUNTS)
    hour = timezone.now()
    with Carrier(settings.REDIS_URL, lambda _: TIMES, seed=1) as carrier:
        workers = fleet.start_workers(WORKERS, **UNHURRIED)
        fleet.start_beats(BEATS, **UNHURRIED)
        Schedule.objects.create(every_minutes=60, next_at=hour)
        took = until(lambda: all_completed(ACCOUNTS), fleet)
        begun = time.monotonic()
        until(lambda: worked_off(workers, carrier, time.monotonic() - begun), fleet)
    fleet.kill_all()
    busy = [worker.times_done(SLICE) for worker in workers]
    print(
        f"{ACCOUNTS} accounts in {took:.1f} s; slices by worker {busy}; delivered {dict(carrier.delivered)}"
    )
    assert carrier.delivered[SLICE] == TIMES * carrier.published[SLICE] >= TIMES * ACCOUNTS / SLICE_SIZE
    assert all(busy)
    assert carrier.published[SLICE] < sum(busy) <= carrier.delivered[SLICE]
    assert fleet.errors() == []
    assert set(Rollover.objects.values_list("scheduled_for", "attempts")) == {(hour, 1)}
    assert_each_has_its_capital_once(desk, accounts)
    assert differences(accounts[:VERIFIED]) == []


def test_claim_of_a_killed_worker_is_taken_over_when_its_lease_ends(desk: Desk, fleet: Fleet) -> None:
    accounts = opened_accounts(desk, 6)
    desk.simulator.arm_fault("late", seconds=60)
    desk.simulator.calls(reset=True)
    with Carrier(settings.REDIS_URL, lambda _: TIMES, seed=2):
        (doomed,) = fleet.start_workers(1)
        fleet.start_beats(1)
        Schedule.objects.create(every_minutes=60, next_at=timezone.now())
        until(lambda: "trade/balance" in desk.simulator.calls(), fleet)
        doomed.kill()
        desk.simulator.clear_faults()
        left = Rollover.objects.filter(state=Rollover.State.RUNNING).latest("lease_until")
        assert left.lease_until is not None
        fleet.start_workers(2)
        while timezone.now() < left.lease_until:
            assert attempts_at(left) == 1
        until(lambda: attempts_at(left) == 2, fleet)
        late = timezone.now() - left.lease_until
        until(lambda: all_completed(len(accounts)), fleet)
    fleet.kill_all()
    print(f"taken over {late.total_seconds():.2f} s after the lease had ended")
    assert late <= TAKEN_OVER_WITHIN
    assert attempts_at(left) == 2
    assert_each_has_its_capital_once(desk, accounts)
    assert differences(accounts) == []


def worked_off(workers: list[Member], carrier: Carrier, seconds: float) -> bool:
    """Whether every copy of a slice is done; after a while, whether none is left in the queue.

    What a worker had in hand when its connection broke, as on a machine that stands still, the queue keeps
    to itself for an hour.
    """
    if sum(worker.times_done(SLICE) for worker in workers) == carrier.delivered[SLICE]:
        return True
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        return seconds > COPIES_SECONDS and client.llen(PUBLISHED) == client.llen(DELIVERED) == 0


def attempts_at(rollover: Rollover) -> int:
    """How often it was claimed."""
    attempts: int = Rollover.objects.values_list("attempts", flat=True).get(pk=rollover.pk)
    return attempts


def all_completed(count: int) -> bool:
    states = list(Rollover.objects.values_list("state", flat=True))
    return states == [Rollover.State.COMPLETED] * count


def assert_each_has_its_capital_once(desk: Desk, accounts: list[PammAccount]) -> None:
    executed = Request.objects.filter(state=Request.State.EXECUTED)
    assert UnitEntry.objects.count() == executed.count() == len(accounts)
    assert {desk.pool_balance(account) for account in accounts} == {OWN_CAPITAL}
    assert price_points(accounts) == [1] * len(accounts)
