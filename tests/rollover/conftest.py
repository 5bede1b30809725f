"""Rollovers without a trading server: the world of Alice, Bob and Charlie, in the scope of Alice's broker."""

from collections.abc import Iterator

import pytest

from brokers.scope import broker_scope
from tests.worlds import AliceBobCharlie, alice_bob_charlie


@pytest.fixture
def world(db: None) -> Iterator[AliceBobCharlie]:
    made = alice_bob_charlie()
    with broker_scope(made.alpha.pk):
        yield made
