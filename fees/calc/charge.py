"""Charging: how an exact fee of any kind becomes money.

What accrued and the fraction carried from before are added, rounded down to the minor unit and never exceed
what is there to pay from; the rest is carried to the next fee of the kind. So rounding never costs the
investor and small steps lose nothing.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from money.rounding import floor_money, rounded_carried


@dataclass(frozen=True, slots=True)
class Charge:
    """`amount` in whole minor units.

    `unrounded` the exact fee with what was carried; `carried_next` their difference, 24 places.
    """

    amount: Decimal
    unrounded: Fraction
    carried_next: Decimal


def charge(*, fee: Fraction, carried: Decimal, available: Decimal, digits: int) -> Charge:
    """Charge of `fee` (exact, not negative) on top of what was `carried`, from `available` money.

    What `available` cannot meet stays in `carried_next`.
    """
    unrounded = fee + Fraction(carried)
    amount = max(min(floor_money(unrounded, digits), available), Decimal(0))
    return Charge(
        amount=amount, unrounded=unrounded, carried_next=rounded_carried(unrounded - Fraction(amount))
    )
