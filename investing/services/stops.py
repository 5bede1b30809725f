"""Stop loss and take profit: setting and removing them, and the closes that a rollover's price makes of
them.

Setting locks the account first, as pricing does: whether a rollover has seen a stop follows from the
account's number of rollovers at either end of the stop's life.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from accounts.models import PammAccount, User
from allocation.calc.price import Price
from allocation.calc.stops import is_reached, price_key, stop_amount, stop_price
from allocation.calc.units import value as value_of_units
from allocation.models import Investment, PricePoint
from allocation.services import last_price, lock_in_ends_at
from brokers.bulk import update_rows
from brokers.errors import NotFound, Refusal
from brokers.queries import broker_in_scope
from brokers.scope import current_broker_id
from investing.amounts import require_amount
from investing.errors import (
    InvestmentNotActive,
    NoStop,
    StopLossNotBelow,
    StopOnOwnCapital,
    StopsChanged,
    StopsCrossed,
    TakeProfitNotAbove,
)
from investing.models import Request, Stop
from investing.services.requests import (
    cancel_for_stop,
    lock_account,
    lock_investment,
    require_lock_in_over,
)
from outbox.services import record_event, record_events

ENDED_COLUMNS = {
    "state": "text",
    "ended_at": "timestamptz",
    "ended_after_sequence": "integer",
    "reached_id": "bigint",
    "request_id": "bigint",
}


@dataclass(frozen=True, slots=True)
class Occasion:
    """When a rollover was due, or ordered `by_hand`: stops set later wait for the next, and by the schedule
    also those within the broker's freeze time.
    """

    at: datetime
    by_hand: bool

    def is_after(self, stop: Stop) -> bool:
        return (stop.set_at if self.by_hand else stop.counts_from) <= self.at


@dataclass(frozen=True, slots=True)
class Priced:
    """An account at the price of its rollover, its row locked."""

    account: PammAccount
    point: PricePoint
    occasion: Occasion

    @property
    def price(self) -> Price:
        return Price(self.point.price_equity, self.point.price_units)


def set_stops(
    *,
    investment: Investment,
    amounts: Mapping[Stop.Kind, Decimal | None],
    by: User,
    expected_units: Decimal | None = None,
) -> list[Stop]:
    """Close the investment at the first rollover at which it is worth no more than the stop loss, or no less
    than the take profit. Those of `amounts` replace the stops of their kind, or with None remove them; the
    others stay. Answers with all there are.

    An amount is a value of the units held now, before fees; kept is the price per unit it stands for. What a
    stop is worth already changes nothing. `expected_units` is what its owner saw.

    Raises `NotFound` for anybody but the owner, `AccountNotActive`, `InvestmentNotActive`, `AlreadyClosing`,
    `LockInNotOver` where nothing could be taken out, `StopOnOwnCapital`, `StopsChanged`, `StopLossNotBelow`,
    `TakeProfitNotAbove`, `StopsCrossed` and those of `require_amount`.
    """
    with transaction.atomic():
        decided = _decide(investment, amounts, by)
        locked = decided.investment
        if expected_units is not None and expected_units != locked.units:
            raise StopsChanged
        _end(decided.replaced, locked.account, Stop.State.REPLACED, by)
        _end(decided.removed, locked.account, Stop.State.REMOVED, by)
        for stop in decided.removed:
            _record_removal(stop, locked, by)
        for stop in decided.begun:
            stop.save(force_insert=True)
            record_event(
                "stop.set",
                subject=locked.public_id,
                stop=stop.kind,
                amount=str(stop.amount),
                price=str(stop.price),
                currency=locked.account.currency,
                replaces=next((str(old.amount) for old in decided.replaced if old.kind == stop.kind), None),
                by=str(by.public_id),
            )
    return decided.stops


def preview_stops(
    *, investment: Investment, amounts: Mapping[Stop.Kind, Decimal | None], by: User
) -> list[Stop]:
    """What `set_stops` would answer, and its refusals; nothing is stored."""
    with transaction.atomic():
        return _decide(investment, amounts, by).stops


def remove_stop(*, investment: Investment, kind: Stop.Kind, by: User) -> Stop:
    """Take a stop away, also where nothing else can be asked for. Raises `NotFound` for anybody but the
    owner, and `NoStop` where there is none, or a rollover has reached it.
    """
    if investment.owner_id != by.pk:
        raise NotFound
    with transaction.atomic():
        account = PammAccount.objects.select_for_update().get(pk=investment.account_id)
        stop = _active_of(investment).filter(kind=kind).first()
        if stop is None:
            raise NoStop
        _end([stop], account, Stop.State.REMOVED, by)
        _record_removal(stop, investment, by)
    return stop


def amount_of(stop: Stop, investment: Investment) -> Decimal:
    """What the investment's present units are worth at the stop's price."""
    return stop_amount(stop.price, investment.units, stop.currency_digits)


def close_reached_stops(priced: Sequence[Priced]) -> dict[int, list[Request]]:
    """By account, a close of every investment one of whose stops its price has reached; in the transaction
    that fixes the price. They are *collecting*: this rollover carries them out or says why they wait.

    One statement where nothing is reached, a constant number where something is. A stop waits while a close
    of its investment is under way already, and until a lock-in is over that cannot be bought off.
    """
    by_account = {row.account.pk: row for row in priced}
    found = _candidates(by_account)
    if not found:
        return {}
    stops = (
        Stop.objects.select_for_update(of=("self",))
        .filter(pk__in=found)
        .filter(~Exists(_open_closes()), investment__state=Investment.State.ACTIVE)
        .select_related("investment__terms", "investment__owner", "investment__personal_account")
        .order_by("investment_id", "kind")
    )
    reached: dict[int, Stop] = {}
    for stop in stops:
        row = by_account[stop.account_id]
        if (
            stop.investment_id not in reached
            and row.occasion.is_after(stop)
            and is_reached(stop.price, row.price, is_loss=stop.is_loss)
            and may_leave_at(stop.investment, row.point.priced_at)
        ):
            reached[stop.investment_id] = stop
    closes: dict[int, list[Request]] = {}
    if not reached:
        return closes
    for stop, request in zip(reached.values(), _write_closes(reached.values(), by_account), strict=True):
        point = by_account[stop.account_id].point
        stop.state, stop.ended_at, stop.ended_after_sequence = (
            Stop.State.REACHED,
            point.priced_at,
            point.sequence,
        )
        stop.reached, stop.request = point, request
        closes.setdefault(stop.account_id, []).append(request)
    update_rows(list(reached.values()), ENDED_COLUMNS)
    cancel_for_stop({pk: {close.created_by_id for close in of_account} for pk, of_account in closes.items()})
    record_events([_event(stop, by_account[stop.account_id]) for stop in reached.values()])
    return closes


def may_leave_at(investment: Investment, moment: datetime) -> bool:
    """Whether its lock-in is over then, or can be bought off by the early exit fee."""
    ends_at = lock_in_ends_at(investment)
    if ends_at is None or moment >= ends_at:
        return True
    return investment.terms is not None and bool(investment.terms.early_exit_rate)


def end_stops_of(closed: Sequence[tuple[Investment, PricePoint]]) -> None:
    """Investments that ended take their stops with them, in the caller's transaction. No statement where none
    ended, two otherwise.
    """
    if not closed:
        return
    points = {investment.pk: point for investment, point in closed}
    # Not by state: an investment has few stops, and an index leads to them.
    rows = Stop.objects.filter(investment__in=points).order_by("id")
    stops = [stop for stop in rows if stop.state == Stop.State.ACTIVE]
    for stop in stops:
        _end_with(stop, points[stop.investment_id])
    update_rows(stops, ENDED_COLUMNS)


def end_stops_of_account(account: PammAccount, point: PricePoint) -> None:
    """All investments of the account have ended, in the caller's transaction."""
    stops = list(Stop.objects.filter(account=account, state=Stop.State.ACTIVE).order_by("id"))
    for stop in stops:
        _end_with(stop, point)
    update_rows(stops, ENDED_COLUMNS)


