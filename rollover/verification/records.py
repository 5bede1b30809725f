"""The rows a verification reads: columns by name, in the order of history, a constant number of statements.

History is streamed and never held; what is held grows with investments, requests and payments.
"""

import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from django.db import connection, transaction
from django.db.models import Model, Q, QuerySet, Subquery, Sum
from django.utils import timezone

from accounts.models import HouseAccount, PammAccount, PersonalAccount
from allocation.models import Investment, PricePoint, UnitEntry
from brokers.queries import broker_in_scope
from brokers.scope import current_broker_id
from fees.models import Charge, ChargePart
from investing.models import Request
from outbox.models import Event
from rollover.models import CountedDeal, Decision
from trading.gateway import FLOW_ACTIONS
from transfers.models import Leg, Side, Transfer

CHUNK = 2000
LedgerKey = tuple[str, uuid.UUID, str]
"""Kind, subject and currency of a ledger account."""
Payable = tuple[uuid.UUID, str, uuid.UUID]
"""A payee, and side and owner of an account of theirs."""


class Point(NamedTuple):
    """A price point; `rollover` is the public id of the rollover that made it."""

    pk: int
    series: int
    sequence: int
    flow_sequence: int
    moves_money: bool
    priced_at: datetime
    server_balance: Decimal
    server_equity: Decimal
    server_credit: Decimal
    owed: Decimal
    incoming: Decimal
    trading_result: Decimal
    equity: Decimal
    units: Decimal
    price_equity: Decimal
    price_units: Decimal
    price: Decimal
    closed_lots: Decimal
    value_days: Decimal
    lots_per_unit: Decimal
    currency_digits: int
    rollover: uuid.UUID | None

    @property
    def name(self) -> str:
        return f"{self.rollover} (#{self.sequence}, {self.priced_at:%Y-%m-%d %H:%M:%S} UTC)"


class EntryRow(NamedTuple):
    """A unit entry."""

    sequence: int
    pk: int
    public_id: uuid.UUID
    investment_id: int
    kind: str
    units: Decimal
    amount: Decimal
    currency_digits: int
    source: uuid.UUID | None


class ChargeRow(NamedTuple):
    """A charge."""

    sequence: int
    pk: int
    public_id: uuid.UUID
    investment_id: int
    kind: str
    occasion: str
    collects_debt: bool
    amount: Decimal
    uncollected: Decimal
    currency: str
    currency_digits: int
    profit: Decimal
    mark_before: Decimal
    mark_after: Decimal
    carried_before: Decimal
    carried_after: Decimal
    explanation: dict[str, Any]
    charged_at: datetime


class PartRow(NamedTuple):
    """What one party receives of a charge; `payee` is the public id of that party."""

    sequence: int
    charge_id: int
    party: str
    level: int
    payee: uuid.UUID
    amount: Decimal
    currency: str
    currency_digits: int


class DealSums(NamedTuple):
    """Deals that one price point counted, summed."""

    sequence: int
    result: Decimal | None
    total: Decimal
    closed_lots: Decimal


class JudgedDeal(NamedTuple):
    """A counted deal that somebody must have decided about: not ours, and not of trading.

    A difference without a deal is counted under the negative key of its decision.
    """

    ticket: int
    sequence: int
    part: str
    amount: Decimal


class DecisionRow(NamedTuple):
    """Whose a foreign operation is; `request`: public id of the deposit that was made of it."""

    pk: int
    public_id: uuid.UUID
    ticket: int | None
    kind: str
    amount: Decimal
    made_at: datetime
    transfer_id: int | None
    request: uuid.UUID | None

    @property
    def counted_under(self) -> int:
        return -self.pk if self.ticket is None else self.ticket


class LedgerLine(NamedTuple):
    """What a rollover's entry posted to one ledger account, summed; empty where it has no postings."""

    sequence: int
    entry: uuid.UUID
    kind: str | None
    subject: uuid.UUID | None
    currency: str | None
    amount: Decimal | None


class SourceLine(NamedTuple):
    """What the entry of a leg, or of a decision, posted to one ledger account, summed."""

    source: str
    entry: uuid.UUID
    kind: str | None
    subject: uuid.UUID | None
    currency: str | None
    amount: Decimal | None


class TermsChange(NamedTuple):
    """An event: newer terms took effect. Public ids of it, the investment and, as text, both versions."""

    event: uuid.UUID
    investment: uuid.UUID
    sequence: int | None
    terms: str | None
    replaces: str | None


class Asked(NamedTuple):
    """What was asked for: `amount` before any fee; `paid_by`, the public id of the broker's account that a
    deposit comes from instead of the personal account.
    """

    amount: Decimal | None
    origin: str
    paid_by: uuid.UUID | None


