"""People, roles and accounts in the back office."""

import uuid
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.cache import cache
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext
from django.views.decorators.debug import sensitive_variables
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from accounts.disclosure_words import disclosure_change_in_words, disclosure_in_words
from accounts.hold_words import HOLD_WORDS
from accounts.models import (
    STAFF_ROLES,
    Agent,
    HouseAccount,
    Manager,
    PammAccount,
    PersonalAccount,
    Role,
    User,
)
from accounts.queries import agent_chain, disclosure_changes
from accounts.services import (
    appoint_house_account,
    grant_role,
    introduce_client,
    make_agent,
    make_manager,
    open_personal_account,
    place_agent,
    register_client,
    register_staff,
    revoke_role,
    set_disclosure,
)
from accounts.web.release import ReleaseForm, differing, effect_facts
from brokers.errors import Refusal
from investing.services import order_closing, resume_account, set_margin_policy, suspend_account
from pamm_platform.admin_pages import (
    BackOfficeAdmin,
    ListOnlyAdmin,
    NoInputForm,
    NoteForm,
    ReadOnlyAdmin,
    amount,
    change_url,
    figure,
    has_any,
    link,
    list_url,
    staff_member,
    words,
)
from pamm_platform.admin_site import back_office
from pamm_platform.templatetags.figures import money, when
from rollover.effects import release_effect
from rollover.models import Rollover
from rollover.services import order_rollover, release_account
from trading.models import TradingGroup

ADMINISTRATORS = frozenset({Role.ADMIN})

# The platform's own staff is appointed by the platform, never by a broker.
BROKER_ROLES = [choice for choice in Role.choices if choice[0] != Role.OPERATOR]


# For so long a form that has opened an account is remembered: sent again, it must not open another.
OPENING_KEPT_SECONDS = 24 * 3600


class MarginPolicyForm(forms.Form):
    """One of the policies."""

    policy = forms.TypedChoiceField(
        choices=PammAccount.MarginPolicy.choices,
        coerce=PammAccount.MarginPolicy,
        label=_("Policy"),
        widget=UnfoldAdminSelectWidget,
    )


