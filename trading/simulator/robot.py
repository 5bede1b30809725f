"""`python -m trading.simulator.robot`: trade some logins of a trading server, through its Web API like
anybody else.

Buys below and sells above a symbol's recent average, in small volumes, so that on the simulated server's
mean-reverting prices the accounts earn a little and never come near their margin.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import threading
from collections import deque
from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from trading.gateway import AccountState, Gateway, GatewayError, Position, Side, Symbol, Tick
from trading.mt5.connection import Endpoint
from trading.mt5.gateway import Mt5Gateway
from trading.simulator.certificate import CERTIFICATE_FILE
from trading.simulator.credentials import PASSWORD_VARIABLE, manager_password

POSITIONS_AT_MOST = 3
AVERAGED_TICKS = 300
GIVE_UP = 0.01
"""How often a position is closed although none of the account's earns anything."""

MARGIN_SHARE = Decimal("0.005")
"""Of its free margin, what an account may bind with one order."""

_TRADED = ("EURUSD", "GBPUSD", "USDJPY", "AUDUSD", "USDCHF")


class Robot:
    def __init__(self, gateway: Gateway, logins: Sequence[int], seed: int) -> None:
        self._gateway = gateway
        self._logins = logins
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self._symbols = [symbol for symbol in gateway.symbols() if symbol.name in _TRADED]
        self._averages: dict[str, deque[Decimal]] = {
            symbol.name: deque(maxlen=AVERAGED_TICKS) for symbol in self._symbols
        }
        self._orders = 0

    def step(self) -> None:
        """Look at the prices once and place at most one order. Raises `GatewayError`."""
        ticks = self._gateway.last_ticks([symbol.name for symbol in self._symbols])
        for name, tick in ticks.items():
            self._averages[name].append((tick.bid + tick.ask) / 2)
        login = self._random.choice(self._logins)
        open_positions = self._gateway.positions([login])[login]
        best = max(open_positions, key=lambda position: position.profit, default=None)
        if best is not None and (best.profit > 0 or self._random.random() < GIVE_UP):
            self._close(best)
        elif len(open_positions) < POSITIONS_AT_MOST:
            symbol = self._random.choice(self._symbols)
            state = self._gateway.account_states([login]).get(login)
            if state is not None and symbol.name in ticks:
                self._open(state, symbol, ticks[symbol.name])

    def _open(self, state: AccountState, symbol: Symbol, tick: Tick) -> None:
        recent = self._averages[symbol.name]
        distance = (tick.bid + tick.ask) / 2 - sum(recent, Decimal(0)) / len(recent)
        volume = small_volume(state, symbol)
        # nearer than two spreads, the way back would not pay for getting in and out
        if abs(distance) > 2 * (tick.ask - tick.bid) and volume >= symbol.volume_min:
            side = Side.SELL if distance > 0 else Side.BUY
            self._gateway.place_market_order(state.login, symbol.name, side, volume, self._key())

    def _close(self, position: Position) -> None:
        opposite = Side.SELL if position.side is Side.BUY else Side.BUY
        self._gateway.place_market_order(
            position.login, position.symbol, opposite, position.volume, self._key(), position=position.ticket
        )

    def _key(self) -> str:
        self._orders += 1
        return f"robot {self._orders}"


def small_volume(state: AccountState, symbol: Symbol) -> Decimal:
    """Lots whose margin at 1:100 is about `MARGIN_SHARE` of the free margin, taking a unit for a unit of
    money."""
    margin_per_lot = symbol.contract_size / 100
    if state.currency_digits == 0:
        margin_per_lot *= 150
    steps = (state.margin_free * MARGIN_SHARE / margin_per_lot / symbol.volume_step).to_integral_value(
        ROUND_DOWN
    )
    return min(steps * symbol.volume_step, Decimal(5))


def main() -> None:
    options = _parser().parse_args()
    endpoint = Endpoint(
        host=options.host,
        port=options.port,
        login=options.manager_login,
        password=manager_password(options.data_dir),
        certificate=(options.certificate or options.data_dir / CERTIFICATE_FILE).read_text(),
    )
    gateway = Mt5Gateway(endpoint, ZoneInfo(options.timezone))
    stopped = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda number, frame: stopped.set())
    robot: Robot | None = None
    logins = [int(login) for login in options.logins.split(",")]
    while not stopped.wait(options.interval):
        try:
            robot = robot or Robot(gateway, logins, options.seed)
            robot.step()
        except GatewayError as error:
            sys.stderr.write(f"robot: {error}\n")
            stopped.wait(5)
    gateway.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trading.simulator.robot", description=__doc__)
    folder, port = os.environ.get("SIMULATOR_FOLDER"), os.environ.get("SIMULATOR_PORT")
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=folder,
        required=folder is None,
        help=f"the server's folder: certificate, and password if {PASSWORD_VARIABLE} is not set",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=port, required=port is None)
    parser.add_argument("--manager-login", type=int, default=1001)
    parser.add_argument("--certificate", type=Path, help="PEM; by default the one in the server's folder")
    parser.add_argument("--timezone", default="Europe/Athens")
    parser.add_argument("--logins", required=True, help="comma-separated")
    parser.add_argument("--interval", type=float, default=2.0, help="seconds between two looks")
    parser.add_argument("--seed", type=int, default=1)
    return parser


if __name__ == "__main__":
    main()
