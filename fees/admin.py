"""Fees that were charged, to read, with what each was computed from."""

from typing import ClassVar

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from fees.models import Charge
from pamm_platform.admin_pages import (
    AccountFilter,
    ReadOnlyAdmin,
    amount,
    figure,
    identifier,
    link,
    structure,
)
from pamm_platform.admin_site import back_office

AMOUNT = amount("amount", _("amount"))


@admin.register(Charge, site=back_office)
class ChargeAdmin(ReadOnlyAdmin):
    list_display: ClassVar = [
        identifier("public_id", _("id")),
        "charged_at",
        "kind",
        "occasion",
        link("account", _("PAMM account")),
        link("investment", _("investment")),
        AMOUNT,
    ]
    list_select_related = ("account", "investment__owner")
    list_filter = ("kind", "occasion", AccountFilter, "charged_at")
    search_fields = ("=public_id", "=investment__public_id")
    fields: ClassVar = [
        "public_id",
        "charged_at",
        "kind",
        "occasion",
        link("account", _("PAMM account")),
        link("investment", _("investment")),
        AMOUNT,
        amount("profit", _("profit it is taken from")),
        figure("mark_before", _("mark before")),
        figure("mark_after", _("mark after")),
        figure("carried_before", _("fraction carried before")),
        figure("carried_after", _("fraction carried after")),
        structure("explanation", _("computed from")),
    ]
