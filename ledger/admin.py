"""The books, to read."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ledger.models import Entry, LedgerAccount, Posting
from pamm_platform.admin_pages import ListOnlyAdmin, ReadOnlyAdmin, ReadOnlyInline, amount, link
from pamm_platform.admin_site import back_office

POSTED = amount("amount", _("amount (debit positive)"), of="account")


class PostingInline(ReadOnlyInline):
    model = Posting
    fields: ClassVar = ["account", "subject", POSTED]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Posting]:
        return super().get_queryset(request).select_related("account")

    @admin.display(description=_("subject"))
    def subject(self, posting: Posting) -> Any:
        return posting.account.subject


@admin.register(Entry, site=back_office)
class EntryAdmin(ReadOnlyAdmin):
    list_display = ("kind", "source", "occurred_at", "recorded_at", "note")
    list_filter = ("occurred_at",)
    search_fields = ("=source", "=kind")
    fields = ("public_id", "kind", "source", "note", "occurred_at", "recorded_at")
    inlines: ClassVar = [PostingInline]


@admin.register(Posting, site=back_office)
class PostingAdmin(ListOnlyAdmin):
    list_display: ClassVar = [link("entry", _("entry")), "account", "subject", POSTED, "occurred_at"]
    list_select_related = ("entry", "account")
    list_filter = ("account__kind",)
    search_fields = ("=account__subject", "=entry__source")
    search_help_text = _("Public id of an account, or the source of an entry")

    @admin.display(description=_("subject"))
    def subject(self, posting: Posting) -> Any:
        return posting.account.subject

    @admin.display(description=_("occurred at"))
    def occurred_at(self, posting: Posting) -> Any:
        return posting.entry.occurred_at


@admin.register(LedgerAccount, site=back_office)
class LedgerAccountAdmin(ListOnlyAdmin):
    list_display = ("kind", "subject", "currency", "public_id")
    list_filter = ("kind", "currency")
    search_fields = ("=subject",)
    search_help_text = _("Public id of an account, or of the manager, agent or broker that is owed")
