"""The world of Alice, Bob and Charlie, read by signed-in people."""

from collections.abc import Callable, Iterator

import pytest
from django.test import Client

from accounts.models import User
from brokers.scope import broker_scope
from tests.worlds import AliceBobCharlie, alice_bob_charlie, signed_in

Visit = Callable[[User], Client]


@pytest.fixture
def world(db: None) -> Iterator[AliceBobCharlie]:
    made = alice_bob_charlie()
    with broker_scope(made.alpha.pk):
        yield made


@pytest.fixture
def visit() -> Visit:
    """A browser in which somebody is signed in, staff with their second factor."""
    return signed_in


@pytest.fixture
def bob(world: AliceBobCharlie, visit: Visit) -> Client:
    return visit(world.bob)


@pytest.fixture
def alice(world: AliceBobCharlie, visit: Visit) -> Client:
    return visit(world.alice)
