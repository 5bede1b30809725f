"""Production settings take everything from the environment and refuse whatever is missing or unsafe."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psycopg2
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.http.request import validate_host
from django.test import Client
from pytest_django.fixtures import Settings

from pamm_platform.embedded import Services
from pamm_platform.hosts import BrokerHosts
from pamm_platform.settings.environment import Environment
from tests.databases import REPOSITORY, TestDatabases
from tools.run_tests import DEPLOYMENT

LOAD_SETTINGS = "import django; django.setup()"


def run(program: list[str], variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], **{name: value for name, value in variables.items() if value}}
    return subprocess.run(
        [sys.executable, *program],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def deployment(services: Services) -> dict[str, str]:
    return DEPLOYMENT | {"DATABASE_URL": services.app_url(), "REDIS_URL": services.redis.url}


def test_production_with_a_full_environment_loads(deployment: dict[str, str]) -> None:
    loaded = run(["-c", LOAD_SETTINGS], deployment)
    assert loaded.returncode == 0, loaded.stderr


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("SECRET_KEY", "", "SECRET_KEY is not set"),
        ("SECRET_KEY", "too-short", "SECRET_KEY is shorter than 50"),
        ("FIELD_ENCRYPTION_KEYS", "", "FIELD_ENCRYPTION_KEYS is not set"),
        ("FIELD_ENCRYPTION_KEYS", "bm90LTMyLWJ5dGVz", "is not 32 bytes"),
        ("SEAL_SIGNING_KEY", "", "SEAL_SIGNING_KEY is not set"),
        ("SEAL_SIGNING_KEY", "bm90LTMyLWJ5dGVz", "is not 32 bytes"),
        ("SEAL_FOLDER", "", "SEAL_FOLDER is not set"),
        ("STATEMENT_FOLDER", "", "STATEMENT_FOLDER is not set"),
        ("DATABASE_URL", "", "DATABASE_URL is not set"),
        ("DATABASE_URL", "sqlite:///file", "DATABASE_URL is not postgresql://"),
        ("REDIS_URL", "", "REDIS_URL is not set"),
        ("ALLOWED_HOSTS", "", "ALLOWED_HOSTS is not set"),
        ("ALLOWED_HOSTS", "*", "ALLOWED_HOSTS must not hold a wildcard"),
        ("ALLOWED_HOSTS", "a.example.com,*.example.com", "ALLOWED_HOSTS must not hold a wildcard"),
        ("EMAIL_URL", "", "EMAIL_URL is not set"),
        ("DEFAULT_FROM_EMAIL", "", "DEFAULT_FROM_EMAIL is not set"),
        ("DEBUG", "yes", "DEBUG must not be on"),
    ],
)
def test_production_with_a_missing_or_unsafe_value_does_not_start(
    deployment: dict[str, str], name: str, value: str, reason: str
) -> None:
    refused = run(["-c", LOAD_SETTINGS], deployment | {name: value})
    assert refused.returncode != 0
    assert f"ImproperlyConfigured: {name}" in refused.stderr
    assert reason in refused.stderr
    if len(value) > len("postgresql"):
        assert value not in refused.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "program",
    [
        ["-c", "import pamm_platform.wsgi"],
        ["-m", "celery", "--app=pamm_platform", "worker", "--pool=solo", "--without-mingle"],
        ["-m", "celery", "--app=pamm_platform", "beat", "--pidfile=", "--schedule={schedule}"],
    ],
    ids=["web", "worker", "beat"],
)
def test_process_under_the_owner_role_does_not_start(
    deployment: dict[str, str], program: list[str], test_databases: TestDatabases, tmp_path: Path
) -> None:
    # beat removes a schedule file it cannot read and writes another: it must never be given a device.
    arguments = [argument.format(schedule=tmp_path / "schedule") for argument in program]
    with test_databases.clone() as name:
        refused = run(arguments, deployment | {"DATABASE_URL": test_databases.services.owner_url(name)})
    assert refused.returncode != 0
    assert "pamm_owner bypasses row-level security and owns tables" in refused.stderr


def test_web_under_the_bootstrap_superuser_does_not_start(
    deployment: dict[str, str], test_databases: TestDatabases
) -> None:
    postgres = test_databases.services.postgres
    with test_databases.clone() as name:
        url = postgres.url("pamm_bootstrap", postgres.passwords.bootstrap, name)
        refused = run(["-c", "import pamm_platform.wsgi"], deployment | {"DATABASE_URL": url})
    assert refused.returncode != 0
    assert "pamm_bootstrap is a superuser" in refused.stderr


def test_web_under_the_application_role_starts(
    deployment: dict[str, str], test_databases: TestDatabases
) -> None:
    with test_databases.clone() as name:
        url = test_databases.services.app_url(name)
        started = run(["-c", "import pamm_platform.wsgi"], deployment | {"DATABASE_URL": url})
    assert started.returncode == 0, started.stderr


def test_installed_psycopg_3_is_refused(tmp_path: Path, deployment: dict[str, str]) -> None:
    package = tmp_path / "psycopg"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError\n")
    program = (
        "import sys, django; django.setup(); sys.path.insert(0, sys.argv[1])\n"
        "from pamm_platform.checks import refuse_psycopg_3\n"
        "print([found.id for found in refuse_psycopg_3()])"
    )
    assert run(["-c", program, str(tmp_path)], deployment).stdout.strip() == "['pamm_platform.E001']"
    assert run(["-c", program, "/nonexistent"], deployment).stdout.strip() == "[]"


def test_database_url_with_a_socket_and_escaped_password_is_read() -> None:
    variables = {"DATABASE_URL": "postgresql://app:p%40ss@/pamm?host=%2Frun%2Fpg&sslmode=disable"}
    found = Environment(variables).database("DATABASE_URL")
    assert (found["HOST"], found["NAME"], found["USER"]) == ("/run/pg", "pamm", "app")
    assert found["PASSWORD"] == "p@ss"
    assert found["OPTIONS"] == {"sslmode": "disable"}


@pytest.mark.parametrize("value", ["maybe", "2"])
def test_flag_that_is_neither_yes_nor_no_is_refused(value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="DEBUG is neither yes nor no"):
        Environment({"DEBUG": value}).flag("DEBUG")


@pytest.mark.django_db
def test_hosts_of_brokers_are_allowed_besides_those_of_the_environment(
    test_databases: TestDatabases,
) -> None:
    hosts = BrokerHosts(["platform.example.com"])
    assert not validate_host("alpha.example.com", hosts)

    owner = psycopg2.connect(test_databases.services.owner_url(connection.settings_dict["NAME"]))
    insert = "INSERT INTO brokers_hostname (host, broker_id, is_primary) VALUES (%s, 1, false)"
    with owner, owner.cursor() as cursor:
        cursor.execute(insert, ["alpha.example.com:8443"])
    try:
        assert not validate_host("alpha.example.com", hosts)  # read again only after REFRESH_SECONDS
        assert validate_host("alpha.example.com", BrokerHosts(["platform.example.com"]))
        assert validate_host("platform.example.com", hosts)
    finally:
        with owner, owner.cursor() as cursor:
            cursor.execute("DELETE FROM brokers_hostname WHERE host LIKE 'alpha.example.com%'")
        owner.close()


def test_health_pages_answer_on_any_host_and_name_what_is_missing(
    committed_db: str, settings: Settings
) -> None:
    visitor = Client(headers={"host": "10.1.2.3"})
    assert visitor.get("/health/live").status_code == 200
    assert visitor.get("/health/ready").content == b"ready\n"
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    answer = visitor.get("/health/ready")
    assert (answer.status_code, answer.content) == (200, b"ready, without: queue\n")
