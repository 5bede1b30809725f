"""Visits to a product and to its floor, in turn; percentiles as medians of the rounds."""

import json
import math
import random
import statistics
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.databases import REPOSITORY
from tools.bench.machine import wait_until_idle

PEOPLE = 20


@dataclass(frozen=True, slots=True)
class Visit:
    """One look at one page. `name` is what its figures stand under."""

    name: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Served:
    """Something that answers at `address`; `visits` are made there, each `times` a round."""

    address: str
    visits: Sequence[Visit]
    times: int


@dataclass(frozen=True, slots=True)
class Round:
    """What came of one round: seconds by page, and whatever was not answered with 200."""

    server: Mapping[str, Sequence[float]]
    answer: Mapping[str, Sequence[float]]
    bytes_sent: Mapping[str, int]
    errors: Mapping[str, int]
    seconds: float

    @property
    def requests(self) -> int:
        return sum(map(len, self.answer.values()))

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


@dataclass
class Rounds:
    """All rounds at one thing in one pace."""

    rounds: list[Round] = field(default_factory=list)
    disturbed: int = 0

    def server(self, part: float, page: str | None = None) -> float:
        return statistics.median(percentile(_all(each.server, page), part) for each in self.rounds)

    def answer(self, part: float, page: str | None = None) -> float:
        return statistics.median(percentile(_all(each.answer, page), part) for each in self.rounds)

    def range_of_server(self, part: float) -> tuple[float, float]:
        found = [percentile(_all(each.server, None), part) for each in self.rounds]
        return min(found), max(found)

    @property
    def per_second(self) -> float:
        return statistics.median(each.per_second for each in self.rounds)

    @property
    def pages(self) -> list[str]:
        return list(self.rounds[0].answer)

    @property
    def errors(self) -> Counter[str]:
        return sum((Counter(each.errors) for each in self.rounds), Counter())

    def requests(self, page: str) -> int:
        return sum(len(each.answer[page]) for each in self.rounds)

    def bytes_sent(self, page: str) -> int:
        return max(each.bytes_sent[page] for each in self.rounds)


def hold(contestants: Mapping[str, Served], rounds: int, pause: float) -> dict[str, Rounds]:
    """Rounds at each of them in turn, after one that is not counted: processes import and caches fill."""
    found = {name: Rounds() for name in contestants}
    for number in range(rounds + 1):
        for name, served in contestants.items():
            quiet = wait_until_idle() if number else True
            made = visit(served, pause=pause, seed=number)
            said = f"{made.per_second:7.1f} a second, p95 {percentile(_all(made.server, None), 0.95):.3f} s"
            print(f"    {name:20} {said}{'' if number else '  (not counted)'}", flush=True)
            if number:
                found[name].rounds.append(made)
                found[name].disturbed += not quiet
    return found


def visit(served: Served, *, pause: float, seed: int) -> Round:
    """One round by people in a process of their own."""
    visits = [each for each in served.visits for _ in range(served.times)]
    random.Random(seed).shuffle(visits)  # noqa: S311 - repeatable on purpose
    order = {
        "address": served.address,
        "people": PEOPLE,
        "pause": pause,
        "seed": seed,
        "visits": [{"name": each.name, "path": each.path, "headers": dict(each.headers)} for each in visits],
    }
    done = subprocess.run(
        [sys.executable, "-m", "tools.bench.web.users"],
        input=json.dumps(order),
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
        text=True,
        check=True,
    )
    answered = json.loads(done.stdout)
    server: defaultdict[str, list[float]] = defaultdict(list)
    answer: defaultdict[str, list[float]] = defaultdict(list)
    sizes: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for name in dict.fromkeys(each.name for each in served.visits):
        server[name], answer[name] = [], []
    for name, status, seconds, inside, size in answered["results"]:
        answer[name].append(seconds)
        server[name].append(seconds if math.isnan(inside) else inside)
        sizes[name] = max(sizes[name], size)
        if status != 200:
            errors[f"{name}: {status}"] += 1
    return Round(server, answer, sizes, errors, answered["seconds"])


def percentile(values: Sequence[float], part: float) -> float:
    """The least value that at least this part of all does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def _all(seconds: Mapping[str, Sequence[float]], page: str | None) -> list[float]:
    if page is not None:
        return list(seconds[page])
    return [each for found in seconds.values() for each in found]
