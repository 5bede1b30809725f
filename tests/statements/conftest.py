"""The world of Alice, Bob and Charlie, read by signed-in people."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from brokers.scope import broker_scope
from tests.statements.worlds import MONTH_END, fee, price
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


@pytest.fixture
def january(world: AliceBobCharlie) -> None:
    """Bob's 1,000.00 of 1 January, worth 1.10 each at the month's end, when 22.00 was charged."""
    point = price(world, "1.10", MONTH_END, 1)
    fee(world, "22.00", point, broker="2.00")


@pytest.fixture
def kept(tmp_path: Path, settings: Any) -> Path:
    """The folder that files of statements are kept in."""
    folder = {"location": tmp_path / "statements", "base_url": None}
    backend = "django.core.files.storage.FileSystemStorage"
    settings.STORAGES = settings.STORAGES | {"statements": {"BACKEND": backend, "OPTIONS": folder}}
    return tmp_path / "statements"
