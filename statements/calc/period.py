"""Periods of statements: whole days of a time zone, the end not included.

Neighbouring periods share the instant between them, so no moment falls into two statements or into none,
whatever the clocks do that night. A midnight that the clocks skip is the instant of the change; of one that
comes twice the first counts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum

ONE_DAY = timedelta(days=1)
EARLIEST, LATEST = date(1970, 1, 2), date(9999, 12, 30)
"""Beyond them a midnight is no instant of every time zone."""


class Preset(StrEnum):
    """Periods that a page offers by name."""

    THIS_MONTH = "this-month"
    LAST_MONTH = "last-month"
    QUARTER = "quarter"
    YEAR = "year"
    LAST_YEAR = "last-year"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Period:
    """From the midnight that begins `first_day` to the one that begins `end_day`, which is not part of it."""

    first_day: date
    end_day: date
    zone: tzinfo

    def __post_init__(self) -> None:
        if not EARLIEST <= self.first_day < self.end_day <= LATEST:
            raise ValueError(f"no period from {self.first_day} to {self.end_day}")

    @property
    def starts_at(self) -> datetime:
        return midnight(self.first_day, self.zone)

    @property
    def ends_at(self) -> datetime:
        return midnight(self.end_day, self.zone)

    @property
    def last_day(self) -> date:
        """The last day that is part of it, as people write periods."""
        return self.end_day - ONE_DAY

    @property
    def days(self) -> int:
        return (self.end_day - self.first_day).days


def midnight(day: date, zone: tzinfo) -> datetime:
    """The instant at which a day of the zone begins, in UTC."""
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def preset_period(preset: Preset, *, today: date, since: date, zone: tzinfo) -> Period:
    """The period that a name stands for on the day `today`; `ALL` begins with `since`; what goes on
    today ends with today.
    """
    first, end = _BOUNDS[preset](today, since)
    return Period(max(min(first, end - ONE_DAY), EARLIEST), end, zone)


def month_start(day: date) -> date:
    return day.replace(day=1)


def _last_month(today: date, since: date) -> tuple[date, date]:
    end = month_start(today)
    return month_start(end - ONE_DAY), end


def _quarter(today: date, since: date) -> tuple[date, date]:
    return date(today.year, today.month - (today.month - 1) % 3, 1), today + ONE_DAY


_BOUNDS: dict[Preset, Callable[[date, date], tuple[date, date]]] = {
    Preset.THIS_MONTH: lambda today, since: (month_start(today), today + ONE_DAY),
    Preset.LAST_MONTH: _last_month,
    Preset.QUARTER: _quarter,
    Preset.YEAR: lambda today, since: (date(today.year, 1, 1), today + ONE_DAY),
    Preset.LAST_YEAR: lambda today, since: (date(today.year - 1, 1, 1), date(today.year, 1, 1)),
    Preset.ALL: lambda today, since: (since, today + ONE_DAY),
}
