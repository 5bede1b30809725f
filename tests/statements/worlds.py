"""What happened in January: Bob's 1,000.00 and the fees that were charged."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from accounts.models import PammAccount
from allocation.models import PricePoint, UnitEntry
from fees.models import Charge
from tests.track_record.histories import price_points
from tests.web.charges import charged, performance_line
from tests.worlds import JOINED, AliceBobCharlie

JANUARY = "since=2026-01-01&until=2026-01-31"
FEBRUARY = "since=2026-02-01&until=2026-02-28"
MONTH_END = datetime(2026, 1, 31, 12, tzinfo=UTC)


def price(world: AliceBobCharlie, figure: str, at: datetime, sequence: int) -> PricePoint:
    account = PammAccount.objects.get(pk=world.pool.account.pk)
    (point,) = price_points(account, [figure], start=at, every=timedelta(hours=1), after=sequence)
    return point


def fee(world: AliceBobCharlie, amount: str, point: PricePoint, **parts: Any) -> Charge:
    """Charged and taken as units at that price."""
    made = charged(world.pool.investment, performance_line(amount), point=point, **parts)
    UnitEntry.objects.create(
        account=world.pool.account, investment=world.pool.investment, price_point=point, currency_digits=2,
        kind=UnitEntry.Kind.PERFORMANCE_FEE, units=-Decimal(amount) / point.price, amount=-Decimal(amount),
    )  # fmt: skip
    return made


def many_fees(world: AliceBobCharlie, count: int) -> None:
    """`count` charges of 0.02, an hour apart from the beginning of January."""
    for number in range(count):
        fee(world, "0.02", price(world, "1", JOINED + timedelta(minutes=number + 1), number + 1))
