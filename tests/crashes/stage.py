"""A scenario prepared once, and set up afresh for each trial: a copy of its database, and a trading server of
its own on a copy of the trading server's books.
"""

import itertools
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

import psycopg2
import time_machine
from django.db import connections
from django.test import override_settings
from psycopg2 import sql

from brokers.scope import broker_scope
from pamm_platform.embedded import Services
from tests.crashes.children import ChildKilled, in_child
from tests.crashes.digest import Before, applied_keys, database_rows, server_books
from tests.crashes.points import CrashPoints, Word, install, kill_worker
from tests.simulator import MANAGER_LOGIN, MANAGER_PASSWORD, SimulatorProcess
from trading.simulator.__main__ import main as run_simulator
from trading.simulator.store import Store

T = TypeVar("T")

FIRST_WORKER_AFTER = timedelta(minutes=1)
SECOND_WORKER_AFTER = timedelta(minutes=11)
"""By then every lease of the first has run out, and every wait for an answer."""
LEASE_SECONDS = 180.0
"""As in production: so long that how often a worker renews it does not depend on how busy the machine is."""


class ForkedSimulator(SimulatorProcess):
    """A trading server that starts in milliseconds: a fork of this process, which has all of it loaded."""

    _child: int = 0

    def start(self) -> Self:
        connections.close_all()
        reading, writing = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            try:
                os.setsid()
                os.close(reading)
                os.dup2(writing, sys.__stdout__.fileno() if sys.__stdout__ is not None else 1)
                sys.stdout = os.fdopen(writing, "w")
                os.environ["SIMULATOR_MANAGER_PASSWORD"] = MANAGER_PASSWORD
                command = ["--data-dir", str(self.folder), "--port", str(self.port)]
                command += ["--timezone", self.timezone, "--manager-logins", str(MANAGER_LOGIN)]
                run_simulator([*command, *self._options])
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            line = pipe.readline()
        assert "listening" in line, "the simulator did not start"
        self.port = int(line.rsplit(":", 1)[1])
        return self

    def _end(self, number: int) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._child:
            os.kill(self._child, number)
            os.waitpid(self._child, 0)
            self._child = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has changed in the database since the scenario, and what stands in the trading server's books."""

    database: list[str]
    server: list[str]

    def differences(self, expected: Self) -> list[str]:
        """What is there and was not expected (`+`), and what was and is not there (`-`)."""
        there = Counter(self.database + self.server)
        wanted = Counter(expected.database + expected.server)
        return [f"+ {line}" for line in (there - wanted).elements()] + [
            f"- {line}" for line in (wanted - there).elements()
        ]


@dataclass
class Stage:
    """`scenario` is the prepared database, `simulator` its trading server."""

    services: Services
    scenario: str
    simulator: SimulatorProcess
    broker_id: int
    begins_at: datetime
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @contextmanager
    def open(self) -> Iterator[Self]:
        """For the length of the block nobody is connected to the scenario, and its trading server is stopped:
        both can be copied.
        """
        connections.close_all()
        self.simulator.stop()
        self.before = Before(database_rows(self.services.owner_url(self.scenario)))
        self.connect()
        try:
            yield self
        finally:
            self._control.close()

    def connect(self) -> None:
        """The stage's own session, in which databases are made and dropped."""
        self._control = psycopg2.connect(self.services.owner_url())
        self._control.autocommit = True

    @contextmanager
    def set_up(self) -> Iterator["Trial"]:
        name = f"test_clone_{os.getpid()}_trial{next(self._numbers)}"
        books = self.simulator.folder.with_name(name)
        shutil.copytree(self.simulator.folder, books)
        self._set_back_clock(books)
        self._execute("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, self.scenario)
        simulator = ForkedSimulator(books, timezone=self.simulator.timezone, port=self.simulator.port)
        try:
            simulator.start()
            yield Trial(self, name, simulator)
        finally:
            simulator.kill()
            self.wait_until_left(name)
            self._execute("DROP DATABASE {}", name)
            shutil.rmtree(books)

    def _set_back_clock(self, books: Path) -> None:
        """However late it has become: the prices in the books are as fresh in each performance."""
        store = Store(books)
        store.put_meta("advance_seconds", str(int((self.begins_at - datetime.now(UTC)).total_seconds())))
        store.close()

    def wait_until_left(self, name: str) -> None:
        """Until the sessions of a killed worker have ended, and with them what they had locked."""
        deadline = time.monotonic() + 30
        with self._control.cursor() as cursor:
            while True:
                cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", [name])
                if cursor.fetchone() == (0,):
                    return
                assert time.monotonic() < deadline, f"somebody is still connected to {name}"
                time.sleep(0.001)

    def _execute(self, statement: str, *names: str) -> None:
        with self._control.cursor() as cursor:
            cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@dataclass
class Trial:
    """One performance: a first worker, who may be killed, and a second one, who carries on."""

    stage: Stage
    database: str
    simulator: SimulatorProcess

    def first_worker(
        self,
        work: Callable[[], object],
        *,
        die_at: int | None = None,
        die: Callable[[], None] = kill_worker,
    ) -> list[Word] | None:
        """What it said until it was through; None where it was killed, at the crash point of that number."""
        try:
            return in_child(partial(self._counted, work, CrashPoints(die_at, die)))
        except ChildKilled:
            self.stage.wait_until_left(self.database)
            return None

    def second_worker(self, work: Callable[[time_machine.Traveller], T]) -> T:
        """What a fresh worker's `work` returned, some minutes later."""
        return in_child(partial(self._later, work))

    def outcome(self) -> Outcome:
        """Ends the trading server: its books are read from its file.

        Whatever happened, no key stands there twice, and those that do are the legs' that are applied.
        """
        self.simulator.kill()
        rows = database_rows(self.stage.services.owner_url(self.database))
        books, keys = server_books(self.simulator.folder)
        assert max(keys.values(), default=0) <= 1, "an operation was made twice"
        assert set(keys) == applied_keys(rows), "an operation is missing, on one side"
        return Outcome(self.stage.before.changes(rows), books)

    def _counted(self, work: Callable[[], object], points: CrashPoints) -> list[Word]:
        install(points)
        with self._at_work(FIRST_WORKER_AFTER):
            work()
            connections.close_all()
        points.all_said()
        return points.passed

    def _later(self, work: Callable[[time_machine.Traveller], T]) -> T:
        with self._at_work(SECOND_WORKER_AFTER) as traveller:
            return work(traveller)

    @contextmanager
    def _at_work(self, after: timedelta) -> Iterator[time_machine.Traveller]:
        postgres = self.stage.services.postgres
        connections.settings["default"].update(
            NAME=self.database, HOST=str(postgres.home.socket_folder()), PASSWORD=postgres.passwords.app
        )
        with (
            override_settings(ROLLOVER_LEASE_SECONDS=LEASE_SECONDS),
            time_machine.travel(self.stage.begins_at + after) as traveller,
            broker_scope(self.stage.broker_id),
        ):
            yield traveller
