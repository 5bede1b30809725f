"""Periods: whole days of a zone, end exclusive, whatever the clocks do."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statements.calc.period import EARLIEST, LATEST, ONE_DAY, Period, Preset, midnight, preset_period

BERLIN, SHANGHAI, CAIRO, NEW_YORK = (
    ZoneInfo(name) for name in ("Europe/Berlin", "Asia/Shanghai", "Africa/Cairo", "America/New_York")
)
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/Sao_Paulo",
    "Africa/Cairo",
    "Asia/Tehran",
    "Pacific/Apia",
    "Asia/Beirut",
)


@pytest.mark.parametrize(
    ("preset", "first", "last"),
    [
        (Preset.THIS_MONTH, date(2026, 11, 1), date(2026, 11, 20)),
        (Preset.LAST_MONTH, date(2026, 10, 1), date(2026, 10, 31)),
        (Preset.QUARTER, date(2026, 10, 1), date(2026, 11, 20)),
        (Preset.YEAR, date(2026, 1, 1), date(2026, 11, 20)),
        (Preset.LAST_YEAR, date(2025, 1, 1), date(2025, 12, 31)),
        (Preset.ALL, date(2024, 2, 29), date(2026, 11, 20)),
    ],
)
def test_preset_on_a_day_names_its_first_and_last_day(preset: Preset, first: date, last: date) -> None:
    period = preset_period(preset, today=date(2026, 11, 20), since=date(2024, 2, 29), zone=BERLIN)
    assert (period.first_day, period.last_day) == (first, last)


def test_last_month_in_january_is_december_of_the_year_before() -> None:
    period = preset_period(Preset.LAST_MONTH, today=date(2026, 1, 31), since=date(2026, 1, 1), zone=BERLIN)
    assert (period.first_day, period.end_day) == (date(2025, 12, 1), date(2026, 1, 1))


def test_everything_of_somebody_without_a_past_is_today() -> None:
    period = preset_period(Preset.ALL, today=date(2026, 1, 31), since=date(2026, 2, 5), zone=BERLIN)
    assert (period.first_day, period.days) == (date(2026, 1, 31), 1)


def test_month_with_a_change_of_the_clocks_is_an_hour_longer_or_shorter() -> None:
    def hours(first: date, end: date, zone: ZoneInfo) -> float:
        period = Period(first, end, zone)
        return (period.ends_at - period.starts_at) / timedelta(hours=1)

    assert hours(date(2026, 10, 1), date(2026, 11, 1), BERLIN) == 31 * 24 + 1
    assert hours(date(2026, 3, 1), date(2026, 4, 1), BERLIN) == 31 * 24 - 1
    assert hours(date(2026, 10, 1), date(2026, 11, 1), SHANGHAI) == 31 * 24
    assert hours(date(2026, 11, 1), date(2026, 11, 2), NEW_YORK) == 25


def test_midnight_that_the_clocks_skip_is_the_moment_of_the_change() -> None:
    # Egypt goes from 23:59:59 of Thursday to 01:00 of Friday, 24 April 2026.
    assert midnight(date(2026, 4, 24), CAIRO) == datetime(2026, 4, 23, 22, tzinfo=UTC)
    assert midnight(date(2026, 4, 25), CAIRO) == datetime(2026, 4, 24, 21, tzinfo=UTC)


def test_period_without_a_day_is_none() -> None:
    with pytest.raises(ValueError, match="no period"):
        Period(date(2026, 1, 2), date(2026, 1, 2), BERLIN)


@given(day=st.dates(EARLIEST, LATEST - 2 * ONE_DAY), zone=st.sampled_from(ZONES))
def test_neighbouring_days_share_the_instant_between_them(day: date, zone: str) -> None:
    where = ZoneInfo(zone)
    today, tomorrow = Period(day, day + ONE_DAY, where), Period(day + ONE_DAY, day + 2 * ONE_DAY, where)
    assert today.ends_at == tomorrow.starts_at
    assert today.starts_at <= today.ends_at
    # Apia left out 30 December 2011: that day has no instant at all.
    assert today.starts_at < today.ends_at or (zone, day) == ("Pacific/Apia", date(2011, 12, 30))
