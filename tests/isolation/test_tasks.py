"""Tasks of two brokers in one worker process."""

import os
import subprocess
import sys
import time

import pytest

from brokers.scope import broker_scope
from outbox.models import Event
from tests.databases import REPOSITORY
from tests.isolation.jobs import look
from tests.worlds import alice_bob_charlie

TURNS = 30
SECONDS = 60


def _seen(broker_id: int) -> dict[int, list[str]]:
    with broker_scope(broker_id):
        return {
            payload["turn"]: payload["people"]
            for payload in Event.objects.filter(kind="seen").values_list("payload", flat=True)
        }


def test_worker_sees_in_each_task_the_broker_of_its_message_only(
    committed_db: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Failing tasks and a message without a broker in between; one process for all."""
    world = alice_bob_charlie()
    queue = f"isolation-{committed_db}"
    log = tmp_path_factory.mktemp("worker") / "worker.log"
    command = [sys.executable, "-m", "celery", "-A", "pamm_platform", "worker", "--pool=solo", "-Q", queue]
    command += ["-I", "tests.isolation.jobs", "--without-gossip", "--without-mingle", "-l", "WARNING"]
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "pamm_platform.settings.test"}
    with log.open("w") as output:
        worker = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=output)
        try:
            for turn in range(TURNS):
                broker = (world.alpha, world.beta)[turn % 2]
                look.apply_async((broker.pk, turn), queue=queue)
                if turn == TURNS // 2:
                    look.app.send_task(look.name, (), queue=queue)
            wanted = {turn for turn in range(TURNS) if turn % 5 != 4}
            deadline = time.monotonic() + SECONDS
            while time.monotonic() < deadline and worker.poll() is None:
                alphas, betas = _seen(world.alpha.pk), _seen(world.beta.pk)
                if alphas.keys() | betas.keys() == wanted:
                    break
                time.sleep(0.2)
        finally:
            worker.terminate()
            worker.wait(timeout=20)
    assert alphas == {turn: ["alice@example.com", "bob@example.com"] for turn in wanted if turn % 2 == 0}, (
        log.read_text()
    )
    assert betas == {turn: ["charlie@example.com"] for turn in wanted if turn % 2 == 1}
