"""Beat's ticks and the worker's slice. A tick loops over brokers' scopes; there is no way around them."""

from celery import shared_task

from brokers.queries import active_broker_ids
from brokers.scope import broker_scope
from brokers.tasks import broker_task
from investing.services import expire_requests
from rollover.services import dispatch_due_rollovers, roll_over, settle_open_transfers


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


@shared_task
def tend_transfers_task() -> None:
    """Wake one task per broker for what no rollover carries: open transfers, requests that nobody
    approved.
    """
    for broker_id in active_broker_ids():
        tend_broker_task.delay(broker_id)


@broker_task()
def tend_broker_task() -> None:
    expire_requests()
    settle_open_transfers()
