"""An investor's requests: list, one of them, taking it back, and asking for money in or out."""

import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from accounts.models import User
from allocation.models import Investment
from allocation.web.live import live_page, signed_in_piece
from brokers.errors import NotFound, Refusal
from brokers.identifiers import new_public_id
from brokers.web.csv_files import csv_answer
from fees.calc.crystallisation import PartTaken
from fees.calc.performance import WithdrawalKind
from fees.queries import fee_basis, figures_of, last_moment
from fees.services import plan_withdrawal, withdrawal_kind
from investing.models import Request, Stop
from investing.queries import (
    get_investment_for,
    get_request_for,
    requests_of,
    waiting_reason,
    withdrawal_terms,
)
from investing.services import cancel_request, request_close, request_further_deposit, request_withdrawal
from investing.web.deposits import deposit_costs, joined_tier, joining_anew
from investing.web.forms import DepositForm, WithdrawalForm, add_refusal
from investing.web.free_money import free_money_if_known
from investing.web.schedule import next_rollover_at
from investing.web.withdrawable import withdrawable
from money.exact import exact_sum
from offers.web.examples import entry_fee_in_short

PAGE_SIZE = 25
CANCELLABLE = (Request.State.PENDING, Request.State.CONFIRMED)


@dataclass(frozen=True, slots=True)
class Page:
    """Where the neighbours of a page of results are."""

    is_first: bool
    first_url: str
    next_url: str | None


@dataclass(frozen=True, slots=True)
class RequestLine:
    """A request with why it waits (empty where it does not) and whether it can be taken back."""

    request: Request
    waits: str
    is_cancellable: bool


@signed_in_piece
@require_safe
def requests_page(request: HttpRequest) -> HttpResponse:
    """The person's requests, latest first."""
    before = request.GET.get("before", "")
    found = requests_of(_person(request))
    if before.isdecimal() and len(before) < 19:
        found = found.filter(pk__lt=int(before))
    rows = list(found[: PAGE_SIZE + 1])
    shown = rows[:PAGE_SIZE]
    url = reverse("investing:requests")
    context = {
        "lines": [_line(row) for row in shown],
        "page": Page(
            is_first=not before,
            first_url=url,
            next_url=f"{url}?before={shown[-1].pk}" if len(rows) > PAGE_SIZE else None,
        ),
    }
    return live_page(
        request,
        "investing/requests.html",
        context,
        piece="investing/requests_rows.html",
        element_id="request-rows",
    )


