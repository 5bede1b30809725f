"""Seeds one after the other on one database and one simulated trading server of this process."""

from __future__ import annotations

import hashlib
import logging
import os
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import time_machine

from accounts.models import PammAccount
from allocation.models import Investment, PricePoint, UnitEntry
from brokers.scope import broker_scope
from fees.models import Charge, ChargePart
from investing.models import Stop
from ledger.models import Posting
from tests.circle.world import Calendar, Desk
from tests.simulation.world import Simulation, Troubles
from tests.simulator import SimulatorProcess
from tests.worlds import broker_called
from transfers.models import Transfer

START = datetime(2026, 1, 5, 8, 30, tzinfo=UTC)
"""A Monday."""
ZONE = "Etc/GMT-3"
HOURS = 8
LINES_OF_LOG = 40
LINES_OF_DIFFERENCES = 60


@dataclass(frozen=True)
class Verdict:
    """How a seed ended. `differences` is empty where the platform did what the model expected."""

    seed: int
    seconds: float
    events: int
    differences: list[str]
    log: list[str]
    digest: str

    def __str__(self) -> str:
        verdict = "FAILED" if self.differences else "ok"
        line = f"seed {self.seed}: {self.seconds:.1f} s, {self.events} events {verdict}"
        if not self.differences:
            return line
        return "\n".join(
            (
                line,
                *(f"  {what}" for what in self.log[-LINES_OF_LOG:]),
                *(f"  {what}" for what in self.differences[:LINES_OF_DIFFERENCES]),
                f"  again: .venv/bin/python -m tests.simulation {self.seed}",
            )
        )


def run_seed(
    seed: int,
    simulator: SimulatorProcess,
    *,
    hours: int = HOURS,
    troubles: Troubles | None = None,
    with_stops: bool = True,
) -> Verdict:
    """One seed from its own broker's first day to its last, on the database this process is connected to."""
    began = time.monotonic()
    with _first_day(simulator) as traveller:
        # One database serves many seeds, and one seed may come twice.
        slug = f"seed-{seed}-{os.getpid()}-{time.monotonic_ns()}"
        with broker_scope(broker_called(slug).pk):
            desk = Desk.open(simulator, slug)
            calendar = Calendar(simulator, traveller)
            simulation = Simulation(desk, calendar, seed, troubles or Troubles(), with_stops=with_stops)
            differences = _live(simulation, hours)
            simulation.depart()
            digest = _digest()
    seconds = time.monotonic() - began
    return Verdict(seed, seconds, simulation.events, differences, simulation.log, digest)


@contextmanager
def _first_day(simulator: SimulatorProcess) -> Iterator[time_machine.Traveller]:
    """Our clock and the server's at `START`; both as they were afterwards."""
    now = datetime.now(UTC).replace(microsecond=0)
    with time_machine.travel(START, tick=False) as traveller:
        simulator.advance_clock(int((START - now).total_seconds()))
        try:
            yield traveller
        finally:
            simulator.clear_faults()
            simulator.advance_clock(int((now - datetime.now(UTC)).total_seconds()))


class _Failures(logging.Handler):
    """What the services log as an exception: they go on with the other accounts, a seed fails."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._found += self.format(record).splitlines()

    def taken(self) -> list[str]:
        found, self._found = self._found, []
        return found


def _live(simulation: Simulation, hours: int) -> list[str]:
    failures = _Failures()
    logging.getLogger().addHandler(failures)
    try:
        for number in range(hours):
            simulation.hour()
            if found := [*simulation.compare(), *failures.taken()]:
                return [f"hour {number}", *found]
        return [*simulation.verify(), *failures.taken()]
    except Exception:
        return [*traceback.format_exc().splitlines(), *failures.taken()]
    finally:
        logging.getLogger().removeHandler(failures)


def _digest() -> str:
    """Of everything that is money at the broker in scope, told apart by order and not by key."""
    investments = {key: place for place, key in enumerate(_keys(Investment))}
    accounts = {key: place for place, key in enumerate(_keys(PammAccount))}
    facts: list[tuple[object, ...]] = [
        ("price", accounts[account], *map(_plain, row))
        for account, *row in PricePoint.objects.values_list(
            "account_id", "sequence", "flow_sequence", "series", "equity", "units", "price"
        )
    ]
    facts += (
        ("units", investments[investment], *map(_plain, row))
        for investment, *row in UnitEntry.objects.values_list(
            "investment_id", "price_point__sequence", "kind", "units", "amount"
        )
    )
    facts += (
        ("charge", investments[investment], *map(_plain, row))
        for investment, *row in Charge.objects.values_list(
            "investment_id", "price_point__sequence", "kind", "amount", "uncollected", "mark_after"
        )
    )
    facts += (
        ("part", investments[investment], *map(_plain, row))
        for investment, *row in ChargePart.objects.values_list(
            "charge__investment_id", "charge__kind", "party", "level", "amount"
        )
    )
    facts += (
        ("stake", investments[key], *map(_plain, row))
        for key, *row in Investment.objects.values_list(
            "pk", "state", "units", "high_water_mark", "paid_in", "paid_out", "fees_paid"
        )
    )
    facts += (
        ("stop", investments[investment], *map(_plain, row))
        for investment, *row in Stop.objects.values_list(
            "investment_id", "kind", "price", "state", "ended_after_sequence"
        )
    )
    facts += (
        ("posting", *map(_plain, row)) for row in Posting.objects.values_list("account__kind", "amount")
    )
    facts += (
        ("transfer", *map(_plain, row)) for row in Transfer.objects.values_list("purpose", "state", "amount")
    )
    return hashlib.sha256("\n".join(sorted(map(repr, facts))).encode()).hexdigest()


def _keys(model: type[Investment] | type[PammAccount]) -> list[int]:
    return list(model.objects.order_by("pk").values_list("pk", flat=True))


def _plain(value: object) -> str:
    return format(value.normalize(), "f") if isinstance(value, Decimal) else str(value)
