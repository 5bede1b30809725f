"""Health pages, answered before host resolution: a probe asks by address, not by a broker's host.

`/health/live`: the process answers. `/health/ready`: PostgreSQL answers too. Where Redis does not, that is
said, but pages are served: no proxy may take every web process away because the queue is down.
"""

from collections.abc import Callable

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase


class HealthMiddleware:
    """Must be the first middleware: those behind it redirect to https and look the broker up."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path == "/health/live":
            return HttpResponse("alive\n", content_type="text/plain")
        if request.path == "/health/ready":
            if not _database_answers():
                return HttpResponse("missing: database\n", content_type="text/plain", status=503)
            text = "ready\n" if _queue_answers() else "ready, without: queue\n"
            return HttpResponse(text, content_type="text/plain")
        return self.get_response(request)


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        connection.close()
        return False
    return True


def _queue_answers() -> bool:
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2) as client:
            client.ping()
    except (redis.RedisError, OSError):
        return False
    return True
