"""Units: what they are worth, how many a flow issues or redeems, and what rounding leaves over.

Within one rollover all of this happens at the price of one snapshot. Values are rounded half to even to the
minor unit, units half to even to 12 places; nothing else is rounded. Fees are taken as units at the same
price (`units_for_redemption`), so they never move it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from fractions import Fraction

from allocation.calc.price import Price
from money.exact import Quotient, decimal_of, exact_difference, exact_sum, scaled_int
from money.rounding import UNIT_PLACES, nearest_money, nearest_money_ties_up, rounded_carried, rounded_units


class PriceIsZero(ArithmeticError):
    """Units cannot be exchanged for money at a price of 0."""


def pool_equity(*, equity: Decimal, credit: Decimal, owed: Decimal, incoming: Decimal) -> Decimal:
    """What belongs to the holders of units, in the account's currency.

    `equity` is the server's figure at the snapshot and `credit` its credit and bonus. `owed`: fees charged
    and payouts whose units are redeemed but whose money has not left. `incoming`: money whose units are
    issued but which has not arrived.
    """
    return exact_sum((equity, -credit, -owed, incoming))


def value(units: Decimal, price: Price, digits: int) -> Decimal:
    """Worth of `units` at the price: the nearest minor unit, half to even."""
    held, scale = units.as_integer_ratio()
    return nearest_money(Quotient(price.ratio.numerator * held, price.ratio.denominator * scale), digits)


def values(units: Sequence[Decimal], price: Price, digits: int) -> list[Decimal]:
    """`value` of each, in order, for a million at once: the same rule on scaled integers."""
    per_scaled_unit = price.ratio * 10**digits / 10**UNIT_PLACES
    numerator, denominator = per_scaled_unit.numerator, per_scaled_unit.denominator
    worth: list[Decimal] = []
    for held in units:
        minor, remainder = divmod(scaled_int(held, UNIT_PLACES) * numerator, denominator)
        twice = 2 * remainder
        if twice > denominator or (twice == denominator and minor & 1):
            minor += 1
        worth.append(decimal_of(minor, digits))
    return worth


def units_for_deposit(amount: Decimal, price: Price) -> Decimal:
    """Units that `amount` buys, 12 places half to even. Raises PriceIsZero."""
    return _units_worth(amount, price)


def units_for_redemption(amount: Decimal, price: Price, held: Decimal) -> Decimal:
    """Units that pay for taking out `amount`, gross or a fee: 12 places half to even, at most what is `held`.

    Taking out everything does not come here: a close redeems all that is held. Raises PriceIsZero.
    """
    return min(_units_worth(amount, price), held)


def _units_worth(amount: Decimal, price: Price) -> Decimal:
    if price.is_zero:
        raise PriceIsZero("no units for money at a price of 0")
    return rounded_units(Fraction(amount) / price.ratio)


def residual(equity: Decimal, values: Iterable[Decimal]) -> Decimal:
    """Pool equity less the sum of the values: what rounding leaves, at most half a minor unit each."""
    return exact_difference(equity, exact_sum(values))


@dataclass(frozen=True, slots=True)
class RoundingExchange:
    """`amount`: whole minor units.

    Positive, the pool paid too much and receives it from the broker's rounding account; negative, it pays.

    `carried`: what waits for the next close, within half a minor unit, 24 places.
    """

    amount: Decimal
    carried: Decimal


def rounding_exchange(
    *, carried: Decimal, paid: Decimal, units: Decimal, price: Price, digits: int
) -> RoundingExchange:
    """What closes cost or gained the pool by rounding: `paid − units · price` on top of what was `carried`.

    `paid` is all that the closed units were exchanged for, payout and fees; several closes of one snapshot
    may come one by one or as sums. The nearest whole number of minor units is exchanged, a tie upward, so
    that after the last close exactly 0 is left.
    """
    exact = price.ratio * Fraction(units)
    due = rounded_carried(Fraction(exact_sum((carried, paid))) - exact)
    amount = nearest_money_ties_up(due, digits)
    return RoundingExchange(amount=amount, carried=exact_difference(due, amount))


class PoolCondition(Enum):
    """Which rules a pool is under, by its equity, units and positions.

    `EMPTY`: no units. `SOUND`: equity above 0. `UNDER_WATER`: none, with positions open; nothing flows, is
    charged or ends. `WIPED_OUT`: none and nothing open; the series ends with its marks, debts and
    accumulators.
    """

    EMPTY = "empty"
    SOUND = "sound"
    UNDER_WATER = "under_water"
    WIPED_OUT = "wiped_out"


def pool_condition(equity: Decimal, units: Decimal, has_open_positions: bool) -> PoolCondition:
    """Condition of a pool with this equity (see `pool_equity`) and these units outstanding."""
    if units == 0:
        return PoolCondition.EMPTY
    if equity > 0:
        return PoolCondition.SOUND
    return PoolCondition.UNDER_WATER if has_open_positions else PoolCondition.WIPED_OUT


def first_units_allowed(equity: Decimal) -> bool:
    """First units are issued only into an account that holds nothing:

    their price of 1 would give away or charge for the rest.
    """
    return equity == 0


def last_units_may_leave(has_open_positions: bool) -> bool:
    """The last units wait while a position is open: its result would have no owner."""
    return not has_open_positions
