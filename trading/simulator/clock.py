"""The server's clock: local wall time counted as seconds since 1970, as MT5 does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1)


def zone_named(name: str) -> tzinfo:
    """A zone by its IANA name, or a fixed one written as `UTC+2`, `UTC-5`, `UTC+05:30`."""
    if name.startswith(("UTC+", "UTC-")):
        hours, _, minutes = name[4:].partition(":")
        offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
        return timezone(offset if name[3] == "+" else -offset)
    return ZoneInfo(name)


def server_milliseconds(at: datetime, zone: tzinfo) -> int:
    """Server time of an aware instant."""
    return (at.astimezone(zone).replace(tzinfo=None) - _EPOCH) // timedelta(milliseconds=1)


class ServerClock:
    """`advance` moves it against the real time, `shift` against its zone: what a server shows that was moved
    to another zone. It never goes back by itself except where its zone does.
    """

    def __init__(
        self, zone: tzinfo, advance: timedelta = timedelta(0), shift: timedelta = timedelta(0)
    ) -> None:
        self.zone = zone
        self.advance = advance
        self.shift = shift

    def now(self) -> datetime:
        return datetime.now(UTC) + self.advance

    def milliseconds(self) -> int:
        return server_milliseconds(self.now() + self.shift, self.zone)

    def absolute_milliseconds(self) -> int:
        """UTC, so that waiting times do not depend on the zone."""
        return int(self.now().timestamp() * 1000)

    def offset_minutes(self) -> int:
        offset = self.now().astimezone(self.zone).utcoffset() or timedelta(0)
        return int((offset + self.shift).total_seconds()) // 60
