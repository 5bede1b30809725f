"""Rollovers that a journey carries out itself."""

import time

from accounts.models import PammAccount
from rollover.models import Rollover
from tests.circle.world import Desk

PATIENCE_SECONDS = 30.0


def roll(desk: Desk, *accounts: PammAccount) -> None:
    """Roll over here; the worker may be quicker."""
    desk.roll(*accounts)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while Rollover.objects.filter(state__in=Rollover.OPEN_STATES).exists():
        assert time.monotonic() < deadline, list(Rollover.objects.values_list("state", "reason_code"))
        time.sleep(0.1)
