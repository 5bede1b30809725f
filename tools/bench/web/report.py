"""What a contest found: on the terminal, and as `docs/benchmarks-web.md`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from tests.databases import REPOSITORY
from tools.bench.harness import Result
from tools.bench.report import table
from tools.bench.web.contest import PEOPLE, Rounds

PAGE = REPOSITORY / "docs" / "benchmarks-web.md"
MUST_MILLISECONDS = 150
MILLISECONDS = 1_000


@dataclass(frozen=True, slots=True)
class Contest:
    """Rounds at floor and product: by people who read what they see, and by people who never stop."""

    floor: str
    product: str
    sizes: str
    reading: Mapping[str, Rounds]
    hurrying: Mapping[str, Rounds]


def judged(contest: Contest) -> list[Result]:
    """The slowest page decides, and no error is allowed."""
    results = []
    for pace, found in (("reading", contest.reading), ("never pausing", contest.hurrying)):
        product, floor = found[contest.product], found[contest.floor]
        slowest = max(product.pages, key=lambda page: product.server(0.95, page))
        most = product.server(0.95, slowest) * MILLISECONDS
        all_pages = product.server(0.95) * MILLISECONDS
        least, greatest = (each * MILLISECONDS for each in product.range_of_server(0.95))
        results.append(
            Result(
                bench="web",
                what=f"server time of the slowest page, p95, {PEOPLE} people {pace}: {slowest}",
                sizes=contest.sizes,
                figure=f"{most:.0f} ms; all {all_pages:.0f} [{least:.0f}–{greatest:.0f}]",
                must=f"≤ {MUST_MILLISECONDS} ms",
                holds=most <= MUST_MILLISECONDS,
                seconds=f"{product.per_second:.0f} pages a second; floor {floor.per_second:.0f}, "
                f"{floor.server(0.95) * MILLISECONDS:.1f} ms",
                why=_why(product),
            )
        )
    errors = sum(((*each.errors.items(),) for each in _all(contest)), ())
    results.append(
        Result(
            bench="web",
            what="answers that were not the page",
            sizes=", ".join(f"{name} ({count})" for name, count in errors) or "of all that were asked for",
            figure=str(sum(count for _name, count in errors)),
            must="0",
            holds=not errors,
        )
    )
    return results


def _all(contest: Contest) -> list[Rounds]:
    return [*contest.reading.values(), *contest.hurrying.values()]


def _why(rounds: Rounds) -> str:
    if not rounds.disturbed:
        return ""
    return f"machine busy before {rounds.disturbed} of {len(rounds.rounds)} rounds"


def page_table(contest: Contest) -> str:
    """A line a page, the slowest first; milliseconds, p50 and p95 as medians of the rounds."""
    reading, hurrying = contest.reading[contest.product], contest.hurrying[contest.product]
    floors = contest.reading[contest.floor], contest.hurrying[contest.floor]
    names = sorted(reading.pages, key=lambda page: -reading.server(0.95, page))
    width = max(map(len, (*names, contest.floor)))
    head = f"{'':{width}}  {'reading':^33}  {'never pausing':^33}  {'':>7} {'':>8}"
    under = (
        f"{'':{width}}  {'server':^16} {'answer':^16}  {'server':^16} {'answer':^16}  {'kB':>7} {'asked':>8}"
    )
    lines = [head.rstrip(), under]
    lines.append(_line(contest.floor, width, *floors))
    lines += [_line(name, width, reading, hurrying) for name in names]
    return "\n".join(lines)


def _line(name: str, width: int, reading: Rounds, hurrying: Rounds) -> str:
    figures = "  ".join(
        f"{_pair(rounds.server, name):>16} {_pair(rounds.answer, name):>16}" for rounds in (reading, hurrying)
    )
    size = reading.bytes_sent(name) / 1024
    return f"{name:{width}}  {figures}  {size:7.1f} {reading.requests(name) + hurrying.requests(name):8}"


def _pair(measured: object, name: str) -> str:
    assert callable(measured)
    return f"{measured(0.5, name) * MILLISECONDS:.1f} / {measured(0.95, name) * MILLISECONDS:.1f}"


def write_page(
    contest: Contest, results: Sequence[Result], machine: Mapping[str, str], *, command: str, today: date
) -> None:
    facts = "\n".join(f"{name:12} {text}" for name, text in machine.items())
    PAGE.write_text(
        TEMPLATE.format(
            command=command,
            today=today.isoformat(),
            facts=facts,
            people=PEOPLE,
            table=table(results),
            pages=page_table(contest),
        )
    )


TEMPLATE = """\
# Benchmarks of the pages

Written by `make bench-web`; do not edit by hand. Those of rollovers are in [benchmarks](benchmarks.md).

{people} people, signed in where the page wants it, walk the pages of cabinets and the public ones in random
order; the process that plays them runs beside the server on the same cores. The pages are served as the image
serves them: gunicorn with its options, production's settings, stored static files, Valkey, PostgreSQL with
fsync and row-level security as the application's role. The data come from the demo's loader. In turn with
them, and under the same command, a bare Django page is asked for: `startproject`'s middleware, no
database, a table of fifty rows.

* **server**: from the moment a worker takes the request until the page is made; p50 / p95 in milliseconds.
  The time in which other workers have the processor is in it.
* **answer**: until the last byte has come, waiting for a free worker included.
* **reading**: after each page a person looks at it for up to two seconds. **Never pausing**: asks for the
  next at once, so that the server is never idle; answers then wait for each other, and only rate and server
  time tell.

Medians of the rounds; the round in which processes import and caches fill is not counted.

{today}, `{command}`

```text
{facts}
```

```text
{table}
```

```text
{pages}
```
"""
