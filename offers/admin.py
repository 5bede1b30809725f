"""Offers and the versions of their terms, to read: managers change them on their own pages."""

from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget

from accounts.models import Role
from money.rounding import is_whole_minor_units
from offers.models import FeeCeiling, Offer, Terms
from offers.words import recipients_in_words, terms_in_words
from pamm_platform.admin_pages import (
    AccountFilter,
    BackOfficeAdmin,
    ReadOnlyAdmin,
    amount,
    link,
    structure,
)
from pamm_platform.admin_site import back_office
from trading.models import TradingGroup


@admin.register(Offer, site=back_office)
class OfferAdmin(ReadOnlyAdmin):
    list_display: ClassVar = [
        "name",
        link("account", _("PAMM account")),
        "visibility",
        "approval",
        "state",
        "created_at",
    ]
    list_select_related = ("account",)
    list_filter = ("state", "visibility", "approval", AccountFilter)
    search_fields = ("name", "account__name", "=public_id")
    fields: ClassVar = [
        "public_id",
        "name",
        link("account", _("PAMM account")),
        "description",
        "visibility",
        "approval",
        "state",
        amount("capacity_amount", _("capacity"), of="account"),
        "capacity_investors",
        "created_at",
    ]


@admin.register(Terms, site=back_office)
class TermsAdmin(ReadOnlyAdmin):
    list_display: ClassVar = [
        link("offer", _("offer")),
        "version",
        "interval",
        "lock_in_days",
        "created_at",
        "created_by",
    ]
    list_display_links = ("version",)
    list_select_related = ("offer__account", "created_by")
    search_fields = ("offer__name", "=public_id")
    fields: ClassVar = [
        "public_id",
        link("offer", _("offer")),
        "version",
        "in_words",
        structure("performance_schedule", _("schedule")),
        "profit_basis",
        "on_withdrawal",
        "interval",
        "interval_anchor",
        amount("minimum_first", _("smallest first deposit"), of="offer.account"),
        amount("minimum_further", _("smallest further deposit"), of="offer.account"),
        amount("minimum_remaining", _("smallest remainder"), of="offer.account"),
        "lock_in_days",
        "early_exit_rate",
        "early_exit_until",
        "management_rate",
        structure("entry_tiers", _("entry fee")),
        amount("subscription_amount", _("subscription fee"), of="offer.account"),
        amount("volume_amount_per_lot", _("volume fee per lot"), of="offer.account"),
        "recipients",
        "created_at",
        link("created_by", _("written by")),
    ]

    @admin.display(description=_("trading interval"))
    def interval(self, terms: Terms) -> str:
        return f"{terms.interval_count} {terms.get_interval_unit_display()}"

    @admin.display(description=_("in plain words"))
    def in_words(self, terms: Terms) -> str:
        return " ".join(terms_in_words(terms))

    @admin.display(description=_("who receives the fees"))
    def recipients(self, terms: Terms) -> str:
        return " ".join(recipients_in_words(terms))


class FeeCeilingForm(forms.ModelForm):  # type: ignore[type-arg]
    """Amounts in a currency that the broker's trading groups use, with its decimals."""

    AMOUNTS: ClassVar = ("subscription_amount", "volume_amount_per_lot")

    currency = forms.ChoiceField(label=_("Currency"), widget=UnfoldAdminSelectWidget)

    class Meta:
        model = FeeCeiling
        fields = ("currency", "subscription_amount", "volume_amount_per_lot")
        labels: ClassVar = {
            "subscription_amount": _("Subscription fee, at most"),
            "volume_amount_per_lot": _("Volume fee, at most"),
        }
        help_texts: ClassVar = {
            "subscription_amount": _("Per trading interval. Empty: no ceiling."),
            "volume_amount_per_lot": _("Per lot. Empty: no ceiling."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._digits = dict(TradingGroup.objects.order_by().values_list("currency", "currency_digits"))
        if self.instance.pk:
            self._digits = {self.instance.currency: self.instance.currency_digits}
        field: Any = self.fields["currency"]
        field.choices = [(currency, currency) for currency in sorted(self._digits)]

    def clean_currency(self) -> str:
        currency: str = self.cleaned_data["currency"]
        if FeeCeiling.objects.filter(currency=currency).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError(_("This currency has its ceilings already."), code="taken")
        return currency

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        self.instance.currency_digits = digits = self._digits.get(cleaned.get("currency", ""), 0)
        for name in self.AMOUNTS:
            most: Decimal | None = cleaned.get(name)
            if most is not None and (most < 0 or not is_whole_minor_units(most, digits)):
                self.add_error(name, _("An amount of the currency, 0 or more."))
        return cleaned


@admin.register(FeeCeiling, site=back_office)
class FeeCeilingAdmin(BackOfficeAdmin):
    """The most a fee in money may be, by currency. Emptied, not deleted: no amount is no ceiling."""

    adders = changers = frozenset({Role.ADMIN})
    form = FeeCeilingForm
    list_display: ClassVar = [
        "currency",
        amount("subscription_amount", _("subscription fee per interval")),
        amount("volume_amount_per_lot", _("volume fee per lot")),
    ]
    ordering: ClassVar = ["currency"]
