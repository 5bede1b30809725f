"""Balance operations on trading servers, to read; and what is owed to somebody who has no account for it."""

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.db.models import CharField, Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from accounts.models import Agent, Manager, PersonalAccount
from brokers.models import Broker
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
from transfers.queries import held_fees

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


PAYEE_NAMES: tuple[tuple[Any, str], ...] = (
    (Manager, "display_name"),
    (Agent, "user__email"),
    (PersonalAccount, "user__email"),
    (Broker, "name"),
)
"""Whom a public id may belong to, and what the back office calls them."""


class WaitingFilter(SimpleListFilter):
    """Fees whose receivers have no account of that currency on that trading server."""

    title = _("waiting for an account")
    parameter_name = "waiting"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Waiting for an account"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Transfer]) -> QuerySet[Transfer]:
        return queryset if self.value() is None else queryset.filter(pk__in=held_fees().values("pk"))


@admin.register(Transfer, site=back_office)
class TransferAdmin(ReadOnlyAdmin):
    list_display: ClassVar = [
        identifier("public_id", _("id")),
        "purpose",
        AMOUNT,
        "paid_to",
        "state",
        "waits_for",
        "created_at",
        "completed_at",
        "subject",
    ]
    list_select_related = ("server",)
    list_filter = (WaitingFilter, "state", "purpose", "created_at")
    search_fields = ("=public_id", "=subject", "=payee")
    search_help_text = _(
        "Public id of a transfer, of the request, rollover or account it serves, or of whom it is paid to"
    )
    fields: ClassVar = [
        "public_id",
        "purpose",
        "subject",
        words("server", _("trading server")),
        AMOUNT,
        "paid_to",
        "payee",
        "state",
        "waits_for",
        "created_at",
        "completed_at",
    ]
    inlines: ClassVar = [LegInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Transfer]:
        """With the payee's name and whether a fee is held, so that the list costs no query per row."""
        named = Coalesce(
            *(
                Subquery(model.objects.filter(public_id=OuterRef("payee")).values(name)[:1])
                for model, name in PAYEE_NAMES
            ),
            output_field=CharField(),
        )
        held = Exists(held_fees().filter(pk=OuterRef("pk")))
        return super().get_queryset(request).annotate(payee_name=named, is_held=held)

    @admin.display(description=_("paid to"))
    def paid_to(self, transfer: Any) -> str | None:
        name: str | None = transfer.payee_name
        return name

    @admin.display(description=_("waits for"))
    def waits_for(self, transfer: Any) -> str | None:
        if not transfer.is_held:
            return None
        return _now("an account of %(payee)s in %(currency)s on %(server)s") % {
            "payee": transfer.payee_name or transfer.payee,
            "currency": transfer.currency,
            "server": transfer.server,
        }


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
