"""Django's PostgreSQL backend, with the broker in scope set on the session before what it sends.

The setting `app.broker` is what the row-level security policies read. It is session-wide (never SET LOCAL)
and sent only when the session holds another value, or when what it holds is unknown: a new connection, or any
rollback, which silently restores an older value. Inside an aborted transaction only rollbacks may be sent, so
none is preceded by it.
"""

from typing import Any

import psycopg2.extensions
from django.db.backends.postgresql import base
from psycopg2.sql import Composable

from brokers.scope import broker_id_or_none

_UNKNOWN = object()


class ScopedConnection(psycopg2.extensions.connection):
    """A connection that remembers which broker its session is set to."""

    session_broker: object = _UNKNOWN

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        # psycopg2 ignores a class-wide factory when Django passes its own arguments; name it each time.
        kwargs.setdefault("cursor_factory", ScopedCursor)
        return super().cursor(*args, **kwargs)

    def commit(self) -> None:
        # COMMIT of an aborted transaction is a rollback without a word; one that fails (a deferred key) is
        # one too.
        before = self.session_broker
        self.session_broker = _UNKNOWN
        aborted = self.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_INERROR
        super().commit()
        if not aborted:
            self.session_broker = before

    def rollback(self) -> None:
        self.session_broker = _UNKNOWN
        super().rollback()

    def reset(self) -> None:
        self.session_broker = _UNKNOWN
        super().reset()


class ScopedCursor(psycopg2.extensions.cursor):
    """A cursor that puts the broker in scope on the session before it sends anything."""

    connection: ScopedConnection

    def _enter_scope(self) -> None:
        connection = self.connection
        broker_id = broker_id_or_none()
        if connection.session_broker == broker_id and connection.session_broker is not _UNKNOWN:
            return
        if connection.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_INERROR:
            return
        with psycopg2.extensions.connection.cursor(
            connection, cursor_factory=psycopg2.extensions.cursor
        ) as setter:
            setter.execute(
                "SELECT set_config('app.broker', %s, false)", ["" if broker_id is None else str(broker_id)]
            )
        connection.session_broker = broker_id

    def execute(self, query: str | bytes | Composable, vars: Any = None) -> None:
        if self._makes_session_unknown(query):
            self.connection.session_broker = _UNKNOWN
            return super().execute(query, vars)
        self._enter_scope()
        return super().execute(query, vars)

    def _makes_session_unknown(self, query: str | bytes | Composable) -> bool:
        """Whether a statement may put back an older setting.

        Any rollback, also inside an aborted transaction.
        """
        text = query.as_string(self) if isinstance(query, Composable) else query
        first_word = (text if isinstance(text, str) else text.decode()).lstrip()[:8].upper()
        return first_word.startswith(("ROLLBACK", "ABORT", "COMMIT", "END", "RESET", "DISCARD"))

    def executemany(self, query: str | bytes | Composable, vars_list: Any) -> None:
        self._enter_scope()
        return super().executemany(query, vars_list)

    def callproc(self, *args: Any, **kwargs: Any) -> Any:
        self._enter_scope()
        return super().callproc(*args, **kwargs)

    def copy_expert(self, *args: Any, **kwargs: Any) -> None:
        self._enter_scope()
        return super().copy_expert(*args, **kwargs)

    def copy_from(self, *args: Any, **kwargs: Any) -> None:
        self._enter_scope()
        return super().copy_from(*args, **kwargs)

    def copy_to(self, *args: Any, **kwargs: Any) -> None:
        self._enter_scope()
        return super().copy_to(*args, **kwargs)


class DatabaseWrapper(base.DatabaseWrapper):
    """`ENGINE = "brokers.postgresql"`."""

    def get_connection_params(self) -> dict[str, Any]:
        params: dict[str, Any] = super().get_connection_params()
        params["connection_factory"] = ScopedConnection
        params["cursor_factory"] = ScopedCursor
        return params
