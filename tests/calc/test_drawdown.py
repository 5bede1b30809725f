"""The deepest fall told price by price equals the one that somebody finds who sees all prices at once."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocation.calc.price import Price
from track_record.calc.drawdown import Drawdown, Peak, drawdown, followed
from track_record.calc.statistics import maximum_drawdown

START = datetime(2026, 1, 1, tzinfo=UTC)
PRICES = st.lists(st.integers(min_value=0, max_value=12), min_size=1, max_size=40)


def day(number: int) -> datetime:
    return START + timedelta(days=number)


def prices_of(figures: list[int]) -> list[Price]:
    return [Price(Decimal(figure), Decimal(10)) for figure in figures]


def told(figures: list[int]) -> Drawdown | None:
    peak: Peak | None = None
    deepest: Drawdown | None = None
    for number, price in enumerate(prices_of(figures)):
        peak, deepest = followed(peak, deepest, day(number), price)
    return deepest


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ([10, 8, 10, 5, 7], Drawdown(Decimal("-0.5"), day(2), day(3))),
        ([10, 5, 9, 10, 6], Drawdown(Decimal("-0.5"), day(0), day(1), day(3))),
        # As deep again, later: the first stays.
        ([10, 5, 11, 12, 6, 12], Drawdown(Decimal("-0.5"), day(0), day(1), day(2))),
        # Nothing is left of it.
        ([10, 0, 0], Drawdown(Decimal(-1), day(0), day(1))),
        ([1, 2, 2, 3], None),
    ],
)
def test_deepest_fall_counts_from_the_last_high_to_the_next(
    figures: list[int], expected: Drawdown | None
) -> None:
    assert told(figures) == expected


@given(PRICES)
def test_deepest_fall_told_price_by_price_equals_that_of_the_whole_series(figures: list[int]) -> None:
    found = told(figures)
    assert (found.rate if found else 0) == maximum_drawdown(prices_of(figures))


@given(PRICES)
def test_dates_of_the_deepest_fall_are_those_of_its_prices(figures: list[int]) -> None:
    found = told(figures)
    if found is None:
        return
    prices = prices_of(figures)
    began, lowest = (found.began_at - START).days, (found.lowest_at - START).days
    assert began < lowest
    assert drawdown(prices[lowest], prices[began]) == found.rate
    assert prices[began] == max(prices[: lowest + 1])
    assert prices[lowest] == min(prices[began : lowest + 1])
    higher = [number for number in range(lowest, len(prices)) if prices[number] >= prices[began]]
    assert found.recovered_at == (day(higher[0]) if higher else None)
