"""The embedded servers: adopted or cleared after a kill, stopped by the last to leave, never root's."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import psycopg2
import pytest

from pamm_platform.embedded import Services, running_services, start_services, stop_services
from pamm_platform.embedded.home import ends_within
from tests.databases import REPOSITORY

pytestmark = pytest.mark.xdist_group("embedded")


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run folder below a folder that only its owner may enter, as a checkout under /root is."""
    private = tmp_path_factory.mktemp("private")
    private.chmod(0o700)
    yield private / "run"
    stop_services(private / "run", erase=True)


def postgres_process(services: Services) -> psutil.Process:
    server = services.postgres.running()
    assert server is not None
    return server


def redis_process(services: Services) -> psutil.Process:
    server = services.redis.running()
    assert server is not None
    return server


def query(url: str, statement: str) -> list[tuple[object, ...]]:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def vanishes(pid: int) -> bool:
    """Whether nothing is left of a process, once the system has taken note of its end."""
    deadline = time.monotonic() + 5
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not psutil.pid_exists(pid)


def test_services_left_by_a_killed_program_are_adopted(run_folder: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from pamm_platform.embedded import running_services\n"
        "with running_services(Path(sys.argv[1]), throwaway=True) as s:\n"
        "    print(s.postgres.running().pid, s.redis.running().pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program, str(run_folder)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    postgres_pid, redis_pid = map(int, killed.stdout.split())

    with running_services(run_folder, throwaway=True) as services:
        assert postgres_process(services).pid == postgres_pid
        assert redis_process(services).pid == redis_pid

    assert vanishes(postgres_pid)
    assert vanishes(redis_pid)


def test_services_with_a_second_user_outlive_the_first(run_folder: Path) -> None:
    with running_services(run_folder, throwaway=True) as outer:
        server = postgres_process(outer)
        with running_services(run_folder, throwaway=True):
            pass
        assert postgres_process(outer) == server
    assert not server.is_running()


def test_run_folder_of_a_removed_checkout_starts_anew_where_its_files_were_left(run_folder: Path) -> None:
    checkout = run_folder.parent / "checkout"
    with running_services(checkout, throwaway=True):
        pass
    for kept in ("credentials.json", "in-memory"):
        (checkout / kept).unlink(missing_ok=True)
    with running_services(checkout, throwaway=True) as services:
        assert query(services.app_url(), "SELECT 1") == [(1,)]
    stop_services(checkout, erase=True)


def test_postgres_killed_with_its_lock_file_left_starts_again(run_folder: Path) -> None:
    with running_services(run_folder, throwaway=True) as services:
        server = postgres_process(services)
        server.kill()
        server.wait(10)
        again = start_services(run_folder, throwaway=True)
        assert postgres_process(again).pid != server.pid
        assert query(again.app_url(), "SELECT 1") == [(1,)]


def test_killed_servers_start_again_at_the_addresses_their_users_know(run_folder: Path) -> None:
    with running_services(run_folder, throwaway=True) as services:
        assert services.start_again() == []
        addresses = services.environment()
        for server in (redis_process(services), postgres_process(services)):
            server.kill()
            psutil.wait_procs([server], timeout=10)
        assert services.start_again() == ["PostgreSQL", "Redis"]
        assert services.environment() == addresses
        assert query(services.app_url(), "SELECT 1") == [(1,)]
        redis_process(services)


def test_lock_file_naming_a_process_of_somebody_else_is_not_believed(run_folder: Path) -> None:
    with running_services(run_folder, throwaway=True) as services:
        services.postgres.stop()
        lock = services.postgres.cluster / "postmaster.pid"
        lock.write_text(f"{os.getpid()}\n")
        assert services.postgres.running() is None
        services.postgres.stop()  # must not signal us
        again = start_services(run_folder, throwaway=True)
        assert query(again.app_url(), "SELECT 1") == [(1,)]


def test_application_role_owns_nothing_and_bypasses_nothing(run_folder: Path) -> None:
    with running_services(run_folder, throwaway=True) as services:
        statement = (
            "SELECT rolname, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole FROM pg_roles "
            "WHERE rolname IN ('pamm_app', 'pamm_owner') ORDER BY rolname"
        )
        assert query(services.app_url(), statement) == [
            ("pamm_app", False, False, False, False),
            ("pamm_owner", False, True, True, False),
        ]
        assert query(services.app_url(), "SELECT current_user") == [("pamm_app",)]
        locale = "SELECT datlocprovider, datlocale FROM pg_database WHERE datname = 'pamm'"
        assert query(services.app_url(), locale) == [("b", "C.UTF-8")]


def test_files_of_the_services_are_closed_to_others_and_no_parent_is_opened(run_folder: Path) -> None:
    with running_services(run_folder, throwaway=True) as services:
        home = services.postgres.home
        for folder in (home.folder, home.socket_folder(), services.postgres.cluster, run_folder.parent):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((run_folder / "credentials.json").stat().st_mode) == 0o600
        uids = {postgres_process(services).uids().effective, redis_process(services).uids().effective}
        assert 0 not in uids


def test_wrong_password_is_refused(run_folder: Path) -> None:
    with running_services(run_folder, throwaway=True) as services:
        url = services.postgres.url("pamm_app", "wrong")
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            psycopg2.connect(url)


def test_process_that_its_parent_has_not_buried_counts_as_ended() -> None:
    """A server started by one process and stopped by another: psutil's own wait would sit out its limit."""
    script = (
        "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert not ends_within(child, 0.2)
        child.terminate()
        assert ends_within(child, 5)
        assert child.status() == psutil.STATUS_ZOMBIE
        parent.kill()
