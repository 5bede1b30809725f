"""Reads about rollovers: the allocation audit of one, and how a broker's rollovers are doing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Count, DecimalField, Q, QuerySet, Sum, Value
from django.db.models.functions import Coalesce

from accounts.models import PammAccount
from allocation.calc.price import Price
from allocation.models import PricePoint, UnitEntry
from brokers.errors import NotFound
from fees.models import Charge, ChargePart
from investing.models import Request
from rollover.calc.audit import (
    AuditLine,
    AuditSums,
    Check,
    Holding,
    OtherRecords,
    PoolFigures,
    audit_checks,
    audit_lines,
    audit_sums,
    pool_residual,
)
from rollover.models import CountedDeal, Rollover, Schedule
from transfers.models import Leg

PAYOUTS = (UnitEntry.Kind.WITHDRAWAL, UnitEntry.Kind.CLOSE)
NOT_FEES = (*PAYOUTS, UnitEntry.Kind.DEPOSIT, UnitEntry.Kind.WIPE_OUT)


@dataclass(frozen=True, slots=True)
class AllocationAudit:
    """What one rollover did to every investment of its account, and whether the records agree about it.

    Amounts are in `currency` with `pool.digits` decimals. `lines` holds every investment that had units or a
    flow, closed ones included, oldest investment first; `residual` is pool equity less the values.
    """

    rollover: Rollover
    point: PricePoint
    previous_point: PricePoint | None
    currency: str
    pool: PoolFigures
    price_before: Price
    lines: tuple[AuditLine, ...]
    sums: AuditSums
    residual: Decimal
    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        return all(check.holds for check in self.checks)


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


def allocation_audit(rollover: Rollover) -> AllocationAudit:
    """Recompute a past rollover from unit entries and price points, with the same few statements at any size.

    Raises `NotFound` where it was never priced.
    """
    if rollover.price_point_id is None:
        raise NotFound
    point: PricePoint = PricePoint.objects.select_related("account").get(pk=rollover.price_point_id)
    points = PricePoint.objects.filter(account_id=point.account_id)
    previous = points.filter(sequence__lt=point.sequence).order_by("-sequence").first()
    following = points.filter(sequence__gt=point.sequence).order_by("sequence").first()
    pool = _pool_figures(point)
    price_before = Price.INITIAL
    if previous is not None and previous.series == point.series:
        price_before = Price(previous.price_equity, previous.price_units)

    lines = audit_lines(_holdings(point), price_before=price_before, price=pool.price, digits=pool.digits)
    sums = audit_sums(lines)
    deals = CountedDeal.objects.filter(price_point=point).aggregate(
        result=_sum("amount", Q(part=CountedDeal.Part.RESULT)), total=_sum("amount")
    )
    charges = Charge.objects.filter(price_point=point).aggregate(
        all=_sum("amount"), redeemed=_sum("amount", ~Q(kind=Charge.Kind.ENTRY))
    )
    parts = ChargePart.objects.filter(price_point=point).aggregate(total=_sum("amount"))
    checks = audit_checks(
        lines,
        sums,
        pool=pool,
        price_before=price_before,
        previous=_pool_figures(previous) if previous else None,
        other=OtherRecords(
            units_next=following.units if following else point.account.units,
            charges=charges["redeemed"],
            all_charges=charges["all"],
            parts=parts["total"],
            deals_result=deals["result"],
            deals_total=deals["total"],
            is_newest=following is None,
        ),
    )
    return AllocationAudit(
        rollover=rollover,
        point=point,
        previous_point=previous,
        currency=point.account.currency,
        pool=pool,
        price_before=price_before,
        lines=lines,
        sums=sums,
        residual=pool_residual(pool, sums),
        checks=checks,
    )


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
    open_legs = (Leg.State.PLANNED, Leg.State.SENDING, Leg.State.UNKNOWN)
    legs = Leg.objects.filter(state__in=open_legs).aggregate(
        unknown=Count("pk", filter=Q(state=Leg.State.UNKNOWN)), open=Count("pk")
    )
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


def _holdings(point: PricePoint) -> list[Holding]:
    kinds = UnitEntry.Kind
    before = Q(price_point__sequence__lt=point.sequence)
    now = Q(price_point_id=point.pk)
    rows = (
        UnitEntry.objects.filter(account_id=point.account_id, price_point__sequence__lte=point.sequence)
        .values(
            "investment_id",
            "investment__public_id",
            "investment__owner__first_name",
            "investment__owner__last_name",
            "investment__owner__email",
            "investment__personal_account__login",
            "investment__is_own_capital",
            "investment__units",
        )
        .annotate(
            entries=Count("pk", filter=now),
            units_before=_sum("units", before),
            units_changed=_sum("units", now),
            deposited=_sum("amount", now & Q(kind=kinds.DEPOSIT)),
            taken_out=_sum("amount", now & Q(kind__in=PAYOUTS)),
            # Whatever is none of the others is a fee, so that a new kind cannot be left out.
            charged=_sum("amount", now & ~Q(kind__in=NOT_FEES)),
            cancelled=_sum("amount", now & Q(kind=kinds.WIPE_OUT)),
        )
        .exclude(units_before=0, entries=0)
        .order_by("investment_id")
    )
    return [_holding(row) for row in rows]


def _holding(row: Mapping[str, Any]) -> Holding:
    name = f"{row['investment__owner__first_name']} {row['investment__owner__last_name']}".strip()
    return Holding(
        investment=row["investment__public_id"],
        owner=name or row["investment__owner__email"],
        login=row["investment__personal_account__login"],
        is_own_capital=row["investment__is_own_capital"],
        entries=row["entries"],
        units_before=row["units_before"],
        units_changed=row["units_changed"],
        deposited=row["deposited"],
        withdrawn=-row["taken_out"],
        charged=-row["charged"],
        cancelled=-row["cancelled"],
        stored_units=row["investment__units"],
    )


def _sum(column: str, condition: Q | None = None) -> Coalesce:
    number = DecimalField(max_digits=52, decimal_places=24)
    return Coalesce(Sum(column, filter=condition), Value(Decimal(0)), output_field=number)
