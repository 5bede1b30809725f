"""Where a worker can be stopped: before and after every commit and every call of the trading server.

`watched` puts a hook there for as long as it is entered. The hook may raise `Crash`, which no code of the
platform catches, or do something else that can happen at such a moment: another worker's turn, say. After a
crash nothing more gets through, whatever the code on the way out tries: a killed process tidies nothing up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from trading.mt5.answers import Answer
from trading.mt5.connection import Connection

Hook = Callable[[str], None]


class Crash(BaseException):
    """The worker was killed here."""


class Watch:
    """Counts the moments and lets the hook act at each."""

    def __init__(self, hook: Hook) -> None:
        self._hook = hook
        self._is_dead = False
        self._is_acting = False

    def at(self, moment: str) -> None:
        if self._is_acting:
            return
        if self._is_dead:
            raise Crash(moment)
        self._is_acting = True
        try:
            self._hook(moment)
        except Crash:
            self._is_dead = True
            raise
        finally:
            self._is_acting = False


@contextmanager
def watched(hook: Hook) -> Iterator[None]:
    """Let `hook` be told of every commit and every call of the trading server made by the block."""
    watch = Watch(hook)
    wrapper: Any = BaseDatabaseWrapper
    commit, ask = wrapper._commit, Connection.ask

    def commits(self: Any) -> None:
        try:
            watch.at("before a commit")
        except Crash:
            self._rollback()
            raise
        commit(self)
        watch.at("after a commit")

    def asks(
        self: Connection, command: str, parameters: Mapping[str, object] | None = None, body: Any = None
    ) -> Answer:
        watch.at(f"before {command}")
        answer = ask(self, command, parameters or {}, body)
        watch.at(f"after {command}")
        return answer

    wrapper._commit = commits
    Connection.ask = asks  # type: ignore[method-assign]
    try:
        yield
    finally:
        wrapper._commit = commit
        Connection.ask = ask  # type: ignore[method-assign]


def forget_connections() -> None:
    """What the death of a process does to its database connections: what was not committed is gone."""
    connections.close_all()
