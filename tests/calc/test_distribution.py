"""A histogram counts every day once, and looks the same from both sides of 0."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from track_record.calc.distribution import BARS_A_SIDE, Bar, distribution

RETURNS = st.lists(st.decimals(min_value=-1, max_value=20, places=9), max_size=80)


def rates(*written: str) -> list[Decimal]:
    return [Decimal(rate) for rate in written]


def test_bars_hold_the_bound_that_is_nearer_to_zero() -> None:
    told = distribution(rates("0", "0.0005", "0.00049", "-0.0005", "0.0012", "0"))
    half, one, more = Decimal("0.0005"), Decimal("0.0010"), Decimal("0.0015")
    assert told.unchanged == 2
    assert told.bars == (
        Bar(-more, -one, 0), Bar(-one, -half, 1), Bar(-half, Decimal(0), 0),
        Bar(Decimal(0), half, 1), Bar(half, one, 1), Bar(one, more, 1),
    )  # fmt: skip


def test_one_wild_day_does_not_flatten_the_others() -> None:
    told = distribution(rates(*["0.001"] * 15, *["-0.002"] * 15, "0.9"))
    assert told.bars[-1].low is not None
    assert told.bars[-1].low < Decimal("0.01")
    assert told.bars[-1].high is None
    assert told.bars[-1].days == 1


def test_days_without_a_change_have_no_bars() -> None:
    assert distribution(rates("0", "0")).bars == ()


@given(RETURNS)
def test_every_day_is_counted_once(returns: list[Decimal]) -> None:
    told = distribution(returns)
    assert told.days == len(returns)
    assert len(told.bars) <= 2 * BARS_A_SIDE
    for bar in told.bars:
        within = [
            rate
            for rate in returns
            if rate
            and (rate > 0) == (bar.low is not None and bar.low >= 0)
            and abs(rate) >= min(abs(bound) for bound in (bar.low, bar.high) if bound is not None)
            and (bar.low is None or bar.high is None or abs(rate) < max(abs(bar.low), abs(bar.high)))
        ]
        assert len(within) == bar.days


@given(RETURNS)
def test_mirrored_returns_give_the_mirrored_histogram(returns: list[Decimal]) -> None:
    there, back = distribution(returns), distribution([-rate for rate in returns])
    assert [bar.days for bar in back.bars] == [bar.days for bar in reversed(there.bars)]


@given(RETURNS)
def test_at_most_one_day_in_twenty_lies_beyond_the_bars(returns: list[Decimal]) -> None:
    told = distribution(returns)
    changed = sum(bar.days for bar in told.bars)
    open_bars = [bar for bar in told.bars if bar.low is None or bar.high is None]
    if not open_bars:
        return
    nearest = min(abs(bar.low or bar.high or Decimal(0)) for bar in open_bars)
    reach = nearest * BARS_A_SIDE / (BARS_A_SIDE - 1)
    if reach < BARS_A_SIDE:
        assert sum(abs(rate) >= reach for rate in returns) * 20 <= changed
