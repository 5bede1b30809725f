"""The broker's own brand and limits."""

import re
from decimal import Decimal
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from accounts.models import Role
from brokers.models import Broker
from pamm_platform.admin_pages import BackOfficeAdmin
from pamm_platform.admin_site import back_office


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
            "performance_fee_ceiling",
        )

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

    def clean_performance_fee_ceiling(self) -> Decimal:
        return self._fraction("performance_fee_ceiling")

    def clean_floating_tolerance(self) -> Decimal:
        return self._fraction("floating_tolerance")

    def _fraction(self, field: str) -> Decimal:
        rate: Decimal = self.cleaned_data[field]
        if not 0 <= rate <= 1:
            raise forms.ValidationError(_("A fraction between 0 and 1: 0.5 is 50 %."), code="not_a_fraction")
        return rate


@admin.register(Broker, site=back_office)
class BrokerAdmin(BackOfficeAdmin):
    """The manager of `Broker` knows no other than the one in scope."""

    changers = frozenset({Role.ADMIN})
    form = BrokerForm
    list_display = ("name", "slug", "time_zone", "language", "performance_fee_ceiling")
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
                    "performance_fee_ceiling",
                )
            },
        ),
    )
