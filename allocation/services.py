"""The only code that changes units: price points, and the book of one account at one rollover.

Everything a rollover does to the units of an account is collected in a `UnitBook` and written with a constant
number of statements, however many investments it touches.
"""

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from fractions import Fraction

from django.db import connection, transaction

from accounts.models import PammAccount
from allocation.calc.accumulators import (
    accrued,
    lots_per_unit_after,
    time_passed,
    unpaid_part,
    value_days_after,
)
from allocation.calc.price import Price, price_of
from allocation.calc.units import (
    RoundingExchange,
    pool_equity,
    rounding_exchange,
    units_for_deposit,
    units_for_redemption,
)
from allocation.errors import BookOutsideTransaction, MoreUnitsThanHeld
from allocation.models import Interval, Investment, PricePoint, UnitEntry
from brokers.scope import current_broker_id
from fees.calc.intervals import TradingInterval, advance, ends_at
from money.exact import ZERO, exact_difference, exact_sum
from money.rounding import rounded_accumulator
from offers.models import Terms


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


def record_price_point(account: PammAccount, snapshot: Snapshot, *, moves_money: bool) -> PricePoint:
    """Extend the price series by one rollover, in the caller's transaction. The account's row must be
    locked.
    """
    _require_transaction()
    point = next_price_point(account, snapshot, moves_money=moves_money)
    point.save(force_insert=True)
    return point


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


