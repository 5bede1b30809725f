"""Newer terms for an investment: old and new side by side, accepting them, taking that back."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from accounts.models import User
from allocation.models import Investment
from brokers.errors import NotFound, Refusal
from fees.queries import figures_of
from investing.queries import get_investment_for, newer_terms
from investing.services import accept_terms, withdraw_acceptance
from investing.web.forms import add_refusal
from offers.models import Terms
from offers.web.examples import FeeExample, fee_examples
from offers.words import terms_by_subject


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of terms; whether the other version does not say it."""

    text: str
    is_changed: bool


@dataclass(frozen=True, slots=True)
class Subject:
    """What two versions say about one subject."""

    title: str
    old: Sequence[Sentence]
    new: Sequence[Sentence]

    @property
    def is_changed(self) -> bool:
        return any(sentence.is_changed for sentence in (*self.old, *self.new))


class AcceptForm(forms.Form):
    """Which version the reader saw, and that he means it."""

    terms = forms.UUIDField()
    understood = forms.BooleanField(
        error_messages={"required": gettext_lazy("Say that you have read what changes.")}
    )


class TakeBackForm(forms.Form):
    """Which version's acceptance is taken back."""

    terms = forms.UUIDField()


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def terms_page(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The newer version that an investment may go on under, beside its own; 404 for own capital."""
    person = request.user
    assert isinstance(person, User)
    investment = get_investment_for(person, public_id)
    if investment.terms is None:
        raise NotFound
    if request.method != "POST":
        return _page(request, investment, investment.terms, AcceptForm())
    takes_back = request.POST.get("action") == "take-back"
    form = (TakeBackForm if takes_back else AcceptForm)(request.POST)
    if form.is_valid():
        meant = Terms.objects.filter(
            offer=investment.terms.offer, public_id=form.cleaned_data["terms"]
        ).first()
        if meant is None:
            raise NotFound
        try:
            (withdraw_acceptance if takes_back else accept_terms)(
                investment=investment, terms=meant, by=person
            )
        except Refusal as refusal:
            if refusal.status == NotFound.status:
                raise
            add_refusal(form, refusal)
        else:
            messages.success(request, _taken_back(investment.terms) if takes_back else _accepted(meant))
            return redirect("investing:terms", investment.public_id)
    investment = get_investment_for(person, public_id)
    assert investment.terms is not None
    return _page(request, investment, investment.terms, form)


def compared(old: Terms, new: Terms) -> list[Subject]:
    """Both versions in words, subject by subject; without those that neither says anything about."""
    subjects = []
    for before, after in zip(terms_by_subject(old), terms_by_subject(new), strict=True):
        if not (before.sentences or after.sentences):
            continue
        subjects.append(
            Subject(
                before.title,
                [Sentence(text, text not in after.sentences) for text in before.sentences],
                [Sentence(text, text not in before.sentences) for text in after.sentences],
            )
        )
    return subjects


def _page(request: HttpRequest, investment: Investment, own: Terms, form: forms.Form) -> HttpResponse:
    offered = newer_terms([investment]).get(investment.pk)
    accepted = investment.accepted_terms
    shown = offered or accepted
    figures = figures_of([investment])[investment.pk]
    capital = figures.net if figures.net > 0 else own.minimum_first
    context = {
        "investment": investment,
        "account": investment.account,
        "own": own,
        "accepted": accepted,
        "offered": offered,
        "shown": shown,
        "subjects": compared(own, shown) if shown is not None else [],
        "examples": _examples(own, shown, capital) if shown is not None and capital > 0 else [],
        "capital": capital,
        "figures": figures,
        "form": form,
    }
    return render(request, "investing/terms.html", context, status=422 if form.errors else 200)


def _examples(own: Terms, shown: Terms, capital: Decimal) -> list[tuple[FeeExample, FeeExample]]:
    return list(zip(fee_examples(own, capital), fee_examples(shown, capital), strict=True))


def _accepted(terms: Terms) -> str:
    return _("Version {version} is accepted. Nothing changes before your trading interval ends.").format(
        version=terms.version
    )


def _taken_back(own: Terms) -> str:
    return _("Taken back. Your investment stays under version {version}.").format(version=own.version)