@admin.register(PammAccount, site=back_office)
class PammAccountAdmin(ReadOnlyAdmin):
    list_display: ClassVar = [
        "name",
        "login",
        link("manager", _("manager")),
        "state",
        "is_held",
        amount("last_equity", _("pool equity")),
        figure("units", _("units")),
        "last_priced_at",
    ]
    list_select_related = ("manager",)
    list_filter = ("is_held", "state", "currency")
    search_fields = ("name", "=login", "=public_id", "manager__display_name")
    fields: ClassVar = [
        "public_id",
        "name",
        "description",
        link("manager", _("manager")),
        link("income_account", _("fees are paid to")),
        words("server", _("trading server")),
        "login",
        "currency",
        "state",
        "is_held",
        "held_because",
        "what_differs",
        "disclosed",
        "disclosure_changes",
        amount("minimum_own_capital", _("manager's own capital, at least")),
        "leverage",
        "margin_policy",
        "series",
        figure("units", _("units")),
        amount("last_equity", _("pool equity after the last rollover")),
        "last_priced_at",
        figure("rounding_carried", _("rounding carried")),
        "created_at",
        "rollovers",
    ]
    actions_detail: ClassVar = [
        "roll_over",
        "release",
        "margin_policy_action",
        "hide_trades",
        "suspend",
        "close",
    ]

    @admin.display(description=_("held because"))
    def held_because(self, account: PammAccount) -> Any:
        return HOLD_WORDS.get(account.hold_reason, account.hold_reason) or None

    @admin.display(description=_("what differs"))
    def what_differs(self, account: PammAccount) -> Any:
        return differing(account) if account.is_held else None

    @admin.display(description=_("disclosure of trades"))
    def disclosed(self, account: PammAccount) -> str:
        return disclosure_in_words(account.disclosure, account.disclosure_delay)

    @admin.display(description=_("changes of it, and by whom"))
    def disclosure_changes(self, account: PammAccount) -> Any:
        lines = [
            (when(event.occurred_at), by or "?", disclosure_change_in_words(event))
            for event, by in disclosure_changes(account)
        ]
        return format_html_join("", "<div>{}, {}: {}</div>", lines) or None

    @admin.display(description=_("rollovers"))
    def rollovers(self, account: PammAccount) -> Any:
        return format_html(
            '<a href="{}">{}</a>', list_url(Rollover, account=account.public_id), _now("All of them")
        )

    @action(description=_("Roll over now"), url_path="roll-over", permissions=["decide"], icon="play_arrow")
    def roll_over(self, request: HttpRequest, object_id: str) -> HttpResponse:
        account: PammAccount = self.get_or_404(request, object_id)
        return self.confirmed(
            request,
            lambda: order_rollover(accounts=[account], by=staff_member(request)),
            row=account,
            done=lambda: _now("A rollover of %(account)s was ordered.") % {"account": account},
            title=_("Roll this account over now"),
            form=NoInputForm(request.POST),
            facts=_facts(account),
            submit=_("Roll over now"),
            warning=_("What is confirmed until now is executed at the next price."),
        )

    @action(
        description=_("Release"),
        url_path="release",
        permissions=["decide"],
        icon="lock_open",
        variant=ActionVariant.DANGER,
    )
    def release(self, request: HttpRequest, object_id: str) -> HttpResponse:
        account: PammAccount = self.get_or_404(request, object_id)
        if not account.is_held:
            messages.info(request, _("This account is not held."))
            return HttpResponseRedirect(change_url(account))
        form = ReleaseForm(request.POST or None, account=account)
        facts = [
            *_facts(account),
            (_("Held because"), self.held_because(account)),
            (_("What differs"), differing(account)),
        ]
        effect: Sequence[tuple[Any, Any]] = ()
        hidden: list[tuple[str, str]] = []
        submit = _("Show the effect") if form.differences else _("Release")
        if form.is_valid():
            if not form.differences or request.POST.get("seen") == form.seen():
                note = form.cleaned_data["note"]
                released = self.carried_out(
                    request,
                    lambda: release_account(
                        account=account,
                        by=staff_member(request),
                        note=note,
                        choices=form.choices,
                        sweep=form.sweeps,
                    ),
                    row=account,
                    done=_now("%(account)s was released: %(note)s") % {"account": account, "note": note},
                )
                if released:
                    return HttpResponseRedirect(change_url(account))
            effect = list(effect_facts(release_effect(account, form.choices), account))
            hidden, submit = [("seen", form.seen())], _("Release")
        return self.confirmation(
            request,
            title=_("Release this account"),
            form=form,
            facts=facts,
            submit=submit,
            warning=_("It rolls over again. Where its figures still do not add up, it is held again."),
            back=change_url(account),
            effect=effect,
            hidden=hidden,
        )

    @action(description=_("Margin policy"), url_path="margin-policy", permissions=["decide"], icon="balance")
    def margin_policy_action(self, request: HttpRequest, object_id: str) -> HttpResponse:
        account: PammAccount = self.get_or_404(request, object_id)
        form = MarginPolicyForm(request.POST or None, initial={"policy": account.margin_policy})
        return self.confirmed(
            request,
            lambda: set_margin_policy(
                account=account, policy=form.cleaned_data["policy"], by=staff_member(request)
            ),
            row=account,
            done=lambda: (
                _now("%(account)s: %(policy)s")
                % {"account": account, "policy": form.cleaned_data["policy"].label}
            ),
            title=_("Withdrawals whose money open positions bind"),
            form=form,
            facts=_facts(account),
            submit=_("Set"),
            warning=_("Closing in proportion is done before the price is read: all investors bear its cost."),
        )

    @action(
        description=_("Hide trades"), url_path="hide-trades", permissions=["decide"], icon="visibility_off"
    )
    def hide_trades(self, request: HttpRequest, object_id: str) -> HttpResponse:
        account: PammAccount = self.get_or_404(request, object_id)
        return self.confirmed(
            request,
            lambda: set_disclosure(
                account=account,
                disclosure=PammAccount.Disclosure.HIDDEN,
                delay=account.disclosure_delay,
                by=staff_member(request),
            ),
            row=account,
            done=lambda: _now("The trades of %(account)s are hidden.") % {"account": account},
            title=_("Hide this account's trades"),
            form=NoInputForm(request.POST),
            facts=[*_facts(account), (_("Disclosure of trades"), self.disclosed(account))],
            submit=_("Hide them"),
            warning=_("At once, past trades too. Only the account's manager can show them again."),
        )

    @action(
        description=_("Suspend or resume"),
        url_path="suspend",
        permissions=["decide"],
        icon="pause_circle",
        variant=ActionVariant.DANGER,
    )
    def suspend(self, request: HttpRequest, object_id: str) -> HttpResponse:
        account: PammAccount = self.get_or_404(request, object_id)
        form = NoteForm(request.POST or None)
        if account.state == PammAccount.State.SUSPENDED:
            change, said = resume_account, _("%(account)s takes investments again: %(note)s")
            title, submit = _("End the suspension of this account"), _("Resume")
            warning = _("Its open offers take investments again. Its investors and manager are told.")
        else:
            change, said = suspend_account, _("%(account)s is suspended: %(note)s")
            title, submit = _("Suspend this account"), _("Suspend")
            warning = _(
                "Nobody joins or adds money until you resume it, and deposits under way go back. "
                "Withdrawals, closes, rollovers and fees go on, and so does trading: take the right to trade "
                "away on the trading server if that has to stop. Its investors and manager are told."
            )
        return self.confirmed(
            request,
            lambda: change(account=account, by=staff_member(request), note=form.cleaned_data["note"]),
            row=account,
            done=lambda: str(said) % {"account": account, "note": form.cleaned_data["note"]},
            title=title,
            form=form,
            facts=_facts(account),
            submit=submit,
            warning=warning,
        )

    @action(
        description=_("Close the account"),
        url_path="close",
        permissions=["decide"],
        icon="door_front",
        variant=ActionVariant.DANGER,
    )
    def close(self, request: HttpRequest, object_id: str) -> HttpResponse:
        account: PammAccount = self.get_or_404(request, object_id)
        form = NoteForm(request.POST or None)
        return self.confirmed(
            request,
            lambda: order_closing(account=account, by=staff_member(request), note=form.cleaned_data["note"]),
            row=account,
            done=lambda: (
                _now("%(account)s is being closed: %(note)s")
                % {"account": account, "note": form.cleaned_data["note"]}
            ),
            title=_("Close this account for good"),
            form=form,
            facts=_facts(account),
            submit=_("Close it"),
            warning=_(
                "Nobody joins any more and deposits go back. Its next rollovers close the open positions and "
                "pay everybody, without early-exit fees. This cannot be taken back."
            ),
        )


