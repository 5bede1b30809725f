"""Benchmarks: how long the platform takes, as a ratio to what the same database can do at best.

`make bench` runs all of them and writes `docs/benchmarks.md`; `python -m tools.bench P4` runs one. Sizes come
from the environment (`BENCH_SIZE`, `BENCH_PAIRS`), so that one can look at ten thousand before a million.
"""