@dataclass
class UnitBook:
    """Units issued and redeemed at one price point of an account, collected and then written together.

    The investments given to it are changed in memory; `write` stores them. Values are in the account's
    currency.
    """

    account: PammAccount
    point: PricePoint
    entries: list[UnitEntry] = field(default_factory=list)
    touched: dict[int, Investment] = field(default_factory=dict)
    units: Decimal = ZERO
    paid_in: Decimal = ZERO
    paid_out: Decimal = ZERO
    rounding: Decimal = ZERO
    swept: Decimal = ZERO

    def __post_init__(self) -> None:
        self.units = self.account.units

    @property
    def price(self) -> Price:
        return Price(self.point.price_equity, self.point.price_units)

    @property
    def digits(self) -> int:
        return self.account.currency_digits

    def issue(
        self, investment: Investment, amount: Decimal, *, source: uuid.UUID, fee: Decimal = ZERO
    ) -> UnitEntry:
        """Units for a deposit, less the entry `fee` that is taken out of it first. Raises `PriceIsZero`."""
        kept = exact_difference(amount, fee)
        issued = units_for_deposit(kept, self.price)
        entry = self._enter(investment, UnitEntry.Kind.DEPOSIT, issued, kept, source)
        investment.paid_in = exact_sum((investment.paid_in, amount))
        investment.fees_paid = exact_sum((investment.fees_paid, fee))
        self.paid_in = exact_sum((self.paid_in, amount))
        self.paid_out = exact_sum((self.paid_out, fee))
        if investment.state == Investment.State.PENDING:
            investment.state = Investment.State.ACTIVE
            investment.joined = self.point
            investment.joined_at = self.point.priced_at
        return entry

    def redeem(
        self,
        investment: Investment,
        amount: Decimal,
        kind: UnitEntry.Kind,
        *,
        source: uuid.UUID | None = None,
    ) -> UnitEntry:
        """Units for a payment or a fee out of the pool. Raises `PriceIsZero`."""
        redeemed = units_for_redemption(amount, self.price, investment.units)
        entry = self._enter(investment, kind, -redeemed, -amount, source)
        self._record_paid(investment, kind, amount)
        return entry

    def close(
        self,
        investment: Investment,
        paid: Decimal,
        *,
        worth: Decimal,
        units_before: Decimal,
        source: uuid.UUID | None,
    ) -> UnitEntry:
        """Redeem all units that the fees of the close have left, for `paid`.

        `worth` is the whole value the close exchanged, its fees included, for `units_before`: what that cost
        or gained the pool by rounding goes to the account's rounding exchange.
        """
        entry = self._enter(investment, UnitEntry.Kind.CLOSE, -investment.units, -paid, source)
        self._record_paid(investment, UnitEntry.Kind.CLOSE, paid)
        exchange = self._exchange(worth, units_before)
        self.rounding = exact_sum((self.rounding, exchange.amount))
        self.account.rounding_carried = exchange.carried
        investment.state = Investment.State.CLOSED
        investment.closed_at = self.point.priced_at
        investment.end_reason = Investment.EndReason.OWNER
        investment.high_water_mark = ZERO
        investment.performance_carried = ZERO
        investment.accepted_terms = None
        investment.terms_accepted_at = None
        for column, empty in _WITHOUT_ACCRUALS.items():
            setattr(investment, column, empty)
        investment.carried = {}
        investment.debts = []
        return entry

    def restart_accruals(self, investment: Investment) -> None:
        """What accrues with time and volume begins again at this rollover: all of it has been charged."""
        investment.value_days_put_aside = investment.lots_put_aside = ZERO
        investment.value_days_checkpoint = self.point.value_days
        investment.lots_checkpoint = self.point.lots_per_unit
        _restart_subscription(investment, self.point)
        self.touch(investment)

    def touch(self, investment: Investment) -> None:
        """Store the investment's mark, fractions and debts though its units did not change."""
        self.touched[investment.pk] = investment

    @property
    def equity_after(self) -> Decimal:
        """The pool's equity once all that was decided here has moved."""
        return exact_sum((self.point.equity, self.paid_in, -self.paid_out, self.rounding, -self.swept))

    def write(self) -> None:
        """Store entries, investments and the account's figures, in the caller's transaction."""
        _require_transaction()
        UnitEntry.objects.bulk_create(self.entries)
        _update_investments(list(self.touched.values()))
        self.move_account_on()
        self.account.save()

    def move_account_on(self) -> None:
        """Put the figures of this rollover on the account, in memory."""
        self.account.units = self.units
        self.account.last_priced_at = self.point.priced_at
        self.account.last_equity = self.equity_after
        self.account.last_price_equity = self.point.price_equity
        self.account.last_price_units = self.point.price_units
        self.account.last_value_days = self.point.value_days
        self.account.last_lots_per_unit = self.point.lots_per_unit

    def _exchange(self, worth: Decimal, units: Decimal) -> RoundingExchange:
        return rounding_exchange(
            carried=self.account.rounding_carried,
            paid=worth,
            units=units,
            price=self.price,
            digits=self.digits,
        )

    def _enter(
        self,
        investment: Investment,
        kind: UnitEntry.Kind,
        units: Decimal,
        amount: Decimal,
        source: uuid.UUID | None,
    ) -> UnitEntry:
        if exact_sum((investment.units, units)) < 0:
            raise MoreUnitsThanHeld(str(investment.public_id))
        if units < 0 and investment.interval is not None:
            _note_lowest(investment, exact_sum((investment.units, units)))
        self._put_aside(investment)
        investment.units = exact_sum((investment.units, units))
        self.units = exact_sum((self.units, units))
        entry = UnitEntry(
            account=self.account,
            investment=investment,
            price_point=self.point,
            kind=kind,
            units=units,
            amount=amount,
            currency_digits=self.digits,
            source=source,
        )
        self.entries.append(entry)
        self.touch(investment)
        return entry

    def _put_aside(self, investment: Investment) -> None:
        """Keep what the units held so far have accrued: from here on there are more or fewer of them."""
        if investment.terms_id is None:
            return
        value_days, lots_per_unit = self.point.value_days, self.point.lots_per_unit
        investment.value_days_put_aside = rounded_accumulator(accrued_value_days(investment, value_days))
        investment.value_days_checkpoint = value_days
        investment.lots_put_aside = rounded_accumulator(accrued_lots(investment, lots_per_unit))
        investment.lots_checkpoint = lots_per_unit

    def _record_paid(self, investment: Investment, kind: UnitEntry.Kind, amount: Decimal) -> None:
        self.paid_out = exact_sum((self.paid_out, amount))
        if kind in (UnitEntry.Kind.WITHDRAWAL, UnitEntry.Kind.CLOSE):
            investment.paid_out = exact_sum((investment.paid_out, amount))
        else:
            investment.fees_paid = exact_sum((investment.fees_paid, amount))


_WITHOUT_ACCRUALS: dict[str, Decimal | int] = {
    "value_days_put_aside": ZERO,
    "value_days_checkpoint": ZERO,
    "lots_put_aside": ZERO,
    "lots_checkpoint": ZERO,
    "subscription_checkpoint": ZERO,
    "subscription_number": 0,
}
"""The accruals of an investment that has ended."""


def accrued_value_days(investment: Investment, value_days: Decimal) -> Fraction:
    """Money times days since the last management fee, where the account's sum stands at `value_days`."""
    return accrued(
        investment.value_days_put_aside, investment.units, value_days, investment.value_days_checkpoint
    )


def accrued_lots(investment: Investment, lots_per_unit: Decimal) -> Fraction:
    """Lots closed since the last volume fee, where the account's sum stands at `lots_per_unit`."""
    return accrued(investment.lots_put_aside, investment.units, lots_per_unit, investment.lots_checkpoint)


