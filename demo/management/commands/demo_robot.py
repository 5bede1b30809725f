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

SECONDS_BETWEEN_LOOKS = 1.5


class Command(BaseCommand):
    help = (
        "Trade every active PAMM account in small volumes until SIGTERM. Accounts opened later are traded after a "
        "restart. Needs SIMULATOR_FOLDER and DEMO_TRADING_PORT."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            addresses = Addresses.from_environment()
        except DemoNotLoadable as reason:
            raise CommandError(str(reason)) from reason
        logins = [login for broker_id in active_broker_ids() for login in _logins(broker_id)]
        if not logins:
            raise CommandError("there is no active PAMM account: load_demo comes first")
        arguments = {
            "data-dir": addresses.folder, "port": addresses.trading_port, "timezone": SERVER_TIME_ZONE,
            "manager-login": ROBOT_MANAGER_LOGIN, "logins": ",".join(map(str, logins)),
            "interval": SECONDS_BETWEEN_LOOKS,
        }  # fmt: skip
        # In this process's place: whoever started it ends the robot with the same signals and the same pid.
        os.execv(  # noqa: S606
            sys.executable,
            [sys.executable, "-m", "trading.simulator.robot", *(f"--{name}={value}" for name, value in arguments.items())],
        )


def _logins(broker_id: int) -> list[int]:
    with broker_scope(broker_id):
        accounts = PammAccount.objects.filter(state=PammAccount.State.ACTIVE, login__isnull=False)
        return list(accounts.order_by("login").values_list("login", flat=True))
