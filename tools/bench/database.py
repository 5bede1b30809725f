"""Databases of the benchmarks: migrated and secured as a real one, with fsync, on disk."""

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2
from django.db import connections

from pamm_platform.embedded import Services
from pamm_platform.embedded.postgres import APP_ROLE, BOOTSTRAP_ROLE, OWNER_ROLE

STATISTICS_SECONDS = 1.5
"""After which a backend that has nothing to do has told the others what it wrote."""


@dataclass(frozen=True, slots=True)
class Database:
    """One database of the private cluster."""

    services: Services
    name: str

    @contextmanager
    def superuser(self) -> Iterator[Any]:
        """A cursor that may do what no role of the platform may: load without checks, checkpoint, vacuum.

        Autocommit. Nothing that is measured runs on it.
        """
        passwords = self.services.postgres.passwords
        url = self.services.postgres.url(BOOTSTRAP_ROLE, passwords.bootstrap, self.name)
        with closing(psycopg2.connect(url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                yield cursor

    @contextmanager
    def application(self) -> Iterator[None]:
        """Django, and processes started inside, connect as the application role: what is measured."""
        with self._connected(APP_ROLE, self.services.postgres.passwords.app):
            yield

    @contextmanager
    def owner(self) -> Iterator[None]:
        """Django connects as the owner, to load."""
        with self._connected(OWNER_ROLE, self.services.postgres.passwords.owner):
            yield

    @contextmanager
    def _connected(self, role: str, password: str) -> Iterator[None]:
        shared = connections.settings["default"]
        address = {
            "NAME": self.name,
            "USER": role,
            "PASSWORD": password,
            "HOST": str(self.services.postgres.home.socket_folder()),
            "PORT": "",
        }
        before = {key: shared.get(key) for key in address}
        urls = {
            "DATABASE_URL": self.services.postgres.url(role, password, self.name),
            "DATABASE_OWNER_URL": self.services.owner_url(self.name),
        }
        urls_before = {name: os.environ.get(name) for name in urls}
        connections.close_all()
        shared.update(address)
        os.environ.update(urls)
        try:
            yield
        finally:
            connections.close_all()
            shared.update(before)
            for name, url in urls_before.items():
                if url is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = url

    def rows_written(self) -> int:
        """Rows inserted or updated in this database so far, by anybody, once the server has counted them."""
        time.sleep(STATISTICS_SECONDS)
        with self.superuser() as cursor:
            cursor.execute(
                "SELECT tup_inserted + tup_updated FROM pg_stat_database WHERE datname = current_database()"
            )
            return int(cursor.fetchone()[0])

    def checkpoint(self) -> None:
        """Nobody pays for writing out what was dirtied before."""
        with self.superuser() as cursor:
            cursor.execute("CHECKPOINT")

    def vacuum(self, *tables: str) -> None:
        """Take away the dead rows of the round before and renew statistics; without tables, of all."""
        with self.superuser() as cursor:
            cursor.execute(f"VACUUM (ANALYZE) {', '.join(tables)}")
