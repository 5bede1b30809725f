"""Accruals, fractions and debts as they are stored, and what ends or restarts them."""

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction

from allocation.models import Interval, Investment, PricePoint
from allocation.services import (
    UnitBook,
    begin_accepted_terms,
    cancel_series,
    join_interval,
    unpaid_interval_part,
    write_books,
)
from offers.models import Terms
from tests.worlds import JOINED, AliceBobCharlie, Pool

ACCRUALS = {
    "value_days_put_aside": Decimal("12.5"),
    "value_days_checkpoint": Decimal("3.000000000000000000000001"),
    "lots_put_aside": Decimal("0.75"),
    "lots_checkpoint": Decimal("0.5"),
    "subscription_checkpoint": Decimal("0.25"),
    "subscription_number": 4,
}
RECORDS: dict[str, Any] = {
    "carried": {"management": "0.004"},
    "debts": [{"kind": "volume", "amount": "1.20"}, {"kind": "management", "amount": "0.30"}],
    "shared": {"management": {"charged": "3.00", "had": ["0.30", "0.15"]}},
    "agents": ["0190a3b1-0000-7000-8000-000000000000"],
}
UTC_ZONE = ZoneInfo("UTC")


def next_point(pool: Pool) -> PricePoint:
    """The rollover ten days after joining, at price 1."""
    thousand = Decimal(1000)
    return PricePoint.objects.create(
        account=pool.account, series=1, sequence=2, flow_sequence=2, priced_at=JOINED + timedelta(days=10),
        server_balance=thousand, server_equity=thousand, server_credit=0, server_margin=0, owed=0, incoming=0,
        trading_result=0, equity=thousand, units=thousand, price_equity=thousand, price_units=thousand,
        price=1, value_days=Decimal(10), lots_per_unit=Decimal("0.002"), currency_digits=2,
    )  # fmt: skip


def test_book_stores_accruals_fractions_debts_and_shares(pool: Pool) -> None:
    held = pool.investment
    for name, value in (ACCRUALS | RECORDS).items():
        setattr(held, name, value)
    book = UnitBook(pool.account, next_point(pool))
    book.touch(held)
    with transaction.atomic():
        write_books([book])
    stored = Investment.objects.get(pk=held.pk)
    assert {name: getattr(stored, name) for name in ACCRUALS | RECORDS} == ACCRUALS | RECORDS
    pool.account.refresh_from_db()
    assert (pool.account.last_value_days, pool.account.last_lots_per_unit) == (Decimal(10), Decimal("0.002"))


def test_cancelled_series_leaves_no_accruals_and_no_debts(pool: Pool) -> None:
    Investment.objects.filter(pk=pool.investment.pk).update(**ACCRUALS, **RECORDS)
    pool.account.last_value_days = pool.account.last_lots_per_unit = Decimal(9)
    with transaction.atomic():
        cancel_series(pool.account, next_point(pool))
    ended = Investment.objects.get(pk=pool.investment.pk)
    assert [getattr(ended, name) for name in ACCRUALS] == [0] * len(ACCRUALS)
    assert (ended.carried, ended.debts) == ({}, [])
    assert (ended.shared, ended.agents) == (RECORDS["shared"], RECORDS["agents"])
    assert pool.account.last_value_days == pool.account.last_lots_per_unit == 0


def test_who_joins_a_calendar_interval_under_way_pays_only_for_the_rest(
    world: AliceBobCharlie, pool: Pool
) -> None:
    # January's row stands since the first: ten of its 31 days have passed.
    joining = Investment(account=pool.account, terms=pool.terms, units=Decimal(10))
    point = next_point(pool)
    under_way = Interval.objects.select_related("opening").get(account=pool.account)
    join_interval(UnitBook(pool.account, point), joining, [under_way], UTC_ZONE)
    assert joining.interval == pool.investment.interval
    assert unpaid_interval_part(joining, point.priced_at, 2) == 0
    at_the_end = unpaid_interval_part(joining, JOINED + timedelta(days=31), 3)
    assert abs(at_the_end - Fraction(21, 31)) < Fraction(1, 10**24)


@pytest.mark.parametrize(
    ("changes", "shared"),
    [
        ({"broker_share_rate": Decimal("0.10"), "agent_share_rates": ["0.050"]}, RECORDS["shared"]),
        ({"broker_share_rate": Decimal("0.10"), "agent_share_rates": []}, {}),
        ({"broker_share_rate": Decimal("0.11"), "agent_share_rates": ["0.05"]}, {}),
    ],
)
def test_accepted_terms_restart_accruals_and_count_other_shares_anew(
    pool: Pool, changes: dict[str, Any], shared: dict[str, Any]
) -> None:
    held = pool.investment
    for name, value in (ACCRUALS | RECORDS).items():
        setattr(held, name, value)
    held.terms.broker_share_rate = Decimal("0.10")
    held.terms.agent_share_rates = ["0.05"]
    newer = Terms.objects.create(
        offer=pool.offer, version=2, performance_schedule=pool.terms.performance_schedule,
        interval_anchor=Terms.IntervalAnchor.OWN, interval_unit="days", interval_count=10,
        minimum_first=100, minimum_further=50, minimum_remaining=50, **changes,
    )  # fmt: skip
    held.accepted_terms = newer
    point = next_point(pool)
    book = UnitBook(pool.account, point)
    assert begin_accepted_terms(book, [held], [], UTC_ZONE) == [held]
    assert held.shared == shared
    assert (held.carried, held.debts) == (RECORDS["carried"], RECORDS["debts"])
    assert (held.value_days_put_aside, held.value_days_checkpoint) == (Decimal(0), Decimal(10))
    assert (held.lots_put_aside, held.lots_checkpoint) == (Decimal(0), Decimal("0.002"))
    assert (held.subscription_checkpoint, held.subscription_number) == (Decimal(0), 1)
    (begun,) = book.new_intervals
    assert (begun.terms, begun.opening) == (newer, point)
