"""Starts programs in order, restarts what dies, ends all of them and nothing else.

Each program leads a session of its own, so Ctrl-C in the terminal reaches only us. Its pid and start time go
to a file: what a killed supervisor left behind is recognised (a recycled pid is not) and cleared by the next
one.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

# Marks a program and everything it forks as ours; the value is the folder of the supervisor.
MARK = "PAMM_SUPERVISED_BY"

RESTARTS_PER_MINUTE = 5
LEFT_OVER_SECONDS = 3.0
START_TIME_TOLERANCE_SECONDS = 2.0


class ProgramFailed(RuntimeError):
    """A program did not become ready, failed, or died too often; the text carries the end of its log."""


@dataclass(frozen=True, slots=True)
class Program:
    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    is_ready: Callable[[], bool] = lambda: True
    ready_seconds: float = 60.0
    stop_seconds: float = 15.0


@dataclass(slots=True)
class _Running:
    program: Program
    process: subprocess.Popen[bytes]
    restarts: list[float] = field(default_factory=list)


class Supervisor:
    """Runs programs in a folder that holds `pids/` and `logs/`."""

    def __init__(self, folder: Path, working_folder: Path) -> None:
        self._folder = folder.resolve()
        self._working_folder = working_folder
        self._pids = self._folder / "pids"
        self._logs = self._folder / "logs"
        self._running: dict[str, _Running] = {}
        for made in (self._pids, self._logs):
            made.mkdir(parents=True, exist_ok=True)

    def clear_left_overs(self) -> list[str]:
        """End what an earlier, killed supervisor of this folder started; returns the names."""
        left_over: list[psutil.Process] = []
        names = []
        for path in sorted(self._pids.glob("*.json")):
            with suppress(ValueError, KeyError):
                record = json.loads(path.read_text())
                members = self._members(int(record["pid"]), float(record["started_at"]))
                if members:
                    names.append(path.stem)
                    left_over += members
        _end(left_over, seconds=LEFT_OVER_SECONDS)
        for path in self._pids.glob("*.json"):
            path.unlink()
        return names

    def start(self, program: Program) -> int:
        """Start a program and wait until it is ready; returns its pid. Raises ProgramFailed."""
        running = _Running(program, self._launch(program))
        self._running[program.name] = running
        deadline = time.monotonic() + program.ready_seconds
        while not program.is_ready():
            if running.process.poll() is not None:
                raise ProgramFailed(f"{program.name} ended at once\n{self.log_tail(program.name)}")
            if time.monotonic() > deadline:
                raise ProgramFailed(f"{program.name} is not ready\n{self.log_tail(program.name)}")
            time.sleep(0.1)
        return running.process.pid

    def run(self, program: Program, *, on_line: Callable[[str], None] = lambda line: None) -> str:
        """Run a program to its end and return what it printed, passing lines on as they come.

        Raises ProgramFailed when it ends with a code other than 0.
        """
        process = self._launch(program, stdout=subprocess.PIPE)
        self._running[program.name] = _Running(program, process)
        lines = []
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.decode(errors="replace"))
            on_line(lines[-1].rstrip("\n"))
        process.stdout.close()
        code = process.wait()
        self._forget(program.name)
        if code != 0:
            raise ProgramFailed(f"{program.name} failed\n{self.log_tail(program.name)}")
        return "".join(lines)

    def watch(self) -> list[str]:
        """Restart what has died; returns the names. Raises ProgramFailed when one dies too often."""
        died = []
        for running in self._running.values():
            if running.process.poll() is None:
                continue
            name, now = running.program.name, time.monotonic()
            running.restarts = [moment for moment in running.restarts if now - moment < 60] + [now]
            if len(running.restarts) > RESTARTS_PER_MINUTE:
                raise ProgramFailed(f"{name} keeps ending\n{self.log_tail(name)}")
            died.append(name)
            _end(self._members(running.process.pid, 0.0), seconds=2)
            running.process = self._launch(running.program)
        return died

    def pid(self, name: str) -> int:
        return self._running[name].process.pid

    def stop(self, name: str) -> None:
        """End one program and whatever it forked: SIGTERM, then SIGKILL after its `stop_seconds`."""
        running = self._running[name]
        # The leader is asked alone: it ends its children in its own order.
        with suppress(ProcessLookupError):
            running.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            running.process.wait(running.program.stop_seconds)
        leader_started_at = 0.0 if running.process.poll() is not None else None
        _end(self._members(running.process.pid, leader_started_at), seconds=2)
        running.process.wait()
        self._forget(name)

    def stop_all(self) -> None:
        """End everything, last started first."""
        for name in reversed(list(self._running)):
            self.stop(name)

    def log_tail(self, name: str, lines: int = 25) -> str:
        path = self._logs / f"{name}.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def _launch(self, program: Program, stdout: int | None = None) -> subprocess.Popen[bytes]:
        with (self._logs / f"{program.name}.log").open("ab") as log:
            process = subprocess.Popen(
                program.command,
                cwd=self._working_folder,
                env={**os.environ, **program.environment, MARK: str(self._folder)},
                stdin=subprocess.DEVNULL,
                stdout=log if stdout is None else stdout,
                stderr=log,
                start_new_session=True,
            )
        record = {"pid": process.pid, "started_at": _started_at(process.pid)}
        (self._pids / f"{program.name}.json").write_text(json.dumps(record))
        return process

    def _forget(self, name: str) -> None:
        del self._running[name]
        (self._pids / f"{name}.json").unlink(missing_ok=True)

    def _members(self, pid: int, started_at: float | None) -> list[psutil.Process]:
        """The leader, if it still is the process we started, and whatever of ours is left in its group.

        `started_at` None: the leader is our unreaped child, so the pid is certainly its; 0: it is gone.
        """
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, ProcessLookupError, PermissionError):
                if process.pid == pid:
                    ours = started_at is None or _same_time(process.create_time(), started_at)
                else:
                    ours = os.getpgid(process.pid) == pid and process.environ().get(MARK) == str(self._folder)
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found


def _same_time(one: float, other: float) -> bool:
    return abs(one - other) <= START_TIME_TOLERANCE_SECONDS


def _started_at(pid: int) -> float:
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return time.time()


def _end(processes: Sequence[psutil.Process], *, seconds: float) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGTERM)
    for process in psutil.wait_procs(processes, timeout=seconds)[1]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=5)
