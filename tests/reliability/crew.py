"""Threads with connections of their own that do something at the same instant."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from django.db import connection

from brokers.errors import Refusal
from brokers.scope import broker_scope, current_broker_id

BARRIER_SECONDS = 120.0

Answer = object
"""What a call returned, or the refusal it met. Anything else it raises is the test's failure."""


class Crew:
    """As many threads as calls can be made at once, each connected to the database before it is needed."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._broker_id = current_broker_id()
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="crew")

    def __enter__(self) -> Self:
        self.at_once([lambda: connection.ensure_connection()] * self.size)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.at_once([lambda: connection.close()] * self.size)
        self._threads.shutdown()

    def at_once(self, calls: Sequence[Callable[[], object]]) -> list[Answer]:
        """Answers in the order of the calls, which all begin when the last thread is ready."""
        barrier = threading.Barrier(len(calls))

        def make(call: Callable[[], object]) -> Answer:
            with broker_scope(self._broker_id):
                barrier.wait(BARRIER_SECONDS)
                try:
                    return call()
                except Refusal as refusal:
                    return refusal

        return list(self._threads.map(make, calls))
