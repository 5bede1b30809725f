"""`python -m tools.soak [seeds] [first]`: so many seeds of the simulation, split over the cores.

Prints how far it is, each seed that fails with what differs and the command that replays it, and the total.
With CAMPAIGNS=1 every test that counts its cases by `tests.counts` runs all that it is meant to, afterwards,
and the tests have to find the bugs that `tools.mutants` plants.
Ends with 0 only if nothing differed.
"""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from pamm_platform.embedded import running_services
from tests.databases import REPOSITORY, TestDatabases
from tests.simulation.__main__ import PLAYED, RUN_FOLDER
from tools import mutants

SEEDS = 500
SHOWN_EVERY = 20


def main(arguments: list[str]) -> int:
    count = int(arguments[0]) if arguments else SEEDS
    first = int(arguments[1]) if len(arguments) > 1 else 1
    seeds = range(first, first + count)
    cores = min(os.cpu_count() or 1, count)
    with running_services(RUN_FOLDER, throwaway=True) as services:
        TestDatabases(services).prepare()
        progress = Progress(count)
        with ThreadPoolExecutor(cores) as lanes:
            for share in [lanes.submit(progress.follow, list(seeds[core::cores])) for core in range(cores)]:
                share.result()
    held = progress.conclude()
    if os.environ.get("CAMPAIGNS"):
        held = campaigns() and held
        held = mutants.main([]) == 0 and held
    return 0 if held else 1


@dataclass
class Progress:
    """What the processes that play seeds have said so far."""

    count: int
    started: float = field(default_factory=time.monotonic)
    played: int = 0
    events: int = 0
    failed: list[int] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def follow(self, seeds: list[int]) -> None:
        """Play seeds in a process of their own; what fails is printed as it comes."""
        command = [sys.executable, "-u", "-m", "tests.simulation", *map(str, seeds)]
        with subprocess.Popen(
            command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as player:
            assert player.stdout is not None
            for line in player.stdout:
                with self._lock:
                    self._read(line.rstrip())
        if player.returncode not in (0, 1):
            self.broken.append(f"a process that played {seeds[0]}, … ended with {player.returncode}")

    def conclude(self) -> bool:
        """Print the total; whether all was played and nothing differed."""
        print(
            f"\n{self.played} of {self.count} seeds, {self.events} events, {self._seconds():.0f} s",
            f"{len(self.failed)} failed {' '.join(map(str, sorted(self.failed)))}",
            *self.broken,
            sep="\n",
            flush=True,
        )
        return not self.failed and not self.broken and self.played == self.count

    def _read(self, line: str) -> None:
        played = PLAYED.fullmatch(line)
        if played is None:
            print(line, flush=True)
            return
        self.played += 1
        self.events += int(played["events"])
        if played["verdict"] != "ok":
            self.failed.append(int(played["seed"]))
            print(line, flush=True)
        elif self.played % SHOWN_EVERY == 0:
            print(f"{self.played} of {self.count} seeds, {len(self.failed)} failed, {self._seconds():.0f} s")

    def _seconds(self) -> float:
        return time.monotonic() - self.started


def campaigns() -> bool:
    """Every test file that counts its cases, with all of them."""
    counting = [
        str(path.relative_to(REPOSITORY))
        for path in sorted(Path(REPOSITORY / "tests").rglob("test_*.py"))
        if "from tests.counts import" in path.read_text()
    ]
    command = [sys.executable, "-m", "pytest", "--quiet", "--numprocesses=2", "--dist=loadgroup", *counting]
    return (
        subprocess.run(command, cwd=REPOSITORY, env=os.environ | {"SOAK": "1"}, check=False).returncode == 0
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
