"""Tasks of the isolation tests, run by a real worker."""

import uuid

from django.db import transaction

from accounts.models import User
from brokers.tasks import broker_task
from outbox.services import record_event


@broker_task(name="tests.isolation.look")
def look(turn: int) -> None:
    """Report who is seen; fail sometimes, half-way through."""
    with transaction.atomic():
        people = sorted(User.objects.values_list("email", flat=True))
        record_event("seen", subject=uuid.uuid4(), people=people, turn=turn)
        if turn % 5 == 4:
            raise ZeroDivisionError("on purpose")
