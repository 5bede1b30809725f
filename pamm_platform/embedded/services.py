"""Both servers together, their passwords, and who is the last to leave.

Any number of programs may use the servers of one run folder at the same time. Each holds a shared lock while
it does; the one that finds nobody else holding it stops the servers. The kernel drops the lock of a killed
program, so no count can go wrong.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pamm_platform.embedded.home import IN_MEMORY_FILE, home_for, is_in_memory, keep_in_memory
from pamm_platform.embedded.postgres import APP_ROLE, DATABASE, OWNER_ROLE, Postgres, RolePasswords
from pamm_platform.embedded.redis import Redis

KEEP_FILE = "keep"


@dataclass(frozen=True, slots=True)
class Services:
    """Running PostgreSQL and Redis."""

    run_folder: Path
    postgres: Postgres
    redis: Redis

    def app_url(self, database: str = DATABASE) -> str:
        return self.postgres.url(APP_ROLE, self.postgres.passwords.app, database)

    def owner_url(self, database: str = DATABASE) -> str:
        return self.postgres.url(OWNER_ROLE, self.postgres.passwords.owner, database)

    def start_again(self) -> list[str]:
        """Start the servers that have died, at the addresses they had; returns their names.

        Raises RuntimeError where an address is taken by now: programs that use it have to be started anew.
        """
        died: list[str] = []
        with _locked(self.run_folder / "start.lock"):
            if self.postgres.is_gone():
                self.postgres.start()
                died.append("PostgreSQL")
            if self.redis.is_gone():
                address = self.redis.url
                self.redis.start()
                died.append("Redis")
                if self.redis.url != address:
                    raise RuntimeError("Redis had ended and its port is taken: start again")
        return died

    def environment(self, database: str = DATABASE) -> dict[str, str]:
        """What the settings read. The owner's URL is in it: hand it to `migrate` only."""
        return {
            "DATABASE_URL": self.app_url(database),
            "DATABASE_OWNER_URL": self.owner_url(database),
            "REDIS_URL": self.redis.url,
        }


def start_services(run_folder: Path, *, throwaway: bool = False, keep: bool = False) -> Services:
    """Start both servers or adopt running ones.

    `throwaway`: no durability, for tests, and in memory where there is room. `keep`: they stay up when the
    last program using them ends.
    """
    run_folder = run_folder.resolve()
    run_folder.mkdir(parents=True, exist_ok=True)
    with _locked(run_folder / "start.lock"):
        if throwaway:
            keep_in_memory(run_folder)
        services = _services(run_folder, throwaway=throwaway)
        services.postgres.start()
        services.redis.start()
        if keep:
            (run_folder / KEEP_FILE).touch()
    return services


def stop_services(run_folder: Path, *, erase: bool = False) -> None:
    """Stop both servers, PostgreSQL last; with `erase` remove their files as well."""
    run_folder = run_folder.resolve()
    if not run_folder.is_dir():
        return
    with _locked(run_folder / "start.lock"):
        services = _services(run_folder, throwaway=False)
        services.redis.stop()
        services.postgres.stop()
        (run_folder / KEEP_FILE).unlink(missing_ok=True)
        if erase:
            services.postgres.home.erase()
            (run_folder / IN_MEMORY_FILE).unlink(missing_ok=True)
            (run_folder / "credentials.json").unlink(missing_ok=True)


def free_memory(run_folder: Path) -> None:
    """Remove files of servers that nobody uses any more, where they are in memory; on disk they stay."""
    if is_in_memory(run_folder):
        with (run_folder / "users.lock").open("a") as users:
            if _is_last(users):
                stop_services(run_folder, erase=True)


@contextmanager
def running_services(run_folder: Path, *, throwaway: bool = False) -> Iterator[Services]:
    """Both servers for the length of the block; then stopped unless somebody else uses or keeps them."""
    run_folder = run_folder.resolve()
    run_folder.mkdir(parents=True, exist_ok=True)
    with (run_folder / "users.lock").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield start_services(run_folder, throwaway=throwaway)
        finally:
            if _is_last(users) and not (run_folder / KEEP_FILE).exists():
                stop_services(run_folder)


def _is_last(users: IO[str]) -> bool:
    """Turn our shared lock into the only one; whoever comes now waits until the servers are down."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _services(run_folder: Path, *, throwaway: bool) -> Services:
    credentials = run_folder / "credentials.json"
    if not credentials.exists():
        # Left by a checkout that was removed: nobody has its passwords any more.
        home_for(run_folder).erase()
    home = home_for(run_folder)
    secret = _passwords(credentials)
    passwords = RolePasswords(bootstrap=secret["bootstrap"], owner=secret["owner"], app=secret["app"])
    return Services(run_folder, Postgres(home, passwords, throwaway), Redis(home, secret["redis"]))


def _passwords(path: Path) -> dict[str, str]:
    """Passwords of this run folder, generated at first use and kept in a 0600 file."""
    if not path.exists():
        made = {name: secrets.token_hex(24) for name in ("bootstrap", "owner", "app", "redis")}
        partial = path.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(made, file)
        partial.rename(path)
    loaded: dict[str, str] = json.loads(path.read_text())
    return loaded