class RequestRow(NamedTuple):
    """A request; `personal` and `paid_by` are public ids: of the investment's personal account, and of the
    broker's account that a deposit comes from instead.
    """

    public_id: uuid.UUID
    kind: str
    amount: Decimal | None
    state: str
    executed_amount: Decimal | None
    executed_fee: Decimal | None
    unit_entry_id: int | None
    collection_id: int | None
    origin: str
    personal: uuid.UUID
    paid_by: uuid.UUID | None


class TransferRow(NamedTuple):
    pk: int
    public_id: uuid.UUID
    purpose: str
    subject: uuid.UUID
    payee: uuid.UUID | None
    amount: Decimal
    currency: str
    state: str
    created_at: datetime


class LegRow(NamedTuple):
    transfer_id: int
    position: int
    login: int
    side: str
    owner: uuid.UUID
    amount: Decimal
    currency: str
    key: str
    state: str
    ticket: int | None
    counted: bool
    applied_at: datetime | None


@dataclass(frozen=True, slots=True)
class Until:
    """A moment of the past: nothing after it counts. `sequence` is the account's last rollover up to `at`,
    `next_priced_at` the one after it; 0 and empty where there is none.
    """

    at: datetime
    sequence: int
    next_priced_at: datetime | None


def until_moment(account: PammAccount, at: datetime | int) -> Until:
    """The moment `at`; of the number of a rollover, all that happened before the next one."""
    points = PricePoint.objects.filter(account=account).order_by("sequence")
    if isinstance(at, int):
        upcoming = points.filter(sequence__gt=at).first()
        moment = timezone.now() if upcoming is None else upcoming.priced_at - timedelta.resolution
        return Until(moment, at, None if upcoming is None else upcoming.priced_at)
    last, upcoming = points.filter(priced_at__lte=at).last(), points.filter(priced_at__gt=at).first()
    return Until(at, 0 if last is None else last.sequence, None if upcoming is None else upcoming.priced_at)


class _Sequenced(Protocol):
    @property
    def sequence(self) -> int: ...


R = TypeVar("R", bound=_Sequenced)
M = TypeVar("M", bound=Model)


class InOrder(Generic[R]):
    """Rows that rise by the sequence of their rollover, taken one rollover at a time, and all of them in the
    end: a stream left half read holds its cursor.
    """

    def __init__(self, rows: Iterator[R]) -> None:
        self._rows = rows
        self._next: R | None = next(rows, None)

    def take(self, sequence: int) -> list[R]:
        taken: list[R] = []
        while self._next is not None and self._next.sequence <= sequence:
            taken.append(self._next)
            self._next = next(self._rows, None)
        return taken


@contextmanager
def one_moment() -> Iterator[None]:
    """Everything read inside is of the same moment, while rollovers go on; nothing can be written."""
    if connection.in_atomic_block:
        yield
        return
    # The session takes the scope with this read: after BEGIN nothing may run before SET TRANSACTION.
    broker_in_scope()
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


def points_of(account: PammAccount, *, until: int | None = None) -> Iterator[Point]:
    """In order, the whole series or up to the rollover number `until`."""
    columns = [name for name in Point._fields if name != "rollover"]
    rows = PricePoint.objects.filter(account=account).order_by("sequence")
    if until is not None:
        rows = rows.filter(sequence__lte=until)
    return map(Point._make, _streamed(rows, *columns, "rollover__public_id"))


def unit_entries_of(account: PammAccount, *, until: int | None = None) -> InOrder[EntryRow]:
    rows = _up_to(until, UnitEntry.objects.filter(account=account)).order_by("price_point__sequence", "id")
    return InOrder(map(EntryRow._make, _streamed(rows, "price_point__sequence", *EntryRow._fields[1:])))


def charges_of(account: PammAccount, *, until: int | None = None) -> InOrder[ChargeRow]:
    rows = _up_to(until, Charge.objects.filter(account=account)).order_by("price_point__sequence", "id")
    return InOrder(map(ChargeRow._make, _streamed(rows, "price_point__sequence", *ChargeRow._fields[1:])))


def parts_of(account: PammAccount, *, until: int | None = None) -> InOrder[PartRow]:
    rows = _up_to(until, ChargePart.objects.filter(account=account)).order_by("price_point__sequence", "id")
    return InOrder(map(PartRow._make, _streamed(rows, "price_point__sequence", *PartRow._fields[1:])))


def deal_sums_of(account: PammAccount, *, until: int | None = None) -> InOrder[DealSums]:
    rows = (
        _up_to(until, CountedDeal.objects.filter(account=account))
        .values("price_point__sequence")
        .annotate(
            result=Sum("amount", filter=Q(part=CountedDeal.Part.RESULT)),
            total=Sum("amount"),
            closed_lots=Sum("closed_lots"),
        )
        .order_by("price_point__sequence")
    )
    return InOrder(map(DealSums._make, _streamed(rows, "price_point__sequence", *DealSums._fields[1:])))


