"""Every rounding of the platform, by name.

Money is a whole number of minor units; `digits` is how many decimals the currency has (0 JPY, 2 USD, 8 BTC).
Products and quotients arrive here exact and are rounded once. An amount that is rounded down is first rounded
half to even to its dust places, so that the last digit of stored units or of a carried fraction
(4.999999999999 for 5) never decides over a whole minor unit.
"""

from decimal import Decimal, Inexact
from fractions import Fraction

from money.exact import Quotient, decimal_of, scaled_int

Number = int | Fraction | Decimal | Quotient

_SCALES: tuple[int, ...] = tuple(10**places for places in range(77))
"""Powers of ten up to the digits that are kept exact: faster looked up than computed."""

UNIT_PLACES = 12
MARK_PLACES = 12
PRICE_PLACES = 12
ACCUMULATOR_PLACES = 24
CARRIED_PLACES = 24
YIELD_PLACES = 9


def half_even(number: Number, places: int) -> Decimal:
    """Nearest decimal with `places` decimals, a tie to the even neighbour."""
    return decimal_of(_scaled_half_even(number, places), places)


def _scaled_half_even(number: Number, places: int) -> int:
    """`half_even` in units of its last place. On whole numbers: every value and fee comes through here."""
    numerator, denominator = number.as_integer_ratio()
    scaled, remainder = divmod(numerator * _SCALES[places], denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and scaled & 1):
        scaled += 1
    return scaled


def dust_places(digits: int) -> int:
    """Places an amount is rounded to before it is rounded down: 8, and 10 for currencies with 8 decimals."""
    return max(8, digits + 2)


def nearest_money(amount: Number, digits: int) -> Decimal:
    """Amount at the nearest minor unit, half to even: the rounding of a value."""
    return half_even(amount, digits)


def floor_money(amount: Number, digits: int) -> Decimal:
    """Amount rounded down (toward minus infinity) to the minor unit: the rounding of a fee.

    Its dust is rounded away first.
    """
    places = dust_places(digits)
    return decimal_of(_scaled_half_even(amount, places) // 10 ** (places - digits), digits)


def nearest_money_ties_up(amount: Number, digits: int) -> Decimal:
    """Amount at the nearest minor unit, a tie upward, its dust rounded away first.

    Adding whole minor units to the amount adds just them to the answer. Half to even has not that property,
    and the rounding exchange needs it: with it a pool that everybody has left holds exactly 0.
    """
    places = dust_places(digits)
    unit = 10 ** (places - digits)
    return decimal_of((2 * _scaled_half_even(amount, places) + unit) // (2 * unit), digits)


def rounded_units(units: Number) -> Decimal:
    """Units as stored: 12 places, half to even."""
    return half_even(units, UNIT_PLACES)


def rounded_mark(mark: Number) -> Decimal:
    """A high-water mark as stored: 12 places, half to even."""
    return half_even(mark, MARK_PLACES)


def rounded_accumulator(accumulator: Number) -> Decimal:
    """An accumulator as stored: 24 places, half to even."""
    return half_even(accumulator, ACCUMULATOR_PLACES)


def rounded_carried(fraction: Number) -> Decimal:
    """A carried fraction as stored: 24 places, half to even."""
    return half_even(fraction, CARRIED_PLACES)


def rounded_yield(rate: Number) -> Decimal:
    """A yield as compared with a tier's bound: 9 places, half to even."""
    return half_even(rate, YIELD_PLACES)


def minor_unit(digits: int) -> Decimal:
    """The smallest amount of the currency: 0.01 for 2 digits."""
    return decimal_of(1, digits)


def is_whole_minor_units(amount: Decimal, digits: int) -> bool:
    """Whether the amount needs no more decimals than its currency has. False for infinities and NaN."""
    if not amount.is_finite():
        return False
    try:
        scaled_int(amount, digits)
    except Inexact:
        return False
    return True
