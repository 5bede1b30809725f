"""The two running sums of an account from which its investments' fees with time and volume are read.

Each grows once per rollover, whatever the number of investors, and is stored with 24 places, half to even. An
investment of `u` units has accrued `u` times what a sum grew since its checkpoint.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from allocation.calc.price import Price
from money.exact import exact_difference
from money.rounding import rounded_accumulator

_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1) // _MICROSECOND


def value_days_after(last: Decimal, price: Price, since: datetime, until: datetime) -> Decimal:
    """The sum of price times days, in the account's currency, after one more rollover.

    `price` is that of the rollover before, taken at `since`; it counts until the snapshot taken at `until`,
    to the microsecond. Both moments are aware.
    """
    elapsed = Fraction((until - since) // _MICROSECOND, _DAY)
    return rounded_accumulator(Fraction(last) + price.ratio * elapsed)


def lots_per_unit_after(last: Decimal, closed_lots: Decimal, units: Decimal) -> Decimal:
    """The sum of closed lots per unit after one more rollover.

    `units` were outstanding after the rollover before, while the lots were closed; without any, the lots were
    nobody's and the sum stays.
    """
    if units == 0:
        return last
    return rounded_accumulator(Fraction(last) + Fraction(closed_lots) / Fraction(units))


def accrued(put_aside: Decimal, units: Decimal, total: Decimal, checkpoint: Decimal) -> Fraction:
    """What `units` have accrued where a sum stands at `total`, on top of what was `put_aside` at its
    `checkpoint`.
    """
    grown = Fraction(units) * Fraction(exact_difference(total, checkpoint))
    return grown + Fraction(put_aside) if put_aside else grown


def time_passed(starts_at: datetime, at: datetime, ends_at: datetime) -> Fraction:
    """How much of an interval has passed, from 0 to 1, to the microsecond. It ends after it starts."""
    passed, whole = (at - starts_at) // _MICROSECOND, (ends_at - starts_at) // _MICROSECOND
    return min(max(Fraction(passed, whole), Fraction(0)), Fraction(1))


def unpaid_part(passed: Fraction, paid: Decimal) -> Fraction:
    """What has `passed` of an interval beyond the part that is `paid` for; never below 0, whatever two clocks
    say. Both at 24 places, so that the parts of one interval sum to it exactly.
    """
    return max(Fraction(exact_difference(rounded_accumulator(passed), paid)), Fraction(0))
