"""The databases tests run on: application role, rollback per test, or a clone of the test's own."""

import os
import subprocess
import sys
import threading

import psycopg2
import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone

from brokers.scope import broker_scope
from tests.databases import REPOSITORY, TestDatabases

BROKER = 7


def _write(key: str) -> None:
    with broker_scope(BROKER):
        Session.objects.create(session_key=key, session_data="", expire_date=timezone.now())


def _exists(key: str) -> bool:
    with broker_scope(BROKER):
        return Session.objects.filter(session_key=key).exists()


def _database_and_role() -> tuple[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database(), current_user")
        name, role = cursor.fetchone()
    return name, role


@pytest.mark.django_db
def test_database_of_a_test_is_a_clone_used_as_the_application_role() -> None:
    name, role = _database_and_role()
    assert name.startswith("test_clone_")
    assert role == "pamm_app"


@pytest.mark.parametrize("attempt", [1, 2])
@pytest.mark.django_db
def test_row_written_in_a_test_is_gone_in_the_next(attempt: int) -> None:
    assert not _exists("left-over")
    _write("left-over")
    assert _exists("left-over")


@pytest.mark.parametrize("attempt", [1, 2])
def test_committed_row_is_seen_by_threads_and_processes_and_gone_in_the_next_test(
    committed_db: str, attempt: int
) -> None:
    assert not _exists("committed")
    _write("committed")
    seen: list[tuple[str, bool]] = []

    def look() -> None:
        seen.append((_database_and_role()[0], _exists("committed")))
        connection.close()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [(committed_db, True)]

    program = (
        "import django; django.setup()\n"
        "from tests.platform.test_databases import _exists\n"
        "print(_exists('committed'))"
    )
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "pamm_platform.settings.test"}
    answer = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == "True"


def test_clone_with_open_connections_is_dropped(test_databases: TestDatabases) -> None:
    with test_databases.clone() as name:
        connected = psycopg2.connect(test_databases.services.app_url(name))
    with pytest.raises(psycopg2.OperationalError), connected.cursor() as cursor:
        cursor.execute("SELECT 1")
    with pytest.raises(psycopg2.OperationalError, match="does not exist"):
        psycopg2.connect(test_databases.services.app_url(name))


def test_tests_run_with_their_own_settings_wherever_they_are_started_from() -> None:
    assert os.environ["DJANGO_SETTINGS_MODULE"] == settings.SETTINGS_MODULE == "pamm_platform.settings.test"
