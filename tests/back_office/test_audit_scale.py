"""The allocation audit of many investments: every line and check as the definition has it, few statements at
any size, later entries not even read; under `SOAK` also how long it takes.
"""

import csv
import os
import statistics
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal
from operator import neg
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from hypothesis import example, given, settings
from hypothesis import strategies as st

from accounts.models import Role
from allocation.calc.price import Price
from allocation.models import Investment, PricePoint, UnitEntry
from brokers.scope import broker_scope
from fees.models import Charge, ChargePart
from money.exact import decimal_of, exact_sum
from money.rounding import UNIT_PLACES
from rollover.calc.audit import (
    AuditLine,
    AuditTally,
    Holding,
    ScaledLine,
    SummedEntries,
    Whose,
    audit_line,
)
from rollover.models import Rollover
from rollover.queries import AuditStream, allocation_audit, charges_to_file
from tests.back_office.conftest import signed_in
from tests.back_office.pools import crowded_pool
from tests.counts import cases
from tests.pace import slowness
from tests.worlds import as_owner, broker_called

Kind = UnitEntry.Kind
UNITS = ("units_before", "units_after")
AMOUNTS = (
    "value_before",
    "share",
    "value_priced",
    "deposited",
    "withdrawn",
    "charged",
    "rounding",
    "value_after",
)
PAGE_SECONDS, FILE_SECONDS = 0.3, 3


def page_of(rollover: Rollover) -> str:
    return reverse("admin:rollover_rollover_audit", args=[rollover.public_id])


def file_of(rollover: Rollover) -> str:
    return reverse("admin:rollover_rollover_audit_csv", args=[rollover.public_id])


def downloaded(auditor: Client, rollover: Rollover) -> list[list[str]]:
    answer: Any = auditor.get(file_of(rollover))
    return list(csv.reader(b"".join(answer.streaming_content).decode().splitlines()))


def statements(action: Callable[[], object]) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        action()
    return [query["sql"] for query in captured.captured_queries]


def scaled(line: ScaledLine, name: str, digits: int) -> Decimal:
    return decimal_of(getattr(line, name), UNIT_PLACES if name in UNITS else digits)


# The fast form against the definition.

NOBODY = Whose(uuid.UUID(int=0), "", 0, False)


def decimals(places: int, low: int, high: int) -> st.SearchStrategy[Decimal]:
    return st.integers(low, high).map(lambda number: decimal_of(number, places))


@st.composite
def pools(draw: st.DrawFn) -> tuple[int, Price, Price, list[SummedEntries]]:
    """Investments with entries of any kind, whether or not their money fits their units; some values tie."""
    digits = draw(st.sampled_from((0, 2, 8)))
    cents = decimals(digits, 0, 10**10)
    simple = st.sampled_from((Price.INITIAL, Price(Decimal(3), Decimal(2)), Price(Decimal(0), Decimal(1))))
    prices = simple | st.builds(Price, cents, decimals(12, 1, 10**22))
    halves = st.integers(0, 10**4).map(lambda number: decimal_of(5 * number, digits + 1))
    units = decimals(12, 0, 10**18) | halves
    still = st.builds(
        lambda held, stored: SummedEntries(1, held, 0, None, None, None, None, None, stored),
        units, st.none() | units,
    )  # fmt: skip
    moving = st.builds(
        SummedEntries, st.just(1), st.none() | units, st.integers(1, 9),
        st.none() | decimals(12, -(10**18), 10**18), st.none() | cents, *[st.none() | cents.map(neg)] * 3,
        st.none() | units,
    )  # fmt: skip
    return digits, draw(prices), draw(prices), draw(st.lists(still | moving, max_size=8))


def paid_too_little_by(difference: str, *, entries: int) -> SummedEntries:
    """At a price of 1."""
    units = Decimal(-1) - Decimal(difference)
    return SummedEntries(1, Decimal(10), entries, units, None, Decimal("-1.00"), None, None)