def judged_deals_of(account: PammAccount) -> dict[int, JudgedDeal]:
    """By ticket: foreign operations that moved money, and results that no trade brought."""
    foreign = Q(part=CountedDeal.Part.FOREIGN) & ~Q(amount=0)
    not_traded = Q(part=CountedDeal.Part.RESULT, action__in=FLOW_ACTIONS) & ~Q(amount=0)
    rows = CountedDeal.objects.filter(foreign | not_traded | Q(ticket__lt=0), account=account)
    found = rows.values_list("ticket", "price_point__sequence", "part", "amount")
    return {deal.ticket: deal for deal in map(JudgedDeal._make, found)}


def decisions_of(account: PammAccount) -> list[DecisionRow]:
    """In the order in which they were made; those that only note something are left out."""
    rows = Decision.objects.filter(account=account).exclude(kind=Decision.Kind.NOTED).order_by("id")
    return list(map(DecisionRow._make, rows.values_list(*DecisionRow._fields[:-1], "request__public_id")))


def house_account_of(account: PammAccount, purpose: HouseAccount.Purpose) -> uuid.UUID | None:
    """Public id of the broker's own account for that purpose, on the account's server in its currency."""
    houses = HouseAccount.objects.filter(server=account.server_id, purpose=purpose, currency=account.currency)
    return houses.values_list("public_id", flat=True).first()


def ledger_lines_of(account: PammAccount, *, until: int | None = None) -> InOrder[LedgerLine]:
    """By rollover. An entry names its price point in `source`, which no relation of the models follows."""
    return InOrder(_ledger_lines(account, until))


def _ledger_lines(account: PammAccount, until: int | None) -> Iterator[LedgerLine]:
    with connection.chunked_cursor() as cursor:
        cursor.execute(
            "SELECT p.sequence, e.public_id, a.kind, a.subject, a.currency, sum(l.amount)"
            " FROM allocation_pricepoint p"
            " JOIN ledger_entry e ON e.broker_id = p.broker_id AND e.source = 'price-point:' || p.id"
            " LEFT JOIN ledger_posting l ON l.broker_id = e.broker_id AND l.entry_id = e.id"
            " LEFT JOIN ledger_ledgeraccount a ON a.broker_id = l.broker_id AND a.id = l.account_id"
            " WHERE p.broker_id = %s AND p.account_id = %s AND p.sequence <= coalesce(%s, p.sequence)"
            " GROUP BY p.sequence, e.public_id, a.kind, a.subject, a.currency ORDER BY p.sequence",
            [current_broker_id(), account.pk, until],
        )
        while rows := cursor.fetchmany(CHUNK):
            yield from map(LedgerLine._make, rows)


def terms_changes_of(account: PammAccount) -> list[TermsChange]:
    """In the order in which they happened. Only the events are a history of them."""
    investments = Investment.objects.filter(account=account).values("public_id")
    rows = Event.objects.filter(kind="terms.took_effect", subject__in=investments).order_by("id")
    return [
        TermsChange(event, subject, payload.get("sequence"), payload.get("terms"), payload.get("replaces"))
        for event, subject, payload in rows.values_list("public_id", "subject", "payload")
    ]


def requests_of(account: PammAccount) -> Iterator[RequestRow]:
    rows = Request.objects.filter(account=account).order_by("id")
    related = ("investment__personal_account__public_id", "paid_by__public_id")
    return map(RequestRow._make, _streamed(rows, *RequestRow._fields[:-2], *related))


def asked_of(account: PammAccount) -> dict[uuid.UUID, Asked]:
    """What deposits and closes asked for, by request."""
    rows = Request.objects.filter(account=account).exclude(kind=Request.Kind.WITHDRAWAL)
    asked = rows.values_list("public_id", "amount", "origin", "paid_by__public_id")
    return {request: Asked(amount, origin, paid_by) for request, amount, origin, paid_by in asked}


def accounts_of_payees(account: PammAccount, payees: Collection[uuid.UUID]) -> list[Payable]:
    """Where the payees of its fees can be paid, in its currency on its server: (payee, side, owner)."""
    there = {"server": account.server_id, "currency": account.currency}
    houses = HouseAccount.objects.filter(
        **there, purpose=HouseAccount.Purpose.INCOME, broker__public_id__in=payees
    ).values_list("broker__public_id", "public_id")
    personal = PersonalAccount.objects.filter(**there, user__agent_profile__public_id__in=payees).values_list(
        "user__agent_profile__public_id", "public_id"
    )
    return [
        (account.manager.public_id, Side.PERSONAL, account.income_account.public_id),
        *((payee, Side.HOUSE, owner) for payee, owner in houses),
        *((payee, Side.PERSONAL, owner) for payee, owner in personal),
    ]


