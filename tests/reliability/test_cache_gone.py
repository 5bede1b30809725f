"""Pages while the cache is gone, hangs or is emptied: people sign in, and guessing stays limited."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
import redis
from django.conf import settings
from django.core.cache import cache, caches
from django.test import Client

from brokers import caches as broker_caches
from brokers.scope import broker_scope
from tests.reliability.stand_in import RedisOnAWire, redis_on_a_wire
from tests.worlds import PASSWORD, broker_called, person

Fault = Callable[[RedisOnAWire], None]
HOST, LOGIN = "alpha.localhost", "/accounts/login/"
PATIENCE_SECONDS = 5.0
"""Of a page whose cache hangs: one wait for it, and the page itself on a busy machine."""


@pytest.fixture
def wire(tmp_path_factory: pytest.TempPathFactory, db: None) -> Iterator[RedisOnAWire]:
    """The cache of the test goes through it; Bob is at broker A."""
    with redis_on_a_wire(tmp_path_factory.mktemp("redis")) as opened, _cached_at(opened.url):
        with broker_scope(broker_called("alpha").pk):
            person("bob@example.com")
        yield opened


@contextmanager
def _cached_at(url: str) -> Iterator[None]:
    before = settings.CACHES["default"]["LOCATION"]
    try:
        _use(url)
        yield
    finally:
        _use(before)


def _use(url: str) -> None:
    settings.CACHES["default"]["LOCATION"] = url
    with suppress(AttributeError):
        del caches["default"]


def sign_in(password: str = PASSWORD) -> int:
    return Client(HTTP_HOST=HOST).post(LOGIN, {"login": "bob@example.com", "password": password}).status_code


def kill(wire: RedisOnAWire) -> None:
    wire.kill()


def hang(wire: RedisOnAWire) -> None:
    wire.fall_silent()


@pytest.mark.parametrize("fail", [kill, hang])
def test_people_sign_in_and_stay_signed_in_while_the_cache_does_not_answer(
    wire: RedisOnAWire, fail: Fault
) -> None:
    client = Client(HTTP_HOST=HOST)
    fail(wire)
    begun = time.monotonic()
    answer = client.post(LOGIN, {"login": "bob@example.com", "password": PASSWORD})
    assert (answer.status_code, client.get("/portfolio/").status_code) == (302, 200)
    assert time.monotonic() - begun < PATIENCE_SECONDS


@pytest.mark.parametrize("fail", [kill, hang])
def test_guessing_a_password_is_limited_while_the_cache_does_not_answer(
    wire: RedisOnAWire, fail: Fault
) -> None:
    fail(wire)
    answers = [sign_in("a wrong password") for _ in range(settings.LOCK_OUT_FAILURES + 1)]
    assert 500 not in answers
    assert sign_in() != 302


def test_cache_is_used_again_when_it_answers_again(
    wire: RedisOnAWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_caches, "LEFT_ALONE_SECONDS", 0.0)
    cache.set("figure", 1)
    wire.kill()
    assert cache.get("figure") is None
    cache.set("figure", 2)
    assert cache.get("figure") == 2
    wire.start()
    assert cache.get("figure") is None
    cache.set("figure", 3)
    with redis.Redis.from_url(wire.direct) as client:
        assert client.dbsize() == 1
