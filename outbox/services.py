"""Recording events."""

import uuid
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from outbox.models import Event


class EventOutsideTransaction(RuntimeError):
    """An event must commit together with what it reports."""


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
