"""The request's door into a broker's scope."""

from collections.abc import Callable, Iterable, Iterator

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from brokers.models import Broker
from brokers.queries import broker_id_of_host
from brokers.scope import broker_scope


class BrokerScopeMiddleware:
    """Enters the scope of the broker whose host was asked, before session and authentication read anything.

    A host of nobody, or of a broker that is not active, is answered 404 without a template: there is no brand
    to show. Streaming answers run after this returns, so the scope is entered again around every chunk.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        # Not get_host(): a host of nobody is answered "not found", not "bad request".
        broker_id = broker_id_of_host(request._get_raw_host())  # type: ignore[attr-defined]
        if broker_id is None:
            return _nobody_here()
        with broker_scope(broker_id):
            broker = Broker.objects.filter(is_active=True).first()
            if broker is None:
                return _nobody_here()
            request.broker = broker  # type: ignore[attr-defined]
            response = self.get_response(request)
        if isinstance(response, StreamingHttpResponse):
            _stream_in_scope(broker_id, response)
        return response


def _stream_in_scope(broker_id: int, response: StreamingHttpResponse) -> None:
    chunks: Iterable[bytes] = response.streaming_content  # type: ignore[assignment]
    response.streaming_content = chunks_in_scope(broker_id, chunks)
    close = response.close

    def close_in_scope() -> None:
        # A reader who goes away early: what the generator does last needs the scope too.
        with broker_scope(broker_id):
            close()

    response.close = close_in_scope  # type: ignore[method-assign]


def chunks_in_scope(broker_id: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Pass chunks on, each made inside the scope; between two of them the server's thread is in none."""
    iterator = iter(chunks)
    while True:
        with broker_scope(broker_id):
            try:
                chunk = next(iterator)
            except StopIteration:
                return
        yield chunk


def _nobody_here() -> HttpResponse:
    return HttpResponse("Not found\n", status=404, content_type="text/plain")
