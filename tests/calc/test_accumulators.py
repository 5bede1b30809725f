"""The two running sums of an account: price times days, and closed lots per unit."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from allocation.calc.accumulators import lots_per_unit_after, value_days_after
from allocation.calc.price import Price
from money.exact import decimal_of

START = datetime(2026, 3, 1, tzinfo=UTC)
DUST = Fraction(1, 10**24)
THIRD = Price(Decimal(1), Decimal(3))

prices = st.builds(
    Price,
    st.integers(0, 10**12).map(lambda scaled: decimal_of(scaled, 2)),
    st.integers(1, 10**22).map(lambda scaled: decimal_of(scaled, 12)),
)
spans = st.integers(0, 10**13).map(lambda microseconds: timedelta(microseconds=microseconds))
held = st.integers(1, 10**20).map(lambda scaled: decimal_of(scaled, 12))
lots = st.integers(-(10**12), 10**14).map(lambda scaled: decimal_of(scaled, 8))


def test_value_days_half_a_day_at_a_third_is_a_sixth_rounded_at_the_last_place() -> None:
    after = value_days_after(Decimal(1), THIRD, START, START + timedelta(hours=12))
    assert after == Decimal("1.166666666666666666666667")


def test_value_days_count_microseconds() -> None:
    price = Price(Decimal(86_400_000_000), Decimal(1))
    assert value_days_after(Decimal(0), price, START, START + timedelta(microseconds=1)) == 1


def test_value_days_a_day_with_a_clock_change_has_as_many_hours_as_passed() -> None:
    zone = ZoneInfo("Europe/Berlin")
    since, until = (datetime(2026, 3, day, tzinfo=zone).astimezone(UTC) for day in (29, 30))
    assert value_days_after(Decimal(0), Price.INITIAL, since, until) == Decimal("0.958333333333333333333333")


def test_value_days_at_a_price_of_zero_stand_still() -> None:
    nothing = Price(Decimal(0), Decimal(5))
    assert value_days_after(Decimal(7), nothing, START, START + timedelta(days=30)) == 7


@given(st.lists(st.tuples(prices, spans), max_size=12))
def test_value_days_of_many_rollovers_are_the_integral_of_the_price(
    history: list[tuple[Price, timedelta]],
) -> None:
    total, at, exact = Decimal(0), START, Fraction(0)
    for price, span in history:
        total = value_days_after(total, price, at, at + span)
        at += span
        exact += price.ratio * Fraction(span // timedelta(microseconds=1), 86_400_000_000)
    assert abs(Fraction(total) - exact) <= len(history) * DUST / 2


def test_lots_per_unit_grow_by_lots_over_units() -> None:
    assert lots_per_unit_after(Decimal("0.5"), Decimal("0.30"), Decimal(1200)) == Decimal("0.50025")


def test_lots_per_unit_without_units_stay() -> None:
    assert lots_per_unit_after(Decimal("0.5"), Decimal(3), Decimal(0)) == Decimal("0.5")


def test_lots_per_unit_lots_taken_back_are_subtracted() -> None:
    grown = lots_per_unit_after(Decimal(0), Decimal(3), Decimal(7))
    assert lots_per_unit_after(grown, Decimal(-3), Decimal(7)) == 0


@given(lots, st.lists(held, min_size=1, max_size=20))
def test_lots_per_unit_the_holders_parts_sum_to_the_lots(closed: Decimal, holders: list[Decimal]) -> None:
    units = sum(holders)
    grown = Fraction(lots_per_unit_after(Decimal(0), closed, Decimal(units)))
    parts = sum(Fraction(one) * grown for one in holders)
    assert abs(parts - Fraction(closed)) <= Fraction(units) * DUST / 2
