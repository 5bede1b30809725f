"""Offers as their manager sees them: the editor, its preview, and one offer with its versions and links."""

import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.models import PammAccount, Role, User
from accounts.queries import get_pamm_account_for, has_role
from allocation.models import Investment
from brokers.errors import NotFound, Refusal
from fees.calc.schedule import Basis, Mode, Schedule, ScheduleInvalid
from offers.drafts import standard_shares
from offers.errors import tiers_fault
from offers.models import JoinLink, Offer, Terms
from offers.queries import (
    current_terms,
    entry_fee_of,
    get_managed_offer_for,
    may_change_offers_of,
    schedule_of,
    shares_of,
    valid_join_links,
)
from offers.services import (
    TermsDraft,
    change_offer,
    check_terms,
    close_offer,
    create_join_link,
    create_offer,
    open_offer,
    pause_offer,
    revise_terms,
    revoke_join_link,
)
from offers.web.curve import Curve, curve
from offers.web.manager_forms import (
    EntryRows,
    OfferForm,
    SharesForm,
    TermsForm,
    TierRows,
    amount_field,
    row_number,
)
from offers.web.simulator_panel import SimulatorPanel
from offers.words import recipients_in_words, terms_in_words

STAKED_STATES = (Investment.State.PENDING, Investment.State.ACTIVE)
ORDINARY_EXAMPLE = Decimal(1000)


@dataclass(frozen=True, slots=True)
class Preview:
    """What the terms being typed would mean; empty as far as they cannot be read yet."""

    curve: Curve | None = None
    words: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    fault: str = ""
    draft: TermsDraft | None = None


class ExampleForm(forms.Form):
    """The investment whose returns the curve shows; no part of the terms."""

    example = amount_field(gettext_lazy("Example investment"), required=False)


