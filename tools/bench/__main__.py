"""`python -m tools.bench [names…]`: all benchmarks, or those named; `--write` renews `docs/benchmarks.md`.

Environment: BENCH_SIZE (investments of the large ones, default 1,000,000), BENCH_PAIRS (default 7),
BENCH_IDLE_SECONDS (how long to wait for an idle machine before each measurement, default 20).
"""

import argparse
import os
import sys
import time
from datetime import date
from pathlib import Path

from pamm_platform.embedded import running_services

RUN_FOLDER = Path(".run/bench")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("names", nargs="*", help="benchmarks to run; all without")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    arguments = parser.parse_args()
    if arguments.write and arguments.names:
        parser.error("the page shows all benchmarks of one run: name none")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pamm_platform.settings.dev")
    # Debugging keeps every statement in memory.
    os.environ["DEBUG"] = "false"
    started = time.monotonic()
    with running_services(RUN_FOLDER) as services:
        os.environ.update(services.environment())
        import django

        django.setup()
        from tools.bench.harness import Harness
        from tools.bench.machine import description
        from tools.bench.registry import BENCHES, settings_of
        from tools.bench.report import table, write_page

        unknown = set(arguments.names) - {bench.name for bench in BENCHES}
        if unknown:
            parser.error(f"no benchmark {', '.join(sorted(unknown))}")
        harness = Harness.from_environment(services)
        results = []
        try:
            harness.prepare()
            facts = description() | settings_of(harness)
            for name, text in facts.items():
                print(f"{name:12} {text}")
            for bench in BENCHES:
                if bench.run is None or (arguments.names and bench.name not in arguments.names):
                    continue
                print(f"\n== {bench.name}: {bench.goal}", flush=True)
                results += bench.run(harness)
        finally:
            harness.close()
    minutes = (time.monotonic() - started) / 60
    facts["took"] = f"{minutes:.1f} minutes"
    print(f"\n{table(results)}\n\n{minutes:.1f} minutes", flush=True)
    if arguments.write:
        write_page(
            results, BENCHES, facts, command=" ".join(["make bench", *arguments.names]), today=date.today()
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
