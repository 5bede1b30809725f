"""The table: on the terminal, and as `docs/benchmarks.md`."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from tools.bench.harness import Bench, Result
from tools.bench.pairs import Ratios

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "benchmarks.md"


def judged(bench: str, what: str, sizes: str, ratios: Ratios, must: float) -> Result:
    """A ratio that has to stay at or below `must`; not judged where the floor was unsteady."""
    unsteady = "" if ratios.is_steady else f"floor unsteady: slowest / fastest {ratios.spread:.2f}"
    return Result(
        bench=bench,
        what=what,
        sizes=sizes,
        figure=f"{ratios.ratio:.2f} [{ratios.least:.2f}–{ratios.most:.2f}]",
        must=f"≤ {must:g}",
        holds=ratios.ratio <= must if ratios.is_steady else None,
        seconds=f"{ratios.product:.3f} / {ratios.floor:.3f} s, {len(ratios.pairs)} pairs",
        why="; ".join(filter(None, (unsteady, _disturbed(ratios)))),
    )


def _disturbed(ratios: Ratios) -> str:
    if not ratios.disturbed:
        return ""
    return f"machine busy before {ratios.disturbed} of {2 * len(ratios.pairs)} measurements"


def table(results: Sequence[Result]) -> str:
    """Fixed columns, ratios first; sizes and reasons on lines of their own below each row."""
    lines = [f"{'':8} {'measured':28} {'must':>10}  {'':10} {'seconds'}"]
    for result in results:
        lines.append(
            f"{result.bench:8} {result.figure:28} {result.must:>10}  {result.verdict:10} {result.seconds}"
        )
        below = f"{result.what}\n{result.sizes}\n{result.why}"
        lines += [f"{'':8}   {line}" for line in below.splitlines() if line]
    return "\n".join(lines)


def write_page(
    results: Sequence[Result],
    registered: Sequence[Bench],
    machine: Mapping[str, str],
    *,
    command: str,
    today: date,
) -> None:
    later = "\n".join(f"| {bench.name} | {bench.goal} |" for bench in registered if bench.run is None)
    facts = "\n".join(f"{name:12} {text}" for name, text in machine.items())
    PAGE.write_text(
        TEMPLATE.format(
            command=command,
            today=today.isoformat(),
            facts=facts,
            table=table(results),
            beyond="\n".join(
                f"* **{bench.name}**: {bench.beyond}"
                for bench in registered
                if bench.beyond and any(row.bench == bench.name and row.holds is False for row in results)
            )
            or "Nothing.",
            later=later,
        )
    )


TEMPLATE = """\
# Benchmarks

Written by `make bench`; do not edit by hand. What the words mean stands in [concepts](concepts.md), why it is
measured like this in [ADR 0073](adr/0073-benchmarks-are-ratios-taken-in-one-run.md).

A figure is a ratio: what the platform took, by what the same database took for a floor right before it, in
the same run. Given is the median of the pairs and, in brackets, the least and the most. Seconds are beside it
and belong to this machine only.

* **F1**: COPY of one ledger row per investment, as text, into a table with a primary key.
* **F2 + F3**: update every position in place, joined to its account's price, and insert one computed entry
  each.
* **F4**: `pgbench -N`, prepared, one client: transactions per second.

Row-level security, triggers, foreign keys, events, ledger and idempotency are on in what is measured, as the
application's own role; the floors have none of it. The network and the trading server's own time are left
out: their end is played from memory.

{today}, `{command}`

```text
{facts}
```

```text
{table}
```

## What would change what was missed

{beyond}

## Registered for later

| | |
|---|---|
{later}
"""
