"""What the leaderboard is ordered by: a whole number per figure, the larger the better.

Row-level security lets an index be entered by whole numbers and not by decimals, so each figure is kept a
second time as one: fractions in their ninth place, money in minor units. What a record is too short to tell
ranks below everything that is told.
"""

from datetime import datetime
from decimal import Decimal

from money.exact import scaled_int
from money.rounding import YIELD_PLACES, half_even

LARGEST = 2**62
NOT_TOLD = -LARGEST
NOT_PRICED = -LARGEST - 1


def rank_of(figure: Decimal | None, places: int = YIELD_PLACES) -> int:
    """A figure in units of the last of `places` decimals, half to even; one that is larger than any counts as
    the largest.
    """
    if figure is None:
        return NOT_TOLD
    return max(min(scaled_int(half_even(figure, places), places), LARGEST), NOT_TOLD + 1)


def rank_of_age(since: datetime) -> int:
    """The longer ago, the larger."""
    return -int(since.timestamp())