TIES_AND_TOLERANCES = [
    *(SummedEntries(1, Decimal(held), 0, None, None, None, None, None) for held in ("0.005", "0.015")),
    # Half a minor unit, and half of the last place of units for each entry.
    paid_too_little_by("0.005000000004", entries=8),
    paid_too_little_by("0.005000000004", entries=7),
    paid_too_little_by("-0.005000000001", entries=2),
    paid_too_little_by("-0.005000000001", entries=1),
]


@given(pools())
@example((2, Price.INITIAL, Price.INITIAL, TIES_AND_TOLERANCES))
@settings(max_examples=cases(push=60, soak=20_000))
def test_tally_of_any_pool_has_the_lines_sums_and_counts_of_the_definition(
    pool: tuple[int, Price, Price, list[SummedEntries]],
) -> None:
    digits, price_before, price, rows = pool
    tally = AuditTally(price_before=price_before, price=price, digits=digits)
    fast = [tally.add(row) for row in rows]
    plain = [
        audit_line(Holding.of(NOBODY, row), price_before=price_before, price=price, digits=digits)
        for row in rows
    ]
    for line, defined in zip(fast, plain, strict=True):
        for name in (*UNITS, *AMOUNTS):
            assert scaled(line, name, digits) == getattr(defined, name), name
        assert line.flows_fit is defined.flows_fit
    for name in (*UNITS, *AMOUNTS):
        assert getattr(tally.sums, name) == exact_sum(getattr(line, name) for line in plain), name
    assert tally.holders == sum(1 for line in plain if line.units_before)
    assert tally.misfits == sum(1 for line in plain if not line.flows_fit)
    assert tally.unlike_stored == sum(
        1
        for line, row in zip(plain, rows, strict=True)
        if row.stored_units is not None and line.units_after != row.stored_units
    )


def lines_by_definition(rollover: Rollover) -> list[AuditLine]:
    """From every single entry of the account, one after the other."""
    point: PricePoint = rollover.price_point
    points = PricePoint.objects.filter(account=point.account).order_by("-sequence")
    previous = points.filter(sequence__lt=point.sequence).first()
    before: dict[int, Decimal] = defaultdict(Decimal)
    now: dict[int, list[UnitEntry]] = defaultdict(list)
    for entry in UnitEntry.objects.filter(account=point.account).select_related("price_point"):
        if entry.price_point.sequence < point.sequence:
            before[entry.investment_id] += entry.units
        elif entry.price_point_id == point.pk:
            now[entry.investment_id].append(entry)
    lines = []
    for investment in Investment.objects.select_related("owner", "personal_account").order_by("pk"):
        entries = now[investment.pk]
        if not before[investment.pk] and not entries:
            continue
        holding = Holding(
            investment=investment.public_id,
            owner=str(investment.owner),
            login=investment.personal_account.login,
            is_own_capital=investment.is_own_capital,
            entries=len(entries),
            units_before=before[investment.pk],
            units_changed=sum((entry.units for entry in entries), Decimal(0)),
            deposited=_amount(entries, Kind.DEPOSIT),
            withdrawn=-_amount(entries, Kind.WITHDRAWAL, Kind.CLOSE),
            charged=-_amount(entries, Kind.PERFORMANCE_FEE),
            cancelled=Decimal(0),
        )
        price_before = Price(previous.price_equity, previous.price_units) if previous else Price.INITIAL
        lines.append(
            audit_line(
                holding,
                price_before=price_before,
                price=Price(point.price_equity, point.price_units),
                digits=point.currency_digits,
            )
        )
    return lines


def _amount(entries: Sequence[UnitEntry], *kinds: Kind) -> Decimal:
    return sum((entry.amount for entry in entries if entry.kind in kinds), Decimal(0))


