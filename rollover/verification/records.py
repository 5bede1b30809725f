"""The rows a verification reads: columns by name, in the order of history, a constant number of statements.

History is streamed and never held; what is held grows with investments, requests and payments.
"""

import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from django.db import connection, transaction
from django.db.models import Count, Q, QuerySet, Sum

from accounts.models import HouseAccount, PammAccount, PersonalAccount
from allocation.models import Investment, PricePoint, UnitEntry
from brokers.queries import broker_in_scope
from brokers.scope import current_broker_id
from fees.models import Charge, ChargePart
from investing.models import Request
from ledger.models import Entry
from outbox.models import Event
from rollover.models import CountedDeal
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
    """Deals that one price point counted, summed; `foreign_moves`: foreign ones that moved money.

    `volume`: lots of the deals that are part of the result, opening ones included.
    """

    sequence: int
    result: Decimal | None
    total: Decimal
    volume: Decimal | None
    foreign_moves: int


class LedgerLine(NamedTuple):
    """What a rollover's entry posted to one ledger account, summed; empty where it has no postings."""

    sequence: int
    entry: uuid.UUID
    kind: str | None
    subject: uuid.UUID | None
    currency: str | None
    amount: Decimal | None


class LegLine(NamedTuple):
    """What a leg's entry posted to one ledger account, summed."""

    key: str
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


class RequestRow(NamedTuple):
    """A request; `personal` is the public id of the investment's personal account."""

    public_id: uuid.UUID
    kind: str
    amount: Decimal | None
    state: str
    executed_amount: Decimal | None
    executed_fee: Decimal | None
    unit_entry_id: int | None
    collection_id: int | None
    personal: uuid.UUID


class TransferRow(NamedTuple):
    pk: int
    public_id: uuid.UUID
    purpose: str
    subject: uuid.UUID
    payee: uuid.UUID | None
    amount: Decimal
    currency: str
    state: str


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


class _Sequenced(Protocol):
    @property
    def sequence(self) -> int: ...


R = TypeVar("R", bound=_Sequenced)


class InOrder(Generic[R]):
    """Rows that rise by the sequence of their rollover, taken one rollover at a time."""

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
    """All, or those up to the rollover number `until`."""
    rows = UnitEntry.objects.filter(account=account).order_by("price_point__sequence", "id")
    if until is not None:
        rows = rows.filter(price_point__sequence__lte=until)
    return InOrder(map(EntryRow._make, _streamed(rows, "price_point__sequence", *EntryRow._fields[1:])))


def charges_of(account: PammAccount) -> InOrder[ChargeRow]:
    rows = Charge.objects.filter(account=account).order_by("price_point__sequence", "id")
    return InOrder(map(ChargeRow._make, _streamed(rows, "price_point__sequence", *ChargeRow._fields[1:])))


def parts_of(account: PammAccount) -> InOrder[PartRow]:
    rows = ChargePart.objects.filter(account=account).order_by("price_point__sequence", "id")
    return InOrder(map(PartRow._make, _streamed(rows, "price_point__sequence", *PartRow._fields[1:])))


def deal_sums_of(account: PammAccount) -> InOrder[DealSums]:
    foreign = Q(part=CountedDeal.Part.FOREIGN) & ~Q(amount=0)
    rows = (
        CountedDeal.objects.filter(account=account)
        .values("price_point__sequence")
        .annotate(
            result=Sum("amount", filter=Q(part=CountedDeal.Part.RESULT)),
            total=Sum("amount"),
            volume=Sum("volume", filter=Q(part=CountedDeal.Part.RESULT)),
            foreign_moves=Count("pk", filter=foreign),
        )
        .order_by("price_point__sequence")
    )
    return InOrder(map(DealSums._make, _streamed(rows, "price_point__sequence", *DealSums._fields[1:])))


def ledger_lines_of(account: PammAccount) -> InOrder[LedgerLine]:
    """By rollover. An entry names its price point in `source`, which no relation of the models follows."""
    return InOrder(_ledger_lines(account))


def _ledger_lines(account: PammAccount) -> Iterator[LedgerLine]:
    with connection.chunked_cursor() as cursor:
        cursor.execute(
            "SELECT p.sequence, e.public_id, a.kind, a.subject, a.currency, sum(l.amount)"
            " FROM allocation_pricepoint p"
            " JOIN ledger_entry e ON e.broker_id = p.broker_id AND e.source = 'price-point:' || p.id"
            " LEFT JOIN ledger_posting l ON l.broker_id = e.broker_id AND l.entry_id = e.id"
            " LEFT JOIN ledger_ledgeraccount a ON a.broker_id = l.broker_id AND a.id = l.account_id"
            " WHERE p.broker_id = %s AND p.account_id = %s"
            " GROUP BY p.sequence, e.public_id, a.kind, a.subject, a.currency ORDER BY p.sequence",
            [current_broker_id(), account.pk],
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
    columns = RequestRow._fields[:-1]
    return map(RequestRow._make, _streamed(rows, *columns, "investment__personal_account__public_id"))


def deposits_asked_of(account: PammAccount) -> dict[uuid.UUID, Decimal]:
    """Amounts that people asked to put in, by request: before any entry fee."""
    rows = Request.objects.filter(account=account, kind=Request.Kind.DEPOSIT)
    asked = rows.values_list("public_id", "amount")
    return {request: amount for request, amount in asked if amount is not None}


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
    return map(TransferRow._make, _streamed(_transfers(account).order_by("id"), *TransferRow._fields))


def legs_of(account: PammAccount) -> Iterator[LegRow]:
    rows = Leg.objects.filter(transfer__in=_transfers(account)).order_by("transfer", "position")
    return map(LegRow._make, _streamed(rows, *LegRow._fields))


def leg_lines_of(account: PammAccount) -> Iterator[LegLine]:
    """What the ledger holds about the legs of the account's transfers."""
    keys = Leg.objects.filter(transfer__in=_transfers(account)).values("key")
    rows = (
        Entry.objects.filter(source__in=keys)
        .values(
            "source",
            "public_id",
            "postings__account__kind",
            "postings__account__subject",
            "postings__account__currency",
        )
        .annotate(amount=Sum("postings__amount"))
    )
    columns = (
        "source",
        "public_id",
        "postings__account__kind",
        "postings__account__subject",
        "postings__account__currency",
        "amount",
    )
    return map(LegLine._make, _streamed(rows, *columns))


def counted_transfers_of(account: PammAccount) -> dict[int, Decimal]:
    """Amounts by ticket of the deals that were counted as our own transfers."""
    rows = CountedDeal.objects.filter(account=account, part=CountedDeal.Part.OURS)
    return dict(rows.values_list("ticket", "amount"))


def _transfers(account: PammAccount) -> QuerySet[Transfer]:
    requests = Request.objects.filter(account=account).values("public_id")
    return Transfer.objects.filter(Q(subject=account.public_id) | Q(subject__in=requests))


def _streamed(rows: QuerySet[Any, Any], *columns: str) -> Iterator[tuple[Any, ...]]:
    return rows.values_list(*columns).iterator(chunk_size=CHUNK)
