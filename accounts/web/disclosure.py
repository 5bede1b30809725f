"""What a manager lets others see of an account's trades, and what changes at once when he shows more."""

import uuid
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from accounts.disclosure_words import DISCLOSURE_CHOICES, disclosure_in_words
from accounts.errors import OnlyManagerDiscloses
from accounts.models import USUAL_DISCLOSURE_DELAY, PammAccount, User
from accounts.queries import get_pamm_account_for, runs_account
from accounts.services import is_more_open, require_disclosure_delay, set_disclosure
from brokers.errors import NotFound, Refusal
from rollover.trades import trades_to_be_shown

UNITS = {"days": 24, "hours": 1}


class DisclosureForm(forms.Form):
    """Hidden, delayed by so many hours or days, or open."""

    disclosure = forms.ChoiceField(
        label=gettext_lazy("What others see of your trades"),
        choices=DISCLOSURE_CHOICES,
        widget=forms.Select(attrs={"class": "form-select"}),
        help_text=gettext_lazy(
            "Everybody who can see one of your offers of this account, and its investors."
        ),
    )
    delay = forms.IntegerField(
        label=gettext_lazy("Delay"),
        required=False,
        min_value=1,
        max_value=9999,
        widget=forms.TextInput(
            attrs={"class": "form-control", "inputmode": "numeric", "autocomplete": "off"}
        ),
        help_text=gettext_lazy("For “delayed”: how long after it was closed a trade stays unseen."),
    )
    delay_unit = forms.ChoiceField(
        label=gettext_lazy("Unit of the delay"),
        required=False,
        choices=[("days", gettext_lazy("days")), ("hours", gettext_lazy("hours"))],
        widget=forms.Select(attrs={"class": "form-select"}),
    )

    @staticmethod
    def initial_of(disclosure: str, delay: timedelta) -> dict[str, Any]:
        """What the form begins with."""
        hours = int(delay.total_seconds()) // 3600
        unit = "hours" if hours % UNITS["days"] else "days"
        return {"disclosure": disclosure, "delay": hours // UNITS[unit], "delay_unit": unit}

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if not self.errors:
            try:
                require_disclosure_delay(self.disclosure_delay)
            except Refusal as refusal:
                self.add_error("delay", str(refusal))
        return cleaned

    @property
    def disclosure_delay(self) -> timedelta:
        """Of a form without errors; the usual one where nothing was typed."""
        typed = self.cleaned_data["delay"]
        if typed is None:
            return USUAL_DISCLOSURE_DELAY
        return timedelta(hours=typed * UNITS[self.cleaned_data["delay_unit"] or "days"])


class DisclosureRadioForm(DisclosureForm):
    """The same with all choices in sight."""

    disclosure = forms.ChoiceField(
        label=gettext_lazy("What others see of your trades"),
        choices=DISCLOSURE_CHOICES,
        widget=forms.RadioSelect(attrs={"class": "form-check-input"}),
    )


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def account_disclosure(request: HttpRequest, account_id: uuid.UUID) -> HttpResponse:
    """Choose; where more is seen than before, look at what that is, and only then show it."""
    person = request.user
    assert isinstance(person, User)
    account = get_pamm_account_for(person, account_id)
    if not runs_account(person, account):
        raise NotFound
    form = DisclosureRadioForm(
        request.POST if request.method == "POST" else None,
        initial=DisclosureForm.initial_of(account.disclosure, account.disclosure_delay),
    )
    if form.is_valid():
        chosen = PammAccount.Disclosure(form.cleaned_data["disclosure"])
        shows_more = is_more_open(account, chosen, form.disclosure_delay)
        if shows_more and account.manager.user_id != person.pk:
            form.add_error(None, str(OnlyManagerDiscloses()))
        elif shows_more and request.POST.get("step") != "confirm":
            return render(request, "accounts/manage_disclosure_review.html", _review(account, form, chosen))
        else:
            set_disclosure(account=account, disclosure=chosen, delay=form.disclosure_delay, by=person)
            messages.success(request, _("Saved. It holds from now on."))
            return redirect("accounts:managed-account", account.public_id)
    context = {
        "account": account,
        "form": form,
        "is_own": account.manager.user_id == person.pk,
        "now": disclosure_in_words(account.disclosure, account.disclosure_delay),
    }
    return render(request, "accounts/manage_disclosure.html", context, status=422 if form.errors else 200)


def _review(account: PammAccount, form: DisclosureForm, chosen: PammAccount.Disclosure) -> dict[str, Any]:
    delay = form.disclosure_delay
    return {
        "account": account,
        "form": form,
        "before": disclosure_in_words(account.disclosure, account.disclosure_delay),
        "after": disclosure_in_words(chosen, delay),
        "totals": trades_to_be_shown(account, chosen, delay),
        "shows_positions": chosen == PammAccount.Disclosure.OPEN,
    }
