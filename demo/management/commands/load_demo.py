"""Loads the demo's two brokers with a year of hourly history, unless they are there."""

import time
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from demo.errors import DemoNotLoadable
from demo.services import Addresses, load_demo


class Command(BaseCommand):
    help = (
        "Load two demo brokers with people, accounts, offers, investments and their past into an empty "
        "database, and the past of their trading accounts into SIMULATOR_FOLDER. The simulated server must "
        "not be running. Needs DATABASE_OWNER_URL; DEMO_ALPHA_PORT, DEMO_BETA_PORT and DEMO_TRADING_PORT say "
        "where they will be reached."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=int, default=365, help="length of the history")
        parser.add_argument("--seed", type=int, default=1, help="another number, other figures")
        parser.add_argument(
            "--until", type=datetime.fromisoformat, help="end of the history, with offset from UTC"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        started = time.monotonic()
        if options["days"] < 2:
            raise CommandError("--days: at least 2")
        if options["until"] is not None and options["until"].tzinfo is None:
            raise CommandError("--until: say the offset, as in 2026-11-01T12:00+00:00")
        try:
            loaded = load_demo(
                Addresses.from_environment(),
                days=options["days"],
                seed=options["seed"],
                until=options["until"],
                say=self._say,
            )
        except DemoNotLoadable as reason:
            raise CommandError(str(reason)) from reason
        seconds = time.monotonic() - started
        self._say(f"the demo is loaded ({seconds:.1f} s)" if loaded else "the demo's data is there")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
