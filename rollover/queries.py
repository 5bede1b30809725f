"""Reads about rollovers: the allocation audit of one, and how a broker's rollovers are doing."""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import groupby, starmap
from typing import Any, overload

from django.db.models import Count, DecimalField, F, Max, Q, QuerySet, Sum, Value
from django.db.models.functions import Coalesce

from accounts.models import PammAccount
from allocation.calc.price import Price
from allocation.models import Investment, PricePoint, UnitEntry
from brokers.errors import NotFound
from fees.models import Charge, ChargePart
from investing.models import Request
from rollover.calc.audit import (
    AuditLine,
    AuditSums,
    AuditTally,
    Check,
    Holding,
    OtherRecords,
    PoolFigures,
    ScaledLine,
    SummedEntries,
    Whose,
    audit_checks,
    audit_line,
    pool_residual,
)
from rollover.models import CountedDeal, Finding, Rollover, Schedule
from trading.breaker import FAILURES_ALLOWED
from trading.models import ServerCondition
from transfers.models import Leg

PAYOUTS = (UnitEntry.Kind.WITHDRAWAL, UnitEntry.Kind.CLOSE)
NOT_FEES = (*PAYOUTS, UnitEntry.Kind.DEPOSIT, UnitEntry.Kind.WIPE_OUT)
AT_ONCE = 500
"""Rows of a file that are in memory together."""


@dataclass(frozen=True, slots=True)
class AuditOutcome:
    """What all lines of an audit come to: sums, what rounding leaves over, and the checks."""

    sums: AuditSums
    residual: Decimal
    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        return all(check.holds for check in self.checks)


@dataclass(frozen=True, slots=True)
class AllocationAudit(AuditOutcome):
    """What one rollover did to every investment of its account, and whether the records agree about it.

    Amounts are in `currency` with `pool.digits` decimals. `lines` holds every investment that had units or a
    flow, closed ones included, oldest investment first; `residual` is pool equity less the values.
    """

    rollover: Rollover
    point: PricePoint
    currency: str
    pool: PoolFigures
    price_before: Price
    lines: "AuditLines"


@dataclass(frozen=True, slots=True)
class AuditLines(Sequence[AuditLine]):
    """All lines of an audit, each made when somebody looks at it: one statement per slice."""

    summed: Sequence[SummedEntries]
    price_before: Price
    price: Price
    digits: int

    def __len__(self) -> int:
        return len(self.summed)

    @overload
    def __getitem__(self, index: int) -> AuditLine: ...

    @overload
    def __getitem__(self, index: slice) -> list[AuditLine]: ...

    def __getitem__(self, index: int | slice) -> AuditLine | list[AuditLine]:
        if isinstance(index, int):
            return self._made([self.summed[index]])[0]
        return self._made(self.summed[index])

    def __iter__(self) -> Iterator[AuditLine]:
        return iter(self[:])

    def _made(self, summed: Sequence[SummedEntries]) -> list[AuditLine]:
        whose = dict(_whose(_owners(Investment.objects.filter(pk__in=[row.investment for row in summed]))))
        return [
            audit_line(
                Holding.of(whose[row.investment], row),
                price_before=self.price_before,
                price=self.price,
                digits=self.digits,
            )
            for row in summed
        ]


@dataclass(frozen=True, slots=True)
class BrokerHealth:
    """Whether a broker's rollovers run: counts, and when the last one was completed."""

    last_completed_at: datetime | None
    next_scheduled_at: datetime | None
    open_rollovers: int
    held_rollovers: int
    active_accounts: int
    held_accounts: int
    requests_awaiting_broker: int
    requests_awaiting_manager: int
    requests_confirmed: int
    transfers_unknown: int
    transfers_open: int
    transfers_in_conflict: int
    findings_open: int
    servers_failing: int


def allocation_audit(rollover: Rollover) -> AllocationAudit:
    """Recompute a past rollover from unit entries and price points, with the same few statements at any size.

    Raises `NotFound` where it was never priced.
    """
    records = _records_of(rollover)
    summed = list(starmap(SummedEntries, records.summed_entries()))
    for row in summed:
        records.tally.add(row)
    outcome = records.outcome()
    return AllocationAudit(
        sums=outcome.sums,
        residual=outcome.residual,
        checks=outcome.checks,
        rollover=rollover,
        point=records.point,
        currency=records.point.account.currency,
        pool=records.pool,
        price_before=records.price_before,
        lines=AuditLines(summed, records.price_before, records.pool.price, records.pool.digits),
    )


