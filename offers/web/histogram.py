"""The picture of how often the daily returns were how large, drawn on the server.

Only a picture: coordinates are floats; the table below it has the counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.utils.translation import gettext as _

from pamm_platform.templatetags.figures import signed_percent
from track_record.models import AccountStatistics

WIDTH, HEIGHT = 640, 190
TOP, BOTTOM = 20, 26
GAP = 4


@dataclass(frozen=True, slots=True)
class Column:
    """A bar of the picture: its place, and what it counts."""

    x: float
    y: float
    width: float
    height: float
    days: int
    tone: str
    between: str

    @property
    def middle(self) -> float:
        return self.x + self.width / 2


@dataclass(frozen=True, slots=True)
class Mark:
    """A bound between two bars, named below the axis."""

    position: float
    label: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """Everything the template draws; positions in the units of the view box."""

    columns: Sequence[Column]
    marks: Sequence[Mark]
    unchanged: int
    changed: int
    width: int = WIDTH
    height: int = HEIGHT
    bottom: int = HEIGHT - BOTTOM


def histogram(statistics: AccountStatistics) -> Histogram | None:
    """Of the account's daily returns; None where no day has changed the price."""
    bars = [(_bound(low), _bound(high), days) for low, high, days in statistics.distribution]
    if not bars:
        return None
    most = max(days for _low, _high, days in bars)
    step = WIDTH / len(bars)
    columns = []
    for number, (low, high, days) in enumerate(bars):
        height = days / most * (HEIGHT - TOP - BOTTOM)
        columns.append(
            Column(
                x=number * step + GAP / 2,
                y=HEIGHT - BOTTOM - height,
                width=step - GAP,
                height=height,
                days=days,
                tone="gain" if low is not None and low >= 0 else "loss",
                between=_between(low, high),
            )
        )
    marks = [
        Mark(number * step, _percent(low))
        for number, (low, _high, _days) in enumerate(bars)
        if low is not None and number and not (number - len(bars) // 2) % 2
    ]
    changed = sum(days for _low, _high, days in bars)
    return Histogram(columns, marks, statistics.unchanged_days, changed)


def _between(low: Decimal | None, high: Decimal | None) -> str:
    if low is None and high is not None:
        return _("below %(bound)s") % {"bound": _percent(high)}
    if high is None and low is not None:
        return _("%(bound)s and more") % {"bound": _percent(low)}
    assert low is not None
    assert high is not None
    return _("%(low)s to %(high)s") % {"low": _percent(low), "high": _percent(high)}


def _percent(bound: Decimal) -> str:
    points = (bound * 100).normalize()
    return signed_percent(bound, max(-int(points.as_tuple().exponent), 0))


def _bound(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
