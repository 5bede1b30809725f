"""Investments, their units and the price series, to read."""

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from allocation.models import Investment, PricePoint, UnitEntry
from pamm_platform.admin_pages import (
    AccountFilter,
    ListOnlyAdmin,
    ReadOnlyAdmin,
    ReadOnlyInline,
    amount,
    figure,
    identifier,
    link,
    words,
)
from pamm_platform.admin_site import back_office

UNITS = figure("units", _("units"))
ACCOUNT = link("account", _("PAMM account"))


class UnitEntryInline(ReadOnlyInline):
    model = UnitEntry
    fields: ClassVar = [
        "recorded_at",
        "kind",
        UNITS,
        amount("amount", _("amount"), of="investment.account"),
        "source",
    ]
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("investment__account")


@admin.register(Investment, site=back_office)
class InvestmentAdmin(ReadOnlyAdmin):
    list_display: ClassVar = [
        identifier("public_id", _("id")),
        link("owner", _("investor")),
        ACCOUNT,
        "terms_version",
        "state",
        UNITS,
        amount("paid_in", _("paid in"), of="account"),
        amount("paid_out", _("paid out"), of="account"),
        amount("fees_paid", _("fees paid"), of="account"),
        "joined_at",
    ]
    list_select_related = ("owner", "account", "terms__offer")
    list_filter = ("state", "is_own_capital", AccountFilter)
    search_fields = ("=public_id", "owner__email", "owner__last_name")
    fields: ClassVar = [
        "public_id",
        link("owner", _("investor")),
        ACCOUNT,
        link("personal_account", _("personal account")),
        "terms_version",
        "accepted_version",
        "terms_accepted_at",
        "is_own_capital",
        "state",
        "series",
        "created_at",
        "joined_at",
        "closed_at",
        "end_reason",
        UNITS,
        figure("high_water_mark", _("high-water mark")),
        figure("performance_carried", _("fraction of a fee carried")),
        words("interval", _("trading interval")),
        amount("paid_in", _("paid in"), of="account"),
        amount("paid_out", _("paid out"), of="account"),
        amount("fees_paid", _("fees paid"), of="account"),
    ]
    inlines: ClassVar = [UnitEntryInline]

    @admin.display(description=_("offer and version"))
    def terms_version(self, investment: Investment) -> Any:
        terms = investment.terms
        return f"{terms.offer} v{terms.version}" if terms else _("own capital")

    @admin.display(description=_("newer version accepted"))
    def accepted_version(self, investment: Investment) -> Any:
        return f"v{investment.accepted_terms.version}" if investment.accepted_terms else None


@admin.register(UnitEntry, site=back_office)
class UnitEntryAdmin(ListOnlyAdmin):
    list_display: ClassVar = [
        "recorded_at",
        "kind",
        link("account", _("PAMM account")),
        link("investment", _("investment")),
        UNITS,
        amount("amount", _("amount"), of="account"),
        "sequence",
        "source",
    ]
    list_select_related = ("account", "investment__owner", "price_point")
    list_filter = ("kind", AccountFilter)
    search_fields = ("=investment__public_id", "=source")
    search_help_text = _("Public id of an investment or a request")

    @admin.display(description=_("rollover"))
    def sequence(self, entry: UnitEntry) -> str:
        return f"#{entry.price_point.sequence}"


@admin.register(PricePoint, site=back_office)
class PricePointAdmin(ListOnlyAdmin):
    list_display: ClassVar = [
        ACCOUNT,
        "series",
        "sequence",
        "priced_at",
        amount("server_equity", _("server equity"), of="account"),
        amount("owed", _("owed"), of="account"),
        amount("incoming", _("on its way in"), of="account"),
        amount("equity", _("pool equity"), of="account"),
        UNITS,
        figure("price", _("price (rounded copy)")),
    ]
    list_select_related = ("account",)
    list_filter = (AccountFilter, "priced_at")
