"""When money moves next, for pages that say what happens to a request."""

from datetime import datetime

from rollover.models import Schedule


def next_rollover_at() -> datetime | None:
    """The next scheduled rollover of the broker's accounts; None while the schedule is off."""
    moment: datetime | None = (
        Schedule.objects.filter(is_active=True).values_list("next_at", flat=True).first()
    )
    return moment
