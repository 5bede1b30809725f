"""Every rounding by name: what it rounds to, what its dust may not decide."""

from collections.abc import Callable
from decimal import Decimal, Inexact
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from money.exact import EXACT, decimal_of, exact_sum, scaled_int
from money.rounding import (
    dust_places,
    floor_money,
    half_even,
    is_whole_minor_units,
    minor_unit,
    nearest_money,
    nearest_money_ties_up,
    rounded_accumulator,
    rounded_carried,
    rounded_mark,
    rounded_units,
    rounded_yield,
)

amounts = st.fractions(min_value=-(10**12), max_value=10**12)
currencies = st.sampled_from([0, 2, 3, 8])


@pytest.mark.parametrize(
    ("number", "places", "expected"),
    [
        (Fraction(1, 8), 2, "0.12"),
        (Fraction(3, 8), 2, "0.38"),
        (Decimal("-0.125"), 2, "-0.12"),
        (Decimal("2.5"), 0, "2"),
        (7, 2, "7.00"),
        (Fraction(2, 3), 24, "0.666666666666666666666667"),
    ],
)
def test_half_even_tie_goes_to_the_even_neighbour(
    number: int | Fraction | Decimal, places: int, expected: str
) -> None:
    assert str(half_even(number, places)) == expected


def test_half_even_more_digits_than_the_default_context_keeps_them_all() -> None:
    number = Decimal("123456789012345678901234.123456789012345678901234")
    assert half_even(number, 24) == number
    assert exact_sum((number, Decimal("1e-24"))) - 0 != number
    assert str(exact_sum((number, Decimal("1e-24")))) == "123456789012345678901234.123456789012345678901235"


@pytest.mark.parametrize(
    ("amount", "digits", "expected"),
    [
        (Decimal("4.725"), 2, "4.72"),
        (Decimal("4.999999999999"), 2, "5.00"),
        (Decimal("4.999999994"), 2, "4.99"),
        (Decimal("4.999999995"), 2, "5.00"),
        (Decimal("0.0000000099999999999"), 8, "1E-8"),
        (Decimal("0.00000000994"), 8, "0E-8"),
        (Decimal("199.9"), 0, "199"),
        (Decimal("-0.001"), 2, "-0.01"),
    ],
)
def test_floor_money_dust_beyond_its_places_decides_nothing(
    amount: Decimal, digits: int, expected: str
) -> None:
    assert floor_money(amount, digits) == Decimal(expected)


@pytest.mark.parametrize(("digits", "places"), [(0, 8), (2, 8), (3, 8), (8, 10)])
def test_dust_places_are_eight_and_ten_for_eight_decimals(digits: int, places: int) -> None:
    assert dust_places(digits) == places


@given(amounts, currencies)
def test_floor_money_is_never_above_the_amount_but_for_its_dust(amount: Fraction, digits: int) -> None:
    rounded = Fraction(floor_money(amount, digits))
    dust = Fraction(1, 2 * 10 ** dust_places(digits))
    assert amount - Fraction(1, 10**digits) - dust < rounded <= amount + dust


@given(amounts, currencies, st.integers(-(10**9), 10**9))
def test_nearest_money_ties_up_whole_minor_units_added_come_out_again(
    amount: Fraction, digits: int, added: int
) -> None:
    whole = decimal_of(added, digits)
    assert (
        nearest_money_ties_up(amount + Fraction(whole), digits)
        == nearest_money_ties_up(amount, digits) + whole
    )


@given(amounts, currencies)
def test_nearest_money_is_within_half_a_minor_unit(amount: Fraction, digits: int) -> None:
    assert abs(Fraction(nearest_money(amount, digits)) - amount) <= Fraction(minor_unit(digits)) / 2


@pytest.mark.parametrize(
    ("amount", "digits", "whole"),
    [
        ("1.23", 2, True),
        ("1.230", 2, True),
        ("1.231", 2, False),
        ("1E+3", 0, True),
        ("0.5", 0, False),
        ("NaN", 2, False),
        ("Infinity", 2, False),
    ],
)
def test_is_whole_minor_units_says_whether_the_currency_has_the_decimals(
    amount: str, digits: int, whole: bool
) -> None:
    assert is_whole_minor_units(Decimal(amount), digits) is whole


@pytest.mark.parametrize(
    ("rounding", "places"),
    [
        (rounded_units, 12),
        (rounded_mark, 12),
        (rounded_accumulator, 24),
        (rounded_carried, 24),
        (rounded_yield, 9),
    ],
)
def test_stored_places_are_twelve_for_units_and_marks_twenty_four_for_what_accrues(
    rounding: Callable[[Fraction], Decimal], places: int
) -> None:
    assert rounding(Fraction(2, 3)) == Decimal("0." + "6" * (places - 1) + "7")


def test_scaled_int_too_many_decimals_is_refused_and_not_rounded() -> None:
    assert scaled_int(Decimal("1.23"), 2) == 123
    with pytest.raises(Inexact):
        scaled_int(Decimal("1.234"), 2)


def test_exact_context_lost_digit_is_an_error() -> None:
    with pytest.raises(Inexact):
        EXACT.divide(Decimal(1), Decimal(3))
