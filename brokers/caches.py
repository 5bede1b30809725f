"""The shared cache: its keys, and what happens while it does not answer."""

import logging
import time
from typing import Any

import redis
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from django.db import connection

from brokers.scope import broker_id_or_none

logger = logging.getLogger(__name__)

LEFT_ALONE_SECONDS = 5.0
"""How long a cache that did not answer is not asked again: a page must not wait for it at every read."""

MOST_IN_MEMORY = 10_000

_left_alone_until: dict[object, float] = {}
"""By address, for all threads of this process: each thread has a cache object of its own."""


def scoped_key(key: str, key_prefix: str, version: int) -> str:
    """`KEY_FUNCTION` of the cache: brokers and installations never share an entry.

    What is cached outside any scope is a namespace of its own.
    """
    return f"{key_prefix}:{connection.settings_dict['NAME']}:{broker_id_or_none() or 'none'}:{version}:{key}"


class EnduringRedisCache(RedisCache):
    """Redis, and while it does not answer, this process's own memory.

    Nothing that is kept here is needed for money to be right, so nobody is turned away for want of it. Limits
    of failed sign-ins go on being counted, by each web process for itself; what was counted in memory is
    forgotten when Redis answers again.
    """

    def __init__(self, server: Any, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._address = str(server)
        self._memory = LocMemCache(
            f"instead of {server}", {**params, "OPTIONS": {"MAX_ENTRIES": MOST_IN_MEMORY}}
        )

    def add(self, *args: Any, **kwargs: Any) -> Any:
        return self._either("add", *args, **kwargs)

    def get(self, *args: Any, **kwargs: Any) -> Any:
        return self._either("get", *args, **kwargs)

    def set(self, *args: Any, **kwargs: Any) -> Any:
        return self._either("set", *args, **kwargs)

    def touch(self, *args: Any, **kwargs: Any) -> Any:
        return self._either("touch", *args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        return self._either("delete", *args, **kwargs)

    def get_many(self, *args: Any, **kwargs: Any) -> Any:
        return self._either("get_many", *args, **kwargs)

    def has_key(self, *args: Any, **kwargs: Any) -> Any:
        return self._either("has_key", *args, **kwargs)

    def incr(self, *args: Any, **kwargs: Any) -> Any:
        return self._either("incr", *args, **kwargs)

    def set_many(self, *args: Any, **kwargs: Any) -> Any:
        return self._either("set_many", *args, **kwargs)

    def delete_many(self, *args: Any, **kwargs: Any) -> Any:
        return self._either("delete_many", *args, **kwargs)

    def clear(self) -> Any:
        return self._either("clear")

    def _either(self, operation: str, *args: Any, **kwargs: Any) -> Any:
        if time.monotonic() >= _left_alone_until.get(self._address, 0.0):
            try:
                return getattr(super(), operation)(*args, **kwargs)
            except (redis.ConnectionError, redis.TimeoutError) as error:
                logger.warning("the cache does not answer, using memory instead: %s", error)
                _left_alone_until[self._address] = time.monotonic() + LEFT_ALONE_SECONDS
        return getattr(self._memory, operation)(*args, **kwargs)
