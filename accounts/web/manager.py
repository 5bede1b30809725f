"""A manager's own pages: all accounts on one screen, one account, opening another."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from accounts.disclosure_words import disclosure_in_words
from accounts.models import USUAL_DISCLOSURE_DELAY, Manager, PammAccount, PersonalAccount, User
from accounts.queries import (
    get_manager_for,
    get_pamm_account_for,
    pamm_accounts_of,
    personal_accounts_of,
    runs_account,
)
from accounts.web.disclosure import DisclosureForm
from accounts.web.managed_accounts import ManagedAccount, active_investments, managed_accounts
from accounts.web.paging import page_by_id
from allocation.models import Investment
from allocation.web.live import live_page, signed_in_piece
from brokers.errors import Refusal
from fees.queries import InvestmentFigures, figures_of, with_figures
from investing.errors import IdempotencyKeyReused
from investing.models import Request
from investing.queries import requests_awaiting_approval
from investing.services import open_pamm_account
from money.exact import exact_sum
from money.rounding import half_even
from offers.queries import may_change_offers_of, offers_of
from rollover.models import Rollover
from track_record.queries import ChartRange

LEVERAGES = (1, 10, 20, 30, 50, 100, 200, 500)
ROWS_SHOWN = 5
PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class Total:
    """The accounts of one currency together."""

    currency: str
    currency_digits: int
    equity: Decimal
    fees_accrued: Decimal
    fees_earned: Decimal


@dataclass(frozen=True, slots=True)
class InvestorRow:
    """One investment; `share` is the fraction of the account's units it holds."""

    investment: Investment
    figures: InvestmentFigures
    share: Decimal


@signed_in_piece
@require_safe
def managed(request: HttpRequest) -> HttpResponse:
    """All accounts of the manager on one screen."""
    manager = get_manager_for(_person(request))
    rows = managed_accounts(pamm_accounts_of(manager))
    return live_page(
        request,
        "accounts/manage_accounts.html",
        {"rows": rows, "totals": _totals(rows)},
        piece="accounts/manage_accounts_figures.html",
        element_id="accounts-figures",
    )


@signed_in_piece
@require_safe
def managed_account(request: HttpRequest, account_id: uuid.UUID) -> HttpResponse:
    """One account: figures, own capital, investors, requests, rollovers, offers."""
    person = _person(request)
    account = get_pamm_account_for(person, account_id)
    (row,) = managed_accounts([account], with_rollovers=False)
    largest = active_investments(account).order_by("-units", "pk")[:ROWS_SHOWN]
    own = (
        Investment.objects.filter(account=account, is_own_capital=True)
        .exclude(state=Investment.State.CANCELLED)
        .order_by("-pk")
    )
    shown = Investment.objects.filter(Q(pk__in=largest.values("pk")) | Q(pk__in=own.values("pk")[:1]))
    shown = with_figures(shown).select_related("owner", "terms__offer").order_by("-units", "pk")
    stakes = _investor_rows(account, shown)
    own_requests = Request.objects.filter(
        account=account, investment__is_own_capital=True, state__in=Request.OPEN_STATES
    )
    awaiting = requests_awaiting_approval(person).filter(account=account)
    context = {
        "row": row,
        "account": account,
        "ranges": ChartRange.with_labels(),
        "investors": [stake for stake in stakes if not stake.investment.is_own_capital],
        "own": [stake for stake in stakes if stake.investment.is_own_capital],
        "own_requests": own_requests.order_by("pk"),
        "awaiting": list(awaiting[:ROWS_SHOWN]),
        "rollovers": _rollovers(account)[:ROWS_SHOWN],
        "offers": offers_of(account),
        "may_change_offers": may_change_offers_of(account, person),
        "is_own": account.manager.user_id == person.pk,
        "runs_account": runs_account(person, account),
    }
    return live_page(
        request,
        "accounts/manage_account.html",
        context,
        piece="accounts/manage_account_figures.html",
        element_id="account-figures",
    )


@login_required
@require_safe
def investors(request: HttpRequest, account_id: uuid.UUID) -> HttpResponse:
    """Everybody invested in one account, who joined last first."""
    account = get_pamm_account_for(_person(request), account_id)
    page = page_by_id(request, active_investments(account), PAGE_SIZE)
    context = {"account": account, "page": page, "investors": _investor_rows(account, page.rows)}
    return render(request, "accounts/manage_investors.html", context)


@login_required
@require_safe
def rollovers(request: HttpRequest, account_id: uuid.UUID) -> HttpResponse:
    """The rollovers of one account, the latest first."""
    account = get_pamm_account_for(_person(request), account_id)
    page = page_by_id(request, _rollovers(account), PAGE_SIZE)
    return render(request, "accounts/manage_rollovers.html", {"account": account, "page": page})


