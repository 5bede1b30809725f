"""The reader of a page: whose brand it carries, and in whose time zone moments are written."""

from collections.abc import Callable
from zoneinfo import ZoneInfo, available_timezones

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

from brokers.queries import broker_in_scope


class ReaderMiddleware:
    """Puts the broker on the request and activates the person's time zone, else the broker's.

    Needs the broker's scope and the signed-in person: stands after both in `MIDDLEWARE`.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        broker = broker_in_scope()
        request.broker = broker  # type: ignore[attr-defined]
        own_zone: str = getattr(request.user, "time_zone", "")
        with timezone.override(_zone(own_zone) or _zone(broker.time_zone)):
            return self.get_response(request)


def _zone(name: str) -> ZoneInfo | None:
    return ZoneInfo(name) if name in available_timezones() else None
