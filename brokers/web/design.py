"""The design system, shown with itself: every component alive on one page, for who builds or judges pages.

There is none where `SHOWS_DESIGN_PAGE` is off, as in production.
"""

from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from brokers.brand import shades_of
from brokers.palette import contrast
from investing.models import Request


@dataclass(frozen=True, slots=True)
class SampleCurrency:
    """What amounts are written in."""

    currency: str
    currency_digits: int


@dataclass(frozen=True, slots=True)
class Ink:
    """A colour of text beside the surface it stands on, in one theme."""

    name: str
    theme: str
    colour: str
    surface: str

    @property
    def ratio(self) -> str:
        return f"{contrast(self.colour, self.surface):.1f}"


#: As `assets/css/cabinet.css` has them; a test compares.
TOKENS = {
    "light": {"surface": "#ffffff", "ink": "#101828", "muted": "#566275", "gain": "#08734a",
              "loss": "#c0222c", "warning": "#8a5a00"},
    "dark": {"surface": "#131926", "ink": "#eef2f8", "muted": "#9ba8bb", "gain": "#3ddc9b",
             "loss": "#ff8080", "warning": "#f6c35b"},
}  # fmt: skip
CURRENCIES = (SampleCurrency("USD", 2), SampleCurrency("JPY", 0), SampleCurrency("BHD", 3))
AMOUNTS = (Decimal("12345.678"), Decimal("-987.654"), Decimal(0))
STATES = (
    Request.State.PENDING,
    Request.State.CONFIRMED,
    Request.State.EXECUTED,
    Request.State.FAILED,
    Request.State.CANCELLED,
)
CURVE = tuple(Decimal(point) for point in (100, 102, 101, 104, 107, 105, 109, 112, 110, 116))


@require_safe
def design_page(request: HttpRequest) -> HttpResponse:
    """Type, colours, figures, cards, tables, states, messages, sheets."""
    _require_shown()
    context = {
        "inks": _inks(request),
        "currencies": CURRENCIES,
        "amounts": AMOUNTS,
        "states": [(state.value, state.label) for state in STATES],
        "curve": CURVE,
        "falling": CURVE[::-1],
        "shades": shades_of(request.broker),  # type: ignore[attr-defined]
        "skeleton_lines": range(4),
    }
    return render(request, "brokers/design.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def design_sheet_page(request: HttpRequest) -> HttpResponse:
    """What a confirmation sheet shows, as a page; confirming it only says so."""
    _require_shown()
    if request.method == "POST":
        messages.success(request, _("Confirmed. Nothing has happened: this was a sample."))
        return redirect("brokers:design")
    return render(request, "brokers/design_sheet.html")


def _inks(request: HttpRequest) -> list[Ink]:
    shades = shades_of(request.broker)  # type: ignore[attr-defined]
    brand = {"light": shades.ink_on_light, "dark": shades.ink_on_dark}
    return [
        Ink(name, theme, colour, tokens["surface"])
        for theme, tokens in TOKENS.items()
        for name, colour in (tokens | {"brand": brand[theme]}).items()
        if name != "surface"
    ]


def _require_shown() -> None:
    if not settings.SHOWS_DESIGN_PAGE:
        raise Http404
