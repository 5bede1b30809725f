"""Prices of an account, made up for a test."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from accounts.models import PammAccount
from allocation.models import PricePoint

UNITS = Decimal(1000)


def price_points(
    account: PammAccount,
    prices: Iterable[str],
    *,
    start: datetime,
    every: timedelta,
    series: int = 1,
    after: int = 1,
) -> list[PricePoint]:
    """Rollovers at these prices, numbered on from `after`; the account stands at the last one."""
    rows = [
        PricePoint(
            account=account, series=series, sequence=after + number, flow_sequence=after + number,
            priced_at=start + every * (number - 1), server_balance=0, server_equity=0, server_credit=0,
            server_margin=0, owed=0, incoming=0, trading_result=0, equity=Decimal(price) * UNITS, units=UNITS,
            price_equity=Decimal(price) * UNITS, price_units=UNITS, price=Decimal(price),
            currency_digits=account.currency_digits,
        )
        for number, price in enumerate(prices, start=1)
    ]  # fmt: skip
    PricePoint.objects.bulk_create(rows)
    last = rows[-1]
    account.series, account.units = series, UNITS
    account.last_priced_at, account.last_equity = last.priced_at, last.equity
    account.last_price_equity, account.last_price_units = last.price_equity, last.price_units
    account.save()
    return rows


def rising(count: int, step: str = "0.001") -> Sequence[str]:
    """Prices from just above 1 on, each a little higher."""
    return [str(1 + Decimal(step) * number) for number in range(1, count + 1)]