class Editor:
    """One visit of the offer editor: the forms as typed, and what they mean."""

    def __init__(self, request: HttpRequest, account: PammAccount, offer: Offer | None) -> None:
        self.request = request
        self.account = account
        self.offer = offer
        self.terms = current_terms(offer) if offer else None
        self.action = request.POST.get("action", "")
        # A version keeps what the one before said of shares: only an administrator writes others.
        self.shares = shares_of(self.terms) if self.terms else standard_shares()
        posted = request.POST if request.method == "POST" else None
        self.offer_form = OfferForm(posted, initial=OfferForm.initial_of(offer))
        self.terms_form = TermsForm(posted, initial=TermsForm.initial_of(self.terms, account))
        self.shares_form: SharesForm | None = None
        if has_role(request.user, Role.ADMIN):
            self.shares_form = SharesForm(posted, initial=SharesForm.initial_of(self.shares))
        self.rows, self.entry_rows = self._rows_after_action()
        self.example_form = ExampleForm(posted)

    @property
    def template_offer(self) -> Offer:
        """The offer the words are about: the saved one, or one that only knows its account's currency."""
        return self.offer or Offer(account=self.account)

    @property
    def has_other_fees(self) -> bool:
        """Whether any fee but the performance fee is typed, at fault, or about to be."""
        typed = [self.terms_form[name] for name in TermsForm.OTHER_FEES]
        return (
            self.entry_rows.is_used
            or bool(self.entry_rows.fault)
            or any(field.value() or field.errors for field in typed)
        )

    def draft(self) -> TermsDraft | None:
        """The draft, where every input can be read; what cannot stands beside its field."""
        readable = [
            part.is_valid()
            for part in (self.offer_form, self.terms_form, self.rows, self.entry_rows, self.shares_form)
            if part is not None
        ]
        return self._draft_of(self.rows, self.entry_rows) if all(readable) else None

    def _draft_of(self, rows: TierRows, entry_rows: EntryRows) -> TermsDraft | None:
        cleaned = self.terms_form.cleaned_data
        tiers = rows.tiers(Basis(cleaned["basis"]), may_be_free=cleaned["no_performance_fee"])
        entry_tiers = entry_rows.entry_tiers()
        if tiers is None or entry_tiers is None:
            return None
        shares = self.shares_form.shares() if self.shares_form else self.shares
        return self.terms_form.draft(tiers, entry_tiers, shares)

    def refuse(self, refusal: Refusal) -> None:
        """Put a refusal beside the input it is about, else at the top."""
        if refusal.field == "schedule":
            self.rows.refuse(refusal)
        elif refusal.field == "entry_tiers":
            self.entry_rows.refuse(refusal)
        else:
            forms_shown = (self.offer_form, self.terms_form, self.shares_form)
            at_fault = [form for form in forms_shown if form is not None and refusal.field in form.fields]
            form, field = (at_fault[0], refusal.field) if at_fault else (self.offer_form, None)
            form.add_error(field, str(refusal))

    def preview(self) -> Preview:
        """The preview of whatever is readable so far, saved or typed."""
        if self.request.method != "POST":
            return self._preview_of(TermsDraft.of(self.terms)) if self.terms else Preview()
        rows, entry_rows = self._rows_after_action()
        self.terms_form.is_valid()
        cleaned = self.terms_form.cleaned_data
        if not rows.is_valid() or "basis" not in cleaned or "mode" not in cleaned:
            return Preview()
        tiers = rows.tiers(Basis(cleaned["basis"]), may_be_free=cleaned.get("no_performance_fee", False))
        if tiers is None:
            return Preview()
        readable = entry_rows.is_valid() and not self.terms_form.errors
        if readable and (self.shares_form is None or self.shares_form.is_valid()):
            draft = self._draft_of(rows, entry_rows)
            if draft is not None:
                return self._preview_of(draft)
        return self._preview_of_schedule(Schedule(Basis(cleaned["basis"]), Mode(cleaned["mode"]), tiers))

    def _preview_of(self, draft: TermsDraft) -> Preview:
        try:
            check_terms(draft, self.account)
        except Refusal as refusal:
            shown = self._preview_of_schedule(draft.schedule)
            return Preview(curve=shown.curve, fault=shown.fault or str(refusal))
        terms = draft.version_of(self.template_offer, 1)
        return Preview(
            curve=self._curve(draft.schedule),
            words=terms_in_words(terms),
            recipients=recipients_in_words(terms),
            draft=draft,
        )

    def _preview_of_schedule(self, schedule: Schedule) -> Preview:
        try:
            schedule.validate(self.account.currency_digits)
        except ScheduleInvalid as invalid:
            tier = None if invalid.tier_index is None else invalid.tier_index + 1
            return Preview(fault=tiers_fault(invalid.code, tier))
        return Preview(curve=self._curve(schedule))

    def _curve(self, schedule: Schedule) -> Curve:
        return curve(schedule, self.account, self._example(schedule))

    def _example(self, schedule: Schedule) -> Decimal:
        """What the example investor starts with: as typed, else where the lowest tier begins."""
        if self.example_form.is_bound and self.example_form.is_valid():
            typed = self.example_form.cleaned_data["example"]
            if typed is not None and typed > 0:
                return Decimal(typed)
        bounds = [tier.lower_bound for tier in schedule.tiers if tier.lower_bound]
        return bounds[0] if schedule.basis is Basis.NET_WORTH and bounds else ORDINARY_EXAMPLE

    def shown_as_typed(self) -> None:
        """Nothing was handed in yet: show what was typed without finding fault with it."""
        post = self.request.POST
        rows, entry_rows = self._rows_after_action()
        self.rows, self.entry_rows = rows.unchecked(), entry_rows.unchecked()
        self.offer_form = OfferForm(initial=post.dict())
        basis = self._basis_after_action()
        self.terms_form = TermsForm(initial={**post.dict(), "basis": basis})
        if self.shares_form is not None:
            self.shares_form = SharesForm(initial=post.dict())
        self.example_form = ExampleForm(initial=post.dict())

    def _basis_after_action(self) -> str:
        """The basis as typed; whoever adds a tier to a flat fee wants tiers, most often by return."""
        basis = self.request.POST.get("basis", Basis.FLAT.value)
        adds_to_flat = self.action == "add-tier" and basis == Basis.FLAT.value
        return Basis.YIELD.value if adds_to_flat else basis

    def _rows_after_action(self) -> tuple[TierRows, EntryRows]:
        """Rows of performance and entry fee: as saved, or as typed and then added to or taken from."""
        if self.request.method == "POST":
            post = self.request.POST
            return TierRows.typed(post, action=self.action), EntryRows.typed(post, action=self.action)
        schedule = schedule_of(self.terms) if self.terms else Schedule.flat(Decimal(0))
        tiers = schedule.tiers if self.terms else ()
        entry_tiers = entry_fee_of(self.terms).tiers if self.terms else ()
        return (
            TierRows.of(tiers, schedule.basis, self.account),
            EntryRows.of(entry_tiers, Basis.NET_WORTH, self.account),
        )

    def simulator(self, draft: TermsDraft | None) -> SimulatorPanel:
        """The simulator as typed, or as it is at first."""
        return SimulatorPanel(
            self.request.POST, self.account, offer=self.template_offer, saved=self.terms, draft=draft
        )

    def page(self, preview: Preview, status: int = 200) -> HttpResponse:
        basis = self.terms_form["basis"].value()
        context = {
            "editor": self,
            "account": self.account,
            "offer": self.offer,
            "preview": preview,
            "panel": self.simulator(preview.draft),
            "is_flat": basis == Basis.FLAT.value,
            "bound_unit": "%" if basis == Basis.YIELD.value else self.account.currency,
            "expected_version": self.request.POST.get("expected_version")
            or (self.terms.version if self.terms else ""),
        }
        return render(self.request, "offers/manage_editor.html", context, status=status)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def create(request: HttpRequest, account_id: uuid.UUID) -> HttpResponse:
    """A new offer of one account."""
    account = get_pamm_account_for(_person(request), account_id)
    if not may_change_offers_of(account, _person(request)):
        raise NotFound
    return _visit(Editor(request, account, None))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, offer_id: uuid.UUID) -> HttpResponse:
    """Another version of an offer's terms, and the offer's own fields."""
    offer = get_managed_offer_for(_person(request), offer_id)
    return _visit(Editor(request, offer.account, offer))


