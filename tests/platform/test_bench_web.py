"""The benchmark of the pages runs, on a handful of rows; what is no page is an error. No time is judged."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pytest_django.plugin import DjangoDbBlocker

from pamm_platform.embedded import Services
from tests.databases import TestDatabases
from tests.simulator import MANAGER_PASSWORD
from tools.bench.database import Database
from tools.bench.report import table
from tools.bench.web.cabinet import FLOOR, PRODUCT, contestants
from tools.bench.web.contest import Round, Rounds, Served, Visit, hold, percentile, visit
from tools.bench.web.crowd import CrowdSizes
from tools.bench.web.report import Contest, judged, page_table
from tools.bench.web.serving import collect_static_files, production_environment, production_options

FEW = CrowdSizes(offers=12, investments=3, investors=14)


@pytest.fixture(scope="module")
def both(
    services: Services,
    test_databases: TestDatabases,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, Served]]:
    """Floor and product, up."""
    folder = tmp_path_factory.mktemp("bench-web")
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr("tools.bench.machine.PATIENCE", 0.0)
        patch.setenv("SIMULATOR_MANAGER_PASSWORD", MANAGER_PASSWORD)
        stack.enter_context(django_db_blocker.unblock())
        database = Database(services, stack.enter_context(test_databases.clone()))
        stack.enter_context(database.application())
        # Sessions are signed by this process and read by the server.
        wanted = production_environment(folder, os.environ["REDIS_URL"])
        for name, value in wanted.items():
            patch.setenv(name, value)
        with pytest.MonkeyPatch.context() as settings:
            from django.conf import settings as used

            for name in ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS"):
                value = wanted[name]
                settings.setattr(used, name, [value] if name.endswith("KEYS") else value)
            collect_static_files()
            yield contestants(database, folder, stack, sizes=FEW, times=1, days=4)


def test_every_page_is_asked_for_and_answered(both: dict[str, Served]) -> None:
    found = hold(both, rounds=1, pause=0)

    product = found[PRODUCT]
    assert not product.errors, product.errors
    assert not found[FLOOR].errors
    assert set(product.pages) == {each.name for each in both[PRODUCT].visits}
    contest = Contest(FLOOR, PRODUCT, str(FEW), found, found)
    assert "nan" not in table(judged(contest)) + page_table(contest)
    assert all(name in page_table(contest) for name in product.pages)


def test_an_answer_that_is_not_the_page_is_an_error(both: dict[str, Served]) -> None:
    served = both[PRODUCT]
    portfolio = next(each for each in served.visits if each.name.startswith("allocation:portfolio"))
    signed_out = {name: value for name, value in portfolio.headers.items() if name != "Cookie"}
    visits = [Visit("a stranger", portfolio.path, signed_out), Visit("nothing", "/nothing/", signed_out)]

    made = visit(Served(served.address, visits, 1), pause=0, seed=1)

    assert made.errors == {"a stranger: 302": 1, "nothing: 404": 1}
    rounds = {PRODUCT: Rounds([made]), FLOOR: Rounds([made])}
    assert judged(Contest(FLOOR, PRODUCT, "", rounds, rounds))[-1].holds is False


def test_a_page_above_its_bar_is_missed_although_all_together_are_below() -> None:
    seconds = {"quick": [0.01] * 99, "slow": [0.2]}
    rounds = Rounds([Round(seconds, seconds, {"quick": 1, "slow": 1}, {}, 1.0)])
    found = {PRODUCT: rounds, FLOOR: rounds}

    results = judged(Contest(FLOOR, PRODUCT, "", found, found))

    assert rounds.server(0.95) == 0.01
    assert [result.holds for result in results] == [False, False, True]


def test_percentile_is_the_least_value_that_the_part_does_not_exceed() -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], 0.5) == 2.0
    assert percentile([float(number) for number in range(1, 101)], 0.95) == 95.0
    assert percentile([7.0], 0.95) == 7.0


def test_server_has_the_options_of_the_image() -> None:
    options = production_options()
    assert any(option.startswith("--workers=") for option in options)
    assert not any(option.startswith("--bind=") for option in options)


def test_static_folder_is_the_runs_own(tmp_path: Path) -> None:
    environment = production_environment(tmp_path, "redis://")
    assert environment["BENCH_STATIC_FOLDER"].startswith(str(tmp_path))
