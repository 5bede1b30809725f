"""Pictures drawn on the server: whatever the prices were, every point lies within its picture."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from allocation.calc.price import Price
from offers.web.axes import evenly, round_steps
from offers.web.histogram import histogram
from offers.web.price_picture import compared_picture, price_picture
from track_record.calc.distribution import distribution
from track_record.calc.statistics import PricePoint, returns
from track_record.models import AccountStatistics

START = datetime(2026, 1, 1, tzinfo=UTC)
#: From wiped out to a millionfold, in steps that are sometimes tiny.
FIGURES = st.one_of(st.integers(0, 12), st.integers(999_990, 1_000_010), st.integers(0, 10**12))
RECORDS = st.lists(FIGURES, min_size=0, max_size=300)
FIRST = st.integers(0, 20)


def record(figures: list[int], first_day: int = 0) -> list[PricePoint]:
    return [
        PricePoint(START + timedelta(days=first_day + number), Price(Decimal(figure), Decimal(10**6)))
        for number, figure in enumerate(figures)
    ]


def points_of(written: str) -> list[tuple[float, float]]:
    pairs = [pair.split(",") for pair in written.split()]
    return [(float(x), float(y)) for x, y in pairs]


@given(RECORDS, st.one_of(st.none(), st.integers(-5, 310)))
def test_price_picture_holds_every_point(figures: list[int], since: int | None) -> None:
    drawn = price_picture(record(figures), None if since is None else START + timedelta(days=since))
    if drawn is None:
        assert len(figures) < 2 or (since is not None and since > len(figures) - 2)
        return
    for x, y in points_of(drawn.line):
        assert drawn.left <= x <= drawn.right
        assert 0 <= y <= drawn.bottom
    for _x, y in points_of(drawn.drawdown):
        assert drawn.lower_top <= y <= drawn.lower_bottom
    assert all(0 <= tick.position <= drawn.bottom for tick in drawn.y_ticks)


@given(st.lists(st.tuples(RECORDS.filter(bool), FIRST), min_size=1, max_size=4))
def test_compared_picture_holds_every_line_and_keeps_letters_apart(
    records: list[tuple[list[int], int]],
) -> None:
    named = {
        ("ABCD"[number], f"Account {number}"): record(figures, first)
        for number, (figures, first) in enumerate(records)
    }
    drawn = compared_picture(named, START)
    if drawn is None:
        return
    assert [line.letters for line in drawn.lines] == list("ABCD"[: len(records)])
    for line in drawn.lines:
        for x, y in points_of(line.points):
            assert drawn.left <= x <= drawn.right + 0.1
            assert 0 <= y <= drawn.bottom
    heights = sorted(line.letters_y for line in drawn.lines)
    assert all(after - before > 14.9 for before, after in pairwise(heights))


@given(RECORDS)
def test_histogram_has_a_bar_for_every_day_that_changed(figures: list[int]) -> None:
    told = distribution(returns([point.price for point in record(figures)]))
    row = AccountStatistics(
        distribution=[
            [None if bound is None else format(bound, "f") for bound in (bar.low, bar.high)] + [bar.days]
            for bar in told.bars
        ],
        unchanged_days=told.unchanged,
    )
    drawn = histogram(row)
    if drawn is None:
        assert not told.bars
        return
    assert sum(column.days for column in drawn.columns) == drawn.changed == told.days - told.unchanged
    for column in drawn.columns:
        assert 0 <= column.x < column.x + column.width <= drawn.width
        assert 0 <= column.y <= column.y + column.height <= drawn.height
        assert column.between


@given(
    st.decimals(min_value=-(10**6), max_value=10**6, places=4),
    st.decimals(min_value=0, max_value=10**6, places=4),
)
def test_round_steps_enclose_their_figures(low: Decimal, spread: Decimal) -> None:
    steps = round_steps(low, low + spread, least=Decimal("0.01"))
    assert steps[0] <= low
    assert steps[-1] >= low + spread
    assert len(steps) <= 8


@given(st.lists(st.integers(), unique=True, max_size=60), st.integers(2, 40))
def test_evenly_keeps_the_ends_and_the_order(numbers: list[int], most: int) -> None:
    kept = evenly(numbers, most)
    assert len(kept) == min(len(numbers), most)
    assert kept == [number for number in numbers if number in kept]
    assert kept[:1] == numbers[:1]
    assert kept[-1:] == numbers[-1:]
