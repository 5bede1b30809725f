"""Two trading servers, one of which fails: nobody waits for it, and the other's accounts roll on."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.utils import timezone

from accounts.models import PammAccount
from allocation.models import PricePoint
from outbox.models import Event
from rollover.models import Rollover, Schedule
from rollover.services import (
    dispatch_due_rollovers,
    order_rollover,
    roll_over,
    settle_open_transfers,
)
from tests.circle.books import assert_books_agree
from tests.circle.conftest import zone_at_noon
from tests.circle.world import Desk, connected
from tests.simulator import SimulatorProcess
from trading.breaker import FAILURES_ALLOWED, may_ask
from trading.gateways import gateway_for
from trading.models import ServerCondition


@pytest.fixture
def second(desk: Desk, tmp_path: Path) -> Iterator[Desk]:
    """The same broker at its second trading server."""
    process = SimulatorProcess(tmp_path / "second", timezone=zone_at_noon()).start()
    server = connected(process, "Second")
    yield replace(desk, simulator=process, server=server, gateway=gateway_for(server))
    process.stop()


@pytest.fixture
def accounts(desk: Desk, second: Desk) -> tuple[PammAccount, PammAccount]:
    """One on each server, both priced once."""
    made = tuple(
        at.pamm_account(at.client(f"manager{number}", "1000"), "300.00", name=f"Pool {number}")
        for number, at in enumerate((desk, second))
    )
    desk.roll(*made)
    return made[0], made[1]


class Door:
    """Stands where a dead server stood, counts who knocks and lets nobody in."""

    def __init__(self, port: int) -> None:
        self.knocks = 0
        self._listener = socket.create_server(("127.0.0.1", port), backlog=16)
        self._watch = threading.Thread(target=self._turn_away, daemon=True)
        self._watch.start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._watch.join(5)

    def _turn_away(self) -> None:
        with suppress(OSError):
            while True:
                visitor, _ = self._listener.accept()
                self.knocks += 1
                visitor.close()


@contextmanager
def outage(desk: Desk) -> Iterator[Door]:
    """Killed, and back when it is over."""
    desk.simulator.kill()
    door = Door(desk.simulator.port)
    try:
        yield door
    finally:
        door.close()
        desk.simulator.start()


def an_hour(desk: Desk) -> dict[int, Rollover]:
    """Every account's rollover, ordered or still open, tried once; by account."""
    desk.expire_answers()
    order_rollover(accounts=PammAccount.objects.all(), by=desk.dealer)
    keys = list(Rollover.objects.filter(state__in=Rollover.OPEN_STATES).values_list("pk", flat=True))
    roll_over(keys)
    return {rollover.account_id: rollover for rollover in Rollover.objects.filter(pk__in=keys)}


def prices(account: PammAccount) -> int:
    return PricePoint.objects.filter(account=account).count()


def events(kind: str) -> list[str]:
    return [str(subject) for subject in Event.objects.filter(kind=kind).values_list("subject", flat=True)]


def test_failing_server_is_left_alone_while_the_others_accounts_roll_on(
    desk: Desk, second: Desk, accounts: tuple[PammAccount, PammAccount]
) -> None:
    sound, failing = accounts
    second.earn(failing, Decimal("30.00"))
    asked_for = [(prices(sound), prices(failing))]
    with outage(second) as door:
        for _ in range(FAILURES_ALLOWED):
            reached = an_hour(desk)
            assert reached[sound.pk].state == Rollover.State.COMPLETED
            assert (reached[failing.pk].state, reached[failing.pk].reason_code) == (
                Rollover.State.WAITING,
                "trading_server_unavailable",
            )
        assert door.knocks >= FAILURES_ALLOWED
        assert events("server.failing") == [str(second.server.public_id)]
        knocks = door.knocks
        for _ in range(2):
            assert an_hour(desk)[sound.pk].state == Rollover.State.COMPLETED
            settle_open_transfers()
        assert door.knocks == knocks
    assert ServerCondition.objects.get(server=second.server).failures == FAILURES_ALLOWED
    assert (prices(sound), prices(failing)) == (asked_for[0][0] + FAILURES_ALLOWED + 2, asked_for[0][1])

    ServerCondition.objects.filter(server=second.server).update(retry_at=timezone.now())
    caught_up = an_hour(desk)[failing.pk]
    assert caught_up.state == Rollover.State.COMPLETED
    assert prices(failing) == asked_for[0][1] + 1
    failing.refresh_from_db()
    assert failing.last_equity == Decimal("330.00")
    assert events("server.returned") == [str(second.server.public_id)]
    an_hour(desk)
    assert len(events("server.failing") + events("server.returned")) == 2
    for at, account in zip((desk, second), accounts, strict=True):
        assert_books_agree(at, account)


def test_server_that_fails_on_is_tried_by_one_worker_after_each_pause(second: Desk) -> None:
    ServerCondition.objects.create(
        server=second.server, failures=FAILURES_ALLOWED, retry_at=timezone.now() - timedelta(seconds=1)
    )
    assert [may_ask(second.server) for _ in range(3)] == [True, False, False]


def test_slice_is_of_one_server(desk: Desk, second: Desk, accounts: tuple[PammAccount, PammAccount]) -> None:
    Schedule.objects.create(next_at=timezone.now() - timedelta(seconds=1), every_minutes=60)
    slices = dispatch_due_rollovers()
    servers = [
        {rollover.account.server_id for rollover in Rollover.objects.filter(pk__in=keys)} for keys in slices
    ]
    assert sorted(servers, key=min) == [{desk.server.pk}, {second.server.pk}]
