"""Refusals of unit accounting: bugs in the caller, never a user's mistake."""


class BookOutsideTransaction(RuntimeError):
    """Units change only in the transaction of their rollover."""


class MoreUnitsThanHeld(RuntimeError):
    """More units were to be redeemed than the investment has."""
