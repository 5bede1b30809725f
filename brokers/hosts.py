"""Which hosts may be asked for: the environment's, and the one the database says is a broker's.

Django compares every request's host with `ALLOWED_HOSTS`. A broker is added while the platform runs, so its
hosts cannot stand in a setting; `BrokerScopeMiddleware` looks the host up and admits it for the length of the
request.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_admitted: ContextVar[str | None] = ContextVar("admitted_host", default=None)


class AllowedHosts(list[str]):
    """The environment's hosts, and after them the host admitted for the current request."""

    def __iter__(self) -> Iterator[str]:
        yield from super().__iter__()
        host = _admitted.get()
        if host is not None:
            yield host


@contextmanager
def admitted_host(host: str) -> Iterator[None]:
    """Admit `host` (without port) inside the block. For hosts found in the database only."""
    token = _admitted.set(host)
    try:
        yield
    finally:
        _admitted.reset(token)