class AgentForm(forms.Form):
    """One of the broker's agents, or nobody."""

    agent = forms.ModelChoiceField[Agent](
        queryset=Agent.objects.none(),
        label=_("Agent"),
        required=False,
        empty_label=_("Nobody"),
        to_field_name="public_id",
        widget=UnfoldAdminSelectWidget,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["agent"]
        field.queryset = Agent.objects.select_related("user").order_by("user__email")
        field.label_from_instance = lambda agent: agent.user.email


@admin.register(PersonalAccount, site=back_office)
class PersonalAccountAdmin(ReadOnlyAdmin):
    list_display: ClassVar = [
        "login",
        link("user", _("client")),
        "currency",
        "server",
        link("introduced_by", _("introduced by")),
        "created_at",
    ]
    list_select_related = ("user", "server", "introduced_by__user")
    list_filter = ("currency",)
    search_fields = ("=login", "user__email", "=public_id")
    fields: ClassVar = [
        "public_id",
        "login",
        link("user", _("client")),
        "currency",
        words("server", _("trading server")),
        link("introduced_by", _("introduced by")),
        "chain",
        "created_at",
    ]
    actions_detail: ClassVar = ["introduce"]

    def has_administer_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return has_any(request, ADMINISTRATORS)

    @admin.display(description=_("agents, nearest first"))
    def chain(self, account: PersonalAccount) -> str:
        return " → ".join(str(agent) for agent in agent_chain(account))

    @action(
        description=_("Say who introduced the client"),
        url_path="introduce",
        permissions=["administer"],
        icon="handshake",
    )
    def introduce(self, request: HttpRequest, object_id: str) -> HttpResponse:
        account: PersonalAccount = self.get_or_404(request, object_id)
        form = AgentForm(request.POST or None, initial={"agent": account.introduced_by})
        return self.confirmed(
            request,
            lambda: introduce_client(
                personal_account=account, agent=form.cleaned_data["agent"], by=staff_member(request)
            ),
            row=account,
            done=lambda: (
                _now("%(account)s: introduced by %(agent)s.")
                % {"account": account, "agent": form.cleaned_data["agent"] or _now("nobody")}
            ),
            title=_("Who introduced this client"),
            form=form,
            facts=[(_("Personal account"), account), (_("Client"), account.user)],
            submit=_("Save"),
            warning=_("For investments made from now on: the others keep the agents they began with."),
        )


@admin.register(Agent, site=back_office)
class AgentAdmin(ReadOnlyAdmin):
    list_display: ClassVar = ["user", link("parent", _("introduced by")), "created_at"]
    list_select_related = ("user", "parent__user")
    search_fields = ("user__email", "user__last_name", "=public_id")
    fields: ClassVar = [
        "public_id",
        link("user", _("person")),
        link("parent", _("introduced by")),
        "below",
        "created_at",
    ]
    actions_detail: ClassVar = ["place"]

    def has_administer_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return has_any(request, ADMINISTRATORS)

    @admin.display(description=_("agents it introduced"))
    def below(self, agent: Agent) -> str:
        return pgettext("between parts of a list", ", ").join(
            str(child) for child in agent.children.select_related("user").order_by("pk")
        )

    @action(description=_("Place under an agent"), url_path="place", permissions=["administer"], icon="lan")
    def place(self, request: HttpRequest, object_id: str) -> HttpResponse:
        agent: Agent = self.get_or_404(request, object_id)
        form = AgentForm(request.POST or None, initial={"agent": agent.parent})
        form.fields["agent"].label = _("Place under")
        return self.confirmed(
            request,
            lambda: place_agent(agent=agent, parent=form.cleaned_data["agent"], by=staff_member(request)),
            row=agent,
            done=lambda: (
                _now("%(agent)s stands under %(parent)s now.")
                % {"agent": agent, "parent": form.cleaned_data["agent"] or _now("nobody")}
            ),
            title=_("Place this agent"),
            form=form,
            facts=[(_("Agent"), agent), (_("Introduced by"), agent.parent)],
            submit=_("Place"),
            warning=_("Everybody below moves along. Investments keep the agents they began with."),
        )


class HouseAccountForm(forms.Form):
    """An account of the broker's own that stands on the trading server already."""

    group = forms.ModelChoiceField[TradingGroup](
        queryset=None, label=_("Group on the trading server"), widget=UnfoldAdminSelectWidget
    )
    purpose = forms.ChoiceField(
        label=_("Purpose"), choices=HouseAccount.Purpose.choices, widget=UnfoldAdminSelectWidget
    )
    login = forms.IntegerField(label=_("Login"), min_value=1, widget=UnfoldAdminTextInputWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        houses = TradingGroup.objects.filter(purpose=TradingGroup.Purpose.HOUSE).select_related("server")
        self.fields["group"].queryset = houses.order_by("name")  # type: ignore[attr-defined]


@admin.register(HouseAccount, site=back_office)
class HouseAccountAdmin(ListOnlyAdmin):
    list_display = ("purpose", "login", "currency", "server", "public_id")
    list_select_related = ("server",)
    actions_list: ClassVar = ["appoint_house"]

    def has_administer_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return has_any(request, ADMINISTRATORS)

    @action(
        description=_("Appoint an account"),
        url_path="appoint",
        permissions=["administer"],
        icon="add_home_work",
    )
    def appoint_house(self, request: HttpRequest) -> HttpResponse:
        form = HouseAccountForm(request.POST or None)
        if form.is_valid():
            entered = form.cleaned_data
            try:
                house = appoint_house_account(
                    group=entered["group"],
                    purpose=HouseAccount.Purpose(entered["purpose"]),
                    login=entered["login"],
                    by=staff_member(request),
                )
            except Refusal as refusal:
                form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
            else:
                self.log_addition(request, house, _now("Appointed."))
                return HttpResponseRedirect(list_url(HouseAccount))
        return self.confirmation(
            request,
            title=_("Appoint an account of the broker's own"),
            form=form,
            facts=[],
            submit=_("Appoint"),
            warning=_("Every currency needs one for rounding before its first rollover."),
            back=list_url(HouseAccount),
        )


@admin.register(Manager, site=back_office)
class ManagerAdmin(ReadOnlyAdmin):
    list_display: ClassVar = ["display_name", link("user", _("client")), "created_at"]
    list_select_related = ("user",)
    search_fields = ("display_name", "user__email")
    fields: ClassVar = ["public_id", "display_name", link("user", _("client")), "biography", "created_at"]


class RoleForm(forms.Form):
    """One of the roles on offer."""

    role = forms.ChoiceField(label=_("Role"), widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, roles: list[tuple[str, Any]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["role"].choices = roles  # type: ignore[attr-defined]


class DisplayNameForm(forms.Form):
    """How the public sees a manager."""

    display_name = forms.CharField(label=_("Public name"), max_length=80, widget=UnfoldAdminTextInputWidget)


class StaffForm(RoleForm):
    """Somebody new who works for the broker."""

    email = forms.EmailField(label=_("E-mail"), widget=UnfoldAdminTextInputWidget)
    first_name = forms.CharField(label=_("First name"), max_length=80, widget=UnfoldAdminTextInputWidget)
    last_name = forms.CharField(label=_("Last name"), max_length=80, widget=UnfoldAdminTextInputWidget)
    password = forms.CharField(
        label=_("First password"),
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text=_("Nothing opens with it before a second factor has been set up."),
    )
    field_order = ["email", "first_name", "last_name", "role", "password"]


class ClientForm(forms.Form):
    """A client who did not sign up on his own."""

    email = forms.EmailField(label=_("E-mail"), widget=UnfoldAdminTextInputWidget)
    first_name = forms.CharField(label=_("First name"), max_length=80, widget=UnfoldAdminTextInputWidget)
    last_name = forms.CharField(label=_("Last name"), max_length=80, widget=UnfoldAdminTextInputWidget)


class OpenAccountForm(forms.Form):
    """In which group of a trading server; `key` is of the form as shown, so that it opens one account."""

    group = forms.ModelChoiceField[TradingGroup](
        queryset=None, label=_("Group on the trading server"), widget=UnfoldAdminSelectWidget
    )
    key = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        groups = TradingGroup.objects.filter(
            purpose=TradingGroup.Purpose.PERSONAL, server__is_active=True
        ).select_related("server")
        field: Any = self.fields["group"]
        field.queryset = groups.order_by("server__name", "name")
        field.label_from_instance = lambda group: f"{group.server}: {group}"


@admin.register(User, site=back_office)
class UserAdmin(BackOfficeAdmin):
    changers = ADMINISTRATORS
    list_display = ("email", "name", "roles", "is_active", "date_joined")
    list_filter = ("memberships__role", "is_active")
    search_fields = ("email", "last_name", "=public_id")
    ordering: ClassVar = ["email"]
    fields: ClassVar = [
        "public_id",
        "email",
        "first_name",
        "last_name",
        "is_active",
        "language",
        "time_zone",
        "roles",
        "statements",
        "date_joined",
        "last_login",
    ]
    readonly_fields: ClassVar = ["public_id", "email", "roles", "statements", "date_joined", "last_login"]
    actions_list: ClassVar = ["add_client", "add_staff"]
    actions_detail: ClassVar = ["open_account", "grant", "revoke", "appoint", "appoint_agent"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("memberships")

    def has_administer_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_change_permission(request)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # Nobody locks himself out.
        own = ["is_active"] if obj is not None and obj.pk == request.user.pk else []
        return [*self.readonly_fields, *own]

    @admin.display(description=_("name"))
    def name(self, user: User) -> str:
        return user.full_name

    @admin.display(description=_("roles"))
    def roles(self, user: User) -> str:
        return pgettext("between parts of a list", ", ").join(
            str(membership.get_role_display()) for membership in user.memberships.all()
        )

    @admin.display(description=_("statements"))
    def statements(self, user: User) -> SafeString:
        """Everybody may invest; a manager and an agent have one of their income, too."""
        roles = {membership.role for membership in user.memberships.all()}
        kinds = [
            ("investor", _now("Investor")),
            *([("manager", _now("Manager"))] if Role.MANAGER in roles else []),
            *([("agent", _now("Agent"))] if Role.AGENT in roles else []),
        ]
        links = (
            (reverse(f"statements:{kind}-page-of", args=[user.public_id]), label) for kind, label in kinds
        )
        return format_html_join(" · ", '<a class="text-link" href="{}">{}</a>', links)

    @action(
        description=_("Add a staff member"),
        url_path="add-staff",
        permissions=["administer"],
        icon="person_add",
    )
    def add_staff(self, request: HttpRequest) -> HttpResponse:
        roles = [choice for choice in BROKER_ROLES if choice[0] in STAFF_ROLES]
        form = StaffForm(request.POST or None, roles=roles)
        if form.is_valid():
            entered = form.cleaned_data
            try:
                user = register_staff(
                    email=entered["email"],
                    password=entered["password"],
                    role=Role(entered["role"]),
                    first_name=entered["first_name"],
                    last_name=entered["last_name"],
                    by=staff_member(request),
                )
            except Refusal as refusal:
                form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
            else:
                self.log_addition(request, user, _now("Registered as staff."))
                return HttpResponseRedirect(change_url(user))
        return self.confirmation(
            request,
            title=_("Add a staff member"),
            form=form,
            facts=[],
            submit=_("Add"),
            back=list_url(User),
        )

    @action(
        description=_("Add a client"),
        url_path="add-client",
        permissions=["administer"],
        icon="person_add",
    )
    def add_client(self, request: HttpRequest) -> HttpResponse:
        form = ClientForm(request.POST or None)
        if form.is_valid():
            try:
                user = register_client(**form.cleaned_data, password=None, by=staff_member(request))
            except Refusal as refusal:
                form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
            else:
                self.log_addition(request, user, _now("Registered as a client."))
                return HttpResponseRedirect(change_url(user))
        return self.confirmation(
            request,
            title=_("Add a client"),
            form=form,
            facts=[],
            submit=_("Add"),
            warning=_(
                "No password is set. The client asks for one on the sign-in page, as if it were forgotten, "
                "or signs in with the trading login once a trading account has been opened."
            ),
            back=list_url(User),
        )

    @action(
        description=_("Open a trading account"),
        url_path="open-account",
        permissions=["administer"],
        icon="add_card",
    )
    @sensitive_variables("password")
    def open_account(self, request: HttpRequest, object_id: str) -> HttpResponse:
        user: User = self.get_or_404(request, object_id)
        form = OpenAccountForm(request.POST or None, initial={"key": uuid.uuid4()})
        if form.is_valid() and self._is_sent_again(form):
            messages.info(request, _now("This form has been sent already: look at the client's accounts."))
            return HttpResponseRedirect(list_url(PersonalAccount, q=user.email))
        if form.is_valid():
            try:
                account, password = open_personal_account(
                    user=user, group=form.cleaned_data["group"], by=staff_member(request)
                )
            except Refusal as refusal:
                messages.error(request, str(refusal))
                return HttpResponseRedirect(change_url(user))
            self.log_change(request, user, _now("Trading account %(account)s opened.") % {"account": account})
            return self._opened(request, account, password)
        return self.confirmation(
            request,
            title=_("Open a trading account"),
            form=form,
            facts=[(_("Person"), user), (_("E-mail"), user.email)],
            submit=_("Open"),
            warning=_("The password is shown once, on the next page, and kept nowhere."),
            back=change_url(user),
        )

    @staticmethod
    def _is_sent_again(form: OpenAccountForm) -> bool:
        key = f"account-opening:{form.cleaned_data['key']}"
        return not cache.add(key, True, timeout=OPENING_KEPT_SECONDS)

    @sensitive_variables("password")
    def _opened(self, request: HttpRequest, account: PersonalAccount, password: str) -> HttpResponse:
        """Not a redirect: the password would have to be kept until the next request."""
        context = self.admin_site.each_context(request) | {
            "title": _("The trading account is open"),
            "opts": self.model._meta,
            "account": account,
            "password": password,
            "back": change_url(account.user),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "accounts/personal_opened.html", context)

    @action(description=_("Give a role"), url_path="grant", permissions=["administer"], icon="add_moderator")
    def grant(self, request: HttpRequest, object_id: str) -> HttpResponse:
        user = self.get_or_404(request, object_id)
        held = _held_roles(user)
        return self._change_roles(
            request,
            user,
            [choice for choice in BROKER_ROLES if choice[0] not in held],
            grant_role,
            title=_("Give a role"),
            done=_now("The role %(role)s was given to %(user)s."),
        )

    @action(
        description=_("Take a role away"),
        url_path="revoke",
        permissions=["administer"],
        icon="remove_moderator",
    )
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        user = self.get_or_404(request, object_id)
        held = _held_roles(user)
        return self._change_roles(
            request,
            user,
            [choice for choice in BROKER_ROLES if choice[0] in held],
            revoke_role,
            title=_("Take a role away"),
            done=_now("The role %(role)s was taken from %(user)s."),
        )

    @action(description=_("Make a manager"), url_path="appoint", permissions=["administer"], icon="badge")
    def appoint(self, request: HttpRequest, object_id: str) -> HttpResponse:
        user: User = self.get_or_404(request, object_id)
        form = DisplayNameForm(request.POST or None, initial={"display_name": user.full_name})
        return self.confirmed(
            request,
            lambda: make_manager(
                user=user, display_name=form.cleaned_data["display_name"], by=staff_member(request)
            ),
            row=user,
            done=lambda: _now("%(user)s may manage PAMM accounts now.") % {"user": user},
            title=_("Make this person a manager"),
            form=form,
            facts=[(_("Person"), user), (_("E-mail"), user.email)],
            submit=_("Make a manager"),
        )

    @action(description=_("Make an agent"), url_path="appoint-agent", permissions=["administer"], icon="lan")
    def appoint_agent(self, request: HttpRequest, object_id: str) -> HttpResponse:
        user: User = self.get_or_404(request, object_id)
        form = AgentForm(request.POST or None)
        form.fields["agent"].label = _("Introduced by")
        return self.confirmed(
            request,
            lambda: make_agent(user=user, parent=form.cleaned_data["agent"], by=staff_member(request)),
            row=user,
            done=lambda: _now("%(user)s may introduce clients now.") % {"user": user},
            title=_("Make this person an agent"),
            form=form,
            facts=[(_("Person"), user), (_("E-mail"), user.email)],
            submit=_("Make an agent"),
        )

    def _change_roles(
        self,
        request: HttpRequest,
        user: User,
        roles: list[tuple[str, Any]],
        change: Callable[..., None],
        *,
        title: Any,
        done: str,
    ) -> HttpResponse:
        form = RoleForm(request.POST or None, roles=roles)
        return self.confirmed(
            request,
            lambda: change(user=user, role=Role(form.cleaned_data["role"]), by=staff_member(request)),
            row=user,
            done=lambda: done % {"role": Role(form.cleaned_data["role"]).label, "user": user},
            title=title,
            form=form,
            facts=[(_("Person"), user), (_("E-mail"), user.email), (_("Roles"), self.roles(user))],
            submit=title,
        )


def _held_roles(user: User) -> set[str]:
    return {membership.role for membership in user.memberships.all()}


def _facts(account: PammAccount) -> list[tuple[Any, Any]]:
    return [
        (_("PAMM account"), account),
        (_("Login"), account.login),
        (_("Manager"), account.manager),
        (_("Pool equity after the last rollover"), money(account.last_equity, account)),
        (_("Last priced"), account.last_priced_at),
    ]
