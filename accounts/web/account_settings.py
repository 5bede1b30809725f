"""What a manager decides about an account itself: how withdrawals meet open positions, and its end."""

import uuid

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from accounts.disclosure_words import disclosure_in_words
from accounts.models import PammAccount, User
from accounts.queries import get_pamm_account_for, runs_account
from allocation.models import Investment
from brokers.errors import NotFound, Refusal
from investing.services import CLOSABLE_STATES, order_closing, set_margin_policy


class MarginPolicyForm(forms.Form):
    """One of the policies."""

    policy = forms.TypedChoiceField(
        label=gettext_lazy("Withdrawals whose money open positions bind"),
        choices=PammAccount.MarginPolicy.choices,
        coerce=PammAccount.MarginPolicy,
        widget=forms.RadioSelect(attrs={"class": "form-check-input"}),
    )


class ClosingForm(forms.Form):
    """Why, and that it is meant."""

    note = forms.CharField(
        label=gettext_lazy("Why"),
        max_length=300,
        widget=forms.Textarea(attrs={"class": "form-control", "rows": 3}),
        help_text=gettext_lazy("The broker's staff read it."),
    )
    sure = forms.BooleanField(
        label=gettext_lazy("I know that this cannot be taken back"),
        widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
    )


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def account_settings(request: HttpRequest, account_id: uuid.UUID) -> HttpResponse:
    """The account's margin policy, and the way to its end."""
    person, account = _own(request, account_id)
    form = MarginPolicyForm(
        request.POST if request.method == "POST" else None, initial={"policy": account.margin_policy}
    )
    if form.is_valid():
        set_margin_policy(account=account, policy=form.cleaned_data["policy"], by=person)
        messages.success(request, _("Saved. It holds from the next rollover on."))
        return redirect("accounts:managed-account", account.public_id)
    context = {
        "account": account,
        "form": form,
        "disclosed": disclosure_in_words(account.disclosure, account.disclosure_delay),
        "may_close": account.state in CLOSABLE_STATES,
    }
    return render(request, "accounts/manage_settings.html", context, status=422 if form.errors else 200)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def close_account(request: HttpRequest, account_id: uuid.UUID) -> HttpResponse:
    """Say what closing the account means, then begin it."""
    person, account = _own(request, account_id)
    form = ClosingForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            order_closing(account=account, by=person, note=form.cleaned_data["note"])
        except Refusal as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        else:
            messages.success(
                request, _("The account is being closed. Everybody is paid at its next rollovers.")
            )
            return redirect("accounts:managed-account", account.public_id)
    invested = Investment.objects.filter(
        account=account, state=Investment.State.ACTIVE, is_own_capital=False
    ).count()
    context = {"account": account, "form": form, "invested": invested}
    return render(request, "accounts/manage_close.html", context, status=422 if form.errors else 200)


def _own(request: HttpRequest, account_id: uuid.UUID) -> tuple[User, PammAccount]:
    """An account that the person signed in decides about. Raises `NotFound`."""
    person = request.user
    assert isinstance(person, User)
    account = get_pamm_account_for(person, account_id)
    if not runs_account(person, account):
        raise NotFound
    return person, account
