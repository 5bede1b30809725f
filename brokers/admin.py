"""The broker's own brand and limits."""

import re
from decimal import Decimal
from typing import Any, ClassVar
from zoneinfo import available_timezones

from django import forms
from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.models import Role
from brokers.errors import Refusal
from brokers.models import Broker
from fees.calc.shares import Shares
from offers.drafts import check_shares
from pamm_platform.admin_pages import BackOfficeAdmin, plain
from pamm_platform.admin_site import back_office

FEE_CEILINGS = (
    "performance_fee_ceiling",
    "management_fee_ceiling",
    "entry_fee_ceiling",
    "early_exit_fee_ceiling",
)


NOT_A_FRACTION = _("A fraction between 0 and 1: 0.5 is 50 %.")


class SharesField(forms.CharField):
    """A list of decimal strings, written with spaces between them."""

    def prepare_value(self, value: Any) -> Any:
        return " ".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        typed = [share for share in re.split(r"[\s;,]+", super().to_python(value) or "") if share]
        if not all(re.fullmatch(r"\d(\.\d{1,9})?", share) for share in typed):
            raise forms.ValidationError(_("Write fractions with spaces between them: 0.10 0.05"))
        return typed


class BrokerForm(forms.ModelForm):  # type: ignore[type-arg]
    """Refuses what pages or rollovers could not work with."""

    class Meta:
        model = Broker
        fields = (
            "name",
            "time_zone",
            "language",
            "primary_colour",
            "email_sender",
            "freeze_minutes",
            "quiet_minutes",
            "stale_tick_seconds",
            "floating_tolerance",
            "foreign_limit",
            *FEE_CEILINGS,
            "fee_share_rate",
            "agent_share_rates",
        )
        labels: ClassVar = {"fee_share_rate": _("Broker's share")}

    agent_share_rates = SharesField(
        label=_("Agents' shares"),
        required=False,
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("Of every fee, one for each level, the nearest agent first: 0.10 0.05"),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["fee_share_rate"] = plain(self.instance.fee_share_rate)

    def clean_primary_colour(self) -> str:
        colour: str = self.cleaned_data["primary_colour"]
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", colour):
            raise forms.ValidationError(_("Write a colour as #1f5fbf."), code="bad_colour")
        return colour.lower()

    def clean_time_zone(self) -> str:
        zone: str = self.cleaned_data["time_zone"]
        if zone not in available_timezones():
            raise forms.ValidationError(_("No such time zone."), code="unknown_time_zone")
        return zone

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        for name in ("floating_tolerance", *FEE_CEILINGS):
            if name in cleaned and not 0 <= cleaned[name] <= 1:
                self.add_error(
                    name,
                    forms.ValidationError(
                        _("A fraction between 0 and 1: 0.5 is 50 %."), code="not_a_fraction"
                    ),
                )
        self._check_shares(cleaned)
        return cleaned

    def _check_shares(self, cleaned: dict[str, Any]) -> None:
        if "fee_share_rate" not in cleaned or "agent_share_rates" not in cleaned:
            return
        agents = tuple(Decimal(share) for share in cleaned["agent_share_rates"])
        try:
            check_shares(Shares(cleaned["fee_share_rate"], agents))
        except Refusal as refusal:
            name = "fee_share_rate" if refusal.field == "broker_share_rate" else refusal.field
            self.add_error(name, str(refusal))


@admin.register(Broker, site=back_office)
class BrokerAdmin(BackOfficeAdmin):
    """The manager of `Broker` knows no other than the one in scope."""

    changers = frozenset({Role.ADMIN})
    form = BrokerForm
    list_display = ("name", "slug", "time_zone", "language", "performance_fee_ceiling", "fee_share_rate")
    fieldsets: Any = (
        (_("Brand"), {"fields": ("name", "primary_colour", "email_sender", "language", "time_zone")}),
        (
            _("Limits"),
            {
                "fields": (
                    "freeze_minutes",
                    "quiet_minutes",
                    "stale_tick_seconds",
                    "floating_tolerance",
                    "foreign_limit",
                )
            },
        ),
        (
            _("The most an offer may charge"),
            {
                "fields": FEE_CEILINGS,
                "description": _(
                    "Fractions: 0.5 is 50 %. Offers made before keep their fees. Subscription and volume "
                    "fees have their ceilings by currency, under “Fee ceilings”."
                ),
            },
        ),
        (
            _("Who receives the fees"),
            {
                "fields": ("fee_share_rate", "agent_share_rates"),
                "description": _("For new offers. The manager receives the rest."),
            },
        ),
    )
