"""A scenario in months becomes dated steps, and its course says what was paid, kept and taken.

Figures are worked out by hand in the comments.
"""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fees.calc.kinds import FeeKind
from fees.calc.scenario import Course, Path, Scenario, course, returns_along
from fees.calc.schedule import Schedule, Tier
from fees.calc.shares import Parts, Shares
from fees.calc.simulation import StepImpossible
from fees.calc.terms import EntryFee, FeeTerms

START = datetime(2026, 1, 1, tzinfo=UTC)
ENDS = [datetime(2026, month, 1, tzinfo=UTC) for month in range(2, 13)]
TWENTY = FeeTerms(Schedule.flat(Decimal("0.2")))
EVERYTHING = replace(
    TWENTY,
    management_rate=Decimal("0.0365"),
    entry=EntryFee((Tier(None, Decimal("0.01")),)),
    subscription_amount=Decimal(5),
    volume_amount_per_lot=Decimal(3),
    shares=Shares(Decimal("0.25"), (Decimal("0.1"),)),
)


def scenario(*percent: str, **changes: Any) -> Scenario:
    returns = tuple(Decimal(month) / 100 for month in percent)
    return Scenario(amount=Decimal(1000), returns=returns, **changes)


def played(terms: FeeTerms, told: Scenario, **changes: Any) -> Course:
    arguments: dict[str, Any] = {
        "starts_at": START, "month_ends": told.month_ends(START, UTC), "interval_ends": ENDS,
        "lock_in_ends_at": START, "digits": 2,
    }  # fmt: skip
    return course(terms, told, **arguments | changes)


def test_paths_differ_as_they_say() -> None:
    two = Decimal("0.02")
    assert returns_along(Path.STEADY, 2, two) == (two, two)
    assert returns_along(Path.UP_AND_DOWN, 3, two) == (two * 3, -two, two * 3)
    assert returns_along(Path.LOSS_THEN_RECOVERY, 4, two) == (two * -2, *(two * 2,) * 3)
    assert returns_along(Path.OWN, 3, two, [two, -two]) == (two, -two, two)


def test_steps_follow_months_and_interval_ends_by_the_brokers_clocks() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    starts_at = datetime(2026, 1, 31, tzinfo=berlin)
    told = scenario("10", "10", monthly_lots=Decimal(2))
    months = told.month_ends(starts_at, berlin)
    assert [end.astimezone(berlin).date().isoformat() for end in months] == ["2026-02-28", "2026-03-31"]
    middle = datetime(2026, 2, 14, tzinfo=berlin)
    joined, half_way, first, last = told.steps(starts_at, months, [middle, middle.replace(year=2027)])
    assert joined.deposit == 1000
    assert (half_way.at, half_way.price, half_way.lots, half_way.interval_end) == (
        middle, Decimal("1.05"), Decimal(1), True,
    )  # fmt: skip
    assert (first.price, first.lots, first.interval_end, first.close) == (
        Decimal("1.1"), Decimal(1), False, False,
    )  # fmt: skip
    assert (last.price, last.lots, last.close) == (Decimal("1.21"), Decimal(2), True)


def test_two_good_months_under_a_flat_fee() -> None:
    # 1,000.00 → 1,100.00, fee 20.00; 1,080.00 → 1,188.00, profit over the mark 108.00, fee 21.60.
    came = played(TWENTY, scenario("10", "10"))
    assert [month.fees.get(FeeKind.PERFORMANCE, 0) for month in came.months] == [
        0, Decimal("20.00"), Decimal("21.60"),
    ]  # fmt: skip
    assert [came.paid_in, came.paid_out, came.left] == [1000, Decimal("1166.40"), 0]
    assert (came.gross_result, came.all_fees, came.net_result) == (
        Decimal("208.00"), Decimal("41.60"), Decimal("166.40"),
    )  # fmt: skip
    assert came.part_of_profit == Decimal("0.2")
    # 41.60 · 365 / (1,000.00 · 31 days + 1,080.00 · 28 days) = 15,184 / 61,240
    assert came.yearly_cost == Decimal("0.247942521")
    assert [month.before_fees for month in came.months] == [1000, 1100, Decimal("1208.00")]


