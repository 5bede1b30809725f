"""P1 and P2: what a rollover costs, and how little of it grows with the investors."""

import statistics

from django.db import connection

from tools.bench.dataset import Loaded, Sizes
from tools.bench.floors import LedgerCopy
from tools.bench.harness import Harness, Result
from tools.bench.machine import wait_until_idle
from tools.bench.pairs import measure_pairs, slope
from tools.bench.profile import profile_of_round
from tools.bench.report import judged
from tools.bench.rollovers import Clock, measured_round, prepare_round, roll_over, send_some, settle

MUST = 0.15
MUST_GROW = 0.15
STEPS = (100, 10, 1)
"""Of the large size: the three that the slope is drawn through."""
ROUNDS = 3
SENT_ACCOUNTS = 50


def large(harness: Harness) -> Sizes:
    """One request and one due fee in each of the accounts."""
    return Sizes(harness.accounts, harness.size, requests=harness.accounts, due=1)


def bench_rollover(harness: Harness) -> list[Result]:
    """Claim to commit of every account, against COPY of one row per investment."""
    loaded = harness.loaded(large(harness))
    clocks: list[Clock] = []

    def product() -> float:
        clocks.append(measured_round(loaded))
        return clocks[-1].total

    with loaded.database.application():
        ratios = measure_pairs(
            loaded.database, LedgerCopy(loaded.database, harness.size), product, harness.pairs
        )
        apart = f"{_apart(loaded)}\n{profile_of_round(loaded)}"
    each = ratios.product / loaded.sizes.accounts * 1_000
    steps = ", ".join(
        f"{name} {statistics.median(clock.seconds[name] for clock in clocks):.3f}"
        for name in clocks[0].seconds
    )
    what = f"rollover / F1\n{each:.2f} ms an account ({steps} s)\n{apart}"
    return [judged("P1", what, str(loaded.sizes), ratios, MUST)]


def _apart(loaded: Loaded) -> str:
    """What is not in the figure, or explains it: from a round of its own."""
    due = prepare_round(loaded)
    before = loaded.database.rows_written()
    roll_over(loaded, due, Clock())
    with connection.cursor() as cursor:
        # Else these rows are counted when the session finds the time.
        cursor.execute("SELECT pg_stat_force_next_flush()")
    rows = (loaded.database.rows_written() - before) / loaded.sizes.accounts
    seconds, operations = send_some(loaded, SENT_ACCOUNTS)
    settle(loaded)
    return f"{rows:.0f} rows each; sending, apart: {seconds / operations * 1_000:.2f} ms a balance operation"


def bench_growth(harness: Harness) -> list[Result]:
    """The same accounts, requests and fees with 100 times the investors; sizes take turns."""
    full = large(harness)
    least = full.accounts * (ROUNDS + 4)
    sizes = [
        Sizes(full.accounts, max(least, full.investments // step), full.requests, full.due) for step in STEPS
    ]
    loaded = [harness.loaded(size) for size in sizes]
    seconds: list[list[float]] = [[] for _ in sizes]
    rounds = min(ROUNDS, harness.pairs)
    for _ in range(rounds):
        for database, took in zip(loaded, seconds, strict=True):
            wait_until_idle()
            took.append(_round_of(database))
        print("    " + "  ".join(f"{took[-1]:8.3f} s" for took in seconds), flush=True)
    medians = [statistics.median(took) for took in seconds]
    found = slope([size.investments for size in sizes], medians)
    shown = " → ".join(f"{median:.3f}" for median in medians)
    counts = " → ".join(f"{size.investments:,}" for size in sizes)
    return [
        Result(
            bench="P2",
            what="growth of a rollover with investors: exponent",
            sizes=f"{counts} investments, {full.accounts:,} accounts, requests and fees each",
            figure=f"{found:.3f}",
            must=f"≤ {MUST_GROW:g}",
            holds=found <= MUST_GROW,
            seconds=f"{shown} s, {rounds} rounds",
        )
    ]


def _round_of(loaded: Loaded) -> float:
    with loaded.database.application():
        return measured_round(loaded).total
