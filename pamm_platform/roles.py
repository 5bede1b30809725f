"""Web, worker and beat refuse to start under a database role that row-level security would not hold."""

from django.core.exceptions import ImproperlyConfigured
from django.db import connection

_FACTS = """
SELECT rolname, rolsuper, rolbypassrls, EXISTS (
    SELECT 1
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = 'public' AND pg_has_role(pg_roles.oid, relowner, 'MEMBER')
)
FROM pg_roles WHERE rolname = current_user
"""


def refuse_privileged_role() -> None:
    """Raise ImproperlyConfigured if the role is a superuser, bypasses row-level security or owns a table.

    A member of the owner role counts as owner: it could switch to it.
    """
    with connection.cursor() as cursor:
        cursor.execute(_FACTS)
        role, is_superuser, bypasses, owns = cursor.fetchone()
    connection.close()
    reasons = [
        reason
        for applies, reason in (
            (is_superuser, "is a superuser"),
            (bypasses, "bypasses row-level security"),
            (owns and not is_superuser, "owns tables"),
        )
        if applies
    ]
    if reasons:
        raise ImproperlyConfigured(
            f"database role {role} {' and '.join(reasons)}: web, worker and beat need the application role"
        )
