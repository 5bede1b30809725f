"""The worker's file, and beat's tick for what nobody took up and what has had its time."""

from celery import shared_task

from brokers.queries import active_broker_ids
from brokers.scope import broker_scope
from brokers.tasks import broker_task
from statements.services import files_to_take_up, prepare_file, remove_expired_files


@broker_task()
def prepare_file_task(key: int) -> None:
    prepare_file(key)


@shared_task
def tend_files_task() -> None:
    """For every broker: hand out again what was lost, remove what has expired."""
    for broker_id in active_broker_ids():
        with broker_scope(broker_id):
            remove_expired_files()
            keys = files_to_take_up()
        for key in keys:
            prepare_file_task.delay(broker_id, key)
