"""What a broker's brand adds to the pages, and the reader's choice of light or dark."""

import re

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_POST, require_safe

THEMES = ("light", "dark")
THEME_COOKIE = "theme"
ONE_YEAR = 365 * 24 * 3600

_COLOUR = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")
_DEFAULT_COLOUR = "#1f5fbf"


@require_safe
@cache_control(public=True, max_age=3600)
def brand_stylesheet(request: HttpRequest) -> HttpResponse:
    """The broker's colour as a style sheet of its own: pages carry no inline style."""
    colour: str = request.broker.primary_colour  # type: ignore[attr-defined]
    match = _COLOUR.fullmatch(colour) or _COLOUR.fullmatch(_DEFAULT_COLOUR)
    assert match is not None
    red, green, blue = (int(part, 16) for part in match.groups())
    # Text on the colour: black on a light one, white on a dark one (relative luminance, ITU-R BT.709).
    is_light = 0.2126 * red + 0.7152 * green + 0.0722 * blue > 160
    css = (
        f":root,[data-bs-theme]{{--brand:{match.group()};--brand-rgb:{red},{green},{blue};"
        f"--brand-text:{'#101828' if is_light else '#ffffff'}}}"
    )
    return HttpResponse(css, content_type="text/css; charset=utf-8")


@require_POST
def choose_theme(request: HttpRequest) -> HttpResponse:
    """Keep the reader's choice of light or dark; anything else returns to the device's preference."""
    next_url = request.POST.get("next", "/")
    if not url_has_allowed_host_and_scheme(next_url, {request.get_host()}, require_https=request.is_secure()):
        next_url = "/"
    response = redirect(next_url)
    theme = request.POST.get("theme", "")
    if theme in THEMES:
        response.set_cookie(THEME_COOKIE, theme, max_age=ONE_YEAR, samesite="Lax", secure=request.is_secure())
    else:
        response.delete_cookie(THEME_COOKIE)
    return response
