"""Alice, Bob and Charlie, and events that happened to them."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from brokers.scope import broker_scope
from events.services import deliver_notifications
from outbox.models import Event
from outbox.services import record_event
from tests.worlds import AliceBobCharlie, alice_bob_charlie


@pytest.fixture
def world(db: None) -> Iterator[AliceBobCharlie]:
    made = alice_bob_charlie()
    with broker_scope(made.alpha.pk):
        yield made


def happened(kind: str, /, subject: uuid.UUID, **payload: Any) -> Event:
    """One event, told to everybody concerned."""
    with transaction.atomic():
        event = record_event(kind, subject=subject, **payload)
    while deliver_notifications():
        pass
    return event
