"""Misbehaviour on demand, for tests of those who must survive it.

They count calls and live in memory: a restart ends them.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from trading.simulator.parameters import matching

PARTIAL = 14
REQUOTE = 10004


class FaultKind(Enum):
    DROP_BEFORE = "drop_before"
    """The connection breaks and nothing was done."""
    DROP_AFTER = "drop_after"
    """Done and durable, but the connection breaks before the answer."""
    APPLY_LATE = "apply_late"
    """The connection breaks at once, and only some seconds later it is done: a call that was still queued."""
    LATE = "late"
    """Done, and answered some seconds later."""
    FORBID = "forbid"
    """Nothing done; the connection loses its session and answers 403."""
    REFUSE = "refuse"
    """Nothing done; answered with nothing but a return code."""
    EMPTY = "empty"
    """Answered as done, but the rows are missing: a history that is not loaded yet, a price that is not
    there."""
    PARTIAL = "partial"
    """Only the first rows are there, by default half of them, under return code 14 or another (0: nothing
    shows it)."""
    LIE = "lie"
    """Fields of the answer hold given values, or are absent."""
    DOUBLE = "double"
    """The rows stand twice in the answer; the copy may differ in given fields."""
    PARTIAL_FILL = "partial_fill"
    """The dealer executes only some lots of an order and cancels the rest (10010)."""
    DEALER_REFUSES = "dealer_refuses"
    """The dealer refuses an order that was queued, by default with a requote (10004)."""


IN_ANSWERS = frozenset({FaultKind.EMPTY, FaultKind.PARTIAL, FaultKind.LIE, FaultKind.DOUBLE})
AT_THE_DEALER = frozenset({FaultKind.PARTIAL_FILL, FaultKind.DEALER_REFUSES})
ON_THE_WAY = frozenset(FaultKind) - IN_ANSWERS - AT_THE_DEALER

RETURN_CODES = {
    1: "OK/None", 2: "Error", 3: "Invalid parameters", 4: "Invalid data", 5: "Disk error", 6: "Memory error",
    7: "Network error", 8: "Not enough permissions", 9: "Timeout", 10: "No connection",
    11: "Service unavailable", 12: "Too frequent requests", 13: "Not found",
    PARTIAL: "Operation has not been completed", 15: "Shutting down", 16: "Canceled", 17: "Duplicate",
    REQUOTE: "Requote", 10006: "Rejected", 10012: "Timeout", 10018: "Market closed",
    10019: "Not enough money", 10021: "No price",
}  # fmt: skip

Fields = dict[str, str | None]


def code_text(code: int) -> str:
    return RETURN_CODES.get(code, "Refused")


@dataclass(slots=True)
class Fault:
    """`skip` calls are let through first, then `calls` are hit (0: all until disarmed).

    `command` is a mask (`deal/*`). `login` 0 and `symbol` blank mean any; in an answer with rows of several,
    only theirs are touched. `volume` in 1e-8 lots; a field that is to be absent has the value None.
    """

    command: str
    kind: FaultKind
    calls: int = 1
    skip: int = 0
    login: int = 0
    symbol: str = ""
    seconds: float = 0.0
    code: int = 0
    rows: int | None = None
    volume: int = 0
    fields: Fields = field(default_factory=dict)
    number: int = 0
    hits: int = 0

    def hits_now(self) -> bool:
        """Count one call that it concerns; whether this one is hit."""
        if self.skip:
            self.skip -= 1
            return False
        self.hits += 1
        return True

    @property
    def is_spent(self) -> bool:
        return 0 < self.calls <= self.hits


class Faults:
    def __init__(self) -> None:
        self._armed: list[Fault] = []
        self._numbers = itertools.count(1)
        self.late = 0
        """Calls that were accepted and are still to be carried out."""

    @property
    def armed(self) -> tuple[Fault, ...]:
        return tuple(self._armed)

    def arm(self, fault: Fault) -> int:
        fault.number = next(self._numbers)
        self._armed.append(fault)
        return fault.number

    def disarm(self, number: int | None = None) -> bool:
        """Take back one fault, or all; whether there was any."""
        kept = [] if number is None else [fault for fault in self._armed if fault.number != number]
        found, self._armed = len(kept) < len(self._armed), kept
        return found

    def take(self, command: str, logins: Collection[int], kinds: Collection[FaultKind]) -> Fault | None:
        """The first fault of these kinds that hits this call, counted."""
        for fault in self._meant(command, kinds):
            if fault.login and fault.login not in logins:
                continue
            if fault.hits_now():
                self._drop_spent()
                return fault
        return None

    def distort(self, command: str, logins: Collection[int], members: dict[str, object]) -> dict[str, object]:
        """The answer as the armed faults would have it; itself where none concerns it."""
        for fault in list(self._meant(command, IN_ANSWERS)):
            touched = _Touched(fault, logins, members.get("answer"))
            if touched.concerned and fault.hits_now():
                members = touched.distorted(members)
        self._drop_spent()
        return members

    def _meant(self, command: str, kinds: Collection[FaultKind]) -> Iterator[Fault]:
        for fault in self._armed:
            if fault.kind in kinds and matching(fault.command, [command]):
                yield fault

    def _drop_spent(self) -> None:
        self._armed = [fault for fault in self._armed if not fault.is_spent]


class _Touched:
    """Which rows of an answer a fault is about."""

    def __init__(self, fault: Fault, logins: Collection[int], answer: object) -> None:
        self._fault = fault
        self._is_list = isinstance(answer, list)
        self._rows: list[object] = list(answer) if isinstance(answer, list) else [answer]
        asked_for = not fault.login or fault.login in logins
        self._is_meant = [self._means(row, asked_for) for row in self._rows]
        # an empty list that was asked for by login counts as a call, too
        self.concerned = any(self._is_meant) or (not self._rows and asked_for)

    def distorted(self, members: dict[str, object]) -> dict[str, object]:
        fault = self._fault
        if fault.kind is FaultKind.EMPTY:
            return {**members, "answer": list(self._others())}
        if fault.kind is FaultKind.PARTIAL:
            code = {"retcode": f"{fault.code} {code_text(fault.code)}"} if fault.code else {}
            return {**members, **code, **({"answer": self._first_rows()} if self._is_list else {})}
        rows: list[object] = []
        for row, is_meant in zip(self._rows, self._is_meant, strict=True):
            if not is_meant or not isinstance(row, dict):
                rows.append(row)
                continue
            if fault.kind is FaultKind.DOUBLE:
                rows.append(row)
            rows.append(_with_fields(row, fault.fields))
        return {**members, "answer": rows if self._is_list or len(rows) != 1 else rows[0]}

    def _means(self, row: object, asked_for: bool) -> bool:
        fault = self._fault
        if not isinstance(row, dict):
            return asked_for and not fault.symbol
        if fault.login and "Login" in row and row["Login"] != str(fault.login):
            return False
        if fault.symbol and row.get("Symbol") != fault.symbol:
            return False
        return asked_for or "Login" in row

    def _others(self) -> Iterable[object]:
        return (row for row, is_meant in zip(self._rows, self._is_meant, strict=True) if not is_meant)

    def _first_rows(self) -> list[object]:
        limit = sum(self._is_meant) // 2 if self._fault.rows is None else self._fault.rows
        kept: list[object] = []
        for row, is_meant in zip(self._rows, self._is_meant, strict=True):
            limit -= is_meant
            if not is_meant or limit >= 0:
                kept.append(row)
        return kept


def _with_fields(row: dict[str, object], fields: Fields) -> dict[str, object]:
    """The row with some fields replaced or absent, named without regard to letter case."""
    names = {name.lower(): name for name in row}
    changed = dict(row)
    for given, value in fields.items():
        name = names.get(given.lower(), given)
        if value is None:
            changed.pop(name, None)
        else:
            changed[name] = value
    return changed
