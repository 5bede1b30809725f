"""Trading intervals: ends counted from the anchor through month ends, leap years and clock changes."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dateutil.relativedelta import MO, relativedelta
from dateutil.tz import resolve_imaginary
from hypothesis import given
from hypothesis import strategies as st

from fees.calc.intervals import (
    IntervalUnit,
    TradingInterval,
    advance,
    begins_at,
    end_number,
    ends_at,
    next_end,
    rollovers_are_over,
)

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
CAIRO = ZoneInfo("Africa/Cairo")
ZONES = [ZoneInfo("UTC"), BERLIN, NEW_YORK, CAIRO, ZoneInfo("Asia/Shanghai"), ZoneInfo("Australia/Lord_Howe")]

moments = st.datetimes(datetime(2000, 1, 1), datetime(2045, 1, 1)).map(
    lambda moment: moment.replace(tzinfo=UTC)
)
dated = st.builds(
    TradingInterval,
    st.sampled_from(["days", "weeks", "months"]),
    st.integers(1, 14),
    st.sampled_from(["calendar", "own"]),
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(moment: datetime | None, zone: ZoneInfo) -> str:
    assert moment is not None
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M")


def test_own_months_from_the_31st_end_on_month_ends_and_return_to_the_31st() -> None:
    month = TradingInterval("months", 1, "own")
    anchor = utc("2027-01-31T10:00")
    found = [end_number(month, anchor, number, ZoneInfo("UTC")) for number in range(1, 6)]
    assert [local(end, ZoneInfo("UTC"))[:10] for end in found] == [
        "2027-02-28",
        "2027-03-31",
        "2027-04-30",
        "2027-05-31",
        "2027-06-30",
    ]


def test_own_year_from_29_february_ends_on_the_28th_until_the_next_leap_year() -> None:
    year = TradingInterval("months", 12, "own")
    anchor = utc("2028-02-29T00:00")
    found = [
        local(end_number(year, anchor, number, ZoneInfo("UTC")), ZoneInfo("UTC"))[:10]
        for number in (1, 2, 3, 4)
    ]
    assert found == ["2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]


def test_own_january_end_plus_one_month_in_a_leap_year_is_29_february() -> None:
    assert local(ends_at(TradingInterval("months", 1, "own"), utc("2028-01-31T12:00"), BERLIN), BERLIN) == (
        "2028-02-29 13:00"
    )


@pytest.mark.parametrize(
    ("zone", "anchor", "expected"),
    [
        (BERLIN, "2027-03-27T17:00", ["2027-03-28 18:00", "2027-03-29 18:00"]),
        (BERLIN, "2027-10-30T16:00", ["2027-10-31 18:00", "2027-11-01 18:00"]),
        (NEW_YORK, "2027-03-13T17:00", ["2027-03-14 12:00", "2027-03-15 12:00"]),
    ],
)
def test_own_days_across_a_clock_change_keep_the_local_time(
    zone: ZoneInfo, anchor: str, expected: list[str]
) -> None:
    day = TradingInterval("days", 1, "own")
    assert [local(end_number(day, utc(anchor), number, zone), zone) for number in (1, 2)] == expected


def test_own_local_time_left_out_by_the_clock_change_is_the_moment_jumped_to() -> None:
    day = TradingInterval("days", 1, "own")
    anchor = utc("2027-03-27T01:30")  # 02:30 in Berlin
    assert end_number(day, anchor, 1, BERLIN) == utc("2027-03-28T01:30")  # 03:30
    assert end_number(day, anchor, 2, BERLIN) == utc("2027-03-29T00:30")  # 02:30 again


def test_own_local_time_that_happens_twice_is_the_first() -> None:
    day = TradingInterval("days", 1, "own")
    assert end_number(day, utc("2027-10-30T00:30"), 1, BERLIN) == utc("2027-10-31T00:30")


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        (TradingInterval("days", 1), ["2027-05-20 00:00", "2027-05-21 00:00"]),
        (TradingInterval("weeks", 1), ["2027-05-24 00:00", "2027-05-31 00:00"]),
        (TradingInterval("months", 1), ["2027-06-01 00:00", "2027-07-01 00:00"]),
        (TradingInterval("months", 3), ["2027-07-01 00:00", "2027-10-01 00:00"]),
        (TradingInterval("months", 12), ["2028-01-01 00:00", "2029-01-01 00:00"]),
    ],
)
def test_calendar_ends_are_local_midnights_mondays_firsts_and_quarters(
    interval: TradingInterval, expected: list[str]
) -> None:
    joined = utc("2027-05-19T14:00")
    assert [local(end_number(interval, joined, number, BERLIN), BERLIN) for number in (1, 2)] == expected


def test_calendar_starting_exactly_at_an_end_lasts_to_the_next() -> None:
    first = utc("2027-05-31T22:00")  # midnight of 1 June in Berlin
    assert ends_at(TradingInterval("months", 1), first, BERLIN) == utc("2027-06-30T22:00")


def test_calendar_interval_began_at_the_grids_own_start_before_the_first_joins() -> None:
    month, quarter = TradingInterval("months", 1), TradingInterval("months", 3)
    late = utc("2026-06-30T09:00")
    assert begins_at(month, late, BERLIN) == utc("2026-05-31T22:00")
    assert begins_at(quarter, late, BERLIN) == utc("2026-03-31T22:00")
    assert begins_at(TradingInterval("weeks", 1), late, BERLIN) == utc("2026-06-28T22:00")


@pytest.mark.parametrize("interval", [TradingInterval("months", 1, "own"), TradingInterval("rollovers", 5)])
def test_interval_of_ones_own_begins_at_the_joining(interval: TradingInterval) -> None:
    assert begins_at(interval, utc("2026-06-30T09:00"), BERLIN) == utc("2026-06-30T09:00")


@given(dated, moments, st.sampled_from(ZONES))
def test_interval_begins_before_it_ends_and_lasts_from_end_to_end(
    interval: TradingInterval, moment: datetime, zone: ZoneInfo
) -> None:
    began, ends = begins_at(interval, moment, zone), ends_at(interval, moment, zone)
    assert ends is not None
    assert began <= moment < ends
    if interval.anchor == "calendar":
        assert ends_at(interval, began, zone) == ends


def test_calendar_midnight_left_out_by_the_clock_change_is_the_hour_after() -> None:
    end = ends_at(TradingInterval("days", 1), utc("2027-04-29T10:00"), CAIRO)
    assert local(end, CAIRO) == "2027-04-30 01:00"


def test_several_missed_ends_crystallise_once() -> None:
    month = TradingInterval("months", 1, "own")
    anchor = utc("2027-01-31T10:00")
    assert advance(month, anchor, utc("2027-02-28T09:59"), BERLIN) == (0, utc("2027-02-28T10:00"))
    assert advance(month, anchor, utc("2027-02-28T10:00"), BERLIN) == (1, utc("2027-03-31T09:00"))
    assert advance(month, anchor, utc("2027-06-15T00:00"), BERLIN) == (4, utc("2027-06-30T09:00"))


def test_interval_shorter_than_the_time_between_rollovers_moves_on_by_all_that_passed() -> None:
    day = TradingInterval("days", 1, "own")
    number, upcoming = advance(day, utc("2027-01-01T12:00"), utc("2027-01-08T13:00"), ZoneInfo("UTC"))
    assert (number, upcoming) == (7, utc("2027-01-09T12:00"))


def test_interval_of_rollovers_has_no_date_and_ends_by_count() -> None:
    three = TradingInterval("rollovers", 3, "own")
    assert ends_at(three, utc("2027-01-01T12:00"), BERLIN) is None
    assert advance(three, utc("2027-01-01T12:00"), utc("2027-06-01T12:00"), BERLIN) == (0, None)
    assert [rollovers_are_over(three, count) for count in (1, 2, 3, 4)] == [False, False, True, True]
    assert not rollovers_are_over(TradingInterval("days", 1), 99)


@pytest.mark.parametrize(
    ("unit", "count", "anchor"), [("hours", 1, "own"), ("days", 0, "own"), ("days", 1, "moon")]
)
def test_trading_interval_that_does_not_exist_is_refused(unit: str, count: int, anchor: str) -> None:
    with pytest.raises(ValueError, match="trading interval"):
        TradingInterval(unit, count, anchor)  # type: ignore[arg-type]


@given(dated, moments, st.integers(1, 60), st.sampled_from(ZONES))
def test_interval_ends_never_drift_stepping_equals_counting(
    interval: TradingInterval, anchor: datetime, steps: int, zone: ZoneInfo
) -> None:
    end: datetime | None = anchor
    for number in range(1, steps + 1):
        assert end is not None
        following = next_end(interval, anchor, end, zone)
        assert following == end_number(interval, anchor, number, zone)
        assert following is not None
        assert following > end
        end = following


@given(dated, moments, st.timedeltas(timedelta(-10), timedelta(12_000)), st.sampled_from(ZONES))
def test_advance_present_moment_lies_before_the_next_end_and_not_before_the_last(
    interval: TradingInterval, anchor: datetime, passed: timedelta, zone: ZoneInfo
) -> None:
    now = anchor + passed
    number, upcoming = advance(interval, anchor, now, zone)
    assert number >= 0
    assert upcoming is not None
    assert upcoming > now
    assert upcoming == end_number(interval, anchor, number + 1, zone)
    if number:
        last = end_number(interval, anchor, number, zone)
        assert last is not None
        assert last <= now


# Against another implementation of the calendar


def by_dateutil(local: datetime, step: relativedelta, zone: ZoneInfo) -> datetime:
    """The step on the local clock face; where the clock jumps over it, the moment jumped to. UTC."""
    face = local.replace(tzinfo=None, fold=0) + step
    there: datetime = resolve_imaginary(face.replace(tzinfo=zone))
    return there.astimezone(UTC)


@pytest.mark.parametrize(
    ("zone", "anchor"),
    [
        (BERLIN, "2027-01-31T10:00"),
        (BERLIN, "2028-02-29T10:00"),
        (BERLIN, "2027-02-28T01:30"),  # 02:30: one month on is the day of the clock change in spring
        (BERLIN, "2027-09-30T00:30"),  # 02:30: one month and a day before the one in autumn
        (NEW_YORK, "2027-02-14T07:30"),  # 02:30
        (NEW_YORK, "2027-10-07T05:30"),  # 01:30, which happens twice on 7 November
        (CAIRO, "2027-03-29T22:00"),  # midnight, left out a month later
    ],
)
@pytest.mark.parametrize("unit", ["days", "weeks", "months"])
def test_own_ends_at_month_ends_leap_days_and_clock_changes_are_those_of_dateutil(
    zone: ZoneInfo, anchor: str, unit: IntervalUnit
) -> None:
    start = utc(anchor)
    for count in (1, 3):
        interval = TradingInterval(unit, count, "own")
        for number in range(1, 50):
            step = relativedelta(**{unit: count * number})
            expected = by_dateutil(start.astimezone(zone), step, zone)
            assert end_number(interval, start, number, zone) == expected


@given(dated, moments, st.integers(1, 60), st.sampled_from(ZONES))
def test_own_ends_are_those_of_dateutil(
    interval: TradingInterval, anchor: datetime, number: int, zone: ZoneInfo
) -> None:
    own = TradingInterval(interval.unit, interval.count, "own")
    step = relativedelta(**{own.unit: own.count * number})
    assert end_number(own, anchor, number, zone) == by_dateutil(anchor.astimezone(zone), step, zone)


@given(moments, st.sampled_from(ZONES))
def test_calendar_ends_are_those_of_dateutil(start: datetime, zone: ZoneInfo) -> None:
    local = start.astimezone(zone)
    midnight = {"hour": 0, "minute": 0, "second": 0, "microsecond": 0}
    steps: dict[tuple[IntervalUnit, int], relativedelta] = {
        ("days", 1): relativedelta(days=1, **midnight),
        ("weeks", 1): relativedelta(days=1, weekday=MO(1), **midnight),
        ("months", 1): relativedelta(months=1, day=1, **midnight),
        ("months", 3): relativedelta(months=3 - (local.month - 1) % 3, day=1, **midnight),
        ("months", 12): relativedelta(years=1, month=1, day=1, **midnight),
    }
    for (unit, count), step in steps.items():
        assert ends_at(TradingInterval(unit, count), start, zone) == by_dateutil(local, step, zone)


@pytest.mark.parametrize(("day", "hours"), [("2027-03-27T23:00", 23), ("2027-10-30T22:00", 25)])
def test_calendar_day_of_a_clock_change_lasts_as_long_as_it_does(day: str, hours: int) -> None:
    start = utc(day)  # midnight in Berlin
    assert ends_at(TradingInterval("days", 1), start, BERLIN) == start + timedelta(hours=hours)


def test_calendar_interval_shorter_than_the_time_between_rollovers_ends_once_at_each() -> None:
    day, joined = TradingInterval("days", 1), utc("2027-03-26T10:00")
    number, ends = 0, []
    for rollover in (utc("2027-03-29T06:00"), utc("2027-04-01T06:00")):
        passed, upcoming = advance(day, joined, rollover, BERLIN)
        assert passed > number
        number = passed
        ends.append((number, local(upcoming, BERLIN)))
    assert ends == [(3, "2027-03-30 00:00"), (6, "2027-04-02 00:00")]
