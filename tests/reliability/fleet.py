"""Beats and workers of a test, each a real process in a session of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.databases import REPOSITORY
from tests.reliability.settings import DELIVERED

READY_SECONDS = 60.0
CELERY = (sys.executable, "-m", "celery", "-A", "pamm_platform")


@dataclass
class Member:
    """A process of the fleet and what it has written."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self.process.pid

    def written(self) -> str:
        return self.log.read_text(errors="replace")

    def times_done(self, task: str) -> int:
        """How often it says that it carried this task out."""
        return sum(
            f"Task {task}[" in line and " succeeded in " in line for line in self.written().splitlines()
        )

    def kill(self) -> None:
        """SIGKILL to it and whatever it forked: nothing is acknowledged, nobody is told."""
        if self.process.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
            self.process.wait()


class Fleet:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.members: list[Member] = []

    def start_beats(self, count: int, **variables: str) -> list[Member]:
        """Beats that know nothing of each other: each keeps its ticks in a file of its own."""
        return [
            self._start(
                f"beat-{number}",
                [
                    *("beat", f"--schedule={self._folder / f'schedule-{number}'}"),
                    *("--pidfile=", "--loglevel=INFO"),
                ],
                variables,
            )
            for number in range(count)
        ]

    def start_workers(
        self, count: int, *, queue: str = DELIVERED, include: str = "rollover.tasks", **variables: str
    ) -> list[Member]:
        """Workers of one process each, ready when this returns; `include` is a module with tasks."""
        started = [
            self._start(
                f"worker-{len(self.members) + number}",
                [
                    *(
                        "worker",
                        "--pool=solo",
                        "--loglevel=INFO",
                        f"--queues={queue}",
                        f"--include={include}",
                    ),
                    *("--without-gossip", "--without-mingle"),
                    f"--hostname=worker-{len(self.members) + number}@%h",
                ],
                variables,
            )
            for number in range(count)
        ]
        deadline = time.monotonic() + READY_SECONDS
        for worker in started:
            while " ready." not in worker.written():
                assert time.monotonic() < deadline, worker.written()
                assert worker.process.poll() is None, worker.written()
                time.sleep(0.02)
        return started

    def kill_all(self) -> None:
        for member in self.members:
            member.kill()

    def errors(self) -> list[str]:
        """Lines in which a member says that a task failed."""
        return [
            f"{member.name}: {line}"
            for member in self.members
            for line in member.written().splitlines()
            if "raised unexpected" in line or " failed" in line
        ]

    def _start(self, name: str, arguments: list[str], variables: Mapping[str, str]) -> Member:
        log = self._folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*CELERY, *arguments],
                cwd=REPOSITORY,
                env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.reliability.settings", **variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        member = Member(name, log, process)
        self.members.append(member)
        return member
