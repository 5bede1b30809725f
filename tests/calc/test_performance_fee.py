"""The performance fee: its rules one by one, then what they promise together."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from allocation.calc.price import Price
from fees.calc.charge import charge
from fees.calc.performance import (
    MoreThanAvailable,
    NothingAvailable,
    PerformanceFee,
    Standing,
    Withdrawal,
    WithdrawalKind,
    after_deposit,
    available,
    closing,
    net_worth_basis,
    performance_fee,
    share_of_balance,
    withdrawal,
    withdrawal_kind,
)
from fees.calc.schedule import FREE_OF_FEES, Basis, Mode, Schedule, Tier, rate_for
from money.exact import decimal_of

CENT = Decimal("0.01")
DUST = Fraction(1, 2 * 10**8)
ZERO = Decimal(0)
TWENTY_PERCENT = Schedule.flat(Decimal("0.20"))
EXAMPLE_1 = Schedule(
    Basis.YIELD,
    Mode.WHOLE,
    (Tier(None, ZERO), Tier(Decimal("0.10"), Decimal("0.20")), Tier(Decimal("0.40"), Decimal("0.50"))),
)

money = st.integers(0, 10**10).map(lambda scaled: decimal_of(scaled, 2))
marks = st.integers(0, 10**20).map(lambda scaled: decimal_of(scaled, 12))
fractions_of_a_cent = st.integers(0, 10**22 - 1).map(lambda scaled: decimal_of(scaled, 24))
rates = st.integers(0, 1000).map(lambda permille: decimal_of(permille, 3))


def inputs(
    value: str | Decimal,
    mark: str | Decimal,
    carried: str | Decimal = "0",
    schedule: Schedule = TWENTY_PERCENT,
) -> dict[str, Any]:
    return {
        "value": Decimal(value),
        "standing": Standing(Decimal(mark), Decimal(carried)),
        "schedule": schedule,
        "yield_": ZERO,
        "net_worth": ZERO,
        "digits": 2,
    }


# Interval end


def test_performance_fee_at_the_mark_charges_nothing_and_leaves_it() -> None:
    fee = performance_fee(**inputs("5400.00", "5400.00", "0.755"))
    assert (fee.amount, fee.high_water_mark_next, fee.carried_next) == (ZERO, Decimal(5400), Decimal("0.755"))


def test_performance_fee_after_a_loss_carries_it_forward() -> None:
    fee = performance_fee(**inputs("4860.00", "5400.00"))
    assert (fee.amount, fee.profit, fee.high_water_mark_next) == (ZERO, Decimal(-540), Decimal(5400))


def test_performance_fee_above_the_mark_mark_is_what_the_fee_left() -> None:
    fee = performance_fee(**inputs("5454.00", "5400.00"))
    assert (fee.amount, fee.high_water_mark_next, fee.carried_next) == (
        Decimal("10.80"),
        Decimal("5443.20"),
        ZERO,
    )


def test_performance_fee_rounded_down_fraction_is_carried_to_the_next() -> None:
    first = performance_fee(**inputs("954.45", "945.00", schedule=Schedule.flat(Decimal("0.5"))))
    assert (first.amount, first.carried_next) == (Decimal("4.72"), Decimal("0.005"))
    second = performance_fee(
        **inputs("950.74", first.high_water_mark_next, first.carried_next, Schedule.flat(Decimal("0.5")))
    )
    assert (second.amount, second.carried_next) == (Decimal("0.51"), ZERO)


def test_performance_fee_tier_of_zero_percent_still_moves_the_mark() -> None:
    asked = inputs("105.00", "100.00", schedule=EXAMPLE_1) | {"yield_": Decimal("0.05")}
    fee = performance_fee(**asked)
    assert (fee.amount, fee.high_water_mark_next) == (ZERO, Decimal(105))


def test_performance_fee_small_steps_lose_nothing() -> None:
    standing, charged, value = Standing(Decimal(100)), ZERO, Decimal("100.00")
    for _ in range(1000):
        value += Decimal("0.04")
        fee = performance_fee(**inputs(value, standing.high_water_mark, standing.carried))
        value, standing, charged = value - fee.amount, fee.standing_next, charged + fee.amount
    assert charged == Decimal("8.00")
    assert standing.carried == 0


def test_performance_fee_currency_without_decimals_carries_whole_fractions() -> None:
    fee = performance_fee(**(inputs("10004", "10000") | {"digits": 0}))
    assert (fee.amount, fee.carried_next) == (ZERO, Decimal("0.8"))


def test_performance_fee_lower_basis_floating_profit_waits_and_floating_loss_counts() -> None:
    share: dict[str, Any] = {"units": Decimal(100), "pool_units": Decimal(1000), "digits": 2}
    waits = share_of_balance(pool_balance=Decimal("1100.00"), **share)
    assert waits == Decimal("110.00")
    fee = performance_fee(**inputs("120.00", "100.00"), profit_value=waits)
    assert (fee.amount, fee.high_water_mark_next) == (Decimal("2.00"), Decimal("108.00"))


def test_performance_fee_lower_basis_never_takes_the_mark_below_zero() -> None:
    fee = performance_fee(**inputs("10.00", "0.50", "5"), profit_value=Decimal("1.00"))
    assert (fee.amount, fee.high_water_mark_next) == (Decimal(1), ZERO)
    assert (fee.uncollected, fee.carried_next) == (Decimal("4.1"), ZERO)


def test_performance_fee_managers_own_investment_pays_nothing() -> None:
    fee = performance_fee(**inputs("200.00", "100.00", schedule=FREE_OF_FEES))
    assert (fee.amount, fee.carried_next) == (ZERO, ZERO)


def test_charge_never_exceeds_what_is_available_the_rest_is_owed() -> None:
    charged = charge(fee=Fraction(5), carried=Decimal("0.504"), available=Decimal("3.00"), digits=2)
    assert (charged.amount, charged.uncollected) == (Decimal("3.00"), Decimal("2.50"))
    assert charged.carried_next == Decimal("0.004")


def test_net_worth_basis_dust_of_units_does_not_decide_over_a_tier() -> None:
    price = Price(Decimal(3), Decimal(1))
    assert net_worth_basis(price, Decimal("333.333333333333"), 2) == Decimal("1000.00")


# Deposits, withdrawals, closes


def test_deposit_raises_the_mark_by_itself() -> None:
    assert after_deposit(Standing(Decimal(104_000), CENT / 4), Decimal(900_000)) == Standing(
        Decimal(1_004_000), CENT / 4
    )


def test_withdrawal_of_part_crystallises_that_part() -> None:
    taken = withdrawal(**inputs("1200.00", "1000.00"), net_amount=Decimal("580.00"))
    assert (taken.fee, taken.gross) == (Decimal("20.00"), Decimal("600.00"))
    assert taken.high_water_mark_next == Decimal(500)
    assert taken.carried_next == 0


def test_withdrawal_with_early_exit_fee_takes_it_after_the_performance_fee() -> None:
    taken = withdrawal(
        **inputs("1200.00", "1000.00"), net_amount=Decimal("551.00"), early_exit_rate=Decimal("0.05")
    )
    assert (taken.exit_fee, taken.fee, taken.gross) == (Decimal("29.00"), Decimal("20.00"), Decimal("600.00"))


def test_withdrawal_in_a_loss_takes_its_part_of_the_loss_along() -> None:
    taken = withdrawal(**inputs("800.00", "1000.00"), net_amount=Decimal("200.00"))
    assert (taken.fee, taken.high_water_mark_next) == (ZERO, Decimal(750))


def test_withdrawal_fee_that_takes_the_whole_value_leaves_nothing_available() -> None:
    asked = inputs("100.00", "0", schedule=Schedule.flat(Decimal(1)))
    with pytest.raises(NothingAvailable):
        withdrawal(**asked, net_amount=CENT)
    assert available(**asked).part == 0
    assert closing(**asked).paid == 0


def test_withdrawal_that_would_leave_nothing_is_refused_with_the_largest_part() -> None:
    asked = inputs("1200.00", "1000.00")
    with pytest.raises(MoreThanAvailable) as refusal:
        withdrawal(**asked, net_amount=Decimal("1160.00"))
    assert refusal.value.largest == available(**asked).part == Decimal("1159.99")
    assert withdrawal(**asked, net_amount=refusal.value.largest).gross < Decimal("1200.00")


def test_withdrawals_in_small_steps_pay_the_same_early_exit_fee() -> None:
    paid, carried = ZERO, ZERO
    for _ in range(100):
        taken = withdrawal(
            **inputs("1000.00", "1000.00"),
            net_amount=Decimal("0.30"),
            early_exit_rate=Decimal("0.01"),
            exit_carried=carried,
        )
        paid, carried = paid + taken.exit_fee, taken.exit_carried_next
    assert (paid, round(carried, 6)) == (Decimal("0.30"), Decimal("0.003030"))


def test_available_with_a_carried_early_exit_fraction_keeps_the_minimum() -> None:
    asked = inputs("1200.00", "1000.00") | {
        "early_exit_rate": Decimal("0.05"),
        "exit_carried": Decimal("0.0099"),
    }
    part = available(**asked, minimum_remaining=Decimal("100.00")).part
    assert withdrawal(**asked, net_amount=part).gross <= Decimal("1100.00")
    assert withdrawal(**asked, net_amount=part + CENT).gross > Decimal("1100.00")


def test_closing_pays_the_value_less_the_fee_and_early_exit() -> None:
    closed = closing(**inputs("1200.00", "1000.00"), early_exit_rate=Decimal("0.05"))
    assert (closed.fee, closed.exit_fee, closed.paid) == (Decimal(40), Decimal(58), Decimal(1102))


def test_closing_drops_the_carried_fraction() -> None:
    closed = closing(**inputs("900.00", "1000.00", "0.009"))
    assert (closed.fee, closed.paid) == (ZERO, Decimal(900))


@pytest.mark.parametrize(
    ("asked", "agreed", "kind"),
    [
        ("1000.00", False, WithdrawalKind.PART),
        ("1050.00", False, WithdrawalKind.PART),
        ("1050.01", False, WithdrawalKind.TOO_LITTLE_WOULD_REMAIN),
        ("1050.01", True, WithdrawalKind.CLOSE),
        ("1160.00", False, WithdrawalKind.CLOSE),
        ("9999.00", False, WithdrawalKind.CLOSE),
    ],
)
def test_withdrawal_for_at_least_what_closing_pays_is_a_close(
    asked: str, agreed: bool, kind: WithdrawalKind
) -> None:
    found = withdrawal_kind(
        net_amount=Decimal(asked),
        closing_pays=Decimal("1160.00"),
        largest_part=Decimal("1050.00"),
        closes_if_too_little_remains=agreed,
    )
    assert found is kind


def test_available_minimum_remaining_amount_stays() -> None:
    asked = inputs("1200.00", "1000.00")
    part = available(**asked, minimum_remaining=Decimal("100.00")).part
    assert withdrawal(**asked, net_amount=part).gross <= Decimal("1100.00")
    assert withdrawal(**asked, net_amount=part + CENT).gross > Decimal("1100.00")


# Properties


@given(money, marks, fractions_of_a_cent, rates)
def test_performance_fee_is_never_negative_never_above_the_profit(
    value: Decimal, mark: Decimal, carried: Decimal, rate: Decimal
) -> None:
    fee = performance_fee(**inputs(value, mark, carried, Schedule.flat(rate)))
    assert 0 <= fee.amount <= value
    # A whole cent may still be made of the fraction that earlier profits left, or hang on a mark's dust.
    assert Fraction(fee.amount) <= max(Fraction(fee.profit), Fraction(0)) + Fraction(carried) + DUST
    assert fee.high_water_mark_next >= 0
    assert Fraction(fee.amount) + Fraction(fee.carried_next) == _to_24_places(fee)


def _to_24_places(fee: PerformanceFee) -> Fraction:
    return Fraction(round(fee.unrounded * 10**24), 10**24)


@given(money, marks, fractions_of_a_cent, rates, st.integers(0, 50))
def test_withdrawal_parts_sum_to_the_gross_and_nothing_due_is_lost(
    value: Decimal, mark: Decimal, carried: Decimal, rate: Decimal, share: int
) -> None:
    asked = inputs(value, mark, carried, Schedule.flat(rate))
    net = (available(**asked).part * share / 50).quantize(CENT, rounding="ROUND_DOWN")
    assume(net > 0)
    taken = withdrawal(**asked, net_amount=net)
    assert taken.net + taken.fee + taken.exit_fee == taken.gross < value
    assert taken.fee >= 0
    due_before = taken.unrounded
    due_after = _due(value - taken.gross, taken, rate)
    # The remaining fee is due on a mark of 12 places.
    assert abs(due_before - Fraction(taken.fee) - due_after) <= Fraction(2, 10**12)


def _due(value: Decimal, taken: Withdrawal, rate: Decimal) -> Fraction:
    profit = max(Fraction(value) - Fraction(taken.high_water_mark_next), Fraction(0))
    return Fraction(rate) * profit + Fraction(taken.carried_next)


@given(money, marks, fractions_of_a_cent, rates, st.lists(st.integers(1, 100), min_size=1, max_size=12))
@example(Decimal("1000.00"), Decimal("900"), ZERO, Decimal("0.2"), [1] * 12)
def test_taking_it_all_in_pieces_pays_what_one_close_pays_to_the_cent(
    value: Decimal, mark: Decimal, carried: Decimal, rate: Decimal, pieces: list[int]
) -> None:
    asked = inputs(value, mark, carried, Schedule.flat(rate))
    at_once = closing(**asked)
    paid, fees = ZERO, ZERO
    for percent in pieces:
        net = (available(**asked).part * percent / 100).quantize(CENT, rounding="ROUND_DOWN")
        if net == 0:
            break
        taken = withdrawal(**asked, net_amount=net)
        paid, fees = paid + taken.net, fees + taken.fee
        left = asked["value"] - taken.gross
        asked = inputs(left, taken.high_water_mark_next, taken.carried_next, Schedule.flat(rate))
    last = closing(**asked)
    assert paid + last.paid + fees + last.fee == value
    # Marks keep 12 places and amounts lose their dust first; a cent can hang on that, never two.
    assert abs(fees + last.fee - at_once.fee) <= CENT


def test_taking_the_profit_out_in_steps_of_thirty_cents_saves_no_fee() -> None:
    asked = inputs("1000.00", "900.00")
    at_once, fees = closing(**asked).fee, ZERO
    for _ in range(3200):
        taken = withdrawal(**asked, net_amount=Decimal("0.30"))
        fees += taken.fee
        asked = inputs(asked["value"] - taken.gross, taken.high_water_mark_next, taken.carried_next)
    assert fees + closing(**asked).fee == at_once == Decimal("20.00")


def test_taking_small_steps_then_losing_the_rest_of_the_profit_still_owes_what_was_not_charged() -> None:
    asked = inputs("1000.00", "900.00")
    for _ in range(1000):
        taken = withdrawal(**asked, net_amount=Decimal("0.30"))
        asked = inputs(asked["value"] - taken.gross, taken.high_water_mark_next, taken.carried_next)
    lost = inputs("600.00", asked["standing"].high_water_mark, asked["standing"].carried)
    assert performance_fee(**lost).amount == 0
    assert closing(**lost).fee == asked["standing"].carried.quantize(CENT, rounding="ROUND_DOWN") > 0


@given(money, marks, fractions_of_a_cent, rates, rates.filter(lambda rate: rate < 1), money)
def test_available_part_is_the_largest_that_leaves_enough(
    value: Decimal, mark: Decimal, carried: Decimal, rate: Decimal, exit_rate: Decimal, minimum: Decimal
) -> None:
    asked = inputs(value, mark, carried, Schedule.flat(rate)) | {"early_exit_rate": exit_rate}
    found = available(**asked, minimum_remaining=minimum)
    assert 0 <= found.part <= value
    if found.part:
        assert found.part < found.closing
        assert value - withdrawal(**asked, net_amount=found.part).gross >= max(minimum, CENT)
    more = found.part + CENT
    if more < found.closing:
        try:
            gross = withdrawal(**asked, net_amount=more).gross
        except (MoreThanAvailable, NothingAvailable):
            return
        assert value - gross < max(minimum, CENT)


def tiers_of(bounds: list[int], tier_rates: list[Decimal], places: int) -> tuple[Tier, ...]:
    rising = sorted(set(bounds))
    lower = [None, *(decimal_of(bound, places) for bound in rising)]
    return tuple(Tier(bound, rate) for bound, rate in zip(lower, tier_rates, strict=False))


@given(
    st.lists(st.integers(1, 10**8), min_size=4, max_size=4, unique=True),
    st.lists(rates, min_size=5, max_size=5),
    money,
    money,
    money,
)
def test_marginal_net_worth_more_profit_is_never_a_smaller_fee(
    bounds: list[int], tier_rates: list[Decimal], mark: Decimal, less: Decimal, more: Decimal
) -> None:
    schedule = Schedule(Basis.NET_WORTH, Mode.MARGINAL, tiers_of(bounds, tier_rates, 2))
    fees = []
    for profit in sorted((less, more)):
        asked = inputs(mark + profit, mark, schedule=schedule) | {"net_worth": mark + profit}
        fees.append(performance_fee(**asked).amount)
    assert fees[0] <= fees[1]


@given(
    st.lists(st.integers(1, 2000), min_size=4, max_size=4, unique=True),
    st.lists(rates, min_size=5, max_size=5),
    st.integers(1, 10**6),
    st.integers(0, 3000),
    st.integers(0, 3000),
)
def test_marginal_yield_from_the_mark_more_profit_is_never_a_smaller_fee(
    bounds: list[int], tier_rates: list[Decimal], thousands: int, less: int, more: int
) -> None:
    schedule = Schedule(Basis.YIELD, Mode.MARGINAL, tiers_of(bounds, tier_rates, 3))
    mark, fees = Decimal(thousands * 1000), []
    for permille in sorted((less, more)):
        rate = decimal_of(permille, 3)
        asked = inputs(mark * (1 + rate), mark, schedule=schedule) | {"yield_": rate}
        fees.append(performance_fee(**asked).amount)
    assert fees[0] <= fees[1]


def test_marginal_rate_at_or_below_zero_is_the_first() -> None:
    schedule = Schedule(Basis.YIELD, Mode.MARGINAL, EXAMPLE_1.tiers)
    assert rate_for(schedule, ZERO) == rate_for(schedule, Decimal("-0.5")) == 0
    assert rate_for(schedule, Decimal("0.50")) == (
        Fraction("0.3") * Fraction("0.2") + Fraction("0.05")
    ) / Fraction("0.5")
