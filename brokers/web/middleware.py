"""What comes in with a request, and the reader of a page: his time zone, and what of the page may be kept."""

from collections.abc import Callable

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

from brokers.queries import zone_called

NUL = "\0"


class StorableTextMiddleware:
    """Answers 400 to texts with a NUL: PostgreSQL can neither store nor look up one, so any query would fail.

    Stands before whatever reads the database with the visitor's words, the session of his cookie included.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        sent = [request.path_info, *request.COOKIES.values()]
        for fields in (request.GET, request.POST):
            sent += [text for name, texts in fields.lists() for text in (name, *texts)]
        if any(NUL in text for text in sent):
            raise BadRequest("a NUL character was sent")
        return self.get_response(request)


class WidgetMiddleware:
    """Widgets know nobody: whatever cookies came are taken away before anything reads them, and none is set.

    So a widget is the same for everybody and kept by any cache, whatever looked for a session on the way. A
    frame on another site learns nothing of who is signed in here.
    """

    PREFIX = "/widgets/"

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(self.PREFIX):
            return self.get_response(request)
        request.COOKIES.clear()
        request.META.pop("HTTP_COOKIE", None)
        response = self.get_response(request)
        response.cookies.clear()
        # Of the session and of the browser's languages: a widget goes by neither.
        for header in ("Vary", "Content-Language"):
            response.headers.pop(header, None)
        return response


class ReaderMiddleware:
    """Activates the person's time zone, else the broker's; keeps a signed-in person's pages out of every
    cache.

    Whoever signs out on a shared computer leaves nothing behind the *back* button. An answer that says itself
    how it may be kept is left as it is.

    Needs the broker (`BrokerScopeMiddleware`) and the signed-in person: stands after both in `MIDDLEWARE`.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        broker = request.broker  # type: ignore[attr-defined]
        own_zone: str = getattr(request.user, "time_zone", "")
        with timezone.override(zone_called(own_zone) or zone_called(broker.time_zone)):
            response = self.get_response(request)
        if request.user.is_authenticated and not response.has_header("Cache-Control"):
            response["Cache-Control"] = "private, no-store"
        return response
