"""Rollovers in the back office: list, ordering by hand, schedule, counted deals and the allocation audit."""

import csv
import io
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import fields
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
from fees.queries import with_figures
from money.rounding import UNIT_PLACES
from pamm_platform.admin_pages import (
    AccountFilter,
    BackOfficeAdmin,
    ListOnlyAdmin,
    NoteForm,
    PublicIdChangeList,
    ReadOnlyAdmin,
    amount,
    change_url,
    figure,
    identifier,
    link,
    list_url,
    opened,
    plain,
    staff_member,
    structure,
    words,
)
from pamm_platform.admin_site import back_office
from pamm_platform.templatetags.figures import plain_amount
from rollover.accrued import accrued_of_investments
from rollover.calc.audit import AuditLine
from rollover.models import CountedDeal, Decision, Finding, Inspection, Rollover, Schedule, Seal
from rollover.queries import (
    AllocationAudit,
    AuditStream,
    allocation_audit,
    charges_at,
    charges_to_file,
    deals_counted_at,
)
from rollover.services import order_rollover, settle_finding
from rollover.verification import AccruedFees

LINES_PER_PAGE = 100
LINES_AT_ONCE = 200
"""How many lines of a file are sent together."""
ROWS_SHOWN = 100
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
        answer = StreamingHttpResponse(_csv_text(rollover), content_type="text/csv; charset=utf-8")
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


@admin.register(Decision, site=back_office)
class DecisionAdmin(ListOnlyAdmin):
    list_display: ClassVar = [
        "made_at",
        link("account", _("PAMM account")),
        "kind",
        amount("amount", _("amount"), of="account"),
        "ticket",
        "decided_by",
        "note",
        link("transfer", _("transfer")),
    ]
    list_select_related = ("account", "made_by", "transfer")
    list_filter = ("kind", AccountFilter, ("made_at", RangeDateTimeFilter))
    search_fields = ("=ticket", "note")

    @admin.display(description=_("decided by"))
    def decided_by(self, decision: Decision) -> Any:
        return decision.made_by or _("its size")


@admin.register(Finding, site=back_office)
class FindingAdmin(ReadOnlyAdmin):
    list_display: ClassVar = [
        identifier("public_id", _("id")),
        "kind",
        "state",
        link("account", _("PAMM account")),
        "login",
        "ticket",
        "found_at",
        "seen_at",
    ]
    list_select_related = ("account",)
    list_filter = ("state", "kind", "found_at")
    search_fields = ("=public_id", "=login", "=ticket", "=key")
    search_help_text = _("Public id, login, ticket or key")
    fields: ClassVar = [
        "public_id",
        "kind",
        "state",
        words("server", _("trading server")),
        link("account", _("PAMM account")),
        "login",
        "ticket",
        "key",
        structure("expected", _("in our books")),
        structure("found", _("on the trading server")),
        "found_at",
        "seen_at",
        "settled_at",
        link("settled_by", _("settled by")),
        "note",
    ]
    actions_detail: ClassVar = ["settle"]

    @action(description=_("Settle"), url_path="settle", permissions=["decide"], icon="task_alt")
    def settle(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Close it with a note of what was done about it."""
        finding = self.get_or_404(request, object_id)
        form = NoteForm(request.POST or None)
        return self.confirmed(
            request,
            lambda: settle_finding(finding=finding, by=staff_member(request), note=form.cleaned_data["note"]),
            row=finding,
            done=lambda: _now("Settled: %(note)s") % {"note": form.cleaned_data["note"]},
            title=_("Settle this finding"),
            form=form,
            facts=[
                (_("What was found"), finding.get_kind_display()),
                (_("PAMM account"), finding.account or _("none: another account of the server")),
                (_("Login"), finding.login),
                (_("In our books"), opened(finding.expected)),
                (_("On the trading server"), opened(finding.found)),
            ],
            submit=_("Settle"),
            warning=_("It is settled as it stands. Should it change, it opens again and holds its account."),
        )


@admin.register(Inspection, site=back_office)
class InspectionAdmin(ListOnlyAdmin):
    list_display: ClassVar = [
        "began_at",
        words("server", _("trading server")),
        "compared_since",
        "logins",
        "deals",
        "legs",
        "found",
        "completed_at",
    ]
    list_select_related = ("server",)
    list_filter = ("began_at",)


@admin.register(Seal, site=back_office)
class SealAdmin(ListOnlyAdmin):
    list_display: ClassVar = ["day", "sealed_at", "key_id", "signature"]
    list_filter = ("day",)


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


def _csv_text(rollover: Rollover) -> Iterator[str]:
    """The file, some lines at a time: each part takes a system call and an entry into the broker's scope."""
    text = io.StringIO()
    writer = csv.writer(text)
    for number, row in enumerate(_csv_rows(rollover), 1):
        writer.writerow(row)
        if number % LINES_AT_ONCE == 0:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def _csv_rows(rollover: Rollover) -> Iterator[Sequence[object]]:
    audit = AuditStream(rollover)
    digits = audit.pool.digits
    yield CSV_COLUMNS
    for whose, line in audit.lines():
        yield (
            whose.investment,
            _harmless(whose.owner),
            whose.login,
            "yes" if whose.is_own_capital else "no",
            _written(line.units_before, UNIT_PLACES),
            _written(line.value_before, digits),
            _written(line.share, digits),
            _written(line.value_priced, digits),
            _written(line.deposited, digits),
            _written(line.withdrawn, digits),
            _written(line.charged, digits),
            _written(line.rounding, digits),
            _written(line.value_after, digits),
            _written(line.units_after, UNIT_PLACES),
            "yes" if line.flows_fit else "no",
        )
    outcome = audit.outcome()
    residual = plain(outcome.residual)
    yield ("residual", "", "", "", "", "", "", residual, "", "", "", "", "", "", "")
    sums = (format(getattr(outcome.sums, column.name), "f") for column in fields(outcome.sums))
    yield ("sum", "", "", "", *sums, "")
    for check in outcome.checks:
        holds = "holds" if check.holds else "differs"
        yield ("check", check.code, "", holds, plain(check.expected), plain(check.found))
    for row in charges_to_file(rollover):
        charge = row.charge
        yield (
            "charge",
            row.investment,
            charge.public_id,
            charge.kind,
            plain_amount(charge.amount, charge),
            plain_amount(charge.uncollected, charge),
            ", ".join(
                f"{_recipient(party, level)} {plain_amount(amount, charge)}"
                for party, level, amount in row.parts
            ),
            charge_text(charge),
        )


def _written(scaled: int, places: int) -> str:
    """A whole number in units of the last of `places` decimals: -5 at 2 places is -0.05."""
    if not places:
        return str(scaled)
    digits = str(abs(scaled)).zfill(places + 1)
    return f"{'-' if scaled < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def _recipient(party: str, level: int) -> str:
    """`manager`, `broker`, `agent 1`."""
    return f"{party} {level}" if level else party


def _harmless(text: str) -> str:
    # A spreadsheet would run a name that begins like a formula.
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
