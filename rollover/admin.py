"""Rollovers in the back office: list, ordering by hand, schedule, counted deals and the allocation audit."""

import csv
import uuid
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.paginator import Page, Paginator
from django.core.validators import MinValueValidator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.decorators import action
from unfold.views import ChangeList
from unfold.widgets import UnfoldAdminSelectMultipleWidget

from accounts.models import PammAccount, Role
from allocation.models import Investment
from brokers.errors import NotFound
from fees.explanations import charge_text, explained
from fees.models import ChargePart
from fees.queries import with_figures
from pamm_platform.admin_pages import (
    AccountFilter,
    BackOfficeAdmin,
    ListOnlyAdmin,
    PublicIdChangeList,
    ReadOnlyAdmin,
    amount,
    change_url,
    figure,
    link,
    list_url,
    plain,
    staff_member,
    structure,
    words,
)
from pamm_platform.admin_site import back_office
from pamm_platform.templatetags.figures import plain_amount
from rollover.accrued import accrued_of_investments
from rollover.calc.audit import AuditLine
from rollover.models import CountedDeal, Rollover, Schedule
from rollover.queries import AllocationAudit, allocation_audit, charges_at, deals_counted_at
from rollover.services import order_rollover
from rollover.verification import AccruedFees

LINES_PER_PAGE = 100
ROWS_SHOWN = 200
ACCRUED_PARAMETER = "accrued"
"""Asks for accrued fees where they take a replay of the account's history."""

CHECK_WORDS = {
    "pool_equity": _(
        "Server equity less credit, less what is owed, plus what is on its way in, is the pool's equity"
    ),
    "units_before": _("The units of all investments are the units outstanding"),
    "price": _("The price is equity over units"),
    "shown_price": _("The stored copy of the price is that ratio, rounded to 12 places"),
    "values": _("All values together are the pool's equity, up to half a minor unit for each"),
    "flows": _("Investments whose money in or out is not that of the units issued or redeemed"),
    "units_after": _("The units after this rollover are those the next one found"),
    "charges": _("The fees taken of units are the fees charged, entry fees apart"),
    "parts": _("The parts that recipients were given are the fees charged"),
    "deals": _("The deals counted sum to the trading result"),
    "stored_units": _("Investments whose stored units are not the sum of their entries"),
    "balance": _("The server's balance moved by the deals counted"),
    "result": _("The P&L shared out is the server's: deals and the change of the floating result"),
}

CSV_COLUMNS = (
    "investment",
    "owner",
    "login",
    "own_capital",
    "units_before",
    "value_before",
    "share_of_pnl",
    "value_after_pnl",
    "paid_in",
    "taken_out",
    "fees",
    "rounding",
    "value_after",
    "units_after",
    "flows_fit",
)