@pytest.mark.parametrize("seed", range(cases(push=2, soak=40)))
def test_audit_of_a_random_pool_has_every_line_of_the_definition_in_order(alpha: object, seed: int) -> None:
    audited = crowded_pool(investments=40 + seed, rollovers=12, fees=15, seed=seed)
    sequence = audited.price_point.sequence
    around = (1, sequence - 1, sequence, sequence + 1, audited.account.sequence)
    for rollover in Rollover.objects.filter(account=audited.account, price_point__sequence__in=around):
        audit, stream = allocation_audit(rollover), AuditStream(rollover)
        assert audit.holds, audit.checks
        defined = lines_by_definition(rollover)
        assert list(audit.lines) == defined
        assert (len(audit.lines), audit.lines[-1:]) == (len(defined), defined[-1:])
        streamed = list(stream.lines())
        assert [whose.investment for whose, _ in streamed] == [line.holding.investment for line in defined]
        for (_, line), of_definition in zip(streamed, defined, strict=True):
            for name in (*UNITS, *AMOUNTS):
                assert scaled(line, name, 2) == getattr(of_definition, name), name
        outcome = stream.outcome()
        assert (outcome.sums, outcome.residual, outcome.checks) == (audit.sums, audit.residual, audit.checks)
    assert len(allocation_audit(audited).lines) == 40 + seed


# Pages and file.


def test_every_page_of_an_audit_shows_its_lines_and_the_sums_of_all(auditor: Client) -> None:
    rollover = crowded_pool(investments=210, rollovers=6)
    lines = allocation_audit(rollover).lines
    total = lines_by_definition(rollover)
    written = f"{exact_sum(line.value_priced for line in total):,.2f}"
    for number, first in ((1, 0), (3, 200)):
        page = auditor.get(page_of(rollover), {"page": number}).content.decode()
        shown = [part.partition('"')[0] for part in page.split('<tr id="of-')[1:]]
        assert shown == [str(line.holding.investment) for line in lines[first : first + 100]]
        sums = page.partition('data-line="sums"')[2]
        assert written in sums
        assert page.count("✗") == 0


def test_file_of_an_audit_has_every_line_sum_check_and_charge(auditor: Client) -> None:
    rollover = crowded_pool(investments=210, rollovers=6, fees=60)
    audit = allocation_audit(rollover)
    rows = downloaded(auditor, rollover)
    head, lines = rows[0], rows[1:211]
    for row, line in zip(lines, audit.lines, strict=True):
        assert row[:4] == [str(line.holding.investment), line.holding.owner, str(line.holding.login), "no"]
        figures = [Decimal(figure) for figure in row[4:-1]]
        assert figures == [getattr(line, name) for name in _names(head)], row
        assert row[-1] == "yes"
    residual, total = rows[211], rows[212]
    assert Decimal(residual[7]) == audit.residual
    assert [Decimal(figure) for figure in total[4:-1]] == [getattr(audit.sums, name) for name in _names(head)]
    checks = rows[213 : 213 + len(audit.checks)]
    assert [(row[1], row[3]) for row in checks] == [(check.code, "holds") for check in audit.checks]
    charges = rows[213 + len(audit.checks) :]
    made = Charge.objects.filter(price_point=rollover.price_point).order_by("pk")
    assert [row[2] for row in charges] == [str(charge.public_id) for charge in made]
    assert len(charges) == 60
    for row in charges:
        parts = dict(part.split(" ") for part in row[6].split(", "))
        assert set(parts) <= {"broker", "manager"}
        assert sum(map(Decimal, parts.values())) == Decimal(row[4])


def _names(head: Sequence[str]) -> list[str]:
    """The columns of figures by the names of an audit's line."""
    columns = {
        "share_of_pnl": "share",
        "value_after_pnl": "value_priced",
        "paid_in": "deposited",
        "taken_out": "withdrawn",
        "fees": "charged",
    }
    return [columns.get(name, name) for name in head[4:-1]]


def test_charge_without_parts_is_in_the_file_and_takes_nobody_elses(alpha: object) -> None:
    rollover = crowded_pool(investments=30, rollovers=6, fees=3)
    made = Charge.objects.filter(price_point=rollover.price_point).order_by("pk")
    free, last = copy_of(made[0]), copy_of(made[0])
    for part in ChargePart.objects.filter(charge=made[0]):
        part.pk, part.charge, part._state.adding = None, last, True
        part.save()
    parts = {row.charge.pk: row.parts for row in charges_to_file(rollover)}
    assert list(parts) == list(made.values_list("pk", flat=True))
    assert parts[free.pk] == []
    assert parts[last.pk] == parts[made[0].pk] != []


