"""Statements as they are read from what happened: nothing of them is stored.

Of every kind there is the statement itself (figures and sums) and its lines: a page asks for one screen of
them, a file for all in portions.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from statements.calc.period import Period
from statements.models import StatementKind
from statements.queries.agent import (
    AgentLine,
    AgentStatement,
    agent_lines,
    agent_statement,
    all_agent_lines,
)
from statements.queries.investor import (
    InvestorLine,
    InvestorStatement,
    all_investor_lines,
    investor_lines,
    investor_statement,
)
from statements.queries.manager import (
    ManagerLine,
    ManagerStatement,
    all_manager_lines,
    manager_lines,
    manager_statement,
)
from statements.queries.people import Subject, first_day_of, get_subject_for, subject_of, zone_of

Statement = InvestorStatement | ManagerStatement | AgentStatement
Line = InvestorLine | ManagerLine | AgentLine
MOST_READINGS = 5


class NeverAtRest(RuntimeError):
    """Something was booked during every reading of the statement."""


@dataclass(frozen=True, slots=True)
class _Reader:
    statement: Callable[[Subject, Period], Any]
    lines: Callable[[Any, int, int | None], Sequence[Any]]
    all_lines: Callable[[Any], Iterator[Sequence[Any]]]


_READERS = {
    StatementKind.INVESTOR: _Reader(investor_statement, investor_lines, all_investor_lines),
    StatementKind.MANAGER: _Reader(manager_statement, manager_lines, all_manager_lines),
    StatementKind.AGENT: _Reader(agent_statement, agent_lines, all_agent_lines),
}


def statement_of(subject: Subject, period: Period) -> Statement:
    """Four statements to the database at most, whatever happened in the period."""
    statement: Statement = _READERS[subject.kind].statement(subject, period)
    return statement


def lines_of(statement: Statement, start: int, stop: int) -> Sequence[Line]:
    """The lines from `start` to just before `stop`. Two statements to the database at most."""
    return _READERS[statement.subject.kind].lines(statement, start, stop)


def all_lines(statement: Statement) -> Iterator[Sequence[Line]]:
    """All lines in portions, each read in the scope of whoever asks for it."""
    return _READERS[statement.subject.kind].all_lines(statement)


def complete_statement(
    subject: Subject, period: Period, note: Callable[[int, int], None] | None = None
) -> tuple[Statement, list[Sequence[Line]]]:
    """The statement and all its lines, which sum to its totals: read until nothing was booked meanwhile.

    History is only added to: where the totals before and after the lines are equal, nothing came between.
    `note` is told how many lines were read, of how many. Raises `NeverAtRest`.
    """
    for _reading in range(MOST_READINGS):
        statement = statement_of(subject, period)
        portions: list[Sequence[Line]] = []
        _tell(note, portions, statement)
        for portion in all_lines(statement):
            portions.append(portion)
            _tell(note, portions, statement)
        if statement_of(subject, period) == statement:
            return statement, portions
    raise NeverAtRest(str(subject.user.public_id))


def _tell(
    note: Callable[[int, int], None] | None, portions: Sequence[Sequence[Line]], statement: Statement
) -> None:
    if note is not None:
        note(sum(len(portion) for portion in portions), statement.line_count)


__all__ = [
    "AgentLine",
    "AgentStatement",
    "InvestorLine",
    "InvestorStatement",
    "Line",
    "ManagerLine",
    "ManagerStatement",
    "NeverAtRest",
    "Statement",
    "Subject",
    "all_lines",
    "complete_statement",
    "first_day_of",
    "get_subject_for",
    "lines_of",
    "statement_of",
    "subject_of",
    "zone_of",
]
