"""`python -m pamm_platform.demo`: start the demo and keep it until Ctrl-C; `… reset` removes its data."""

import argparse
import base64
import fcntl
import json
import os
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from pamm_platform.demo import programs
from pamm_platform.demo.ports import choose_ports
from pamm_platform.demo.supervisor import Program, ProgramFailed, Supervisor
from pamm_platform.embedded import Services, running_services, stop_services

REPOSITORY = Path(__file__).resolve().parent.parent.parent
FOLDER = REPOSITORY / ".run" / "demo"
SETTINGS = "pamm_platform.settings.demo"


class Stopped(BaseException):
    """Ctrl-C or SIGTERM. Not an Exception: nothing on the way may take it for a failure."""


class Progress:
    """Lines with the seconds since the start in front."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def __call__(self, text: str) -> None:
        print(f"[{time.monotonic() - self._started:5.1f} s] {text}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m pamm_platform.demo", description=__doc__)
    parser.add_argument("action", nargs="?", choices=("run", "reset"), default="run")
    action = parser.parse_args().action
    FOLDER.mkdir(parents=True, exist_ok=True)
    say = Progress()
    with (FOLDER / "demo.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(
                "The demo of this checkout is already running: end it first (Ctrl-C where it runs).",
                file=sys.stderr,
            )
            return 1
        supervisor = Supervisor(FOLDER, REPOSITORY)
        for name in supervisor.clear_left_overs():
            say(f"ended {name}, left by a demo that was killed")
        if action == "reset":
            stop_services(FOLDER, erase=True)
            shutil.rmtree(FOLDER)
            say("the demo's data is gone")
            return 0
        return run(supervisor, say)


def run(supervisor: Supervisor, say: Progress) -> int:
    """Start everything, keep it up, end everything. Returns the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        ports = choose_ports(FOLDER)
        say("starting PostgreSQL and Redis")
        with running_services(FOLDER) as services, _all_ended(supervisor, say):
            start(supervisor, services, ports, say)
            while True:
                time.sleep(1)
                for name in services.start_again():
                    say(f"{name} had ended and was started again")
                for name in supervisor.watch():
                    say(f"{name} had ended and was started again (see {FOLDER}/logs/{name}.log)")
    except Stopped:
        say("ended; the data is kept (make demo-reset removes it)")
        return 0
    except (ProgramFailed, RuntimeError, OSError) as failure:
        print(failure, file=sys.stderr)
        return 1


def start(supervisor: Supervisor, services: Services, ports: dict[str, int], say: Progress) -> None:
    environment = demo_environment(services, ports)
    as_owner = environment | {"DATABASE_URL": services.owner_url()}
    manage = [sys.executable, "manage.py"]
    say("bringing the database up to date")
    supervisor.run(Program("migrate", [*manage, "migrate", "--verbosity=0"], as_owner))
    supervisor.run(Program("secure-database", [*manage, "secure_database"], as_owner))

    say("loading brokers, people and a year of history, unless they are there")
    # With the trading server down: its half of the history is written straight into its files.
    loader_environment = environment | {"DATABASE_OWNER_URL": services.owner_url()}
    supervisor.run(Program("load-demo", [*manage, "load_demo"], loader_environment), on_line=say)

    say("starting the simulated trading server, web, worker, beat and the trading robot")
    for program in kept_up(environment, ports):
        supervisor.start(program)

    say("ready")
    print(supervisor.run(Program("demo-accounts", [*manage, "demo_accounts"], environment)), flush=True)
    print(f"Console of the trading server (faults, books): http://127.0.0.1:{ports['DEMO_CONSOLE_PORT']}")
    print("Ctrl-C ends the demo. Logs are in .run/demo/logs.", flush=True)


def kept_up(environment: dict[str, str], ports: dict[str, int]) -> list[Program]:
    """What stays up, in the order of starting; it is ended in the opposite order."""
    # One port for `*.localhost`, and one per broker for programs that do not resolve that.
    web_ports = [ports[name] for name in ("DEMO_PORT", "DEMO_ALPHA_PORT", "DEMO_BETA_PORT")]
    return [
        programs.simulator(
            environment, FOLDER / "simulator", ports["DEMO_TRADING_PORT"], ports["DEMO_CONSOLE_PORT"]
        ),
        programs.web(environment, web_ports),
        programs.worker(environment),
        programs.beat(environment, FOLDER / "beat-schedule"),
        Program("robot", [sys.executable, "manage.py", "demo_robot"], environment),
    ]


def demo_environment(services: Services, ports: dict[str, int]) -> dict[str, str]:
    """What every program of the demo reads; without the owner's address."""
    return {
        "DJANGO_SETTINGS_MODULE": SETTINGS,
        "DATABASE_URL": services.app_url(),
        "REDIS_URL": services.redis.url,
        "SIMULATOR_FOLDER": str(FOLDER / "simulator"),
        **demo_secrets(),
        **{name: str(port) for name, port in ports.items()},
    }


def demo_secrets() -> dict[str, str]:
    """Secrets of this demo, made at its first start and kept (0600): encrypted columns need the same key."""
    path = FOLDER / "secrets.json"
    if not path.exists():
        made = {
            "SECRET_KEY": secrets.token_urlsafe(50),
            "FIELD_ENCRYPTION_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        }
        partial = path.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(made, file)
        partial.rename(path)
    loaded: dict[str, str] = json.loads(path.read_text())
    return loaded


@contextmanager
def _all_ended(supervisor: Supervisor, say: Progress) -> Iterator[None]:
    try:
        yield
    finally:
        # A second Ctrl-C must not leave half of it running.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        say("ending what was started")
        supervisor.stop_all()


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped


if __name__ == "__main__":
    sys.exit(main())
