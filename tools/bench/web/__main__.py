"""`python -m tools.bench.web`: how quickly pages answer; `--write` renews `docs/benchmarks-web.md`.

Environment: BENCH_WEB_ROUNDS (default 5), BENCH_WEB_TIMES (looks of each of five sessions at each page in a
round, default 4), BENCH_WEB_OFFERS (default 1,000), BENCH_WEB_INVESTMENTS (100), BENCH_IDLE_SECONDS.
"""

import argparse
import os
import sys
import time
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from pamm_platform.embedded import running_services

RUN_FOLDER = Path(".run/bench")
LONGEST_LOOK_SECONDS = 2.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.web", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks-web.md")
    arguments = parser.parse_args()
    started = time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="bench-web-")))
        services = stack.enter_context(running_services(RUN_FOLDER))
        from tools.bench.web.serving import collect_static_files, production_environment

        os.environ.update(services.environment())
        os.environ.update(production_environment(folder, services.redis.url))
        import django

        django.setup()
        from tests.databases import TestDatabases
        from tests.simulator import MANAGER_PASSWORD
        from tools.bench.database import Database
        from tools.bench.machine import description
        from tools.bench.report import table
        from tools.bench.web.cabinet import DAYS, FLOOR, PRODUCT, contestants
        from tools.bench.web.contest import hold
        from tools.bench.web.crowd import CrowdSizes
        from tools.bench.web.report import Contest, judged, page_table, write_page
        from tools.bench.web.serving import production_options

        os.environ["SIMULATOR_MANAGER_PASSWORD"] = MANAGER_PASSWORD
        collect_static_files()
        databases = TestDatabases(services)
        databases.prepare()
        database = Database(services, stack.enter_context(databases.clone()))
        stack.enter_context(database.application())
        sizes = CrowdSizes(
            _setting("OFFERS", 1_000), _setting("INVESTMENTS", 100), _setting("INVESTORS", 200)
        )
        print(f"loading {sizes}", flush=True)
        both = contestants(
            database, folder, stack, sizes=sizes, times=_setting("TIMES", 4), days=_setting("DAYS", DAYS)
        )
        rounds = _setting("ROUNDS", 5)
        print("== people who read", flush=True)
        reading = hold(both, rounds, pause=LONGEST_LOOK_SECONDS)
        print("== people who never pause", flush=True)
        hurrying = hold(both, rounds, pause=0)
        contest = Contest(FLOOR, PRODUCT, str(sizes), reading, hurrying)
        results = judged(contest)
        minutes = (time.monotonic() - started) / 60
        facts = description() | {
            "server": f"gunicorn {' '.join(production_options())}",
            "rounds": f"{rounds} of {reading[PRODUCT].rounds[0].requests:,} pages",
            "took": f"{minutes:.1f} minutes",
        }
        print(f"\n{table(results)}\n\n{page_table(contest)}\n\n{minutes:.1f} minutes", flush=True)
        if arguments.write:
            write_page(contest, results, facts, command="make bench-web", today=date.today())
    return 0 if all(result.holds for result in results) else 1


def _setting(name: str, default: int) -> int:
    return int(os.environ.get(f"BENCH_WEB_{name}", default))


if __name__ == "__main__":
    sys.exit(main())
