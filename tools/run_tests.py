"""`python -m tools.run_tests [check]`: the checks, every group of tests, time per group, the slowest tests.

Ends with 0 only if everything held.
"""

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pamm_platform.embedded import Services, free_memory, running_services
from tools.chromium import chromium

REPOSITORY = Path(__file__).resolve().parent.parent
RUN_FOLDER = REPOSITORY / ".run" / "test"
REPORTS = RUN_FOLDER / "reports"
SLOWEST = 20


@dataclass(frozen=True, slots=True)
class Group:
    """Seconds it may take on two cores, processes it runs on, and what of `tests/` belongs to it.

    The group without paths has everything that no other group names. What mostly waits for other processes
    runs *beside* the rest, one such group after the other.
    """

    budget: float
    processes: int
    paths: tuple[str, ...] = ()
    beside: bool = False


GROUPS = {
    "unit": Group(180, 2),
    "pages": Group(150, 2, ("web", "back_office")),
    "circle": Group(160, 2, ("circle", "demo")),
    "probes": Group(90, 2, ("isolation", "circle/test_hidden_trades.py")),
    "soak": Group(60, 2, ("circle/test_random_histories.py", "simulation")),
    "crashes": Group(320, 1, ("circle/test_killed_workers.py", "crashes"), beside=True),
    "reliability": Group(260, 1, ("reliability",), beside=True),
    "journeys": Group(170, 1, ("journeys",), beside=True),
    "every_page": Group(200, 1, ("every_page",)),
}

# A full environment as a deployment has it; `check --deploy` on it must be silent.
DEPLOYMENT = {
    "DJANGO_SETTINGS_MODULE": "pamm_platform.settings.production",
    "SECRET_KEY": "check-only-" + "0123456789abcdefghijklmnopqrstuvwxyz" * 2,
    "FIELD_ENCRYPTION_KEYS": "Y2hlY2stb25seS1jaGVjay1vbmx5LWNoZWNrLW9ubHk=",
    "SEAL_SIGNING_KEY": "Y2hlY2stb25seS1jaGVjay1vbmx5LWNoZWNrLW9ubHk=",
    "SEAL_FOLDER": "/nonexistent/seals",
    "STATEMENT_FOLDER": "/nonexistent/statements",
    "ALLOWED_HOSTS": "platform.example.com",
    "DEFAULT_FROM_EMAIL": "no-reply@example.com",
    "EMAIL_URL": "smtps://user:password@mail.example.com:465",
}


@dataclass(slots=True)
class Outcome:
    name: str
    seconds: float
    budget: float
    held: bool


def main(arguments: list[str]) -> int:
    started = time.monotonic()
    outcomes: list[Outcome] = []
    if installing := os.environ.get("INSTALL_SECONDS"):
        outcomes.append(Outcome("install", float(installing), 45, held=True))
    with running_services(RUN_FOLDER, throwaway=True) as services:
        only_checks = arguments == ["check"]
        outcomes.append(_timed("checks", 45, partial(checks, services)))
        if not only_checks:
            outcomes.append(_timed("chromium", 45, _provide_chromium))
            for report in REPORTS.glob("*.xml"):
                report.unlink()
            with ThreadPoolExecutor(1) as lane:
                beside = [(name, lane.submit(_timed_quietly, name)) for name in GROUPS if GROUPS[name].beside]
                for name, group in GROUPS.items():
                    if not group.beside:
                        outcomes.append(_timed(name, group.budget, partial(pytest, name)))
                for name, running in beside:
                    outcome, written = running.result()
                    print(f"== {name}\n{written}", flush=True)
                    outcomes.append(outcome)
    free_memory(RUN_FOLDER)
    if not only_checks:
        _print_slowest()
    _print_outcomes(outcomes, time.monotonic() - started)
    return 0 if all(outcome.held for outcome in outcomes) else 1