@signed_in_piece
@require_safe
def request_page(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """One request: its state, why it waits, what comes next."""
    found = _own_request(request, public_id)
    context = {
        "line": _line(found),
        "found": found,
        "was_just_sent": "sent" in request.GET,
        "next_rollover_at": next_rollover_at(),
        "stop": _stop_of(found),
    }
    return live_page(
        request,
        "investing/request.html",
        context,
        piece="investing/request_state.html",
        element_id="request-state",
    )


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def cancel_page(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Take a request back, after asking once more."""
    found = _own_request(request, public_id)
    if request.method != "POST":
        return render(request, "investing/cancel.html", {"found": found})
    try:
        cancel_request(request=found, by=_person(request))
    except Refusal as refusal:
        if refusal.status == NotFound.status:
            raise
        messages.error(request, str(refusal))
    else:
        messages.success(request, _("The request was cancelled. No money has moved."))
    return redirect("investing:requests")


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def deposit_page(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Add money: amount, the fee it costs and the tier it joins, confirmation."""
    investment = get_investment_for(_person(request), public_id)
    typed = {"account": investment.account, "terms": investment.terms}
    if request.method != "POST":
        return _deposit_form(request, investment, DepositForm(**typed))
    form = DepositForm(request.POST, **typed)
    if not form.is_valid():
        return _deposit_form(request, investment, form)
    if request.POST.get("step") != "confirm":
        return _deposit_review(request, investment, form)
    try:
        made = request_further_deposit(
            investment=investment,
            amount=form.cleaned_data["amount"],
            by=_person(request),
            idempotency_key=_key(request),
        )
    except Refusal as refusal:
        _show(form, refusal)
        return _deposit_form(request, investment, form)
    return _sent(made)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def withdraw_page(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Take out part: amount, the fee it costs, confirmation."""
    investment = get_investment_for(_person(request), public_id)
    if request.method != "POST":
        return _withdrawal_form(request, investment, WithdrawalForm(account=investment.account))
    form = WithdrawalForm(request.POST, account=investment.account)
    if not form.is_valid():
        return _withdrawal_form(request, investment, form)
    if request.POST.get("step") != "confirm":
        return _withdrawal_review(request, investment, form)
    try:
        made = request_withdrawal(
            investment=investment,
            amount=form.cleaned_data["amount"],
            by=_person(request),
            idempotency_key=_key(request),
            close_if_below_minimum=form.cleaned_data["close_if_below_minimum"],
        )
    except Refusal as refusal:
        _show(form, refusal)
        return _withdrawal_form(request, investment, form)
    return _sent(made)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def close_page(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """End an investment: what it pays, asked once more."""
    investment = get_investment_for(_person(request), public_id)
    form = forms.Form(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            return _sent(
                request_close(investment=investment, by=_person(request), idempotency_key=_key(request))
            )
        except Refusal as refusal:
            _show(form, refusal)
    context = _investment_context(investment) | {"form": form, "key": _key(request)}
    return render(request, "investing/close.html", context, status=422 if form.errors else 200)


@login_required
@require_safe
def requests_csv(request: HttpRequest) -> StreamingHttpResponse:
    """The person's requests as a file; amounts with a point, times in UTC."""
    return csv_answer(
        "requests.csv",
        _REQUEST_COLUMNS,
        Request.objects.filter(investment__owner=_person(request)).select_related("investment"),
        _request_columns,
    )


_REQUEST_COLUMNS = (
    "created",
    "request",
    "investment",
    "kind",
    "amount",
    "currency",
    "state",
    "executed_amount",
    "fee",
    "ended",
)


def _request_columns(row: Request) -> list[str]:
    return [
        row.created_at.isoformat(),
        str(row.public_id),
        str(row.investment.public_id),
        row.kind,
        _plain(row.amount, row),
        row.currency,
        row.state,
        _plain(row.executed_amount, row),
        _plain(row.executed_fee, row),
        "" if row.ended_at is None else row.ended_at.isoformat(),
    ]


def _plain(amount: Decimal | None, row: Request) -> str:
    return "" if amount is None else format(round(amount, row.currency_digits), "f")


def _stop_of(row: Request) -> Stop | None:
    """The stop that asked for it, if one did."""
    if row.origin not in Request.STOP_ORIGINS:
        return None
    return Stop.objects.select_related("reached").get(request=row)


def _line(row: Request) -> RequestLine:
    return RequestLine(row, waiting_reason(row), row.state in CANCELLABLE)


def _own_request(request: HttpRequest, public_id: uuid.UUID) -> Request:
    """Managers and staff read requests on their own pages; here everybody sees only his own."""
    found = get_request_for(_person(request), public_id)
    if found.investment.owner_id != request.user.pk:
        raise NotFound
    return found


def _deposit_form(request: HttpRequest, investment: Investment, form: forms.Form) -> HttpResponse:
    terms = investment.terms
    context = _deposit_context(request, investment) | {
        "form": form,
        "terms": terms,
        "entry_fee": entry_fee_in_short(terms) if terms is not None else None,
        "free_money": free_money_if_known([investment.personal_account]).get(investment.personal_account_id),
    }
    return render(request, "investing/deposit.html", context, status=422 if form.errors else 200)


def _deposit_review(request: HttpRequest, investment: Investment, form: forms.Form) -> HttpResponse:
    """What the amount pays, what is invested of it, and which tier that joins."""
    context = _deposit_context(request, investment)
    context["costs"] = deposit_costs(form.cleaned_data["amount"], context["basis"])
    return render(request, "investing/deposit_review.html", context)


def _deposit_context(request: HttpRequest, investment: Investment) -> dict[str, Any]:
    basis = fee_basis(investment, last_moment(investment.account))
    tier = joined_tier(investment, basis)
    anew = None
    if tier is not None and tier.by_yield and investment.terms is not None:
        anew = joining_anew(_person(request), investment.terms.offer)
    return _investment_context(investment) | {
        "key": _key(request),
        "basis": basis,
        "tier": tier,
        "anew": anew,
    }


def _withdrawal_form(request: HttpRequest, investment: Investment, form: forms.Form) -> HttpResponse:
    context = _investment_context(investment) | {"form": form, "key": _key(request)}
    return render(request, "investing/withdraw.html", context, status=422 if form.errors else 200)


def _withdrawal_review(request: HttpRequest, investment: Investment, form: forms.Form) -> HttpResponse:
    """What taking the amount out would cost at the last price; a certain refusal comes at once."""
    context = _investment_context(investment)
    amount: Decimal = form.cleaned_data["amount"]
    try:
        plan = _plan(investment, amount, context["room"].open_withdrawals, form.cleaned_data)
    except Refusal as refusal:
        _show(form, refusal)
        return _withdrawal_form(request, investment, form)
    context |= {"form": form, "key": _key(request), "amount": amount, "plan": plan, "closes": plan is None}
    return render(request, "investing/withdraw_review.html", context)


def _plan(
    investment: Investment, amount: Decimal, promised: Decimal, agreed: dict[str, Any]
) -> PartTaken | None:
    """The part withdrawal that would be carried out; None where it would be a close."""
    basis = fee_basis(investment, last_moment(investment.account))
    kind = withdrawal_kind(
        investment,
        exact_sum((amount, promised)),
        basis,
        closes_if_too_little_remains=agreed["close_if_below_minimum"],
    )
    return plan_withdrawal(investment, amount, basis) if kind is WithdrawalKind.PART else None


def _investment_context(investment: Investment) -> dict[str, Any]:
    room = withdrawal_terms(investment)
    return {
        "investment": investment,
        "account": investment.account,
        "offer": investment.terms.offer if investment.terms else None,
        "figures": figures_of([investment])[investment.pk],
        "room": room,
        "withdrawable": withdrawable(room),
        "next_rollover_at": next_rollover_at(),
    }


def _show(form: forms.Form, refusal: Refusal) -> None:
    if refusal.status == NotFound.status:
        raise refusal
    add_refusal(form, refusal)


def _sent(made: Request) -> HttpResponse:
    return redirect(f"{reverse('investing:request', args=[made.public_id])}?sent")


def _key(request: HttpRequest) -> str:
    """What makes the same click twice one request: made with the form and kept through its steps."""
    return request.POST.get("key", "")[:64] or str(new_public_id())


def _person(request: HttpRequest) -> User:
    """The signed-in person of a page that asks for one."""
    assert isinstance(request.user, User)
    return request.user
