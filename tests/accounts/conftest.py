"""Fixtures of the tests of people and doors."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from brokers.scope import broker_scope
from tests.simulator import MANAGER_LOGIN, MANAGER_PASSWORD, SimulatorProcess
from tests.worlds import AliceBobCharlie, alice_bob_charlie
from trading.models import TradingServer


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    process = SimulatorProcess(Path(tmp_path_factory.mktemp("simulator"))).start()
    yield process
    process.stop()


@pytest.fixture
def world(committed_db: str, simulator: SimulatorProcess) -> AliceBobCharlie:
    """Alice, Bob and Charlie, committed, and at both brokers a trading server that answers."""
    world = alice_bob_charlie()
    for broker in (world.alpha, world.beta):
        with broker_scope(broker.pk):
            server = TradingServer.objects.get()
            server.host, server.port = simulator.host, simulator.port
            server.manager_login, server.manager_password = MANAGER_LOGIN, MANAGER_PASSWORD
            server.ca_certificate = simulator.certificate
            server.save()
    return world
