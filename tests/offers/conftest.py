"""Offers are tested in the world of Alice, Bob and Charlie, in the scope of Alice's broker."""

from collections.abc import Iterator

import pytest

from accounts.models import PammAccount, User
from brokers.scope import broker_scope
from offers.models import Offer
from tests.worlds import AliceBobCharlie, alice_bob_charlie


@pytest.fixture
def world(db: None) -> Iterator[AliceBobCharlie]:
    made = alice_bob_charlie()
    with broker_scope(made.alpha.pk):
        yield made


@pytest.fixture
def alice(world: AliceBobCharlie) -> User:
    return world.alice


@pytest.fixture
def bob(world: AliceBobCharlie) -> User:
    return world.bob


@pytest.fixture
def account(world: AliceBobCharlie) -> PammAccount:
    return world.pool.account


@pytest.fixture
def offer(world: AliceBobCharlie) -> Offer:
    return world.pool.offer