def interval_progress(interval: Interval, at: datetime, flow_sequence: int) -> Fraction:
    """How much of the interval has passed, from 0 to 1: time to the microsecond, or rollovers that moved
    money.

    `flow_sequence` is that of the rollover at `at`. Reads the interval's `opening`.
    """
    if interval.ends_at is not None:
        return time_passed(interval.starts_at, at, interval.ends_at)
    begun = interval.opening.flow_sequence
    passed, whole = flow_sequence - begun, (interval.ends_after_sequence or 0) - begun
    return min(max(Fraction(passed, whole), Fraction(0)), Fraction(1))


def unpaid_interval_part(investment: Investment, at: datetime, flow_sequence: int) -> Fraction:
    """The part of its present interval, from 0 to 1, that has passed and that no subscription fee was charged
    for.
    """
    interval = investment.interval
    if interval is None:
        return Fraction(0)
    is_present = investment.subscription_number == interval.number
    paid = investment.subscription_checkpoint if is_present else ZERO
    return unpaid_part(interval_progress(interval, at, flow_sequence), paid)


def _restart_subscription(investment: Investment, point: PricePoint) -> None:
    """What has passed of its interval is paid for, or was before it joined."""
    interval = investment.interval
    if interval is None:
        return
    progress = interval_progress(interval, point.priced_at, point.flow_sequence)
    investment.subscription_checkpoint = rounded_accumulator(progress)
    investment.subscription_number = interval.number


def lock_in_ends_at(investment: Investment) -> datetime | None:
    """When the lock-in of its terms ends; None where there is none."""
    if investment.terms is None or not investment.terms.lock_in_days or investment.joined_at is None:
        return None
    return investment.joined_at + timedelta(days=investment.terms.lock_in_days)


def lowest_units_of(investment: Investment) -> Decimal:
    """Fewest units held since the present interval's start or joining: what a net-worth tier is measured
    by.
    """
    interval = investment.interval
    if interval is None or investment.lowest_units_number != interval.number:
        return investment.units
    return min(investment.lowest_units, investment.units)


def _note_lowest(investment: Investment, units: Decimal) -> None:
    interval = investment.interval
    if interval is None:
        return
    investment.lowest_units = min(lowest_units_of(investment), units)
    investment.lowest_units_number = interval.number


def note_units_before_deposit(investment: Investment) -> None:
    """Late money buys no tier: what was held before a further deposit stays the interval's fewest."""
    _note_lowest(investment, investment.units)


def join_interval(investment: Investment, point: PricePoint, zone: tzinfo) -> None:
    """Put an investment that has just joined into the interval of its terms; one row serves all with the same
    start. Of an interval under way it pays the subscription only for the rest.
    """
    terms = investment.terms
    if terms is None:
        return
    existing = Interval.objects.filter(account_id=point.account_id, terms=terms).select_related("opening")
    interval = (
        existing.first() if _is_on_calendar(terms) else existing.filter(anchor_at=point.priced_at).first()
    )
    if interval is None:
        interval = _first_interval(terms, point, zone)
        interval.save()
    _enter_interval(investment, interval)
    _restart_subscription(investment, point)


def begin_accepted_terms(
    book: UnitBook, investments: Iterable[Investment], begun: Sequence[Interval], zone: tzinfo
) -> list[Investment]:
    """Put those whose owners have accepted newer terms under them, from this rollover on; returns them.

    For investments whose interval has just ended and was charged under the old terms; `begun` are the
    account's intervals that begin at this rollover. Mark, carried fractions and debts stay; what accrues
    begins again, and so do the running sums of the shares where the newer terms share differently. Two
    statements, however many investments and versions; none where nobody has accepted anything.
    """
    accepting = [investment for investment in investments if investment.accepted_terms_id is not None]
    if not accepting:
        return []
    keys = {investment.accepted_terms_id for investment in accepting}
    versions = Terms.objects.select_related("offer__account").in_bulk(keys)
    # An interval under way since an earlier rollover would count its yield from there: only one that begins
    # here can be shared.
    intervals = {row.terms_id: row for row in begun if row.terms_id in keys and _is_on_calendar(row.terms)}
    missing = [terms for key, terms in versions.items() if key not in intervals]
    for interval in Interval.objects.bulk_create(
        _first_interval(terms, book.point, zone) for terms in missing
    ):
        intervals[interval.terms_id] = interval
    for investment in accepting:
        terms = versions[investment.accepted_terms_id]
        if investment.terms is None or _shares(investment.terms) != _shares(terms):
            investment.shared = {}
        investment.terms = terms
        investment.accepted_terms = None
        investment.terms_accepted_at = None
        _enter_interval(investment, intervals[terms.pk])
        book.restart_accruals(investment)
    return accepting


