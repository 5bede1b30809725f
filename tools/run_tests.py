"""`python -m tools.run_tests [check]`: the checks, every group of tests, time per group, the slowest tests.

Ends with 0 only if everything held. Groups are folders of `tests/`; what no group names belongs to `unit`.
"""

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pamm_platform.embedded import Services, running_services
from tools.chromium import chromium

REPOSITORY = Path(__file__).resolve().parent.parent
RUN_FOLDER = REPOSITORY / ".run" / "test"
REPORTS = RUN_FOLDER / "reports"
SLOWEST = 20

# Group → seconds it may take on two cores, processes it runs on.
GROUPS = {
    "unit": (150, 2),
    "crashes": (90, 1),
    "races": (45, 1),
    "probes": (45, 1),
    "journeys": (120, 1),
    "soak": (30, 2),
}

# A full environment as a deployment has it; `check --deploy` on it must be silent.
DEPLOYMENT = {
    "DJANGO_SETTINGS_MODULE": "pamm_platform.settings.production",
    "SECRET_KEY": "check-only-" + "0123456789abcdefghijklmnopqrstuvwxyz" * 2,
    "FIELD_ENCRYPTION_KEYS": "Y2hlY2stb25seS1jaGVjay1vbmx5LWNoZWNrLW9ubHk=",
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
            for name, (budget, processes) in GROUPS.items():
                if paths := group_paths(name):
                    outcomes.append(_timed(name, budget, partial(pytest, name, paths, processes)))
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
        "import-linter": (["-m", "importlinter.cli", "lint"], environment),
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


def group_paths(name: str) -> list[Path]:
    """Folders of a group; `unit` is every folder and file that is no other group's."""
    tests = REPOSITORY / "tests"
    if name != "unit":
        return [tests / name] if (tests / name).is_dir() else []
    return sorted(
        path
        for path in tests.iterdir()
        if path.name not in GROUPS and not path.name.startswith((".", "_"))
        if (path.is_dir() and any(path.rglob("test_*.py"))) or path.name.startswith("test_")
    )


def pytest(name: str, paths: list[Path], processes: int) -> bool:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--quiet",
        f"--junit-xml={REPORTS / name}.xml",
        *map(str, paths),
    ]
    if processes > 1:
        command += [f"--numprocesses={processes}", "--dist=loadgroup"]
    return subprocess.run(command, cwd=REPOSITORY, check=False).returncode == 0


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
        print(f"  {outcome.name:10} {outcome.seconds:6.1f} s of {outcome.budget:4.0f} s  {verdict}{over}")
    print(f"  {'total':10} {total:6.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
