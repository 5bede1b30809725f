"""Beat's ticks of delivery: they wake one task per broker that has something to tell or to send."""

from contextlib import suppress

from celery import shared_task
from django.core.cache import cache
from kombu.exceptions import OperationalError

from brokers.queries import active_broker_ids
from brokers.scope import broker_scope
from brokers.tasks import broker_task
from events.queries import mails_due
from events.services import NOTIFICATIONS, deliver_notifications, send_due_mails
from outbox.services import has_news

SLICES_A_TASK = 25
"""Someone who is far behind gives way to others after so many slices; the next tick goes on."""


WAKE_SECONDS = 3


@shared_task
def deliver_events_task() -> None:
    for broker_id in active_broker_ids():
        with broker_scope(broker_id):
            is_due = has_news(NOTIFICATIONS)
        if is_due:
            deliver_notifications_task.delay(broker_id)


@broker_task()
def deliver_notifications_task() -> None:
    """Tell of everything that is settled, slice by slice, then send what goes by e-mail."""
    for _ in range(SLICES_A_TASK):
        if not deliver_notifications():
            break
    while send_due_mails():
        pass


def wake_delivery(broker_id: int) -> None:
    """Have people told soon. Of slices that end together one is enough; what comes right after it, and what a
    lost message would have woken, is found by the tick.
    """
    if cache.add(f"deliver-events-{broker_id}", 1, WAKE_SECONDS):
        with suppress(OperationalError):
            deliver_notifications_task.apply_async((broker_id,), retry=False)


@shared_task
def send_mails_task() -> None:
    for broker_id in active_broker_ids():
        with broker_scope(broker_id):
            is_due = mails_due().exists()
        if is_due:
            send_broker_mails_task.delay(broker_id)


@broker_task()
def send_broker_mails_task() -> None:
    while send_due_mails():
        pass
