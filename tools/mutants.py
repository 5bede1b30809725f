"""`python -m tools.mutants [names…] [--list]`: bugs planted in the code that moves or accounts money.

Each is planted alone in a throwaway copy of the checkout, and the tests it names must find it there: whoever
trusts green tests trusts that they would. First all of these tests run on the copy as it is. Ends with 0 only
if those held and every bug was found.
"""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pamm_platform.embedded import running_services, stop_services
from tests.databases import REPOSITORY

PATIENCE = 300.0
"""Seconds of one run of pytest, after which it counts as neither red nor green."""
FAILED = re.compile(r"^FAILED (.+?)(?: - .*)?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Mutant:
    """`old`, which stands in `file` exactly once, becomes `new`; `breaks` says what goes wrong then.

    One of `tests` (files or node ids) must fail.
    """

    name: str
    file: str
    old: str
    new: str
    breaks: str
    tests: tuple[str, ...]

    def faults(self, root: Path) -> list[str]:
        """Why this one cannot be planted in, or looked for by, the tree at `root`; nothing if it can."""
        found = []
        times = (root / self.file).read_text().count(self.old) if (root / self.file).is_file() else 0
        if times != 1:
            found.append(f"{self.name}: its old text stands {times} times in {self.file}")
        for selected in self.tests:
            file, _, test = selected.partition("::")
            if not (root / file).is_file() or (test and f"def {test}(" not in (root / file).read_text()):
                found.append(f"{self.name}: there is no {selected}")
        return found

    @contextmanager
    def planted(self, root: Path) -> Iterator[None]:
        """In the tree at `root` for the length of the block."""
        path = root / self.file
        sound = path.read_text()
        path.write_text(sound.replace(self.old, self.new))
        # Python tells a stale one by size and second only, and both may be the same.
        Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)
        try:
            yield
        finally:
            path.write_text(sound)