class AuditStream:
    """The allocation audit in one pass that keeps no line in memory: first `lines`, then `outcome`.

    Raises `NotFound` where the rollover was never priced.
    """

    def __init__(self, rollover: Rollover) -> None:
        self._records = _records_of(rollover)
        self.pool = self._records.pool

    def lines(self) -> Iterator[tuple[Whose, ScaledLine]]:
        """Every line, oldest investment first. Two statements at any size, read side by side."""
        records = self._records
        investments = Investment.objects.filter(pk__in=records.entries().values("investment_id"))
        whose = _whose(_owners(investments.order_by("pk")).iterator(AT_ONCE))
        for summed in starmap(SummedEntries, records.summed_entries().iterator(AT_ONCE)):
            key, named = next(whose)
            while key != summed.investment:
                key, named = next(whose)
            yield named, records.tally.add(summed)

    def outcome(self) -> AuditOutcome:
        """Of the lines that were read: all of them, for it to mean anything."""
        return self._records.outcome()


def deals_counted_at(rollover: Rollover) -> QuerySet[CountedDeal]:
    """Deals of the trading server that this rollover counted, by ticket."""
    return CountedDeal.objects.filter(price_point_id=rollover.price_point_id).order_by("ticket")


def charges_at(rollover: Rollover) -> QuerySet[Charge]:
    """Fees charged at this rollover, with whom they concern and their parts."""
    return (
        Charge.objects.filter(price_point_id=rollover.price_point_id)
        .select_related("investment__owner")
        .prefetch_related("parts")
        .order_by("id")
    )


@dataclass(frozen=True, slots=True)
class ChargeToFile:
    """A charge, whose it is, and who received what of it: party, level of an agent, amount."""

    investment: uuid.UUID
    charge: Charge
    parts: list[tuple[str, int, Decimal]]


def charges_to_file(rollover: Rollover) -> Iterator[ChargeToFile]:
    """Fees charged at this rollover, one after the other: two statements at any size, read side by side."""
    charges = Charge.objects.filter(price_point_id=rollover.price_point_id).order_by("pk")
    rows = (
        ChargePart.objects.filter(charge__price_point_id=rollover.price_point_id)
        .order_by("charge_id", "pk")
        .values_list("charge_id", "party", "level", "amount")
    )
    parts = groupby(rows.iterator(AT_ONCE), key=lambda row: row[0])
    key, of_charge = next(parts, (None, iter(())))
    for charge in charges.annotate(whose=F("investment__public_id")).iterator(AT_ONCE):
        mine = []
        if key == charge.pk:
            mine = [(party, level, amount) for _, party, level, amount in of_charge]
            key, of_charge = next(parts, (None, iter(())))
        yield ChargeToFile(charge.whose, charge, mine)


def broker_health() -> BrokerHealth:
    """State of the broker in scope, in a constant number of statements."""
    rollovers = Rollover.objects.aggregate(
        open=Count("pk", filter=Q(state__in=Rollover.OPEN_STATES)),
        held=Count("pk", filter=Q(state=Rollover.State.HELD)),
    )
    last = Rollover.objects.filter(state=Rollover.State.COMPLETED).order_by("-id").first()
    schedule = Schedule.objects.filter(is_active=True).first()
    accounts = PammAccount.objects.aggregate(
        active=Count("pk", filter=Q(state=PammAccount.State.ACTIVE)), held=Count("pk", filter=Q(is_held=True))
    )
    pending = Q(state=Request.State.PENDING)
    by_broker = Q(investment__terms__offer__approval="broker")
    requests = Request.objects.filter(state__in=Request.OPEN_STATES).aggregate(
        broker=Count("pk", filter=pending & by_broker),
        manager=Count("pk", filter=pending & ~by_broker),
        confirmed=Count("pk", filter=~pending),
    )
    open_legs = (Leg.State.PLANNED, Leg.State.SENDING, Leg.State.UNKNOWN, Leg.State.CONFLICT)
    legs = Leg.objects.filter(state__in=open_legs).aggregate(
        unknown=Count("pk", filter=Q(state=Leg.State.UNKNOWN)),
        conflicts=Count("pk", filter=Q(state=Leg.State.CONFLICT)),
        open=Count("pk"),
    )
    failing = ServerCondition.objects.filter(failures__gte=FAILURES_ALLOWED, server__is_active=True)
    return BrokerHealth(
        last_completed_at=last.completed_at if last else None,
        next_scheduled_at=schedule.next_at if schedule else None,
        open_rollovers=rollovers["open"],
        held_rollovers=rollovers["held"],
        active_accounts=accounts["active"],
        held_accounts=accounts["held"],
        requests_awaiting_broker=requests["broker"],
        requests_awaiting_manager=requests["manager"],
        requests_confirmed=requests["confirmed"],
        transfers_unknown=legs["unknown"],
        transfers_open=legs["open"],
        transfers_in_conflict=legs["conflicts"],
        findings_open=Finding.objects.filter(state=Finding.State.OPEN).count(),
        servers_failing=failing.count(),
    )


def _pool_figures(point: PricePoint) -> PoolFigures:
    return PoolFigures(
        server_balance=point.server_balance,
        server_equity=point.server_equity,
        server_credit=point.server_credit,
        owed=point.owed,
        incoming=point.incoming,
        trading_result=point.trading_result,
        equity=point.equity,
        units=point.units,
        price=Price(point.price_equity, point.price_units),
        shown_price=point.price,
        digits=point.currency_digits,
    )


