"""Schedules: what may be offered, what tier is reached, where a little more profit leaves less."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fees.calc.schedule import (
    Schedule,
    ScheduleInvalid,
    cliffs,
    net_against_gross,
    rate_for,
    tier_reached,
)

EXAMPLE_1: dict[str, Any] = {
    "basis": "yield",
    "mode": "whole",
    "tiers": [
        {"from": None, "rate": "0"},
        {"from": "0.10", "rate": "0.20"},
        {"from": "0.40", "rate": "0.50"},
    ],
}
EXAMPLE_2: dict[str, Any] = {
    "basis": "net_worth",
    "mode": "whole",
    "tiers": [
        {"from": None, "rate": "0.50"},
        {"from": "1000", "rate": "0.40"},
        {"from": "5000", "rate": "0.30"},
        {"from": "10000", "rate": "0.15"},
    ],
}


def yields(*tiers: tuple[str | None, str], mode: str = "whole", basis: str = "yield") -> dict[str, Any]:
    return {"basis": basis, "mode": mode, "tiers": [{"from": bound, "rate": rate} for bound, rate in tiers]}


@pytest.mark.parametrize("document", [EXAMPLE_1, EXAMPLE_2, yields((None, "0.2"), basis="flat")])
def test_schedule_json_there_and_back_is_the_same(document: dict[str, Any]) -> None:
    assert Schedule.from_json(document).to_json() == document


@pytest.mark.parametrize(
    ("document", "code", "tier_index"),
    [
        (yields(), "no_tiers", None),
        (yields(("0.1", "0.2")), "first_tier_has_bound", 0),
        (yields((None, "0.2"), (None, "0.3")), "bound_missing", 1),
        (yields((None, "0"), ("0.4", "0.1"), ("0.1", "0.2")), "bounds_not_rising", 2),
        (yields((None, "0"), ("0.1", "0.1"), ("0.1", "0.2")), "bounds_not_rising", 2),
        (yields((None, "0"), ("-0.1", "0.1")), "bound_negative", 1),
        (yields((None, "1.01")), "rate_out_of_range", 0),
        (yields((None, "0"), ("0.1", "-0.2")), "rate_out_of_range", 1),
        (yields((None, "0"), ("0.1", "0.2"), basis="flat"), "flat_has_several_tiers", 1),
        (yields((None, "0"), *((str(n), "0.2") for n in range(1, 21))), "too_many_tiers", None),
        (yields((None, "0"), ("0.1000000001", "0.2")), "bound_too_precise", 1),
        (yields((None, "NaN")), "not_a_decimal", 0),
        (yields((None, "a fifth")), "not_a_decimal", 0),
        (yields((None, 0.2)), "not_a_decimal", 0),  # type: ignore[arg-type]
        (yields((None, "0.2"), basis="moon"), "unknown_basis", None),
        (yields((None, "0.2"), mode="half"), "unknown_mode", None),
        ({"basis": "flat", "tiers": "0.2"}, "tiers_not_a_list", None),
        ({"basis": "flat", "tiers": ["0.2"]}, "tier_not_an_object", 0),
    ],
)
def test_schedule_that_cannot_be_offered_names_its_fault(
    document: dict[str, Any], code: str, tier_index: int | None
) -> None:
    with pytest.raises(ScheduleInvalid) as refusal:
        Schedule.from_json(document)
    assert (refusal.value.code, refusal.value.tier_index) == (code, tier_index)


def test_schedule_of_twenty_tiers_may_be_offered() -> None:
    document = yields((None, "0"), *((str(number), "0.2") for number in range(1, 20)))
    assert len(Schedule.from_json(document).tiers) == 20


def test_schedule_money_bound_finer_than_the_currency_is_refused() -> None:
    schedule = Schedule.from_json(yields((None, "0"), ("1000.50", "0.2"), basis="net_worth"))
    schedule.validate(digits=2)
    with pytest.raises(ScheduleInvalid, match="bound_too_precise"):
        schedule.validate(digits=0)


@pytest.mark.parametrize(
    ("document", "basis_value", "rate"),
    [
        (EXAMPLE_1, "0.099999999", "0"),
        (EXAMPLE_1, "0.10", "0.20"),
        (EXAMPLE_1, "0.399999999", "0.20"),
        (EXAMPLE_1, "0.40", "0.50"),
        (EXAMPLE_1, "-0.99", "0"),
        (EXAMPLE_2, "999.99", "0.50"),
        (EXAMPLE_2, "1000.00", "0.40"),
        (EXAMPLE_2, "5000.00", "0.30"),
        (EXAMPLE_2, "1000000", "0.15"),
    ],
)
def test_tier_lower_bound_is_inclusive(document: dict[str, Any], basis_value: str, rate: str) -> None:
    assert rate_for(Schedule.from_json(document), Decimal(basis_value)) == Fraction(rate)


def test_flat_schedule_looks_at_no_basis() -> None:
    assert rate_for(Schedule.flat(Decimal("0.3")), Decimal(-5)) == Fraction("0.3")
    assert tier_reached(Schedule.flat(Decimal("0.3")).tiers, Decimal(10**9)) == 0


@given(st.integers(1, 3000).map(lambda permille: Decimal(permille) / 1000))
def test_marginal_rate_is_the_width_weighted_average_of_the_bands(basis_value: Decimal) -> None:
    schedule = Schedule.from_json(EXAMPLE_1 | {"mode": "marginal"})
    bands = (
        (Fraction(0), Fraction("0.1")),
        (Fraction("0.1"), Fraction("0.4")),
        (Fraction("0.4"), Fraction(99)),
    )
    weighted = sum(
        max(min(Fraction(basis_value), end) - start, Fraction(0)) * Fraction(tier.rate)
        for (start, end), tier in zip(bands, schedule.tiers, strict=True)
    )
    assert rate_for(schedule, basis_value) == weighted / Fraction(basis_value)


def test_cliffs_of_a_yield_schedule_say_where_the_net_is_back() -> None:
    schedule = Schedule.from_json(EXAMPLE_1)
    found = cliffs(schedule)
    assert [(cliff.at, cliff.regained_at) for cliff in found] == [
        (Decimal("0.10"), Decimal("0.125")),
        (Decimal("0.40"), Decimal("0.64")),
    ]
    for cliff in found:
        just_below, at, back = net_against_gross(
            schedule,
            [cliff.at - Decimal("0.000000001"), cliff.at, cliff.regained_at or Decimal(0)],
            capital=Decimal(1000),
        )
        assert at.net_return < just_below.net_return <= back.net_return


def test_cliffs_none_where_rates_fall_or_are_marginal() -> None:
    assert cliffs(Schedule.from_json(EXAMPLE_2)) == ()
    assert cliffs(Schedule.from_json(EXAMPLE_1 | {"mode": "marginal"})) == ()


def test_cliffs_none_between_tiers_of_one_rate_and_none_where_profit_begins() -> None:
    assert cliffs(Schedule.from_json(yields((None, "0.2"), ("0.1", "0.2")))) == ()
    assert cliffs(Schedule.from_json(yields((None, "0"), ("0", "0.2")))) == ()


def test_cliffs_of_a_net_worth_schedule_depend_on_the_mark() -> None:
    schedule = Schedule.from_json(yields((None, "0.10"), ("1000", "0.20"), ("2000", "1"), basis="net_worth"))
    open_ended = cliffs(schedule)
    assert [(cliff.at, cliff.regained_at) for cliff in open_ended] == [
        (Decimal(1000), None),
        (Decimal(2000), None),
    ]
    from_800 = cliffs(schedule, capital=Decimal(800))
    assert [(cliff.at, cliff.regained_at) for cliff in from_800] == [
        (Decimal(1000), Decimal(1025)),
        (Decimal(2000), None),
    ]
    assert [cliff.at for cliff in cliffs(schedule, capital=Decimal(1000))] == [Decimal(2000)]


def test_net_against_gross_a_loss_pays_nothing() -> None:
    schedule = Schedule.from_json(EXAMPLE_2)
    loss, even, gain = net_against_gross(
        schedule, [Decimal("-0.5"), Decimal(0), Decimal("1.5")], capital=Decimal(2000)
    )
    assert (even.net_return, even.rate) == (Decimal(0), Decimal(0))
    assert (loss.net_return, loss.rate) == (Decimal("-0.5"), Decimal(0))
    assert (gain.net_return, gain.rate) == (Decimal("1.05"), Decimal("0.3"))
