"""Stop loss and take profit of an investment: amounts, what they would mean, confirmation; removing one."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from accounts.models import PammAccount, User
from allocation.models import Investment
from brokers.errors import NotFound, Refusal
from fees.calc.crystallisation import Closed
from fees.queries import figures_of
from investing.models import Stop
from investing.queries import StopLine, closing_at_stop, get_investment_for, stop_line, stops_of
from investing.services import remove_stop, set_stops
from investing.services.stops import preview_stops
from investing.web.forms import MoneyField, add_refusal, require_typed_digits
from investing.web.schedule import next_rollover_at
from money.rounding import floor_money

SUGGESTED = {
    Stop.Kind.STOP_LOSS: (Decimal("-0.05"), Decimal("-0.10"), Decimal("-0.20")),
    Stop.Kind.TAKE_PROFIT: (Decimal("0.10"), Decimal("0.25"), Decimal("0.50")),
}


class StopsForm(forms.Form):
    """Two amounts, either of which may be empty, and the units they were typed for."""

    stop_loss = MoneyField(label=gettext_lazy("Stop loss"), required=False)
    take_profit = MoneyField(label=gettext_lazy("Take profit"), required=False)
    units = forms.DecimalField(required=False, widget=forms.HiddenInput)

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        account: PammAccount,
        initial: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data, initial=initial)
        self._account = account
        for kind in Stop.Kind.values:
            self.fields[kind].widget.attrs["aria-describedby"] = f"{kind}-hint"

    def clean_stop_loss(self) -> Decimal | None:
        return self._digits("stop_loss")

    def clean_take_profit(self) -> Decimal | None:
        return self._digits("take_profit")

    def _digits(self, name: str) -> Decimal | None:
        amount: Decimal | None = self.cleaned_data[name]
        if amount is not None:
            try:
                require_typed_digits(amount, self._account)
            except Refusal as refusal:
                raise forms.ValidationError(str(refusal), refusal.code) from None
        return amount

    @property
    def amounts(self) -> dict[Stop.Kind, Decimal | None]:
        return {kind: self.cleaned_data[kind.value] for kind in Stop.Kind}


class RemoveForm(forms.Form):
    """Which of the two."""

    stop = forms.ChoiceField(choices=Stop.Kind.choices)


@dataclass(frozen=True, slots=True)
class Outlook:
    """A stop with what closing at exactly its price would pay today."""

    line: StopLine
    closed: Closed


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An amount to begin with, so far from today's value."""

    amount: Decimal
    distance: Decimal


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def stops_page(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Both amounts, then what they mean, then done; 404 for own capital, which takes none."""
    person = _person(request)
    investment = _own(request, public_id)
    lines = stops_of([investment]).get(investment.pk, [])
    if request.method != "POST":
        initial = {line.stop.kind: _typed(line.amount, investment) for line in lines}
        form = StopsForm(account=investment.account, initial=initial | {"units": investment.units})
        return _form(request, investment, form, lines)
    form = StopsForm(request.POST, account=investment.account)
    if not form.is_valid():
        return _form(request, investment, form, lines)
    amounts = form.amounts
    try:
        if request.POST.get("step") != "confirm":
            planned = preview_stops(investment=investment, amounts=amounts, by=person)
            return _review(request, investment, form, planned, lines)
        units = form.cleaned_data["units"]
        stops = set_stops(investment=investment, amounts=amounts, by=person, expected_units=units)
    except Refusal as refusal:
        if refusal.status == NotFound.status:
            raise
        add_refusal(form, refusal)
        return _form(request, investment, form, lines)
    messages.success(
        request,
        _("Saved. Your stops are checked at each rollover.") if stops else _("Saved. No stop is set."),
    )
    return redirect("allocation:investment", investment.public_id)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def remove_page(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Take one stop away, after asking once more; also where the account takes no requests."""
    investment = _own(request, public_id)
    form = RemoveForm(request.POST if request.method == "POST" else request.GET)
    if not form.is_valid():
        raise NotFound
    kind = Stop.Kind(form.cleaned_data["stop"])
    line = next(
        (line for line in stops_of([investment]).get(investment.pk, []) if line.stop.kind == kind), None
    )
    if request.method != "POST" and line is not None:
        context = {"investment": investment, "account": investment.account, "line": line}
        return render(request, "investing/stop_remove.html", context)
    try:
        remove_stop(investment=investment, kind=kind, by=_person(request))
    except Refusal as refusal:
        if refusal.status == NotFound.status:
            raise
        messages.error(request, str(refusal))
    else:
        messages.success(request, _("Removed. The investment goes on whatever its price."))
    return redirect("allocation:investment", investment.public_id)


def _form(
    request: HttpRequest, investment: Investment, form: StopsForm, lines: list[StopLine]
) -> HttpResponse:
    figures = figures_of([investment])[investment.pk]
    context = _context(investment) | {
        "form": form,
        "lines": lines,
        "inputs": [(form[kind], kind, _suggestions(kind, figures.value, investment)) for kind in Stop.Kind],
    }
    return render(request, "investing/stops.html", context, status=422 if form.errors else 200)


def _review(
    request: HttpRequest,
    investment: Investment,
    form: StopsForm,
    stops: list[Stop],
    before: list[StopLine],
) -> HttpResponse:
    kept = {stop.kind for stop in stops}
    context = _context(investment) | {
        "form": form,
        "outlooks": [
            Outlook(stop_line(stop, investment), closing_at_stop(investment, stop.price)) for stop in stops
        ],
        "removed": [line for line in before if line.stop.kind not in kept],
        "typed": {kind: _typed(amount, investment) for kind, amount in form.amounts.items() if amount},
    }
    return render(request, "investing/stops_review.html", context)


def _context(investment: Investment) -> dict[str, Any]:
    return {
        "investment": investment,
        "account": investment.account,
        "figures": figures_of([investment])[investment.pk],
        "units": format(investment.units, "f"),
        "next_rollover_at": next_rollover_at(),
    }


def _suggestions(kind: Stop.Kind, value: Decimal, investment: Investment) -> list[Suggestion]:
    digits = investment.account.currency_digits
    amounts = [(floor_money(value * (1 + distance), digits), distance) for distance in SUGGESTED[kind]]
    return [Suggestion(amount, distance) for amount, distance in amounts if amount > 0]


def _typed(amount: Decimal, investment: Investment) -> str:
    return format(amount, f".{investment.account.currency_digits}f")


def _own(request: HttpRequest, public_id: UUID) -> Investment:
    investment = get_investment_for(_person(request), public_id)
    if investment.is_own_capital:
        raise NotFound
    return investment


def _person(request: HttpRequest) -> User:
    """The signed-in person of a page that asks for one."""
    assert isinstance(request.user, User)
    return request.user