def _end_with(stop: Stop, point: PricePoint) -> None:
    stop.state, stop.ended_at, stop.ended_after_sequence = (
        Stop.State.ENDED,
        point.priced_at,
        point.sequence,
    )


@dataclass(frozen=True, slots=True)
class _Decided:
    """The investment, locked; its stops as they would be then, and what changes."""

    investment: Investment
    stops: list[Stop]
    begun: list[Stop]
    replaced: list[Stop]
    removed: list[Stop]


def _decide(investment: Investment, amounts: Mapping[Stop.Kind, Decimal | None], by: User) -> _Decided:
    if investment.owner_id != by.pk:
        raise NotFound
    lock_account(investment.account, leaving=True)
    locked = lock_investment(investment)
    if locked.state != Investment.State.ACTIVE or locked.units <= 0:
        raise InvestmentNotActive
    if locked.is_own_capital:
        raise StopOnOwnCapital
    require_lock_in_over(locked)
    stops = {Stop.Kind(stop.kind): stop for stop in _active_of(locked)}
    begun: list[Stop] = []
    replaced: list[Stop] = []
    removed: list[Stop] = []
    for kind, amount in amounts.items():
        before = stops.get(kind)
        if before is not None and amount == amount_of(before, locked):
            continue
        if before is not None:
            (removed if amount is None else replaced).append(stops.pop(kind))
        if amount is not None:
            stops[kind] = _new(locked, kind, amount, _price_of(locked, kind, amount), by)
            begun.append(stops[kind])
    loss, profit = stops.get(Stop.Kind.STOP_LOSS), stops.get(Stop.Kind.TAKE_PROFIT)
    if loss is not None and profit is not None and loss.price >= profit.price:
        raise StopsCrossed(field="stop_loss")
    ordered = [stops[kind] for kind in Stop.Kind if kind in stops]
    return _Decided(locked, ordered, begun, replaced, removed)


