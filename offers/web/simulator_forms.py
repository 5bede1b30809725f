"""What somebody types into the fee simulator: how much, how long, how it goes.

Returns are typed in percent. The form checks what can be told from the figures alone; what the terms or the
calculation decline comes back as a refusal.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Self

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.models import PammAccount
from brokers.errors import Refusal
from brokers.web.long_select import LongSelect
from fees.calc.scenario import MOST_MONTHS, Path, Scenario, returns_along
from fees.calc.schedule import Basis, Mode
from investing.amounts import require_amount
from investing.errors import AmountBelowMinimum
from investing.web.forms import MoneyField, require_typed_digits
from money.exact import ZERO
from money.rounding import half_even
from offers.models import Terms
from offers.web.manager_forms import HUNDRED, PlainNumber, TierRows

MONTHS_AT_FIRST = 12
RATE_AT_FIRST = "2"
EXAMPLE_CAPITAL = Decimal(1000)
LOWEST_RETURN, HIGHEST_RETURN = Decimal(-30), Decimal(30)
"""Of a month, in percent: three times it, which a path takes, leaves something over."""
LOWEST_LISTED, HIGHEST_LISTED = Decimal(-99), Decimal(100)
MOST_LOTS = Decimal(1_000_000)
MINOR_UNITS_OF_A_LOT = 1_000_000
FEWEST_LOTS_AT_FIRST, MOST_LOTS_AT_FIRST = Decimal("0.01"), Decimal(10)


class ReturnsField(forms.CharField):
    """Returns of months in percent, separated by spaces, as fractions."""

    _ONE = re.compile(r"[+-]?\d{1,3}(\.\d{1,6})?")

    def to_python(self, value: Any) -> Any:
        typed = [part for part in re.split(r"[\s;,%]+", self._plain(value)) if part]
        if not all(self._ONE.fullmatch(part) for part in typed):
            raise forms.ValidationError(_("Write percentages with spaces between them: 2 -1.5 3"))
        if len(typed) > MOST_MONTHS:
            raise forms.ValidationError(_("At most %(most)s months.") % {"most": MOST_MONTHS})
        if not all(LOWEST_LISTED <= Decimal(part) <= HIGHEST_LISTED for part in typed):
            raise forms.ValidationError(
                _("A month's return lies between %(lowest)s and %(highest)s percent.")
                % {"lowest": LOWEST_LISTED, "highest": HIGHEST_LISTED}
            )
        return tuple(Decimal(part) / HUNDRED for part in typed)

    def _plain(self, value: Any) -> str:
        return str(super().to_python(value) or "").replace("\N{MINUS SIGN}", "-")


class ScenarioForm(forms.Form):
    """A scenario, played under `terms`: their minimums hold, and their lock-in where it cannot be bought off.

    Without terms any positive amount will do.
    """

    CLOSE, STAY = "close", "stay"

    amount = MoneyField(label=_("Amount"))
    months = forms.IntegerField(
        label=_("Months"), min_value=1, max_value=MOST_MONTHS, widget=PlainNumber(inputmode="numeric")
    )
    path = forms.ChoiceField(
        label=_("How it goes"),
        choices=[
            (Path.STEADY.value, _("Steady")),
            (Path.UP_AND_DOWN.value, _("Up and down")),
            (Path.LOSS_THEN_RECOVERY.value, _("Loss, then recovery")),
            (Path.OWN.value, _("My own list")),
        ],
        widget=forms.RadioSelect(attrs={"class": "form-check-input"}),
    )
    rate = forms.DecimalField(
        label=_("Return per month"),
        required=False,
        min_value=LOWEST_RETURN,
        max_value=HIGHEST_RETURN,
        decimal_places=6,
        widget=PlainNumber(inputmode="text"),
    )
    returns = ReturnsField(
        label=_("Returns, month by month"), required=False, max_length=2000,
        help_text=_("In percent, with spaces between them. A shorter list starts over."),
        widget=PlainNumber(inputmode="text", placeholder="3 -1.5 2"),
    )  # fmt: skip
    add = MoneyField(label=_("Pay in each month"), required=False)
    take = MoneyField(label=_("Take out each month"), required=False)
    lots = forms.DecimalField(
        label=_("Lots closed for it each month"),
        required=False,
        min_value=0,
        max_value=MOST_LOTS,
        decimal_places=6,
        help_text=_("The volume fee depends on how much the manager trades."),
        widget=PlainNumber(),
    )
    ending = forms.ChoiceField(
        label=_("At the end"),
        choices=[(CLOSE, _("Leave: all is paid out")), (STAY, _("Stay invested"))],
        widget=forms.Select(attrs={"class": "form-select"}),
    )

    def __init__(
        self, data: Mapping[str, Any] | None = None, *, account: PammAccount, terms: Terms | None
    ) -> None:
        super().__init__(data, initial=self.initial_of(terms, account), auto_id="simulated-%s")
        self._account = account
        self._terms = terms
        for name in self.fields:
            self.fields[name].widget.attrs["aria-describedby"] = f"simulated-{name}-notes"

    @classmethod
    def initial_of(cls, terms: Terms | None, account: PammAccount) -> dict[str, str]:
        """The offer's minimum for a year at a steady return; who cannot leave within it stays. One lot is
        closed a month for each 10,000 of a currency with cents, so that the volume fee is not forgotten.
        """
        amount = (terms.minimum_first if terms else ZERO) or EXAMPLE_CAPITAL
        lots = half_even(amount.scaleb(account.currency_digits) / MINOR_UNITS_OF_A_LOT, 2)
        lock_in = terms.lock_in_days if terms and not terms.early_exit_rate else 0
        counts_rollovers = terms is not None and terms.interval_unit == Terms.IntervalUnit.ROLLOVERS
        months = 1 if counts_rollovers else MONTHS_AT_FIRST
        return {
            "amount": format(amount.normalize(), "f"),
            "months": str(months),
            "path": Path.STEADY.value,
            "rate": RATE_AT_FIRST,
            "lots": format(min(max(lots, FEWEST_LOTS_AT_FIRST), MOST_LOTS_AT_FIRST).normalize(), "f"),
            "ending": cls.STAY if lock_in >= months * 28 else cls.CLOSE,
        }

    @classmethod
    def filled(cls, data: Mapping[str, Any], *, account: PammAccount, terms: Terms | None) -> Self:
        """The form as typed, with what is not there as at first."""
        initial = cls.initial_of(terms, account)
        typed = {name: data.get(name, initial.get(name, "")) for name in cls.base_fields}
        return cls(typed, account=account, terms=terms)

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        self._require_minimum("amount", "minimum_first")
        self._require_minimum("add", "minimum_further")
        self._require_money("take")
        if given.get("add") and given.get("take"):
            self.add_error("take", _("Either pay in or take out."))
        if given.get("path") == Path.OWN.value:
            if not given.get("returns") and "returns" not in self.errors:
                self.add_error("returns", _("Write at least one return."))
        elif given.get("rate") is None and "rate" not in self.errors:
            self.add_error("rate", _("Enter a return."))
        return given

    def scenario(self) -> Scenario:
        """The scenario of a valid form."""
        given = self.cleaned_data
        path = Path(given["path"])
        rate = (given["rate"] or ZERO) / HUNDRED
        return Scenario(
            amount=given["amount"],
            returns=returns_along(path, given["months"], rate, given["returns"]),
            monthly_flow=given["add"] or -(given["take"] or ZERO),
            monthly_lots=given["lots"] or ZERO,
            closes=given["ending"] == self.CLOSE,
        )

    def refuse(self, refusal: Refusal) -> None:
        """Put a refusal beside the input it is about."""
        field = refusal.field if refusal.field in self.fields else None
        if field == "rate" and self.data.get("path") == Path.OWN.value:
            field = "returns"
        self.add_error(field, forms.ValidationError(str(refusal), refusal.code))

    def _require_minimum(self, name: str, minimum_name: str) -> None:
        terms, account = self._terms, self._account
        amount = self._require_money(name, terms.amount_step if terms else None)
        if amount is not None and terms is not None and amount < getattr(terms, minimum_name):
            refusal = AmountBelowMinimum(minimum=getattr(terms, minimum_name), currency=account.currency)
            self.add_error(name, forms.ValidationError(str(refusal), refusal.code))

    def _require_money(self, name: str, step: Decimal | None = None) -> Decimal | None:
        """The amount, where it is one that could be asked for."""
        amount: Decimal | None = self.cleaned_data.get(name)
        if amount is None:
            return None
        account = self._account
        try:
            require_typed_digits(amount, account)
            require_amount(amount, currency=account.currency, digits=account.currency_digits, step=step)
        except Refusal as refusal:
            self.add_error(name, forms.ValidationError(str(refusal), refusal.code))
            return None
        return amount


class EditorScenarioForm(ScenarioForm):
    """In the editor, where the minimums are still being typed: any positive amount will do."""

    def _require_minimum(self, name: str, minimum_name: str) -> None:
        self._require_money(name)


class OtherRows(TierRows):
    """The rows of a second performance fee, typed for comparison and never saved."""

    prefix = "other"


class ComparisonForm(forms.Form):
    """What the draft is compared with. `current` and `tiers` are no offers' ids."""

    CURRENT, TIERS = "current", "tiers"

    compare = forms.ChoiceField(
        label=_("Compare with"), required=False, widget=LongSelect(attrs={"class": "form-select"})
    )
    other_basis = forms.ChoiceField(
        label=_("The rate depends on"),
        required=False,
        choices=[
            (Basis.YIELD.value, _("The return of the interval")),
            (Basis.NET_WORTH.value, _("The investment's worth")),
            (Basis.FLAT.value, _("Nothing: one rate")),
        ],
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    other_mode = forms.ChoiceField(
        label=_("The reached rate applies to"),
        required=False,
        choices=[
            (Mode.WHOLE.value, _("The whole profit")),
            (Mode.MARGINAL.value, _("Its own band only")),
        ],
        widget=forms.Select(attrs={"class": "form-select"}),
    )

    def __init__(self, data: Mapping[str, Any], *, choices: Sequence[tuple[str, str]]) -> None:
        super().__init__(data, auto_id="simulated-%s")
        typed = (self.TIERS, _("Other tiers, typed here"))
        self.fields["compare"].choices = [("", _("Nothing")), *choices, typed]  # type: ignore[attr-defined]

    @property
    def basis(self) -> Basis:
        return Basis(self.cleaned_data.get("other_basis") or Basis.YIELD)

    @property
    def mode(self) -> Mode:
        return Mode(self.cleaned_data.get("other_mode") or Mode.WHOLE)
