"""Balance operations on trading servers, to read."""

from typing import ClassVar

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from pamm_platform.admin_pages import (
    ListOnlyAdmin,
    ReadOnlyAdmin,
    ReadOnlyInline,
    amount,
    identifier,
    link,
    words,
)
from pamm_platform.admin_site import back_office
from transfers.models import Leg, Transfer

AMOUNT = amount("amount", _("amount"))


class LegInline(ReadOnlyInline):
    model = Leg
    fields: ClassVar = [
        "position",
        "login",
        "side",
        AMOUNT,
        "state",
        "key",
        "ticket",
        "attempts",
        "first_sent_at",
        "applied_at",
        "refusal_text",
    ]
    ordering = ("position",)


@admin.register(Transfer, site=back_office)
class TransferAdmin(ReadOnlyAdmin):
    list_display: ClassVar = [
        identifier("public_id", _("id")),
        "purpose",
        AMOUNT,
        "state",
        "created_at",
        "completed_at",
        "subject",
    ]
    list_filter = ("state", "purpose", "created_at")
    search_fields = ("=public_id", "=subject")
    search_help_text = _("Public id of a transfer, or of the request, rollover or account it serves")
    fields: ClassVar = [
        "public_id",
        "purpose",
        "subject",
        words("server", _("trading server")),
        AMOUNT,
        "state",
        "created_at",
        "completed_at",
    ]
    inlines: ClassVar = [LegInline]


@admin.register(Leg, site=back_office)
class LegAdmin(ListOnlyAdmin):
    list_display: ClassVar = [
        link("transfer", _("transfer")),
        "position",
        "login",
        "side",
        AMOUNT,
        "state",
        "key",
        "ticket",
        "attempts",
        "retry_at",
        "refusal_text",
    ]
    list_select_related = ("transfer",)
    list_filter = ("state", "side")
    search_fields = ("=key", "=login", "=ticket")
    search_help_text = _("Key, login or ticket of a balance operation")
