"""A track record that grows: prices come in once, in order, and what the public reads is told from what was
kept.

Kept are the last price of each local day, the highest price and the deepest fall of all prices, not of the
daily ones alone. Returns over a window and months are told from daily prices; volatility and the ratios built
on it from the returns between days, 365 to the year (pools are priced on every day of it).

What a record is too short to tell is not told, and `Missing` says why: figures of days wait for 30 of them, a
return over months for a record of so many, and the one that compounds a return to a year for a whole year.
"""

from calendar import monthrange
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from enum import StrEnum

from allocation.calc.price import Price
from money.rounding import half_even
from track_record.calc import statistics
from track_record.calc.distribution import Distribution, distribution
from track_record.calc.drawdown import Drawdown, Peak, drawdown, followed
from track_record.calc.statistics import MonthlyReturn, PricePoint

DAYS_PER_YEAR = 365
FEWEST_DAYS = 30
SPARKLINE_POINTS = 48
RATIO_PLACES = 9
_TOO_LARGE = 10**9


class Missing(StrEnum):
    """Why a figure is not told."""

    SHORTER = "shorter"
    FEW_DAYS = "few_days"
    UNDER_A_YEAR = "under_a_year"
    NO_LOSS = "no_loss"
    NO_CHANGE = "no_change"
    FROM_ZERO = "from_zero"
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True)
class Record:
    """`daily` rises in time and ends with the latest price; `deepest` is None before the first fall."""

    first_at: datetime
    daily: tuple[PricePoint, ...]
    peak: Peak
    deepest: Drawdown | None

    @property
    def latest(self) -> PricePoint:
        return self.daily[-1]


@dataclass(frozen=True, slots=True)
class Summary:
    """Fractions and ratios, 9 places. What is None is named in `missing`, with the reason."""

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
    missing: Mapping[str, Missing]
    months: tuple[MonthlyReturn, ...]
    distribution: Distribution
    sparkline: tuple[Decimal, ...]


def extended(record: Record | None, points: Iterable[PricePoint], zone: tzinfo) -> Record:
    """The record with later prices added. Raises ValueError where there is neither a record nor a price."""
    daily = list(record.daily) if record else []
    first_at = record.first_at if record else None
    peak = record.peak if record else None
    deepest = record.deepest if record else None
    for point in points:
        first_at = first_at or point.at
        peak, deepest = followed(peak, deepest, point.at, point.price)
        if daily and _day(daily[-1], zone) == _day(point, zone) and len(daily) > 1:
            daily[-1] = point
        else:
            daily.append(point)
    if first_at is None or peak is None:
        raise ValueError("a record needs a price")
    return Record(first_at=first_at, daily=tuple(daily), peak=peak, deepest=deepest)


def summary(record: Record, zone: tzinfo) -> Summary:
    """What the public reads of a record."""
    prices = [point.price for point in record.daily]
    daily_returns = statistics.returns(prices)
    told = _windows(record) | _of_days(record, daily_returns)
    return Summary(
        total_return=Decimal(0) if prices[0].is_zero else statistics.total_return(prices),
        maximum_drawdown=record.deepest.rate if record.deepest is not None else Decimal(0),
        current_drawdown=drawdown(record.latest.price, record.peak.price),
        **{name: None if isinstance(figure, Missing) else figure for name, figure in told.items()},
        missing={name: figure for name, figure in told.items() if isinstance(figure, Missing)},
        months=tuple(statistics.monthly_returns(record.daily, zone)),
        distribution=distribution(daily_returns),
        sparkline=tuple(price.rounded(6) for price in _thinned(prices)),
    )


def months_before(moment: datetime, months: int) -> datetime:
    """The same day and time `months` earlier; the last of the month where there is no such day."""
    year, index = divmod(moment.year * 12 + moment.month - 1 - months, 12)
    return moment.replace(year=year, month=index + 1, day=min(moment.day, monthrange(year, index + 1)[1]))


def _day(point: PricePoint, zone: tzinfo) -> object:
    return point.at.astimezone(zone).date()


def _windows(record: Record) -> dict[str, Decimal | Missing]:
    return {f"return_{months}m": _return_over(record, months) for months in (1, 3, 12)}


def _return_over(record: Record, months: int) -> Decimal | Missing:
    since = months_before(record.latest.at, months)
    if record.first_at > since:
        return Missing.SHORTER
    before = [point for point in record.daily if point.at <= since]
    start = before[-1] if before else record.daily[0]
    if start.price.is_zero:
        return Missing.FROM_ZERO
    return statistics.total_return([start.price, record.latest.price])


def _of_days(record: Record, daily_returns: Sequence[Decimal]) -> dict[str, Decimal | Missing]:
    """The figures told from the returns between days."""
    if len(daily_returns) < FEWEST_DAYS:
        return dict.fromkeys(_NAMES_OF_DAYS, Missing.FEW_DAYS)
    changed = [rate for rate in daily_returns if rate]
    figures = (
        _told(statistics.volatility(daily_returns, DAYS_PER_YEAR), Missing.FEW_DAYS),
        _told(statistics.sharpe_ratio(daily_returns, DAYS_PER_YEAR), Missing.NO_CHANGE),
        _told(statistics.sortino_ratio(daily_returns, DAYS_PER_YEAR), Missing.NO_LOSS),
        _calmar_ratio(record, daily_returns),
        _told(statistics.profit_factor(changed), Missing.NO_LOSS),
        _told(statistics.winning_share(changed), Missing.NO_CHANGE),
    )
    return dict(zip(_NAMES_OF_DAYS, figures, strict=True))


_NAMES_OF_DAYS = (
    "volatility",
    "sharpe_ratio",
    "sortino_ratio",
    "calmar_ratio",
    "profit_factor",
    "winning_share",
)


def _calmar_ratio(record: Record, daily_returns: Sequence[Decimal]) -> Decimal | Missing:
    if record.first_at > months_before(record.latest.at, 12):
        return Missing.UNDER_A_YEAR
    annual = statistics.annual_return(daily_returns, DAYS_PER_YEAR)
    deepest = record.deepest.rate if record.deepest is not None else Decimal(0)
    return _told(statistics.return_per_drawdown(annual, deepest), Missing.NO_LOSS)


def _told(figure: Decimal | None, otherwise: Missing) -> Decimal | Missing:
    """A figure at 9 places, where it fits the column that holds it."""
    if figure is None:
        return otherwise
    return half_even(figure, RATIO_PLACES) if abs(figure) < _TOO_LARGE else Missing.TOO_LARGE


def _thinned(prices: Sequence[Price]) -> list[Price]:
    if len(prices) <= SPARKLINE_POINTS:
        return list(prices)
    last = len(prices) - 1
    return [prices[round(index * last / (SPARKLINE_POINTS - 1))] for index in range(SPARKLINE_POINTS)]
