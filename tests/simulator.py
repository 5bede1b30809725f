"""A simulated trading server as a real process, driven by tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from trading.mt5.answers import Answer
from trading.mt5.connection import Connection, Endpoint
from trading.mt5.gateway import Mt5Gateway
from trading.simulator.certificate import CERTIFICATE_FILE

ROOT = Path(__file__).resolve().parent.parent
MANAGER_LOGIN = 1000
MANAGER_PASSWORD = "Manager!2026"
PASSWORD = "Passw0rd!"


class SimulatorProcess:
    """`start`, `kill` (SIGKILL), `restart` on the same port and books, `stop`. Prices stand still unless
    moved."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        timezone: str = "Europe/Athens",
        frozen: bool = True,
        test_commands: bool = True,
        port: int = 0,
    ) -> None:
        self.folder = folder
        self.timezone = timezone
        self.host = "127.0.0.1"
        self.port = port
        switches = {"--frozen": frozen, "--test-commands": test_commands}
        self._options = [*options, *(name for name, on in switches.items() if on)]
        self._process: subprocess.Popen[str] | None = None
        self._control: Connection | None = None

    def start(self) -> SimulatorProcess:
        command = [sys.executable, "-m", "trading.simulator", "--data-dir", str(self.folder)]
        command += ["--port", str(self.port), "--timezone", self.timezone]
        command += ["--manager-logins", str(MANAGER_LOGIN), *self._options]
        environment = {**os.environ, "SIMULATOR_MANAGER_PASSWORD": MANAGER_PASSWORD}
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if "listening" not in line:
            self.stop()
            raise AssertionError("the simulator did not start")
        self.port = int(line.rsplit(":", 1)[1])
        return self

    def kill(self) -> None:
        """SIGKILL: nothing is flushed, nobody is told."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        self.kill()
        self.start()

    @property
    def certificate(self) -> str:
        return (self.folder / CERTIFICATE_FILE).read_text()

    def endpoint(self, **changes: object) -> Endpoint:
        fields: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "login": MANAGER_LOGIN,
            "password": MANAGER_PASSWORD,
            **changes,
        }
        if "certificate" not in fields:
            fields["certificate"] = self.certificate
        return Endpoint(**fields)

    def gateway(self, **changes: object) -> Mt5Gateway:
        """A client of its own, independent of what the platform has configured."""
        return Mt5Gateway(self.endpoint(**changes), ZoneInfo(self.timezone))

    def ask(self, command: str, /, **parameters: object) -> Answer:
        """One raw command on this object's own connection; the answer must be `0 Done`."""
        answer = self.ask_anyway(command, **parameters)
        assert answer.code == 0, f"{command}: {answer.text}"
        return answer

    def ask_anyway(self, command: str, /, **parameters: object) -> Answer:
        if self._control is None or not self._control.is_open:
            self._control = Connection(self.endpoint())
        return self._control.ask(command, parameters)

    def set_tick(
        self, symbol: str, bid: Decimal | str, ask: Decimal | str | None = None, *, age_seconds: int = 0
    ) -> None:
        """Set a price; without `ask` the symbol's usual spread. Stop-outs it causes happen before this
        returns."""
        extra = {} if ask is None else {"ask": ask}
        self.ask("test/tick", symbol=symbol, bid=bid, age=age_seconds, **extra)

    def freeze(self, symbol: str = "*", *, frozen: bool = True) -> None:
        self.ask("test/freeze", symbol=symbol, frozen=int(frozen))

    def arm_fault(
        self,
        kind: str,
        command: str = "trade/balance",
        *,
        calls: int = 1,
        skip: int = 0,
        seconds: float = 0,
        login: int = 0,
    ) -> None:
        """`kind`: drop_before, drop_after, late (answer after `seconds`), empty list, forbid (403)."""
        self.ask(
            "test/fault",
            kind=kind,
            command=command,
            calls=calls,
            skip=skip,
            seconds=seconds,
            **({"login": login} if login else {}),
        )

    def clear_faults(self) -> None:
        self.ask("test/fault", clear=1)

    def adjust_as_dealer(
        self, login: int, amount: Decimal | str, *, action: int = 2, dealer: int = 77, comment: str = ""
    ) -> int:
        """A balance operation by somebody else than the platform; its ticket."""
        answer = self.ask(
            "test/balance", login=login, balance=amount, type=action, dealer=dealer, comment=comment
        )
        return answer.record().integer("ticket")

    def advance_clock(self, seconds: int) -> None:
        self.ask("test/clock", advance=seconds)

    def calls(self, *, reset: bool = False) -> dict[str, int]:
        """How often each command was asked since the start or the last reset, this one included."""
        answer = self.ask("test/calls", **({"reset": 1} if reset else {}))
        return {str(name): int(count) for name, count in answer.content.items()}

    def add_account(
        self, group: str = "personal\\USD", amount: Decimal | str = "0", leverage: int = 100
    ) -> int:
        """A new account with that balance; its login. Its password is `PASSWORD`."""
        answer = self.ask(
            "user/add",
            group=group,
            name="Client",
            leverage=leverage,
            pass_main=PASSWORD,
            pass_investor=PASSWORD,
        )
        login = answer.record().integer("Login")
        if Decimal(amount):
            self.ask("trade/balance", login=login, type=2, balance=amount, comment="opening")
        return login

    def balance(self, login: int) -> Decimal:
        return self.ask("user/get", login=login).record().decimal("Balance")

    def _end(self, number: signal.Signals) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=10)
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None
