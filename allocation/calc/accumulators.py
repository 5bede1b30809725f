"""The two running sums of an account from which its investments' fees with time and volume are read.

Each grows once per rollover, whatever the number of investors, and is stored with 24 places, half to even. An
investment of `u` units has accrued `u` times what a sum grew since its checkpoint.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from allocation.calc.price import Price
from money.exact import ZERO, Quotient, exact_difference
from money.rounding import rounded_accumulator

_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1) // _MICROSECOND


def value_days_after(last: Decimal, price: Price, since: datetime, until: datetime) -> Decimal:
    """The sum of price times days, in the account's currency, after one more rollover.

    `price` is that of the rollover before, taken at `since`; it counts until the snapshot taken at `until`,
    to the microsecond. Both moments are aware.
    """
    before, scale = last.as_integer_ratio()
    grown = price.ratio.numerator * ((until - since) // _MICROSECOND)
    per = price.ratio.denominator * _DAY
    return rounded_accumulator(Quotient(before * per + grown * scale, scale * per))


def lots_per_unit_after(last: Decimal, closed_lots: Decimal, units: Decimal) -> Decimal:
    """The sum of closed lots per unit after one more rollover.

    `units` were outstanding after the rollover before, while the lots were closed; without any, the lots were
    nobody's and the sum stays.
    """
    if units == 0:
        return last
    before, scale = last.as_integer_ratio()
    lots, lot_scale = closed_lots.as_integer_ratio()
    held, unit_scale = units.as_integer_ratio()
    grown, per = lots * unit_scale, lot_scale * held
    return rounded_accumulator(Quotient(before * per + grown * scale, scale * per))


def accrued(put_aside: Decimal, units: Decimal, total: Decimal, checkpoint: Decimal) -> Fraction:
    """What `units` have accrued where a sum stands at `total`, on top of what was `put_aside` at its
    `checkpoint`.
    """
    held, unit_scale = units.as_integer_ratio()
    grown, scale = exact_difference(total, checkpoint).as_integer_ratio()
    kept, kept_scale = put_aside.as_integer_ratio()
    per = unit_scale * scale
    return Fraction(held * grown * kept_scale + kept * per, per * kept_scale)


@lru_cache(maxsize=1024)
def time_passed(starts_at: datetime, at: datetime, ends_at: datetime) -> Fraction:
    """How much of an interval has passed, from 0 to 1, to the microsecond. It ends after it starts."""
    passed, whole = (at - starts_at) // _MICROSECOND, (ends_at - starts_at) // _MICROSECOND
    return Fraction(min(max(passed, 0), whole), whole)


def unpaid_part(passed: Fraction, paid: Decimal) -> Fraction:
    """What has `passed` of an interval beyond the part that is `paid` for; never below 0, whatever two clocks
    say. Both at 24 places, so that the parts of one interval sum to it exactly.
    """
    unpaid = exact_difference(rounded_accumulator(passed), paid)
    return Fraction(max(unpaid, ZERO))
