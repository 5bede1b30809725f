"""Measuring in pairs: the floor, then the product, again and again in one run.

Seconds of one machine say nothing about another; how often the floor's go into the product's does. Judged is
the median of the paired ratios. Where the floor itself was unsteady nothing is judged.
"""

import gc
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tools.bench.database import Database
from tools.bench.machine import wait_until_idle

MOST_SPREAD = 1.5
ENOUGH_PAIRS = 3
BUDGET_SECONDS = 100.0
"""After which no further pair is begun where there are enough, and after twice as long in any case: what
takes minutes is measured less often, and the table says how often.
"""


@dataclass(frozen=True, slots=True)
class Pair:
    floor: float
    product: float

    @property
    def ratio(self) -> float:
        return self.product / self.floor


@dataclass(frozen=True, slots=True)
class Ratios:
    """Seconds of each pair. `spread` is the floor's slowest by its fastest."""

    pairs: tuple[Pair, ...]
    disturbed: int = 0

    @property
    def ratio(self) -> float:
        return statistics.median(pair.ratio for pair in self.pairs)

    @property
    def least(self) -> float:
        return min(pair.ratio for pair in self.pairs)

    @property
    def most(self) -> float:
        return max(pair.ratio for pair in self.pairs)

    @property
    def floor(self) -> float:
        return statistics.median(pair.floor for pair in self.pairs)

    @property
    def product(self) -> float:
        return statistics.median(pair.product for pair in self.pairs)

    @property
    def spread(self) -> float:
        floors = [pair.floor for pair in self.pairs]
        return max(floors) / min(floors)

    @property
    def is_steady(self) -> bool:
        return self.spread <= MOST_SPREAD


def measure_pairs(
    database: Database,
    floor: Callable[[], float],
    product: Callable[[], float],
    count: int,
) -> Ratios:
    """`floor` and `product` prepare what they need and answer the seconds of the judged part alone."""
    pairs: list[Pair] = []
    disturbed, began = 0, time.monotonic()
    while len(pairs) < count:
        patience = BUDGET_SECONDS if len(pairs) >= ENOUGH_PAIRS else 2 * BUDGET_SECONDS
        if pairs and time.monotonic() - began > patience:
            break
        seconds = []
        for measured in (floor, product):
            gc.collect()
            disturbed += not wait_until_idle()
            database.checkpoint()
            seconds.append(measured())
        pairs.append(Pair(*seconds))
        print(f"    {seconds[0]:8.3f} s  {seconds[1]:8.3f} s  {pairs[-1].ratio:8.3f}", flush=True)
    return Ratios(tuple(pairs), disturbed)


def slope(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Exponent of the growth: least squares through the logarithms. 0: constant, 1: linear."""
    logs = [[math.log(number) for number in numbers] for numbers in (sizes, seconds)]
    return statistics.linear_regression(*logs).slope
