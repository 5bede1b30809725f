"""Axes of charts that are drawn on the server. Only pictures: positions are floats, figures come exact."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from django.utils import timezone
from django.utils.formats import date_format

MOST_TICKS = 5

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Tick:
    """Where a mark of an axis stands, and what stands there. `is_between`: left out where it is narrow."""

    position: float
    label: str
    is_between: bool = False


def round_steps(low: Decimal, high: Decimal, least: Decimal) -> list[Decimal]:
    """Round figures from at or below `low` to at or above `high`, as if they were `least` apart at least."""
    spread = max(high - low, least)
    magnitude = Decimal(1).scaleb((spread / MOST_TICKS).adjusted())
    step = next(magnitude * times for times in (1, 2, 5, 10) if spread / (magnitude * times) <= MOST_TICKS)
    begins = low // step - (1 if low % step < 0 else 0)
    ticks = [begins * step]
    while ticks[-1] < high:
        ticks.append(ticks[-1] + step)
    return ticks


def evenly(things: list[T], most: int) -> list[T]:
    """At most `most` (> 1) of them at even distances, the first and the last included."""
    if len(things) <= most:
        return things
    last = len(things) - 1
    return [things[round(index * last / (most - 1))] for index in range(most)]


def date_of(at: datetime, *, within_days: int) -> str:
    """A date as short as a stretch of time allows."""
    return date_format(
        timezone.localtime(at), "MONTH_DAY_FORMAT" if within_days < 200 else "YEAR_MONTH_FORMAT"
    )
