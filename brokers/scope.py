"""The broker in whose name the current request, task or command works.

One door each for request (by host), task (broker id in the message) and command enters the scope; everything
below reads it. Without a scope the application raises `NoBrokerScope` and raw SQL sees no tenant rows at all.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_current: ContextVar[int | None] = ContextVar("broker_id", default=None)


class NoBrokerScope(RuntimeError):
    """Tenant data was asked for outside any broker's scope: a bug in the caller, never a user's mistake."""


class ForeignBroker(RuntimeError):
    """A row of one broker was about to be written inside the scope of another."""


def current_broker_id() -> int:
    """Primary key of the broker in scope. Raises `NoBrokerScope`."""
    broker_id = _current.get()
    if broker_id is None:
        raise NoBrokerScope("no broker in scope: enter broker_scope() first")
    return broker_id


def broker_id_or_none() -> int | None:
    return _current.get()


@contextmanager
def broker_scope(broker_id: int | None) -> Iterator[None]:
    """Work inside one broker's scope; `None` leaves every scope. Nests: the outer scope returns on exit."""
    token = _current.set(broker_id)
    try:
        yield
    finally:
        _current.reset(token)
