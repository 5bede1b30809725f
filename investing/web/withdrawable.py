"""What a person can still ask for."""

from decimal import Decimal

from investing.queries import WithdrawalTerms
from money.exact import ZERO, exact_difference


def withdrawable(room: WithdrawalTerms) -> Decimal:
    """The largest part that can be taken out besides what open requests take already."""
    return max(exact_difference(room.available, room.open_withdrawals), ZERO)
