"""P20: how many statements a rollover sends, as accounts and investors grow."""

from collections.abc import Callable
from typing import Any

from django.db import connection

from tools.bench.dataset import Sizes
from tools.bench.harness import Harness, Result
from tools.bench.rollovers import Clock, prepare_round, roll_over, settle

ACCOUNTS, INVESTMENTS, TIMES = 4, 12, 3


class Counter:
    """Counts the statements Django sends; COMMIT and COPY pass it by."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, execute: Callable[..., Any], *arguments: Any) -> Any:
        self.count += 1
        return execute(*arguments)


def bench_statements(harness: Harness) -> list[Result]:
    """Three data sets: small, more accounts, more investors."""
    small, accounts, investors, due = (
        _statements(harness, sizes)
        for sizes in (
            Sizes(ACCOUNTS, ACCOUNTS * INVESTMENTS, ACCOUNTS, 1),
            Sizes(ACCOUNTS * TIMES, ACCOUNTS * TIMES * INVESTMENTS, ACCOUNTS * TIMES, 1),
            Sizes(ACCOUNTS, ACCOUNTS * TIMES * INVESTMENTS, ACCOUNTS, 1),
            Sizes(ACCOUNTS, ACCOUNTS * TIMES * INVESTMENTS, ACCOUNTS, INVESTMENTS),
        )
    )
    return [
        Result(
            bench="P20",
            what=f"statements of a rollover with {TIMES} times the investors: more of them",
            sizes=f"{ACCOUNTS} accounts, {INVESTMENTS} → {INVESTMENTS * TIMES} investments each",
            figure=f"{investors - small} ({small} → {investors})",
            must="0",
            holds=investors == small,
        ),
        Result(
            bench="P20",
            what=f"statements of a rollover with {INVESTMENTS} times the fees due: more of them",
            sizes=f"{ACCOUNTS} accounts, 1 → {INVESTMENTS} fees due in each",
            figure=f"{due - investors} ({investors} → {due})",
            must="0",
            holds=due == investors,
        ),
        Result(
            bench="P20",
            what="statements an account, as accounts grow",
            sizes=f"{ACCOUNTS} → {ACCOUNTS * TIMES} accounts of {INVESTMENTS} investments",
            figure=f"{small / ACCOUNTS:.1f} → {accounts / ACCOUNTS / TIMES:.1f}",
            must="no more",
            holds=accounts <= small * TIMES,
        ),
    ]


def _statements(harness: Harness, sizes: Sizes) -> int:
    loaded = harness.loaded(sizes)
    counter = Counter()
    with loaded.database.application():
        due = prepare_round(loaded)
        with connection.execute_wrapper(counter):
            roll_over(loaded, due, Clock())
        settle(loaded)
    return counter.count
