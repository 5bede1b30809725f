"""A simulated server shared by a whole run, and one of its own for tests that kill or configure it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulator import SimulatorProcess
from trading.mt5.gateway import Mt5Gateway


@pytest.fixture(scope="session")
def running_simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    process = SimulatorProcess(tmp_path_factory.mktemp("simulator")).start()
    yield process
    process.stop()


@pytest.fixture
def simulator(running_simulator: SimulatorProcess) -> Iterator[SimulatorProcess]:
    """Shared: a test makes its own accounts and sets the prices it relies on."""
    yield running_simulator
    running_simulator.clear_faults()


@pytest.fixture
def gateway(simulator: SimulatorProcess) -> Iterator[Mt5Gateway]:
    gateway = simulator.gateway(answer_timeout=3.0)
    yield gateway
    gateway.close()


@pytest.fixture
def own_simulator(tmp_path: Path) -> Iterator[SimulatorProcess]:
    process = SimulatorProcess(tmp_path / "books").start()
    yield process
    process.stop()
