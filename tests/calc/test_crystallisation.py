"""All kinds of fees of one investment at one price: order, limits, fractions and debts, figures by hand."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from allocation.calc.accumulators import lots_per_unit_after
from fees.calc.charge import charge
from fees.calc.crystallisation import (
    MOST_DEBTS,
    Debt,
    FeeLine,
    FeeState,
    Situation,
    accruing_fees,
    available,
    closing,
    deposit,
    interval_end,
    withdrawal,
)
from fees.calc.kinds import FeeKind
from fees.calc.performance import MoreThanAvailable, NothingAvailable, Standing
from fees.calc.schedule import Basis, Mode, Schedule, Tier
from fees.calc.terms import NO_FEES, EntryFee, FeeTerms

CENT = Decimal("0.01")
ZERO = Decimal(0)
TWENTY_PERCENT = Schedule.flat(Decimal("0.20"))
NO_PERFORMANCE_FEE = Schedule.flat(ZERO)

MANAGEMENT, SUBSCRIPTION, VOLUME = FeeKind.MANAGEMENT, FeeKind.SUBSCRIPTION, FeeKind.VOLUME
PERFORMANCE, ENTRY, EARLY_EXIT = FeeKind.PERFORMANCE, FeeKind.ENTRY, FeeKind.EARLY_EXIT

ALL_KINDS = FeeTerms(
    TWENTY_PERCENT,
    management_rate=Decimal("0.02"),
    subscription_amount=Decimal("30.00"),
    volume_amount_per_lot=Decimal("8.00"),
    early_exit_rate=Decimal("0.05"),
)
FORTY_THIRTY_TWENTY: dict[str, Any] = {
    "value_days": Fraction(730_000),  # 2 % of 2,000.00 for a year: 40.00
    "interval_part": Fraction(1),  # 30.00
    "lots": Fraction(5, 2),  # 20.00
}


def situation(value: str, **others: Any) -> Situation:
    return Situation(value=Decimal(value), digits=others.pop("digits", 2), **others)


def standing_at(mark: str, carried: str = "0") -> FeeState:
    return FeeState(Standing(Decimal(mark), Decimal(carried)))


def figures(lines: tuple[FeeLine, ...]) -> list[tuple[FeeKind, str, str]]:
    return [(line.kind, f"{line.amount:.2f}", f"{line.uncollected:.2f}") for line in lines]


# Management: act/365 on the value after the earlier rollover


@pytest.mark.parametrize(
    ("days", "amount", "carried"),
    [
        (365, "200.00", "0.00"),
        (366, "200.54", "0.007945205479452054794521"),  # a leap year: 10,000 · 2 % · 366 / 365
        (1, "0.54", "0.007945205479452054794521"),
    ],
)
def test_management_fee_is_actual_days_over_365_leap_year_too(days: int, amount: str, carried: str) -> None:
    terms = FeeTerms(NO_PERFORMANCE_FEE, management_rate=Decimal("0.02"))
    charged = accruing_fees(
        terms, standing_at("10000"), situation("10000.00", value_days=Fraction(10_000) * days)
    )
    assert figures(charged.lines) == [(MANAGEMENT, amount, "0.00")]
    assert charged.state.carried_of(MANAGEMENT) == Decimal(carried)


def test_management_fee_hourly_steps_lose_nothing() -> None:
    terms = FeeTerms(NO_PERFORMANCE_FEE, management_rate=Decimal("0.02"))
    state, charged = FeeState(), ZERO
    hour = Fraction(1000, 24)  # 1,000.00 for an hour: 0.00228… a time
    for _ in range(365 * 24):
        ended = accruing_fees(terms, state, situation("1000.00", value_days=hour))
        state, charged = ended.state, charged + ended.total
    assert charged == Decimal("20.00")


# Subscription and volume


def test_subscription_fee_accrues_with_time_and_carries_its_fraction() -> None:
    terms = FeeTerms(NO_PERFORMANCE_FEE, subscription_amount=Decimal("30.00"))
    first = accruing_fees(terms, FeeState(), situation("500.00", interval_part=Fraction(1, 7)))
    assert figures(first.lines) == [(SUBSCRIPTION, "4.28", "0.00")]  # 4.2857…
    second = accruing_fees(terms, first.state, situation("495.72", interval_part=Fraction(6, 7)))
    assert figures(second.lines) == [(SUBSCRIPTION, "25.72", "0.00")]  # 25.7142… + 0.0057…
    assert first.total + second.total == Decimal("30.00")


def test_subscription_fee_paid_at_leaving_for_the_time_that_passed() -> None:
    terms = FeeTerms(NO_PERFORMANCE_FEE, subscription_amount=Decimal("30.00"))
    closed = closing(terms, standing_at("500"), situation("500.00", interval_part=Fraction(1, 3)))
    assert (closed.paid, closed.by_kind) == (Decimal("490.00"), {SUBSCRIPTION: Decimal("10.00")})


def test_volume_fee_is_per_lot_split_by_the_units_outstanding() -> None:
    terms = FeeTerms(NO_PERFORMANCE_FEE, volume_amount_per_lot=Decimal("7.00"))
    per_unit = lots_per_unit_after(ZERO, Decimal("10.00"), Decimal(1000))
    per_unit = lots_per_unit_after(per_unit, Decimal("0.05"), Decimal(800))
    lots = Fraction(per_unit) * 250  # 2.5 + 0.015625 lots of it
    charged = accruing_fees(terms, FeeState(), situation("250.00", lots=lots))
    assert figures(charged.lines) == [(VOLUME, "17.60", "0.00")]
    assert charged.state.carried_of(VOLUME) == Decimal("0.009375")


def test_volume_fee_of_cancelled_deals_is_taken_back_from_the_next() -> None:
    terms = FeeTerms(NO_PERFORMANCE_FEE, volume_amount_per_lot=Decimal("8.00"))
    back = accruing_fees(terms, FeeState(), situation("500.00", lots=Fraction(-1, 2)))
    assert (back.lines, back.value_left) == ((), Decimal("500.00"))
    charged = accruing_fees(terms, back.state, situation("500.00", lots=Fraction(2)))
    assert figures(charged.lines) == [(VOLUME, "12.00", "0.00")]
    assert charged.state.carried_of(VOLUME) == 0


# Order and limits


def test_fees_are_charged_in_order_each_on_what_the_one_before_left() -> None:
    state = FeeState(Standing(Decimal(800)), debts=(Debt(VOLUME, Decimal("10.00"), 3),))
    ended = interval_end(ALL_KINDS, state, situation("1000.00", rollover=9, **FORTY_THIRTY_TWENTY))
    assert figures(ended.lines) == [
        (MANAGEMENT, "40.00", "0.00"),
        (SUBSCRIPTION, "30.00", "0.00"),
        (VOLUME, "20.00", "0.00"),
        (VOLUME, "10.00", "0.00"),
        (PERFORMANCE, "20.00", "0.00"),  # 20 % of 900 − 800
    ]
    assert [line.collects_debt for line in ended.lines] == [False, False, False, True, False]
    assert [line.inputs["value"] for line in ended.lines] == [1000, 960, 930, 910, 900]
    assert (ended.value_left, ended.total) == (Decimal("880.00"), Decimal("120.00"))
    assert ended.state.standing.high_water_mark == Decimal(880)
    assert ended.state.debts == ()


def test_fee_never_exceeds_the_value_the_rest_is_a_debt_of_its_kind() -> None:
    state = FeeState(Standing(Decimal(800)), debts=(Debt(ENTRY, Decimal("10.00"), 3),))
    ended = interval_end(ALL_KINDS, state, situation("50.00", rollover=9, **FORTY_THIRTY_TWENTY))
    assert figures(ended.lines) == [
        (MANAGEMENT, "40.00", "0.00"),
        (SUBSCRIPTION, "10.00", "20.00"),
        (VOLUME, "0.00", "20.00"),
    ]
    assert ended.value_left == 0
    assert ended.state.debts == (
        Debt(ENTRY, Decimal("10.00"), 3),
        Debt(SUBSCRIPTION, Decimal("20.00"), 9),
        Debt(VOLUME, Decimal("20.00"), 9),
    )


def test_fee_on_no_value_is_a_debt_and_its_fraction_is_carried_once() -> None:
    terms = FeeTerms(NO_PERFORMANCE_FEE, subscription_amount=Decimal("30.00"))
    ended = accruing_fees(terms, FeeState(), situation("0.00", interval_part=Fraction(1, 7)))
    assert figures(ended.lines) == [(SUBSCRIPTION, "0.00", "4.28")]
    later = accruing_fees(terms, ended.state, situation("100.00", interval_part=Fraction(6, 7)))
    assert figures(later.lines) == [(SUBSCRIPTION, "25.72", "0.00"), (SUBSCRIPTION, "4.28", "0.00")]
    assert later.state.carried_of(SUBSCRIPTION) == 0


def test_charge_dust_below_eight_places_decides_over_no_cent() -> None:
    almost = charge(fee=Fraction(Decimal("4.999999999999")), carried=ZERO, available=Decimal(9), digits=2)
    assert (almost.amount, almost.carried_next) == (Decimal("5.00"), Decimal("-0.000000000001"))
    below = charge(fee=Fraction(Decimal("4.99999999")), carried=ZERO, available=Decimal(9), digits=2)
    assert below.amount == Decimal("4.99")


def test_fractions_are_carried_by_kind_and_never_to_another() -> None:
    state = FeeState(
        Standing(Decimal(1000), Decimal("0.009")),
        carried={MANAGEMENT: Decimal("0.004"), VOLUME: Decimal("0.006")},
    )
    # Management 0.006, volume 0.004: each a cent with what its own kind had carried.
    due = situation("1000.00", value_days=Fraction("109.5"), lots=Fraction("0.0005"))
    ended = interval_end(ALL_KINDS, state, due)
    assert figures(ended.lines) == [(MANAGEMENT, "0.01", "0.00"), (VOLUME, "0.01", "0.00")]
    assert ended.state.carried == {}
    assert ended.state.standing.carried == Decimal("0.009")


def test_fractions_are_dropped_at_the_close() -> None:
    state = FeeState(
        Standing(Decimal(1000), Decimal("0.0099")),
        carried={kind: Decimal("0.0099") for kind in (MANAGEMENT, SUBSCRIPTION, VOLUME, ENTRY)},
    )
    closed = closing(ALL_KINDS, state, situation("1000.00"))
    assert (closed.paid, closed.lines) == (Decimal("1000.00"), ())


# Debts


DEBTS = (
    Debt(VOLUME, Decimal("5.00"), 3),
    Debt(MANAGEMENT, Decimal("7.00"), 4),
    Debt(VOLUME, Decimal("2.00"), 9),
)


def test_debts_are_collected_oldest_first_whatever_their_kind() -> None:
    ended = accruing_fees(NO_FEES, FeeState(debts=DEBTS), situation("10.00"))
    assert figures(ended.lines) == [(VOLUME, "5.00", "0.00"), (MANAGEMENT, "5.00", "0.00")]
    assert ended.state.debts == (Debt(MANAGEMENT, Decimal("2.00"), 4), Debt(VOLUME, Decimal("2.00"), 9))
    assert ended.value_left == 0


def test_debts_of_a_kind_are_collected_in_one_line() -> None:
    ended = accruing_fees(NO_FEES, FeeState(debts=DEBTS), situation("100.00"))
    assert figures(ended.lines) == [(VOLUME, "7.00", "0.00"), (MANAGEMENT, "7.00", "0.00")]
    assert (ended.state.debts, ended.value_left) == ((), Decimal("86.00"))
    assert ended.lines[0].inputs["debts"] == [
        {"since": 3, "owed": Decimal("5.00"), "collected": Decimal("5.00")},
        {"since": 9, "owed": Decimal("2.00"), "collected": Decimal("2.00")},
    ]


def test_debts_come_after_what_accrued_and_before_the_performance_fee() -> None:
    state = FeeState(Standing(Decimal(900)), debts=(Debt(PERFORMANCE, Decimal("50.00"), 1),))
    terms = FeeTerms(TWENTY_PERCENT, subscription_amount=Decimal("30.00"))
    ended = interval_end(terms, state, situation("1000.00", interval_part=Fraction(1)))
    assert figures(ended.lines) == [
        (SUBSCRIPTION, "30.00", "0.00"),
        (PERFORMANCE, "50.00", "0.00"),
        (PERFORMANCE, "4.00", "0.00"),  # 20 % of 920 − 900
    ]


def test_debts_end_with_the_investment() -> None:
    state = FeeState(Standing(Decimal(5)), debts=DEBTS)
    closed = closing(NO_FEES, state, situation("6.00"))
    assert (closed.paid, closed.by_kind) == (ZERO, {VOLUME: Decimal("5.00"), MANAGEMENT: Decimal("1.00")})


def test_debts_beyond_the_most_kept_join_the_youngest_of_their_kind() -> None:
    old = tuple(
        Debt(SUBSCRIPTION if number % 2 else VOLUME, Decimal("1.00"), number) for number in range(MOST_DEBTS)
    )
    terms = FeeTerms(NO_PERFORMANCE_FEE, subscription_amount=Decimal("30.00"))
    ended = interval_end(terms, FeeState(debts=old), situation("0.00", interval_part=Fraction(1)))
    assert len(ended.state.debts) == MOST_DEBTS
    assert ended.state.debts[-1] == Debt(SUBSCRIPTION, Decimal("31.00"), MOST_DEBTS - 1)
    assert ended.state.debts[:-1] == old[:-1]


def test_debts_beyond_the_most_kept_of_a_kind_without_any_are_kept_apart() -> None:
    old = tuple(Debt(VOLUME, Decimal("1.00"), number) for number in range(MOST_DEBTS))
    terms = FeeTerms(NO_PERFORMANCE_FEE, subscription_amount=Decimal("30.00"))
    due = situation("0.00", interval_part=Fraction(1), rollover=77)
    ended = interval_end(terms, FeeState(debts=old), due)
    assert ended.state.debts == (*old, Debt(SUBSCRIPTION, Decimal("30.00"), 77))


def test_performance_fee_beyond_the_counted_value_becomes_a_debt() -> None:
    terms = FeeTerms(TWENTY_PERCENT, lower_profit=True)
    state = standing_at("0.50", "5")  # small withdrawals have left a fee of 5.00 uncharged
    ended = interval_end(terms, state, situation("10.00", balance_share=Decimal("1.00"), rollover=4))
    assert figures(ended.lines) == [(PERFORMANCE, "1.00", "4.10")]
    assert ended.state.debts == (Debt(PERFORMANCE, Decimal("4.10"), 4),)


# Profit basis: equity or the lower of value and balance


def test_lower_basis_takes_the_other_fees_off_both_value_and_balance() -> None:
    terms = FeeTerms(TWENTY_PERCENT, lower_profit=True, management_rate=Decimal("0.02"))
    ended = interval_end(
        terms,
        standing_at("900"),
        situation(
            "1200.00",
            value_days=Fraction(2_190_000),  # 120.00
            balance_share=Decimal("1100.00"),
            balance_per_equity=Fraction(11, 12),
        ),
    )
    # Of the balance 1,100 − 120 · 11/12 = 990 are left, of the value 1,080.
    assert figures(ended.lines) == [(MANAGEMENT, "120.00", "0.00"), (PERFORMANCE, "18.00", "0.00")]
    assert ended.lines[1].inputs["counted_value"] == Decimal("990.00")
    assert ended.state.standing.high_water_mark == Decimal(972)
    assert ended.value_left == Decimal("1062.00")


def test_lower_basis_floating_loss_counts() -> None:
    terms = FeeTerms(TWENTY_PERCENT, lower_profit=True)
    due = situation("1000.00", balance_share=Decimal("1200.00"), balance_per_equity=Fraction(6, 5))
    ended = interval_end(terms, standing_at("900"), due)
    assert figures(ended.lines) == [(PERFORMANCE, "20.00", "0.00")]


def test_lower_basis_withdrawals_and_closes_count_from_the_value() -> None:
    terms = FeeTerms(TWENTY_PERCENT, lower_profit=True)
    due = situation("1200.00", balance_share=Decimal("1000.00"), balance_per_equity=Fraction(5, 6))
    assert interval_end(terms, standing_at("1000"), due).lines == ()
    assert closing(terms, standing_at("1000"), due).fees == Decimal("40.00")
    assert withdrawal(Decimal("580.00"), terms, standing_at("1000"), due).fees == Decimal("20.00")
    whole = replace(terms, crystallises_whole=True)
    assert withdrawal(Decimal("580.00"), whole, standing_at("1000"), due).fees == Decimal("40.00")


# Interval ends


def test_interval_end_in_a_loss_charges_the_others_and_keeps_the_mark() -> None:
    ended = interval_end(ALL_KINDS, standing_at("1000"), situation("950.00", **FORTY_THIRTY_TWENTY))
    assert [line.kind for line in ended.lines] == [MANAGEMENT, SUBSCRIPTION, VOLUME]
    assert ended.state.standing.high_water_mark == Decimal(1000)


def test_interval_end_other_fees_can_use_up_the_profit() -> None:
    ended = interval_end(ALL_KINDS, standing_at("910"), situation("1000.00", **FORTY_THIRTY_TWENTY))
    assert [line.kind for line in ended.lines] == [MANAGEMENT, SUBSCRIPTION, VOLUME]
    assert ended.state.standing.high_water_mark == Decimal(910)


def test_interval_end_at_a_tier_of_zero_percent_moves_the_mark_to_what_the_others_left() -> None:
    tiers = (Tier(None, ZERO), Tier(Decimal("0.10"), Decimal("0.20")))
    terms = replace(ALL_KINDS, schedule=Schedule(Basis.YIELD, Mode.WHOLE, tiers))
    ended = interval_end(
        terms, standing_at("800"), situation("1000.00", yield_=Decimal("0.099999999"), **FORTY_THIRTY_TWENTY)
    )
    assert figures(ended.lines)[-1] == (PERFORMANCE, "0.00", "0.00")
    assert ended.state.standing.high_water_mark == Decimal(910)
    reached = interval_end(
        terms, standing_at("800"), situation("1000.00", yield_=Decimal("0.10"), **FORTY_THIRTY_TWENTY)
    )
    assert figures(reached.lines)[-1] == (PERFORMANCE, "22.00", "0.00")


# Withdrawals


def test_withdrawal_charges_all_other_fees_and_debts_then_its_part() -> None:
    state = FeeState(Standing(Decimal(900)), debts=(Debt(ENTRY, Decimal("30.00"), 2),))
    taken = withdrawal(Decimal("100.00"), ALL_KINDS, state, situation("1200.00", **FORTY_THIRTY_TWENTY))
    # 1,200 − 40 − 30 − 20 − 30 = 1,080; F = 36; f = ⌊100 · 36 / 1,044⌋ = ⌊3.448…⌋
    assert figures(taken.lines) == [
        (MANAGEMENT, "40.00", "0.00"),
        (SUBSCRIPTION, "30.00", "0.00"),
        (VOLUME, "20.00", "0.00"),
        (ENTRY, "30.00", "0.00"),
        (PERFORMANCE, "3.44", "0.00"),
    ]
    assert (taken.fees, taken.gross) == (Decimal("123.44"), Decimal("223.44"))
    assert taken.state.standing == Standing(Decimal("813.8"), Decimal("0.008"))
    assert taken.state.debts == ()


def test_withdrawal_early_exit_is_a_percentage_of_what_the_performance_fee_leaves() -> None:
    terms = replace(ALL_KINDS, subscription_amount=ZERO, volume_amount_per_lot=ZERO)
    due = situation("1240.00", value_days=Fraction(730_000), early_exit_rate=Decimal("0.05"))
    taken = withdrawal(Decimal("551.00"), terms, standing_at("1000"), due)
    assert figures(taken.lines) == [
        (MANAGEMENT, "40.00", "0.00"),
        (PERFORMANCE, "20.00", "0.00"),
        (EARLY_EXIT, "29.00", "0.00"),  # 5 % of 580
    ]
    assert taken.gross == Decimal("640.00")
    assert taken.state.standing.high_water_mark == Decimal(500)


def test_withdrawal_whole_crystallises_all_profit_after_the_other_fees() -> None:
    terms = replace(ALL_KINDS, crystallises_whole=True)
    taken = withdrawal(
        Decimal("80.00"), terms, standing_at("1000"), situation("1190.00", **FORTY_THIRTY_TWENTY)
    )
    # 1,100 after the others; 20 % of 100; then 80 of 1,080 leave without another fee.
    assert figures(taken.lines)[-1] == (PERFORMANCE, "20.00", "0.00")
    assert (len(taken.lines), taken.gross) == (4, Decimal("190.00"))
    assert taken.state.standing.high_water_mark == Decimal(1000)


def test_withdrawal_whole_is_for_flat_schedules_only() -> None:
    tiers = (Tier(None, Decimal("0.20")), Tier(Decimal("0.50"), Decimal("0.30")))
    terms = FeeTerms(Schedule(Basis.YIELD, Mode.WHOLE, tiers), crystallises_whole=True)
    due = situation("1200.00", yield_=Decimal("0.20"))
    assert withdrawal(Decimal("580.00"), terms, standing_at("1000"), due).fees == Decimal("20.00")


def test_withdrawal_in_a_loss_charges_no_performance_fee() -> None:
    taken = withdrawal(Decimal("200.00"), ALL_KINDS, standing_at("1000"), situation("800.00"))
    assert (taken.lines, taken.state.standing.high_water_mark) == ((), Decimal(750))


@pytest.mark.parametrize("whole", [False, True])
def test_withdrawal_in_a_loss_charges_its_part_of_what_small_steps_left_uncharged(whole: bool) -> None:
    terms = FeeTerms(TWENTY_PERCENT, crystallises_whole=whole)
    taken = withdrawal(Decimal("396.00"), terms, standing_at("1000", "8"), situation("800.00"))
    assert figures(taken.lines) == [(PERFORMANCE, "4.00", "0.00")]  # 396 · 8 / 792
    assert taken.state.standing == Standing(Decimal(500), Decimal(4))


def test_withdrawal_too_small_for_a_cent_of_fee_has_a_line_for_what_it_leaves_uncharged() -> None:
    taken = withdrawal(CENT, FeeTerms(TWENTY_PERCENT), standing_at("1000"), situation("1200.00"))
    # F = 40, f = ⌊0.01 · 40 / 1,160⌋ = 0; 40 · 0.01 / 1,200 is carried.
    assert figures(taken.lines) == [(PERFORMANCE, "0.00", "0.00")]
    assert (
        taken.state.standing.carried == taken.lines[0].carried_after == Decimal("0.000333333333333333333333")
    )


def test_withdrawal_where_other_fees_take_everything_is_refused() -> None:
    due = situation("90.00", **FORTY_THIRTY_TWENTY)
    with pytest.raises(NothingAvailable):
        withdrawal(CENT, ALL_KINDS, standing_at("0"), due)
    assert available(ALL_KINDS, standing_at("0"), due).part == 0


@pytest.mark.parametrize("whole", [False, True])
def test_withdrawal_of_all_that_is_available_leaves_the_minimum_and_a_cent_more_is_too_much(
    whole: bool,
) -> None:
    terms = replace(ALL_KINDS, crystallises_whole=whole)
    due = situation("1290.00", early_exit_rate=Decimal("0.05"), **FORTY_THIRTY_TWENTY)
    room = available(terms, standing_at("1000"), due, minimum_remaining=Decimal("100.00"))
    taken = withdrawal(room.part, terms, standing_at("1000"), due)
    more = withdrawal(room.part + CENT, terms, standing_at("1000"), due)
    assert Decimal("1290.00") - taken.gross >= 100 > Decimal("1290.00") - more.gross
    assert room.closing == closing(terms, standing_at("1000"), due).paid
    with pytest.raises(MoreThanAvailable):
        withdrawal(room.closing, terms, standing_at("1000"), due)


# Closes


def test_closing_charges_everything_in_order_and_pays_the_rest() -> None:
    state = FeeState(Standing(Decimal(1000)), debts=(Debt(VOLUME, Decimal("10.00"), 2),))
    due = situation("1300.00", early_exit_rate=Decimal("0.05"), **FORTY_THIRTY_TWENTY)
    closed = closing(ALL_KINDS, state, due)
    assert figures(closed.lines) == [
        (MANAGEMENT, "40.00", "0.00"),
        (SUBSCRIPTION, "30.00", "0.00"),
        (VOLUME, "20.00", "0.00"),
        (VOLUME, "10.00", "0.00"),
        (PERFORMANCE, "40.00", "0.00"),
        (EARLY_EXIT, "58.00", "0.00"),
    ]
    assert (closed.fees, closed.paid) == (Decimal("198.00"), Decimal("1102.00"))
    assert closed.by_kind == {
        MANAGEMENT: Decimal("40.00"),
        SUBSCRIPTION: Decimal("30.00"),
        VOLUME: Decimal("30.00"),
        PERFORMANCE: Decimal("40.00"),
        EARLY_EXIT: Decimal("58.00"),
    }


def test_closing_after_the_lock_in_has_no_early_exit_fee_whatever_the_terms_say() -> None:
    closed = closing(ALL_KINDS, standing_at("1000"), situation("1200.00"))
    assert closed.by_kind == {PERFORMANCE: Decimal("40.00")}


def test_closing_never_charges_more_than_there_is() -> None:
    closed = closing(ALL_KINDS, standing_at("0"), situation("35.00", **FORTY_THIRTY_TWENTY))
    assert (closed.paid, closed.by_kind) == (ZERO, {MANAGEMENT: Decimal("35.00")})


# The manager's own investment


def test_own_investment_pays_nothing_on_any_occasion() -> None:
    due = situation("1500.00", **FORTY_THIRTY_TWENTY)
    ended = interval_end(NO_FEES, standing_at("1000"), due)
    assert (ended.total, ended.value_left) == (ZERO, Decimal("1500.00"))
    taken = withdrawal(Decimal("500.00"), NO_FEES, standing_at("1000"), due)
    assert (taken.fees, taken.gross) == (ZERO, Decimal("500.00"))
    closed = closing(NO_FEES, standing_at("1000"), due)
    assert (closed.fees, closed.paid) == (ZERO, Decimal("1500.00"))
    paid_in = deposit(Decimal("100.00"), NO_FEES, FeeState(), 2)
    assert (paid_in.line, paid_in.invested) == (None, Decimal("100.00"))


# Other currencies


@pytest.mark.parametrize(
    ("digits", "amount", "carried"),
    [
        (0, "200", "0.547945205479452054794521"),
        (2, "200.54", "0.007945205479452054794521"),
        (3, "200.547", "0.000945205479452054794521"),
        (8, "200.54794520", "0.000000005479452054794521"),
    ],
)
def test_fee_is_rounded_down_to_the_minor_unit_of_the_currency(
    digits: int, amount: str, carried: str
) -> None:
    terms = FeeTerms(NO_PERFORMANCE_FEE, management_rate=Decimal("0.02"))
    ended = accruing_fees(
        terms, FeeState(), situation("10000", digits=digits, value_days=Fraction(3_660_000))
    )
    assert str(ended.lines[0].amount) == amount
    assert ended.state.carried_of(MANAGEMENT) == Decimal(carried)


def test_entry_fee_of_a_deposit_raises_the_mark_by_what_is_invested() -> None:
    terms = FeeTerms(TWENTY_PERCENT, entry=EntryFee((Tier(None, Decimal("0.03")),)))
    paid_in = deposit(Decimal("1000.00"), terms, standing_at("500"), 2)
    assert paid_in.invested == Decimal("970.00")
    assert paid_in.state.standing.high_water_mark == Decimal(1470)
    assert closing(terms, paid_in.state, situation("1470.00")).fees == 0
