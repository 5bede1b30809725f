"""The kinds of fee, in the order in which one crystallisation charges them."""

from enum import StrEnum


class FeeKind(StrEnum):
    """`ACCRUING` first, then debts in the same order of kinds, then performance; entry and early exit stand
    for themselves.
    """

    MANAGEMENT = "management"
    SUBSCRIPTION = "subscription"
    VOLUME = "volume"
    PERFORMANCE = "performance"
    ENTRY = "entry"
    EARLY_EXIT = "early_exit"


ACCRUING = (FeeKind.MANAGEMENT, FeeKind.SUBSCRIPTION, FeeKind.VOLUME)
"""Kinds that grow with time or volume, whatever the result."""

PLACE_OF_KIND = {kind.value: place for place, kind in enumerate(FeeKind)}
"""Its place in the order above, by its stored value."""
