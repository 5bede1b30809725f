"""The figures of an account's track record, from its prices at the rollovers.

Returns and drawdown are exact ratios of prices rounded once, half to even, to 9 places; they are fractions
(0.10 is 10 %) and before fees. Volatility and the ratios built on it are floats: they describe, and nothing
is ever charged by them. Sources differ on their definitions; these follow empyrical-reloaded: deviations with
n − 1, downside over all observations, both annualised by the square root of the periods in a year, an annual
return compounded over the number of observations, and a curve that starts before the first return, so that a
first loss is a drawdown. A ratio whose divisor is 0, or that has too few observations, is None. Prices are
those of one series of units; from a price of 0 (under water) there is no return, so such a step or month is
left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import fsum, prod, sqrt

from allocation.calc.price import Price, time_weighted_return
from money.rounding import rounded_yield


@dataclass(frozen=True, slots=True)
class PricePoint:
    """The price at one rollover; `at` is aware."""

    at: datetime
    price: Price


@dataclass(frozen=True, slots=True)
class MonthlyReturn:
    """Return of one calendar month; the first counts from the first price, the last up to the latest."""

    year: int
    month: int
    rate: Decimal


def total_return(prices: Sequence[Price]) -> Decimal:
    """Time-weighted return from the first price to the last; 0 for fewer than two, −1 after a wipe-out.

    Raises ReturnUndefined where the first price is 0.
    """
    if len(prices) < 2:
        return rounded_yield(0)
    return time_weighted_return(prices[0], prices[-1])


def return_since(points: Sequence[PricePoint], since: datetime) -> Decimal:
    """Return from the last price at or before `since`, or from the first where all are later, to the latest.

    `points` rise in time.
    """
    start = 0
    for index, point in enumerate(points):
        if point.at > since:
            break
        start = index
    return total_return([point.price for point in points[start:]])


def monthly_returns(points: Sequence[PricePoint], zone: tzinfo) -> list[MonthlyReturn]:
    """Return of every month that has a price, oldest first, months of the local calendar.

    `points` rise in time.
    """
    if not points:
        return []
    last_of_month: dict[tuple[int, int], Price] = {}
    for point in points:
        local = point.at.astimezone(zone)
        last_of_month[local.year, local.month] = point.price
    months = []
    start = points[0].price
    for (year, month), end in last_of_month.items():
        if not start.is_zero:
            months.append(MonthlyReturn(year, month, time_weighted_return(start, end)))
        start = end
    return months


def returns(prices: Sequence[Price]) -> list[Decimal]:
    """Return of each price on the one before."""
    return [time_weighted_return(before, now) for before, now in pairwise(prices) if not before.is_zero]


def maximum_drawdown(prices: Sequence[Price]) -> Decimal:
    """Deepest fall from a peak as a fraction, 0 or negative; −1 after a wipe-out."""
    deepest = Fraction(0)
    peak = Fraction(0)
    for price in prices:
        ratio = price.ratio
        if ratio > peak:
            peak = ratio
        elif peak and ratio / peak - 1 < deepest:
            deepest = ratio / peak - 1
    return rounded_yield(deepest)


def compounded(returns: Sequence[float]) -> float:
    """Total of returns that follow one another."""
    return prod(1 + rate for rate in returns) - 1


def annual_return(returns: Sequence[float], periods_per_year: float) -> float | None:
    """Total compounded to one year; None without observations."""
    if not returns:
        return None
    return float((1 + compounded(returns)) ** (periods_per_year / len(returns)) - 1)


def volatility(returns: Sequence[float], periods_per_year: float) -> float | None:
    """Annualised standard deviation; None for fewer than two observations."""
    deviation = _standard_deviation(returns)
    return None if deviation is None else deviation * sqrt(periods_per_year)


def downside_risk(returns: Sequence[float], periods_per_year: float, required: float = 0.0) -> float | None:
    """Annualised root mean square of what fell short of the `required` return per period."""
    if not returns:
        return None
    mean_square = fsum(min(rate - required, 0.0) ** 2 for rate in returns) / len(returns)
    return sqrt(mean_square) * sqrt(periods_per_year)


def sharpe_ratio(returns: Sequence[float], periods_per_year: float, risk_free: float = 0.0) -> float | None:
    """Annualised mean excess return per deviation; `risk_free` is per period."""
    deviation = _standard_deviation(returns)
    if not deviation:
        return None
    return (fsum(returns) / len(returns) - risk_free) / deviation * sqrt(periods_per_year)


def sortino_ratio(returns: Sequence[float], periods_per_year: float, required: float = 0.0) -> float | None:
    """Annualised mean excess return per downside risk."""
    risk = downside_risk(returns, periods_per_year, required)
    if not risk:
        return None
    return (fsum(returns) / len(returns) - required) * periods_per_year / risk


def calmar_ratio(returns: Sequence[float], periods_per_year: float) -> float | None:
    """Annual return per maximum drawdown of the compounded curve."""
    level = peak = 1.0
    deepest = 0.0
    for rate in returns:
        level *= 1 + rate
        peak = max(peak, level)
        deepest = min(deepest, level / peak - 1)
    annual = annual_return(returns, periods_per_year)
    return None if annual is None or deepest == 0 else annual / -deepest


def profit_factor(results: Sequence[float]) -> float | None:
    """Sum of the gains over the sum of the losses."""
    losses = -fsum(result for result in results if result < 0)
    return fsum(result for result in results if result > 0) / losses if losses else None


def winning_share(results: Sequence[float]) -> float | None:
    """Share of results above 0."""
    return sum(result > 0 for result in results) / len(results) if results else None


def _standard_deviation(returns: Sequence[float]) -> float | None:
    if len(returns) < 2:
        return None
    mean = fsum(returns) / len(returns)
    return sqrt(fsum((rate - mean) ** 2 for rate in returns) / (len(returns) - 1))
