"""The demo's supervisor ends what it started and nothing else, and clears what a killed one left."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pamm_platform.demo.ports import choose_ports, is_free
from pamm_platform.demo.supervisor import Program, ProgramFailed, Supervisor
from tests.databases import REPOSITORY

# A program that forks a child and notes both pids.
FAMILY = (
    "import os, sys, time\n"
    "child = os.fork()\n"
    "if child:\n"
    "    open(sys.argv[1] + '.part', 'w').write(f'{os.getpid()} {child}')\n"
    "    os.rename(sys.argv[1] + '.part', sys.argv[1])\n"
    "while True: time.sleep(1)\n"
)


def family(tmp_path: Path, name: str = "family") -> Program:
    note = tmp_path / f"{name}.pids"
    return Program(name, [sys.executable, "-c", FAMILY, str(note)], is_ready=note.exists, stop_seconds=1)


def pids(tmp_path: Path, name: str = "family") -> list[int]:
    return [int(word) for word in (tmp_path / f"{name}.pids").read_text().split()]


def is_gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def test_stopped_program_takes_the_children_it_left_along(supervisor: Supervisor, tmp_path: Path) -> None:
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        supervisor.start(family(tmp_path))
        supervisor.stop_all()
        assert all(is_gone(pid) for pid in pids(tmp_path))
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_programs_of_a_killed_supervisor_are_cleared(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from tests.platform.test_supervisor import family\n"
        "from pamm_platform.demo.supervisor import Supervisor\n"
        "folder = Path(sys.argv[1])\n"
        "Supervisor(folder / 'processes', folder).start(family(folder))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=REPOSITORY, check=False)
    assert killed.returncode == -signal.SIGKILL
    leader, child = pids(tmp_path)
    os.kill(leader, signal.SIGKILL)  # even without its leader the child is found
    assert psutil.pid_exists(child)

    assert Supervisor(tmp_path / "processes", REPOSITORY).clear_left_overs() == ["family"]

    assert is_gone(child)


def test_recycled_pid_of_a_left_over_is_not_touched(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        supervisor = Supervisor(tmp_path / "processes", REPOSITORY)
        record = {"pid": stranger.pid, "started_at": psutil.Process(stranger.pid).create_time() - 3600}
        (tmp_path / "processes/pids/web.json").write_text(json.dumps(record))
        assert supervisor.clear_left_overs() == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_program_that_dies_is_started_again_until_it_dies_too_often(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    supervisor.start(family(tmp_path))
    before = supervisor.pid("family")
    os.kill(before, signal.SIGKILL)
    assert is_gone(before)
    assert supervisor.watch() == ["family"]
    assert supervisor.pid("family") != before

    supervisor.start(Program("short", [sys.executable, "-c", ""]))

    def watch_for_long() -> None:
        for _ in range(100):
            time.sleep(0.05)
            supervisor.watch()

    with pytest.raises(ProgramFailed, match="short keeps ending"):
        watch_for_long()


def test_program_that_ends_before_it_is_ready_fails_with_its_log(supervisor: Supervisor) -> None:
    broken = Program("broken", [sys.executable, "-c", "raise SystemExit('no money')"], is_ready=lambda: False)
    with pytest.raises(ProgramFailed, match="no money"):
        supervisor.start(broken)


def test_port_taken_by_somebody_is_stepped_over_and_kept_next_time(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not is_free(port)
        chosen = choose_ports(tmp_path, {"DEMO_PORT": str(port)})
        assert chosen["DEMO_PORT"] > port
        assert len(set(chosen.values())) == len(chosen)
    assert choose_ports(tmp_path, {}) == chosen
