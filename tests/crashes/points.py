"""The crash points: every instant between two things a worker tells the database or the trading server.

Counted below the product, at psycopg2's own classes and at the trading server's connection, so that whatever
the product comes to say is a crash point without being listed. A worker that dies between two of them has
done nothing else in the meantime, so *before* one is *after* the one before it.
"""

import importlib
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import psycopg2.extensions
from psycopg2.sql import Composable

from brokers.postgresql import base
from trading.mt5.answers import Answer
from trading.mt5.connection import Connection

QUESTIONS = ("get", "check", "auth", "time", "tick")
"""What a command of the trading server begins with that changes nothing there."""

DriverConnection = psycopg2.extensions.connection
DriverCursor = psycopg2.extensions.cursor


@dataclass(frozen=True, slots=True)
class Word:
    """Something a worker tells the database or the trading server. `decides` where it can change what is left
    if the worker dies after it: a commit, a statement that is a transaction of its own, a call of the trading
    server that is no mere question.
    """

    text: str
    decides: bool = False

    @property
    def kind(self) -> str:
        """A statement's first word, or the trading server's command."""
        text = self.text.lstrip()
        return text if text.startswith("ask ") else text.split(None, 1)[0].upper()


class CrashPoints:
    """Counts what a worker is about to say, and calls `die` at the point of that number."""

    def __init__(self, die_at: int | None, die: Callable[[], None]) -> None:
        self.passed: list[Word] = []
        self._die_at, self._die = die_at, die

    def about_to(self, word: Word, *, begun: Callable[[], None] | None = None) -> None:
        """`begun`, at the fatal point, does what by then has already been done."""
        if len(self.passed) == self._die_at:
            if begun is not None:
                begun()
            self._die()
        self.passed.append(word)

    def all_said(self) -> None:
        """The last point is after the last word."""
        if len(self.passed) == self._die_at:
            self._die()


def kill_worker() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


_points = CrashPoints(None, kill_worker)


def install(points: CrashPoints) -> None:
    """Count from now on, until this process ends: to be called in a forked child, before it connects."""
    global _points
    _points = points
    extensions: Any = psycopg2.extensions
    extensions.connection, extensions.cursor = CountingConnection, CountingCursor
    # Django's backend of ours derives its classes anew, from those two.
    importlib.reload(base)
    Connection.ask = _counting_ask  # type: ignore[method-assign]


class CountingCursor(DriverCursor):
    """Every statement is a crash point; so is the BEGIN that psycopg2 sends with a transaction's first."""

    def about_to(self, query: object) -> None:
        connection = self.connection
        begun = None
        if connection.status == psycopg2.extensions.STATUS_READY and not connection.autocommit:
            _points.about_to(Word("BEGIN"))
            begun = self._begin
        text = query.as_string(self) if isinstance(query, Composable) else query
        written = text.decode() if isinstance(text, bytes) else str(text)
        reads = written.lstrip()[:6].upper() == "SELECT"
        _points.about_to(Word(written, decides=connection.autocommit and not reads), begun=begun)

    def _begin(self) -> None:
        DriverCursor.execute(
            DriverConnection.cursor(self.connection, cursor_factory=DriverCursor), "SELECT 1"
        )

    def execute(self, query: Any, vars: Any = None) -> None:
        self.about_to(query)
        super().execute(query, vars)

    def executemany(self, query: Any, vars_list: Iterable[Any]) -> None:
        for values in vars_list:
            self.execute(query, values)

    def copy_expert(self, sql: Any, *args: Any, **kwargs: Any) -> None:
        self.about_to(sql)
        super().copy_expert(sql, *args, **kwargs)

    def __next__(self) -> Any:
        self.about_to_read("__next__")
        return super().__next__()

    def about_to_read(self, method: str) -> None:
        """Only a cursor with a name lives on the server: what it returns has been asked for."""
        if self.name and not self.closed:
            _points.about_to(Word(f"CURSOR {method}"))


class CountingConnection(DriverConnection):
    """COMMIT, ROLLBACK and whatever else a connection sends by itself."""


READS = {"fetchone", "fetchmany", "fetchall", "scroll", "close"}
SILENT = {
    *("cast", "mogrify", "nextset", "setinputsizes", "setoutputsize"),
    *("cursor", "fileno", "isexecuting", "poll", "xid", "get_backend_pid", "get_dsn_parameters"),
    *("get_native_connection", "get_parameter_status", "get_transaction_status"),
}
"""What tells the database nothing. All other methods of psycopg2's cursors and connections count."""


def _count(counting: type[Any], method: str, *, reads: bool) -> None:
    original = getattr(counting.__base__, method)

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        if reads:
            self.about_to_read(method)
        elif method != "close":
            _points.about_to(Word(method.upper(), decides=True))
        return original(self, *args, **kwargs)

    setattr(counting, method, counted)


for _counting in (CountingCursor, CountingConnection):
    for _method in set(dir(_counting.__base__)) - set(vars(_counting)) - SILENT:
        if not _method.startswith("_") and callable(getattr(_counting, _method)):
            _count(_counting, _method, reads=_counting is CountingCursor and _method in READS)


def _counting_ask(
    self: Connection, command: str, *args: Any, _ask: Callable[..., Answer] = Connection.ask, **kwargs: Any
) -> Answer:
    asks = any(part.startswith(QUESTIONS) for part in command.split("/"))
    _points.about_to(Word(f"ask {command}", decides=not asks))
    return _ask(self, command, *args, **kwargs)


def by_kind(words: Iterable[Word]) -> str:
    """`COMMIT 12, SELECT 80, …`"""
    kinds = Counter(word.kind for word in words)
    return ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
