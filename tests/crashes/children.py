"""Work in forked children: warm, with connections of their own, and killable."""

import gc
import os
import pickle
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from django.db import connections

T = TypeVar("T")


class ChildFailed(AssertionError):
    """A child ended with an exception: the text is its traceback."""


class ChildKilled(Exception):
    """A child was killed before its work was done."""


def in_child(work: Callable[[], T]) -> T:
    """What `work` returns, done in a forked child. Raises `ChildKilled`, `ChildFailed`."""
    connections.close_all()
    gc.freeze()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _work_and_leave(work, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        raise ChildKilled(status)
    outcome: tuple[bool, Any] = pickle.loads(answer)
    succeeded, result = outcome
    if not succeeded:
        raise ChildFailed(result)
    return result  # type: ignore[no-any-return]


def _work_and_leave(work: Callable[[], Any], writing: int) -> None:
    outcome: tuple[bool, Any]
    gc.disable()
    try:
        outcome = (True, work())
    except BaseException:
        outcome = (False, traceback.format_exc())
    with suppress(BaseException), os.fdopen(writing, "wb") as pipe:
        pickle.dump(outcome, pipe)
        pipe.flush()
    sys.stderr.flush()
    # Neither pytest's ends nor the parent's connections are this process's to close.
    os._exit(0)
