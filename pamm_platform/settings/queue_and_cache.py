"""How Redis is reached by queue and cache: it may be slow, hang or be gone, and nobody may hang with it."""

from typing import Any

from redis.backoff import NoBackoff
from redis.retry import Retry

# Pages read the cache: they wait for it no longer than this, and then use memory.
CACHE_WAIT_SECONDS = 0.5

# A connection that died without a word (a failover, a firewall) is noticed by what is overdue on it, and what
# was under way on it is tried once more on a new one.
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {
    "socket_connect_timeout": 5,
    "socket_timeout": 10,
    "socket_keepalive": True,
    "retry_on_timeout": True,
    "health_check_interval": 10,
}
# However long Redis is away: workers and beat go on trying.
CELERY_BROKER_CONNECTION_MAX_RETRIES = None


def shared_cache(redis_url: str) -> dict[str, dict[str, Any]]:
    """Django's `CACHES`."""
    return {
        "default": {
            "BACKEND": "brokers.caches.EnduringRedisCache",
            "LOCATION": redis_url,
            "KEY_FUNCTION": "brokers.caches.scoped_key",
            "OPTIONS": {
                "socket_connect_timeout": CACHE_WAIT_SECONDS,
                "socket_timeout": CACHE_WAIT_SECONDS,
                "retry": Retry(NoBackoff(), 0),
            },
        }
    }