class OrderForm(forms.Form):
    """Which accounts roll over now."""

    accounts: forms.ModelMultipleChoiceField[PammAccount] = forms.ModelMultipleChoiceField(
        queryset=None,
        to_field_name="public_id",
        label=_("PAMM accounts"),
        widget=UnfoldAdminSelectMultipleWidget(attrs={"size": 12}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        active = PammAccount.objects.filter(state=PammAccount.State.ACTIVE, is_held=False).order_by(
            "name", "pk"
        )
        self.fields["accounts"].queryset = active  # type: ignore[attr-defined]


@admin.register(Rollover, site=back_office)
class RolloverAdmin(ReadOnlyAdmin):
    list_display: ClassVar = [
        "scheduled_for",
        link("account", _("PAMM account")),
        "state",
        figure("price_point.price", _("price")),
        amount("price_point.equity", _("pool equity"), of="account"),
        "reason_code",
        "ordered_by",
        "attempts",
        "completed_at",
    ]
    list_select_related = ("account", "price_point", "ordered_by")
    list_filter = ("state", AccountFilter, ("scheduled_for", RangeDateTimeFilter))
    search_fields = ("=public_id", "account__name", "=account__login")
    fields: ClassVar = [
        "public_id",
        link("account", _("PAMM account")),
        "scheduled_for",
        "ordered_at",
        link("ordered_by", _("ordered by")),
        "state",
        "attempts",
        "started_at",
        "completed_at",
        words("price_point", _("price point")),
        "reason_code",
        structure("reason", _("what differs, or what it waits for")),
    ]
    actions_list: ClassVar = ["order"]
    actions_detail: ClassVar = ["audit"]

    def get_urls(self) -> list[URLPattern]:
        download = path(
            "<path:object_id>/audit.csv",
            self.admin_site.admin_view(self.audit_csv),
            name="rollover_rollover_audit_csv",
        )
        return [download, *super().get_urls()]

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> Any:
        """Nothing to audit where nothing was priced."""
        rollover = self.get_object(request, str(object_id))
        if rollover is None or rollover.price_point_id is None:
            return []
        return super().get_actions_detail(request, object_id)

    @action(description=_("Order a rollover"), url_path="order", permissions=["decide"], icon="play_arrow")
    def order(self, request: HttpRequest) -> HttpResponse:
        """Roll chosen accounts over now instead of at the next hour."""
        form = OrderForm(request.POST or None)
        if form.is_valid():
            for account in form.cleaned_data["accounts"]:
                self.carried_out(
                    request,
                    partial(order_rollover, accounts=[account], by=staff_member(request)),
                    row=account,
                    done=_now("A rollover of %(account)s was ordered.") % {"account": account},
                )
            return HttpResponseRedirect(list_url(Rollover))
        return self.confirmation(
            request,
            title=_("Order a rollover"),
            form=form,
            facts=[],
            submit=_("Roll over now"),
            warning=_("What is confirmed until now is executed at the next price."),
            back=list_url(Rollover),
        )

    @action(description=_("Allocation audit"), url_path="audit", icon="fact_check")
    def audit(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Every investment in this rollover, and whether the records agree."""
        rollover = self.get_or_404(request, object_id)
        audit = allocation_audit(rollover)
        deals = list(deals_counted_at(rollover)[: ROWS_SHOWN + 1])
        charges = list(charges_at(rollover)[: ROWS_SHOWN + 1])
        account = audit.point.account
        page = Paginator(audit.lines, LINES_PER_PAGE).get_page(request.GET.get("page"))
        accrued = _accrued_of(audit, page, replays=ACCRUED_PARAMETER in request.GET)
        context = self.admin_site.each_context(request) | {
            "title": f"{account} · {rollover.scheduled_for:%Y-%m-%d %H:%M} · #{audit.point.sequence}",
            "opts": self.model._meta,
            "audit": audit,
            "account": account,
            "price_before": plain(audit.price_before.rounded()),
            "checks": [(check, CHECK_WORDS[check.code]) for check in audit.checks],
            "page": page,
            "lines": [(line, accrued.get(line.holding.investment) if accrued else None) for line in page],
            "accrued_url": None if accrued is not None else f"?page={page.number}&{ACCRUED_PARAMETER}=1",
            "charges": [(charge, explained(charge)) for charge in charges[:ROWS_SHOWN]],
            "more_charges": len(charges) > ROWS_SHOWN,
            "deals": deals[:ROWS_SHOWN],
            "more_deals": len(deals) > ROWS_SHOWN,
            "shown": ROWS_SHOWN,
            "server_title": _("From the server to the pool"),
            "price_title": _("Price"),
            "back": change_url(rollover),
            "download": reverse("admin:rollover_rollover_audit_csv", args=[rollover.public_id]),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "rollover/audit.html", context)

    def audit_csv(self, request: HttpRequest, object_id: str) -> StreamingHttpResponse:
        """All lines of the audit, the residual, the sums, the checks and the charges with their words."""
        rollover = self.get_or_404(request, object_id)
        if rollover.price_point_id is None:
            raise NotFound
        answer = StreamingHttpResponse(_csv_lines(rollover), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="audit-{rollover.public_id}.csv"'
        return answer


@admin.register(CountedDeal, site=back_office)
class CountedDealAdmin(ListOnlyAdmin):
    list_display: ClassVar = [
        "ticket",
        link("account", _("PAMM account")),
        "part",
        "executed_at",
        "symbol",
        figure("volume", _("lots")),
        figure("price", _("price")),
        amount("amount", _("amount"), of="account"),
        "comment",
    ]
    list_select_related = ("account",)
    list_filter = ("part", AccountFilter)
    search_fields = ("=ticket",)


class ScheduleChangeList(PublicIdChangeList):
    """A broker has one schedule, so its address needs no identifier."""

    def url_for_result(self, result: Any) -> str:
        return reverse("admin:rollover_schedule_change", args=["own"])


@admin.register(Schedule, site=back_office)
class ScheduleAdmin(BackOfficeAdmin):
    adders = changers = frozenset({Role.ADMIN})
    list_display = ("__str__", "next_at", "is_active")
    fields = ("every_minutes", "next_at", "is_active")

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return super().has_add_permission(request) and not self.get_queryset(request).exists()

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        return HttpResponseRedirect(list_url(Schedule))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ScheduleChangeList

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        return self.get_queryset(request).first() if object_id == "own" else None

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "every_minutes":
            field.validators.append(MinValueValidator(1))
        return field


def _accrued_of(
    audit: AllocationAudit, page: Page[AuditLine], *, replays: bool
) -> dict[uuid.UUID, AccruedFees] | None:
    """What had accrued on the investments of a page after the audit's rollover, by public id.

    None where nobody has asked for the replay that it takes. One statement besides.
    """
    shown = [line.holding.investment for line in page]
    rows = list(with_figures(Investment.objects.filter(public_id__in=shown)))
    accrued = accrued_of_investments(rows, audit.point, replays=replays)
    return None if accrued is None else {row.public_id: accrued[row.pk] for row in rows}


class _Echo:
    """A file that hands each line straight on."""

    def write(self, line: str) -> str:
        return line


def _csv_lines(rollover: Rollover) -> Iterator[str]:
    audit = allocation_audit(rollover)
    writer = csv.writer(_Echo())
    yield writer.writerow(CSV_COLUMNS)
    for line in audit.lines:
        yield writer.writerow(
            (
                line.holding.investment,
                _harmless(line.holding.owner),
                line.holding.login,
                "yes" if line.holding.is_own_capital else "no",
                line.units_before,
                line.value_before,
                line.share,
                line.value_priced,
                line.deposited,
                line.withdrawn,
                line.charged,
                line.rounding,
                line.value_after,
                line.units_after,
                "yes" if line.flows_fit else "no",
            )
        )
    sums = audit.sums
    yield writer.writerow(("residual", "", "", "", "", "", "", audit.residual, "", "", "", "", "", "", ""))
    yield writer.writerow(
        (
            "sum",
            "",
            "",
            "",
            sums.units_before,
            sums.value_before,
            sums.share,
            sums.value_priced,
            sums.deposited,
            sums.withdrawn,
            sums.charged,
            sums.rounding,
            sums.value_after,
            sums.units_after,
            "",
        )
    )
    for check in audit.checks:
        yield writer.writerow(
            ("check", check.code, "", "holds" if check.holds else "differs", check.expected, check.found)
        )
    for charge in charges_at(rollover):
        yield writer.writerow(
            (
                "charge",
                charge.investment.public_id,
                charge.public_id,
                charge.kind,
                plain_amount(charge.amount, charge),
                plain_amount(charge.uncollected, charge),
                ", ".join(
                    f"{_recipient(part)} {plain_amount(part.amount, part)}" for part in charge.parts.all()
                ),
                charge_text(charge),
            )
        )


def _recipient(part: ChargePart) -> str:
    """`manager`, `broker`, `agent 1`."""
    return f"{part.party} {part.level}" if part.level else part.party


def _harmless(text: str) -> str:
    # A spreadsheet would run a name that begins like a formula.
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
