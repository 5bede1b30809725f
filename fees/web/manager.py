"""What a manager's accounts earned in fees: by account, investment and period, as a page and as CSV.

Earned is the manager's own part; what broker and agents receive of each fee stands beside it.
"""

import uuid
from dataclasses import dataclass
from decimal import Decimal

from django.contrib.auth.decorators import login_required
from django.db.models import Count, QuerySet, Sum
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.models import Manager, User
from accounts.queries import get_manager_for, pamm_accounts_of
from accounts.web.paging import page_by_id
from brokers.web.csv_files import csv_answer
from fees.explanations import Explained, charge_text, explained
from fees.models import Charge, ChargePart
from fees.web.filters import IncomeFilter
from money.exact import ZERO, exact_sum

PAGE_SIZE = 50
COLUMNS = (
    "charge", "charged_at", "account", "account_name", "investor", "investment", "kind", "occasion",
    "collects_debt", "profit", "fee", "uncollected", "broker_part", "agents_part", "own_part", "currency",
    "explanation",
)  # fmt: skip
Party = ChargePart.Party


@dataclass(frozen=True, slots=True)
class Split:
    """Who received how much of a fee, or of many."""

    broker: Decimal = ZERO
    agents: Decimal = ZERO
    own: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class IncomeRow:
    """One charge with its split, and why it is what it is."""

    charge: Charge
    split: Split
    explained: Explained


@dataclass(frozen=True, slots=True)
class IncomeTotal:
    """Charges of one currency, of one account where it is named; `fees` is all that was charged."""

    currency: str
    currency_digits: int
    fees: Decimal
    charges: int
    split: Split
    account_name: str = ""
    account_id: uuid.UUID | None = None


@login_required
@require_safe
def income(request: HttpRequest) -> HttpResponse:
    """Charges, the latest first, with totals by currency."""
    manager = _manager(request)
    form = IncomeFilter(request.GET or None, accounts=pamm_accounts_of(manager))
    charges = _charges(manager, form)
    page = page_by_id(request, _with_parties(charges), PAGE_SIZE)
    context = {
        "form": form,
        "page": page,
        "rows": [IncomeRow(charge, _split_of(charge), explained(charge)) for charge in page.rows],
        "totals": _totals(charges),
        "by_account": _totals(charges, by_account=True),
        "query": request.GET.urlencode(),
    }
    return render(request, "fees/manage_income.html", context)


@login_required
@require_safe
def income_csv(request: HttpRequest) -> StreamingHttpResponse:
    """The same charges as CSV, oldest first, however many there are."""
    manager = _manager(request)
    form = IncomeFilter(request.GET or None, accounts=pamm_accounts_of(manager))
    return csv_answer("fee-income.csv", COLUMNS, _with_parties(_charges(manager, form)), _columns)


def _charges(manager: Manager, form: IncomeFilter) -> QuerySet[Charge]:
    """The manager's charges that the filter lets through."""
    return Charge.objects.filter(form.condition(), account__manager=manager)


def _with_parties(charges: QuerySet[Charge]) -> QuerySet[Charge]:
    return charges.select_related("account", "investment__owner").prefetch_related("parts")


def _split_of(charge: Charge) -> Split:
    """Without a query: the parts came with the charge."""
    parts = charge.parts.all()
    broker, agents, own = (
        exact_sum(part.amount for part in parts if part.party == party)
        for party in (Party.BROKER, Party.AGENT, Party.MANAGER)
    )
    return Split(broker, agents, own)


def _totals(charges: QuerySet[Charge], *, by_account: bool = False) -> list[IncomeTotal]:
    """Two statements, whatever the number of charges."""
    keys = ["currency", "currency_digits"]
    if by_account:
        keys = ["account__name", "account__public_id", *keys]
    sums = charges.order_by().values(*keys).annotate(sum=Sum("amount"), count=Count("pk")).order_by(*keys)
    parts = (
        ChargePart.objects.filter(charge__in=charges.order_by())
        .order_by()
        .values(*keys, "party")
        .annotate(sum=Sum("amount"))
    )
    received = {(*(row[key] for key in keys), row["party"]): row["sum"] for row in parts}
    return [
        IncomeTotal(
            currency=row["currency"],
            currency_digits=row["currency_digits"],
            fees=row["sum"],
            charges=row["count"],
            split=Split(
                *(
                    received.get((*(row[key] for key in keys), party), ZERO)
                    for party in (Party.BROKER, Party.AGENT, Party.MANAGER)
                )
            ),
            account_name=row.get("account__name", ""),
            account_id=row.get("account__public_id"),
        )
        for row in sums
    ]


def _columns(charge: Charge) -> tuple[str, ...]:
    split = _split_of(charge)
    return (
        str(charge.public_id),
        charge.charged_at.isoformat(timespec="seconds"),
        str(charge.account.login),
        charge.account.name,
        str(charge.investment.owner),
        str(charge.investment.public_id),
        charge.kind,
        charge.occasion,
        "yes" if charge.collects_debt else "no",
        _plain(charge.profit, charge),
        _plain(charge.amount, charge),
        _plain(charge.uncollected, charge),
        _plain(split.broker, charge),
        _plain(split.agents, charge),
        _plain(split.own, charge),
        charge.currency,
        charge_text(charge),
    )


def _plain(amount: Decimal, charge: Charge) -> str:
    return format(amount, f".{charge.currency_digits}f")


def _manager(request: HttpRequest) -> Manager:
    """The manager who is signed in. Raises `NotFound` for anybody else."""
    assert isinstance(request.user, User)
    return get_manager_for(request.user)
