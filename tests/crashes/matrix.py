"""A flow of work, killed at every one of its crash points, once each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial

import time_machine
from django.core.management import call_command

from rollover.models import Rollover
from rollover.services import dispatch_due_rollovers, roll_over, settle_open_transfers
from tests.counts import cases
from tests.crashes.points import Word
from tests.crashes.stage import Outcome, Stage, Trial
from transfers.models import Leg
from transfers.queries import OPEN_LEG_STATES

ROUNDS = 12
ATTEMPTS = 4
"""To come as far as a point on a machine that is slow at times."""
BETWEEN_ROUNDS = timedelta(seconds=61)
SHARES = 12
"""So many days take turns with the points at which nothing is decided."""


def beat() -> None:
    """What the ticks and their tasks do for one broker."""
    for rollovers in dispatch_due_rollovers():
        roll_over(rollovers)
    settle_open_transfers()


def nothing() -> None:
    """Nobody asks again."""


@dataclass(frozen=True)
class Flow:
    """`work` is what is killed; `again` what its caller repeats, not knowing how far it came."""

    work: Callable[[], object]
    again: Callable[[], object] = nothing


@dataclass(frozen=True)
class Matrix:
    stage: Stage
    flow: Flow

    def undisturbed(self) -> tuple[list[Word], Outcome]:
        """What the worker says, and what comes of it."""
        with self.stage.set_up() as trial:
            said = trial.first_worker(self.flow.work)
            assert said is not None
            return said, self.carried_on(trial, verified=True)

    def killed_at(self, point: int) -> Outcome:
        """What comes of it; the books are verified each time under `make soak`, else each tenth.

        A worker whose answers come too late leaves the rest to the next one, and with it later points: then
        it is let work once more from the beginning.
        """
        for _ in range(ATTEMPTS):
            with self.stage.set_up() as trial:
                said = trial.first_worker(self.flow.work, die_at=point)
                if said is None:
                    return self.carried_on(trial, verified=point % cases(push=10, soak=1) == 0)
        raise AssertionError(f"never killed at point {point}: it came to its end before, {ATTEMPTS} times")

    def carried_on(self, trial: Trial, *, verified: bool = False) -> Outcome:
        """What comes of it when somebody else carries on; `verified`: the books are computed again, too."""
        trial.second_worker(partial(self._until_nothing_is_open, verified))
        return trial.outcome()

    def _until_nothing_is_open(self, verified: bool, traveller: time_machine.Traveller) -> None:
        self.flow.again()
        for _ in range(ROUNDS):
            beat()
            if not open_work():
                break
            traveller.shift(BETWEEN_ROUNDS)
        else:
            raise AssertionError(f"still open after {ROUNDS} rounds: {open_work()}")
        if verified:
            call_command("verify_books", "--server")


def open_work() -> list[object]:
    return [
        *Rollover.objects.filter(state__in=Rollover.OPEN_STATES),
        *Leg.objects.filter(state__in=OPEN_LEG_STATES),
    ]


def chosen(said: Sequence[Word]) -> list[int]:
    """Under `make soak` every point, from before the first word to after the last.

    With every push those after a word that decides, and of the rest, at which nothing else is left behind
    than at the one before, a share that differs from day to day.
    """
    points = range(len(said) + 1)
    if cases(push=0, soak=1):
        return list(points)
    today = date.today().toordinal() % SHARES
    return [point for point in points if (point and said[point - 1].decides) or point % SHARES == today]
