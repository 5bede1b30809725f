"""Workers: two against one on the same rollovers, and what one holds in memory as it goes on and on."""

import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.bench.dataset import Loaded, Sizes
from tools.bench.harness import Harness, Result
from tools.bench.investors import large
from tools.bench.month_end import month_end_sizes
from tools.bench.pairs import measure_pairs
from tools.bench.roller import Roller, hand_over, rollers
from tools.bench.rollovers import prepare_round, settle

MUST_SPEED_UP = 1.7
MOST_MEGABYTES = 500
MOST_GROWTH = 1.05
"""Of the memory held after the second round; the first one imports and prepares."""
MEMORY_ROUNDS = 6
MONTH_END_PART = 10
"""Of the large size: what a month end holds in memory shows long before a million."""
MEGABYTE = 2**20


def bench_workers(harness: Harness) -> list[Result]:
    """Rounds of one worker process and of two, in turn; each takes its slices, nobody waits for anybody."""
    loaded = harness.loaded(large(harness))
    with loaded.database.application(), TemporaryDirectory() as folder, rollers(2) as pair:
        path = Path(folder) / "loaded"
        # The first round of a process imports and connects.
        _round(loaded, pair, path)
        ratios = measure_pairs(
            loaded.database,
            lambda: _round(loaded, pair, path),
            lambda: _round(loaded, pair[:1], path),
            harness.pairs,
        )
    return [
        Result(
            bench="workers",
            what="rollovers of one worker process / of two",
            sizes=str(loaded.sizes),
            figure=f"{ratios.ratio:.2f} [{ratios.least:.2f}–{ratios.most:.2f}]",
            must=f"≥ {MUST_SPEED_UP:g}",
            holds=ratios.ratio >= MUST_SPEED_UP if ratios.is_steady else None,
            seconds=f"{ratios.product:.3f} / {ratios.floor:.3f} s, {len(ratios.pairs)} pairs",
            why="" if ratios.is_steady else f"unsteady: slowest / fastest {ratios.spread:.2f}",
        )
    ]


def _round(loaded: Loaded, workers: list[Roller], path: Path) -> float:
    due = prepare_round(loaded)
    hand_over(loaded, path)
    started = time.perf_counter()
    for number, worker in enumerate(workers):
        worker.begin(path, due[number :: len(workers)])
    for worker in workers:
        worker.finish()
    seconds = time.perf_counter() - started
    settle(loaded)
    return seconds


def bench_memory(harness: Harness) -> list[Result]:
    """One worker, round after round: a slice of ordinary rollovers, and a month end of large accounts."""
    month_end = month_end_sizes(max(harness.size // MONTH_END_PART, 100))
    return [
        _memory(harness, "ordinary hours", large(harness), min(MEMORY_ROUNDS, 2 * harness.pairs)),
        _memory(harness, "a month end", month_end, min(4, harness.pairs)),
    ]


def _memory(harness: Harness, what: str, sizes: Sizes, rounds: int) -> Result:
    loaded = harness.loaded(sizes)
    resident = []
    with loaded.database.application(), TemporaryDirectory() as folder, rollers(1) as (worker,):
        for _ in range(rounds):
            due = prepare_round(loaded)
            worker.begin(hand_over(loaded, Path(folder) / "loaded"), due)
            resident.append(worker.finish().resident / MEGABYTE)
            settle(loaded)
            print(f"    {resident[-1]:8.1f} MB", flush=True)
    settled = resident[1:] or resident
    growth = settled[-1] / settled[0]
    return Result(
        bench="memory",
        what=f"memory of a worker, {rounds} rounds of {what}; growth after the second {growth:.3f}",
        sizes=str(sizes),
        figure=f"{statistics.median(settled):.0f} MB [{min(resident):.0f}–{max(resident):.0f}]",
        must=f"≤ {MOST_MEGABYTES} MB",
        holds=max(resident) <= MOST_MEGABYTES and growth <= MOST_GROWTH,
    )
