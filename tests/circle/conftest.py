"""A trading server in its own process, and a desk at broker A on a database of the test's own."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from brokers.scope import broker_scope
from tests.circle.world import Calendar, Desk, calendar_from_first_day
from tests.simulator import SimulatorProcess
from tests.worlds import broker_called


def zone_at_noon() -> str:
    """A zone in which it is about noon now: no test falls into the quiet window around the server's
    midnight.
    """
    offset = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-offset:+d}" if offset else "Etc/GMT"


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """One trading server for the run; every test opens its own accounts on it."""
    process = SimulatorProcess(tmp_path_factory.mktemp("market"), timezone=zone_at_noon()).start()
    yield process
    process.stop()


@pytest.fixture
def calendar(market: SimulatorProcess) -> Iterator[Calendar]:
    """To be asked for before `desk`: then everything of the test begins on its first day."""
    with calendar_from_first_day(market) as calendar:
        yield calendar


@pytest.fixture
def desk(committed_db: str, market: SimulatorProcess) -> Iterator[Desk]:
    with broker_scope(broker_called("a").pk):
        yield Desk.open(market)
    market.clear_faults()
