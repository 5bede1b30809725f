"""The simulated server's half of the past: its folder, written aside and put in place as a whole."""

import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from demo.errors import DemoNotLoadable
from demo.scenario import SERVER_TIME_ZONE
from trading.simulator.certificate import ensure_certificate
from trading.simulator.credentials import manager_password
from trading.simulator.history import LoadedHistory, PastAccount, PastDeal, load

MARK = "loaded-by-demo.json"
CERTIFICATE_NAMES = ("localhost", "127.0.0.1", "::1")


class ServerBooks:
    """`folder` is where the server will look for its books; nothing is there before `put_in_place`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._aside = folder.with_name(f"{folder.name}.partial")

    @property
    def are_in_place(self) -> bool:
        return (self.folder / MARK).exists()

    def begin(self) -> None:
        """Clear what a load that was cut off has left. Raises DemoNotLoadable where it is somebody else's."""
        if self.folder.exists() and any(self.folder.iterdir()) and not self.are_in_place:
            raise DemoNotLoadable(f"{self.folder} holds the books of another trading server")
        for left_over in (self.folder, self._aside):
            shutil.rmtree(left_over, ignore_errors=True)
        self._aside.mkdir(parents=True, mode=0o700)

    def credentials(self) -> tuple[str, str]:
        """The managers' password and the certificate (PEM) that the server will have."""
        certificate, _ = ensure_certificate(self._aside, CERTIFICATE_NAMES)
        return manager_password(self._aside), certificate.read_text()

    def write(self, accounts: Iterable[PastAccount], deals: Sequence[PastDeal]) -> LoadedHistory:
        """Books with these deals, in the order of time; durable, but not in place yet."""
        loaded = load(self._aside, accounts=accounts, deals=deals, timezone=SERVER_TIME_ZONE)
        (self._aside / MARK).write_text(json.dumps({"deals": loaded.deal_count}))
        return loaded

    def put_in_place(self) -> None:
        self._aside.rename(self.folder)
