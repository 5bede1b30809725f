"""The ratios: worked out by hand, the same as two plain definitions in binary numbers, and what must not
change them.
"""

import math
import statistics as plain
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from money.rounding import half_even
from track_record.calc import statistics

RETURNS = st.lists(st.decimals(min_value="-0.9", max_value="0.9", places=9), min_size=2, max_size=60)
#: +10 %, −5 %, +4 %, −1 %: mean 0.02, deviations 0.08, −0.07, 0.02, −0.03.
EXAMPLE = [Decimal("0.10"), Decimal("-0.05"), Decimal("0.04"), Decimal("-0.01")]


@pytest.mark.parametrize(
    ("figure", "worked_out"),
    [
        # 1.10 × 0.95 × 1.04 × 0.99 − 1
        (statistics.compounded(EXAMPLE), "0.075932000"),
        # √((0.0064 + 0.0049 + 0.0004 + 0.0009) / 3) = √0.0042
        (statistics.volatility(EXAMPLE, 1), "0.064807407"),
        (statistics.sharpe_ratio(EXAMPLE, 1), "0.308606700"),
        # √((0.0025 + 0.0001) / 4) = √0.00065
        (statistics.downside_risk(EXAMPLE, 1), "0.025495098"),
        (statistics.sortino_ratio(EXAMPLE, 1), "0.784464541"),
        (statistics.profit_factor(EXAMPLE), "2.333333333"),
        (statistics.winning_share(EXAMPLE), "0.500000000"),
        # 0.02 of profit in four periods, one year of four: 0.075932 / 0.05
        (statistics.calmar_ratio(EXAMPLE, 4), "1.518640000"),
        # Half of 0.5 comes twice a year: 1.5² − 1
        (statistics.annual_return([Decimal("0.5")], 2), "1.250000000"),
    ],
)
def test_example_is_what_it_is_on_paper(figure: Decimal | None, worked_out: str) -> None:
    assert figure is not None
    assert half_even(figure, 9) == Decimal(worked_out)


@given(RETURNS)
def test_ratios_equal_plain_definitions_in_binary_numbers(returns: list[Decimal]) -> None:
    binary = [float(rate) for rate in returns]
    deviation = plain.stdev(binary)
    volatility = statistics.volatility(returns, 365)
    assert volatility is not None
    assert math.isclose(volatility, deviation * math.sqrt(365), rel_tol=1e-9, abs_tol=1e-7)
    assume(deviation > 1e-6)
    sharpe = statistics.sharpe_ratio(returns, 365)
    assert sharpe is not None
    assert math.isclose(sharpe, plain.mean(binary) / deviation * math.sqrt(365), rel_tol=1e-6, abs_tol=1e-6)


@given(RETURNS, st.randoms(use_true_random=False))
def test_order_of_the_days_changes_no_ratio(returns: list[Decimal], chance: object) -> None:
    other = list(returns)
    chance.shuffle(other)  # type: ignore[attr-defined]
    for figure in (statistics.volatility, statistics.sharpe_ratio, statistics.sortino_ratio):
        assert figure(other, 365) == figure(returns, 365)


@given(RETURNS)
def test_ratios_have_the_sign_of_the_mean_return(returns: list[Decimal]) -> None:
    total = sum(returns)
    for ratio in (statistics.sharpe_ratio(returns, 365), statistics.sortino_ratio(returns, 365)):
        if ratio is not None:
            assert (ratio > 0) == (total > 0)
            assert (ratio < 0) == (total < 0)


@given(RETURNS)
def test_shares_lie_between_none_and_all_and_gains_beat_losses_above_one(returns: list[Decimal]) -> None:
    share = statistics.winning_share(returns)
    assert share is not None
    assert 0 <= share <= 1
    factor = statistics.profit_factor(returns)
    if factor is not None and factor != 1:
        assert (factor > 1) == (sum(returns) > 0)
