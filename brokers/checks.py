"""What must be so before anything is served: the database role, the database driver."""

from importlib.util import find_spec
from typing import Any

from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connection


class PrivilegedRole(ImproperlyConfigured):
    """The process is connected as a role that row-level security does not hold."""


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


def refuse_privileged_role() -> None:
    """Web, worker and beat call this when they start. Raises `PrivilegedRole`.

    A superuser, a role with BYPASSRLS, and the owner of a table see and change every broker's rows; so does
    whoever may become one of them.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT current_user,
                   EXISTS (SELECT FROM pg_roles
                            WHERE (rolsuper OR rolbypassrls) AND pg_has_role(current_user, oid, 'MEMBER')),
                   EXISTS (SELECT FROM pg_class
                            WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm',
                            'f')
                              AND pg_has_role(current_user, relowner, 'MEMBER'))
            """
        )
        role, bypasses, owns = cursor.fetchone()
    connection.close()
    if bypasses or owns:
        reason = "owns tables" if owns else "is a superuser or bypasses row-level security"
        raise PrivilegedRole(f"refusing to start: database role {role} {reason}; use the application role")
