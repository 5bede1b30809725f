"""Trades the demo's PAMM accounts on the simulated server, so that their figures move."""

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import PammAccount
from brokers.queries import active_broker_ids
from brokers.scope import broker_scope
from demo.errors import DemoNotLoadable
from demo.scenario import ROBOT_MANAGER_LOGIN, SERVER_TIME_ZONE
from demo.services import Addresses
from trading.gateway import GatewayError, Side
from trading.gateways import gateway_for
from trading.models import TradingServer
from trading.simulator.robot import small_volume

SECONDS_BETWEEN_LOOKS = 0.7
FIRST_SYMBOL = "EURUSD"


class Command(BaseCommand):
    help = (
        "Trade every active PAMM account in small volumes until SIGTERM. Accounts opened later are traded "
        "after a restart. Needs SIMULATOR_FOLDER and DEMO_TRADING_PORT."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            addresses = Addresses.from_environment()
        except DemoNotLoadable as reason:
            raise CommandError(str(reason)) from reason
        logins: list[int] = []
        for broker_id in active_broker_ids():
            with broker_scope(broker_id):
                logins += self._begin()
        if not logins:
            raise CommandError("there is no active PAMM account: load_demo comes first")
        arguments = {
            "data-dir": addresses.folder,
            "port": addresses.trading_port,
            "timezone": SERVER_TIME_ZONE,
            "manager-login": ROBOT_MANAGER_LOGIN,
            "logins": ",".join(map(str, logins)),
            "interval": SECONDS_BETWEEN_LOOKS,
        }
        command = [sys.executable, "-m", "trading.simulator.robot"]
        command += [f"--{name}={value}" for name, value in arguments.items()]
        # In this process's place: whoever started it ends the robot with the same signals and the same pid.
        os.execv(sys.executable, command)  # noqa: S606

    def _begin(self) -> list[int]:
        """The logins to trade at the broker in scope, each with a position: the robot waits for good ones."""
        accounts = PammAccount.objects.filter(state=PammAccount.State.ACTIVE, login__isnull=False)
        found: list[int] = []
        for server in TradingServer.objects.all():
            logins = [
                account.login for account in accounts.filter(server=server).order_by("login") if account.login
            ]
            try:
                _open_first_positions(server, logins)
            except GatewayError as error:
                self.stderr.write(f"no first positions: {error}")
            found += logins
        return found


def _open_first_positions(server: TradingServer, logins: list[int]) -> None:
    gateway = gateway_for(server)
    symbol = next(symbol for symbol in gateway.symbols() if symbol.name == FIRST_SYMBOL)
    positions, states = gateway.positions(logins), gateway.account_states(logins)
    for number, login in enumerate(logins):
        volume = small_volume(states[login], symbol) if login in states else symbol.volume_min
        if not positions[login] and volume >= symbol.volume_min:
            side = Side.BUY if number % 2 else Side.SELL
            gateway.place_market_order(login, symbol.name, side, volume, f"robot first {number}")
