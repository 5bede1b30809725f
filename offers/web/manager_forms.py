"""The offer editor's forms: what is typed, in percent and in the account's currency, and the draft it means.

The rules are the services'; a form checks only that there is a number where a number belongs.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Self

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.models import PammAccount
from brokers.errors import Refusal
from fees.calc.schedule import MOST_TIERS, Basis, Mode, Schedule, Tier
from fees.calc.shares import Shares
from offers.drafts import TermsDraft, share_fields
from offers.models import Offer, Terms

HUNDRED = Decimal(100)


class PlainNumber(forms.TextInput):
    """A number as text with a phone's numeric keyboard: `type=number` drops a decimal comma in silence."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(
            attrs={"inputmode": "decimal", "autocomplete": "off", "class": "form-control", **attributes}
        )


def amount_field(label: Any, *, required: bool = True, help_text: Any = "") -> forms.DecimalField:
    return forms.DecimalField(
        label=label,
        required=required,
        help_text=help_text,
        max_digits=28,
        decimal_places=9,
        widget=PlainNumber(),
    )


def percent_field(label: Any, *, required: bool = False, help_text: Any = "") -> forms.DecimalField:
    return forms.DecimalField(
        label=label,
        required=required,
        help_text=help_text,
        max_digits=12,
        decimal_places=9,
        widget=PlainNumber(),
    )


