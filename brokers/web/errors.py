"""What a page answers when something is refused, missing or broken."""

from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _

from brokers.errors import Refusal
from brokers.identifiers import new_public_id

API_PREFIX = "/api/"


class RefusalMiddleware:
    """Names every request, and makes a page of a refusal that no form caught.

    The name is answered as `X-Request-Id`, so that a customer's screenshot leads to the log.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.request_id = str(new_public_id())  # type: ignore[attr-defined]
        response = self.get_response(request)
        response["X-Request-Id"] = request.request_id  # type: ignore[attr-defined]
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, Refusal) and not request.path.startswith(API_PREFIX):
            return refusal_page(request, exception)
        return None


def refusal_page(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    """The page for a refusal; a piece of it for htmx, which swaps it in where the answer was to go."""
    heading = HTTPStatus(refusal.status).phrase if refusal.status >= 500 else _("This cannot be done")
    context = {"heading": heading, "message": str(refusal), "code": refusal.code, "status": refusal.status}
    if request.headers.get("HX-Request") == "true":
        return render(request, "components/refusal.html", context, status=refusal.status)
    return render(request, f"{_page(refusal.status)}.html", context, status=refusal.status)


def _page(status: int) -> str:
    return str(status) if status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND} else "refused"
