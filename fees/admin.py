"""Fees that were charged, to read: who received them, and in words what each was computed from."""

from typing import ClassVar

from django.contrib import admin
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from fees.explanations import explained
from fees.models import Charge, ChargePart
from pamm_platform.admin_pages import (
    AccountFilter,
    ReadOnlyAdmin,
    ReadOnlyInline,
    amount,
    figure,
    identifier,
    link,
    structure,
)
from pamm_platform.admin_site import back_office

AMOUNT = amount("amount", _("amount"))


class ChargePartInline(ReadOnlyInline):
    model = ChargePart
    fields: ClassVar = ["party", "level", "payee", AMOUNT]
    verbose_name_plural = _("who received what")
    hide_title = True
    ordering = ("pk",)


@admin.register(Charge, site=back_office)
class ChargeAdmin(ReadOnlyAdmin):
    list_display: ClassVar = [
        identifier("public_id", _("id")),
        "charged_at",
        "kind",
        "occasion",
        "collects_debt",
        link("account", _("PAMM account")),
        link("investment", _("investment")),
        AMOUNT,
    ]
    list_select_related = ("account", "investment__owner")
    list_filter = ("kind", "occasion", "collects_debt", AccountFilter, "charged_at")
    search_fields = ("=public_id", "=investment__public_id")
    fields: ClassVar = [
        "public_id",
        "charged_at",
        "kind",
        "occasion",
        link("account", _("PAMM account")),
        link("investment", _("investment")),
        AMOUNT,
        amount("uncollected", _("not collected: owed from now on")),
        "collects_debt",
        "how_it_came_about",
        amount("profit", _("profit it is taken from")),
        figure("mark_before", _("mark before")),
        figure("mark_after", _("mark after")),
        figure("carried_before", _("fraction carried before")),
        figure("carried_after", _("fraction carried after")),
        structure("explanation", _("record")),
    ]
    inlines: ClassVar = [ChargePartInline]

    @admin.display(description=_("how it came about"))
    def how_it_came_about(self, charge: Charge) -> SafeString:
        told = explained(charge)
        return format_html(
            '<p>{}</p><dl class="back-office-facts">{}</dl>',
            told.meaning,
            format_html_join(
                "",
                "<dt>{}</dt><dd>{}</dd>",
                (
                    (f"{line.label} ({line.note})" if line.note else line.label, line.figure)
                    for line in told.sentences
                ),
            ),
        )
