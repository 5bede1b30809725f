"""What a manager's accounts earned in fees: by account, investment and period, as a page and as CSV."""

import uuid
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.db.models import Count, QuerySet, Sum
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from accounts.models import Manager, PammAccount, User
from accounts.queries import get_manager_for, pamm_accounts_of
from accounts.web.paging import page_by_id
from brokers.web.csv_files import csv_answer
from fees.models import Charge

PAGE_SIZE = 50
COLUMNS = (
    "charge", "charged_at", "account", "account_name", "investor", "investment", "kind", "occasion", "profit",
    "amount", "currency",
)  # fmt: skip


class IncomeFilter(forms.Form):
    """Which charges: of one account or investment, between two days, both included, in the reader's zone."""

    account = forms.ModelChoiceField(
        PammAccount.objects.none(),
        label=_("Account"),
        required=False,
        to_field_name="public_id",
        empty_label=_("All accounts"),
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    since = forms.DateField(
        label=_("From"),
        required=False,
        widget=forms.DateInput(attrs={"class": "form-control", "type": "date"}),
    )
    until = forms.DateField(
        label=_("To"), required=False, widget=forms.DateInput(attrs={"class": "form-control", "type": "date"})
    )
    investment = forms.UUIDField(required=False, widget=forms.HiddenInput)

    def __init__(self, typed: Any, *, accounts: QuerySet[PammAccount]) -> None:
        super().__init__(typed)
        self.fields["account"].queryset = accounts  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class IncomeTotal:
    """Charges of one currency, of one account where it is named."""

    currency: str
    currency_digits: int
    amount: Decimal
    charges: int
    account_name: str = ""
    account_id: uuid.UUID | None = None


@login_required
@require_safe
def income(request: HttpRequest) -> HttpResponse:
    """Charges, the latest first, with totals by currency."""
    manager = _manager(request)
    form = IncomeFilter(request.GET or None, accounts=pamm_accounts_of(manager))
    charges = _charges(manager, form)
    context = {
        "form": form,
        "page": page_by_id(request, charges.select_related("account", "investment__owner"), PAGE_SIZE),
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
    charges = _charges(manager, form).select_related("account", "investment__owner")
    return csv_answer("fee-income.csv", COLUMNS, charges, _columns)


def _charges(manager: Manager, form: IncomeFilter) -> QuerySet[Charge]:
    """The manager's charges that the filter lets through; none where it cannot be read."""
    charges: QuerySet[Charge] = Charge.objects.filter(account__manager=manager)
    if not form.is_bound:
        return charges
    if not form.is_valid():
        return charges.none()
    asked = form.cleaned_data
    if asked["account"]:
        charges = charges.filter(account=asked["account"])
    if asked["investment"]:
        charges = charges.filter(investment__public_id=asked["investment"])
    if asked["since"]:
        charges = charges.filter(charged_at__gte=_midnight(asked["since"]))
    if asked["until"]:
        # The calendar ends with its last day: there is no day after it.
        last = min(asked["until"], date.max - timedelta(days=1))
        charges = charges.filter(charged_at__lt=_midnight(last + timedelta(days=1)))
    return charges


def _totals(charges: QuerySet[Charge], *, by_account: bool = False) -> list[IncomeTotal]:
    keys = ["currency", "currency_digits"]
    if by_account:
        keys = ["account__name", "account__public_id", *keys]
    sums = charges.order_by().values(*keys).annotate(sum=Sum("amount"), count=Count("pk")).order_by(*keys)
    return [
        IncomeTotal(
            currency=row["currency"],
            currency_digits=row["currency_digits"],
            amount=row["sum"],
            charges=row["count"],
            account_name=row.get("account__name", ""),
            account_id=row.get("account__public_id"),
        )
        for row in sums
    ]


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def _columns(charge: Charge) -> tuple[str, ...]:
    return (
        str(charge.public_id),
        charge.charged_at.isoformat(timespec="seconds"),
        str(charge.account.login),
        _inert(charge.account.name),
        _inert(str(charge.investment.owner)),
        str(charge.investment.public_id),
        charge.kind,
        charge.occasion,
        _plain(charge.profit, charge),
        _plain(charge.amount, charge),
        charge.currency,
    )


def _inert(text: str) -> str:
    """Text that a spreadsheet does not take for a formula: names are other people's input."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _plain(amount: Decimal, charge: Charge) -> str:
    return format(amount, f".{charge.currency_digits}f")


def _manager(request: HttpRequest) -> Manager:
    """The manager who is signed in. Raises `NotFound` for anybody else."""
    assert isinstance(request.user, User)
    return get_manager_for(request.user)
