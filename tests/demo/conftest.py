"""The demo's past, loaded into a database of the test's own and into a folder for the simulated server."""

from datetime import datetime
from pathlib import Path

import pytest

from brokers.models import HostName
from demo.services import Addresses, load_demo
from tests.simulator import MANAGER_PASSWORD


class Loader:
    """Loads into one folder; what was said on the way is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []

    def load(self, *, days: int = 10, until: datetime | None = None, **ports: int) -> bool:
        return load_demo(Addresses(self.folder, ports), days=days, until=until, say=self.said.append)


@pytest.fixture
def loader(committed_db: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loader:
    monkeypatch.setenv("SIMULATOR_MANAGER_PASSWORD", MANAGER_PASSWORD)
    return Loader(tmp_path / "simulator")


def broker_ids() -> dict[str, int]:
    """By primary host."""
    return dict(HostName.objects.filter(is_primary=True).values_list("host", "broker_id"))
