"""Manager pages are read by signed-in people in the world of Alice, Bob and Charlie."""

from collections.abc import Callable, Iterator

import pytest
from django.test import Client

from accounts.models import User
from brokers.scope import broker_scope
from tests.worlds import AliceBobCharlie, alice_bob_charlie

Visit = Callable[[User], Client]


@pytest.fixture
def world(db: None) -> Iterator[AliceBobCharlie]:
    made = alice_bob_charlie()
    with broker_scope(made.alpha.pk):
        yield made


@pytest.fixture
def visit() -> Visit:
    """A browser in which somebody is signed in, on a broker's own host."""

    def signed_in(user: User, host: str = "alpha.localhost") -> Client:
        client = Client(SERVER_NAME=host)
        with broker_scope(user.broker_id):
            client.force_login(user)
        return client

    return signed_in


@pytest.fixture
def alice(world: AliceBobCharlie, visit: Visit) -> Client:
    return visit(world.alice)
