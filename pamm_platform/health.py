"""Health pages, answered before host resolution: a probe asks by address, not by a broker's host.

`/health/live`: the process answers. `/health/ready`: PostgreSQL and Redis answer too.
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
            missing = missing_services()
            text = f"missing: {', '.join(missing)}\n" if missing else "ready\n"
            return HttpResponse(text, content_type="text/plain", status=503 if missing else 200)
        return self.get_response(request)


def missing_services() -> list[str]:
    """Names of the services that do not answer; never why, for the page is public."""
    missing = []
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        connection.close()
        missing.append("database")
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2) as client:
            client.ping()
    except (redis.RedisError, OSError):
        missing.append("queue")
    return missing
