"""Stop loss and take profit: a price per unit at which an investment is closed."""

from decimal import Decimal
from fractions import Fraction

from allocation.calc.price import Price
from allocation.calc.units import value

STOP_PLACES = 24
"""Decimals of a stop's price. The price itself is exact: what was rounded once is what everything uses."""

_SCALE = 10**STOP_PLACES
_KEY_SCALE = 10**9
LARGEST_KEY = 9 * 10**18
"""Within a bigint: prices above 9,000,000,000 share a key and are told apart by the exact comparison."""


def stop_price(amount: Decimal, units: Decimal, *, is_loss: bool) -> Decimal:
    """The price per unit at which `units` are worth `amount`, of which both are above 0.

    Rounded to `STOP_PLACES` towards being reached: up for a stop loss, down for a take profit, so that a
    value of exactly the amount reaches it.
    """
    scaled = Fraction(amount) * _SCALE / Fraction(units)
    whole = -((-scaled.numerator) // scaled.denominator) if is_loss else int(scaled)
    # By text: no context rounds it to fewer digits.
    return Decimal(f"{whole}e-{STOP_PLACES}")


def is_reached(stop: Decimal, price: Price, *, is_loss: bool) -> bool:
    """Whether the exact price is at the stop or beyond it."""
    return price.ratio <= Fraction(stop) if is_loss else price.ratio >= Fraction(stop)


def price_key(price: Price) -> int:
    """The price in billionths, rounded down, as the database computes it of a stop's price.

    Rounding down keeps order: a stop loss is reached only where its key is at least the price's, a take
    profit only where it is at most. So keys find candidates, none too few, and `is_reached` decides.
    """
    return min(price.ratio.numerator * _KEY_SCALE // price.ratio.denominator, LARGEST_KEY)


def stop_amount(stop: Decimal, units: Decimal, digits: int) -> Decimal:
    """What `units` are worth at the stop's price, to the nearest minor unit."""
    return value(units, Price(stop, Decimal(1)), digits)
