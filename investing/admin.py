"""Requests in the back office: to read, and to approve or reject through the same services as everywhere."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.enums import ActionVariant

from investing.models import Request
from investing.queries import waiting_reason
from investing.services import confirm_request, reject_request
from pamm_platform.admin_pages import (
    AccountFilter,
    NoteForm,
    ReadOnlyAdmin,
    amount,
    identifier,
    link,
    staff_member,
)
from pamm_platform.admin_site import back_office
from pamm_platform.templatetags.figures import money


class ApproveForm(forms.Form):
    """Carries the amount that was shown, so that a request that changed meanwhile is not approved unseen."""

    expected_amount = forms.DecimalField(required=False, widget=forms.HiddenInput)


@admin.register(Request, site=back_office)
class RequestAdmin(ReadOnlyAdmin):
    list_display: ClassVar = [
        identifier("public_id", _("id")),
        "created_at",
        "kind",
        amount("amount", _("amount")),
        "state",
        link("account", _("PAMM account")),
        link("investment.owner", _("investor")),
        "offer",
        "reason_code",
    ]
    list_select_related = ("account", "investment__owner", "investment__terms__offer")
    list_filter = ("state", "kind", AccountFilter, "created_at")
    search_fields = ("=public_id", "=investment__public_id", "investment__owner__email")
    fields: ClassVar = [
        "public_id",
        "kind",
        "origin",
        amount("amount", _("amount")),
        "state",
        "waits_for",
        link("account", _("PAMM account")),
        link("investment", _("investment")),
        link("investment.owner", _("investor")),
        "offer",
        "close_if_below_minimum",
        "created_at",
        link("created_by", _("asked by")),
        "expires_at",
        "confirmed_at",
        link("confirmed_by", _("confirmed by")),
        "ended_at",
        "reason_code",
        "reason_note",
        link("collection", _("transfer of the money")),
        amount("executed_amount", _("executed")),
        amount("executed_fee", _("fee")),
    ]
    actions_detail: ClassVar = ["approve", "reject"]

    @admin.display(description=_("offer"))
    def offer(self, row: Request) -> Any:
        terms = row.investment.terms
        return f"{terms.offer} v{terms.version}" if terms else None

    @admin.display(description=_("waits for"))
    def waits_for(self, row: Request) -> str | None:
        return waiting_reason(row) or None

    @action(description=_("Approve"), url_path="approve", permissions=["decide"], icon="check")
    def approve(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row: Request = self.get_or_404(request, object_id)
        form = ApproveForm(request.POST or None, initial={"expected_amount": row.amount})
        return self.confirmed(
            request,
            lambda: confirm_request(
                request=row,
                by=staff_member(request),
                expected_amount=form.cleaned_data["expected_amount"],
            ),
            row=row,
            done=lambda: _now("The request was approved."),
            title=_("Approve this request"),
            form=form,
            facts=_facts(row),
            submit=_("Approve"),
            warning=_("It will be executed at the next rollover."),
        )

    @action(
        description=_("Reject"),
        url_path="reject",
        permissions=["decide"],
        icon="close",
        variant=ActionVariant.DANGER,
    )
    def reject(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row: Request = self.get_or_404(request, object_id)
        form = NoteForm(request.POST or None)
        return self.confirmed(
            request,
            lambda: reject_request(request=row, by=staff_member(request), note=form.cleaned_data["note"]),
            row=row,
            done=lambda: _now("The request was rejected: %(note)s") % {"note": form.cleaned_data["note"]},
            title=_("Reject this request"),
            form=form,
            facts=_facts(row),
            submit=_("Reject"),
            warning=_("The investor sees the note."),
        )


def _facts(row: Request) -> list[tuple[Any, Any]]:
    return [
        (_("Investor"), row.investment.owner),
        (_("PAMM account"), row.account),
        (_("Kind"), row.get_kind_display()),
        (_("Amount"), money(row.amount, row)),
        (_("State"), row.get_state_display()),
    ]