def advance_intervals(intervals: Sequence[Interval], point: PricePoint, zone: tzinfo) -> None:
    """Begin the next interval of each, at this rollover. Several missed ends count once."""
    for interval in intervals:
        rule = trading_interval(interval.terms)
        interval.starts_at = point.priced_at
        interval.opening = point
        interval.number += 1
        if rule.unit == "rollovers":
            interval.ends_after_sequence = point.flow_sequence + rule.count
        else:
            interval.ends_at = advance(rule, interval.anchor_at, point.priced_at, zone)[1]
    if intervals:
        Interval.objects.bulk_update(
            intervals, ["starts_at", "opening", "number", "ends_at", "ends_after_sequence"]
        )


def _first_interval(terms: Terms, point: PricePoint, zone: tzinfo) -> Interval:
    """The interval under `terms` that begins at `point`, not stored."""
    rule = trading_interval(terms)
    return Interval(
        account_id=point.account_id,
        terms=terms,
        anchor_at=point.priced_at,
        starts_at=point.priced_at,
        ends_at=ends_at(rule, point.priced_at, zone),
        ends_after_sequence=point.flow_sequence + rule.count if rule.unit == "rollovers" else None,
        opening=point,
    )


def _is_on_calendar(terms: Terms) -> bool:
    """Whether all investments under these terms end their intervals together."""
    return terms.interval_anchor == Terms.IntervalAnchor.CALENDAR and terms.interval_unit != "rollovers"


def _shares(terms: Terms) -> tuple[Decimal, ...]:
    """Rates of the broker and of each level of agents."""
    return (terms.broker_share_rate, *(Decimal(rate) for rate in terms.agent_share_rates))


def _enter_interval(investment: Investment, interval: Interval) -> None:
    investment.interval = interval
    investment.lowest_units = investment.units
    investment.lowest_units_number = interval.number


def trading_interval(terms: Terms) -> TradingInterval:
    return TradingInterval(terms.interval_unit, terms.interval_count, terms.interval_anchor)  # type: ignore[arg-type]


def cancel_series(account: PammAccount, point: PricePoint) -> int:
    """A wiped-out pool: redeem every unit for nothing and end every investment. Returns how many there
    were. The account's own figures change in memory.
    """
    _require_transaction()
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
        **_WITHOUT_ACCRUALS,
    )
    account.units = ZERO
    account.rounding_carried = ZERO
    account.last_value_days = ZERO
    account.last_lots_per_unit = ZERO
    return cancelled


def _update_investments(investments: Iterable[Investment]) -> None:
    rows = list(investments)
    if not rows:
        return
    columns = (
        ("units", "numeric"),
        ("high_water_mark", "numeric"),
        ("performance_carried", "numeric"),
        ("value_days_put_aside", "numeric"),
        ("value_days_checkpoint", "numeric"),
        ("lots_put_aside", "numeric"),
        ("lots_checkpoint", "numeric"),
        ("subscription_checkpoint", "numeric"),
        ("subscription_number", "integer"),
        ("carried", "jsonb"),
        ("debts", "jsonb"),
        ("shared", "jsonb"),
        ("agents", "jsonb"),
        ("lowest_units", "numeric"),
        ("lowest_units_number", "integer"),
        ("paid_in", "numeric"),
        ("paid_out", "numeric"),
        ("fees_paid", "numeric"),
        ("state", "text"),
        ("end_reason", "text"),
        ("joined_at", "timestamptz"),
        ("closed_at", "timestamptz"),
        ("joined_id", "bigint"),
        ("interval_id", "bigint"),
        ("terms_id", "bigint"),
        ("accepted_terms_id", "bigint"),
        ("terms_accepted_at", "timestamptz"),
    )
    names = ", ".join(name for name, _ in columns)
    arrays = ", ".join(f"%s::{kind}[]" for _, kind in columns)
    assignments = ", ".join(f"{name} = v.{name}" for name, _ in columns)
    # psycopg2 would take a column of lists for an array with more dimensions.
    values = [
        [json.dumps(getattr(row, name)) if kind == "jsonb" else getattr(row, name) for row in rows]
        for name, kind in columns
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE allocation_investment i SET {assignments}"  # noqa: S608
            f" FROM unnest(%s::bigint[], {arrays}) AS v(id, {names}) WHERE i.broker_id = %s AND i.id = v.id",
            [[row.pk for row in rows], *values, current_broker_id()],
        )


def _require_transaction() -> None:
    if not transaction.get_connection().in_atomic_block:
        raise BookOutsideTransaction
