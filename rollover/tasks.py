"""Beat's ticks and the worker's slice. A tick loops over brokers' scopes; there is no way around them."""

import logging

from celery import shared_task
from django.core.cache import cache

from brokers.queries import active_broker_ids
from brokers.scope import broker_scope, current_broker_id
from brokers.tasks import broker_task
from events.tasks import wake_delivery
from investing.services import expire_requests
from rollover.services import (
    dispatch_due_rollovers,
    inspect_server,
    inspections_due,
    roll_over,
    seal_books,
    seal_is_due,
    settle_open_transfers,
)
from trading.gateway import GatewayError

logger = logging.getLogger(__name__)

INSPECTION_SECONDS = 3600


@shared_task
def dispatch_due_rollovers_task() -> None:
    """Hand out what is due at every broker, one message per slice of accounts."""
    for broker_id in active_broker_ids():
        with broker_scope(broker_id):
            slices = dispatch_due_rollovers()
        for rollover_ids in slices:
            roll_over_task.delay(broker_id, rollover_ids)


@broker_task()
def roll_over_task(rollover_ids: list[int]) -> None:
    roll_over(rollover_ids)
    wake_delivery(current_broker_id())


@shared_task
def tend_transfers_task() -> None:
    """Wake one task per broker for what no rollover carries: open transfers, requests that nobody
    approved.
    """
    for broker_id in active_broker_ids():
        tend_broker_task.delay(broker_id)


@shared_task
def inspect_servers_task() -> None:
    """Wake one task per broker that has a trading server to be compared with our books tonight."""
    for broker_id in active_broker_ids():
        with broker_scope(broker_id):
            due = bool(inspections_due())
        if due:
            inspect_broker_task.delay(broker_id)


@broker_task()
def inspect_broker_task() -> None:
    for server in inspections_due():
        # One inspection of a server at a time: the next tick comes before a long one has ended.
        if cache.add(f"inspection-{server.public_id}", 1, INSPECTION_SECONDS):
            try:
                inspect_server(server)
            except GatewayError as error:
                logger.warning("trading server %s: %s", server.pk, error)
            finally:
                cache.delete(f"inspection-{server.public_id}")


@shared_task
def seal_books_task() -> None:
    """Wake one task per broker whose day is over: its books are sealed once a day."""
    for broker_id in active_broker_ids():
        with broker_scope(broker_id):
            due = seal_is_due()
        if due:
            seal_broker_task.delay(broker_id)


@broker_task()
def seal_broker_task() -> None:
    seal_books()


@broker_task()
def tend_broker_task() -> None:
    expire_requests()
    settle_open_transfers()
