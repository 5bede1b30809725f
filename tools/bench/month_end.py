"""P4: every investment's fee crystallises at one rollover."""

from tools.bench.dataset import Sizes
from tools.bench.floors import FeeRun
from tools.bench.harness import Harness, Result
from tools.bench.pairs import measure_pairs
from tools.bench.profile import profile_of_round
from tools.bench.report import judged
from tools.bench.rollovers import measured_round

MUST = 3.0
ACCOUNTS = 10


def month_end_sizes(investments: int) -> Sizes:
    """Few accounts, all of whose investors have a fee due; one investment of each is the manager's own."""
    each = max(2, investments // ACCOUNTS)
    return Sizes(accounts=ACCOUNTS, investments=each * ACCOUNTS, requests=0, due=each - 1)


def bench_month_end(harness: Harness) -> list[Result]:
    """Tiered fees with marks, fractions, recipients, ledger and explanations, against F2 + F3."""
    sizes = month_end_sizes(harness.size)
    loaded = harness.loaded(sizes)
    floor = FeeRun(loaded.database, sizes.due * sizes.accounts, sizes.accounts)
    with loaded.database.application():
        ratios = measure_pairs(loaded.database, floor, lambda: measured_round(loaded).total, harness.pairs)
        profile = profile_of_round(loaded)
    what = f"month end: all fees at one rollover / (F2 + F3)\n{profile}"
    return [judged("P4", what, str(sizes), ratios, MUST)]
