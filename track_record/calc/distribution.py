"""How often the returns of a day were how large: a histogram whose bars are even and symmetric around 0.

The width of a bar is the smallest round one at which a few bars to each side hold nearly all days; what lies
farther out is counted in the two outermost bars, which are open. A day without a change (a weekend) is in no
bar: it is counted apart. A bar holds its bound that is nearer to 0, not the other.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

BARS_A_SIDE = 6
WIDTHS = tuple(
    Decimal(width)
    for width in ("0.0005", "0.001", "0.002", "0.005", "0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1")
)
_ALL_BUT_ONE_IN = 20


@dataclass(frozen=True, slots=True)
class Bar:
    """`days` returns between `low` and `high`; None: open to that side."""

    low: Decimal | None
    high: Decimal | None
    days: int


@dataclass(frozen=True, slots=True)
class Distribution:
    """`bars` rise; `unchanged` days are in none of them."""

    bars: tuple[Bar, ...]
    unchanged: int

    @property
    def days(self) -> int:
        return sum(bar.days for bar in self.bars) + self.unchanged


def distribution(returns: Sequence[Decimal]) -> Distribution:
    """Of daily returns, fractions. Without a changed day there are no bars."""
    changed = [rate for rate in returns if rate]
    unchanged = len(returns) - len(changed)
    if not changed:
        return Distribution((), unchanged)
    width = _width(changed)
    counted = Counter(_bar_of(rate, width) for rate in changed)
    last = max(abs(number) for number in counted)
    numbers = [number for number in range(-last, last + 1) if number]
    return Distribution(tuple(_bar(number, width, counted[number]) for number in numbers), unchanged)


def _width(changed: Sequence[Decimal]) -> Decimal:
    """The smallest that leaves at most one day in twenty beyond the bars."""
    sizes = sorted(abs(rate) for rate in changed)
    size = sizes[len(sizes) - 1 - len(sizes) // _ALL_BUT_ONE_IN]
    return next((width for width in WIDTHS if size < width * BARS_A_SIDE), WIDTHS[-1])


def _bar_of(rate: Decimal, width: Decimal) -> int:
    """Bars count from 1 upward and from −1 downward."""
    number = min(int(Fraction(rate.copy_abs()) / Fraction(width)) + 1, BARS_A_SIDE)
    return number if rate > 0 else -number


def _bar(number: int, width: Decimal, days: int) -> Bar:
    near, far = (abs(number) - 1) * width, abs(number) * width
    is_outermost = abs(number) == BARS_A_SIDE
    if number > 0:
        return Bar(near, None if is_outermost else far, days)
    return Bar(None if is_outermost else -far, -near, days)