def transfers_of(account: PammAccount) -> Iterator[TransferRow]:
    rows = Transfer.objects.filter(pool=account.public_id).order_by("id")
    return map(TransferRow._make, _streamed(rows, *TransferRow._fields))


def legs_of(account: PammAccount) -> Iterator[LegRow]:
    rows = Leg.objects.filter(pool=account.public_id).order_by("transfer", "position")
    return map(LegRow._make, _streamed(rows, *LegRow._fields))


def source_lines_of(account: PammAccount) -> Iterator[SourceLine]:
    """What the ledger holds about the account's legs and decisions."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(
            "SELECT e.source, e.public_id, a.kind, a.subject, a.currency, sum(l.amount) FROM ("
            " SELECT key AS source FROM transfers_leg WHERE broker_id = %(broker)s AND pool = %(pool)s"
            " UNION ALL SELECT 'decision:' || public_id FROM rollover_decision"
            " WHERE broker_id = %(broker)s AND account_id = %(account)s) s"
            " JOIN ledger_entry e ON e.broker_id = %(broker)s AND e.source = s.source"
            " LEFT JOIN ledger_posting l ON l.broker_id = e.broker_id AND l.entry_id = e.id"
            " LEFT JOIN ledger_ledgeraccount a ON a.broker_id = l.broker_id AND a.id = l.account_id"
            " GROUP BY e.source, e.public_id, a.kind, a.subject, a.currency",
            {"broker": current_broker_id(), "pool": account.public_id, "account": account.pk},
        )
        while rows := cursor.fetchmany(CHUNK):
            yield from map(SourceLine._make, rows)


def ledger_sums_of(account: PammAccount, until: Until) -> dict[str, Decimal]:
    """What the account's rollovers, legs and decisions had posted by then, by kind of ledger account, in the
    account's currency.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT a.kind, sum(l.amount) FROM ("
            " SELECT 'price-point:' || id AS source FROM allocation_pricepoint"
            " WHERE broker_id = %(broker)s AND account_id = %(account)s AND sequence <= %(sequence)s"
            " UNION ALL SELECT key FROM transfers_leg"
            " WHERE broker_id = %(broker)s AND pool = %(pool)s AND applied_at <= %(at)s"
            " UNION ALL SELECT 'decision:' || public_id FROM rollover_decision"
            " WHERE broker_id = %(broker)s AND account_id = %(account)s AND made_at <= %(at)s) s"
            " JOIN ledger_entry e ON e.broker_id = %(broker)s AND e.source = s.source"
            " JOIN ledger_posting l ON l.broker_id = e.broker_id AND l.entry_id = e.id"
            " JOIN ledger_ledgeraccount a ON a.broker_id = l.broker_id AND a.id = l.account_id"
            " WHERE a.currency = %(currency)s GROUP BY a.kind ORDER BY a.kind",
            {
                "broker": current_broker_id(),
                "account": account.pk,
                "pool": account.public_id,
                "currency": account.currency,
                "sequence": until.sequence,
                "at": until.at,
            },
        )
        return dict(cursor.fetchall())


def unlinked_legs_of(account: PammAccount, *, before_sequence: int) -> list[str]:
    """Keys of applied legs without a link though they were applied before that rollover's last but one: with
    the last, they may not have been committed yet.
    """
    earlier = PricePoint.objects.filter(account=account, sequence=before_sequence - 1).values("priced_at")
    rows = Leg.objects.filter(pool=account.public_id, state=Leg.State.APPLIED, link_sequence__isnull=True)
    return list(rows.filter(applied_at__lt=Subquery(earlier)).order_by("id").values_list("key", flat=True))


def counted_transfers_of(account: PammAccount, *, until: int | None = None) -> dict[int, Decimal]:
    """Amounts by ticket of the deals that were counted as our own transfers, all or up to that rollover."""
    rows = CountedDeal.objects.filter(account=account, part=CountedDeal.Part.OURS)
    if until is not None:
        rows = rows.filter(price_point__sequence__lte=until)
    return dict(rows.values_list("ticket", "amount"))


def _up_to(until: int | None, rows: QuerySet[M, M]) -> QuerySet[M, M]:
    """All, or those of the rollovers up to the number `until`."""
    return rows if until is None else rows.filter(price_point__sequence__lte=until)


def _streamed(rows: QuerySet[Any, Any], *columns: str) -> Iterator[tuple[Any, ...]]:
    return rows.values_list(*columns).iterator(chunk_size=CHUNK)
