"""A stage per test: a scenario prepared in the test's own database, with a trading server of its own."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.utils import timezone

from brokers.scope import broker_scope
from pamm_platform.embedded import Services
from tests.circle.conftest import zone_at_noon
from tests.circle.world import Desk
from tests.crashes.stage import ForkedSimulator, Stage
from tests.worlds import broker_called

MEMORY = Path("/dev/shm")
REPORT = pytest.StashKey[list[str]]()

StageWith = Callable[[Callable[[Desk], object]], Stage]


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder for trading servers, which write through to the disk before they answer: one in memory is as
    good.
    """
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def stage_with(committed_db: str, services: Services, memory: Path) -> Iterator[StageWith]:
    """Makes the stage from what prepares the scenario at a desk."""
    with ExitStack() as kept:

        def prepared(scenario: Callable[[Desk], object]) -> Stage:
            simulator = ForkedSimulator(memory / "prepared", timezone=zone_at_noon()).start()
            kept.callback(simulator.kill)
            with broker_scope(broker_called("a").pk):
                desk = Desk.open(simulator)
                scenario(desk)
            stage = Stage(services, committed_db, simulator, desk.broker.pk, timezone.now())
            return kept.enter_context(stage.open())

        yield prepared


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Prints a line below the test run's results."""
    return request.config.stash.setdefault(REPORT, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(REPORT, []):
        terminalreporter.write_line(line)


@pytest.fixture
def desk(committed_db: str, memory: Path) -> Iterator[Desk]:
    """At a trading server of the test's own, a fork of this process."""
    simulator = ForkedSimulator(memory / "market", timezone=zone_at_noon()).start()
    try:
        with broker_scope(broker_called("a").pk):
            yield Desk.open(simulator)
    finally:
        simulator.kill()
