"""Simulated steps: figures worked by hand, the order of a rollover, and what holds at every step."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from fees.calc.explanation import recomputed
from fees.calc.kinds import FeeKind
from fees.calc.schedule import Basis, Mode, Schedule, Tier
from fees.calc.shares import Parts, Shares
from fees.calc.simulation import Outcome, Step, StepImpossible, simulate
from fees.calc.terms import EntryFee, FeeTerms
from money.exact import ZERO, exact_sum
from tests import vectors
from tests.calc.pool import Pool

MANAGEMENT, SUBSCRIPTION, VOLUME = FeeKind.MANAGEMENT, FeeKind.SUBSCRIPTION, FeeKind.VOLUME
PERFORMANCE, ENTRY, EARLY_EXIT = FeeKind.PERFORMANCE, FeeKind.ENTRY, FeeKind.EARLY_EXIT
START = datetime(2026, 1, 1, tzinfo=UTC)
NO_FEE = Schedule.flat(ZERO)
TWENTY = Schedule.flat(Decimal("0.20"))
ALL_KINDS = FeeTerms(
    Schedule(
        Basis.YIELD, Mode.MARGINAL, (Tier(None, Decimal("0.10")), Tier(Decimal("0.05"), Decimal("0.25")))
    ),
    management_rate=Decimal("0.02"),
    entry=EntryFee((Tier(None, Decimal("0.02")), Tier(Decimal(1000), Decimal("0.01")))),
    subscription_amount=Decimal("9.00"),
    volume_amount_per_lot=Decimal("1.50"),
    early_exit_rate=Decimal("0.01"),
    shares=Shares(Decimal("0.30"), (Decimal("0.10"), Decimal("0.05"))),
)


def on_day(day: float, **happens: Any) -> Step:
    """A step so many days after the start; figures as strings."""
    figures: dict[str, Any] = {
        name: Decimal(figure) if isinstance(figure, str) else figure for name, figure in happens.items()
    }
    return Step(START + timedelta(days=day), **figures)


def simulated(terms: FeeTerms, *steps: Step, **settings: Any) -> list[Outcome]:
    return simulate(terms, steps, digits=2, **settings)


@pytest.mark.parametrize("example", vectors.load("domain.json"), ids=lambda example: str(example["name"]))
def test_worked_table_is_what_the_simulator_answers(example: dict[str, Any]) -> None:
    terms = FeeTerms(Schedule.from_json(example["schedule"]))
    joins, *ends = simulated(
        terms,
        on_day(0, price=example["joins"]["price"], deposit=example["joins"]["deposit"]),
        *(
            on_day(30 * number, price=row["price"], interval_end=True)
            for number, row in enumerate(example["interval_ends"], start=1)
        ),
    )
    assert joins.value == joins.high_water_mark == Decimal(example["joins"]["deposit"])
    for outcome, row in zip(ends, example["interval_ends"], strict=True):
        assert outcome.price == Decimal(row["price"])
        assert outcome.time_weighted_return == Decimal(row["yield"])
        assert outcome.fees.get(PERFORMANCE, ZERO) == Decimal(row["fee"])
        assert exact_sum((outcome.value, *outcome.fees.values())) == Decimal(row["value"])
        assert outcome.high_water_mark == Decimal(row["mark"])


def test_management_fee_of_a_year_on_a_value_that_stays_is_its_rate() -> None:
    terms = FeeTerms(NO_FEE, management_rate=Decimal("0.02"))
    _, at_once = simulated(terms, on_day(0, deposit="1000.00"), on_day(365, interval_end=True))
    assert at_once.fees == {MANAGEMENT: Decimal("20.00")}
    assert (at_once.value, at_once.net_value) == (Decimal("980.00"), Decimal("980.00"))

    hourly = [on_day(hour / 24) for hour in range(1, 365 * 24)]
    outcomes = simulated(terms, on_day(0, deposit="1000.00"), *hourly, on_day(365, interval_end=True))
    assert outcomes[-1].fees == {MANAGEMENT: Decimal("20.00")}
    assert outcomes[365 * 12].accrued == {MANAGEMENT: Decimal("10.00")}


def test_management_fee_follows_the_value_of_each_earlier_step_and_money_that_came_between() -> None:
    # 100 days × 1,000.00 + 100 days × 2,500.00 + 165 days × 1,250.00 = 556,250 × 0.0365 / 365 = 55.62|5
    terms = FeeTerms(NO_FEE, management_rate=Decimal("0.0365"))
    *_, last = simulated(
        terms,
        on_day(0, deposit="1000.00"),
        on_day(100, deposit="1500.00"),
        on_day(200, equity="1250.00"),
        on_day(365, interval_end=True),
    )
    assert last.fees == {MANAGEMENT: Decimal("55.62")}


def test_entry_fee_is_taken_before_units_and_is_no_profit() -> None:
    first, second = simulated(
        ALL_KINDS, on_day(0, deposit="500.00"), on_day(1, price="2", deposit="1000.00"), agents=0
    )
    assert first.fees == {ENTRY: Decimal("10.00")}
    assert first.units == first.value == first.high_water_mark == Decimal("490.00")
    assert second.fees == {ENTRY: Decimal("10.00")}
    assert second.units == Decimal("490.00") + Decimal("990.00") / 2
    assert second.high_water_mark == Decimal("1480.00")


def test_subscription_is_spread_over_the_interval_and_charged_when_leaving_for_the_time_passed() -> None:
    terms = FeeTerms(NO_FEE, subscription_amount=Decimal("30.00"))
    _, half, end, next_end = simulated(
        terms,
        on_day(0, deposit="1000.00"),
        on_day(10, withdraw="100.00"),
        on_day(20, interval_end=True),
        on_day(60, interval_end=True),
    )
    assert half.fees == end.fees == {SUBSCRIPTION: Decimal("15.00")}
    assert next_end.fees == {SUBSCRIPTION: Decimal("30.00")}


def test_subscription_of_who_joins_within_an_interval_is_for_the_rest_of_it() -> None:
    terms = FeeTerms(NO_FEE, subscription_amount=Decimal("30.00"))
    *_, end = simulated(terms, on_day(0), on_day(15, deposit="1000.00"), on_day(20, interval_end=True))
    assert end.fees == {SUBSCRIPTION: Decimal("7.50")}


def test_subscription_of_an_interval_that_ended_is_not_charged_again_by_a_flow_of_the_same_step() -> None:
    terms = FeeTerms(NO_FEE, subscription_amount=Decimal("30.00"))
    _, both, next_end = simulated(
        terms,
        on_day(0, deposit="1000.00"),
        on_day(20, interval_end=True, withdraw="100.00"),
        on_day(60, interval_end=True),
    )
    assert both.fees == next_end.fees == {SUBSCRIPTION: Decimal("30.00")}


def test_last_interval_without_an_end_lasts_to_the_last_step() -> None:
    terms = FeeTerms(NO_FEE, subscription_amount=Decimal("30.00"))
    _, half, last = simulated(terms, on_day(0, deposit="1000.00"), on_day(10), on_day(20))
    assert half.accrued == {SUBSCRIPTION: Decimal("15.00")}
    assert (last.accrued, last.fees) == ({SUBSCRIPTION: Decimal("30.00")}, {})


def test_volume_fee_is_for_the_part_of_the_lots_that_the_units_had() -> None:
    terms = FeeTerms(NO_FEE, volume_amount_per_lot=Decimal("5.00"))
    _, _, end = simulated(
        terms,
        on_day(0, deposit="1000.00"),
        on_day(1, lots="2.00", deposit="2000.00"),
        on_day(2, lots="1.50", interval_end=True),
        pool_equity=Decimal("3000.00"),
    )
    # A quarter of 2 lots, then half of 1.5 lots.
    assert end.fees == {VOLUME: Decimal("6.25")}


def test_early_exit_fee_is_due_until_the_lock_in_ends() -> None:
    terms = FeeTerms(NO_FEE, early_exit_rate=Decimal("0.01"))
    steps = (on_day(0, deposit="1000.00"), on_day(10, withdraw="99.00"), on_day(20, close=True))
    _, part, closed = simulated(terms, *steps)
    assert (part.fees, part.paid_out) == ({EARLY_EXIT: Decimal("1.00")}, Decimal("99.00"))
    assert (closed.fees, closed.paid_out) == ({EARLY_EXIT: Decimal("9.00")}, Decimal("891.00"))
    _, early, late = simulated(terms, *steps, lock_in_ends_at=START + timedelta(days=20))
    assert early.fees == {EARLY_EXIT: Decimal("1.00")}
    assert (late.fees, late.paid_out) == ({}, Decimal("900.00"))


def test_early_exit_fee_until_the_interval_ends_spares_the_steps_that_end_one() -> None:
    terms = FeeTerms(NO_FEE, early_exit_rate=Decimal("0.01"), early_exit_until_interval_end=True)
    steps = (
        on_day(0, deposit="1000.00"),
        on_day(10, withdraw="99.00"),
        on_day(20, withdraw="100.00", interval_end=True),
        on_day(30, close=True),
    )
    # The lock-in of other terms changes nothing.
    _, within, at_end, after = simulated(terms, *steps, lock_in_ends_at=START)
    assert (within.fees, within.accrued) == ({EARLY_EXIT: Decimal("1.00")}, {EARLY_EXIT: Decimal("9.00")})
    # Who stays will leave within the next one.
    assert (at_end.fees, at_end.accrued) == ({}, {EARLY_EXIT: Decimal("8.00")})
    assert after.fees == {EARLY_EXIT: Decimal("8.00")}


def test_one_step_ends_the_interval_then_pays_out_then_takes_in_at_one_price() -> None:
    _, both = simulated(
        FeeTerms(TWENTY),
        on_day(0, deposit="1000.00"),
        on_day(30, price="1.50", interval_end=True, withdraw="150.00", deposit="300.00"),
    )
    # 500.00 of profit pay 100.00 and leave no profit for the withdrawal to pay on.
    assert both.fees == {PERFORMANCE: Decimal("100.00")}
    assert (both.paid_out, both.value) == (Decimal("150.00"), Decimal("1550.00"))
    assert both.high_water_mark == Decimal("1550.00")
    assert both.time_weighted_return == Decimal("0.5")
    assert both.price == Decimal("1.5")


def test_part_withdrawal_pays_its_share_of_the_fee_and_closing_the_rest() -> None:
    _, part, closed = simulated(
        FeeTerms(TWENTY),
        on_day(0, deposit="1000.00"),
        on_day(1, equity="1500.00", withdraw="700.00"),
        on_day(2, close=True),
    )
    # The whole fee would be 100.00 of 1,500.00: 700.00 carry 700 × 100 / 1,400 = 50.00.
    assert part.fees == {PERFORMANCE: Decimal("50.00")}
    assert (part.value, part.high_water_mark) == (Decimal("750.00"), Decimal("500.00"))
    assert (closed.fees, closed.paid_out) == ({PERFORMANCE: Decimal("50.00")}, Decimal("700.00"))


def test_whole_crystallisation_charges_all_of_the_profit_with_the_first_withdrawal() -> None:
    _, part = simulated(
        FeeTerms(TWENTY, crystallises_whole=True),
        on_day(0, deposit="1000.00"),
        on_day(1, equity="1500.00", withdraw="700.00"),
    )
    assert part.fees == {PERFORMANCE: Decimal("100.00")}
    assert part.value == part.high_water_mark == Decimal("700.00")


def test_withdrawal_of_what_closing_pays_closes() -> None:
    _, before, closed = simulated(
        FeeTerms(TWENTY), on_day(0, deposit="1000.00"), on_day(1, price="1.5"), on_day(2, withdraw="1400.00")
    )
    assert before.net_value == closed.paid_out == Decimal("1400.00")
    assert closed.is_closed
    assert (closed.value, closed.units, closed.net_value, closed.high_water_mark) == (ZERO,) * 4


def test_floating_profit_waits_under_profit_basis_lower_but_not_for_who_leaves() -> None:
    terms = FeeTerms(TWENTY, lower_profit=True)
    opening = on_day(0, deposit="1000.00")
    _, waits = simulated(terms, opening, on_day(30, equity="1500.00", balance="1100.00", interval_end=True))
    assert waits.fees == {PERFORMANCE: Decimal("20.00")}
    _, leaves = simulated(terms, opening, on_day(30, equity="1500.00", balance="1100.00", close=True))
    assert leaves.fees == {PERFORMANCE: Decimal("100.00")}


def test_money_that_comes_late_buys_no_cheaper_tier() -> None:
    schedule = Schedule(
        Basis.NET_WORTH, Mode.WHOLE, (Tier(None, Decimal("0.50")), Tier(Decimal(1000), Decimal("0.40")))
    )
    *_, end, next_end = simulated(
        FeeTerms(schedule),
        on_day(0, deposit="800.00"),
        on_day(29, price="1.1", deposit="900.00"),
        on_day(30, interval_end=True),
        on_day(60, price="1.2", interval_end=True),
    )
    assert end.fees == {PERFORMANCE: Decimal("40.00")}
    # In the next interval it was there from the start: 40 % of the profit.
    profit = end.value / Decimal("1.1") * Decimal("0.1")
    assert next_end.fees == {PERFORMANCE: (profit * Decimal("0.4")).quantize(Decimal("0.01"))}


def test_money_taken_out_and_brought_back_at_once_counts_as_late() -> None:
    schedule = Schedule(
        Basis.NET_WORTH, Mode.WHOLE, (Tier(None, Decimal("0.50")), Tier(Decimal(1000), Decimal("0.40")))
    )
    *_, end = simulated(
        FeeTerms(schedule),
        on_day(0, deposit="1800.00"),
        on_day(10, withdraw="1000.00", deposit="1000.00"),
        on_day(30, price="1.1", interval_end=True),
    )
    assert end.fees == {PERFORMANCE: Decimal("90.00")}


def test_fee_that_the_value_cannot_pay_is_collected_from_later_money() -> None:
    terms = FeeTerms(NO_FEE, subscription_amount=Decimal("80.00"))
    _, broke, funded, end = simulated(
        terms,
        on_day(0, deposit="50.00"),
        on_day(30, interval_end=True),
        on_day(31, deposit="500.00"),
        on_day(60, interval_end=True),
    )
    assert (broke.fees, broke.value, broke.units) == ({SUBSCRIPTION: Decimal("50.00")}, ZERO, ZERO)
    assert funded.accrued[SUBSCRIPTION] == Decimal("32.66")  # 30.00 owed and a thirtieth of 80.00
    assert end.fees == {SUBSCRIPTION: Decimal("110.00")}
    assert [record["collects_debt"] for record in end.explanation] == [False, True]


def test_fees_are_shared_on_their_running_sum_so_that_small_ones_starve_nobody() -> None:
    terms = FeeTerms(Schedule.flat(Decimal("0.5")), shares=Shares(Decimal("0.50"), (Decimal("0.25"),)))
    steps = [on_day(day, result="0.02", interval_end=True) for day in range(1, 5)]
    outcomes = simulated(terms, on_day(0, deposit="100.00"), *steps)[1:]
    assert [outcome.fees for outcome in outcomes] == [{PERFORMANCE: Decimal("0.01")}] * 4
    cent = Decimal("0.01")
    assert [outcome.parts for outcome in outcomes] == [
        Parts(ZERO, (ZERO,), cent),
        Parts(cent, (ZERO,), ZERO),
        Parts(ZERO, (ZERO,), cent),
        Parts(cent, (ZERO,), ZERO),
    ]


def test_levels_without_an_agent_leave_their_share_to_the_manager() -> None:
    def parts(agents: int | None) -> Parts:
        terms = FeeTerms(TWENTY, shares=ALL_KINDS.shares)
        return simulated(
            terms, on_day(0, deposit="1000.00"), on_day(1, price="1.5", interval_end=True), agents=agents
        )[1].parts

    assert parts(None) == Parts(Decimal("30.00"), (Decimal("10.00"), Decimal("5.00")), Decimal("55.00"))
    assert parts(1) == Parts(Decimal("30.00"), (Decimal("10.00"),), Decimal("60.00"))
    assert parts(0) == Parts(Decimal("30.00"), (), Decimal("70.00"))


def test_pool_of_others_sets_the_price_at_which_the_investor_joins() -> None:
    joins, gained = simulated(
        FeeTerms(NO_FEE),
        on_day(0, price="100", deposit="100.00"),
        on_day(1, result="500.00"),
        pool_equity=Decimal("5000.00"),
    )
    assert joins.units == 1
    assert gained.price == Decimal("109.803921568627")
    assert gained.value == Decimal("109.80")


@pytest.mark.parametrize(
    ("steps", "code", "index", "field"),
    [
        ([on_day(1), on_day(1)], "time_not_rising", 1, "at"),
        ([on_day(0), on_day(2), on_day(1)], "time_not_rising", 2, "at"),
        ([on_day(0, deposit="1.00"), on_day(1, close=True), on_day(2)], "already_closed", 2, "at"),
        ([on_day(0, deposit="1.00"), on_day(1, close=True, deposit="1.00")], "already_closed", 1, "deposit"),
        ([on_day(0, price="1", equity="0.00")], "several_prices", 0, "equity"),
        ([on_day(0, price="1", result="0.00")], "several_prices", 0, "price"),
        ([on_day(0, price="-1")], "price_negative", 0, "price"),
        ([on_day(0, lots="-1")], "lots_negative", 0, "lots"),
        (
            [on_day(0, deposit="1.00"), on_day(1, close=True, withdraw="1.00")],
            "withdraw_and_close",
            1,
            "withdraw",
        ),
        ([on_day(0, deposit="0.00")], "amount_not_positive", 0, "deposit"),
        ([on_day(0, deposit="1.00"), on_day(1, withdraw="-1.00")], "amount_not_positive", 1, "withdraw"),
        ([on_day(0, interval_end=True)], "not_invested", 0, "interval_end"),
        ([on_day(0, withdraw="1.00")], "not_invested", 0, "withdraw"),
        ([on_day(0, close=True)], "not_invested", 0, "close"),
        ([on_day(0, equity="10.00")], "equity_without_units", 0, "equity"),
        ([on_day(0, result="-10.00")], "equity_without_units", 0, "result"),
        (
            [on_day(0, deposit="5.00"), on_day(1, equity="0.00", deposit="5.00")],
            "price_is_zero",
            1,
            "deposit",
        ),
        ([on_day(0, deposit="5.00"), on_day(1, equity="-3.00", close=True)], "price_is_zero", 1, "close"),
    ],
)
def test_impossible_step_is_named_with_its_index_and_field(
    steps: list[Step], code: str, index: int, field: str
) -> None:
    with pytest.raises(StepImpossible) as refused:
        simulated(FeeTerms(NO_FEE), *steps)
    assert (refused.value.code, refused.value.index, refused.value.field) == (code, index, field)


def test_withdrawal_where_the_fees_take_all_closes_and_pays_nothing() -> None:
    terms = FeeTerms(NO_FEE, subscription_amount=Decimal("50.00"))
    _, closed = simulated(terms, on_day(0, deposit="40.00"), on_day(30, withdraw="0.01"))
    assert (closed.is_closed, closed.paid_out) == (True, ZERO)
    assert closed.fees == {SUBSCRIPTION: Decimal("40.00")}


def test_pool_under_water_is_worth_nothing_until_it_recovers() -> None:
    terms = FeeTerms(TWENTY, management_rate=Decimal("0.02"))
    _, under, recovered = simulated(
        terms, on_day(0, deposit="1000.00"), on_day(1, result="-1200.00"), on_day(2, result="700.00")
    )
    assert (under.value, under.net_value, under.price, under.accrued) == (ZERO, ZERO, ZERO, {})
    assert under.time_weighted_return == -1
    assert (recovered.value, recovered.high_water_mark) == (Decimal("500.00"), Decimal("1000.00"))


def random_steps(seed: int, count: int = 120) -> list[Step]:
    """Hours of trading with flows and interval ends; never more out than a small part."""
    chance = random.Random(seed)
    steps = [Step(START, deposit=Decimal("3000.00"))]
    for hour in range(1, count):
        steps.append(
            Step(
                START + timedelta(hours=hour),
                result=Decimal(chance.randint(-6000, 7000)) / 100,
                lots=Decimal(chance.randint(0, 50)) / 100,
                interval_end=chance.random() < 0.1,
                withdraw=Decimal(chance.randint(1, 9000)) / 100 if chance.random() < 0.1 else None,
                deposit=Decimal(chance.randint(1, 90000)) / 100 if chance.random() < 0.1 else None,
            )
        )
    return steps


@pytest.mark.parametrize("seed", range(6))
def test_random_steps_shares_sum_accrued_is_what_closing_charges_and_records_recompute(seed: int) -> None:
    steps = random_steps(seed)
    outcomes = simulated(ALL_KINDS, *steps, pool_equity=Decimal("7000.00"))
    for outcome in outcomes:
        parts = outcome.parts
        assert exact_sum((parts.broker, *parts.agents, parts.manager)) == exact_sum(outcome.fees.values())
        assert outcome.value == exact_sum((outcome.net_value, *outcome.accrued.values()))
        assert all(recomputed(record) == record for record in outcome.explanation)
    charged = exact_sum(amount for outcome in outcomes for amount in outcome.fees.values())
    explained = exact_sum(Decimal(record["amount"]) for outcome in outcomes for record in outcome.explanation)
    assert charged == explained > 0


@pytest.mark.parametrize("index", [0, 40, 80, 119])
def test_closing_pays_the_net_value_and_charges_what_has_accrued(index: int) -> None:
    # Without a subscription: it would end with the last step, which is another here.
    terms = replace(ALL_KINDS, subscription_amount=ZERO)
    steps = random_steps(7)
    before = simulated(terms, *steps)[index]
    at_once = Step(steps[index].at + timedelta(microseconds=1), close=True)
    closed = simulated(terms, *steps[: index + 1], at_once)[-1]
    assert (closed.fees, closed.paid_out) == (before.accrued, before.net_value)
    assert before.accrued


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("mode", list(Mode))
def test_random_steps_end_as_in_a_pool_that_calls_the_rules_itself(seed: int, mode: Mode) -> None:
    schedule = Schedule(Basis.YIELD, mode, ALL_KINDS.schedule.tiers)
    steps = random_steps(seed)
    outcomes = simulated(FeeTerms(schedule), *steps, pool_equity=Decimal("7000.00"))
    pool = Pool()
    pool.deposit("others", Decimal("7000.00"))
    pool.deposit("investor", Decimal("3000.00"), schedule)
    for step, outcome in zip(steps[1:], outcomes[1:], strict=True):
        pool.trade(step.result or ZERO)
        charged = ZERO
        if step.interval_end:
            charged += pool.end_interval("investor").amount
        if step.withdraw is not None:
            charged += pool.withdraw("investor", step.withdraw).fee
        if step.deposit is not None:
            pool.deposit("investor", step.deposit)
        holding = pool.holdings["investor"]
        assert outcome.fees.get(PERFORMANCE, ZERO) == charged
        assert outcome.value == pool.value("investor")
        # A rollover redeems a fee and its payment one by one, this pool in one sum.
        assert abs(outcome.units - holding.units) < Decimal("1e-9")
        assert outcome.high_water_mark == holding.standing.high_water_mark
