"""A record grown bit by bit tells what one made at once tells; drawdown counts every price."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from allocation.calc.price import Price
from track_record.calc.record import (
    FEWEST_DAYS,
    Missing,
    Summary,
    extended,
    months_before,
    summary,
)
from track_record.calc.statistics import PricePoint

START = datetime(2026, 1, 1, 9, tzinfo=UTC)
PRICES = st.lists(st.integers(min_value=1, max_value=10**6), min_size=2, max_size=60)


def _points(prices: list[int], hours: int = 7) -> list[PricePoint]:
    return [
        PricePoint(START + timedelta(hours=hours * number), Price(Decimal(price), Decimal(1000)))
        for number, price in enumerate(prices)
    ]


@given(PRICES, st.data())
def test_record_grown_in_pieces_equals_record_made_at_once(prices: list[int], data: st.DataObject) -> None:
    points = _points(prices)
    cut = data.draw(st.integers(min_value=1, max_value=len(points) - 1))
    grown = extended(extended(None, points[:cut], UTC), points[cut:], UTC)
    assert grown == extended(None, points, UTC)
    assert summary(grown, UTC).total_return == summary(extended(None, points, UTC), UTC).total_return


@given(PRICES)
def test_record_keeps_one_price_per_day_after_the_first_and_the_latest_last(prices: list[int]) -> None:
    points = _points(prices)
    record = extended(None, points, UTC)
    days = [point.at.date() for point in record.daily[1:]]
    assert len(days) == len(set(days))
    assert record.latest == points[-1]
    assert record.daily[0] == points[0]


def test_drawdown_within_a_day_is_counted_although_the_day_ends_higher() -> None:
    record = extended(None, _points([100, 200, 50, 220], hours=1), UTC)
    assert record.deepest is not None
    assert record.deepest.rate == Decimal("-0.75")
    assert summary(record, UTC).current_drawdown == 0


def test_return_over_a_window_that_the_record_does_not_reach_is_unknown() -> None:
    told = summary(extended(None, _points([100, 110, 121], hours=24 * 20), UTC), UTC)
    assert told.return_1m == Decimal("0.21")
    assert told.return_3m is None
    assert told.return_12m is None
    assert told.total_return == Decimal("0.21")


def test_wiped_out_record_shows_minus_one_and_has_no_return_from_zero() -> None:
    told = summary(extended(None, _points([100, 0, 0], hours=24), UTC), UTC)
    assert told.total_return == -1
    assert told.maximum_drawdown == -1


def test_month_before_the_last_of_march_is_the_last_of_february() -> None:
    assert months_before(datetime(2026, 3, 31, tzinfo=UTC), 1) == datetime(2026, 2, 28, tzinfo=UTC)
    assert months_before(datetime(2026, 1, 15, tzinfo=UTC), 12) == datetime(2025, 1, 15, tzinfo=UTC)


def _told_of(prices: list[int]) -> Summary:
    return summary(extended(None, _points(prices, hours=24), UTC), UTC)


def test_figures_of_days_wait_for_thirty_days_and_say_so() -> None:
    young = _told_of([100 + number % 7 for number in range(FEWEST_DAYS)])
    assert (young.volatility, young.sharpe_ratio, young.winning_share) == (None, None, None)
    assert young.missing["winning_share"] is young.missing["volatility"] is Missing.FEW_DAYS
    old = _told_of([100 + number % 7 for number in range(FEWEST_DAYS + 1)])
    assert old.volatility is not None
    assert "volatility" not in old.missing


def test_return_is_compounded_to_a_year_only_after_a_year() -> None:
    assert (
        _told_of([100 + number % 7 for number in range(365)]).missing["calmar_ratio"] is Missing.UNDER_A_YEAR
    )
    assert _told_of([100 + number % 7 for number in range(366)]).calmar_ratio is not None


def test_ratio_without_a_divisor_says_what_there_has_not_been() -> None:
    rising = _told_of([100 + number for number in range(400)])
    assert {rising.missing[name] for name in ("sortino_ratio", "profit_factor", "calmar_ratio")} == {
        Missing.NO_LOSS
    }
    still = _told_of([100] * 400)
    assert {still.missing[name] for name in ("sharpe_ratio", "winning_share")} == {Missing.NO_CHANGE}
    assert still.volatility == 0


@given(PRICES)
def test_figure_is_told_or_missing_with_a_reason(prices: list[int]) -> None:
    told = _told_of(prices)
    for name in told.missing:
        assert getattr(told, name) is None
    for field in fields(told):
        if getattr(told, field.name) is None:
            assert field.name in told.missing
