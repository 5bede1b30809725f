"""A desk with a real trading server, and workers and beats as processes of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.circle.conftest import desk, market
from tests.reliability.fleet import Fleet

__all__ = ["desk", "market"]


@pytest.fixture
def fleet(committed_db: str, tmp_path: Path) -> Iterator[Fleet]:
    """Starts beats and workers on the test's own database and queue; what still runs is killed after it."""
    started = Fleet(tmp_path)
    yield started
    started.kill_all()
