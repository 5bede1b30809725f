"""Two actors whose steps are interleaved on purpose: one stops after its nth statement with all it holds, the
other runs as far as it can, then the first goes on.

Two threads that merely start together meet in one of a few ways, mostly the same. Stopping at every statement
in turn meets them in all.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from brokers.errors import Refusal
from brokers.scope import broker_scope, current_broker_id
from tests.reliability.crew import Answer

Call = Callable[[], object]

STEP_SECONDS = 4.0
"""The longest the second actor is left alone: longer than anything sleeps that waits without a lock."""
STUCK_SECONDS = 120.0


@dataclass
class Stop:
    """Django's `execute_wrapper` of an actor that stops after so many statements (0: before the first)."""

    after: int
    statements: int = 0
    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def __call__(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        result = execute(sql, params, many, context)
        self.statements += 1
        self.stop_if_due()
        return result

    def stop_if_due(self) -> None:
        if self.statements == self.after:
            self.reached.set()
            assert self.released.wait(STUCK_SECONDS)


@dataclass(frozen=True)
class Met:
    """How two actors fared. `stopped`: whether the first had still work to do when the second began;
    `waited`: whether the second came to stand before a lock.
    """

    first: Answer
    second: Answer
    statements: int
    stopped: bool
    waited: bool


class Arena:
    """Two threads with a connection each, for as many meetings as wanted."""

    def __init__(self) -> None:
        self._broker_id = current_broker_id()
        self._threads = [ThreadPoolExecutor(1, thread_name_prefix=name) for name in ("first", "second")]

    def meet(self, first: Call, second: Call, *, stop_after: int) -> Met:
        stop = Stop(stop_after)
        running = self._threads[0].submit(self._act, first, stop)
        _wait(lambda: stop.reached.is_set() or running.done(), STUCK_SECONDS)
        stopped = not running.done()
        backend = self._threads[1].submit(_backend).result()
        following = self._threads[1].submit(self._act, second, None)
        waited = _runs_into_a_lock(following, backend)
        stop.released.set()
        return Met(
            running.result(STUCK_SECONDS),
            following.result(STUCK_SECONDS),
            stop.statements,
            stopped,
            waited,
        )

    def close(self) -> None:
        for thread in self._threads:
            thread.submit(lambda: connection.close()).result()
            thread.shutdown()

    def _act(self, call: Call, stop: Stop | None) -> Answer:
        with broker_scope(self._broker_id), _stopping(stop):
            try:
                return call()
            except Refusal as refusal:
                return refusal


@contextmanager
def arena() -> Iterator[Arena]:
    opened = Arena()
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def _stopping(stop: Stop | None) -> Iterator[None]:
    if stop is None:
        yield
        return
    stop.stop_if_due()
    with connection.execute_wrapper(stop):
        yield


def _backend() -> int:
    """The server process of this thread's connection."""
    connection.ensure_connection()
    return int(connection.connection.info.backend_pid)


def _runs_into_a_lock(following: Future[Answer], backend: int) -> bool:
    """Leave the second actor alone until it is through (False) or stands before a lock (True)."""

    def waits() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s", [backend])
            return bool(cursor.fetchone() == (True,))

    _wait(lambda: following.done() or waits(), STEP_SECONDS)
    return not following.done() and waits()


def _wait(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.003)
