"""The table of monthly returns: one row a year, and how deep each cell is coloured."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from django.utils.dates import MONTHS_3
from django.utils.text import capfirst

from money.rounding import rounded_yield
from track_record.models import AccountStatistics

# From here on a month is told by a deeper colour.
_DEEPER = (Decimal("0.02"), Decimal("0.05"))


@dataclass(frozen=True, slots=True)
class Cell:
    """`rate` is a fraction, None where there was no price; `shade` a CSS class."""

    month: str
    rate: Decimal | None
    shade: str


@dataclass(frozen=True, slots=True)
class Year:
    """Twelve cells and the months' compounded return."""

    year: int
    cells: list[Cell]
    total: Decimal
    shade: str


@dataclass(frozen=True, slots=True)
class NamedMonth:
    """A month by its first day, and its return."""

    first_day: date
    rate: Decimal


def monthly_table(statistics: AccountStatistics) -> list[Year]:
    """Years, the latest first."""
    by_year: dict[int, dict[int, Decimal]] = {}
    for year, month, rate in statistics.months:
        by_year.setdefault(year, {})[month] = Decimal(rate)
    return [_year(year, months) for year, months in sorted(by_year.items(), reverse=True)]


def best_and_worst_month(statistics: AccountStatistics) -> tuple[NamedMonth, NamedMonth] | None:
    """The best and the worst of the months; None for fewer than two."""
    months = [NamedMonth(date(year, month, 1), Decimal(rate)) for year, month, rate in statistics.months]
    if len(months) < 2:
        return None
    return max(months, key=lambda month: month.rate), min(months, key=lambda month: month.rate)


def _year(year: int, months: dict[int, Decimal]) -> Year:
    growth = Fraction(1)
    for rate in months.values():
        growth *= 1 + Fraction(rate)
    total = rounded_yield(growth - 1)
    cells = [
        Cell(capfirst(str(MONTHS_3[number])), months.get(number), _shade(months.get(number)))
        for number in range(1, 13)
    ]
    return Year(year, cells, total, _shade(total))


def _shade(rate: Decimal | None) -> str:
    if rate is None:
        return "heat-none"
    if rate == 0:
        return "heat-zero"
    depth = 1 + sum(abs(rate) >= bound for bound in _DEEPER)
    return f"heat-{'p' if rate > 0 else 'n'}{depth}"
