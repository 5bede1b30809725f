"""Ranks order as the figures do, and fit a whole number of 64 bits."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from track_record.calc.ranks import LARGEST, NOT_PRICED, NOT_TOLD, rank_of

FIGURES = st.decimals(min_value=Decimal(-(10**15)), max_value=Decimal(10**15), places=9)


@given(FIGURES, FIGURES)
def test_larger_figure_never_ranks_lower(one: Decimal, other: Decimal) -> None:
    if one >= other:
        assert rank_of(one) >= rank_of(other)
    if abs(one) < 10**9 and abs(other) < 10**9:
        assert (rank_of(one) == rank_of(other)) == (one == other)


@given(FIGURES)
def test_what_is_told_ranks_above_what_is_not(figure: Decimal) -> None:
    assert NOT_PRICED < NOT_TOLD == rank_of(None) < rank_of(figure) <= LARGEST < 2**63