class OpenAccountForm(DisclosureForm):
    """What a manager says about a new account. Whether it can be opened is the service's to say."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=80,
        widget=forms.TextInput(attrs={"class": "form-control", "autocomplete": "off"}),
    )
    description = forms.CharField(
        label=gettext_lazy("Description"),
        required=False,
        max_length=4000,
        widget=forms.Textarea(attrs={"class": "form-control", "rows": 3}),
        help_text=gettext_lazy("How you trade, in your own words. Investors read it."),
    )
    income_account = forms.ModelChoiceField(
        PersonalAccount.objects.none(),
        label=gettext_lazy("Personal account"),
        to_field_name="public_id",
        empty_label=None,
        widget=forms.Select(attrs={"class": "form-select"}),
        help_text=gettext_lazy(
            "Your own capital comes from it and your fees are paid to it. Sets the currency."
        ),
    )
    own_capital = forms.DecimalField(
        label=gettext_lazy("Own capital"),
        max_digits=28,
        decimal_places=8,
        widget=forms.TextInput(
            attrs={"class": "form-control", "inputmode": "decimal", "autocomplete": "off"}
        ),
        help_text=gettext_lazy("Moves at the next rollover. Nobody can join before it has arrived."),
    )
    minimum_own_capital = forms.DecimalField(
        label=gettext_lazy("Of it must stay at least"),
        required=False,
        max_digits=28,
        decimal_places=8,
        widget=forms.TextInput(
            attrs={"class": "form-control", "inputmode": "decimal", "autocomplete": "off"}
        ),
        help_text=gettext_lazy("While others are invested. Empty: all of it."),
    )
    leverage = forms.TypedChoiceField(
        label=gettext_lazy("Leverage"),
        choices=[(leverage, f"1:{leverage}") for leverage in LEVERAGES],
        coerce=int,
        initial=100,
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    key = forms.UUIDField(
        widget=forms.HiddenInput,
        error_messages=dict.fromkeys(("required", "invalid"), gettext_lazy("Open this page again.")),
    )

    def __init__(self, typed: Mapping[str, Any] | None, *, choices: QuerySet[PersonalAccount]) -> None:
        shown = self.initial_of(PammAccount.Disclosure.HIDDEN, USUAL_DISCLOSURE_DELAY)
        super().__init__(typed, initial=shown | {"key": uuid.uuid4()})
        self.fields["income_account"].queryset = choices  # type: ignore[attr-defined]


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def open_account(request: HttpRequest) -> HttpResponse:
    """Ask for the account's facts, show them once more, open it."""
    manager = get_manager_for(_person(request))
    form = OpenAccountForm(
        request.POST if request.method == "POST" else None, choices=personal_accounts_of(manager.user)
    )
    step = request.POST.get("step", "")
    if request.method != "POST" or step == "change":
        return _form_page(request, form)
    if not form.is_valid():
        return _form_page(request, form, status=422)
    if step != "open":
        context = {
            "form": form,
            "review": form.cleaned_data,
            "of": form.cleaned_data["income_account"],
            "disclosed": disclosure_in_words(form.cleaned_data["disclosure"], form.disclosure_delay),
        }
        return render(request, "accounts/manage_open_review.html", context)
    return _open(request, manager, form)


def _open(request: HttpRequest, manager: Manager, form: OpenAccountForm) -> HttpResponse:
    order = dict(form.cleaned_data)
    key = order.pop("key")
    del order["delay"], order["delay_unit"]
    try:
        opened = open_pamm_account(
            manager=manager,
            by=_person(request),
            idempotency_key=str(key),
            disclosure_delay=form.disclosure_delay,
            **order,
        )
    except Refusal as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        if isinstance(refusal, IdempotencyKeyReused):
            form.data = {**form.data.dict(), "key": str(uuid.uuid4())}  # type: ignore[attr-defined]
        return _form_page(request, form, status=422)
    if opened.trading_password is None:
        messages.success(request, _("The account is open. Your own capital moves at the next rollover."))
        return redirect("accounts:managed-account", opened.account.public_id)
    # No redirect: the password is on this answer and nowhere else.
    return render(request, "accounts/manage_opened.html", {"opened": opened})


def _form_page(request: HttpRequest, form: OpenAccountForm, status: int = 200) -> HttpResponse:
    return render(request, "accounts/manage_open.html", {"form": form}, status=status)


def _rollovers(account: PammAccount) -> QuerySet[Rollover]:
    """Rollovers that have begun or ended, the latest first."""
    return (
        Rollover.objects.filter(account=account)
        .exclude(state=Rollover.State.DUE)
        .select_related("price_point")
        .order_by("-pk")
    )


def _investor_rows(
    account: PammAccount, investments: "Sequence[Investment] | QuerySet[Investment]"
) -> list[InvestorRow]:
    rows = list(investments)
    figures = figures_of(rows)
    return [
        InvestorRow(
            investment=investment,
            figures=figures[investment.pk],
            share=half_even(Fraction(investment.units) / Fraction(account.units), 6)
            if account.units
            else Decimal(0),
        )
        for investment in rows
    ]


def _totals(rows: Sequence[ManagedAccount]) -> list[Total]:
    by_currency: dict[tuple[str, int], list[ManagedAccount]] = {}
    for row in rows:
        by_currency.setdefault((row.currency, row.currency_digits), []).append(row)
    return [
        Total(
            currency=currency,
            currency_digits=digits,
            equity=exact_sum(row.account.last_equity for row in group),
            fees_accrued=exact_sum(row.fees_accrued for row in group),
            fees_earned=exact_sum(row.fees_earned for row in group),
        )
        for (currency, digits), group in sorted(by_currency.items())
    ]


def _person(request: HttpRequest) -> User:
    """Who is signed in: every view here is behind `login_required`."""
    assert isinstance(request.user, User)
    return request.user
