"""The broker's back office: one Django admin site, branded and scoped per request by the host that was asked.

Closed by default: only models registered with `back_office` have pages, and only people with a role of the
broker's staff get in. They sign in at the cabinet's own door, so the second factor cannot be gone round here.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from csp.decorators import csp_replace
from django.conf import settings
from django.contrib.admin import ModelAdmin
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import LogoutView, redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url
from django.template.response import TemplateResponse
from django.templatetags.static import static
from django.urls import reverse
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.settings import CONFIG_DEFAULTS
from unfold.sites import UnfoldAdminSite

from accounts.models import STAFF_ROLES
from accounts.queries import user_roles
from brokers.brand import icon_url_of
from pamm_platform.row_names import make_names_translatable
from pamm_platform.templatetags.figures import when
from rollover.queries import BrokerHealth, broker_health

# Alpine evaluates expressions and unfold writes inline styles; nothing outside this path may.
CONTENT_POLICY = {
    "default-src": [SELF],
    "script-src": [SELF, UNSAFE_EVAL, UNSAFE_INLINE],
    "style-src": [SELF, UNSAFE_INLINE],
    "img-src": [SELF, "data:"],
    "font-src": [SELF],
    "connect-src": [SELF],
    "object-src": [NONE],
    "base-uri": [SELF],
    "form-action": [SELF],
    "frame-ancestors": [NONE],
}

UNFOLD_COLOURS: dict[str, dict[str, str]] = CONFIG_DEFAULTS["COLORS"]

_HEX_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
# How much white or black is mixed into the brand's colour for each step of the palette.
_PALETTE = {
    "50": (_WHITE, 0.95),
    "100": (_WHITE, 0.88),
    "200": (_WHITE, 0.75),
    "300": (_WHITE, 0.55),
    "400": (_WHITE, 0.3),
    "500": (_WHITE, 0.12),
    "600": (_BLACK, 0.0),
    "700": (_BLACK, 0.15),
    "800": (_BLACK, 0.32),
    "900": (_BLACK, 0.48),
    "950": (_BLACK, 0.65),
}


class BackOfficeSite(UnfoldAdminSite):
    """The site behind `/admin/` of every broker."""

    index_template = "admin/dashboard.html"
    index_title = gettext_lazy("Overview")
    enable_nav_sidebar = True

    def register(
        self,
        model_or_iterable: type[models.Model] | Iterable[type[models.Model]],
        admin_class: type[ModelAdmin[Any]] | None = None,
        **options: Any,
    ) -> None:
        super().register(model_or_iterable, admin_class, **options)
        found = (model_or_iterable,) if isinstance(model_or_iterable, type) else model_or_iterable
        for model in found:
            make_names_translatable(model)
            for inline in self.get_model_admin(model).inlines:
                make_names_translatable(inline.model)

    def has_permission(self, request: HttpRequest) -> bool:
        return bool(user_roles(request.user) & STAFF_ROLES)

    def admin_view(
        self, view: Callable[..., HttpResponse], cacheable: bool = False
    ) -> Callable[..., HttpResponse]:
        return csp_replace(CONTENT_POLICY)(super().admin_view(view, cacheable))  # type: ignore[return-value]

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """No door of its own: visitors go to the cabinet's sign-in, customers learn nothing."""
        next_page = request.GET.get(REDIRECT_FIELD_NAME) or reverse("admin:index")
        if not request.user.is_authenticated:
            return redirect_to_login(next_page, resolve_url(settings.LOGIN_URL))
        if not self.has_permission(request):
            raise PermissionDenied
        return redirect("admin:index")

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return LogoutView.as_view(next_page="/")(request)

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return redirect("account_change_password")

    def password_change_done(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return redirect("account_change_password")

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        return super().index(request, {"tiles": _tiles(broker_health()), **(extra_context or {})})

    def get_sidebar_list(self, request: HttpRequest) -> list[dict[str, Any]]:
        """The site's own grouping of whatever this person may see."""
        visible = {
            f"{app['app_label']}.{model['object_name']}": model
            for app in self.get_app_list(request)
            for model in app["models"]
        }
        groups = []
        for title, entries in _navigation():
            items = [
                {
                    "title": own_title or visible[label]["name"],
                    "icon": icon,
                    "link": visible[label]["admin_url"],
                    "active": request.path.startswith(visible[label]["admin_url"]),
                    "has_permission": True,
                }
                for label, own_title, icon in entries
                if label in visible and visible[label]["admin_url"]
            ]
            if items:
                groups.append({"title": title, "separator": True, "items": items})
        return groups


def _tiles(health: BrokerHealth) -> list[dict[str, object]]:
    def tile(label: str, figure: object, model: str, query: str, note: str = "") -> dict[str, object]:
        address = reverse(f"admin:{model}_changelist")
        return {"label": label, "figure": figure, "url": f"{address}{query}", "note": note}

    scheduled = health.next_scheduled_at
    return [
        tile(
            _("Last rollover completed"),
            when(health.last_completed_at),
            "rollover_rollover",
            "",
            _("Next at %(moment)s") % {"moment": f"{localtime(scheduled):%H:%M}"}
            if scheduled
            else _("None is scheduled"),
        ),
        tile(
            _("Accounts held"),
            health.held_accounts,
            "accounts_pammaccount",
            "?is_held__exact=1",
            _("of %(active)d active accounts") % {"active": health.active_accounts},
        ),
        tile(
            _("Requests to approve"),
            health.requests_awaiting_broker + health.requests_awaiting_manager,
            "investing_request",
            "?state__exact=pending",
            _("%(ours)d for the broker, %(theirs)d for managers; %(confirmed)d confirmed")
            % {
                "ours": health.requests_awaiting_broker,
                "theirs": health.requests_awaiting_manager,
                "confirmed": health.requests_confirmed,
            },
        ),
        tile(
            _("Transfers without an answer"),
            health.transfers_unknown,
            "transfers_leg",
            "?state__exact=unknown",
            _("%(open)d operations under way") % {"open": health.transfers_open},
        ),
        tile(
            _("Findings open"),
            health.findings_open,
            "rollover_finding",
            "?state__exact=open",
            _("%(conflicts)d operations in conflict, %(servers)d trading servers failing")
            % {"conflicts": health.transfers_in_conflict, "servers": health.servers_failing},
        ),
        tile(
            _("Rollovers under way"),
            health.open_rollovers,
            "rollover_rollover",
            "",
            _("%(held)d ended because the account was held") % {"held": health.held_rollovers},
        ),
    ]


def _navigation() -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Groups of (model, title, icon); an empty title is the model's own name."""
    return [
        (
            _("Business"),
            [
                ("accounts.PammAccount", _("PAMM accounts"), "account_balance"),
                ("investing.Request", "", "inbox"),
                ("rollover.Rollover", "", "sync"),
                ("allocation.Investment", "", "savings"),
                ("offers.Offer", "", "sell"),
                ("offers.Terms", "", "gavel"),
            ],
        ),
        (
            _("Money"),
            [
                ("transfers.Transfer", "", "swap_horiz"),
                ("transfers.Leg", "", "arrow_right_alt"),
                ("fees.Charge", "", "receipt_long"),
                ("ledger.LedgerAccount", "", "menu_book"),
                ("ledger.Entry", "", "list_alt"),
                ("ledger.Posting", "", "balance"),
                ("allocation.UnitEntry", "", "toll"),
                ("allocation.PricePoint", "", "show_chart"),
                ("rollover.CountedDeal", "", "candlestick_chart"),
                ("trading.Order", _("Own orders"), "shopping_cart_checkout"),
            ],
        ),
        (
            _("Checks"),
            [
                ("rollover.Finding", _("Findings"), "policy"),
                ("rollover.Decision", _("Decisions"), "gavel"),
                ("rollover.Inspection", _("Nightly comparisons"), "nightlight"),
                ("rollover.Seal", _("Seals of the books"), "verified"),
            ],
        ),
        (
            _("People"),
            [
                ("accounts.User", "", "group"),
                ("accounts.Manager", "", "badge"),
                ("accounts.Agent", "", "handshake"),
                ("accounts.PersonalAccount", "", "wallet"),
                ("accounts.HouseAccount", "", "home_work"),
            ],
        ),
        (
            _("Broker"),
            [
                ("brokers.Broker", _("Brand and limits"), "tune"),
                ("offers.FeeCeiling", _("Fee ceilings"), "price_check"),
                ("rollover.Schedule", _("Schedule"), "schedule"),
                ("trading.TradingServer", "", "dns"),
                ("outbox.Event", "", "notifications"),
                ("events.Mail", "", "mail"),
                ("admin.LogEntry", _("Audit log"), "history"),
            ],
        ),
    ]


def brand_name(request: HttpRequest) -> str:
    """Name of the broker that was asked."""
    return request.broker.name  # type: ignore[attr-defined]


def style_sheet(request: HttpRequest) -> str:
    """What the audit and the confirmation pages add to unfold's styles."""
    return static("css/back_office.css")


def style_sheet_of_language(request: HttpRequest) -> str:
    """Letters of Chinese; rules that nothing else falls under."""
    return static("css/chinese.css")


def favicon(request: HttpRequest) -> str:
    """The same mark in the browser's tab as in the cabinet."""
    return icon_url_of(request.broker)  # type: ignore[attr-defined]


def brand_colours(request: HttpRequest) -> dict[str, dict[str, str]]:
    """Unfold's palette with the broker's own colour as the primary one."""
    colours: dict[str, dict[str, str]] = {name: dict(steps) for name, steps in UNFOLD_COLOURS.items()}
    colour: str = request.broker.primary_colour  # type: ignore[attr-defined]
    # It is written into a style sheet: anything but a plain colour stays out.
    if _HEX_COLOUR.fullmatch(colour):
        colours["primary"] = {step: _mixed(colour, other, part) for step, (other, part) in _PALETTE.items()}
    return colours


def _mixed(colour: str, other: tuple[int, int, int], part: float) -> str:
    own = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return "#" + "".join(
        f"{round(mine * (1 - part) + theirs * part):02x}" for mine, theirs in zip(own, other, strict=True)
    )


back_office = BackOfficeSite(name="admin")
