"""How much of an account's money is its manager's own."""

from decimal import Decimal

from track_record.models import AccountStatistics


def own_share(statistics: AccountStatistics) -> Decimal | None:
    """The manager's own part of the money, a fraction; None without money."""
    return statistics.own_capital / statistics.money if statistics.money > 0 else None
