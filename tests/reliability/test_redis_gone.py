"""Redis killed, emptied, slow or silent: nothing confirmed is lost, and everything goes on by itself."""

import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.utils import timezone

from allocation.models import Investment, UnitEntry
from investing.models import Request
from rollover.models import Rollover, Schedule
from tests.circle.world import Desk
from tests.counts import cases
from tests.reliability.fleet import Fleet
from tests.reliability.pools import differences, opened_accounts
from tests.reliability.settings import PUBLISHED, SHORT_QUEUE_TIMEOUT
from tests.reliability.stand_in import RedisOnAWire, redis_on_a_wire
from tests.reliability.waiting import until

POOLS = 4
WORKERS = 2
ROUNDS = cases(push=1, soak=25)
FAULT_SECONDS = 1.0
DELAY_SECONDS = 60.0
"""The longest a rollover may be late after Redis is back, with the waits of `tests.reliability.settings`, on
a busy machine."""


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[RedisOnAWire]:
    with redis_on_a_wire(tmp_path / "redis") as opened:
        yield opened


def killed(wire: RedisOnAWire) -> None:
    wire.kill()
    time.sleep(FAULT_SECONDS)
    wire.start()


def emptied(wire: RedisOnAWire) -> None:
    until_then = time.monotonic() + FAULT_SECONDS
    while time.monotonic() < until_then:
        wire.empty()
        time.sleep(0.02)


def slow(wire: RedisOnAWire) -> None:
    wire.delay = 0.2
    time.sleep(2 * FAULT_SECONDS)
    wire.recover()


def silent(wire: RedisOnAWire) -> None:
    wire.fall_silent()
    time.sleep(FAULT_SECONDS)
    wire.recover()


def long_silent(wire: RedisOnAWire) -> None:
    """Longer than anything is tried again: acknowledgements fail."""
    wire.fall_silent()
    time.sleep(8 * FAULT_SECONDS)
    wire.recover()


def afterwards(wire: RedisOnAWire) -> None:
    """Nothing: what the fault before left behind."""


def at_once() -> bool:
    """Before the rollovers of the hour are written down."""
    return True


def handed_out() -> bool:
    return Rollover.objects.filter(state__in=Rollover.OPEN_STATES, dispatched_at__isnull=False).exists()


def at_work() -> bool:
    working = (Rollover.State.RUNNING, Rollover.State.SETTLING)
    return Rollover.objects.filter(state__in=working).exists()


FAULTS = [killed, emptied, slow, silent]
MOMENTS = [at_once, handed_out, at_work]
CASES = [*itertools.product(FAULTS, MOMENTS), (long_silent, at_work), (afterwards, at_once)]


def test_no_confirmed_request_is_lost_when_redis_is_killed_emptied_slow_or_silent(
    desk: Desk, fleet: Fleet, wire: RedisOnAWire
) -> None:
    accounts = opened_accounts(desk, POOLS)
    desk.roll(*accounts)
    address = {"REDIS_URL": wire.url} | SHORT_QUEUE_TIMEOUT
    fleet.start_workers(WORKERS, queue=PUBLISHED, **address)
    fleet.start_beats(1, **address)
    delays: defaultdict[str, list[float]] = defaultdict(list)
    for fault, moment in CASES * ROUNDS:
        delays[fault.__name__].append(late_after(fault, moment, desk, fleet, wire))
    print({name: f"{len(found)} times, at most {max(found):.1f} s late" for name, found in delays.items()})
    assert max(itertools.chain(*delays.values())) <= DELAY_SECONDS
    assert [member.name for member in fleet.members if member.process.poll() is not None] == []
    assert differences(accounts) == []


def late_after(
    fault: Callable[[RedisOnAWire], None],
    moment: Callable[[], bool],
    desk: Desk,
    fleet: Fleet,
    wire: RedisOnAWire,
) -> float:
    """Seconds from the end of the fault to the end of the hour's last rollover."""
    asked = [
        desk.withdraw(investment, "0.01")
        for investment in Investment.objects.select_related("account", "owner", "personal_account")
    ]
    Schedule.objects.update_or_create(defaults={"every_minutes": 60, "next_at": timezone.now()})
    give_up = time.monotonic() + 2
    while not moment() and not executed(asked) and time.monotonic() < give_up:
        time.sleep(0.002)
    fault(wire)
    late = until(lambda: executed(asked) and not handed_out(), fleet)
    assert [UnitEntry.objects.filter(source=request.public_id).count() for request in asked] == [1] * POOLS
    return late


def executed(requests: list[Request]) -> bool:
    keys = [request.pk for request in requests]
    return not Request.objects.filter(pk__in=keys).exclude(state=Request.State.EXECUTED).exists()
