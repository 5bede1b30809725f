"""Random brokers on the real services, PostgreSQL and simulated server, beside a model of the rules.

`make soak` plays hundreds of seeds; `python -m tests.simulation 17` plays one again.
"""

import pytest

from tests.counts import cases
from tests.simulation.campaign import run_seed
from tests.simulation.world import Troubles
from tests.simulator import SimulatorProcess

SEEDS = (4, 28, 52)
"""Bugs were found by these, before there were stops; `test_found_by_seeds` tells them without chance."""
SEEDS_WITH_STOPS = (2, 9)
"""In these stops of both kinds are reached, deposits go back, and accounts are suspended."""
CALM = Troubles(storms=0)
IN_TURNS = Troubles(storms=0, calm_workers=0.3)


@pytest.mark.parametrize("seed", SEEDS)
def test_seed_with_faults_crashes_and_strange_hands_ends_where_the_model_ends(
    committed_db: str, market: SimulatorProcess, seed: int
) -> None:
    verdict = run_seed(seed, market, with_stops=False)
    assert not verdict.differences, str(verdict)


@pytest.mark.parametrize("seed", SEEDS_WITH_STOPS)
def test_seed_with_stops_and_suspensions_ends_where_the_model_ends(
    committed_db: str, market: SimulatorProcess, seed: int
) -> None:
    verdict = run_seed(seed, market)
    assert not verdict.differences, str(verdict)
    for happened in ("stop_loss of", "take_profit of", "goes back", "suspend in"):
        assert any(happened in line for line in verdict.log), happened


@pytest.mark.parametrize("seed", range(1, 1 + cases(push=1, soak=40)))
def test_two_workers_in_turns_write_the_same_money_as_one(
    committed_db: str, market: SimulatorProcess, seed: int
) -> None:
    hours = cases(push=5, soak=8)
    one = run_seed(seed, market, hours=hours, troubles=CALM)
    two = run_seed(seed, market, hours=hours, troubles=IN_TURNS)
    assert not one.differences, str(one)
    assert not two.differences, str(two)
    assert any("another worker" in line for line in two.log)
    assert one.digest == two.digest
