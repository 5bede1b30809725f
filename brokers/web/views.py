"""What a broker's brand adds to the pages, and the reader's choice of light or dark."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import cache_control
from django.views.decorators.http import condition, require_POST, require_safe

from brokers.brand import icon_url_of, shades_of, style_version
from brokers.models import BrandImage, Broker
from brokers.palette import channels

THEMES = ("light", "dark")
THEME_COOKIE = "theme"
ONE_YEAR = 365 * 24 * 3600


def _style_etag(request: HttpRequest) -> str:
    return f'"{style_version(_broker(request))}"'


def _image_etag(request: HttpRequest, kind: str) -> str | None:
    known = _broker(request).brand_images.get(kind)
    return f'"{known["version"]}"' if known else None


def _icon_etag(request: HttpRequest) -> str:
    return f'"{icon_url_of(_broker(request)).rpartition("=")[2]}"'


@require_safe
@cache_control(public=True, max_age=3600)
@condition(etag_func=_style_etag)
def brand_stylesheet(request: HttpRequest) -> HttpResponse:
    """The broker's shades as a style sheet of its own: pages carry no inline style."""
    shades = shades_of(_broker(request))
    css = (
        f":root,[data-bs-theme]{{--brand:{shades.fill};--brand-rgb:{channels(shades.fill)};"
        f"--brand-text:{shades.on_fill};--brand-hover:{shades.hover};--brand-solid:{shades.solid};"
        f"--brand-ink:{shades.ink_on_light}}}"
        f'[data-bs-theme="dark"]{{--brand-ink:{shades.ink_on_dark}}}'
        f'@media(prefers-color-scheme:dark){{[data-bs-theme="auto"]{{--brand-ink:{shades.ink_on_dark}}}}}'
    )
    return HttpResponse(css, content_type="text/css; charset=utf-8")


@require_safe
@cache_control(public=True, max_age=ONE_YEAR, immutable=True)
@condition(etag_func=_image_etag)
def brand_image(request: HttpRequest, kind: str) -> HttpResponse:
    """A picture of the brand. Its version is in the address that pages use, so it may be kept for ever."""
    found = BrandImage.objects.filter(kind=kind).first()
    if found is None:
        raise Http404
    return HttpResponse(bytes(found.content), content_type="image/png")


@require_safe
@cache_control(public=True, max_age=ONE_YEAR, immutable=True)
@condition(etag_func=_icon_etag)
def brand_icon(request: HttpRequest) -> HttpResponse:
    """The broker's icon, else the mark in its colour."""
    found = BrandImage.objects.filter(kind=BrandImage.Kind.ICON).first()
    if found is not None:
        return HttpResponse(bytes(found.content), content_type="image/png")
    shades = shades_of(_broker(request))
    mark = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
        f'<rect width="32" height="32" rx="9" fill="{shades.fill}"/>'
        f'<path d="M7 21.5 13 15l4.5 4L25 10.5" fill="none" stroke="{shades.on_fill}" stroke-width="3" '
        'stroke-linecap="round" stroke-linejoin="round"/></svg>'
    )
    return HttpResponse(mark, content_type="image/svg+xml")


@require_POST
def choose_theme(request: HttpRequest) -> HttpResponse:
    """Keep the reader's choice of light or dark; anything else returns to the device's preference."""
    response = redirect(next_page(request))
    theme = request.POST.get("theme", "")
    if theme in THEMES:
        response.set_cookie(THEME_COOKIE, theme, max_age=ONE_YEAR, samesite="Lax", secure=request.is_secure())
    else:
        response.delete_cookie(THEME_COOKIE)
    return response


def next_page(request: HttpRequest) -> str:
    """Where a form of one button was sent from; the start page if that is not one of this site."""
    asked = request.POST.get("next", "/")
    ours = url_has_allowed_host_and_scheme(asked, {request.get_host()}, require_https=request.is_secure())
    return asked if ours else "/"


def _broker(request: HttpRequest) -> Broker:
    broker: Broker = request.broker  # type: ignore[attr-defined]
    return broker
