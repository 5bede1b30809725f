"""Fixtures every test may use: real PostgreSQL and Redis, and a database per worker or per test.

`db` (pytest-django's) rolls back on the worker's clone. `committed_db` is for whatever needs real commits,
other connections or other processes: a clone of its own, dropped afterwards. Both connect as the application
role.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import hypothesis
import pytest
import redis
from django.conf import settings
from django.core.cache import caches
from django.db import connections
from django.utils import translation
from pytest_django.plugin import DjangoDbBlocker

from pamm_platform.celery import app as celery
from pamm_platform.demo.supervisor import Supervisor
from pamm_platform.embedded import Services, running_services
from tests.databases import REPOSITORY, TestDatabases
from tools.chromium import chromium
from tools.messages import compile_catalogues

# Redis has sixteen databases; 0 and 9 are taken by name.
QUEUES = [number for number in range(1, 16) if number != 9]
RUN_FOLDER = Path(os.environ.get("TEST_RUN_DIR", REPOSITORY / ".run" / "test"))


# How long a case takes says something about the machine, not about the rule.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")


def pytest_configure() -> None:
    """Pages are judged with the words as they are in the catalogues now."""
    compile_catalogues()


@pytest.fixture(scope="session")
def services() -> Iterator[Services]:
    """Embedded PostgreSQL and Redis, shared by all workers and stopped by the last one to finish."""
    with running_services(RUN_FOLDER, throwaway=True) as running, _own_queue(running) as redis_url:
        os.environ["REDIS_URL"] = redis_url
        settings.REDIS_URL = redis_url
        settings.CELERY_BROKER_URL = redis_url
        celery.conf.update(broker_url=redis_url)
        for alias, cache in settings.CACHES.items():
            if "Redis" in cache["BACKEND"]:
                cache["LOCATION"] = redis_url
            # Whoever used the cache while tests were collected holds one with the old address.
            with suppress(AttributeError):
                del caches[alias]
        yield running


@pytest.fixture(autouse=True)
def _language() -> Iterator[None]:
    """A request leaves its language to the thread; the next test begins in that of the settings."""
    yield
    translation.deactivate()


@pytest.fixture(scope="session")
def chromium_path() -> Path:
    """A Chromium that renders here; launch it with `--no-sandbox`, which root needs."""
    return chromium()


@pytest.fixture(scope="session")
def test_databases(services: Services) -> TestDatabases:
    databases = TestDatabases(services)
    databases.prepare()
    return databases


@pytest.fixture(scope="session")
def django_db_setup(test_databases: TestDatabases, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Replaces pytest-django's: the worker's clone instead of `migrate` per run."""
    with (
        test_databases.clone() as name,
        django_db_blocker.unblock(),
        _connected_to(test_databases.services, name),
    ):
        django_db_blocker.block()
        try:
            yield
        finally:
            django_db_blocker.restore()


@pytest.fixture
def committed_db(
    django_db_setup: None, test_databases: TestDatabases, django_db_blocker: DjangoDbBlocker
) -> Iterator[str]:
    """A database of the test's own, in which commits are real; yields its name.

    Processes started by the test find it through DATABASE_URL in their inherited environment.
    """
    with (
        test_databases.clone() as name,
        django_db_blocker.unblock(),
        _connected_to(test_databases.services, name),
    ):
        yield name


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """Starts real processes, which inherit the test's database and queue, and ends them after the test.

    `pamm_platform.demo.programs` has web, worker and beat.
    """
    made = Supervisor(tmp_path / "processes", REPOSITORY)
    yield made
    made.stop_all()


@pytest.fixture
def transactional_db() -> NoReturn:
    """pytest-django's flushes every table, which the application role may not and nothing should."""
    pytest.fail("use the fixture committed_db instead of transactional_db or django_db(transaction=True)")


@contextmanager
def _own_queue(running: Services) -> Iterator[str]:
    """A numbered Redis database nobody else uses: a worker must not take another run's messages."""
    for number in QUEUES:
        with (running.run_folder / f"queue-{number}.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            url = f"{running.redis.url.rpartition('/')[0]}/{number}"
            with redis.Redis.from_url(url) as client:
                client.flushdb()
            yield url
            return
    pytest.exit(f"all {len(QUEUES)} queues are in use: too many test runs at once", returncode=1)


@contextmanager
def _connected_to(services: Services, name: str) -> Iterator[None]:
    """Point Django's default connection, of every thread, and child processes at a database."""
    wanted = services.app_url(name)
    owner, app = "DATABASE_OWNER_URL", "DATABASE_URL"
    before = {key: os.environ.get(key) for key in (owner, app)}
    shared_settings = connections.settings["default"]
    settings_before = {key: shared_settings[key] for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT")}
    postgres = services.postgres
    connections.close_all()
    shared_settings.update(
        NAME=name,
        USER="pamm_app",
        PASSWORD=postgres.passwords.app,
        HOST=str(postgres.home.socket_folder()),
        PORT="",
    )
    os.environ[app], os.environ[owner] = wanted, services.owner_url(name)
    try:
        yield
    finally:
        connections.close_all()
        shared_settings.update(settings_before)
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        marker = item.get_closest_marker("django_db")
        if marker is not None and marker.kwargs.get("transaction"):
            raise pytest.UsageError(
                f"{item.nodeid}: use the fixture committed_db, not django_db(transaction=True)"
            )
