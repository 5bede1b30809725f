"""What a benchmark is given: databases of the size it asks for, and how thorough the run is."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from pamm_platform.embedded import Services
from tests.databases import TestDatabases
from tools.bench.database import Database
from tools.bench.dataset import Loaded, Sizes, load
from tools.bench.rollovers import measured_round

FULL_SIZE = 1_000_000
FULL_PAIRS = 7
TOO_MANY_TO_WARM_UP = 100_000


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table. `holds` is None where nothing can be judged, `why` says why."""

    bench: str
    what: str
    sizes: str
    figure: str
    must: str
    holds: bool | None
    seconds: str = ""
    why: str = ""

    @property
    def verdict(self) -> str:
        return {True: "holds", False: "MISSED", None: "not judged"}[self.holds]


@dataclass
class Harness:
    """`size`: investments of the large benchmarks; `pairs`: how often floor and product are measured."""

    services: Services
    size: int = FULL_SIZE
    pairs: int = FULL_PAIRS
    _databases: TestDatabases = field(init=False)
    _loaded: dict[Sizes, Loaded] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        self._databases = TestDatabases(self.services)

    @classmethod
    def from_environment(cls, services: Services) -> "Harness":
        return cls(
            services,
            int(os.environ.get("BENCH_SIZE", FULL_SIZE)),
            int(os.environ.get("BENCH_PAIRS", FULL_PAIRS)),
        )

    @property
    def is_full(self) -> bool:
        return self.size >= FULL_SIZE and self.pairs >= FULL_PAIRS

    def prepare(self) -> None:
        """Migrate the template of all databases, unless one of this very schema is there."""
        self._databases.prepare()

    @contextmanager
    def database(self) -> Iterator[Database]:
        """An empty database, migrated and secured."""
        with self._databases.clone() as name:
            yield Database(self.services, name)

    def loaded(self, sizes: Sizes) -> Loaded:
        """A database with this data set, kept until the run ends: others of the same size go on with it."""
        known = self._loaded.get(sizes)
        if known is None:
            print(f"    loading {sizes}", flush=True)
            known = self._loaded[sizes] = load(self._stack.enter_context(self.database()), sizes)
            if sizes.due * sizes.accounts < TOO_MANY_TO_WARM_UP:
                with known.database.application():
                    # The first one opens ledger accounts, and meets tables that were empty.
                    measured_round(known)
        return known

    def close(self) -> None:
        """Drop all databases of this run."""
        self._loaded.clear()
        self._stack.close()

    @property
    def accounts(self) -> int:
        """Accounts of the large benchmarks: a thousand investments each."""
        return max(4, self.size // 1_000)


Run = Callable[[Harness], list[Result]]


@dataclass(frozen=True, slots=True)
class Bench:
    """`run` is missing where the harness is ready and the platform is not. `beyond`: what it would take to
    reach the bar where it is missed.
    """

    name: str
    goal: str
    run: Run | None = None
    beyond: str = ""
