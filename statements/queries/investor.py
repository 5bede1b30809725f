"""What an investor's money did in a period, investment by investment, and every line of it.

Values are units times price at the last rollover before either end of the period: the figures of the
allocation audit of that rollover.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import (
    BigIntegerField,
    BooleanField,
    CharField,
    Count,
    DecimalField,
    F,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
)
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import PammAccount
from allocation.calc.price import Price
from allocation.calc.units import value
from allocation.models import Investment, PricePoint, UnitEntry
from fees.explanations import fee_title
from fees.models import Charge
from money.exact import ZERO, exact_sum
from statements.calc.period import Period
from statements.calc.turnover import Turnover, turnover_in_all
from statements.queries.people import Subject
from statements.queries.portions import portions

Kind = UnitEntry.Kind
FLOWS = (Kind.DEPOSIT, Kind.WITHDRAWAL, Kind.CLOSE, Kind.WIPE_OUT)
"""Unit entries that are lines of their own; those of fees have charges, which say more."""
PAID_OUT = (Kind.WITHDRAWAL, Kind.CLOSE)


@dataclass(frozen=True, slots=True)
class InvestmentRow:
    """One investment in the period."""

    investment: Investment
    turnover: Turnover
    currency: str
    currency_digits: int


@dataclass(frozen=True, slots=True)
class CurrencyTotal:
    """All investments of one currency."""

    currency: str
    currency_digits: int
    turnover: Turnover


@dataclass(frozen=True, slots=True)
class InvestorStatement:
    """`as_of`: the last rollover that any closing value stands on."""

    subject: Subject
    period: Period
    rows: Sequence[InvestmentRow]
    totals: Sequence[CurrencyTotal]
    as_of: datetime | None
    line_count: int

    @property
    def is_empty(self) -> bool:
        return not self.rows


@dataclass(frozen=True, slots=True)
class InvestorLine:
    """One flow or fee, signed as it changes what the investment is worth; a loss of everything has no amount.

    `code` is stable, for programs; `public_id` that of the charge (`is_fee`) or the unit entry behind it.
    """

    at: datetime
    code: str
    title: str
    note: str
    amount: Decimal
    currency: str
    currency_digits: int
    account: PammAccount
    investment: Investment
    is_fee: bool
    public_id: uuid.UUID


DEPOSIT_RANK, FEE_RANK, PAYMENT_RANK = 0, 1, 2
_TITLES = {
    Kind.DEPOSIT: gettext_lazy("Deposit"),
    Kind.WITHDRAWAL: gettext_lazy("Withdrawal paid"),
    Kind.CLOSE: gettext_lazy("Investment closed and paid"),
    Kind.WIPE_OUT: gettext_lazy("The account was wiped out"),
}


def investor_statement(subject: Subject, period: Period) -> InvestorStatement:
    """Four statements, whatever the number of investments and lines."""
    investments = list(
        Investment.objects.filter(owner=subject.user, joined_at__lt=period.ends_at)
        .exclude(closed_at__lt=period.starts_at)
        .select_related("account__manager", "terms__offer")
        .order_by("joined_at", "pk")
    )
    if not investments:
        return InvestorStatement(subject, period, (), (), None, 0)
    flows, fees, prices = _read(investments, period)
    rows = [_row(investment, flows[investment.pk], fees[investment.pk], prices) for investment in investments]
    return InvestorStatement(
        subject=subject,
        period=period,
        rows=rows,
        totals=_totals(rows),
        as_of=prices.as_of,
        line_count=sum(flows[row.pk].lines + fees[row.pk].count for row in investments),
    )


def turnover_by_currency(investments: Sequence[Investment], period: Period) -> list[CurrencyTotal]:
    """What a period did to these investments together, as a statement of it says. Three statements; reads
    `account` of each.
    """
    if not investments:
        return []
    flows, fees, prices = _read(investments, period)
    return _totals([_row(row, flows[row.pk], fees[row.pk], prices) for row in investments])


def investor_lines(
    statement: InvestorStatement, start: int = 0, stop: int | None = None
) -> list[InvestorLine]:
    """The lines from `start` to just before `stop`: by moment and investment, then deposits, fees, payments.
    One statement.
    """
    investments = {row.investment.pk: row.investment for row in statement.rows}
    if not investments:
        return []
    own = [row.investment for row in statement.rows]
    flows = _entries(own, statement.period).filter(kind__in=FLOWS)
    deposits = _of_flows(flows.filter(kind=Kind.DEPOSIT), DEPOSIT_RANK)
    payments = _of_flows(flows.exclude(kind=Kind.DEPOSIT), PAYMENT_RANK)
    fees = _of_fees(_charges(own, statement.period))
    found = deposits.union(fees, payments, all=True).order_by("at", "investment_id", "rank", "key")
    return [_line(_Found(*row), investments) for row in found[start:stop]]


def all_investor_lines(statement: InvestorStatement) -> Iterator[Sequence[InvestorLine]]:
    """All of them, in portions. One statement."""
    yield from portions(investor_lines(statement))


class _Flows(NamedTuple):
    units_before: Decimal = ZERO
    units_after: Decimal = ZERO
    issued_for: Decimal = ZERO
    paid_out: Decimal = ZERO
    lines: int = 0


@dataclass(slots=True)
class _Fees:
    by_kind: dict[str, Decimal]
    count: int = 0


def _read(
    investments: Sequence[Investment], period: Period
) -> "tuple[dict[int, _Flows], dict[int, _Fees], _Prices]":
    accounts = {investment.account_id for investment in investments}
    return _flows(investments, period), _fees(investments, period), _Prices.read(accounts, period)


def _flows(investments: Sequence[Investment], period: Period) -> dict[int, _Flows]:
    """Units at both ends and money in between of each."""
    within = Q(price_point__priced_at__gte=period.starts_at)
    rows = (
        UnitEntry.objects.filter(investment__in=investments, price_point__priced_at__lt=period.ends_at)
        .order_by()
        .values("investment_id")
        .annotate(
            before=Sum("units", filter=~within),
            after=Sum("units"),
            issued_for=Sum("amount", filter=within & Q(kind=Kind.DEPOSIT)),
            paid_out=Sum("amount", filter=within & Q(kind__in=PAID_OUT)),
            lines=Count("pk", filter=within & Q(kind__in=FLOWS)),
        )
    )
    found: defaultdict[int, _Flows] = defaultdict(_Flows)
    for row in rows:
        found[row["investment_id"]] = _Flows(
            row["before"] or ZERO,
            row["after"] or ZERO,
            row["issued_for"] or ZERO,
            -(row["paid_out"] or ZERO),
            row["lines"],
        )
    return found


def _fees(investments: Sequence[Investment], period: Period) -> dict[int, _Fees]:
    """Fees by kind of each, and how many lines they are."""
    found: defaultdict[int, _Fees] = defaultdict(lambda: _Fees({}))
    rows = (
        _charges(investments, period)
        .order_by()
        .values("investment_id", "kind")
        .annotate(charged=Sum("amount"), lines=Count("pk"))
    )
    for row in rows:
        fees = found[row["investment_id"]]
        fees.count += row["lines"]
        if row["charged"]:
            fees.by_kind[row["kind"]] = row["charged"]
    return found


@dataclass(frozen=True, slots=True)
class _Prices:
    """By account the last price point before either end of the period."""

    opening: dict[int, PricePoint]
    closing: dict[int, PricePoint]

    @classmethod
    def read(cls, accounts: set[int], period: Period) -> "_Prices":
        """One statement. Every point is found by the index of its account."""
        of_accounts = PammAccount.objects.filter(pk__in=accounts)
        points = PricePoint.objects.filter(
            Q(pk__in=of_accounts.values(point=_last_point(period.starts_at)))
            | Q(pk__in=of_accounts.values(point=_last_point(period.ends_at)))
        ).only("account_id", "priced_at", "price_equity", "price_units")
        opening: dict[int, PricePoint] = {}
        closing: dict[int, PricePoint] = {}
        for point in points.order_by("priced_at"):
            if point.priced_at < period.starts_at:
                opening[point.account_id] = point
            closing[point.account_id] = point
        return cls(opening, closing)

    @property
    def as_of(self) -> datetime | None:
        return max((point.priced_at for point in self.closing.values()), default=None)


def _worth(units: Decimal, point: PricePoint | None, digits: int) -> Decimal:
    if not units or point is None:
        return ZERO
    return value(units, Price(point.price_equity, point.price_units), digits)


def _last_point(moment: datetime) -> Subquery:
    before = PricePoint.objects.filter(account=OuterRef("pk"), priced_at__lt=moment)
    return Subquery(before.order_by("-priced_at").values("pk")[:1])


def _row(investment: Investment, flows: _Flows, fees: _Fees, prices: _Prices) -> InvestmentRow:
    account = investment.account
    digits = account.currency_digits
    entry_fees = fees.by_kind.get(Charge.Kind.ENTRY.value, ZERO)
    turnover = Turnover(
        opening=_worth(flows.units_before, prices.opening.get(account.pk), digits),
        # An entry fee is taken out of the deposit before units are issued for the rest.
        deposits=exact_sum((flows.issued_for, entry_fees)),
        withdrawals=flows.paid_out,
        fees=fees.by_kind,
        closing=_worth(flows.units_after, prices.closing.get(account.pk), digits),
    )
    return InvestmentRow(investment, turnover, account.currency, digits)


def _totals(rows: Sequence[InvestmentRow]) -> list[CurrencyTotal]:
    by_currency: defaultdict[tuple[str, int], list[Turnover]] = defaultdict(list)
    for row in rows:
        by_currency[row.currency, row.currency_digits].append(row.turnover)
    return [
        CurrencyTotal(currency, digits, turnover_in_all(turnovers))
        for (currency, digits), turnovers in sorted(by_currency.items())
    ]


def _entries(investments: Sequence[Investment], period: Period) -> QuerySet[UnitEntry]:
    return UnitEntry.objects.filter(
        investment__in=investments,
        price_point__priced_at__gte=period.starts_at,
        price_point__priced_at__lt=period.ends_at,
    )


def _charges(investments: Sequence[Investment], period: Period) -> QuerySet[Charge]:
    """Those that took something, or would have."""
    return Charge.objects.filter(
        Q(amount__gt=0) | Q(uncollected__gt=0),
        investment__in=investments,
        charged_at__gte=period.starts_at,
        charged_at__lt=period.ends_at,
    )


class _Found(NamedTuple):
    """A line as it is read, of either table; `paid_in` is all of an asked-for deposit, its entry fee too."""

    at: datetime
    investment: int
    rank: int
    key: int
    public_id: uuid.UUID
    kind: str
    amount: Decimal
    occasion: str
    collects_debt: bool
    paid_in: Decimal | None
    paid_by: int | None


_FOUND = (
    "at", "investment_id", "rank", "key", "public_id", "kind", "amount", "told_occasion", "told_debt",
    "paid_in", "paid_by",
)  # fmt: skip


def _of_flows(entries: QuerySet[UnitEntry], rank: int) -> QuerySet[Any]:
    return (
        entries.order_by()
        .annotate(
            at=F("price_point__priced_at"),
            rank=Value(rank, output_field=IntegerField()),
            key=F("pk"),
            told_occasion=Value("", output_field=CharField()),
            told_debt=Value(False, output_field=BooleanField()),
            paid_in=F("request__executed_amount"),
            paid_by=F("request__paid_by_id"),
        )
        .values_list(*_FOUND)
    )


def _of_fees(charges: QuerySet[Charge]) -> QuerySet[Any]:
    return (
        charges.order_by()
        .annotate(
            at=F("charged_at"),
            rank=Value(FEE_RANK, output_field=IntegerField()),
            key=F("pk"),
            told_occasion=F("occasion"),
            told_debt=F("collects_debt"),
            paid_in=Value(None, output_field=DecimalField()),
            paid_by=Value(None, output_field=BigIntegerField()),
        )
        .values_list(*_FOUND)
    )


def _line(found: _Found, investments: dict[int, Investment]) -> InvestorLine:
    investment = investments[found.investment]
    account = investment.account
    is_fee = found.rank == FEE_RANK
    amount = -found.amount if is_fee else found.amount
    if found.kind == Kind.DEPOSIT and found.paid_in is not None:
        # All that was paid in; its entry fee is a line of its own.
        amount = found.paid_in
    return InvestorLine(
        at=found.at,
        code=f"{found.kind}_fee" if is_fee else found.kind,
        title=fee_title(found.kind, collects_debt=found.collects_debt)
        if is_fee
        else str(_TITLES[Kind(found.kind)]),
        note=_note(found),
        amount=amount,
        currency=account.currency,
        currency_digits=account.currency_digits,
        account=account,
        investment=investment,
        is_fee=is_fee,
        public_id=found.public_id,
    )


def _note(found: _Found) -> str:
    if found.rank == FEE_RANK:
        return str(Charge.Occasion(found.occasion).label)
    return _("Paid by the broker") if found.paid_by is not None else ""