MUTANTS = (
    Mutant(
        "fee-rounded-up",
        "money/rounding.py",
        "_scaled_half_even(amount, places) // 10 ** (places - digits)",
        "-(-_scaled_half_even(amount, places) // 10 ** (places - digits))",
        "Every fee is rounded up to the minor unit instead of down.",
        ("tests/calc/test_performance_fee.py",),
    ),
    Mutant(
        "units-for-the-entry-fee",
        "allocation/services/book.py",
        "units_for_deposit(kept, self.price)",
        "units_for_deposit(amount, self.price)",
        "A deposit buys units for its entry fee too, at the cost of everybody else.",
        ("tests/allocation/test_accruals.py::test_entry_fee_is_taken_before_units_are_issued",),
    ),
    Mutant(
        "rounding-kept-by-the-pool",
        "money/rounding.py",
        "(2 * _scaled_half_even(amount, places) + unit) // (2 * unit)",
        "_scaled_half_even(amount, places) // unit",
        "What closes cost or gained by rounding is exchanged rounded down: cents without an owner stay.",
        ("tests/calc/test_pool_rules.py",),
    ),
    Mutant(
        "loss-forgotten",
        "fees/calc/performance.py",
        "high_water_mark_next=standing.high_water_mark,",
        "high_water_mark_next=counted,",
        "A loss lowers the mark, so that earning it back is charged again.",
        ("tests/calc/test_performance_fee.py",),
    ),
    Mutant(
        "tier-bound-exclusive",
        "fees/calc/schedule.py",
        "tier.lower_bound <= basis_value",
        "tier.lower_bound < basis_value",
        "Whoever reaches a tier's bound exactly stays in the tier below.",
        ("tests/calc/test_schedule.py",),
    ),
    Mutant(
        "exit-fee-paid-out",
        "fees/calc/performance.py",
        "paid=exact_difference(left, exit_fee),",
        "paid=left,",
        "A close charges the early exit fee and pays it to the investor as well.",
        ("tests/calc/test_performance_fee.py",),
    ),
    Mutant(
        "credit-is-equity",
        "allocation/calc/units.py",
        "exact_sum((equity, -credit, -owed, incoming))",
        "exact_sum((equity, -owed, incoming))",
        "The broker's credit and bonus count as the investors' money.",
        ("tests/calc/test_pool_rules.py",),
    ),
    Mutant(
        "split-loses-a-cent",
        "fees/calc/shares.py",
        "tuple(parts[1:]), left), Shared",
        "tuple(parts[1:]), floor_money(Fraction(amount) * (1 - sum(map(Fraction, rates))), digits)), Shared",
        "The manager has his own share rounded down instead of the rest: parts no longer sum to the fee.",
        ("tests/calc/test_shares.py",),
    ),
    Mutant(
        "accrued-twice",
        "fees/services/charges.py",
        "self._leave_with(investment, terms, plan.state)",
        "_store_state(investment, plan.state)",
        "What accrued is charged at a withdrawal and does not begin again: the next charge has it once more.",
        ("tests/circle/test_simulated_and_lived.py::test_life_with_every_kind_of_fee_is_as_simulated",),
    ),
    Mutant(
        "interval-ends-twice",
        "fees/calc/intervals.py",
        "upcoming <= now:",
        "upcoming < now:",
        "An interval that ends at the very moment of a rollover ends at the next one again.",
        ("tests/calc/test_intervals.py",),
    ),
    Mutant(
        "stop-passed-over-at-its-price",
        "allocation/calc/stops.py",
        "price.ratio <= Fraction(stop)",
        "price.ratio < Fraction(stop)",
        "A stop loss that the price is at, not below, is not reached.",
        ("tests/circle/test_stops.py::test_stop_loss_that_is_reached_closes_at_the_rollovers_price",),
    ),
    Mutant(
        "stopped-owner-buys-units",
        "investing/services/execution.py",
        "if investment.owner_id in self.stopped_owners:",
        "if investment.pk in self.stopped_owners:",
        "Whose stop is reached has his deposits on their way invested, with a close of his under way.",
        (
            (
                "tests/circle/test_stops.py"
                "::test_deposit_still_on_its_way_when_a_stop_is_reached_goes_back_at_a_later_rollover"
            ),
        ),
    ),
    Mutant(
        "resent-without-look-up",
        "transfers/services.py",
        "_record_unknown(leg, outcome.reason)",
        "Leg.objects.filter(pk=leg.pk).update(state=Leg.State.PLANNED)",
        "An operation without an answer is sent again without a look at the server's books.",
        ("tests/circle/test_unknown_answers.py::test_deposit_whose_answer_is_lost_is_made_exactly_once",),
    ),
    Mutant(
        "incomplete-history-trusted",
        "trading/mt5/gateway.py",
        "if len(deals) < total:",
        "if total and not deals:",
        "Some pages of a history are taken for all of it: what is not on them is sent again.",
        ("tests/trading/test_faults.py::test_fault_partial_history_is_neither_presence_nor_absence",),
    ),
    Mutant(
        "conflict-taken-as-found",
        "trading/mt5/gateway.py",
        "if len(matches) > 1:",
        "if len(matches) > 2:",
        "An operation that stands in the books twice is recorded as made once.",
        ("tests/trading/test_money.py::test_key_that_stands_twice_is_a_conflict",),
    ),
    Mutant(
        "leg-not-counted",
        "transfers/services.py",
        ".update(counted=True)",
        ".filter(position=1).update(counted=True)",
        "Money that arrived is explained by its transfer at every rollover anew.",
        ("tests/circle/test_unknown_answers.py::test_deposit_whose_answer_is_lost_is_made_exactly_once",),
    ),
    Mutant(
        "foreign-deal-is-a-result",
        "rollover/services/snapshot.py",
        "deal.balance_change, foreign=deal.ticket in foreign)",
        "deal.balance_change)",
        "What somebody else booked on a PAMM account is everybody's trading result.",
        (
            (
                "tests/circle/test_foreign_hands.py"
                "::test_small_foreign_operations_are_undone_and_the_price_never_sees_them"
            ),
        ),
    ),
    Mutant(
        "claim-not-exclusive",
        "rollover/services/claims.py",
        "Q(lease_until__isnull=True) | Q(lease_until__lt=now)",
        "Q()",
        "A rollover in one worker's hands is taken by the next one as well.",
        ("tests/circle/test_schedule.py::test_claim_of_a_dead_worker_is_taken_over_when_its_lease_ends",),
    ),
    Mutant(
        "lease-not-checked",
        "rollover/services/claims.py",
        "row.lease_holder != str(holder)",
        'row.lease_holder == ""',
        "A worker that slept through its lease goes on with a rollover that another one has.",
        ("tests/rollover/test_claims.py",),
    ),
    Mutant(
        "ledger-line-dropped",
        "transfers/services.py",
        "if leg.position == 2 and leg.transfer.payee is not None:",
        "if leg.position == 1 and leg.transfer.payee is not None:",
        "A payment settles what is payable when it leaves the pool, not when it arrives.",
        ("tests/transfers/test_leg_entries.py",),
    ),
    Mutant(
        "column-outside-the-chain",
        "rollover/services/chain.py",
        "party level payee amount",
        "party level amount",
        "Who received a part of a fee can be changed without breaking the chain.",
        ("tests/rollover/test_chain.py",),
    ),
    Mutant(
        "seal-not-checked",
        "rollover/verification/sealed.py",
        "if not any(is_signed(document, signature, key) for key in keys.values()):",
        "if not keys:",
        "A seal that was signed by nobody of ours passes for one.",
        ("tests/circle/test_verify_books.py::test_seal_that_was_changed_anywhere_is_found",),
    ),
    Mutant(
        "broker-filter-dropped",
        "brokers/tenancy.py",
        "return self._rows().filter(broker_id=current_broker_id())",
        "return self._rows()",
        "Nothing of the application's own keeps one broker's rows from another's.",
        ("tests/isolation/test_models.py::test_relation_of_a_strayed_object_leads_nowhere",),
    ),
    Mutant(
        "idempotency-key-for-anything",
        "investing/services/requests.py",
        "and request.amount == self.amount",
        "",
        "A key that comes again with another amount is answered with the first request.",
        ("tests/circle/test_refusals.py::test_same_key_for_another_amount_is_refused",),
    ),
    Mutant(
        "breaker-never-opens",
        "trading/breaker.py",
        "if beyond >= 0:",
        "if beyond >= 1_000_000:",
        "Every worker goes on asking a trading server that fails, and waits for its time-outs.",
        (
            (
                "tests/circle/test_failing_server.py"
                "::test_failing_server_is_left_alone_while_the_others_accounts_roll_on"
            ),
        ),
    ),
)


