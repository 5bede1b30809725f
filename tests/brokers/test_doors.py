"""The doors into a scope: request, task, command; and what they answer when something is refused."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.test import Client, RequestFactory, override_settings
from django.urls import path
from rest_framework.decorators import api_view, permission_classes
from rest_framework.exceptions import Throttled, ValidationError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request

from accounts.models import User
from brokers.commands import BrokerCommand
from brokers.errors import Refusal
from brokers.middleware import BrokerScopeMiddleware
from brokers.models import Broker
from brokers.scope import NoBrokerScope, broker_id_or_none, broker_scope, current_broker_id
from brokers.tasks import broker_task
from tests.worlds import alice_bob_charlie, broker_called

pytestmark = pytest.mark.django_db


class TooLittle(Refusal):
    code = "too_little"
    message = "At least {minimum}."


def refusing(request: HttpRequest) -> HttpResponse:
    raise TooLittle(field="amount", minimum="100.00 USD")


def answering_name(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{request.broker.slug} {request.get_host()}")  # type: ignore[attr-defined]


def streaming_people(request: HttpRequest) -> StreamingHttpResponse:
    def lines() -> Iterator[str]:
        yield "email\n"
        for user in User.objects.order_by("email"):
            yield f"{user.email}\n"

    return StreamingHttpResponse(lines(), content_type="text/csv")


@api_view(["GET"])
@permission_classes([AllowAny])
def api_answer(request: Request, what: str) -> HttpResponse:
    raise {
        "refusal": TooLittle(field="amount", minimum="100.00 USD"),
        "missing": Http404(),
        "invalid": ValidationError({"legs": [{"amount": ["not a number"]}]}),
        "throttled": Throttled(wait=7),
    }[what]


urlpatterns = [
    path("refuse/", refusing),
    path("name/", answering_name),
    path("people.csv", streaming_people),
    path("api/v1/<str:what>/", api_answer),
]

with_these_urls = override_settings(
    ROOT_URLCONF="tests.brokers.test_doors",
    MIDDLEWARE=["brokers.middleware.BrokerScopeMiddleware", "brokers.web.errors.RefusalMiddleware"],
)


def middleware(get_response: Callable[[HttpRequest], HttpResponseBase]) -> BrokerScopeMiddleware:
    return BrokerScopeMiddleware(get_response)


@with_these_urls
def test_host_of_a_broker_enters_its_scope_and_leaves_it() -> None:
    broker_called("alpha")
    assert Client(HTTP_HOST="alpha.localhost").get("/name/").content == b"alpha alpha.localhost"
    assert broker_id_or_none() is None


@with_these_urls
def test_host_with_port_of_its_own_wins_over_the_host_alone() -> None:
    broker_called("alpha")
    broker_called("by-port", host="alpha.localhost:8002")
    assert Client(HTTP_HOST="ALPHA.localhost:8001").get("/name/").content.startswith(b"alpha ")
    assert Client(HTTP_HOST="alpha.localhost:8002").get("/name/").content.startswith(b"by-port ")


@pytest.mark.parametrize("host", ["nobody.localhost", "", "alpha.localhost.evil.example", "%"])
@with_these_urls
def test_host_of_nobody_is_answered_not_found_in_plain_text(host: str) -> None:
    broker_called("alpha")
    answer = Client(HTTP_HOST=host).get("/name/")
    assert (answer.status_code, answer["Content-Type"]) == (404, "text/plain")


@with_these_urls
def test_broker_that_is_not_active_is_answered_not_found() -> None:
    broker = broker_called("asleep")
    with broker_scope(broker.pk):
        Broker.objects.update(is_active=False)
    assert Client(HTTP_HOST="asleep.localhost").get("/name/").status_code == 404


def test_streamed_answer_runs_in_the_scope_of_its_request_and_in_none_between_chunks() -> None:
    world = alice_bob_charlie()
    request = RequestFactory().get("/people.csv", HTTP_HOST="alpha.localhost")
    answer = middleware(streaming_people)(request)
    assert isinstance(answer, StreamingHttpResponse)
    chunks = iter(answer.streaming_content)  # type: ignore[arg-type]
    lines = []
    for chunk in chunks:
        assert broker_id_or_none() is None
        with broker_scope(world.beta.pk):
            lines.append(chunk)
    assert lines == [b"email\n", b"alice@example.com\n", b"bob@example.com\n"]


def test_streamed_answer_given_up_closes_its_generator_inside_the_scope() -> None:
    alpha = broker_called("alpha")
    closed_in: list[int] = []

    def stream(request: HttpRequest) -> StreamingHttpResponse:
        def lines() -> Iterator[str]:
            try:
                yield "first"
                yield "second"
            finally:
                closed_in.append(current_broker_id())

        return StreamingHttpResponse(lines())

    answer = middleware(stream)(RequestFactory().get("/", HTTP_HOST="alpha.localhost"))
    assert isinstance(answer, StreamingHttpResponse)
    next(iter(answer.streaming_content))  # type: ignore[arg-type]
    answer.close()
    assert closed_in == [alpha.pk]


def test_health_page_answers_on_a_host_of_nobody() -> None:
    assert Client(HTTP_HOST="10.1.2.3").get("/health/live").status_code == 200


@with_these_urls
def test_refusal_on_the_api_is_a_problem_with_code_and_field() -> None:
    broker_called("alpha")
    answer = Client(HTTP_HOST="alpha.localhost").get("/api/v1/refusal/")
    assert (answer.status_code, answer["Content-Type"]) == (422, "application/problem+json")
    assert json.loads(answer.content) == {
        "type": "about:blank",
        "title": "At least 100.00 USD.",
        "status": 422,
        "code": "too_little",
        "request_id": answer["X-Request-Id"],
        "fields": {"amount": [{"code": "too_little", "message": "At least 100.00 USD."}]},
    }


@pytest.mark.parametrize(
    ("what", "status", "code"),
    [("missing", 404, "not_found"), ("invalid", 422, "invalid_input"), ("throttled", 429, "throttled")],
)
@with_these_urls
def test_error_on_the_api_is_a_problem(what: str, status: int, code: str) -> None:
    broker_called("alpha")
    answer = Client(HTTP_HOST="alpha.localhost").get(f"/api/v1/{what}/")
    body = json.loads(answer.content)
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code)
    if what == "invalid":
        assert body["fields"] == {"legs.0.amount": [{"code": "invalid", "message": "not a number"}]}
    if what == "throttled":
        assert answer["Retry-After"] == "7"


def test_task_runs_in_the_scope_of_its_message_and_leaks_it_to_none() -> None:
    world = alice_bob_charlie()

    def emails() -> list[str]:
        return sorted(User.objects.values_list("email", flat=True))

    task = broker_task(name="tests.emails")(emails)
    assert task(world.alpha.pk) == ["alice@example.com", "bob@example.com"]
    assert task(world.beta.pk) == ["charlie@example.com"]
    assert broker_id_or_none() is None


def test_task_that_fails_leaks_no_scope() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broker_task(name="tests.fail")(fail)(broker_called("alpha").pk)
    assert broker_id_or_none() is None


@pytest.mark.parametrize("arguments", [(), (None,), ("1",), (True,)])
def test_task_without_a_broker_in_its_message_fails(arguments: tuple[Any, ...]) -> None:
    ran = []

    def note() -> None:
        ran.append(1)

    with pytest.raises(TypeError):
        broker_task(name=f"tests.note{arguments}")(note)(*arguments)
    assert ran == []


class WhoAmI(BrokerCommand):
    def work(self, *args: Any, **options: Any) -> str:
        return str(current_broker_id())


def test_command_works_in_the_scope_of_the_broker_it_names() -> None:
    alpha = broker_called("alpha")
    assert call_command(WhoAmI(), broker="alpha") == str(alpha.pk)
    with pytest.raises(CommandError, match="no broker"):
        call_command(WhoAmI(), broker="nobody")
    with pytest.raises(NoBrokerScope):
        current_broker_id()


def test_psycopg_3_beside_us_fails_the_system_check(monkeypatch: pytest.MonkeyPatch) -> None:
    from brokers import checks

    assert checks.psycopg2_is_the_driver() == []
    monkeypatch.setattr(checks, "find_spec", lambda name: object())
    assert [error.id for error in checks.psycopg2_is_the_driver()] == ["brokers.E001"]
