"""Charging: how an exact fee of any kind becomes money.

What accrued and the fraction carried from before are added and rounded down to the minor unit. What the
investment cannot pay of that is not collected now: a debt of the fee's kind. The fraction below the minor
unit is carried to the next fee of the kind. So rounding never costs the investor and small steps lose
nothing.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from money.exact import ZERO, Quotient, exact_difference
from money.rounding import floor_money, rounded_carried


@dataclass(frozen=True, slots=True)
class Charge:
    """`amount` is taken and `uncollected` is owed, both in whole minor units.

    `fee` is exact and `carried` what was kept before it; `carried_next` what is left of both, 24 places.
    """

    amount: Decimal
    uncollected: Decimal
    fee: Fraction | Quotient
    carried: Decimal
    carried_next: Decimal

    @property
    def exact(self) -> Fraction:
        """The fee without what was carried."""
        return Fraction(self.fee.numerator, self.fee.denominator)

    @property
    def unrounded(self) -> Fraction:
        """The exact fee with what was carried."""
        return self.exact + Fraction(self.carried)


def charge(*, fee: Fraction | Quotient, carried: Decimal, available: Decimal, digits: int) -> Charge:
    """Charge of `fee` (exact, not negative) on top of what was `carried`, from `available` money."""
    kept, scale = carried.as_integer_ratio()
    unrounded = Quotient(fee.numerator * scale + kept * fee.denominator, fee.denominator * scale)
    due = max(floor_money(unrounded, digits), ZERO)
    amount = max(min(due, available), ZERO)
    return Charge(
        amount=amount,
        uncollected=exact_difference(due, amount),
        fee=fee,
        carried=carried,
        # `due` is a whole number of the last of 24 places, and an even one: what is left rounds alike.
        carried_next=exact_difference(rounded_carried(unrounded), due),
    )
