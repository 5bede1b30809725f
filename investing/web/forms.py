"""What an investor types about an investment he has, and how a refusal comes back to the field at fault."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.models import PammAccount
from brokers.errors import Refusal
from investing.amounts import require_amount
from investing.errors import AmountBelowMinimum, AmountTooPrecise
from offers.models import Terms

_GROUPED = re.compile(r"\d{1,3}(?:[,\u00a0\u202f' ]\d{3})+(?:\.\d+)?")


class MoneyField(forms.DecimalField):
    """An amount as people type it: `5,000.00` and `5 000` are five thousand. Digits and sign are the
    services' rules.
    """

    def __init__(self, **kwargs: Any) -> None:
        attributes = {"class": "form-control", "inputmode": "decimal", "autocomplete": "off"}
        super().__init__(max_digits=28, widget=forms.TextInput(attrs=attributes), **kwargs)

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and _GROUPED.fullmatch(value.strip()):
            value = re.sub(r"[^\d.]", "", value)
        return super().to_python(value)


def require_typed_digits(amount: Decimal, account: PammAccount) -> None:
    """As many decimals as the currency has, or fewer; zeros count. `1.000` is a thousand for half of Europe
    and would be read as one. Raises `AmountTooPrecise`.
    """
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > account.currency_digits:
        raise AmountTooPrecise(field="amount", currency=account.currency, digits=account.currency_digits)


class AmountForm(forms.Form):
    """An amount in an account's currency. Checks what needs nobody else; the service decides the rest."""

    amount = MoneyField(label=_("Amount"))

    def __init__(self, data: Mapping[str, Any] | None = None, *, account: PammAccount) -> None:
        super().__init__(data)
        self._account = account
        self.fields["amount"].widget.attrs |= {"aria-describedby": "amount-hint", "autofocus": True}

    def clean_amount(self) -> Decimal:
        amount: Decimal = self.cleaned_data["amount"]
        try:
            require_typed_digits(amount, self._account)
            require_amount(amount, currency=self._account.currency, digits=self._account.currency_digits)
        except Refusal as refusal:
            raise forms.ValidationError(str(refusal), refusal.code) from None
        return amount


class DepositForm(AmountForm):
    """More money into an investment. `terms`: None for own capital."""

    def __init__(
        self, data: Mapping[str, Any] | None = None, *, account: PammAccount, terms: Terms | None
    ) -> None:
        super().__init__(data, account=account)
        self._terms = terms

    def clean_amount(self) -> Decimal:
        amount, terms, account = super().clean_amount(), self._terms, self._account
        if terms is None:
            return amount
        try:
            step, digits = terms.amount_step, account.currency_digits
            require_amount(amount, currency=account.currency, digits=digits, step=step)
            if amount < terms.minimum_further:
                raise AmountBelowMinimum(minimum=terms.minimum_further, currency=account.currency)
        except Refusal as refusal:
            raise forms.ValidationError(str(refusal), refusal.code) from None
        return amount


class WithdrawalForm(AmountForm):
    """An amount out of an investment, net of fees."""

    close_if_below_minimum = forms.BooleanField(
        label=_("Close the investment if too little would remain"),
        required=False,
        widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
    )


def add_refusal(form: forms.Form, refusal: Refusal) -> None:
    """Show a service's refusal at the field at fault, or above the form."""
    field = refusal.field if refusal.field in form.fields else None
    form.add_error(field, forms.ValidationError(str(refusal), refusal.code))
