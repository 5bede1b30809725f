"""Everything that happened to one investment, each line with the inputs and steps that explain it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from allocation.models import Investment, UnitEntry
from fees.models import Charge
from fees.queries import charges_of
from investing.models import Request
from money.rounding import half_even
from outbox.models import Event
from pamm_platform.templatetags.figures import money, percent, signed_money, units

SHOWN = 100


@dataclass(frozen=True, slots=True)
class Step:
    """One line of an explanation: a name and a written figure."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of the timeline. `amount` is signed as the investor sees it; None where no money moved."""

    at: datetime
    title: str
    icon: str
    amount: Decimal | None = None
    note: str = ""
    steps: Sequence[Step] = field(default_factory=tuple)


def timeline_of(investment: Investment) -> list[Happening]:
    """The last happenings, the latest first; four queries."""
    entries = (
        UnitEntry.objects.filter(investment=investment)
        .exclude(kind__in=_CHARGED)
        .select_related("price_point")
        .order_by("-id")[:SHOWN]
    )
    requests = Request.objects.filter(investment=investment, unit_entry__isnull=True).order_by("-id")[:SHOWN]
    agreed = Event.objects.filter(subject=investment.public_id, kind__in=_TERMS).order_by("-id")[:SHOWN]
    happened = [
        *(_of_entry(entry, investment) for entry in entries),
        *(_of_charge(charge) for charge in charges_of(investment)[:SHOWN]),
        *(_of_request(request) for request in requests),
        *(_of_terms(event) for event in agreed),
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
        steps=[
            Step(_("Pool's equity at this rollover"), money(point.price_equity, account)),
            Step(_("Units in the pool"), units(point.price_units)),
            Step(_("Price per unit = equity ÷ units"), units(point.price, 6)),
            Step(_("Amount"), signed_money(entry.amount, account)),
            Step(_("Units = amount ÷ price"), units(entry.units, 6)),
        ],
    )


def _of_charge(charge: Charge) -> Happening:
    titles = {
        Charge.Kind.PERFORMANCE: _("Performance fee"),
        Charge.Kind.EARLY_EXIT: _("Early exit fee"),
    }
    return Happening(
        at=charge.charged_at,
        title=titles.get(Charge.Kind(charge.kind), charge.get_kind_display()),
        icon="percentage",
        amount=-charge.amount,
        note=str(charge.get_occasion_display()),
        steps=charge_steps(charge),
    )


def charge_steps(charge: Charge) -> list[Step]:
    """How a fee was computed, from what was recorded with it."""
    steps = [Step(_("Value before the fee"), money(Decimal(charge.basis.get("value", "0")), charge))]
    if charge.kind == Charge.Kind.PERFORMANCE:
        return [*steps, *_performance_steps(charge)]
    return [
        *steps,
        Step(_("Rate on what was withdrawn"), _rate(charge)),
        Step(_("Fee, rounded down"), money(charge.amount, charge)),
    ]


def _performance_steps(charge: Charge) -> list[Step]:
    """A part withdrawal pays its share of the fee on the whole; every other occasion the whole of it."""
    is_part = charge.occasion == Charge.Occasion.WITHDRAWAL
    unrounded = half_even(Fraction(charge.basis.get("unrounded", "0")), 6)
    return [
        Step(_("High-water mark: profit counts above it"), money(charge.mark_before, charge)),
        Step(_("Profit = value − mark"), signed_money(charge.profit, charge)),
        *_tier_steps(charge.basis, charge),
        Step(_("Rate of the tier that was reached"), _rate(charge)),
        Step(_("Fraction carried from before"), units(charge.carried_before, 6)),
        Step(_("Fee on the whole = profit, if any, × rate + carried"), units(unrounded, 6)),
        Step(
            _("Fee on the part that was withdrawn, rounded down") if is_part else _("Fee, rounded down"),
            money(charge.amount, charge),
        ),
        Step(_("Carried to the next fee"), units(charge.carried_after, 6)),
        Step(_("New high-water mark"), money(charge.mark_after, charge)),
    ]


def _rate(charge: Charge) -> str:
    return percent(half_even(Fraction(charge.basis.get("rate", "0")), 6), 4)


def _tier_steps(basis: dict[str, Any], charge: Charge) -> list[Step]:
    kind = basis.get("schedule", {}).get("basis")
    if kind == "yield":
        return [Step(_("Return of the trading interval"), percent(Decimal(basis["yield"]), 4))]
    if kind == "net_worth":
        return [Step(_("Net worth that decides the tier"), money(Decimal(basis["net_worth"]), charge))]
    return []


def _of_request(request: Request) -> Happening:
    icons = {Request.Kind.DEPOSIT: "plus", Request.Kind.WITHDRAWAL: "arrow-up", Request.Kind.CLOSE: "x"}
    return Happening(
        at=request.created_at,
        title=_("%(kind)s requested") % {"kind": request.get_kind_display()},
        icon=icons[Request.Kind(request.kind)],
        note=" · ".join(filter(None, [str(request.get_state_display()), request.reason_note])),
        steps=[Step(_("Amount asked for"), money(request.amount, request))] if request.amount else [],
    )