def checks(services: Services) -> bool:
    """Everything that is judged without running a test; every check runs even when one before it failed."""
    environment = os.environ | services.environment()
    commands: dict[str, tuple[list[str], dict[str, str]]] = {
        "ruff check": (["-m", "ruff", "check", "--quiet"], environment),
        "ruff format": (["-m", "ruff", "format", "--check", "--quiet"], environment),
        "mypy --strict": (["-m", "mypy", "."], environment),
        # Its module has no main of its own: run with -m it would check nothing and say so to nobody.
        "import-linter": (
            ["-c", "import importlinter.cli as linter; linter.lint_imports_command([])"],
            environment,
        ),
        "messages": (["-m", "tools.messages", "check"], environment),
        "makemigrations --check": (
            ["manage.py", "makemigrations", "--check", "--dry-run"],
            environment
            | {"DJANGO_SETTINGS_MODULE": "pamm_platform.settings.test"}
            | {"DATABASE_URL": services.owner_url()},
        ),
        "check --deploy": (
            ["manage.py", "check", "--deploy", "--fail-level", "WARNING"],
            environment | DEPLOYMENT,
        ),
    }
    held = True
    for name, (command, variables) in commands.items():
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, *command],
            cwd=REPOSITORY,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        verdict = "ok" if done.returncode == 0 else "FAILED"
        print(f"  {name}: {verdict} ({time.monotonic() - started:.1f} s)", flush=True)
        if done.returncode != 0:
            held = False
            print(done.stdout + done.stderr, flush=True)
    return held


def selection(name: str) -> list[str]:
    """pytest's arguments for what belongs to a group: its paths, less what other groups name below them."""
    own = GROUPS[name].paths
    others = [path for group in GROUPS.values() if group.paths != own for path in group.paths]
    tests = REPOSITORY / "tests"
    return [str(tests / path) for path in own or ("",)] + [f"--ignore={tests / path}" for path in others]


def pytest(name: str) -> bool:
    return subprocess.run(pytest_command(name), cwd=REPOSITORY, check=False).returncode == 0


def _timed_quietly(name: str) -> tuple[Outcome, str]:
    """A group whose output is kept until the others are through."""
    started = time.monotonic()
    done = subprocess.run(
        pytest_command(name),
        cwd=REPOSITORY,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    outcome = Outcome(name, time.monotonic() - started, GROUPS[name].budget, held=done.returncode == 0)
    return outcome, done.stdout


def pytest_command(name: str) -> list[str]:
    command = [sys.executable, "-m", "pytest", "--quiet", f"--junit-xml={REPORTS / name}.xml"]
    if GROUPS[name].processes > 1:
        command += [f"--numprocesses={GROUPS[name].processes}", "--dist=loadgroup"]
    return [*command, *selection(name)]


def _provide_chromium() -> bool:
    os.environ["CHROMIUM_PATH"] = str(chromium())
    return True


def _timed(name: str, budget: float, group: Callable[[], bool]) -> Outcome:
    print(f"== {name}", flush=True)
    started = time.monotonic()
    held = group()
    return Outcome(name, time.monotonic() - started, budget, held)


def _durations() -> Iterator[tuple[float, str]]:
    for report in REPORTS.glob("*.xml"):
        for case in ElementTree.parse(report).getroot().iter("testcase"):  # noqa: S314 - our own file
            yield float(case.get("time", 0)), f"{case.get('classname')}::{case.get('name')}"


def _print_slowest() -> None:
    print(f"\nThe {SLOWEST} slowest tests")
    for seconds, name in sorted(_durations(), reverse=True)[:SLOWEST]:
        print(f"  {seconds:6.1f} s  {name}")


def _print_outcomes(outcomes: list[Outcome], total: float) -> None:
    print("\nTime per group")
    for outcome in outcomes:
        verdict = "ok" if outcome.held else "FAILED"
        over = "  over its budget" if outcome.seconds > outcome.budget else ""
        print(f"  {outcome.name:11} {outcome.seconds:6.1f} s of {outcome.budget:4.0f} s  {verdict}{over}")
    print(f"  {'total':11} {total:6.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
