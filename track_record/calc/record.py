"""A track record that grows: prices come in once, in order, and what the public reads is told from what was
kept.

Kept are the last price of each local day, the highest price and the deepest fall of all prices, not of the
daily ones alone. Returns over a window and months are told from daily prices; volatility and the ratios built
on it from the returns between days, 365 to the year (pools are priced on every day of it), from 30 days on.
"""

from calendar import monthrange
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from fractions import Fraction

from allocation.calc.price import Price
from money.rounding import half_even, rounded_yield
from track_record.calc import statistics
from track_record.calc.statistics import MonthlyReturn, PricePoint

DAYS_PER_YEAR = 365
FEWEST_DAYS = 30
SPARKLINE_POINTS = 48
RATIO_PLACES = 9


@dataclass(frozen=True, slots=True)
class Record:
    """`daily` rises in time and ends with the latest price; `maximum_drawdown` is 0 or negative."""

    first_at: datetime
    daily: tuple[PricePoint, ...]
    peak: Price
    maximum_drawdown: Decimal

    @property
    def latest(self) -> PricePoint:
        return self.daily[-1]


@dataclass(frozen=True, slots=True)
class Summary:
    """Fractions and ratios, 9 places; None where the record is shorter than the window or too short."""

    total_return: Decimal
    return_1m: Decimal | None
    return_3m: Decimal | None
    return_12m: Decimal | None
    maximum_drawdown: Decimal
    current_drawdown: Decimal
    volatility: Decimal | None
    sharpe_ratio: Decimal | None
    sortino_ratio: Decimal | None
    calmar_ratio: Decimal | None
    profit_factor: Decimal | None
    winning_share: Decimal | None
    months: tuple[MonthlyReturn, ...]
    sparkline: tuple[Decimal, ...]


def extended(record: Record | None, points: Iterable[PricePoint], zone: tzinfo) -> Record:
    """The record with later prices added. Raises ValueError where there is neither a record nor a price."""
    daily = list(record.daily) if record else []
    first_at = record.first_at if record else None
    peak = record.peak if record else None
    deepest = record.maximum_drawdown if record else Decimal(0)
    for point in points:
        first_at = first_at or point.at
        peak = point.price if peak is None else max(peak, point.price)
        deepest = min(deepest, drawdown(point.price, peak))
        if daily and _day(daily[-1], zone) == _day(point, zone) and len(daily) > 1:
            daily[-1] = point
        else:
            daily.append(point)
    if first_at is None or peak is None:
        raise ValueError("a record needs a price")
    return Record(first_at=first_at, daily=tuple(daily), peak=peak, maximum_drawdown=deepest)


def drawdown(price: Price, peak: Price) -> Decimal:
    """How far a price lies below the peak, 0 or negative, 9 places; 0 where the peak is 0."""
    return rounded_yield(min(price.ratio / peak.ratio - 1, Fraction(0))) if not peak.is_zero else Decimal(0)


def summary(record: Record, zone: tzinfo) -> Summary:
    """What the public reads of a record."""
    prices = [point.price for point in record.daily]
    daily_returns = [float(rate) for rate in statistics.returns(prices)]
    risk = None if record.maximum_drawdown == 0 else -float(record.maximum_drawdown)
    for_risk = daily_returns if len(daily_returns) >= FEWEST_DAYS else []
    annual = _annual_return(for_risk)
    return Summary(
        total_return=_total(prices),
        return_1m=_return_over(record, 1),
        return_3m=_return_over(record, 3),
        return_12m=_return_over(record, 12),
        maximum_drawdown=record.maximum_drawdown,
        current_drawdown=drawdown(record.latest.price, record.peak),
        volatility=_rounded(statistics.volatility(for_risk, DAYS_PER_YEAR)),
        sharpe_ratio=_rounded(statistics.sharpe_ratio(for_risk, DAYS_PER_YEAR)),
        sortino_ratio=_rounded(statistics.sortino_ratio(for_risk, DAYS_PER_YEAR)),
        calmar_ratio=_rounded(None if annual is None or risk is None else annual / risk),
        profit_factor=_rounded(statistics.profit_factor(daily_returns)),
        winning_share=_rounded(statistics.winning_share([rate for rate in daily_returns if rate])),
        months=tuple(statistics.monthly_returns(record.daily, zone)),
        sparkline=tuple(price.rounded(6) for price in _thinned(prices)),
    )


def months_before(moment: datetime, months: int) -> datetime:
    """The same day and time `months` earlier; the last of the month where there is no such day."""
    year, index = divmod(moment.year * 12 + moment.month - 1 - months, 12)
    return moment.replace(year=year, month=index + 1, day=min(moment.day, monthrange(year, index + 1)[1]))


def _day(point: PricePoint, zone: tzinfo) -> object:
    return point.at.astimezone(zone).date()


def _total(prices: Sequence[Price]) -> Decimal:
    return Decimal(0) if prices[0].is_zero else statistics.total_return(prices)


def _return_over(record: Record, months: int) -> Decimal | None:
    since = months_before(record.latest.at, months)
    if record.first_at > since:
        return None
    before = [point for point in record.daily if point.at <= since]
    start = before[-1] if before else record.daily[0]
    return None if start.price.is_zero else statistics.total_return([start.price, record.latest.price])


def _annual_return(daily_returns: Sequence[float]) -> float | None:
    """None where it does not fit a float: a few enormous days, scaled to a year."""
    try:
        return statistics.annual_return(daily_returns, DAYS_PER_YEAR)
    except OverflowError:
        return None


def _thinned(prices: Sequence[Price]) -> list[Price]:
    if len(prices) <= SPARKLINE_POINTS:
        return list(prices)
    last = len(prices) - 1
    return [prices[round(index * last / (SPARKLINE_POINTS - 1))] for index in range(SPARKLINE_POINTS)]


def _rounded(number: float | None) -> Decimal | None:
    """A float that only describes, kept at 9 places and within the column that holds it."""
    return None if number is None or abs(number) >= 10**9 else half_even(Decimal(number), RATIO_PLACES)
