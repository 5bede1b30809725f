"""Misbehaviour on demand, for tests of those who must survive it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class FaultKind(Enum):
    DROP_BEFORE = "drop_before"
    """The connection breaks and nothing was done."""
    DROP_AFTER = "drop_after"
    """Done and durable, but the connection breaks before the answer."""
    LATE = "late"
    """Done, and answered some seconds later."""
    EMPTY = "empty"
    """Answered as done, but with an empty list: a history that is not loaded yet."""
    FORBID = "forbid"
    """Nothing done; the connection loses its session and answers 403."""


@dataclass(slots=True)
class Fault:
    """`skip` calls are let through first, then `calls` are hit; `login` 0 means any."""

    command: str
    kind: FaultKind
    calls: int
    skip: int = 0
    seconds: float = 0.0
    login: int = 0


class Faults:
    def __init__(self) -> None:
        self._armed: list[Fault] = []

    def arm(self, fault: Fault) -> None:
        self._armed.append(fault)

    def disarm(self) -> None:
        self._armed.clear()

    def take(self, command: str, login: int) -> Fault | None:
        """The fault that hits this call, counted down."""
        for fault in self._armed:
            if fault.command != command or fault.login not in (0, login):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            fault.calls -= 1
            if fault.calls <= 0:
                self._armed.remove(fault)
            return fault
        return None
