"""One investment between two rollovers: its lock-in, the fewest units it held, and what it has accrued."""

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from allocation.calc.accumulators import accrued, time_passed, unpaid_part
from allocation.models import Interval, Investment, PricePoint
from money.exact import ZERO
from money.rounding import rounded_accumulator

WITHOUT_ACCRUALS: dict[str, Decimal | int] = {
    "value_days_put_aside": ZERO,
    "value_days_checkpoint": ZERO,
    "lots_put_aside": ZERO,
    "lots_checkpoint": ZERO,
    "subscription_checkpoint": ZERO,
    "subscription_number": 0,
}
"""The accruals of an investment that has ended."""


def accrued_value_days(investment: Investment, value_days: Decimal) -> Fraction:
    """Money times days since the last management fee, where the account's sum stands at `value_days`."""
    return accrued(
        investment.value_days_put_aside, investment.units, value_days, investment.value_days_checkpoint
    )


def accrued_lots(investment: Investment, lots_per_unit: Decimal) -> Fraction:
    """Lots closed since the last volume fee, where the account's sum stands at `lots_per_unit`."""
    return accrued(investment.lots_put_aside, investment.units, lots_per_unit, investment.lots_checkpoint)


def interval_progress(interval: Interval, at: datetime, flow_sequence: int) -> Fraction:
    """How much of the interval has passed, from 0 to 1: time to the microsecond, or rollovers that moved
    money.

    `flow_sequence` is that of the rollover at `at`. Reads the interval's `opening`.
    """
    if interval.ends_at is not None:
        return time_passed(interval.starts_at, at, interval.ends_at)
    begun = interval.opening.flow_sequence
    passed, whole = flow_sequence - begun, (interval.ends_after_sequence or 0) - begun
    return min(max(Fraction(passed, whole), Fraction(0)), Fraction(1))


def unpaid_interval_part(investment: Investment, at: datetime, flow_sequence: int) -> Fraction:
    """The part of its present interval, from 0 to 1, that has passed and that no subscription fee was charged
    for.
    """
    interval = investment.interval
    if interval is None:
        return Fraction(0)
    is_present = investment.subscription_number == interval.number
    paid = investment.subscription_checkpoint if is_present else ZERO
    return unpaid_part(interval_progress(interval, at, flow_sequence), paid)


def restart_subscription(investment: Investment, point: PricePoint) -> None:
    """What has passed of its interval is paid for, or was before it joined."""
    interval = investment.interval
    if interval is None:
        return
    progress = interval_progress(interval, point.priced_at, point.flow_sequence)
    investment.subscription_checkpoint = rounded_accumulator(progress)
    investment.subscription_number = interval.number


def lock_in_ends_at(investment: Investment) -> datetime | None:
    """When the lock-in of its terms ends; None where there is none."""
    if investment.terms is None or not investment.terms.lock_in_days or investment.joined_at is None:
        return None
    return investment.joined_at + timedelta(days=investment.terms.lock_in_days)


def lowest_units_of(investment: Investment) -> Decimal:
    """Fewest units held since the present interval's start or joining: what a net-worth tier is measured
    by.
    """
    interval = investment.interval
    if interval is None or investment.lowest_units_number != interval.number:
        return investment.units
    return min(investment.lowest_units, investment.units)


def note_lowest(investment: Investment, units: Decimal) -> None:
    interval = investment.interval
    if interval is None:
        return
    investment.lowest_units = min(lowest_units_of(investment), units)
    investment.lowest_units_number = interval.number


def note_units_before_deposit(investment: Investment) -> None:
    """Late money buys no tier: what was held before a further deposit stays the interval's fewest."""
    note_lowest(investment, investment.units)