def _visit(editor: Editor) -> HttpResponse:
    if editor.request.method != "POST":
        return editor.page(editor.preview())
    if editor.action not in ("create", "create-and-open", "review", "save"):
        preview = editor.preview()
        editor.shown_as_typed()
        return editor.page(preview)
    draft = editor.draft()
    if draft is None:
        return editor.page(editor.preview(), status=422)
    try:
        return _create(editor, draft) if editor.offer is None else _revise(editor, editor.offer, draft)
    except Refusal as refusal:
        editor.refuse(refusal)
        return editor.page(editor.preview(), status=422)


def _create(editor: Editor, draft: TermsDraft) -> HttpResponse:
    person = _person(editor.request)
    with transaction.atomic():
        offer = create_offer(
            account=editor.account, terms=draft, by=person, **editor.offer_form.offer_fields()
        )
        if editor.action == "create-and-open":
            open_offer(offer=offer, by=person)
    created = (
        _("The offer is open.")
        if editor.action == "create-and-open"
        else _("The offer is saved, not open yet.")
    )
    messages.success(editor.request, created)
    return redirect("offers:managed-offer", offer.public_id)


def _revise(editor: Editor, offer: Offer, draft: TermsDraft) -> HttpResponse:
    person = _person(editor.request)
    assert editor.terms is not None
    check_terms(draft, editor.account)
    is_new_version = draft != TermsDraft.of(editor.terms)
    if is_new_version and editor.action != "save":
        return _review(editor, offer, draft)
    typed_version = editor.request.POST.get("expected_version", "")
    with transaction.atomic():
        change_offer(offer=offer, by=person, **editor.offer_form.offer_fields())
        terms = revise_terms(
            offer=offer,
            terms=draft,
            by=person,
            expected_version=row_number(typed_version) or 0,
        )
    if is_new_version:
        messages.success(editor.request, _("Version %(version)s is current.") % {"version": terms.version})
    else:
        messages.success(editor.request, _("Saved. The terms are as they were."))
    return redirect("offers:managed-offer", offer.public_id)


def _review(editor: Editor, offer: Offer, draft: TermsDraft) -> HttpResponse:
    """The page before a new version: what changes, and for whom."""
    assert editor.terms is not None
    proposed = draft.version_of(offer, editor.terms.version + 1)
    before = terms_in_words(editor.terms) + recipients_in_words(editor.terms)
    after = terms_in_words(proposed) + recipients_in_words(proposed)
    staying = Investment.objects.filter(terms__offer=offer, state__in=STAKED_STATES).count()
    post = editor.request.POST
    context = {
        "account": editor.account,
        "offer": offer,
        "version": editor.terms.version,
        "version_next": editor.terms.version + 1,
        "words_before": [(sentence, sentence not in after) for sentence in before],
        "words_after": [(sentence, sentence not in before) for sentence in after],
        "staying": staying,
        "staying_in_words": ngettext(
            "%(count)s investment keeps the terms it joined under.",
            "%(count)s investments keep the terms they joined under.",
            staying,
        )
        % {"count": staying},
        "typed": [
            (name, value) for name, value in post.items() if name not in ("action", "csrfmiddlewaretoken")
        ],
        "preview": editor.preview(),
    }
    return render(editor.request, "offers/manage_review.html", context)


@login_required
@require_safe
def managed_offer(request: HttpRequest, offer_id: uuid.UUID) -> HttpResponse:
    """One offer: what it says, its versions with who is under each, its links."""
    return _offer_page(request, get_managed_offer_for(_person(request), offer_id), JoinLinkForm())


