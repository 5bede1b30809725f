"""Deciding about deposits: what waits, many confirmed at once after a second look, one rejected."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods

from accounts.models import PammAccount, Role, User
from accounts.queries import has_role, manager_of, pamm_accounts_of
from accounts.web.paging import page_by_id
from allocation.web.live import live_page, signed_in_piece
from brokers.errors import NotFound, Refusal
from investing.models import Request
from investing.queries import requests_awaiting_approval, requests_of_manager
from investing.services import confirm_request, reject_request
from money.exact import exact_sum

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class Total:
    """Requests of one currency together."""

    currency: str
    currency_digits: int
    amount: Decimal


@signed_in_piece
@require_http_methods(["GET", "HEAD", "POST"])
def approvals(request: HttpRequest) -> HttpResponse:
    """Requests that wait for this person; posted selections are shown once more, then confirmed."""
    person = _approver(request)
    if request.method == "POST":
        chosen = _chosen(request, person)
        if not chosen:
            messages.warning(request, _("Choose at least one request that still waits."))
            return redirect(request.get_full_path())
        if request.POST.get("step") == "confirm":
            return _confirm(request, person, chosen)
        return _review(request, chosen)
    manager = manager_of(person)
    accounts = list(pamm_accounts_of(manager)) if manager else []
    account = _account_asked(request, accounts)
    shows_all = request.GET.get("show") == "all" and manager is not None
    rows = requests_of_manager(person) if shows_all else requests_awaiting_approval(person)
    if account is not None:
        rows = rows.filter(account=account)
    context = {
        "page": page_by_id(request, rows, PAGE_SIZE, oldest_first=not shows_all),
        "accounts": accounts,
        "account": account,
        "shows_all": shows_all,
        "has_history": manager is not None,
    }
    return live_page(
        request,
        "investing/manage_approvals.html",
        context,
        piece="investing/manage_approvals_rows.html",
        element_id="approval-rows",
    )


def _review(request: HttpRequest, chosen: Sequence[Request]) -> HttpResponse:
    """The page before confirming: each request as it is now, with the sums."""
    context = {
        "chosen": [(row, _shown_amount(request, row) != row.amount) for row in chosen],
        "totals": _totals(chosen),
        "back": request.get_full_path(),
    }
    return render(request, "investing/manage_confirm.html", context)


def _confirm(request: HttpRequest, person: User, chosen: Sequence[Request]) -> HttpResponse:
    """Each on its own: one that cannot be confirmed stops no other, and says why."""
    confirmed = 0
    for row in chosen:
        try:
            confirm_request(request=row, by=person, expected_amount=_shown_amount(request, row))
        except Refusal as refusal:
            owner = row.investment.owner
            messages.error(request, _("%(owner)s: %(reason)s") % {"owner": owner, "reason": refusal})
        else:
            confirmed += 1
    if confirmed:
        words = ngettext(
            "%(count)s request confirmed: it is executed at the next rollover.",
            "%(count)s requests confirmed: they are executed at the next rollover.",
            confirmed,
        )
        messages.success(request, words % {"count": confirmed})
    return redirect(request.get_full_path())


class RejectionForm(forms.Form):
    """Why a request is turned down."""

    note = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=300,
        widget=forms.Textarea(attrs={"class": "form-control", "rows": 3}),
        help_text=gettext_lazy("The investor reads it."),
    )


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def reject(request: HttpRequest, request_id: uuid.UUID) -> HttpResponse:
    """Turn one request down, with a reason."""
    person = _approver(request)
    found = requests_awaiting_approval(person).filter(public_id=request_id).first()
    if found is None:
        raise NotFound
    form = RejectionForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            reject_request(request=found, by=person, note=form.cleaned_data["note"])
        except Refusal as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        else:
            messages.success(request, _("Rejected. No money has moved."))
            return redirect("investing:approvals")
    status = 422 if form.errors else 200
    return render(request, "investing/manage_reject.html", {"form": form, "row": found}, status=status)


def _chosen(request: HttpRequest, person: User) -> list[Request]:
    """The ticked requests that still wait for this person, oldest first."""
    ticked = {
        identifier for text in request.POST.getlist("request") if (identifier := _uuid(text)) is not None
    }
    if not ticked:
        return []
    return list(requests_awaiting_approval(person).filter(public_id__in=ticked)[:PAGE_SIZE])


def _shown_amount(request: HttpRequest, row: Request) -> Decimal | None:
    """The amount the page showed, so that a request that changed since is not confirmed unseen."""
    if row.amount is None:
        return None
    try:
        shown = Decimal(request.POST.get(f"amount-{row.public_id}", ""))
    except InvalidOperation:
        return Decimal(-1)
    # Nothing can be compared with a signalling NaN.
    return shown if shown.is_finite() else Decimal(-1)


def _totals(rows: Sequence[Request]) -> list[Total]:
    by_currency: dict[tuple[str, int], list[Decimal]] = {}
    for row in rows:
        by_currency.setdefault((row.currency, row.currency_digits), []).append(row.amount or Decimal(0))
    return [Total(*key, amount=exact_sum(amounts)) for key, amounts in sorted(by_currency.items())]


def _account_asked(request: HttpRequest, accounts: Sequence[PammAccount]) -> PammAccount | None:
    asked = _uuid(request.GET.get("account", ""))
    return next((account for account in accounts if account.public_id == asked), None)


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _approver(request: HttpRequest) -> User:
    """Who is signed in, if they approve anything at all. Raises `NotFound` for others."""
    person = request.user
    assert isinstance(person, User)
    if not has_role(person, Role.MANAGER, Role.ADMIN, Role.DEALER):
        raise NotFound
    return person
