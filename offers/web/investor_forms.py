"""What an investor types: the leaderboard's filters and the first deposit."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.models import PersonalAccount
from brokers.errors import Refusal
from investing.amounts import require_amount
from investing.errors import AmountBelowMinimum
from investing.web.forms import MoneyField, require_typed_digits
from offers.models import Terms
from offers.web.manager_forms import PlainNumber
from track_record.queries import Filters, Sort

HUNDRED = Decimal(100)
_BY_AMOUNT = (Sort.MONEY, Sort.MINIMUM)


class LeaderboardForm(forms.Form):
    """Filters and order of the leaderboard. Rates are typed in percent; nothing is required."""

    q = forms.CharField(
        label=_("Search"),
        required=False,
        max_length=80,
        widget=forms.TextInput(
            attrs={"class": "form-control", "type": "search", "placeholder": _("Offer or manager")}
        ),
    )
    sort = forms.ChoiceField(
        label=_("Sort by"),
        required=False,
        choices=[
            (Sort.RETURN.value, _("Return, 12 months")),
            (Sort.RETURN_3M.value, _("Return, 3 months")),
            (Sort.RETURN_1M.value, _("Return, 1 month")),
            (Sort.TOTAL_RETURN.value, _("Return since start")),
            (Sort.DRAWDOWN.value, _("Smallest drawdown")),
            (Sort.INVESTORS.value, _("Most investors")),
            (Sort.MONEY.value, _("Most money")),
            (Sort.AGE.value, _("Longest record")),
            (Sort.MINIMUM.value, _("Lowest minimum")),
        ],
        widget=forms.Select(attrs={"class": "form-select", "data-submits": ""}),
    )
    currency = forms.ChoiceField(
        label=_("Currency"),
        required=False,
        widget=forms.Select(attrs={"class": "form-select", "data-submits": ""}),
    )
    min_return = forms.DecimalField(
        label=_("Return from, %"), required=False, min_value=-100, max_value=100_000, decimal_places=6,
        widget=PlainNumber(),
    )  # fmt: skip
    max_drawdown = forms.DecimalField(
        label=_("Drawdown up to, %"), required=False, min_value=0, max_value=100, decimal_places=6,
        widget=PlainNumber(),
    )  # fmt: skip
    min_months = forms.TypedChoiceField(
        label=_("Record of"), required=False, coerce=int, empty_value=None,
        choices=[("", _("any length")), ("3", _("3 months and more")), ("6", _("6 months and more")),
                 ("12", _("a year and more")), ("24", _("two years and more"))],
        widget=forms.Select(attrs={"class": "form-select", "data-submits": ""}),
    )  # fmt: skip
    amount = forms.DecimalField(
        label=_("I want to invest"), required=False, min_value=0, max_digits=20, decimal_places=6,
        widget=PlainNumber(),
    )  # fmt: skip

    def __init__(self, data: Mapping[str, Any], *, currencies: list[str]) -> None:
        super().__init__(data, auto_id="filter-%s")
        self._has_several_currencies = len(currencies) > 1
        self.fields["currency"].choices = [("", _("Any"))] + [(code, code) for code in currencies]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        by_amount = given.get("amount") is not None or given.get("sort") in _BY_AMOUNT
        if by_amount and self._has_several_currencies and not given.get("currency"):
            self.add_error("currency", _("Choose one: amounts of different currencies cannot be compared."))
            given |= {"amount": None, "sort": ""}
        return given

    def filters(self) -> Filters:
        """The filters that are valid; a wrong one is shown with its error and left out."""
        given = getattr(self, "cleaned_data", {})
        return Filters(
            search=given.get("q") or "",
            currency=given.get("currency") or "",
            minimum_return=_fraction(given.get("min_return")),
            maximum_drawdown=_fraction(given.get("max_drawdown")),
            affordable_with=given.get("amount"),
            minimum_months=given.get("min_months"),
        )

    def order(self) -> Sort:
        return Sort(getattr(self, "cleaned_data", {}).get("sort") or Sort.RETURN)

    @property
    def has_more_filters(self) -> bool:
        """Whether one of the filters that are folded away is in use or wrong."""
        return any(self.data.get(name) for name in ("min_return", "max_drawdown", "min_months", "amount"))

    @property
    def narrows(self) -> bool:
        return self.filters() != Filters()


class FirstDepositForm(forms.Form):
    """Which personal account and how much. Checks what can be told without asking anybody: the service
    decides.
    """

    personal_account = forms.ChoiceField(label=_("Pay from"))
    amount = MoneyField(label=_("Amount"))

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        terms: Terms,
        personal_accounts: Sequence[PersonalAccount],
        initial: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(data, initial=dict(initial or {}))
        self._terms = terms
        self._accounts = {str(account.public_id): account for account in personal_accounts}
        choices = [(public_id, str(account)) for public_id, account in self._accounts.items()]
        self.fields["personal_account"].choices = choices  # type: ignore[attr-defined]

    def clean_personal_account(self) -> PersonalAccount:
        return self._accounts[self.cleaned_data["personal_account"]]

    def clean_amount(self) -> Decimal:
        amount: Decimal = self.cleaned_data["amount"]
        account = self._terms.offer.account
        try:
            require_typed_digits(amount, account)
            require_amount(
                amount,
                currency=account.currency,
                digits=account.currency_digits,
                step=self._terms.amount_step,
            )
            if amount < self._terms.minimum_first:
                raise AmountBelowMinimum(minimum=self._terms.minimum_first, currency=account.currency)
        except Refusal as refusal:
            raise forms.ValidationError(str(refusal), refusal.code) from None
        return amount


def _fraction(percent: Decimal | None) -> Decimal | None:
    return None if percent is None else percent / HUNDRED
