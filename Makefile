# make demo   start everything and keep it until Ctrl-C
# make test   run everything that has to hold
# make soak   hundreds of random brokers beside a model of the rules
# make bench  measure it against what the database can do at best
# make bench-web    the pages under many people, beside a bare Django page
# make screenshots  every page of the demo as pictures
.POSIX:
.SILENT:

PY = .venv/bin/python
SEEDS = 500

.PHONY: help demo demo-reset test soak bench bench-web screenshots check lock
help:
	echo 'make demo        start the platform with two demo brokers; Ctrl-C ends it, the data is kept'
	echo 'make demo-reset  remove the data of the demo'
	echo 'make test        checks and all tests, on embedded PostgreSQL and Redis'
	echo 'make soak        SEEDS=500 random brokers with faults and crashes beside a model of the rules; CAMPAIGNS=1: all other campaigns, too'
	echo 'make bench       ratios to what the same database can do at best, written to docs/benchmarks.md (about 20 minutes)'
	echo 'make bench-web   what pages take with 20 people at once, beside a bare Django page, written to docs/benchmarks-web.md (about 10 minutes)'
	echo 'make screenshots  every page of the demo at two widths, light and dark, into docs/screenshots (about 8 minutes)'
	echo 'make check       only the checks: ruff, mypy, import-linter, translations, migrations, deployment settings'
	echo 'make lock        renew the lock files after a change of pyproject.toml or package.json (needs uv and npm)'
	echo 'Variables: PYTHON (interpreter, 3.11 or newer), DEMO_PORT, DEMO_ALPHA_PORT, DEMO_BETA_PORT, DEMO_TRADING_PORT, DEMO_CONSOLE_PORT; of bench BENCH_SIZE, BENCH_PAIRS; of bench-web BENCH_WEB_ROUNDS, BENCH_WEB_TIMES; of screenshots PAGES (parts of names)'

demo:
	tools/install demo
	exec $(PY) -m pamm_platform.demo

demo-reset:
	tools/install demo
	exec $(PY) -m pamm_platform.demo reset

test:
	started=$$(date +%s); tools/install test && \
	INSTALL_SECONDS=$$(($$(date +%s) - started)) exec $(PY) -m tools.run_tests

soak:
	tools/install test
	exec $(PY) -m tools.soak $(SEEDS)

bench:
	tools/install test
	exec $(PY) -m tools.bench --write

bench-web:
	tools/install test
	exec $(PY) -m tools.bench.web --write

screenshots:
	tools/install test
	exec $(PY) -m tools.screenshots $(PAGES)

check:
	tools/install test
	exec $(PY) -m tools.run_tests check

lock:
	tools/lock
