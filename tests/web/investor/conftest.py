"""Investor pages: read in the world of Alice, Bob and Charlie; money is asked for at a desk with a real
server.
"""

from collections.abc import Callable, Iterator

import pytest
from django.test import Client

from accounts.models import User
from brokers.scope import broker_scope
from tests.circle.conftest import zone_at_noon
from tests.circle.world import Desk
from tests.simulator import SimulatorProcess
from tests.worlds import AliceBobCharlie, alice_bob_charlie, broker_called

Visit = Callable[[User], Client]


@pytest.fixture
def world(db: None) -> Iterator[AliceBobCharlie]:
    made = alice_bob_charlie()
    with broker_scope(made.alpha.pk):
        yield made


@pytest.fixture
def visit() -> Visit:
    """A browser in which somebody is signed in, on the host of his broker."""

    def signed_in(user: User) -> Client:
        with broker_scope(user.broker_id):
            client = Client(SERVER_NAME=f"{user.broker.slug}.localhost")
            client.force_login(user)
        return client

    return signed_in


@pytest.fixture
def bob(world: AliceBobCharlie, visit: Visit) -> Client:
    return visit(world.bob)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    process = SimulatorProcess(tmp_path_factory.mktemp("market"), timezone=zone_at_noon()).start()
    yield process
    process.stop()


@pytest.fixture
def desk(committed_db: str, market: SimulatorProcess) -> Iterator[Desk]:
    """Broker `alpha` on a database of the test's own, with a trading server that answers."""
    with broker_scope(broker_called("alpha").pk):
        yield Desk.open(market, "alpha")
