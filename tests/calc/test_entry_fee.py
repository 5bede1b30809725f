"""Entry fee: a percentage of each deposit, whole, by tiers of its amount whose rates never rise."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fees.calc.crystallisation import Debt, FeeState, Situation, closing, deposit
from fees.calc.kinds import FeeKind
from fees.calc.performance import Standing
from fees.calc.schedule import Schedule, ScheduleInvalid, Tier
from fees.calc.terms import EntryFee, FeeTerms
from money.exact import decimal_of, exact_sum

CENT = Decimal("0.01")
NO_PERFORMANCE_FEE = Schedule.flat(Decimal(0))
THREE_TWO_ONE = EntryFee(
    (
        Tier(None, Decimal("0.03")),
        Tier(Decimal("1000.00"), Decimal("0.02")),
        Tier(Decimal("10000.00"), Decimal("0.01")),
    )
)

money = st.integers(1, 3_000_000).map(lambda cents: decimal_of(cents, 2))


def terms_with(entry: EntryFee) -> FeeTerms:
    return FeeTerms(NO_PERFORMANCE_FEE, entry=entry)


@pytest.mark.parametrize(
    ("amount", "fee", "carried"),
    [
        ("100.00", "3.00", "0"),
        ("999.99", "29.99", "0.0097"),  # 29.9997
        ("1000.00", "20.00", "0"),  # the bound belongs to its tier, whose rate is on all of it
        ("9999.99", "199.99", "0.0098"),
        ("10000.00", "100.00", "0"),
        ("0.01", "0.00", "0.0003"),
    ],
)
def test_entry_fee_is_the_reached_tiers_rate_on_all_of_the_deposit(
    amount: str, fee: str, carried: str
) -> None:
    paid_in = deposit(Decimal(amount), terms_with(THREE_TWO_ONE), FeeState(), 2)
    assert paid_in.amount == Decimal(amount)
    assert paid_in.amount - paid_in.invested == Decimal(fee)
    assert (paid_in.line.amount if paid_in.line else 0) == Decimal(fee)
    assert paid_in.state.carried_of(FeeKind.ENTRY) == Decimal(carried)
    assert paid_in.state.standing.high_water_mark == paid_in.invested


def test_entry_fee_fraction_is_carried_to_the_next_deposit() -> None:
    terms, state, charged = terms_with(THREE_TWO_ONE), FeeState(), Decimal(0)
    for _ in range(100):
        paid_in = deposit(Decimal("0.33"), terms, state, 2)  # 0.0099 each
        state, charged = paid_in.state, charged + paid_in.amount - paid_in.invested
    assert charged == Decimal("0.99")
    assert state.carried_of(FeeKind.ENTRY) == 0


def test_entry_fee_tier_is_chosen_by_each_deposit_and_not_by_their_sum() -> None:
    terms = terms_with(THREE_TWO_ONE)
    first = deposit(Decimal("900.00"), terms, FeeState(), 2)
    second = deposit(Decimal("900.00"), terms, first.state, 2)
    assert (first.invested, second.invested) == (Decimal("873.00"), Decimal("873.00"))
    assert second.state.standing.high_water_mark == Decimal(1746)


def test_entry_fee_currency_without_decimals_is_rounded_down() -> None:
    tiers = EntryFee((Tier(None, Decimal("0.015")),))
    paid_in = deposit(Decimal(1234), terms_with(tiers), FeeState(), 0)
    assert (paid_in.invested, paid_in.state.carried_of(FeeKind.ENTRY)) == (Decimal(1216), Decimal("0.51"))


def test_entry_fee_leaves_a_minor_unit_to_invest_the_rest_is_a_debt_that_is_explained() -> None:
    state = FeeState(Standing(Decimal(50)), carried={FeeKind.ENTRY: Decimal("0.0098")})
    paid_in = deposit(CENT, terms_with(THREE_TWO_ONE), state, 2, rollover=8)
    assert paid_in.invested == CENT
    assert paid_in.line is not None
    assert (paid_in.line.amount, paid_in.line.uncollected) == (Decimal(0), CENT)
    assert paid_in.state.debts == (Debt(FeeKind.ENTRY, CENT, 8),)
    assert paid_in.state.carried_of(FeeKind.ENTRY) == Decimal("0.0001")
    assert paid_in.state.standing.high_water_mark == Decimal("50.01")
    assert closing(terms_with(THREE_TWO_ONE), paid_in.state, Situation(Decimal(50), 2)).by_kind == {
        FeeKind.ENTRY: CENT
    }


def test_entry_fee_none_invests_all() -> None:
    paid_in = deposit(Decimal("10.00"), terms_with(EntryFee()), FeeState(), 2)
    assert (paid_in.invested, paid_in.line, paid_in.state.carried) == (Decimal("10.00"), None, {})


@pytest.mark.parametrize(
    ("rows", "code", "tier_index"),
    [
        ([(None, "0.02"), ("1000", "0.03")], "rates_rising", 1),
        ([(None, "1")], "rate_out_of_range", 0),
        ([(None, "-0.01")], "rate_out_of_range", 0),
        ([("5", "0.02")], "first_tier_has_bound", 0),
        ([(None, "0.02"), (None, "0.01")], "bound_missing", 1),
        ([(None, "0.03"), ("1000", "0.02"), ("1000", "0.01")], "bounds_not_rising", 2),
        ([(None, "0.03"), ("-1", "0.02")], "bound_negative", 1),
        ([(None, "0.03"), ("1000.001", "0.02")], "bound_too_precise", 1),
        ([(None, "0.03"), *((str(at), "0.02") for at in range(1, 21))], "too_many_tiers", None),
    ],
)
def test_entry_fee_that_cannot_be_offered_is_refused_with_the_tier(
    rows: list[tuple[Any, str]], code: str, tier_index: int | None
) -> None:
    tiers = tuple(Tier(None if at is None else Decimal(at), Decimal(rate)) for at, rate in rows)
    with pytest.raises(ScheduleInvalid) as refusal:
        EntryFee(tiers).validate(2)
    assert (refusal.value.code, refusal.value.tier_index) == (code, tier_index)


def test_entry_fee_survives_json() -> None:
    assert EntryFee.from_json(THREE_TWO_ONE.to_json()) == THREE_TWO_ONE
    assert EntryFee.from_json([]) == EntryFee()
    with pytest.raises(ScheduleInvalid):
        EntryFee.from_json([{"from": None, "rate": 0.02}])
    with pytest.raises(ScheduleInvalid):
        EntryFee.from_json("0.02")


@st.composite
def entry_fees(draw: st.DrawFn) -> EntryFee:
    bounds = sorted(draw(st.sets(st.integers(1, 2_000_000), max_size=4)))
    falling = sorted(
        draw(st.lists(st.integers(0, 999), min_size=len(bounds) + 1, max_size=len(bounds) + 1)),
        reverse=True,
    )
    lower = [None, *(decimal_of(bound, 2) for bound in bounds)]
    entry = EntryFee(tuple(Tier(at, decimal_of(rate, 3)) for at, rate in zip(lower, falling, strict=True)))
    entry.validate(2)
    return entry


def charged_in_all(entry: EntryFee, amounts: list[Decimal]) -> Decimal:
    """Entry fees of one investment's deposits, what became a debt included."""
    state, charged = FeeState(), []
    for amount in amounts:
        paid_in = deposit(amount, terms_with(entry), state, 2)
        assert paid_in.invested >= CENT
        charged.append(paid_in.amount - paid_in.invested)
        state = paid_in.state
    return exact_sum((*charged, *(debt.amount for debt in state.debts)))


@given(entry_fees(), st.lists(money, min_size=1, max_size=8))
def test_entry_fee_of_a_deposit_in_parts_is_never_less_than_of_all_at_once(
    entry: EntryFee, parts: list[Decimal]
) -> None:
    assert charged_in_all(entry, parts) >= charged_in_all(entry, [exact_sum(parts)])
