"""Price per unit: the exact ratio of the pool's equity to its units.

Never below 0; 1 before the first units of a series; the last price goes on where no units are left. A stored
or shown price is a rounded copy and never comes back in here: whoever needs a past price keeps its equity and
its units.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar

from money.exact import Quotient, exact_difference
from money.rounding import PRICE_PLACES, half_even, rounded_yield

_ONE = Decimal(1)


class ReturnUndefined(ArithmeticError):
    """A return was asked for from a price of 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Price:
    """`ratio` = `equity` / `units` in the account's currency per unit, exact.

    Equal and ordered by that ratio, not by its two terms.
    """

    equity: Decimal
    units: Decimal
    ratio: Fraction = field(init=False, repr=False)

    INITIAL: ClassVar["Price"]

    def __post_init__(self) -> None:
        if not (self.equity.is_finite() and self.units.is_finite()):
            raise ValueError("a price needs finite equity and units")
        if self.equity < 0 or self.units <= 0:
            raise ValueError(f"no price from equity {self.equity} and units {self.units}")
        equity, equity_scale = self.equity.as_integer_ratio()
        units, unit_scale = self.units.as_integer_ratio()
        object.__setattr__(self, "ratio", Fraction(equity * unit_scale, units * equity_scale))

    @property
    def is_zero(self) -> bool:
        return self.equity == 0

    def rounded(self, places: int = PRICE_PLACES) -> Decimal:
        """Copy for storing and showing, half to even. Never an input."""
        return half_even(self.ratio, places)

    def __eq__(self, other: object) -> bool:
        return self.ratio == other.ratio if isinstance(other, Price) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.ratio)

    def __lt__(self, other: "Price") -> bool:
        return self.ratio < other.ratio

    def __le__(self, other: "Price") -> bool:
        return self.ratio <= other.ratio

    def __gt__(self, other: "Price") -> bool:
        return self.ratio > other.ratio

    def __ge__(self, other: "Price") -> bool:
        return self.ratio >= other.ratio


Price.INITIAL = Price(Decimal(1), Decimal(1))


def price_of(equity: Decimal, units: Decimal, last: Price = Price.INITIAL) -> Price:
    """Price of a pool with this equity (see `pool_equity`) and these units outstanding.

    Without units the `last` price goes on; equity below 0 prices at 0.
    """
    if units == 0:
        return last
    return Price(max(equity, Decimal(0)), units)


def time_weighted_return(start: Price, now: Price) -> Decimal:
    """Return between two prices as a fraction (0.10 is 10 %), 9 places half to even, as it is compared with a
    tier's bound.

    Flows are made at the price, so they never change it. Before fees. Raises ReturnUndefined where the start
    price is 0.
    """
    if start.is_zero:
        raise ReturnUndefined("no return from a price of 0")
    # Taking 1 away moves the rounding's last place by an even number of them: no tie falls otherwise.
    ratio = Quotient(
        now.ratio.numerator * start.ratio.denominator, now.ratio.denominator * start.ratio.numerator
    )
    return exact_difference(rounded_yield(ratio), _ONE)
