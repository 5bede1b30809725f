"""What a worker needs besides Celery's own to survive a queue that stops answering without a word."""

from typing import Any

from celery import bootsteps
from celery.worker import state

LOOK_SECONDS = 10.0


class UnansweredAcknowledgements(bootsteps.StartStopStep):
    """Connects anew when all places for messages are taken though no task is at hand.

    A message whose acknowledgement could not be sent keeps its place. Celery logs that and goes on; once the
    last place is taken so, the worker never asks for a message again, and looks healthy. A new connection
    begins with all places free; what is redelivered by it does no harm.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._was_stuck = False

    def register_with_event_loop(self, consumer: Any, hub: Any) -> None:
        self._was_stuck = False
        hub.call_repeatedly(LOOK_SECONDS, self._look, consumer)

    def _look(self, consumer: Any) -> None:
        """Raises `ConnectionError` when found stuck twice: an acknowledgement may be under way."""
        at_hand = len(state.reserved_requests) + len(state.active_requests)
        stuck = not at_hand and not consumer.task_consumer.channel.qos.can_consume()
        if stuck and self._was_stuck:
            raise ConnectionError("all places for messages are taken, but no task is at hand")
        self._was_stuck = stuck