def _offer_page(
    request: HttpRequest, offer: Offer, link_form: "JoinLinkForm", status: int = 200
) -> HttpResponse:
    terms = current_terms(offer)
    under = Count("investments", filter=Q(investments__state__in=STAKED_STATES), distinct=True)
    links = [
        (link, request.build_absolute_uri(reverse("offers:by-link", args=[link.token])))
        for link in valid_join_links(offer)
    ]
    context = {
        "offer": offer,
        "account": offer.account,
        "terms": terms,
        "words": terms_in_words(terms),
        "recipients": recipients_in_words(terms),
        "versions": Terms.objects.filter(offer=offer)
        .select_related("created_by")
        .annotate(investments_under=under, accepted=Count("accepted_by", distinct=True))
        .order_by("-version"),
        "links": links,
        "link_form": link_form,
    }
    return render(request, "offers/manage_offer.html", context, status=status)


@login_required
@require_POST
def move(request: HttpRequest, offer_id: uuid.UUID) -> HttpResponse:
    """Open or pause an offer."""
    offer = get_managed_offer_for(_person(request), offer_id)
    steps = {"open": open_offer, "pause": pause_offer}
    step = steps.get(request.POST.get("step", ""))
    if step is None:
        raise NotFound
    try:
        moved = step(offer=offer, by=_person(request))
    except Refusal as refusal:
        messages.error(request, str(refusal))
    else:
        state = moved.get_state_display().lower()
        messages.success(request, _("The offer is %(state)s.") % {"state": state})
    return redirect("offers:managed-offer", offer.public_id)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def close(request: HttpRequest, offer_id: uuid.UUID) -> HttpResponse:
    """Say what closing the offer for good means, then close it."""
    offer = get_managed_offer_for(_person(request), offer_id)
    if request.method != "POST":
        staying = Investment.objects.filter(terms__offer=offer, state__in=STAKED_STATES).count()
        context = {"offer": offer, "staying": staying, "links": len(valid_join_links(offer))}
        return render(request, "offers/manage_close.html", context)
    try:
        close_offer(offer=offer, by=_person(request))
    except Refusal as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, _("The offer is closed."))
    return redirect("offers:managed-offer", offer.public_id)


class JoinLinkForm(forms.Form):
    """A new join link."""

    NEVER = "0"

    valid_days = forms.ChoiceField(
        label=gettext_lazy("Valid for"),
        choices=[
            ("1", gettext_lazy("1 day")),
            ("7", gettext_lazy("7 days")),
            ("30", gettext_lazy("30 days")),
            (NEVER, gettext_lazy("Until revoked")),
        ],
        initial="7",
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    single_use = forms.BooleanField(
        label=gettext_lazy("For one person"), required=False, initial=True,
        widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
    )  # fmt: skip


@login_required
@require_POST
def add_link(request: HttpRequest, offer_id: uuid.UUID) -> HttpResponse:
    """A new join link of an offer."""
    offer = get_managed_offer_for(_person(request), offer_id)
    form = JoinLinkForm(request.POST)
    if not form.is_valid():
        return _offer_page(request, offer, form, status=422)
    days = int(form.cleaned_data["valid_days"])
    try:
        create_join_link(
            offer=offer,
            expires_at=timezone.now() + timedelta(days=days) if days else None,
            single_use=form.cleaned_data["single_use"],
            by=_person(request),
        )
    except Refusal as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        return _offer_page(request, offer, form, status=422)
    messages.success(request, _("The link is ready to be sent."))
    return redirect("offers:managed-offer", offer.public_id)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def revoke_link(request: HttpRequest, offer_id: uuid.UUID, link_id: uuid.UUID) -> HttpResponse:
    """End a join link, after asking once more."""
    offer = get_managed_offer_for(_person(request), offer_id)
    link = get_object_or_404(JoinLink.objects.select_related("offer"), offer=offer, public_id=link_id)
    if request.method != "POST":
        address = request.build_absolute_uri(reverse("offers:by-link", args=[link.token]))
        return render(
            request, "offers/manage_revoke.html", {"offer": offer, "link": link, "address": address}
        )
    revoke_join_link(link=link, by=_person(request))
    messages.success(request, _("The link opens nothing any more."))
    return redirect("offers:managed-offer", offer.public_id)


def _person(request: HttpRequest) -> User:
    """Who is signed in: every view here is behind `login_required`."""
    assert isinstance(request.user, User)
    return request.user
