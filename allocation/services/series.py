"""The price series of an account: extended by one point per rollover, ended by a loss of everything."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import connection, transaction

from accounts.models import PammAccount
from allocation.calc.accumulators import lots_per_unit_after, value_days_after
from allocation.calc.price import Price, price_of
from allocation.calc.units import pool_equity
from allocation.errors import BookOutsideTransaction
from allocation.models import Investment, PricePoint
from allocation.services.investments import WITHOUT_ACCRUALS
from brokers.scope import current_broker_id
from money.exact import ZERO, exact_sum


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the trading server said of one account at one instant, and what was under way (amounts in its
    currency).

    `trading_result` and `closed_lots` are those of the deals counted since the last snapshot.
    """

    at: datetime
    balance: Decimal
    equity: Decimal
    credit: Decimal
    margin: Decimal
    withdrawable: Decimal
    owed: Decimal
    incoming: Decimal
    trading_result: Decimal
    closed_lots: Decimal
    has_open_positions: bool

    @property
    def pool_equity(self) -> Decimal:
        return pool_equity(equity=self.equity, credit=self.credit, owed=self.owed, incoming=self.incoming)

    @property
    def floating(self) -> Decimal:
        return exact_sum((self.equity, -self.balance, -self.credit))


def last_price(account: PammAccount) -> Price:
    """The price of the account's last rollover, exact; 1 before the first of a series."""
    return Price(account.last_price_equity, account.last_price_units)


def record_price_points(points: Sequence[PricePoint]) -> None:
    """Extend the price series of many accounts by one rollover each, in the caller's transaction, the
    accounts' rows locked.
    """
    require_transaction()
    PricePoint.objects.bulk_create(points)


def next_price_point(account: PammAccount, snapshot: Snapshot, *, moves_money: bool) -> PricePoint:
    """The account's next price point, not stored; the account's counters move on."""
    before = last_price(account)
    price = price_of(snapshot.pool_equity, account.units, before)
    since = account.last_priced_at or snapshot.at
    account.sequence += 1
    account.flow_sequence += moves_money
    return PricePoint(
        account=account,
        series=account.series,
        sequence=account.sequence,
        flow_sequence=account.flow_sequence,
        moves_money=moves_money,
        priced_at=snapshot.at,
        server_balance=snapshot.balance,
        server_equity=snapshot.equity,
        server_credit=snapshot.credit,
        server_margin=snapshot.margin,
        owed=snapshot.owed,
        incoming=snapshot.incoming,
        trading_result=snapshot.trading_result,
        equity=snapshot.pool_equity,
        units=account.units,
        price_equity=price.equity,
        price_units=price.units,
        price=price.rounded(),
        closed_lots=snapshot.closed_lots,
        value_days=value_days_after(account.last_value_days, before, since, snapshot.at),
        lots_per_unit=lots_per_unit_after(account.last_lots_per_unit, snapshot.closed_lots, account.units),
        currency_digits=account.currency_digits,
    )


def cancel_series(account: PammAccount, point: PricePoint) -> int:
    """A wiped-out pool: redeem every unit for nothing and end every investment. Returns how many there
    were. The account's own figures change in memory.
    """
    require_transaction()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO allocation_unitentry (broker_id, public_id, account_id, investment_id,"
            " price_point_id, kind, units, amount, currency_digits, source, recorded_at)"
            " SELECT broker_id, uuidv7(), account_id, id, %s, 'wipe_out', -units, 0, %s, NULL, now()"
            " FROM allocation_investment"
            " WHERE broker_id = %s AND account_id = %s AND state = 'active' AND units > 0",
            [point.pk, account.currency_digits, current_broker_id(), account.pk],
        )
        cancelled: int = cursor.rowcount
    Investment.objects.filter(account=account, state=Investment.State.ACTIVE).update(
        state=Investment.State.CLOSED,
        closed_at=point.priced_at,
        end_reason=Investment.EndReason.WIPED_OUT,
        units=0,
        high_water_mark=0,
        performance_carried=0,
        accepted_terms=None,
        terms_accepted_at=None,
        carried={},
        debts=[],
        **WITHOUT_ACCRUALS,
    )
    account.units = ZERO
    account.rounding_carried = ZERO
    account.last_value_days = ZERO
    account.last_lots_per_unit = ZERO
    return cancelled


def require_transaction() -> None:
    if not transaction.get_connection().in_atomic_block:
        raise BookOutsideTransaction
