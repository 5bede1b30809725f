"""Writes of `allocation`: the only code that changes units, price points and trading intervals."""

from allocation.services.book import UnitBook, write_books
from allocation.services.intervals import (
    advance_intervals,
    begin_accepted_terms,
    join_interval,
    trading_interval,
)
from allocation.services.investments import (
    accrued_lots,
    accrued_value_days,
    interval_progress,
    lock_in_ends_at,
    lowest_units_of,
    note_units_before_deposit,
    unpaid_interval_part,
)
from allocation.services.series import (
    Snapshot,
    cancel_series,
    last_price,
    next_price_point,
    record_price_points,
)

__all__ = [
    "Snapshot",
    "UnitBook",
    "accrued_lots",
    "accrued_value_days",
    "advance_intervals",
    "begin_accepted_terms",
    "cancel_series",
    "interval_progress",
    "join_interval",
    "last_price",
    "lock_in_ends_at",
    "lowest_units_of",
    "next_price_point",
    "note_units_before_deposit",
    "record_price_points",
    "trading_interval",
    "unpaid_interval_part",
    "write_books",
]
