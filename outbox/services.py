"""Recording events, and taking them in order.

An event gets its number when it is written and is seen when its transaction commits: 8 may appear after 9. A
consumer therefore takes events up to a *settled* number only. Whoever may still show a smaller one holds the
lock on the table that PostgreSQL gives every writer before it draws a number and keeps until it has ended. So
what is seen now is settled as soon as everybody who holds that lock now has ended: later ones draw later
numbers, and nobody is made to wait.
"""

import uuid
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from outbox.models import Cursor, Event


class EventOutsideTransaction(RuntimeError):
    """An event must commit together with what it reports, and be taken together with what it leads to."""


def record_event(
    kind: str, /, *, subject: uuid.UUID, occurred_at: datetime | None = None, **payload: Any
) -> Event:
    """Write one event in the caller's transaction. Raises `EventOutsideTransaction`."""
    return record_events([(kind, subject, payload)], occurred_at=occurred_at)[0]


def record_events(
    events: list[tuple[str, uuid.UUID, dict[str, Any]]], *, occurred_at: datetime | None = None
) -> list[Event]:
    """Write many events with one statement."""
    if not transaction.get_connection().in_atomic_block:
        raise EventOutsideTransaction
    moment = occurred_at or timezone.now()
    return Event.objects.bulk_create(
        Event(kind=kind, subject=subject, payload=payload, occurred_at=moment)
        for kind, subject, payload in events
    )


def has_news(consumer: str) -> bool:
    """Whether there may be events that this consumer has not taken."""
    cursor = Cursor.objects.filter(consumer=consumer).first()
    return Event.objects.filter(pk__gt=cursor.taken if cursor else 0).exists()


def take_events(consumer: str, *, most: int) -> list[Event]:
    """The next events for `consumer`, in their order, in the caller's transaction: what he writes about them
    is committed together with having taken them, or neither is.

    Each consumer has a cursor of its own and begins with the first event there is. Empty where nothing is
    settled yet, or where somebody else is taking the consumer's events. Raises `EventOutsideTransaction`.
    """
    if not transaction.get_connection().in_atomic_block:
        raise EventOutsideTransaction
    cursor = _cursor(consumer)
    if cursor is None:
        return []
    _settle(cursor)
    events = list(
        Event.objects.filter(pk__gt=cursor.taken, pk__lte=cursor.settled).order_by("pk")[:most]
        if cursor.taken < cursor.settled
        else ()
    )
    # A number without an event was drawn by somebody who gave up.
    cursor.taken = events[-1].pk if len(events) == most else max(cursor.taken, cursor.settled)
    cursor.save()
    return events


def _cursor(consumer: str) -> Cursor | None:
    """The consumer's cursor, ours until the transaction ends; None while it is somebody else's."""
    rows = Cursor.objects.select_for_update(skip_locked=True).filter(consumer=consumer)
    found: Cursor | None = rows.first()
    if found is None and not Cursor.objects.filter(consumer=consumer).exists():
        Cursor.objects.get_or_create(consumer=consumer)
        found = rows.first()
    return found


def _settle(cursor: Cursor) -> None:
    """Move `settled` on as far as can be told now."""
    if cursor.horizon is not None:
        if _writers().intersection(cursor.waits_for):
            return
        cursor.settled, cursor.horizon, cursor.waits_for = cursor.horizon, None, []
    # Numbers first, writers afterwards: the other way round somebody could begin in between.
    newest = Event.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    if newest <= cursor.settled:
        return
    writers = _writers()
    if writers:
        cursor.horizon, cursor.waits_for = newest, sorted(writers)
    else:
        cursor.settled = newest


def _writers() -> set[str]:
    """Transactions, other than ours, that may have written events and have not ended."""
    with connection.cursor() as sql:
        sql.execute(
            """
            SELECT virtualtransaction FROM pg_locks
            WHERE locktype = 'relation' AND relation = %s::regclass AND mode = 'RowExclusiveLock'
              AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND pid IS DISTINCT FROM pg_backend_pid()
            """,
            [Event._meta.db_table],
        )
        return {transaction_id for (transaction_id,) in sql.fetchall()}