class OfferForm(forms.Form):
    """The offer itself."""

    name = forms.CharField(
        label=_("Name"),
        max_length=80,
        widget=forms.TextInput(attrs={"class": "form-control", "autocomplete": "off"}),
    )
    description = forms.CharField(
        label=_("Description"), required=False, max_length=2000,
        widget=forms.Textarea(attrs={"class": "form-control", "rows": 2}),
        help_text=_("What an investor should know about the strategy."),
    )  # fmt: skip
    visibility = forms.ChoiceField(
        label=_("Who sees it"), choices=Offer.Visibility, widget=forms.Select(attrs={"class": "form-select"})
    )
    approval = forms.ChoiceField(
        label=_("Deposits are approved"),
        choices=Offer.Approval,
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    capacity_amount = amount_field(_("Most money"), required=False, help_text=_("Empty: no limit."))
    capacity_investors = forms.IntegerField(
        label=_("Most investors"), required=False, min_value=1, max_value=2**31 - 1,
        help_text=_("Empty: no limit."), widget=PlainNumber(inputmode="numeric"),
    )  # fmt: skip

    @staticmethod
    def initial_of(offer: Offer | None) -> dict[str, Any]:
        """The offer as it is; a new one is public and its deposits wait for the manager."""
        if offer is None:
            return {"visibility": Offer.Visibility.PUBLIC, "approval": Offer.Approval.MANAGER}
        return {
            "name": offer.name,
            "description": offer.description,
            "visibility": offer.visibility,
            "approval": offer.approval,
            "capacity_amount": _typed_amount(offer.capacity_amount, offer.account),
            "capacity_investors": offer.capacity_investors,
        }

    def offer_fields(self) -> dict[str, Any]:
        """Arguments of `create_offer` and `change_offer`."""
        cleaned = self.cleaned_data
        return {
            **cleaned,
            "visibility": Offer.Visibility(cleaned["visibility"]),
            "approval": Offer.Approval(cleaned["approval"]),
        }


class TermsForm(forms.Form):
    """One version of terms, without its tiers and shares. A fee that is left empty is not charged."""

    OTHER_FEES: ClassVar = (
        "management_rate", "subscription_amount", "volume_amount_per_lot", "early_exit_rate",
    )  # fmt: skip

    basis = forms.ChoiceField(
        label=_("The rate depends on"),
        choices=[
            (Basis.FLAT.value, _("Nothing: one rate")),
            (Basis.YIELD.value, _("The return of the interval")),
            (Basis.NET_WORTH.value, _("The investment's worth")),
        ],
        widget=forms.RadioSelect(attrs={"class": "form-check-input"}),
    )
    mode = forms.ChoiceField(
        label=_("The reached rate applies to"),
        choices=[
            (Mode.WHOLE.value, _("The whole profit")),
            (Mode.MARGINAL.value, _("Its own band only")),
        ],
        widget=forms.RadioSelect(attrs={"class": "form-check-input"}),
    )
    no_performance_fee = forms.BooleanField(
        label=_("This offer has no performance fee"), required=False,
        widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
    )  # fmt: skip
    interval_count = forms.IntegerField(
        label=_("Every"), min_value=1, max_value=1000, widget=PlainNumber(inputmode="numeric")
    )
    interval_unit = forms.ChoiceField(
        label=_("Unit"), choices=Terms.IntervalUnit, widget=forms.Select(attrs={"class": "form-select"})
    )
    interval_anchor = forms.ChoiceField(
        label=_("Counted from"),
        choices=Terms.IntervalAnchor,
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    profit_basis = forms.ChoiceField(
        label=_("Profit is measured by"),
        choices=Terms.ProfitBasis,
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    on_withdrawal = forms.ChoiceField(
        label=_("A withdrawal charges the fee on"), choices=Terms.OnWithdrawal,
        widget=forms.Select(attrs={"class": "form-select"}),
    )  # fmt: skip
    minimum_first = amount_field(_("First deposit, at least"))
    minimum_further = amount_field(_("Further deposits, at least"))
    minimum_remaining = amount_field(
        _("Must remain, at least"),
        help_text=_("A withdrawal that would leave less has to close the investment."),
    )
    amount_step = amount_field(_("In steps of"), required=False, help_text=_("Empty: any amount."))
    lock_in_days = forms.IntegerField(
        label=_("Lock-in, days"), min_value=0, max_value=3650, help_text=_("0: none."),
        widget=PlainNumber(inputmode="numeric"),
    )  # fmt: skip
    management_rate = percent_field(
        _("Management fee"), help_text=_("Per year, of what the investment is worth.")
    )
    subscription_amount = amount_field(
        _("Subscription fee"), required=False, help_text=_("Per trading interval.")
    )
    volume_amount_per_lot = amount_field(
        _("Volume fee"), required=False, help_text=_("Per lot closed in the account, shared by all.")
    )
    early_exit_rate = percent_field(
        _("Early exit fee"),
        help_text=_("Of what is withdrawn early. A lock-in then bars nobody."),
    )
    early_exit_until = forms.ChoiceField(
        label=_("The early exit fee is due until"),
        choices=Terms.EarlyExitUntil,
        widget=forms.Select(attrs={"class": "form-select"}),
    )

    @staticmethod
    def initial_of(terms: Terms | None, account: PammAccount) -> dict[str, Any]:
        """What the editor opens with: the terms' figures, or a month with no fee or minimum filled in."""
        if terms is None:
            return {
                "basis": Basis.FLAT.value,
                "mode": Mode.WHOLE.value,
                "interval_count": 1,
                "interval_unit": Terms.IntervalUnit.MONTHS,
                "interval_anchor": Terms.IntervalAnchor.CALENDAR,
                "profit_basis": Terms.ProfitBasis.EQUITY,
                "on_withdrawal": Terms.OnWithdrawal.PROPORTIONAL,
                "lock_in_days": 0,
                "early_exit_until": Terms.EarlyExitUntil.LOCK_IN,
            }
        draft = TermsDraft.of(terms)
        names = (
            "no_performance_fee", "interval_count", "interval_unit", "interval_anchor", "profit_basis",
            "on_withdrawal", "lock_in_days", "early_exit_until",
        )  # fmt: skip
        amounts = ("minimum_first", "minimum_further", "minimum_remaining", "amount_step")
        fee_amounts = ("subscription_amount", "volume_amount_per_lot")
        fee_rates = ("management_rate", "early_exit_rate")
        return {
            "basis": draft.schedule.basis.value,
            "mode": draft.schedule.mode.value,
            **{name: getattr(draft, name) for name in names},
            **{name: _typed_amount(getattr(draft, name), account) for name in amounts},
            **{name: _typed_amount(getattr(draft, name) or None, account) for name in fee_amounts},
            **{name: _typed_percent(getattr(draft, name) or None) for name in fee_rates},
        }

    def draft(self, tiers: tuple[Tier, ...], entry_tiers: tuple[Tier, ...], shares: Shares) -> TermsDraft:
        """The draft of a valid form with what stands beside it."""
        cleaned = self.cleaned_data
        zero = Decimal(0)
        schedule = Schedule(Basis(cleaned["basis"]), Mode(cleaned["mode"]), tiers)
        return TermsDraft(
            schedule=schedule,
            entry_tiers=entry_tiers,
            management_rate=(cleaned["management_rate"] or zero) / HUNDRED,
            subscription_amount=cleaned["subscription_amount"] or zero,
            volume_amount_per_lot=cleaned["volume_amount_per_lot"] or zero,
            early_exit_rate=(cleaned["early_exit_rate"] or zero) / HUNDRED,
            early_exit_until=Terms.EarlyExitUntil(cleaned["early_exit_until"]),
            no_performance_fee=cleaned["no_performance_fee"],
            profit_basis=Terms.ProfitBasis(cleaned["profit_basis"]),
            on_withdrawal=Terms.OnWithdrawal(cleaned["on_withdrawal"]),
            interval_unit=Terms.IntervalUnit(cleaned["interval_unit"]),
            interval_count=cleaned["interval_count"],
            interval_anchor=Terms.IntervalAnchor(cleaned["interval_anchor"]),
            minimum_first=cleaned["minimum_first"],
            minimum_further=cleaned["minimum_further"],
            minimum_remaining=cleaned["minimum_remaining"],
            amount_step=cleaned["amount_step"],
            lock_in_days=cleaned["lock_in_days"],
            **share_fields(shares),
        )


class PercentagesField(forms.CharField):
    """Several percentages in one input, as fractions."""

    _ONE = re.compile(r"\d{1,3}(\.\d{1,9})?")

    def to_python(self, value: Any) -> Any:
        typed = re.split(r"[\s;,]+", (super().to_python(value) or "").strip())
        if not all(self._ONE.fullmatch(percentage) for percentage in typed if percentage):
            raise forms.ValidationError(_("Write percentages with spaces between them: 10 5 2.5"))
        return tuple(Decimal(percentage) / HUNDRED for percentage in typed if percentage)


class SharesForm(forms.Form):
    """Who receives what of every fee: the broker's administrator decides."""

    broker_share_rate = percent_field(_("Broker's share"))
    agent_share_rates = PercentagesField(
        label=_("Agents' shares"), required=False, max_length=200, widget=PlainNumber(inputmode="text"),
        help_text=_("One for each level, the nearest agent first: 10 5 2.5"),
    )  # fmt: skip

    @staticmethod
    def initial_of(shares: Shares) -> dict[str, Any]:
        return {
            "broker_share_rate": _typed_percent(shares.broker_rate),
            "agent_share_rates": " ".join(_plain(rate * HUNDRED) for rate in shares.agent_rates),
        }

    def shares(self) -> Shares:
        cleaned = self.cleaned_data
        rate = cleaned["broker_share_rate"] or Decimal(0)
        return Shares(rate / HUNDRED, cleaned["agent_share_rates"])


class TierForm(forms.Form):
    """One tier. `bound` in percent (return) or in the account's currency (worth); the first tier has none."""

    bound = forms.DecimalField(
        label=_("From"), required=False, max_digits=28, decimal_places=9, widget=PlainNumber()
    )
    rate = forms.DecimalField(
        label=_("Rate"), required=False, max_digits=12, decimal_places=9, widget=PlainNumber()
    )


class TierRows:
    """The rows of tiers as typed: they stay as typed while rows are added and removed."""

    prefix = "tier"

    def __init__(self, rows: Sequence[Mapping[str, Any]], *, bound: bool, in_hand: int | None = None) -> None:
        """`in_hand`: the row that was just added, or stands where one was removed, and is typed into next."""
        self.rows = rows
        self.fault = ""
        self.in_hand = in_hand
        self.forms = [
            TierForm(self._prefixed(row, number), prefix=self._prefix_of(number))
            if bound
            else TierForm(initial=dict(row), prefix=self._prefix_of(number))
            for number, row in enumerate(rows)
        ]
        if in_hand is not None:
            field = "bound" if in_hand else "rate"
            self.forms[in_hand].fields[field].widget.attrs["autofocus"] = True

    @classmethod
    def of(cls, tiers: Sequence[Tier], basis: Basis, account: PammAccount) -> Self:
        """Rows of saved tiers; one empty row where there are none, so that a rate has to be entered."""
        rows = [
            {
                "bound": _typed_bound(basis, tier.lower_bound, account),
                "rate": _plain(tier.rate * HUNDRED),
            }
            for tier in tiers
        ]
        return cls(rows or [{}], bound=False)

    @classmethod
    def typed(cls, post: Mapping[str, Any], *, action: str = "") -> Self:
        """Rows as posted, with one more (action `add-tier`) or one less (`remove-tier-1`). Reads at most one
        row above the limit of a schedule.
        """
        rows: list[Mapping[str, Any]] = []
        in_hand = None
        while len(rows) <= MOST_TIERS and f"{cls._prefix_of(len(rows))}-rate" in post:
            prefix = cls._prefix_of(len(rows))
            rows.append({"bound": post.get(f"{prefix}-bound", ""), "rate": post[f"{prefix}-rate"]})
        if action == f"add-{cls.prefix}" and len(rows) < MOST_TIERS:
            rows.append({"bound": "", "rate": ""})
            in_hand = len(rows) - 1
        remove = row_number(action.removeprefix(f"remove-{cls.prefix}-"))
        if remove is not None and 0 <= remove < len(rows) and len(rows) > 1:
            del rows[remove]
            in_hand = min(remove, len(rows) - 1)
        return cls(rows or [{"bound": "", "rate": ""}], bound=True, in_hand=in_hand)

    def unchecked(self) -> Self:
        """The same rows, shown as typed without finding fault with them."""
        return type(self)(self.rows, bound=False, in_hand=self.in_hand)

    def is_valid(self) -> bool:
        # Each is asked, not only those before the first fault: every row shows its own.
        return not [form for form in self.forms if not form.is_valid()]

    def refuse(self, refusal: Refusal) -> None:
        """Put a refusal beside the row and input it is about, else above the rows."""
        number, reason = refusal.fields.get("tier"), str(refusal.fields.get("reason", "rate"))
        name = next((name for name in ("bound", "rate") if reason.startswith(name)), None)
        if number is None or name is None or number > len(self.forms):
            self.fault = str(refusal)
        else:
            self.forms[number - 1].add_error(name, str(refusal))

    def tiers(self, basis: Basis, *, may_be_free: bool) -> tuple[Tier, ...] | None:
        """Tiers of valid rows; None where a rate is missing although there is to be a fee."""
        tiers = []
        for number, form in enumerate(self.forms):
            bound, rate = form.cleaned_data["bound"], form.cleaned_data["rate"]
            if rate is None:
                if not may_be_free:
                    form.add_error("rate", _("Enter a rate."))
                    return None
                rate = Decimal(0)
            if number == 0:
                bound = None
            if bound is not None and basis is Basis.YIELD:
                bound = bound / HUNDRED
            tiers.append(Tier(bound, rate / HUNDRED))
        return tuple(tiers)

    @property
    def is_full(self) -> bool:
        return len(self.forms) >= MOST_TIERS

    @classmethod
    def _prefix_of(cls, number: int) -> str:
        return f"{cls.prefix}-{number}"

    @classmethod
    def _prefixed(cls, row: Mapping[str, Any], number: int) -> dict[str, Any]:
        return {f"{cls._prefix_of(number)}-{name}": value for name, value in row.items()}


class EntryRows(TierRows):
    """The rows of an entry fee. One row without a rate, or with 0, is no entry fee."""

    prefix = "entry"

    def entry_tiers(self) -> tuple[Tier, ...] | None:
        """Tiers of valid rows; None where one of several has no rate."""
        is_single = len(self.forms) == 1
        tiers = self.tiers(Basis.NET_WORTH, may_be_free=is_single)
        return () if is_single and tiers and not tiers[0].rate else tiers

    @property
    def is_used(self) -> bool:
        return len(self.forms) > 1 or any(self.rows[0].values())


def row_number(text: str) -> int | None:
    """A row or version as posted; None where it is none. Python refuses to read thousands of digits."""
    return int(text) if text.isdecimal() and len(text) < 10 else None


def _typed_bound(basis: Basis, bound: Decimal | None, account: PammAccount) -> str | None:
    if bound is None:
        return None
    return _plain(bound * HUNDRED) if basis is Basis.YIELD else _typed_amount(bound, account)


def _typed_amount(amount: Decimal | None, account: PammAccount) -> str | None:
    """An amount as a person would type it: cents only where there are any."""
    if amount is None:
        return None
    digits = 0 if amount == amount.to_integral_value() else account.currency_digits
    return format(amount, f".{digits}f")


def _typed_percent(rate: Decimal | None) -> str | None:
    return None if rate is None else _plain(rate * HUNDRED)


def _plain(number: Decimal) -> str:
    return format(number.normalize(), "f")