@dataclass(slots=True)
class _Records:
    """What the books say about one rollover, read as far as its size does not matter.

    `following` is the price point after it, None where it is the newest.
    """

    point: PricePoint
    previous: PricePoint | None
    following: PricePoint | None
    pool: PoolFigures = field(init=False)
    price_before: Price = field(init=False)
    tally: AuditTally = field(init=False)

    def __post_init__(self) -> None:
        point, previous = self.point, self.previous
        self.pool = _pool_figures(point)
        self.price_before = Price.INITIAL
        if previous is not None and previous.series == point.series:
            self.price_before = Price(previous.price_equity, previous.price_units)
        self.tally = AuditTally(
            price_before=self.price_before, price=self.pool.price, digits=self.pool.digits
        )

    def entries(self) -> QuerySet[UnitEntry]:
        """Unit entries up to this rollover: by the price points, so that later ones are not even read."""
        point = self.point
        return UnitEntry.objects.filter(
            account_id=point.account_id,
            price_point__account_id=point.account_id,
            price_point__sequence__lte=point.sequence,
        )

    def summed_entries(self) -> QuerySet[UnitEntry, tuple[Any, ...]]:
        """Rows of `SummedEntries` of every investment that had units or a flow, oldest first."""
        kinds = UnitEntry.Kind
        now = Q(price_point_id=self.point.pk)
        rows = (
            self.entries()
            .values_list("investment_id")
            .annotate(
                units_before=Sum("units", filter=~now),
                entries=Count("pk", filter=now),
                units_changed=Sum("units", filter=now),
                deposited=Sum("amount", filter=now & Q(kind=kinds.DEPOSIT)),
                taken_out=Sum("amount", filter=now & Q(kind__in=PAYOUTS)),
                # Whatever is none of the others is a fee, so that a new kind cannot be left out.
                charged=Sum("amount", filter=now & ~Q(kind__in=NOT_FEES)),
                cancelled=Sum("amount", filter=now & Q(kind=kinds.WIPE_OUT)),
            )
            .exclude(units_before=0, entries=0)
            .order_by("investment_id")
        )
        if self.following is None:
            rows = rows.annotate(stored_units=Max("investment__units"))
        return rows

    def outcome(self) -> AuditOutcome:
        point, tally = self.point, self.tally
        deals = CountedDeal.objects.filter(price_point=point).aggregate(
            result=_sum("amount", Q(part=CountedDeal.Part.RESULT)), total=_sum("amount")
        )
        charges = Charge.objects.filter(price_point=point).aggregate(
            all=_sum("amount"), redeemed=_sum("amount", ~Q(kind=Charge.Kind.ENTRY))
        )
        parts = ChargePart.objects.filter(price_point=point).aggregate(total=_sum("amount"))
        checks = audit_checks(
            tally,
            pool=self.pool,
            price_before=self.price_before,
            previous=_pool_figures(self.previous) if self.previous else None,
            other=OtherRecords(
                units_next=self.following.units if self.following else point.account.units,
                charges=charges["redeemed"],
                all_charges=charges["all"],
                parts=parts["total"],
                deals_result=deals["result"],
                deals_total=deals["total"],
                is_newest=self.following is None,
            ),
        )
        sums = tally.sums
        return AuditOutcome(sums, pool_residual(self.pool, sums), checks)


def _records_of(rollover: Rollover) -> _Records:
    if rollover.price_point_id is None:
        raise NotFound
    point: PricePoint = PricePoint.objects.select_related("account").get(pk=rollover.price_point_id)
    points = PricePoint.objects.filter(account_id=point.account_id)
    return _Records(
        point=point,
        previous=points.filter(sequence__lt=point.sequence).order_by("-sequence").first(),
        following=points.filter(sequence__gt=point.sequence).order_by("sequence").first(),
    )


def _owners(investments: QuerySet[Investment]) -> QuerySet[Investment, tuple[Any, ...]]:
    return investments.values_list(
        "pk",
        "public_id",
        "owner__first_name",
        "owner__last_name",
        "owner__email",
        "personal_account__login",
        "is_own_capital",
    )


def _whose(owners: Iterable[tuple[Any, ...]]) -> Iterator[tuple[int, Whose]]:
    """Whose investments are, by primary key, from rows of `_owners` in their order."""
    for key, investment, first_name, last_name, email, login, is_own_capital in owners:
        owner = f"{first_name} {last_name}".strip() or email
        yield key, Whose(investment, owner, login, is_own_capital)


def _sum(column: str, condition: Q | None = None) -> Coalesce:
    number = DecimalField(max_digits=52, decimal_places=24)
    return Coalesce(Sum(column, filter=condition), Value(Decimal(0)), output_field=number)
