"""Keys in the shared cache."""

from django.db import connection

from brokers.scope import broker_id_or_none


def scoped_key(key: str, key_prefix: str, version: int) -> str:
    """`KEY_FUNCTION` of the cache: brokers and installations never share an entry.

    What is cached outside any scope is a namespace of its own.
    """
    return f"{key_prefix}:{connection.settings_dict['NAME']}:{broker_id_or_none() or 'none'}:{version}:{key}"
