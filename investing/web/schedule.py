"""When money moves next, for pages that say what happens to a request."""

from datetime import datetime

from django.utils import timezone

from rollover.models import Schedule


def next_rollover_at() -> datetime | None:
    """The next scheduled rollover of the broker's accounts; None while the schedule is off.

    One that is overdue begins as soon as it is noticed: now, not at the moment it was due.
    """
    moment: datetime | None = (
        Schedule.objects.filter(is_active=True).values_list("next_at", flat=True).first()
    )
    return None if moment is None else max(moment, timezone.now())