def main(arguments: Sequence[str]) -> int:
    if "--list" in arguments:
        print(*(f"{mutant.name:<30}{mutant.breaks}" for mutant in MUTANTS), sep="\n")
        return 0
    unknown = set(arguments) - {mutant.name for mutant in MUTANTS}
    chosen = [mutant for mutant in MUTANTS if not arguments or mutant.name in arguments]
    faults = [f"there is no mutant {name}" for name in sorted(unknown)]
    faults += [fault for mutant in chosen for fault in mutant.faults(REPOSITORY)]
    if faults:
        print(*faults, sep="\n")
        return 1
    with _copied() as root, _served(root):
        sound = Run.of(root, dict.fromkeys(selected for mutant in chosen for selected in mutant.tests))
        if sound.returncode != 0:
            print(sound.output, "\nred without any mutant", *sound.failed, sep="\n")
            return 1
        print(f"green without any mutant, {sound.seconds:.0f} s", flush=True)
        found = [_is_found(mutant, root) for mutant in chosen]
    print(f"{sum(found)} of {len(found)} found")
    return 0 if all(found) else 1


def _is_found(mutant: Mutant, root: Path) -> bool:
    """Whether one of its tests fails on it. To be unable to run the tests is not to find it."""
    with mutant.planted(root):
        run = Run.of(root, mutant.tests, "--exitfirst")
    verdict = run.failed[0] if run.failed else f"SURVIVED: {mutant.breaks}"
    print(f"{mutant.name:<30}{run.seconds:4.0f} s  {verdict}", flush=True)
    if not run.failed and run.returncode != 0:
        print(run.output)
    return bool(run.failed)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of pytest: `failed` are the tests that did; what could not even begin is not among them."""

    returncode: int
    output: str
    failed: tuple[str, ...]
    seconds: float

    @classmethod
    def of(cls, root: Path, tests: Iterable[str], *options: str) -> "Run":
        began = time.monotonic()
        # Neither many cases nor the checkout's own servers.
        environment = {
            name: value for name, value in os.environ.items() if name not in ("SOAK", "TEST_RUN_DIR")
        }
        with subprocess.Popen(
            [sys.executable, "-m", "pytest", "--quiet", "--tb=short", "-rf", *options, *tests],
            cwd=root,
            env=environment | {"PYTHONPATH": str(root)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as pytest:
            try:
                output, _ = pytest.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                output = f"not done after {PATIENCE:.0f} s"
            finally:
                # With whatever it has started: nobody waits for that any more.
                with suppress(ProcessLookupError):
                    os.killpg(pytest.pid, signal.SIGKILL)
        return cls(pytest.returncode, output, tuple(FAILED.findall(output)), time.monotonic() - began)


@contextmanager
def _copied() -> Iterator[Path]:
    """A copy of all that belongs to the checkout, as it is now, removed afterwards."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    )
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        for name in filter(None, listed.stdout.split("\0")):
            # One that was removed and not committed is still listed.
            if (source := REPOSITORY / name).is_file():
                target = Path(folder, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        yield Path(folder)


@contextmanager
def _served(root: Path) -> Iterator[None]:
    """Servers of the copy's own, up from one run of its tests to the next; nothing of them is left."""
    run_folder = root / ".run" / "test"
    try:
        with running_services(run_folder, throwaway=True):
            yield
    finally:
        stop_services(run_folder, erase=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
