"""Where the time of a round goes: by kind of statement and table, and what is left for Python."""

import re
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from django.db import connection

from tools.bench.dataset import Loaded
from tools.bench.rollovers import Clock, prepare_round, roll_over, settle

SHOWN = 7
_WORDS = re.compile(
    r"\b(?P<verb>INSERT INTO|UPDATE|DELETE FROM|FROM)\s+\(*\"?(?:pg_temp\.|public\.)?\"?"
    r"(?P<table>(?!select\b)\w+)",
    re.IGNORECASE,
)


class StatementClock:
    """Seconds by what a statement does and the table it names first; COPY and fetching pass it by."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def __call__(
        self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        started = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self.seconds[kind_of(str(sql))] += time.perf_counter() - started


def kind_of(sql: str) -> str:
    """`INSERT INTO fees_charge`, `SELECT allocation_investment`, …"""
    found = _WORDS.search(sql)
    if found is None:
        return " ".join(sql.split()[:1]).upper()
    verb = found["verb"].upper()
    return f"{'SELECT' if verb == 'FROM' else verb} {found['table']}"


def profile_of_round(loaded: Loaded) -> str:
    """One more round, not among those that are judged: its steps by their part of the time."""
    statements, clock = StatementClock(), Clock()
    due = prepare_round(loaded)
    with connection.execute_wrapper(statements):
        roll_over(loaded, due, clock)
    settle(loaded)
    by_time = sorted(statements.seconds.items(), key=lambda part: part[1], reverse=True)
    longest = [
        ("Python, COPY and fetching", clock.total - sum(statements.seconds.values())),
        *by_time[:SHOWN],
        (f"{len(by_time[SHOWN:])} others", sum(seconds for _, seconds in by_time[SHOWN:])),
    ]
    return "profile: " + ", ".join(f"{name} {seconds / clock.total:.0%}" for name, seconds in longest)
