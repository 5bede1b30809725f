"""Everything that happened to one investment, each line with the inputs and steps that explain it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from django.db.models import Case, When
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from allocation.models import Investment, UnitEntry
from fees.explanations import Sentence, explained
from fees.models import Charge
from fees.queries import charges_of
from investing.models import Request
from outbox.models import Event
from pamm_platform.templatetags.figures import money, signed_money, units

SHOWN = 100


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of the timeline. `amount` is signed as the investor sees it; None where no money moved.

    It opens to its `sentences`; `meaning` says before them what a fee is for.
    """

    at: datetime
    title: str
    icon: str
    amount: Decimal | None = None
    note: str = ""
    sentences: Sequence[Sentence] = field(default_factory=tuple)
    meaning: str = ""


def requests_of(investment: Investment) -> list[Request]:
    """Requests that moved nothing, or nothing yet: those that are open, then the others, the latest first."""
    is_open = Case(When(state__in=Request.OPEN_STATES, then=True), default=False)
    requests = Request.objects.filter(investment=investment, unit_entry__isnull=True)
    return list(requests.order_by(is_open.desc(), "-id")[:SHOWN])


def timeline_of(investment: Investment, requests: Sequence[Request]) -> list[Happening]:
    """The last happenings, the latest first; three queries. `requests` are its `requests_of`."""
    entries = (
        UnitEntry.objects.filter(investment=investment)
        .exclude(kind__in=_CHARGED)
        .select_related("price_point")
        .order_by("-id")[:SHOWN]
    )
    agreed = Event.objects.filter(subject=investment.public_id, kind__in=_TOLD).order_by("-id")[:SHOWN]
    happened = [
        *(_of_entry(entry, investment) for entry in entries),
        *(_of_charge(charge) for charge in charges_of(investment)[:SHOWN]),
        *(_of_request(request) for request in requests),
        *(_of_event(event, investment) for event in agreed),
    ]
    return sorted(happened, key=lambda line: line.at, reverse=True)[:SHOWN]


# Fees have charges, which say more than their unit entries.
_CHARGED = [kind for kind in UnitEntry.Kind.values if kind.endswith("_fee")]

_ENTRIES = {
    UnitEntry.Kind.DEPOSIT: ("plus", gettext_lazy("Deposit invested")),
    UnitEntry.Kind.WITHDRAWAL: ("arrow-up", gettext_lazy("Withdrawal paid")),
    UnitEntry.Kind.CLOSE: ("check", gettext_lazy("Investment closed and paid")),
    UnitEntry.Kind.WIPE_OUT: ("alert-triangle", gettext_lazy("The account was wiped out")),
}

_TERMS = {
    "terms.accepted": gettext_lazy("Version {version} of the terms accepted"),
    "terms.acceptance_withdrawn": gettext_lazy("Acceptance of version {version} taken back"),
    "terms.took_effect": gettext_lazy("Version {version} of the terms began"),
}


_STOPS = {
    ("stop.set", "stop_loss"): gettext_lazy("Stop loss set at {amount}"),
    ("stop.set", "take_profit"): gettext_lazy("Take profit set at {amount}"),
    ("stop.removed", "stop_loss"): gettext_lazy("Stop loss of {amount} removed"),
    ("stop.removed", "take_profit"): gettext_lazy("Take profit of {amount} removed"),
    ("investment.stop_reached", "stop_loss"): gettext_lazy("Stop loss reached"),
    ("investment.stop_reached", "take_profit"): gettext_lazy("Take profit reached"),
}
_TOLD = [*_TERMS, *{kind for kind, _stop in _STOPS}]


def _of_event(event: Event, investment: Investment) -> Happening:
    return _of_terms(event) if event.kind in _TERMS else _of_stop(event, investment)


def _of_stop(event: Event, investment: Investment) -> Happening:
    told, account = event.payload, investment.account
    title = str(_STOPS[event.kind, told["stop"]]).format(amount=money(Decimal(told["amount"]), account))
    falls = told["stop"] == "stop_loss"
    note, sentences = "", []
    if event.kind == "investment.stop_reached":
        note = _("The investment is closed at this rollover's price")
        sentences = [
            Sentence(_("Price per unit it was set at"), units(Decimal(told["stop_price"]), 6)),
            Sentence(_("Price per unit at this rollover"), units(Decimal(told["price"]), 6)),
        ]
    elif told.get("replaces"):
        note = _("before: %(amount)s") % {"amount": money(Decimal(told["replaces"]), account)}
    return Happening(
        at=event.occurred_at,
        title=title,
        icon="trending-down" if falls else "trending-up",
        note=note,
        sentences=sentences,
    )


def _of_terms(event: Event) -> Happening:
    title = str(_TERMS[event.kind]).format(version=event.payload["version"])
    return Happening(at=event.occurred_at, title=title, icon="file-text")


def _of_entry(entry: UnitEntry, investment: Investment) -> Happening:
    account, point = investment.account, entry.price_point
    icon, title = _ENTRIES.get(UnitEntry.Kind(entry.kind), ("history", entry.get_kind_display()))
    return Happening(
        at=point.priced_at,
        title=str(title),
        icon=icon,
        amount=entry.amount,
        sentences=[
            Sentence(_("Pool's equity at this rollover"), money(point.price_equity, account)),
            Sentence(_("Units in the pool"), units(point.price_units)),
            Sentence(_("Price per unit = equity ÷ units"), units(point.price, 6)),
            Sentence(_("Amount"), signed_money(entry.amount, account)),
            Sentence(_("Units = amount ÷ price"), units(entry.units, 6)),
        ],
    )


def _of_charge(charge: Charge) -> Happening:
    told = explained(charge)
    return Happening(
        at=charge.charged_at,
        title=told.title,
        icon="percentage",
        amount=-charge.amount,
        note=str(charge.get_occasion_display()),
        sentences=told.sentences,
        meaning=told.meaning,
    )


def _of_request(request: Request) -> Happening:
    icons = {Request.Kind.DEPOSIT: "plus", Request.Kind.WITHDRAWAL: "arrow-up", Request.Kind.CLOSE: "x"}
    return Happening(
        at=request.created_at,
        title=_("%(kind)s requested") % {"kind": request.get_kind_display()},
        icon=icons[Request.Kind(request.kind)],
        note=" · ".join(filter(None, [str(request.get_state_display()), request.reason_note])),
        sentences=[Sentence(_("Amount asked for"), money(request.amount, request))] if request.amount else [],
    )
