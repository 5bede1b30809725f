"""The deepest fall of a price series, with its dates, told while prices come in one by one.

A fall counts from the last moment at the highest price so far; it is over at the first price that is as high
again. Of two falls that are equally deep to 9 places the earlier one stays.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from allocation.calc.price import Price
from money.rounding import rounded_yield


@dataclass(frozen=True, slots=True)
class Peak:
    """The highest price so far and when it was reached last."""

    at: datetime
    price: Price


@dataclass(frozen=True, slots=True)
class Drawdown:
    """`rate` is negative. `recovered_at` is None while the price has not been as high again."""

    rate: Decimal
    began_at: datetime
    lowest_at: datetime
    recovered_at: datetime | None = None


def drawdown(price: Price, peak: Price) -> Decimal:
    """How far a price lies below the peak, 0 or negative, 9 places; 0 where the peak is 0."""
    return rounded_yield(min(price.ratio / peak.ratio - 1, Fraction(0))) if not peak.is_zero else Decimal(0)


def followed(
    peak: Peak | None, deepest: Drawdown | None, at: datetime, price: Price
) -> tuple[Peak, Drawdown | None]:
    """Peak and deepest fall (None: no fall yet) after one more price, later than all before it."""
    if peak is None or price >= peak.price:
        if deepest is not None and deepest.recovered_at is None:
            deepest = Drawdown(deepest.rate, deepest.began_at, deepest.lowest_at, at)
        return Peak(at, price), deepest
    rate = drawdown(price, peak.price)
    if rate < (deepest.rate if deepest is not None else 0):
        deepest = Drawdown(rate, peak.at, at)
    return peak, deepest
