"""Trading intervals: when the performance fee is crystallised.

Ends are counted from an anchor, never from the previous end or the rollover that found it due, so they do not
drift: 31 January plus one month is the last of February, plus two is 31 March. *own*: anchored on the moment
the investment began, at the same local time of day. *calendar*: on the broker's local midnights, Mondays and
firsts of the month; N of them are counted on one grid for everybody (three months are the calendar's
quarters). A local time that a clock change leaves out counts as the moment it was jumped to; one that happens
twice, as the first.

Moments are aware datetimes; what comes back is UTC. An interval of rollovers has no date:
`rollovers_are_over` counts instead.
"""

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Literal

IntervalUnit = Literal["rollovers", "days", "weeks", "months"]
IntervalAnchor = Literal["calendar", "own"]

_UNITS = ("rollovers", "days", "weeks", "months")
_ANCHORS = ("calendar", "own")


@dataclass(frozen=True, slots=True)
class TradingInterval:
    """`count` units long.

    For rollovers the anchor has no meaning: they are counted from the interval's start.
    """

    unit: IntervalUnit
    count: int
    anchor: IntervalAnchor = "calendar"

    def __post_init__(self) -> None:
        if self.unit not in _UNITS or self.anchor not in _ANCHORS:
            raise ValueError(f"no such trading interval: {self.unit}, {self.anchor}")
        if self.count < 1:
            raise ValueError("a trading interval is at least one unit long")


def end_number(interval: TradingInterval, anchor_at: datetime, number: int, zone: tzinfo) -> datetime | None:
    """The `number`-th end (from 1) after the anchor, UTC; None for an interval of rollovers."""
    if interval.unit == "rollovers":
        return None
    local = anchor_at.astimezone(zone)
    if interval.anchor == "own":
        return _utc(_plus(local.date(), interval, number), local.time(), zone)
    return _utc(_grid_date(interval, _grid_number(interval, local.date()) + number), time(), zone)


def begins_at(interval: TradingInterval, moment: datetime, zone: tzinfo) -> datetime:
    """When the interval began that `moment` lies in, UTC, for whoever joins then: on the calendar its first
    local midnight, otherwise the moment itself.
    """
    if interval.unit == "rollovers" or interval.anchor == "own":
        return moment.astimezone(UTC)
    day = moment.astimezone(zone).date()
    return _utc(_grid_date(interval, _grid_number(interval, day)), time(), zone)


def ends_at(interval: TradingInterval, starts_at: datetime, zone: tzinfo) -> datetime | None:
    """End of the interval that starts an investment then, UTC; None for an interval of rollovers."""
    return end_number(interval, starts_at, 1, zone)


def advance(
    interval: TradingInterval, anchor_at: datetime, now: datetime, zone: tzinfo
) -> tuple[int, datetime | None]:
    """How many ends lie at or before `now`, and the first one after it.

    Whoever finds that the number grew crystallises once, by however many it grew. (0, None) for an interval
    of rollovers.
    """
    number = _estimate(interval, anchor_at, now, zone)
    while number > 0 and _is_after(end_number(interval, anchor_at, number, zone), now):
        number -= 1
    upcoming = end_number(interval, anchor_at, number + 1, zone)
    while upcoming is not None and upcoming <= now:
        number += 1
        upcoming = end_number(interval, anchor_at, number + 1, zone)
    return number, upcoming


def next_end(
    interval: TradingInterval, anchor_at: datetime, after: datetime, zone: tzinfo
) -> datetime | None:
    """First end counted from the anchor that lies after `after`, UTC; None for an interval of rollovers."""
    return advance(interval, anchor_at, after, zone)[1]


def rollovers_are_over(interval: TradingInterval, rollovers_since_start: int) -> bool:
    """Whether an interval of rollovers ends with this one, the `rollovers_since_start`-th that moved money
    since it began.
    """
    return interval.unit == "rollovers" and rollovers_since_start >= interval.count


def _is_after(end: datetime | None, now: datetime) -> bool:
    return end is not None and end > now


def _utc(day: date, time_of_day: time, zone: tzinfo) -> datetime:
    return datetime.combine(day, time_of_day.replace(fold=0), tzinfo=zone).astimezone(UTC)


def _plus(day: date, interval: TradingInterval, number: int) -> date:
    steps = interval.count * number
    if interval.unit == "months":
        year, month_index = divmod(day.year * 12 + day.month - 1 + steps, 12)
        last = calendar.monthrange(year, month_index + 1)[1]
        return date(year, month_index + 1, min(day.day, last))
    return day + timedelta(days=steps * (7 if interval.unit == "weeks" else 1))


def _grid_number(interval: TradingInterval, day: date) -> int:
    """Number of the calendar interval that a local day lies in, counted from the year 0 (months) or Monday, 1
    January 0001.
    """
    if interval.unit == "months":
        return (day.year * 12 + day.month - 1) // interval.count
    days = interval.count * (7 if interval.unit == "weeks" else 1)
    return (day.toordinal() - 1) // days


def _grid_date(interval: TradingInterval, number: int) -> date:
    """First local day of a calendar interval."""
    if interval.unit == "months":
        year, month_index = divmod(number * interval.count, 12)
        return date(year, month_index + 1, 1)
    days = interval.count * (7 if interval.unit == "weeks" else 1)
    return date.fromordinal(number * days + 1)


def _estimate(interval: TradingInterval, anchor_at: datetime, now: datetime, zone: tzinfo) -> int:
    """About how many ends have passed; `advance` corrects it by one or two."""
    if interval.unit == "rollovers" or now <= anchor_at:
        return 0
    begin, today = anchor_at.astimezone(zone).date(), now.astimezone(zone).date()
    if interval.unit == "months":
        passed = (today.year - begin.year) * 12 + today.month - begin.month
    else:
        passed = (today - begin).days // (7 if interval.unit == "weeks" else 1)
    return passed // interval.count
