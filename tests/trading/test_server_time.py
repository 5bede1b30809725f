"""The server counts local wall time; the interface speaks UTC."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.simulator import SimulatorProcess
from trading.mt5.times import from_server_milliseconds, server_window, to_server_seconds
from trading.simulator.clock import server_milliseconds, zone_named

ATHENS = ZoneInfo("Europe/Athens")
# clocks went back from 04:00 to 03:00 at 01:00 UTC
BACK = datetime(2026, 10, 25, 1, 0, tzinfo=UTC)
# and forward from 03:00 to 04:00 at 01:00 UTC
FORWARD = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 31)).map(
    lambda naive: naive.replace(microsecond=0, tzinfo=UTC)
)


@pytest.mark.parametrize(
    ("at", "hours"),
    [
        (datetime(2026, 7, 1, tzinfo=UTC), 3),
        (datetime(2026, 12, 1, tzinfo=UTC), 2),
        (FORWARD - timedelta(seconds=1), 2),
        (FORWARD, 3),
        (BACK - timedelta(seconds=1), 3),
        (BACK, 2),
    ],
)
def test_server_seconds_are_utc_plus_the_offset_of_that_day(at: datetime, hours: float) -> None:
    assert to_server_seconds(at, ATHENS) == int(at.timestamp()) + hours * 3600
    assert server_milliseconds(at, ATHENS) == to_server_seconds(at, ATHENS) * 1000


@given(MOMENTS)
def test_server_time_comes_back_as_the_same_instant(at: datetime) -> None:
    seconds = to_server_seconds(at, ATHENS)
    back = from_server_milliseconds(seconds * 1000, ATHENS)
    repeated = timedelta(hours=-1) <= at - BACK.replace(year=at.year) < timedelta(days=8)
    assert back == at or (repeated and at - back == timedelta(hours=1))


def test_repeated_hour_is_the_one_nearer_to_a_known_time() -> None:
    first, second = BACK - timedelta(minutes=30), BACK + timedelta(minutes=30)
    milliseconds = to_server_seconds(first, ATHENS) * 1000
    assert milliseconds == to_server_seconds(second, ATHENS) * 1000
    assert from_server_milliseconds(milliseconds, ATHENS) == first
    assert from_server_milliseconds(milliseconds, ATHENS, near=second + timedelta(seconds=2)) == second
    assert from_server_milliseconds(milliseconds, ATHENS, near=first + timedelta(seconds=2)) == first


@given(
    st.sampled_from([BACK, FORWARD]),
    *(st.integers(-3 * 3600, 3 * 3600) for _ in range(3)),
)
def test_window_holds_every_deal_between_its_ends_across_a_clock_change(
    change: datetime, first: int, middle: int, last: int
) -> None:
    since, at, until = (change + timedelta(seconds=seconds) for seconds in sorted((first, middle, last)))
    start, end = server_window(since, until, ATHENS)
    assert start <= to_server_seconds(at, ATHENS) <= end


def test_window_in_ordinary_times_is_exact() -> None:
    since = datetime(2026, 7, 1, tzinfo=UTC)
    until = since + timedelta(hours=1)
    start, end = server_window(since, until, ATHENS)
    assert (start, end) == (to_server_seconds(since, ATHENS), to_server_seconds(until, ATHENS))


def test_naive_times_are_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        to_server_seconds(datetime(2026, 1, 1), ATHENS)


@pytest.mark.parametrize(("name", "hours"), [("UTC+3", 3.0), ("UTC-5", -5.0), ("UTC+05:30", 5.5)])
def test_fixed_zone_is_understood(name: str, hours: float) -> None:
    at = datetime(2026, 7, 1, tzinfo=UTC)
    assert at.astimezone(zone_named(name)).utcoffset() == timedelta(hours=hours)


def test_deal_carries_both_clocks(tmp_path: Path) -> None:
    process = SimulatorProcess(tmp_path, timezone="Asia/Tokyo").start()
    try:
        gateway, started = process.gateway(), datetime.now(UTC)
        login = process.add_account(amount="1.00")
        server_time = gateway.server_time()
        assert abs(server_time.at - started) < timedelta(seconds=10)
        assert server_time.server_seconds == int(server_time.at.timestamp()) + 9 * 3600
        (deal,) = gateway.deals([login], started, datetime.now(UTC))[login]
        assert started - timedelta(seconds=1) < deal.at < started + timedelta(seconds=10)
        assert deal.server_seconds == int(deal.at.timestamp()) + 9 * 3600
        day = timedelta(days=1)
        assert gateway.deals([login], started - day, started - timedelta(seconds=2))[login] == ()
        assert process.ask("time/get").record().integer("TimeZone") == 540
        gateway.close()
    finally:
        process.stop()
