"""Waiting for what other processes do."""

import time
from collections.abc import Callable

import pytest

from tests.reliability.fleet import Fleet

PATIENCE = 120.0


def until(condition: Callable[[], bool], fleet: Fleet, seconds: float = PATIENCE) -> float:
    """Wait until the condition holds; seconds it took. Fails with the ends of the fleet's logs."""
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > seconds:
            tails = "\n".join(f"--- {member.name}\n{member.written()[-1500:]}" for member in fleet.members)
            pytest.fail(f"not after {seconds} s\n{tails}")
        time.sleep(0.05)
    return time.monotonic() - begun
