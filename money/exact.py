"""Exact decimals: the context in which a lost digit is an error instead of a rounding.

Python's default context keeps 28 digits and rounds silently; an accumulator with 24 places beside a large
balance needs more. Everything here raises `decimal.Inexact` where 76 digits do not suffice.
"""

from collections.abc import Iterable
from decimal import Clamped, Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow, Underflow
from typing import NamedTuple

EXACT = Context(prec=76, traps=[Clamped, DivisionByZero, Inexact, InvalidOperation, Overflow, Underflow])

ZERO = Decimal(0)


class Quotient(NamedTuple):
    """A ratio on its way to its one rounding. Not reduced, which is most of the work of a `Fraction`."""

    numerator: int
    denominator: int

    def as_integer_ratio(self) -> tuple[int, int]:
        return self


def decimal_of(scaled: int, places: int) -> Decimal:
    """`scaled` units of the last of `places` decimals: 12345 at 2 places is 123.45."""
    return EXACT.scaleb(Decimal(scaled), -places)


def scaled_int(number: Decimal, places: int) -> int:
    """The number in units of its last place: 123.45 at 2 places is 12345.

    Raises `decimal.Inexact` where the number has more decimals than that.
    """
    return int(EXACT.to_integral_exact(EXACT.scaleb(number, places)))


def exact_sum(numbers: Iterable[Decimal]) -> Decimal:
    """Sum without rounding; 0 for none."""
    total = ZERO
    for number in numbers:
        total = EXACT.add(total, number)
    return total


def exact_difference(minuend: Decimal, subtrahend: Decimal) -> Decimal:
    """Difference without rounding."""
    return EXACT.subtract(minuend, subtrahend)
