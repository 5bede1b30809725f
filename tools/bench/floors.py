"""Floors: the least the same database can take for the same number of rows, with nothing of the platform.

They run as the superuser on tables of their own, in a schema the platform's roles do not see.
"""

import io
import os
import subprocess
import time
from pathlib import Path

from pamm_platform.embedded.postgres import BOOTSTRAP_ROLE
from tools.bench.database import Database

SCHEMA = "floor"
EARNED = "1.01"


class LedgerCopy:
    """F1: COPY of `rows` ledger rows as text into a table with a primary key, commit included."""

    def __init__(self, database: Database, rows: int) -> None:
        self.database, self.rows = database, rows
        self._text = "".join(
            f"{number}\t1\t{number % 1000}\t{number}\t{number % 9973}.25\t{number % 9973}.123456789012345678"
            "\t2026-01-01 00:00:00+00\n"
            for number in range(1, rows + 1)
        )
        with database.superuser() as cursor:
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")

    def __call__(self) -> float:
        with self.database.superuser() as cursor:
            cursor.execute(
                f"DROP TABLE IF EXISTS {SCHEMA}.le; CREATE TABLE {SCHEMA}.le (id bigint PRIMARY KEY,"
                " tenant int NOT NULL, account bigint NOT NULL, investment bigint NOT NULL,"
                " amount numeric(20,2) NOT NULL, units numeric(38,18) NOT NULL, ts timestamptz NOT NULL)"
            )
            rows = io.StringIO(self._text)
            started = time.perf_counter()
            cursor.copy_expert(f"COPY {SCHEMA}.le FROM STDIN", rows)
            seconds = time.perf_counter() - started
            cursor.execute(f"DROP TABLE {SCHEMA}.le")
        return seconds


class FeeRun:
    """F2 and F3: the month end of `rows` positions with nothing around it.

    F3 inserts one computed entry each (identity key), F2 updates each position in place, joined to its
    account's price. Every run starts from positions that owe a fee.
    """

    def __init__(self, database: Database, rows: int, accounts: int) -> None:
        self.database, self.rows = database, rows
        self.inserted, self.updated = 0.0, 0.0
        with database.superuser() as cursor:
            cursor.execute(
                f"""
                CREATE SCHEMA IF NOT EXISTS {SCHEMA};
                SET search_path = {SCHEMA};
                CREATE TABLE acct (id bigint PRIMARY KEY, nav numeric(38,18) NOT NULL);
                INSERT INTO acct SELECT number, 1 FROM generate_series(0, {accounts - 1}) AS number;
                CREATE TABLE inv (id bigint PRIMARY KEY, account bigint NOT NULL,
                    units numeric(38,18) NOT NULL, hwm numeric(38,18) NOT NULL) WITH (fillfactor = 45);
                INSERT INTO inv SELECT number, number % {accounts}, 500 + number % 9000, 1
                    FROM generate_series(1, {rows}) AS number;
                CREATE TABLE entry (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant int NOT NULL,
                    account bigint NOT NULL, investment bigint NOT NULL, amount numeric(20,2) NOT NULL,
                    units numeric(38,18) NOT NULL, ts timestamptz NOT NULL);
                """
            )
        database.vacuum(f"{SCHEMA}.acct", f"{SCHEMA}.inv")

    def __call__(self) -> float:
        with self.database.superuser() as cursor:
            cursor.execute(
                f"SET search_path = {SCHEMA}; TRUNCATE entry; UPDATE acct SET nav = nav * {EARNED}"
            )
            started = time.perf_counter()
            cursor.execute(
                "INSERT INTO entry (tenant, account, investment, amount, units, ts)"
                " SELECT 1, p.account, p.id, -p.fee, -round(p.fee / p.nav, 18), now() FROM"
                " (SELECT i.id, i.account, a.nav,"
                " round(greatest(a.nav - i.hwm, 0) * i.units * 0.2, 2) AS fee"
                " FROM inv i JOIN acct a ON a.id = i.account) p WHERE p.fee <> 0"
            )
            inserted = time.perf_counter()
            cursor.execute(
                "UPDATE inv i SET"
                " units = i.units - round(round(greatest(a.nav - i.hwm, 0) * i.units * 0.2, 2) / a.nav, 18),"
                " hwm = greatest(i.hwm, a.nav) FROM acct a WHERE a.id = i.account"
            )
            ended = time.perf_counter()
        self.inserted, self.updated = inserted - started, ended - inserted
        self.database.vacuum(f"{SCHEMA}.inv")
        return ended - started


def transactions_per_second(database: Database, *, clients: int, seconds: int = 4) -> float:
    """F4: `pgbench -N` on tables of its own (scale 20), which it makes. An otherwise empty database.

    Raises `FileNotFoundError` where the server's packages bring no pgbench.
    """
    address = _superuser_url(database)
    _run(database, "pgbench", "-i", "-q", "-s", "20", address)
    printed = _run(
        database,
        "pgbench",
        "-N",
        "-M",
        "prepared",
        "-c",
        str(clients),
        "-j",
        "2",
        "-T",
        str(seconds),
        address,
    )
    line = next(line for line in printed.splitlines() if line.startswith("tps"))
    return float(line.split()[2])


def flushes_per_second(database: Database) -> str:
    """What pg_test_fsync says of `fdatasync` on the disk the cluster stands on, in its own words."""
    file = database.services.postgres.home.folder / "pg_test_fsync.out"
    try:
        printed = _run(database, "pg_test_fsync", "-s", "1", "-f", str(file))
    finally:
        file.unlink(missing_ok=True)
    line = next(line for line in printed.splitlines() if line.strip().startswith("fdatasync"))
    return " ".join(line.split()[1:])


def _superuser_url(database: Database) -> str:
    postgres = database.services.postgres
    return postgres.url(BOOTSTRAP_ROLE, postgres.passwords.bootstrap, database.name)


def _run(database: Database, name: str, *arguments: str) -> str:
    """What a program of the server's package prints. Raises `FileNotFoundError`, `CalledProcessError`."""
    server = database.services.postgres.running()
    if server is None:
        raise FileNotFoundError("the server does not run")
    program = Path(server.exe()).parent / name
    done = subprocess.run(
        [str(program), *arguments],
        env={"PATH": os.defpath, "LC_ALL": "C"},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout
