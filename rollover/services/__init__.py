"""Writes of `rollover`: one business action per function."""

from rollover.services.conflicts import deals_in_conflict, resolve_conflict
from rollover.services.decisions import Choice, Difference, differences_of, release_account
from rollover.services.dispatch import dispatch_due_rollovers, order_rollover
from rollover.services.inspection import inspect_server, inspections_due, settle_finding
from rollover.services.seals import seal_books, seal_is_due
from rollover.services.settlement import settle_open_transfers
from rollover.services.slices import roll_over

__all__ = [
    "Choice",
    "Difference",
    "deals_in_conflict",
    "differences_of",
    "dispatch_due_rollovers",
    "inspect_server",
    "inspections_due",
    "order_rollover",
    "release_account",
    "resolve_conflict",
    "roll_over",
    "seal_books",
    "seal_is_due",
    "settle_finding",
    "settle_open_transfers",
]
