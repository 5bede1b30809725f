"""Time zones to choose from, by the names that readers know."""

from functools import cache
from zoneinfo import available_timezones

from babel.dates import get_timezone_location
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

AREAS: dict[str, Promise] = {
    "Africa": _("Africa"),
    "America": _("America"),
    "Antarctica": _("Antarctica"),
    "Asia": _("Asia"),
    "Atlantic": _("Atlantic"),
    "Australia": _("Australia"),
    "Europe": _("Europe"),
    "Indian": _("Indian Ocean"),
    "Pacific": _("Pacific"),
}


def zones_by_area(locale: str) -> list[tuple[Promise | str, list[tuple[str, str]]]]:
    """Zones of places with the names of their cities, by continent or ocean; UTC first."""
    areas: list[tuple[Promise | str, list[tuple[str, str]]]] = [("UTC", [("UTC", "UTC")])]
    places = _places(locale)
    return areas + [(AREAS[area], places[area]) for area in sorted(places)]


@cache
def _places(locale: str) -> dict[str, list[tuple[str, str]]]:
    areas: dict[str, list[tuple[str, str]]] = {}
    for zone in sorted(available_timezones()):
        area, _slash, place = zone.partition("/")
        if place and area in AREAS:
            areas.setdefault(area, []).append((zone, _city(zone, locale)))
    return areas


def _city(zone: str, locale: str) -> str:
    """Where people may know it by its English name only, with the zone beside it."""
    if locale == "en":
        return zone.partition("/")[2].replace("_", " ")
    city = get_timezone_location(zone, locale=locale, return_city=True)
    return zone if city.isascii() else f"{city} ({zone})"