def test_every_kind_of_one_month() -> None:
    # Entry 10.00; 990.00 → 1,089.00. Management 990.00 · 31 · 0.0001 = 3.069; subscription 5.00; 1 lot 3.00;
    # profit 1,077.94 − 990.00 = 87.94, fee 17.588.
    came = played(EVERYTHING, scenario("10", monthly_lots=Decimal(1)))
    assert came.fees == {
        FeeKind.MANAGEMENT: Decimal("3.06"), FeeKind.SUBSCRIPTION: Decimal("5.00"),
        FeeKind.VOLUME: Decimal("3.00"), FeeKind.PERFORMANCE: Decimal("17.58"),
        FeeKind.ENTRY: Decimal("10.00"),
    }  # fmt: skip
    assert (came.gross_result, came.net_result) == (Decimal("99.00"), Decimal("60.36"))
    # A quarter: 2.50 + 0.76 + 1.25 + 0.75 + 4.39; a tenth: 1.00 + 0.30 + 0.50 + 0.30 + 1.75.
    assert came.parts == Parts(Decimal("9.65"), (Decimal("3.85"),), Decimal("25.14"))


def test_who_stays_has_what_leaving_would_charge_counted() -> None:
    came = played(TWENTY, scenario("10", closes=False), interval_ends=[])
    assert [came.left, came.all_fees, came.parts.manager] == [Decimal("1080.00"), Decimal("20.00"), 0]


def test_who_leaves_within_an_interval_pays_the_subscription_for_what_has_passed() -> None:
    # 59 days from New Year to 1 March, of which 31 have passed on 1 February.
    terms = replace(TWENTY, subscription_amount=Decimal(59))
    came = played(terms, scenario("0"), interval_ends=[datetime(2026, 3, 1, tzinfo=UTC)])
    assert came.fees == {FeeKind.SUBSCRIPTION: Decimal("31.00")}
    two_months = played(terms, scenario("0", "0", monthly_flow=Decimal(-2000)), interval_ends=[ENDS[1]])
    assert (two_months.closed_early, two_months.all_fees) == (True, Decimal("31.00"))


def test_flows_come_after_each_month_but_the_last() -> None:
    came = played(TWENTY, scenario("0", "0", "0", monthly_flow=Decimal(100)))
    assert [month.paid_in for month in came.months] == [1000, 100, 100, 0]
    assert [came.paid_in, came.net_result, came.part_of_profit] == [1200, 0, None]


def test_withdrawals_that_take_everything_end_it() -> None:
    came = played(TWENTY, scenario(*["0"] * 6, monthly_flow=Decimal(-400)))
    assert [month.paid_out for month in came.months] == [0, 400, 400, 200]
    assert [came.closed_early, came.left, came.paid_out] == [True, 0, 1000]


def test_early_exit_is_charged_until_the_lock_in_ends() -> None:
    terms = replace(TWENTY, early_exit_rate=Decimal("0.05"))
    late = datetime(2026, 2, 2, tzinfo=UTC)
    # 5 % of the 1,000.00 that leave a day before the lock-in ends.
    assert played(terms, scenario("0"), lock_in_ends_at=late).fees == {FeeKind.EARLY_EXIT: Decimal("50.00")}
    assert played(terms, scenario("0"), lock_in_ends_at=ENDS[0]).fees == {}


def test_impossible_withdrawal_is_refused_with_its_step() -> None:
    with pytest.raises(StepImpossible) as refused:
        played(TWENTY, scenario("-99", *["-99"] * 9))
    assert (refused.value.code, refused.value.field) == ("price_is_zero", "interval_end")
