"""What must be so before anything is served."""

from importlib.util import find_spec
from typing import Any

from django.core.checks import CheckMessage, Error, register


@register()
def psycopg2_is_the_driver(**kwargs: Any) -> list[CheckMessage]:
    """Django silently prefers psycopg 3; the broker's scope is set by our psycopg2 cursor."""
    if find_spec("psycopg") is None:
        return []
    return [
        Error(
            "psycopg 3 is installed: Django would use it and no statement would carry the broker's scope.",
            hint="Uninstall psycopg; psycopg2 is the driver.",
            id="brokers.E001",
        )
    ]
