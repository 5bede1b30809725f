"""Who lost a rollover to another worker touches it no more, whatever it was about to do."""

import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from django.utils import timezone

from rollover.models import Rollover
from rollover.services.claims import ClaimLost, claim, locked, postpone, renew
from tests.worlds import AliceBobCharlie

SLEEPER, OTHER = uuid.UUID(int=1), uuid.UUID(int=2)


@pytest.fixture
def taken_over(world: AliceBobCharlie) -> list[Rollover]:
    """A rollover as the sleeper has it in hand, whose lease ended and which another worker has claimed."""
    now = timezone.now()
    row = Rollover.objects.create(account=world.pool.account, scheduled_for=now, ordered_at=now)
    in_hand = claim([row.pk], SLEEPER)
    Rollover.objects.filter(pk=row.pk).update(lease_until=now - timedelta(seconds=1))
    assert claim([row.pk], OTHER)
    return in_hand


@pytest.mark.parametrize("touch", [locked, renew])
def test_rollover_that_another_worker_has_is_neither_locked_nor_kept(
    taken_over: list[Rollover], touch: Callable[[Sequence[Rollover], uuid.UUID], object]
) -> None:
    with pytest.raises(ClaimLost):
        touch(taken_over, SLEEPER)
    touch(taken_over, OTHER)


def test_rollover_that_another_worker_has_is_not_given_back(taken_over: list[Rollover]) -> None:
    postpone(taken_over, SLEEPER, reason_code="trading_server_unavailable")
    row = Rollover.objects.get(pk=taken_over[0].pk)
    assert (row.state, row.lease_holder, row.reason_code) == (Rollover.State.RUNNING, str(OTHER), "")
