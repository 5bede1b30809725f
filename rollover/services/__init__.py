"""Writes of `rollover`: one business action per function."""

from rollover.services.dispatch import dispatch_due_rollovers, order_rollover, release_account
from rollover.services.settlement import settle_open_transfers
from rollover.services.slices import roll_over

__all__ = [
    "dispatch_due_rollovers",
    "order_rollover",
    "release_account",
    "roll_over",
    "settle_open_transfers",
]
