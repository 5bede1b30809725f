"""What pages say of the next rollover: never a moment that has passed."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from investing.web.schedule import next_rollover_at
from rollover.models import Schedule
from tests.worlds import AliceBobCharlie

NOW = datetime(2026, 3, 2, 9, 40, tzinfo=UTC)


@pytest.mark.django_db
def test_next_rollover_is_the_one_of_the_schedule_and_now_where_that_is_overdue(
    world: AliceBobCharlie,
) -> None:
    schedule = Schedule.objects.create(every_minutes=60, next_at=NOW + timedelta(minutes=20))
    with time_machine.travel(NOW, tick=False):
        assert next_rollover_at() == NOW + timedelta(minutes=20)
        Schedule.objects.filter(pk=schedule.pk).update(next_at=NOW - timedelta(minutes=39))
        assert next_rollover_at() == NOW
        Schedule.objects.filter(pk=schedule.pk).update(is_active=False)
        assert next_rollover_at() is None
