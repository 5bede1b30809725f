"""A trading server of this folder's own: seeds move its clock and expect its midnight where they know it."""

from collections.abc import Iterator

import pytest

from tests.simulation.campaign import ZONE
from tests.simulator import SimulatorProcess


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    process = SimulatorProcess(tmp_path_factory.mktemp("seeds"), timezone=ZONE).start()
    yield process
    process.stop()
