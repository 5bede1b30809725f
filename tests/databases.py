"""Databases of a test run: one migrated template, cheap clones of it, nothing ever truncated.

The owner role migrates a template whose name is a hash of whatever decides the schema, so an unchanged schema
is migrated once and not per run. Tests connect as the application role to clones; each clone is dropped after
use.
"""

import fcntl
import hashlib
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil
import psycopg2
from psycopg2 import sql

from pamm_platform.embedded import Services

REPOSITORY = Path(__file__).resolve().parent.parent

# Folders and files that cannot change the schema; any other Python file may.
WITHOUT_SCHEMA = {
    "tests",
    "docs",
    "calc",
    "web",
    "api",
    "embedded",
    "demo",
    "templates",
    "assets",
    "node_modules",
}
FILES_WITHOUT_SCHEMA = {
    "admin.py",
    "tasks.py",
    "queries.py",
    "services.py",
    "errors.py",
    "urls.py",
    "manage.py",
}

KEPT_TEMPLATES = 12

_CLONES = itertools.count()
"""Of the process: its benchmarks make clones beside its tests."""


@dataclass(slots=True)
class TestDatabases:
    """Makes and drops clones of the migrated template."""

    __test__ = False

    services: Services
    template: str = ""

    def prepare(self) -> None:
        """Migrate the template unless one for this very schema exists; clear what killed runs left.

        Raises CalledProcessError when migrations fail; their output is on the terminal.
        """
        self.template = f"test_template_{schema_hash()}"
        lock = self.services.run_folder / "template.lock"
        with lock.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self._drop_abandoned()
            if self.template not in self._names("test_template_%"):
                self._build_template()

    @contextmanager
    def clone(self) -> Iterator[str]:
        """A fresh clone for the length of the block. The name carries our pid: left-overs are recognised."""
        name = f"test_clone_{os.getpid()}_{next(_CLONES)}"
        self._execute("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, self.template)
        try:
            yield name
        finally:
            self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def _build_template(self) -> None:
        building = f"test_building_{os.getpid()}"
        self._execute("CREATE DATABASE {}", building)
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "pamm_platform.settings.test",
            "DATABASE_URL": self.services.owner_url(building),
            "DATABASE_OWNER_URL": self.services.owner_url(building),
            "REDIS_URL": self.services.redis.url,
        }
        for command in ("migrate", "secure_database"):
            subprocess.run(
                [sys.executable, "manage.py", command, "--verbosity=0"],
                cwd=REPOSITORY,
                env=environment,
                check=True,
            )
        self._execute("ALTER DATABASE {} RENAME TO {}", building, self.template)

    def _drop_abandoned(self) -> None:
        for name in self._names("test_clone_%") + self._names("test_building_%"):
            if not psutil.pid_exists(int(name.split("_")[2])):
                self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
        for name in self._names("test_template_%")[:-KEPT_TEMPLATES]:
            self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def _names(self, pattern: str) -> list[str]:
        with (
            closing(psycopg2.connect(self.services.owner_url())) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE %s ORDER BY oid", [pattern])
            return [name for (name,) in cursor.fetchall()]

    def _execute(self, statement: str, *names: str) -> None:
        with closing(psycopg2.connect(self.services.owner_url())) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def schema_hash() -> str:
    """Hash of the project's files and the installed packages that can change the schema."""
    digest = hashlib.sha256()
    for path in sorted(_schema_files()):
        digest.update(str(path.relative_to(REPOSITORY)).encode() + b"\0" + path.read_bytes())
    for package in sorted(f"{found.name}=={found.version}" for found in metadata.distributions()):
        digest.update(package.encode())
    return digest.hexdigest()[:16]


def _schema_files() -> Iterator[Path]:
    for folder, subfolders, names in os.walk(REPOSITORY):
        subfolders[:] = [
            name for name in subfolders if not name.startswith(".") and name not in WITHOUT_SCHEMA
        ]
        for name in names:
            if name.endswith((".py", ".sql")) and name not in FILES_WITHOUT_SCHEMA:
                yield Path(folder) / name
