"""`python -m tests.simulation 17 40-50`: play these seeds and print what differs. Exit 1 if anything does."""

import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pamm_platform.embedded import Services, running_services
from tests.databases import REPOSITORY, TestDatabases

RUN_FOLDER = Path(os.environ.get("TEST_RUN_DIR", REPOSITORY / ".run" / "test"))
PLAYED = re.compile(r"seed (?P<seed>\d+): \S+ s, (?P<events>\d+) events (?P<verdict>ok|FAILED)")
"""The line that each seed prints."""


def main(arguments: list[str]) -> int:
    failed = False
    with running_services(RUN_FOLDER, throwaway=True) as services, _own_database(services):
        from tests.simulation.campaign import ZONE, run_seed
        from tests.simulator import SimulatorProcess

        with tempfile.TemporaryDirectory() as folder:
            market = SimulatorProcess(Path(folder), timezone=ZONE).start()
            try:
                for seed in _chosen(arguments):
                    verdict = run_seed(seed, market)
                    failed |= bool(verdict.differences)
                    print(verdict, flush=True)
            finally:
                market.stop()
    return 1 if failed else 0


@contextmanager
def _own_database(services: Services) -> Iterator[None]:
    """Django on a database of this process' own."""
    databases = TestDatabases(services)
    databases.prepare()
    with databases.clone() as name:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "pamm_platform.settings.test",
            "DATABASE_URL": services.app_url(name),
            "DATABASE_OWNER_URL": services.owner_url(name),
            "REDIS_URL": services.redis.url,
        }
        import django
        from django.db import connections

        django.setup()
        try:
            yield
        finally:
            connections.close_all()


def _chosen(arguments: Iterable[str]) -> Iterator[int]:
    """`40-50` are eleven seeds."""
    for argument in arguments:
        first, _, last = argument.partition("-")
        yield from range(int(first), int(last or first) + 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
