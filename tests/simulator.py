"""A simulated trading server as a real process, driven by tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
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
        console: bool = False,
    ) -> None:
        self.folder = folder
        self.timezone = timezone
        self.host = "127.0.0.1"
        self.port = port
        switches = {"--frozen": frozen, "--test-commands": test_commands}
        self._options = [*options, *(name for name, on in switches.items() if on)]
        self._console_port = 0 if console else None
        self._process: subprocess.Popen[str] | None = None
        self._control: Connection | None = None

    def start(self) -> SimulatorProcess:
        command = [sys.executable, "-m", "trading.simulator", "--data-dir", str(self.folder)]
        command += ["--port", str(self.port), "--timezone", self.timezone]
        command += ["--manager-logins", str(MANAGER_LOGIN), *self._options]
        if self._console_port is not None:
            command += ["--console-port", str(self._console_port)]
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
        if self._console_port is not None:
            self._console_port = int(self._process.stdout.readline().rsplit(":", 1)[1])
        return self

    @property
    def console(self) -> str:
        """Address of the console's page."""
        return f"http://{self.host}:{self._console_port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

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
        code: int | None = None,
        login: int = 0,
        symbol: str = "",
        rows: int | None = None,
        lots: Decimal | str | None = None,
        fields: Mapping[str, object] | None = None,
    ) -> int:
        """Arm a fault of a kind of `trading.simulator.faults.FaultKind`; its number.

        `calls` are hit after `skip` were let through; 0 hits all until disarmed. `command` may be a mask
        (`deal/*`). A restart ends armed faults.
        """
        optional = {
            "code": code,
            "login": login or None,
            "symbol": symbol or None,
            "rows": rows,
            "lots": lots,
            "fields": None if fields is None else json.dumps(fields, default=str),
        }
        answer = self.ask(
            "test/fault",
            kind=kind,
            command=command,
            calls=calls,
            skip=skip,
            seconds=seconds,
            **{name: value for name, value in optional.items() if value is not None},
        )
        return answer.record().integer("number")

    def disarm_fault(self, number: int) -> None:
        self.ask("test/fault", disarm=number)

    def armed_faults(self) -> list[dict[str, Any]]:
        """What is armed, in the order of arming, all figures as text."""
        return list(self.ask("test/faults").record().get("armed"))

    def switches(self) -> dict[str, Any]:
        return dict(self.ask("test/faults").record().get("switches"))

    def finish_late_calls(self) -> None:
        """Wait until everything that was accepted to be applied late has been."""
        while self.ask("test/faults").record().integer("late"):
            time.sleep(0.01)

    def clear_faults(self) -> None:
        """Nothing armed, every switch off, hidden deals shown, the zone as the books have it. Bookings and
        the advanced clock stay."""
        self.ask("test/fault", clear=1)

    def delay_deals(self, seconds: int, *, login: int = 0) -> None:
        """Show deals made from now on only after `seconds` of the server's clock, in lists and in the
        balance's history; the balance moves at once. 0 ends that and shows what is hidden.
        """
        self.ask("test/delay", seconds=seconds, login=login)

    def hide_idle_states(self, on: bool = True) -> None:
        """Whether accounts without activity have no state. All without positions count as idle from here
        on."""
        self.ask("test/idle", hidden=int(on))

    def shift_time_zone(self, minutes: int) -> None:
        """Let the server's clock show so many minutes more than its zone has; 0 puts it back. Times already
        booked stay."""
        self.ask("test/zone", minutes=minutes)

    def edit_deal(self, ticket: int, *, fix_balance: bool = False, **fields: object) -> None:
        """Change fields of a deal (`Profit="1.00"`, `Comment=…`) as an administrator does; the others stay.

        `fix_balance`: afterwards the balance is rewritten from the deals (`user/check_balance`).
        """
        login = self.ask("deal/update", Deal=ticket, **fields).record().integer("Login")
        if fix_balance:
            self.fix_balance(login)

    def delete_deal(self, ticket: int, *, fix_balance: bool = False) -> None:
        login = self.ask("deal/get", ticket=ticket).record().integer("Login")
        self.ask("deal/delete", ticket=ticket)
        if fix_balance:
            self.fix_balance(login)

    def fix_balance(self, login: int) -> None:
        self.ask("user/check_balance", login=login, fixflag=1)

    def lie(
        self, login: int, *, command: str = "user/*", calls: int = 0, **fields: Decimal | str | None
    ) -> int:
        """Answers about a login hold these fields instead (`Equity="0.00"`; None: absent), state and record
        alike, in `calls` answers or (0) until disarmed; the fault's number."""
        return self.arm_fault("lie", command, calls=calls, login=login, fields=fields)

    def lie_about_tick(self, symbol: str, *, calls: int = 0, **fields: Decimal | str | None) -> int:
        """Prices of a symbol hold these fields instead (`Bid="0"`, `Ask=None`); what is open is valued as
        before."""
        return self.arm_fault("lie", "tick/*", calls=calls, symbol=symbol, fields=fields)

    def omit_tick(self, symbol: str, *, calls: int = 0) -> int:
        """Answers about prices leave the symbol out."""
        return self.arm_fault("empty", "tick/*", calls=calls, symbol=symbol)

    def double_tick(self, symbol: str, *, calls: int = 0, **fields: Decimal | str | None) -> int:
        """Answers about prices name the symbol twice, the second time with these fields."""
        return self.arm_fault("double", "tick/*", calls=calls, symbol=symbol, fields=fields)

    def partial_fill(self, lots: Decimal | str, *, calls: int = 1, login: int = 0) -> int:
        """The dealer executes at most so many lots of an order and cancels the rest (10010)."""
        return self.arm_fault("partial_fill", "dealer/send_request", lots=lots, calls=calls, login=login)

    def requote(self, calls: int = 1, *, code: int = 10004, login: int = 0) -> int:
        """The dealer answers queued orders with this code and executes nothing."""
        return self.arm_fault("dealer_refuses", "dealer/send_request", code=code, calls=calls, login=login)

    def restart_itself(self, seconds_down: float = 0) -> None:
        """Have the server go down and come back by itself after that many seconds, on the same port."""
        self.ask("test/restart", seconds=seconds_down)

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
