"""The request's door into a broker's scope."""

from collections.abc import Callable

from django.http import Http404, HttpRequest, HttpResponseBase

from brokers.queries import broker_id_of_host
from brokers.scope import broker_scope


class BrokerScopeMiddleware:
    """Enters the scope of the broker whose host was asked, before session and authentication read anything.

    Streaming answers run after this returns: they enter the scope again inside their generator.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        broker_id = broker_id_of_host(request.get_host())
        if broker_id is None:
            raise Http404
        with broker_scope(broker_id):
            return self.get_response(request)
