"""The figures of an account's track record, from its prices at the rollovers.

Everything is a decimal: returns and drawdown are exact ratios of prices rounded once, half to even, to 9
places; they are fractions (0.10 is 10 %) and before fees. Sums, means and variances of returns are exact,
too; only a square root, a power and a division take digits off, after 50 of them, so that every machine
tells the same nine places. Nothing is ever charged by these figures.

Sources differ on the definitions; these follow empyrical-reloaded: deviations with n − 1, downside over all
observations, both annualised by the square root of the periods in a year, an annual return compounded over
the number of observations, and a curve that starts before the first return, so that a first loss is a
drawdown. A ratio whose divisor is 0, or that has too few observations, is None. Prices are those of one
series of units; from a price of 0 (under water) there is no return, so such a step or month is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from itertools import pairwise

from allocation.calc.price import Price, time_weighted_return
from money.exact import EXACT, exact_difference, exact_sum
from money.rounding import rounded_yield

DESCRIBING = Context(prec=50)
"""For roots, powers and quotients that only describe. Never for money."""

_ZERO = Decimal(0)


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


def compounded(returns: Sequence[Decimal]) -> Decimal:
    """Total of returns that follow one another."""
    with localcontext(DESCRIBING):
        level = Decimal(1)
        for rate in returns:
            level *= 1 + rate
        return level - 1


def annual_return(returns: Sequence[Decimal], periods_per_year: int) -> Decimal | None:
    """Total compounded to one year; None without observations."""
    if not returns:
        return None
    with localcontext(DESCRIBING):
        growth: Decimal = 1 + compounded(returns)
        return growth ** (Decimal(periods_per_year) / len(returns)) - 1


def volatility(returns: Sequence[Decimal], periods_per_year: int) -> Decimal | None:
    """Annualised standard deviation; None for fewer than two observations."""
    variance = _variance(returns)
    return None if variance is None else _root(variance * periods_per_year)


def downside_risk(
    returns: Sequence[Decimal], periods_per_year: int, required: Decimal = _ZERO
) -> Decimal | None:
    """Annualised root mean square of what fell short of the `required` return per period."""
    if not returns:
        return None
    squares = exact_sum(_square(min(exact_difference(rate, required), _ZERO)) for rate in returns)
    return _root(Fraction(squares) / len(returns) * periods_per_year)


def sharpe_ratio(
    returns: Sequence[Decimal], periods_per_year: int, risk_free: Decimal = _ZERO
) -> Decimal | None:
    """Annualised mean excess return per deviation; `risk_free` is per period."""
    deviation = volatility(returns, periods_per_year)
    return _annual_excess_per(deviation, returns, periods_per_year, risk_free)


def sortino_ratio(
    returns: Sequence[Decimal], periods_per_year: int, required: Decimal = _ZERO
) -> Decimal | None:
    """Annualised mean excess return per downside risk."""
    risk = downside_risk(returns, periods_per_year, required)
    return _annual_excess_per(risk, returns, periods_per_year, required)


def calmar_ratio(returns: Sequence[Decimal], periods_per_year: int) -> Decimal | None:
    """Annual return per maximum drawdown of the compounded curve."""
    curve = [Price.INITIAL]
    with localcontext(DESCRIBING):
        for rate in returns:
            curve.append(Price(curve[-1].equity * (1 + rate), Decimal(1)))
    return return_per_drawdown(annual_return(returns, periods_per_year), maximum_drawdown(curve))


def return_per_drawdown(annual: Decimal | None, deepest: Decimal) -> Decimal | None:
    """The Calmar ratio of an annual return and a maximum drawdown (0 or negative)."""
    return None if annual is None or deepest == 0 else DESCRIBING.divide(annual, deepest.copy_negate())


def profit_factor(results: Sequence[Decimal]) -> Decimal | None:
    """Sum of the gains over the sum of the losses."""
    gains = exact_sum(result for result in results if result > 0)
    losses = exact_sum(result for result in results if result < 0)
    return DESCRIBING.divide(gains, losses.copy_negate()) if losses else None


def winning_share(results: Sequence[Decimal]) -> Decimal | None:
    """Share of results above 0."""
    winners = sum(result > 0 for result in results)
    return DESCRIBING.divide(Decimal(winners), Decimal(len(results))) if results else None


def _annual_excess_per(
    risk: Decimal | None, returns: Sequence[Decimal], periods_per_year: int, required: Decimal
) -> Decimal | None:
    if not risk:
        return None
    excess = Fraction(exact_sum(returns)) / len(returns) - Fraction(required)
    return DESCRIBING.divide(_decimal(excess * periods_per_year), risk)


def _variance(returns: Sequence[Decimal]) -> Fraction | None:
    """With n − 1, exact."""
    count = len(returns)
    if count < 2:
        return None
    total, squares = Fraction(exact_sum(returns)), Fraction(exact_sum(map(_square, returns)))
    return (count * squares - total**2) / (count * (count - 1))


def _square(rate: Decimal) -> Decimal:
    return EXACT.multiply(rate, rate)


def _root(number: Fraction) -> Decimal:
    return DESCRIBING.sqrt(_decimal(number))


def _decimal(number: Fraction) -> Decimal:
    return DESCRIBING.divide(Decimal(number.numerator), Decimal(number.denominator))
