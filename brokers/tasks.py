"""The task's door into a broker's scope: the broker's id travels in the message."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from celery import shared_task

from brokers.scope import broker_scope


def broker_task(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """A Celery task whose first argument is `broker_id`: its body runs in that broker's scope.

    The function itself does not take the id. Called as `confirm_task.delay(broker_id, …)`; a message without
    the id fails instead of running outside any scope. Options are Celery's.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        @wraps(function)
        def in_scope(broker_id: int, *args: Any, **kwargs: Any) -> Any:
            if isinstance(broker_id, bool) or not isinstance(broker_id, int):
                raise TypeError(
                    f"{function.__qualname__}: the first argument is the broker's id, not {broker_id!r}"
                )
            with broker_scope(broker_id):
                return function(*args, **kwargs)

        # Celery reads the signature through __wrapped__, where the id is missing.
        del in_scope.__wrapped__
        return shared_task(**options)(in_scope)

    return decorate
