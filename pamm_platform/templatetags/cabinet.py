"""What every page of the cabinet shows around its content: the broker's brand, the theme, the way to other
pages.
"""

from dataclasses import dataclass

from django import template
from django.http import HttpRequest
from django.template import RequestContext
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from accounts.models import STAFF_ROLES, Role
from accounts.queries import user_roles
from brokers.brand import Logo, icon_url_of, logo_of, style_version
from brokers.models import BrandImage, Broker
from brokers.web.views import THEME_COOKIE, THEMES
from events.web.bell import bell_piece

register = template.Library()


@dataclass(frozen=True, slots=True)
class Destination:
    """One entry of the navigation. `is_current` marks the page that is open, or a page below it."""

    label: Promise
    url: str
    icon: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class _Entry:
    label: Promise
    url_name: str
    icon: str
    #: Where the pages below it live.
    prefixes: tuple[str, ...]


_OFFERS = _Entry(_("Offers"), "offers:leaderboard", "chart-line", ("/offers/", "/join/"))
_PORTFOLIO = _Entry(
    _("Portfolio"), "allocation:portfolio", "wallet", ("/portfolio/", "/investments/", "/statements/")
)
_REQUESTS = _Entry(_("Requests"), "investing:requests", "clipboard-list", ("/requests/",))
_MANAGED = _Entry(
    _("Manage"), "accounts:managed", "briefcase", ("/manage/accounts/", "/manage/offers/", "/manage/widgets/")
)
_APPROVALS = _Entry(_("Approvals"), "investing:approvals", "user-check", ("/manage/requests/",))
_INCOME = _Entry(_("Income"), "fees:income", "report-money", ("/manage/income/", "/manage/statements/"))
_AGENT = _Entry(_("Agent"), "fees:agent", "users", ("/agent/",))
_BACK_OFFICE = _Entry(_("Back office"), "admin:index", "building-bank", ("/admin/",))


@register.simple_tag(takes_context=True)
def brand(context: RequestContext) -> Broker:
    """The broker whose pages these are."""
    broker: Broker = _request(context).broker  # type: ignore[attr-defined]
    return broker


@register.simple_tag
def zone_name() -> str:
    """Name of the time zone that moments are written in."""
    return timezone.get_current_timezone_name()


@register.simple_tag
def brand_version(broker: Broker) -> str:
    """Changes when the brand's style sheet does."""
    return style_version(broker)


@register.simple_tag
def brand_icon(broker: Broker) -> str:
    """Address of what the browser's tab shows."""
    return icon_url_of(broker)


@register.inclusion_tag("components/logo.html")
def brand_logo(broker: Broker) -> dict[str, object]:
    """The broker's logo, its form for dark pages where there is one; else the mark and the name."""
    on_light = logo_of(broker)
    on_dark = logo_of(broker, BrandImage.Kind.LOGO_DARK) or on_light
    logos: list[tuple[str, Logo]] = []
    if on_light and on_dark:
        same = on_light == on_dark
        logos = [("", on_light)] if same else [("on-light", on_light), ("on-dark", on_dark)]
    return {"broker": broker, "logos": logos}


@register.simple_tag(takes_context=True)
def bell(context: RequestContext) -> SafeString:
    """The bell with the number of unread notifications; nothing for a visitor."""
    return bell_piece(_request(context))


@register.simple_tag(takes_context=True)
def chosen_theme(context: RequestContext) -> str:
    """`light` or `dark` where the reader chose one, else empty: the device's preference decides."""
    theme = _request(context).COOKIES.get(THEME_COOKIE, "")
    return theme if theme in THEMES else ""


@register.simple_tag(takes_context=True)
def destinations(context: RequestContext) -> list[Destination]:
    """The main navigation of whoever is signed in, or of a visitor."""
    request = _request(context)
    found = []
    for entry in _entries(request):
        url = reverse(entry.url_name)
        found.append(Destination(entry.label, url, entry.icon, _is_current(request.path, url, entry)))
    return found


def _entries(request: HttpRequest) -> list[_Entry]:
    if not request.user.is_authenticated:
        return [_OFFERS]
    roles = user_roles(request.user)
    entries = [_OFFERS, _PORTFOLIO, _REQUESTS]
    if Role.MANAGER in roles:
        entries += [_MANAGED, _APPROVALS, _INCOME]
    if Role.AGENT in roles:
        entries.append(_AGENT)
    if roles & STAFF_ROLES:
        entries.append(_BACK_OFFICE)
    return entries


def _is_current(path: str, url: str, entry: _Entry) -> bool:
    return path == url or path.startswith(entry.prefixes)


def _request(context: RequestContext) -> HttpRequest:
    request: HttpRequest = context["request"]
    return request
