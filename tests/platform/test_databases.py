"""The databases tests run on: application role, rollback per test, or a clone of the test's own."""

import os
import subprocess
import sys
import threading

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection

from tests.databases import REPOSITORY, TestDatabases


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
    assert not ContentType.objects.filter(app_label="left_over").exists()
    ContentType.objects.create(app_label="left_over", model="thing")


@pytest.mark.parametrize("attempt", [1, 2])
def test_committed_row_is_seen_by_threads_and_processes_and_gone_in_the_next_test(
    committed_db: str, attempt: int
) -> None:
    assert not ContentType.objects.filter(app_label="committed").exists()
    ContentType.objects.create(app_label="committed", model="thing")
    seen: list[tuple[str, bool]] = []

    def look() -> None:
        seen.append((_database_and_role()[0], ContentType.objects.filter(app_label="committed").exists()))
        connection.close()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [(committed_db, True)]

    program = (
        "import django; django.setup()\n"
        "from django.contrib.contenttypes.models import ContentType\n"
        "print(ContentType.objects.filter(app_label='committed').count())"
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
    assert answer.stdout.strip() == "1"


def test_clone_with_open_connections_is_dropped(test_databases: TestDatabases) -> None:
    import psycopg2

    with test_databases.clone() as name:
        connected = psycopg2.connect(test_databases.services.app_url(name))
    with pytest.raises(psycopg2.OperationalError), connected.cursor() as cursor:
        cursor.execute("SELECT 1")
    with pytest.raises(psycopg2.OperationalError, match="does not exist"):
        psycopg2.connect(test_databases.services.app_url(name))