def _candidates(by_account: Mapping[int, Priced]) -> list[int]:
    """Keys of active stops that the accounts' prices may have reached, by one index."""
    if not by_account:
        return []
    accounts = list(by_account)
    keys = [price_key(row.price) for row in by_account.values()]
    reached = "SELECT s.id FROM unnest(%s::bigint[], %s::bigint[]) AS p(account_id, price_key)"
    reached += " JOIN investing_stop s ON s.broker_id = %s AND s.account_id = p.account_id"
    reached += " AND s.state = 'active' AND s.kind = "
    with connection.cursor() as cursor:
        cursor.execute(
            f"{reached} 'stop_loss' AND s.price_key >= p.price_key"
            f" UNION ALL {reached} 'take_profit' AND s.price_key <= p.price_key",
            [accounts, keys, current_broker_id()] * 2,
        )
        return [key for (key,) in cursor.fetchall()]


def _open_closes() -> QuerySet[Request]:
    return Request.objects.filter(
        investment=OuterRef("investment"), kind=Request.Kind.CLOSE, state__in=Request.OPEN_STATES
    )


def _write_closes(stops: Collection[Stop], by_account: Mapping[int, Priced]) -> list[Request]:
    requests = []
    for stop in stops:
        row = by_account[stop.account_id]
        requests.append(
            Request(
                investment=stop.investment,
                account=row.account,
                kind=Request.Kind.CLOSE,
                origin=Request.Origin(stop.kind),
                state=Request.State.COLLECTING,
                currency=row.account.currency,
                currency_digits=row.account.currency_digits,
                idempotency_key=f"stop-{stop.public_id}",
                created_by_id=stop.investment.owner_id,
                created_at=row.point.priced_at,
                confirmed_at=row.point.priced_at,
            )
        )
    return list(Request.objects.bulk_create(requests))


def _event(stop: Stop, row: Priced) -> tuple[str, UUID, dict[str, Any]]:
    return (
        "investment.stop_reached",
        stop.investment.public_id,
        {
            "stop": stop.kind,
            "amount": str(stop.amount),
            "stop_price": str(stop.price),
            "price": str(row.point.price),
            "sequence": row.point.sequence,
            "currency": row.account.currency,
            "request": str(stop.request.public_id) if stop.request is not None else None,
        },
    )


def _active_of(investment: Investment) -> QuerySet[Stop]:
    return Stop.objects.filter(investment=investment, state=Stop.State.ACTIVE)


def _record_removal(stop: Stop, investment: Investment, by: User) -> None:
    record_event(
        "stop.removed",
        subject=investment.public_id,
        stop=stop.kind,
        amount=str(amount_of(stop, investment)),
        currency=investment.account.currency,
        by=str(by.public_id),
    )


def _price_of(investment: Investment, kind: Stop.Kind, amount: Decimal) -> Decimal:
    account = investment.account
    try:
        require_amount(amount, currency=account.currency, digits=account.currency_digits)
    except Refusal as refusal:
        refusal.field = kind.value
        raise
    now = last_price(account)
    value = value_of_units(investment.units, now, account.currency_digits)
    is_loss = kind is Stop.Kind.STOP_LOSS
    price = stop_price(amount, investment.units, is_loss=is_loss)
    beyond = amount >= value if is_loss else amount <= value
    if beyond or is_reached(price, now, is_loss=is_loss):
        wrong = StopLossNotBelow if is_loss else TakeProfitNotAbove
        raise wrong(field=kind.value, value=value, currency=account.currency)
    return price


def _new(investment: Investment, kind: Stop.Kind, amount: Decimal, price: Decimal, by: User) -> Stop:
    now, account = timezone.now(), investment.account
    return Stop(
        investment=investment,
        account=account,
        kind=kind,
        price=price,
        amount=amount,
        currency_digits=account.currency_digits,
        units=investment.units,
        set_at=now,
        set_by=by,
        counts_from=now + timedelta(minutes=broker_in_scope().freeze_minutes),
        after_sequence=account.sequence,
    )


def _end(stops: Sequence[Stop], account: PammAccount, state: Stop.State, by: User) -> None:
    for stop in stops:
        stop.state, stop.ended_at, stop.ended_by = state, timezone.now(), by
        stop.ended_after_sequence = account.sequence
        stop.save(update_fields=["state", "ended_at", "ended_by", "ended_after_sequence"])
