"""Two brokers with a row in every table of each, made once per module."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import models, transaction
from pytest_django.plugin import DjangoDbBlocker

from brokers.models import Broker
from brokers.scope import broker_scope
from tests.conftest import _connected_to as connected_to
from tests.databases import TestDatabases
from tests.isolation.rows import fill_every_table
from tests.worlds import AliceBobCharlie, alice_bob_charlie

Rows = dict[type[models.Model], Any]


@dataclass(frozen=True, slots=True)
class Filled:
    """The world of Alice, Bob and Charlie; `alphas` and `betas` hold a row of each table."""

    world: AliceBobCharlie
    alphas: Rows
    betas: Rows


@pytest.fixture(scope="module")
def filled(
    django_db_setup: None, test_databases: TestDatabases, django_db_blocker: DjangoDbBlocker
) -> Iterator[Filled]:
    """Committed in a clone of the module's own."""
    services = test_databases.services
    with test_databases.clone() as name, django_db_blocker.unblock(), connected_to(services, name):
        world = alice_bob_charlie()
        with broker_scope(world.alpha.pk):
            alphas = fill_every_table() | {Broker: world.alpha}
        with broker_scope(world.beta.pk):
            betas = fill_every_table() | {Broker: world.beta}
        yield Filled(world, alphas, betas)


@pytest.fixture
def undone(filled: Filled) -> Iterator[None]:
    """Undo what the test writes."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture
def world(filled: Filled, undone: None) -> AliceBobCharlie:
    return filled.world


@pytest.fixture
def alphas(filled: Filled) -> Rows:
    """A row of broker A in every table."""
    return filled.alphas


@pytest.fixture
def betas(filled: Filled) -> Rows:
    return filled.betas
