"""Between UTC and the server's clock, which counts its local wall time as seconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1)


def to_server_seconds(at: datetime, zone: ZoneInfo) -> int:
    """The server's epoch second in which the aware instant `at` falls."""
    if at.tzinfo is None:
        raise ValueError("a naive datetime has no place on a server's clock")
    return (at.astimezone(zone).replace(tzinfo=None) - _EPOCH) // timedelta(seconds=1)


def from_server_milliseconds(milliseconds: int, zone: ZoneInfo, *, near: datetime | None = None) -> datetime:
    """UTC instant of a server time. In the hour a clock change repeats: the one closer to `near`, else the
    earlier."""
    wall = _EPOCH + timedelta(milliseconds=milliseconds)
    first = wall.replace(tzinfo=zone).astimezone(UTC)
    if near is None:
        return first
    second = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return min(first, second, key=lambda instant: abs(instant - near))


def server_window(since: datetime, until: datetime, zone: ZoneInfo) -> tuple[int, int]:
    """Server seconds that surely hold everything from `since` to `until`, also across a clock change."""
    offsets = [since.astimezone(zone).utcoffset(), until.astimezone(zone).utcoffset()]
    known = [offset for offset in offsets if offset is not None]
    start = since.astimezone(UTC).replace(tzinfo=None) + min(known) - _EPOCH
    end = until.astimezone(UTC).replace(tzinfo=None) + max(known) - _EPOCH
    return start // timedelta(seconds=1), end // timedelta(seconds=1)
