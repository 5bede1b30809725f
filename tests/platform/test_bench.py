"""The benchmarks run: each one once on a handful of rows, so that none of them rots. No time is judged."""

from collections.abc import Iterator

import pytest
from pytest_django.plugin import DjangoDbBlocker

from pamm_platform.embedded import Services
from tests.databases import TestDatabases
from tools.bench.harness import Bench, Harness, Result
from tools.bench.pairs import Pair, Ratios, slope
from tools.bench.registry import BENCHES
from tools.bench.report import judged, table

RUN = [bench for bench in BENCHES if bench.run is not None]


@pytest.fixture(scope="module")
def harness(
    services: Services, test_databases: TestDatabases, django_db_blocker: DjangoDbBlocker
) -> Iterator[Harness]:
    """One for all: they share databases as they do in a real run."""
    made = Harness(services, size=400, pairs=1)
    made.prepare()
    with pytest.MonkeyPatch.context() as patched, django_db_blocker.unblock():
        patched.setattr("tools.bench.machine.PATIENCE", 0.0)
        yield made
        made.close()


@pytest.mark.parametrize("bench", RUN, ids=[bench.name for bench in RUN])
def test_a_benchmark_of_a_handful_of_rows_does_its_work(bench: Bench, harness: Harness) -> None:
    assert bench.run is not None

    results = bench.run(harness)

    assert {result.bench for result in results} == {bench.name}
    assert "nan" not in table(results)


def test_a_ratio_above_its_bar_is_missed_and_one_below_holds() -> None:
    ratios = Ratios((Pair(1.0, 2.0), Pair(1.1, 3.3), Pair(1.0, 2.5)))

    assert judged("P1", "what", "sizes", ratios, 2.4).holds is False
    assert judged("P1", "what", "sizes", ratios, 2.5).holds is True


def test_a_floor_that_was_unsteady_is_not_judged() -> None:
    ratios = Ratios((Pair(1.0, 1.0), Pair(1.6, 1.0)))

    result: Result = judged("P1", "what", "sizes", ratios, 10)

    assert result.holds is None
    assert "unsteady" in result.why


def test_the_slope_of_what_grows_with_its_size_is_one_and_of_what_does_not_is_zero() -> None:
    assert slope([10, 100, 1000], [0.2, 2.0, 20.0]) == pytest.approx(1)
    assert slope([10, 100, 1000], [5.0, 5.0, 5.0]) == pytest.approx(0)
