"""Web, worker and beat as real processes on the test's own database."""

import os
import signal
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from pamm_platform.celery import app
from pamm_platform.demo import programs
from pamm_platform.demo.ports import choose_ports
from pamm_platform.demo.supervisor import Supervisor

ENVIRONMENT = {"DJANGO_SETTINGS_MODULE": "pamm_platform.settings.test"}


def comes_true(condition: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.2)
    return False


def worker_answers() -> bool:
    return bool(app.control.inspect(timeout=0.5).ping())


def test_web_worker_and_beat_run_as_the_application_role_and_a_killed_worker_comes_back(
    committed_db: str, supervisor: Supervisor, tmp_path: Path
) -> None:
    port = choose_ports(tmp_path, {})["DEMO_PORT"]
    supervisor.start(programs.web(ENVIRONMENT, [port], workers=1))
    supervisor.start(programs.worker(ENVIRONMENT, processes=1))
    supervisor.start(programs.beat(ENVIRONMENT, tmp_path / "schedule"))
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5) as answer:
        assert answer.read() == b"ready\n"
    assert comes_true(worker_answers), supervisor.log_tail("worker")

    os.kill(supervisor.pid("worker"), signal.SIGKILL)
    assert comes_true(lambda: supervisor.watch() == ["worker"])

    assert comes_true(worker_answers), supervisor.log_tail("worker")
    assert supervisor.watch() == []
