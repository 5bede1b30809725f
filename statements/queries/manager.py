"""What a manager's accounts charged in a period, who received how much of it, and what he was paid."""

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Count, QuerySet, Sum

from accounts.models import User
from fees.calc.kinds import PLACE_OF_KIND
from fees.explanations import fee_title
from fees.models import Charge, ChargePart
from money.exact import ZERO, exact_sum
from statements.calc.period import Period
from statements.calc.turnover import Split, split_in_all
from statements.queries.people import Subject
from statements.queries.portions import rows_in_portions
from statements.queries.receipts import CurrencyReceipts, receipts_of

Party = ChargePart.Party


@dataclass(frozen=True, slots=True)
class SplitRow:
    """Fees of one currency that have something in common: all of them, an account's, a kind's."""

    name: str
    currency: str
    currency_digits: int
    split: Split


@dataclass(frozen=True, slots=True)
class ManagerStatement:
    subject: Subject
    period: Period
    totals: Sequence[SplitRow]
    by_kind: Sequence[SplitRow]
    by_account: Sequence[SplitRow]
    receipts: Sequence[CurrencyReceipts]
    line_count: int

    @property
    def is_empty(self) -> bool:
        return not self.totals and not self.receipts


@dataclass(frozen=True, slots=True)
class ManagerLine:
    """One charge of one investor, with its parts."""

    at: datetime
    code: str
    title: str
    note: str
    account_name: str
    login: int | None
    investor: User
    investment_id: uuid.UUID
    split: Split
    currency: str
    currency_digits: int
    public_id: uuid.UUID


class _Part(NamedTuple):
    account_name: str
    account: int
    kind: str
    currency: str
    currency_digits: int
    party: str
    amount: Any


def manager_statement(subject: Subject, period: Period) -> ManagerStatement:
    """Three statements, whatever the number of accounts and charges."""
    parts = _parts(subject, period)
    return ManagerStatement(
        subject=subject,
        period=period,
        totals=_rows(parts, lambda part: ("", "")),
        by_kind=_rows(parts, lambda part: (PLACE_OF_KIND[part.kind], fee_title(part.kind))),
        by_account=_rows(parts, lambda part: (part.account, part.account_name)),
        receipts=receipts_of(subject.payee, period),
        line_count=_charges(subject, period).aggregate(count=Count("pk"))["count"],
    )


def manager_lines(statement: ManagerStatement, start: int = 0, stop: int | None = None) -> list[ManagerLine]:
    """The charges from `start` to just before `stop`, oldest first. Two statements."""
    charges = _charges(statement.subject, statement.period).order_by("charged_at", "pk")
    return [_line(charge) for charge in _with_parties(charges)[start:stop]]


def all_manager_lines(statement: ManagerStatement) -> Iterator[Sequence[ManagerLine]]:
    """All of them, in portions, each of two statements; one before them finds their order."""
    charges = _charges(statement.subject, statement.period).order_by("charged_at", "pk")
    for portion in rows_in_portions(charges, _with_parties(Charge.objects.all())):
        yield [_line(charge) for charge in portion]


def split_of(charge: Charge) -> Split:
    """Without a query where the parts came with the charge."""
    parts = charge.parts.all()
    return Split(
        *(
            exact_sum(part.amount for part in parts if part.party == party)
            for party in (Party.BROKER, Party.AGENT, Party.MANAGER)
        )
    )


def _charges(subject: Subject, period: Period) -> QuerySet[Charge]:
    return Charge.objects.filter(
        account__manager=subject.manager,
        amount__gt=0,
        charged_at__gte=period.starts_at,
        charged_at__lt=period.ends_at,
    )


def _with_parties(charges: QuerySet[Charge]) -> QuerySet[Charge]:
    return (
        charges.defer("explanation").select_related("account", "investment__owner").prefetch_related("parts")
    )


def _parts(subject: Subject, period: Period) -> list[_Part]:
    rows = (
        ChargePart.objects.filter(
            charge__account__manager=subject.manager,
            charge__charged_at__gte=period.starts_at,
            charge__charged_at__lt=period.ends_at,
        )
        .order_by()
        .values_list(
            "charge__account__name", "charge__account", "charge__kind", "currency", "currency_digits", "party"
        )
        .annotate(amount=Sum("amount"))
    )
    return [_Part(*row) for row in rows]


def _rows(parts: Iterable[_Part], group: Callable[[_Part], tuple[Any, str]]) -> list[SplitRow]:
    """One row per group and currency, in the groups' order."""
    found: defaultdict[tuple[str, int, Any, str], list[Split]] = defaultdict(list)
    for part in parts:
        order, name = group(part)
        found[part.currency, part.currency_digits, order, name].append(_split_of_part(part))
    return [
        SplitRow(name, currency, digits, split_in_all(splits))
        for (currency, digits, _, name), splits in sorted(found.items())
    ]


def _split_of_part(part: _Part) -> Split:
    return Split(
        broker=part.amount if part.party == Party.BROKER else ZERO,
        agents=part.amount if part.party == Party.AGENT else ZERO,
        manager=part.amount if part.party == Party.MANAGER else ZERO,
    )


def _line(charge: Charge) -> ManagerLine:
    return ManagerLine(
        at=charge.charged_at,
        code=f"{charge.kind}_fee",
        title=fee_title(charge.kind, collects_debt=charge.collects_debt),
        note=str(charge.get_occasion_display()),
        account_name=charge.account.name,
        login=charge.account.login,
        investor=charge.investment.owner,
        investment_id=charge.investment.public_id,
        split=split_of(charge),
        currency=charge.currency,
        currency_digits=charge.currency_digits,
        public_id=charge.public_id,
    )
