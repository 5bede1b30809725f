"""Balance operations on trading servers, to read; and what is owed to somebody who has no account for it."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter
from django.db.models import CharField, Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminSelectWidget

from accounts.models import Agent, Manager, PersonalAccount
from brokers.models import Broker
from investing.errors import TradingServerUnavailable
from pamm_platform.admin_pages import (
    ListOnlyAdmin,
    NoteForm,
    ReadOnlyAdmin,
    ReadOnlyInline,
    amount,
    change_url,
    identifier,
    link,
    staff_member,
    words,
)
from pamm_platform.admin_site import back_office
from pamm_platform.templatetags.figures import plain_amount
from rollover.services import deals_in_conflict, resolve_conflict
from trading.gateway import Deal
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


NONE_OF_THEM = 0


class ConflictForm(NoteForm):
    """Which of the server's deals is the operation, and why."""

    ticket = forms.TypedChoiceField(coerce=int, label=_("Deal"), widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, deals: Sequence[Deal], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["ticket"]
        field.choices = [
            (str(deal.ticket), f"{deal.ticket}: {deal.amount} · {deal.at:%Y-%m-%d %H:%M:%S} · {deal.dealer}")
            for deal in deals
        ]
        field.choices += [(str(NONE_OF_THEM), _("None of them is: send it again"))]
        self.order_fields(["ticket", "note"])


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
    actions_detail: ClassVar = ["resolve"]

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> Any:
        """Nothing to decide where no operation is in conflict."""
        shown = self.get_object(request, str(object_id))
        in_conflict = shown is not None and shown.legs.filter(state=Leg.State.CONFLICT).exists()
        return super().get_actions_detail(request, object_id) if in_conflict else []

    @action(
        description=_("Decide which deal is ours"),
        url_path="resolve",
        permissions=["decide"],
        icon="rule",
        variant=ActionVariant.DANGER,
    )
    def resolve(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The server shows an operation twice, or otherwise than it was sent: say which one is it."""
        shown = self.get_or_404(request, object_id)
        leg = shown.legs.select_related("server", "transfer__server").filter(state=Leg.State.CONFLICT).first()
        if leg is None:
            messages.info(request, _("None of its operations is in conflict."))
            return HttpResponseRedirect(change_url(shown))
        try:
            deals = deals_in_conflict(leg)
        except TradingServerUnavailable as refusal:
            messages.error(request, str(refusal))
            return HttpResponseRedirect(change_url(shown))
        form = ConflictForm(request.POST or None, deals=deals)
        return self.confirmed(
            request,
            lambda: resolve_conflict(
                leg=leg,
                ticket=form.cleaned_data["ticket"] or None,
                by=staff_member(request),
                note=form.cleaned_data["note"],
            ),
            row=shown,
            done=lambda: (
                (
                    _now("Deal %(ticket)s is ours: %(note)s")
                    if form.cleaned_data["ticket"]
                    else _now("It is sent again: %(note)s")
                )
                % form.cleaned_data
            ),
            title=_("Which deal is ours?"),
            form=form,
            facts=[
                (_("Transfer"), shown),
                (_("Login"), leg.login),
                (_("Amount"), plain_amount(leg.amount, leg)),
                (_("Key"), leg.key),
                (_("The server says"), leg.refusal_text),
            ],
            submit=_("Decide"),
            warning=_(
                "Every other deal with this key is somebody else's operation from then on. Send it again "
                "only if none of them is ours: otherwise the money moves twice."
            ),
        )

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
