"""The two running sums of an account from which its investments' fees with time and volume are read.

Each grows once per rollover, whatever the number of investors, and is stored with 24 places, half to even. An
investment of `u` units has accrued `u` times what a sum grew since its checkpoint.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from allocation.calc.price import Price
from money.rounding import rounded_accumulator

_DAY = timedelta(days=1) // timedelta(microseconds=1)


def value_days_after(last: Decimal, price: Price, since: datetime, until: datetime) -> Decimal:
    """The sum of price times days, in the account's currency, after one more rollover.

    `price` is that of the rollover before, taken at `since`; it counts until the snapshot taken at `until`,
    to the microsecond. Both moments are aware.
    """
    elapsed = Fraction((until - since) // timedelta(microseconds=1), _DAY)
    return rounded_accumulator(Fraction(last) + price.ratio * elapsed)


def lots_per_unit_after(last: Decimal, closed_lots: Decimal, units: Decimal) -> Decimal:
    """The sum of closed lots per unit after one more rollover.

    `units` were outstanding after the rollover before, while the lots were closed; without any, the lots were
    nobody's and the sum stays.
    """
    if units == 0:
        return last
    return rounded_accumulator(Fraction(last) + Fraction(closed_lots) / Fraction(units))