def copy_of(charge: Charge) -> Charge:
    """Another one, without parts."""
    charge.pk, charge.public_id, charge._state.adding = None, uuid.uuid4(), True
    charge.save()
    return charge


def test_audit_of_many_takes_as_many_statements_as_of_few(auditor: Client) -> None:
    few, many = [crowded_pool(investments=size, rollovers=6, seed=size) for size in (20, 130)]
    assert page_statements(auditor, many) == page_statements(auditor, many, page=2)
    assert page_statements(auditor, few) == page_statements(auditor, many)
    assert file_statements(auditor, few) == file_statements(auditor, many)
    few, many = [
        Rollover.objects.get(account=rollover.account, price_point__sequence=6) for rollover in (few, many)
    ]
    assert page_statements(auditor, few) == page_statements(auditor, many)
    assert file_statements(auditor, few) == file_statements(auditor, many)


def page_statements(auditor: Client, rollover: Rollover, page: int = 1) -> int:
    return len(statements(lambda: auditor.get(page_of(rollover), {"page": page})))


def file_statements(auditor: Client, rollover: Rollover) -> int:
    return len(statements(lambda: downloaded(auditor, rollover)))


def test_audit_does_not_read_later_entries_as_the_application_role(committed_db: str) -> None:
    """Under row-level security only leakproof operators may use an index."""
    with broker_scope(broker_called("alpha").pk):
        newest = crowded_pool(investments=100, rollovers=40).account
        with as_owner() as cursor:
            cursor.execute("ANALYZE")
        early = Rollover.objects.get(account=newest, price_point__sequence=3)
        (statement,) = [
            sql for sql in statements(lambda: allocation_audit(early)) if "allocation_unitentry" in sql
        ]
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_user")
            assert cursor.fetchone() == ("pamm_app",)
            # So small a table is read at once, whatever indexes it has.
            cursor.execute("SET enable_seqscan = off")
            cursor.execute("EXPLAIN " + statement[statement.index("SELECT") :])
            plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Index Cond: (price_point_id = allocation_pricepoint.id)" in plan, plan


def test_file_of_an_audit_is_read_through_cursors_of_the_server(auditor: Client) -> None:
    """So that no more than some lines are in the web process's memory, however many there are."""
    rollover = crowded_pool(investments=20, rollovers=6)
    made = statements(lambda: downloaded(auditor, rollover))
    streamed = [sql.split('"')[1] for sql in map(after_from, made) if sql]
    assert set(streamed) == {
        "allocation_unitentry",
        "allocation_investment",
        "fees_charge",
        "fees_chargepart",
    }


def after_from(statement: str) -> str:
    """What a statement that opens a cursor of the server reads first; nothing of any other."""
    return statement.partition(" FROM ")[2] if statement.startswith("DECLARE") else ""


@pytest.mark.skipif(not os.environ.get("SOAK"), reason="a clock needs a machine that does nothing else")
def test_audit_of_ten_thousand_investments_is_quick(committed_db: str) -> None:
    with broker_scope(broker_called("alpha").pk):
        rollover = crowded_pool(investments=10_000)
        auditor = signed_in(Role.AUDITOR)
    with as_owner() as cursor:
        cursor.execute("ANALYZE")

    def median(action: Callable[[], object]) -> float:
        took = []
        for _ in range(5):
            began = time.perf_counter()
            action()
            took.append(time.perf_counter() - began)
        return statistics.median(took)

    page, deep, whole = (
        median(lambda: auditor.get(page_of(rollover))),
        median(lambda: auditor.get(page_of(rollover), {"page": 90})),
        median(lambda: downloaded(auditor, rollover)),
    )
    print(f"first page {page:.3f} s, page 90 {deep:.3f} s, whole file {whole:.3f} s")
    slower = slowness()
    assert max(page, deep) <= PAGE_SECONDS * slower
    assert whole <= FILE_SECONDS * slower
