"""Offers and the versions of their terms, to read: managers change them on their own pages."""

from typing import ClassVar

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from offers.models import Offer, Terms
from offers.words import terms_in_words
from pamm_platform.admin_pages import (
    AccountFilter,
    ReadOnlyAdmin,
    amount,
    link,
    structure,
)
from pamm_platform.admin_site import back_office


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
        "created_at",
        link("created_by", _("written by")),
    ]

    @admin.display(description=_("trading interval"))
    def interval(self, terms: Terms) -> str:
        return f"{terms.interval_count} {terms.get_interval_unit_display()}"

    @admin.display(description=_("in plain words"))
    def in_words(self, terms: Terms) -> str:
        return " ".join(terms_in_words(terms))
