"""Largest remainder: parts sum to the whole and follow their weights."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from money.splitting import largest_remainder

weights = st.lists(st.integers(0, 10**15), min_size=1, max_size=40).filter(any)


@given(st.integers(-(10**15), 10**15), weights)
def test_largest_remainder_parts_sum_to_the_whole_each_within_one_of_its_share(
    total: int, weights: list[int]
) -> None:
    parts = largest_remainder(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - Fraction(total * weight, sum(weights))) < 1


@given(st.integers(0, 10**9), weights)
def test_largest_remainder_more_weight_never_gets_less(total: int, weights: list[int]) -> None:
    parts = largest_remainder(total, weights)
    by_weight = sorted(zip(weights, parts, strict=True))
    for (lighter, less), (heavier, more) in pairwise(by_weight):
        assert lighter == heavier or less <= more


def test_largest_remainder_equal_remainders_earlier_index_first() -> None:
    assert largest_remainder(2, [1, 1, 1]) == [1, 1, 0]
    assert largest_remainder(-2, [1, 1, 1]) == [-1, -1, 0]


def test_largest_remainder_weights_beyond_a_float_stay_exact() -> None:
    assert largest_remainder(3, [2**80 + 1, 2**80]) == [2, 1]


def test_largest_remainder_nothing_to_split_by_is_refused() -> None:
    assert largest_remainder(0, [0, 0]) == [0, 0]
    with pytest.raises(ValueError, match="sum to 0"):
        largest_remainder(1, [0, 0])
    with pytest.raises(ValueError, match="negative"):
        largest_remainder(1, [1, -1])
