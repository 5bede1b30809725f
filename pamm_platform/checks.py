"""System checks of the deployment."""

from importlib.util import find_spec
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.compatibility)
def refuse_psycopg_3(**kwargs: Any) -> list[CheckMessage]:
    """Django silently prefers psycopg 3 when both are installed; our connection class is psycopg2's."""
    if find_spec("psycopg") is None:
        return []
    return [
        Error(
            "psycopg 3 is installed and Django would use it instead of psycopg2.",
            hint="Uninstall `psycopg`: the broker's scope is set by a psycopg2 connection.",
            id="pamm_platform.E001",
        )
    ]
