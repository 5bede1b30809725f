"""Who receives a fee: parts by running sums, none starved, always the whole fee."""

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fees.calc.shares import MOST_AGENT_LEVELS, Parts, Shared, Shares, SharesInvalid, split
from money.exact import decimal_of, exact_sum
from money.rounding import floor_money

CENT = Decimal("0.01")

amounts = st.lists(st.integers(0, 10**6).map(lambda cents: decimal_of(cents, 2)), min_size=1, max_size=40)
small_amounts = st.lists(st.integers(0, 3).map(lambda cents: decimal_of(cents, 2)), min_size=1, max_size=60)


@st.composite
def agreed_shares(draw: st.DrawFn, *, full: bool = False) -> tuple[Decimal, ...]:
    """Rates of the broker and up to four agents, together at most 1 (exactly 1 where `full`)."""
    cuts = sorted(draw(st.lists(st.integers(0, 1000), max_size=4)))
    edges = [0, *cuts, 1000] if full else [0, *cuts, draw(st.integers(cuts[-1] if cuts else 0, 1000))]
    return tuple(decimal_of(upper - lower, 3) for lower, upper in pairwise(edges))


def rates(*texts: str) -> tuple[Decimal, ...]:
    return tuple(map(Decimal, texts))


def test_split_takes_each_share_of_the_fee_the_manager_the_rest() -> None:
    parts, after = split(Decimal("45.67"), Shared(), rates("0.10", "0.20", "0.05"), 2)
    # 4.567, 9.134 and 2.2835, each rounded down
    assert parts == Parts(Decimal("4.56"), (Decimal("9.13"), Decimal("2.28")), Decimal("29.70"))
    assert after == Shared(Decimal("45.67"), rates("4.56", "9.13", "2.28"))


def test_split_runs_on_the_sum_of_all_fees_so_far() -> None:
    _, before = split(Decimal("45.67"), Shared(), rates("0.10", "0.20", "0.05"), 2)
    parts, after = split(Decimal("0.33"), before, rates("0.10", "0.20", "0.05"), 2)
    # Of 46.00: 4.60, 9.20 and 2.30, less what each has had.
    assert parts == Parts(Decimal("0.04"), (Decimal("0.07"), Decimal("0.02")), Decimal("0.20"))
    assert after.had == rates("4.60", "9.20", "2.30")


def test_split_ten_thousand_fees_of_a_cent_starve_nobody() -> None:
    shared, broker, manager = Shared(), Decimal(0), Decimal(0)
    for _ in range(10_000):
        parts, shared = split(CENT, shared, rates("0.10"), 2)
        broker, manager = broker + parts.broker, manager + parts.manager
    assert (broker, manager) == rates("10.00", "90.00")


def test_split_two_parties_due_of_the_same_cent_the_second_has_it_of_the_next() -> None:
    shared = Shared()
    for _ in range(10_000):
        _, shared = split(CENT, shared, rates("0.10", "0.05"), 2)
    assert shared.had == rates("10.00", "4.99")
    parts, shared = split(CENT, shared, rates("0.10", "0.05"), 2)
    assert parts == Parts(Decimal(0), (CENT,), Decimal(0))
    assert shared.had == rates("10.00", "5.00")


def test_split_without_agents_their_share_is_the_managers() -> None:
    agreed = Shares(Decimal("0.10"), rates("0.20", "0.05"))
    assert agreed.among(0) == rates("0.10")
    assert agreed.among(1) == rates("0.10", "0.20")
    assert agreed.among(9) == rates("0.10", "0.20", "0.05")
    parts, _ = split(Decimal("100.00"), Shared(), agreed.among(1), 2)
    assert parts == Parts(Decimal("10.00"), (Decimal("20.00"),), Decimal("70.00"))


def test_split_all_to_the_broker_leaves_the_manager_nothing() -> None:
    parts, _ = split(Decimal("0.07"), Shared(), rates("1"), 2)
    assert parts == Parts(Decimal("0.07"), (), Decimal(0))


def test_split_full_shares_who_comes_later_gets_the_rest_with_the_next_fee() -> None:
    shared, totals = Shared(), []
    for _ in range(3):
        parts, shared = split(CENT, shared, rates("0.50", "0.50"), 2)
        totals.append((parts.broker, parts.agents[0], parts.manager))
    assert totals == [(0, 0, CENT), (CENT, 0, 0), (0, CENT, 0)]


def test_split_currency_without_decimals() -> None:
    parts, after = split(Decimal(9), Shared(), rates("0.25"), 0)
    assert (parts.broker, parts.manager) == (Decimal(2), Decimal(7))
    parts, _ = split(Decimal(3), after, rates("0.25"), 0)
    assert parts.broker == Decimal(1)


@pytest.mark.parametrize(
    ("shares", "code"),
    [
        (Shares(Decimal("0.6"), rates("0.3", "0.11")), "more_than_everything"),
        (Shares(Decimal("1.01")), "rate_out_of_range"),
        (Shares(Decimal("-0.01")), "rate_out_of_range"),
        (Shares(Decimal("NaN")), "rate_out_of_range"),
        (Shares(Decimal(0), rates("0.5", "-0.1")), "rate_out_of_range"),
        (Shares(Decimal(0), rates("0.01") * (MOST_AGENT_LEVELS + 1)), "too_many_levels"),
    ],
)
def test_shares_that_cannot_be_agreed_are_refused(shares: Shares, code: str) -> None:
    with pytest.raises(SharesInvalid) as refusal:
        shares.validate()
    assert refusal.value.code == code


def test_shares_of_exactly_everything_are_agreed() -> None:
    Shares(Decimal("0.6"), rates("0.3", "0.1")).validate()


@given(st.one_of(amounts, small_amounts), st.one_of(agreed_shares(), agreed_shares(full=True)))
def test_split_parts_sum_to_every_fee_and_none_is_negative(
    fees: list[Decimal], agreed: tuple[Decimal, ...]
) -> None:
    shared = Shared()
    for fee in fees:
        parts, shared = split(fee, shared, agreed, 2)
        each = (parts.broker, *parts.agents, parts.manager)
        assert exact_sum(each) == fee
        assert all(part >= 0 for part in each)
    assert shared.charged == exact_sum(fees)


@given(st.one_of(amounts, small_amounts), st.one_of(agreed_shares(), agreed_shares(full=True)))
def test_split_nobody_has_more_than_his_share_and_all_together_lack_less_than_a_cent_each(
    fees: list[Decimal], agreed: tuple[Decimal, ...]
) -> None:
    shared = Shared()
    for fee in fees:
        _, shared = split(fee, shared, agreed, 2)
        due = [floor_money(Fraction(rate) * Fraction(shared.charged), 2) for rate in agreed]
        assert all(had <= entitled for had, entitled in zip(shared.had, due, strict=True))
        assert exact_sum(due) - exact_sum(shared.had) < CENT * len(agreed)


@given(st.one_of(amounts, small_amounts), st.integers(0, 900), st.integers(0, 100))
def test_split_in_steps_gives_each_party_what_one_fee_would(
    fees: list[Decimal], broker: int, agent: int
) -> None:
    agreed = (decimal_of(broker, 3), decimal_of(agent, 3))
    shared = Shared()
    for fee in fees:
        _, shared = split(fee, shared, agreed, 2)
    _, at_once = split(exact_sum(fees), Shared(), agreed, 2)
    assert exact_sum(at_once.had) - exact_sum(shared.had) < CENT * 2
    if broker + agent <= 900 and all(fee >= Decimal("0.20") for fee in fees):
        assert shared == at_once  # a tenth of every fee is the manager's: it never runs short
