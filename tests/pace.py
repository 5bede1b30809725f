"""How fast the machine is at this moment, for the few tests that hold a time against a limit."""

import time
from collections.abc import Callable
from decimal import Decimal
from statistics import median

NOMINAL_SECONDS = 0.016
"""What the work below takes where the limits of the tests were set."""


def slowness(clock: Callable[[], float] = time.perf_counter) -> float:
    """How many times slower than there a fixed piece of Python goes now; 1 on a faster machine.

    Others may use the same cores, and cores differ. A limit multiplied by this still fails when the code
    under test does more work than it should. Give the clock that the test itself uses.
    """
    return max(1.0, median(_seconds_of_work(clock) for _ in range(7)) / NOMINAL_SECONDS)


def _seconds_of_work(clock: Callable[[], float]) -> float:
    began = clock()
    total = Decimal(0)
    for number in range(60_000):
        total += Decimal(number) * 7 / 11
    assert total > 0
    return clock() - began
