"""Work as the owner of the tables: adding brokers and COPY are refused to the application's role."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from pamm_platform.settings.environment import ENVIRONMENT

_ADDRESS = ("NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS")


@contextmanager
def connected_as_owner() -> Iterator[None]:
    """Point this thread's connection at DATABASE_OWNER_URL. Raises ImproperlyConfigured without it."""
    wanted = ENVIRONMENT.database("DATABASE_OWNER_URL")
    current = connection.settings_dict
    before = {name: current[name] for name in _ADDRESS}
    connection.close()
    current.update({name: wanted[name] for name in _ADDRESS})
    try:
        yield
    finally:
        connection.close()
        current.update(before)
