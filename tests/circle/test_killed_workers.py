"""A Celery worker killed in mid-rollover: everything is executed once, and the ledger equals the server."""

import os
import random
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest

from allocation.models import Investment, UnitEntry
from investing.models import Request
from rollover.models import Rollover
from rollover.services import dispatch_due_rollovers, order_rollover
from rollover.tasks import roll_over_task
from tests.circle.books import assert_books_agree
from tests.circle.world import Desk, terms
from tests.counts import cases
from transfers.models import Leg

ROOT = Path(__file__).resolve().parents[2]
KILLS = cases(push=4, soak=10)
PATIENCE = 90.0


class Worker:
    """A Celery worker in a session of its own, so that SIGKILL takes its children too.

    It can be made ready and paused, to stand in at once for one that is killed.
    """

    def __init__(self, log: Path, queue: str) -> None:
        self._path = log
        self._log = log.open("wb")
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "-A", "pamm_platform", "worker", "--loglevel", "INFO"),
                *("--pool", "prefork", "--concurrency", "2", "--without-gossip", "--without-mingle"),
                *("--queues", queue),
            ],
            cwd=ROOT,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "pamm_platform.settings.test"},
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def pause_when_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while b" ready." not in self._path.read_bytes():
            assert time.monotonic() < deadline, self._path.read_text()
            time.sleep(0.05)
        os.killpg(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.killpg(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()


def twenty_requests(desk: Desk, number: int) -> tuple[list[Investment], list[Request]]:
    """An account with ten investors who leave in part or whole, or add, and ten who join, all confirmed."""
    account = desk.pamm_account(desk.client(f"manager{number}", "10000"), "1000.00", name=f"Pool {number}")
    offer = desk.offer(account, terms((None, "0.20")))
    staying = [desk.invest(desk.client(f"old{number}x{i}", "1000"), offer, "300.00") for i in range(10)]
    desk.roll(account)
    desk.bring_price_to(account, Decimal("1.10"))
    for index, investment in enumerate(staying):
        investment.refresh_from_db()
        if index < 4:
            desk.withdraw(investment, "50.00")
        else:
            desk.close(investment)
    joining = [desk.invest(desk.client(f"new{number}x{i}", "1000"), offer, "200.00") for i in range(10)]
    requests = list(Request.objects.filter(account=account, state=Request.State.CONFIRMED))
    assert len(requests) == 20
    return [*staying, *joining], requests


def hand_out(desk: Desk, queue: str) -> None:
    for slice_ in dispatch_due_rollovers():
        roll_over_task.apply_async((desk.broker.pk, slice_), queue=queue)


def until_completed(desk: Desk, rollover: Rollover, logs: Path, queue: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        hand_out(desk, queue)
        rollover.refresh_from_db()
        if rollover.state == Rollover.State.COMPLETED:
            return
        time.sleep(0.1)
    written = "\n".join(log.read_text()[-2000:] for log in sorted(logs.glob("*.log")))
    pytest.fail(f"{rollover.state} {rollover.reason_code}\n{written}")


def test_worker_killed_again_and_again_at_random_executes_every_request_once(
    desk: Desk, committed_db: str, tmp_path: Path
) -> None:
    queue = f"killed-{committed_db}"
    moments = random.Random(20261120)
    worker = Worker(tmp_path / "0.log", queue)
    spare = worker
    interrupted = 0
    try:
        for number in range(KILLS):
            spare = Worker(tmp_path / f"{number + 1}.log", queue)
            investments, requests = twenty_requests(desk, number)
            spare.pause_when_ready()
            account = investments[0].account
            (rollover,) = order_rollover(accounts=[account], by=desk.dealer)
            wait_until_begun(desk, rollover, queue)
            time.sleep(moments.uniform(0, 0.45))
            worker.kill()
            rollover.refresh_from_db()
            interrupted += rollover.state != Rollover.State.COMPLETED
            worker = spare
            worker.resume()
            Rollover.objects.filter(pk=rollover.pk).update(dispatched_at=None)
            until_completed(desk, rollover, tmp_path, queue)
            settle_rest(desk, account)
            assert_every_request_once(requests)
            assert_books_agree(desk, account)
    finally:
        for process in {worker, spare}:
            process.kill()
    print(f"{interrupted} of {KILLS} kills hit an unfinished rollover")
    assert interrupted


def wait_until_begun(desk: Desk, rollover: Rollover, queue: str) -> None:
    """Hand the rollover out until a worker has it: the paused one may have taken a message with it."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        Rollover.objects.filter(pk=rollover.pk, state=Rollover.State.DUE).update(dispatched_at=None)
        hand_out(desk, queue)
        again = time.monotonic() + 1.5
        while time.monotonic() < again:
            rollover.refresh_from_db()
            if rollover.state != Rollover.State.DUE:
                return
            time.sleep(0.01)
    pytest.fail("no worker took the rollover")


def settle_rest(desk: Desk, account: object) -> None:
    """What the completed rollover left for later: requests whose collection was not known in time."""
    for _ in range(3):
        if (
            not Leg.objects.exclude(state=Leg.State.APPLIED).exists()
            and not Request.objects.filter(state__in=Request.OPEN_STATES).exists()
        ):
            return
        desk.expire_answers()
        desk.roll(account)  # type: ignore[arg-type]


def assert_every_request_once(requests: list[Request]) -> None:
    for request in requests:
        request.refresh_from_db()
        assert request.state == Request.State.EXECUTED, (request, request.reason_code, request.reason_note)
        kind = {
            Request.Kind.DEPOSIT: UnitEntry.Kind.DEPOSIT,
            Request.Kind.WITHDRAWAL: UnitEntry.Kind.WITHDRAWAL,
            Request.Kind.CLOSE: UnitEntry.Kind.CLOSE,
        }[Request.Kind(request.kind)]
        assert UnitEntry.objects.filter(source=request.public_id, kind=kind).count() == 1
