"""The simulator in the offer editor: the terms as typed over a scenario, beside other terms.

Nothing is saved, and nothing here refuses the offer: a wrong input of the simulator stands beside its field.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from accounts.models import PammAccount
from brokers.errors import Refusal
from fees.calc.kinds import FeeKind
from fees.calc.schedule import Basis, Schedule, ScheduleInvalid
from fees.explanations import fee_title
from money.exact import ZERO, exact_difference
from offers.drafts import TermsDraft
from offers.errors import tiers_fault
from offers.models import Offer, Terms
from offers.queries import current_terms_of, schedule_of
from offers.web.curve import Curve, curve_of_two
from offers.web.simulation import Calendar, Simulation, recipients_of, simulated
from offers.web.simulator_forms import ComparisonForm, EditorScenarioForm, OtherRows


@dataclass(frozen=True, slots=True)
class Side:
    """One of the terms that are played: by letter and name."""

    letter: str
    name: str
    simulation: Simulation


@dataclass(frozen=True, slots=True)
class Compared:
    """One line of the table. `difference`: the second less the first, None for one alone."""

    label: str
    amounts: Sequence[Decimal]
    is_total: bool = False

    @property
    def difference(self) -> Decimal | None:
        return exact_difference(self.amounts[1], self.amounts[0]) if len(self.amounts) == 2 else None


class SimulatorPanel:
    """`draft`: what is typed, where all of it can be read and the rules keep it; `saved`: the current
    version, None for a new offer.
    """

    def __init__(
        self,
        post: Mapping[str, Any],
        account: PammAccount,
        *,
        offer: Offer,
        saved: Terms | None,
        draft: TermsDraft | None,
    ) -> None:
        self.account = account
        self.offer = offer
        self.saved = saved
        self.terms = draft.version_of(offer, 1) if draft else None
        self.action = str(post.get("action", ""))
        self.form = EditorScenarioForm.filled(post, account=account, terms=self.terms or saved)
        self.others = _offers_to_compare(account, offer)
        self.comparison = ComparisonForm(post, choices=self._choices())
        self.rows = OtherRows.typed(post, action=self.action)
        self.comparison.is_valid()
        self.fault = ""
        self.sides: list[Side] = []
        self.curve: Curve | None = None
        if self.form.is_valid() and self.terms is not None:
            self._play(self.terms)
        if self.action != "simulate":
            self.rows = self.rows.unchecked()

    @property
    def is_open(self) -> bool:
        """Whether the panel was asked for; it is folded away until then."""
        return self.action == "simulate" or self.action.startswith(("add-other", "remove-other"))

    @property
    def bound_unit(self) -> str:
        return "%" if self.comparison.basis is Basis.YIELD else self.account.currency

    @property
    def is_flat(self) -> bool:
        return self.comparison.basis is Basis.FLAT

    @property
    def figures(self) -> list[Compared]:
        """What the investor pays and keeps, then who receives it."""
        courses = [side.simulation.course for side in self.sides]
        recipients = [dict(recipients_of(played)) for played in courses]
        names = dict.fromkeys(name for got in recipients for name in got)
        return [
            Compared(_("Put in"), [played.paid_in for played in courses]),
            Compared(_("Result before fees"), [played.gross_result for played in courses]),
            *(
                Compared(fee_title(kind), [played.fees.get(kind, ZERO) for played in courses])
                for kind in FeeKind
                if any(kind in played.fees for played in courses)
            ),
            Compared(_("All fees"), [played.all_fees for played in courses], is_total=True),
            Compared(_("The investor's result"), [played.net_result for played in courses], is_total=True),
            *(
                Compared(_("Received: %(who)s") % {"who": name}, [got.get(name, ZERO) for got in recipients])
                for name in names
            ),
        ]

    def _choices(self) -> list[tuple[str, str]]:
        own = []
        if self.saved is not None:
            name = _("Version %(version)s, current") % {"version": self.saved.version}
            own = [(ComparisonForm.CURRENT, name)]
        return own + [
            (str(public_id), f"{name} · {account_name}") for public_id, name, account_name in self.others
        ]

    def _play(self, terms: Terms) -> None:
        scenario, calendar = self.form.scenario(), Calendar.from_today()
        try:
            self.sides = [Side("A", _("As typed"), simulated(terms, scenario, calendar))]
        except Refusal as refusal:
            self.form.refuse(refusal)
            return
        other = self._other_terms(terms)
        if other is None:
            return
        name = dict(self.comparison.fields["compare"].choices)[self.comparison.cleaned_data["compare"]]  # type: ignore[attr-defined]
        self.curve = curve_of_two(
            (_("As typed"), schedule_of(terms)), (name, schedule_of(other)), self.account, scenario.amount
        )
        try:
            self.sides.append(Side("B", name, simulated(other, scenario, calendar)))
        except Refusal as refusal:
            self.fault = f"B: {refusal}"

    def _other_terms(self, terms: Terms) -> Terms | None:
        """What the terms are compared with; None for nothing, or where it cannot be read."""
        chosen = self.comparison.cleaned_data.get("compare")
        if chosen == ComparisonForm.TIERS:
            return self._with_other_tiers(terms)
        if chosen == ComparisonForm.CURRENT:
            return self.saved
        if not chosen:
            return None
        # One of the choices: the form has said so.
        return current_terms_of(Offer.objects.filter(public_id=chosen).values_list("pk", flat=True)).get()

    def _with_other_tiers(self, terms: Terms) -> Terms | None:
        if not self.rows.is_valid():
            self.fault = _("The other tiers cannot be read yet.")
            return None
        basis = self.comparison.basis
        tiers = self.rows.tiers(basis, may_be_free=True)
        schedule = Schedule(basis, self.comparison.mode, tiers or ())
        try:
            schedule.validate(self.account.currency_digits)
        except ScheduleInvalid as invalid:
            tier = None if invalid.tier_index is None else invalid.tier_index + 1
            self.fault = f"B: {tiers_fault(invalid.code, tier)}"
            return None
        return replace(TermsDraft.of(terms), schedule=schedule).version_of(self.offer, 1)


def _offers_to_compare(account: PammAccount, offer: Offer) -> list[tuple[uuid.UUID, str, str]]:
    """Public id, name and account's name of the manager's other offers in the same currency, newest last."""
    others = (
        Offer.objects.filter(account__manager=account.manager, account__currency=account.currency)
        .exclude(state=Offer.State.CLOSED)
        .exclude(pk=offer.pk)
    )
    return list(others.order_by("pk").values_list("public_id", "name", "account__name"))
