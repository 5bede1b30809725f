"""All benchmarks by name, in the order they run."""

from tools.bench.audit import bench_audit
from tools.bench.floors import flushes_per_second, transactions_per_second
from tools.bench.harness import Bench, Harness
from tools.bench.investors import bench_growth, bench_rollover
from tools.bench.month_end import bench_month_end
from tools.bench.statements import bench_statements
from tools.bench.workers import bench_memory, bench_workers

BENCHES = (
    Bench(
        "P1",
        "a rollover of a million investments, by F1",
        bench_rollover,
        beyond="an account that moves money writes some eighty rows (price point, counted deals, transfers "
        "and their legs, charges and parts, ledger, events, link), each decided in exact decimals by "
        "Python. Nothing of it grows with the investors (P2). The bar leaves 0.2 ms an account: that "
        "is every rule once more as set-based SQL, and its rows in a tenth of the tables. What helps "
        "short of that is more workers, whose slices do not wait for each other, and fewer rows a "
        "movement: ledger lines of a rollover summed by kind, the two legs of a transfer as one row.",
    ),
    Bench("P2", "growth of a rollover with its investors", bench_growth),
    Bench(
        "P4",
        "every fee of a month end crystallised at one rollover, by (F2 + F3)",
        bench_month_end,
        beyond="the floor writes two bare rows a fee; here there are six (investment, charge with its "
        "explanation, unit entry, a part each for broker, agents and manager), under row-level "
        "security, with their checks, unique keys and the digest of the chain over all of them. Parts"
        " as arrays in the charge would take away half of the rows; the marginal tiers, dust and "
        "carried fractions in SQL the time of Python, at the price of a third copy of the rule (ADR "
        "0062).",
    ),
    Bench("workers", "two worker processes against one", bench_workers),
    Bench("memory", "what a worker holds", bench_memory),
    Bench("P20", "statements of a rollover as accounts and investors grow", bench_statements),
    Bench("audit", "the allocation audit of one large account", bench_audit),
    Bench("P3", "growth with accounts, requests and fees, each alone"),
    Bench("P5", "the same rollover by other ledgers, per movement"),
    Bench("P6", "single deposits and withdrawals per second, by F4"),
    Bench("P7", "the same on one hot account, eight clients"),
    Bench("P8", "MAM allocation of 10,000 followers, by its floor"),
    Bench("P9", "MAM from the master's deal to the followers' orders, by its floor"),
    Bench("P10", "growth of P9 with followers"),
    Bench("P11", "MAM by one Celery task per follower"),
    Bench("P12", "sharing one result over a million investors, by F1"),
    Bench("P13", "a list of 50 rows, by the same list without fences"),
    Bench("P14", "the smallest tenant's list by the largest's"),
    Bench("P15", "reconciliation of a million entries, by F1"),
    Bench("P16", "posting with and without the balance proof"),
    Bench("P17", "the hash chain over a million entries, by F1"),
    Bench("P18", "P1 with and without isolation, events and idempotency"),
    Bench("P19", "queue messages per rollover as accounts grow"),
)


def settings_of(harness: Harness) -> dict[str, str]:
    """Version and settings of the server; what a commit costs on this disk, in a full run."""
    with harness.database() as database:
        with database.superuser() as cursor:
            cursor.execute("SHOW server_version")
            (version,) = cursor.fetchone()
            shown = []
            for name in ("fsync", "synchronous_commit", "shared_buffers", "work_mem", "max_wal_size"):
                cursor.execute(f"SHOW {name}")
                shown.append(f"{name}={cursor.fetchone()[0]}")
        facts = {"PostgreSQL": f"{version}, {', '.join(shown)}"}
        if harness.is_full:
            rate = transactions_per_second(database, clients=1)
            facts["commits"] = f"F4 {rate:,.0f} a second, fdatasync {flushes_per_second(database)}"
    return facts | {"size": f"{harness.size:,} investments in the large ones, {harness.pairs} pairs"}
