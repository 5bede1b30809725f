"""The exact check of a balance against its deals, and the tolerant one of the floating result."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from money.exact import decimal_of, exact_sum
from rollover.calc.reconciliation import (
    BalanceDeal,
    BalanceMatched,
    BalanceNotMatched,
    check_balance,
    check_floating,
)

amounts = st.integers(-(10**8), 10**8).map(lambda scaled: decimal_of(scaled, 2))


def deal(ticket: int, amount: str, foreign: bool = False) -> BalanceDeal:
    return BalanceDeal(ticket, Decimal(amount), foreign)


def check(before: list[BalanceDeal], after: list[BalanceDeal], balance: str, **given: Any) -> Any:
    return check_balance(
        previous_balance=Decimal("1000.00"),
        transfers=given.get("transfers", Decimal(0)),
        deals_before=before,
        deals_after=after,
        state_balance=Decimal(balance),
    )


def test_balance_explained_by_transfers_results_and_foreign_operations_matches() -> None:
    deals = [deal(7, "12.34"), deal(8, "-2.00", foreign=True)]
    found = check(deals, deals, "1510.34", transfers=Decimal("500.00"))
    assert found == BalanceMatched(
        leading=0, counted=(7, 8), result=Decimal("12.34"), foreign=Decimal("-2.00")
    )


def test_balance_read_between_two_deals_counts_the_leading_part_of_the_later_ones() -> None:
    before = [deal(7, "10.00")]
    after = [*before, deal(9, "3.00"), deal(8, "5.00")]
    assert check(before, after, "1015.00") == BalanceMatched(1, (7, 8), Decimal("15.00"), Decimal(0))
    assert check(before, after, "1018.00").counted == (7, 8, 9)


def test_balance_explained_only_by_skipping_a_deal_does_not_match() -> None:
    before = [deal(7, "10.00")]
    after = [*before, deal(8, "5.00"), deal(9, "3.00")]
    assert check(before, after, "1013.00") == BalanceNotMatched(Decimal("3.00"), ())


def test_balance_one_cent_off_does_not_match() -> None:
    deals = [deal(7, "10.00")]
    assert check(deals, deals, "1010.01") == BalanceNotMatched(Decimal("0.01"), ())


def test_balance_deal_given_twice_counts_once() -> None:
    deals = [deal(7, "10.00"), deal(7, "10.00")]
    assert check(deals, deals, "1010.00").counted == (7,)


@pytest.mark.parametrize("after", [[], [deal(7, "11.00")], [deal(7, "10.00", foreign=True)]])
def test_balance_deal_that_changed_or_vanished_between_the_readings_does_not_match(
    after: list[BalanceDeal],
) -> None:
    found = check([deal(7, "10.00")], after, "1010.00")
    assert isinstance(found, BalanceNotMatched)
    assert found.changed == (7,)


@given(st.lists(amounts, max_size=8), st.lists(amounts, max_size=8), st.data())
def test_balance_every_moment_between_the_readings_matches(
    first: list[Decimal], later: list[Decimal], data: st.DataObject
) -> None:
    before = [BalanceDeal(ticket, amount) for ticket, amount in enumerate(first)]
    new = [BalanceDeal(100 + ticket, amount) for ticket, amount in enumerate(later)]
    seen = data.draw(st.integers(0, len(new)))
    balance = exact_sum([Decimal("1000.00"), *(one.amount for one in [*before, *new[:seen]])])
    found = check_balance(
        previous_balance=Decimal("1000.00"),
        transfers=Decimal(0),
        deals_before=before,
        deals_after=[*before, *new],
        state_balance=balance,
    )
    assert isinstance(found, BalanceMatched)
    assert found.leading <= seen
    assert Decimal("1000.00") + found.result == balance


@pytest.mark.parametrize(
    ("positions", "within"), [("49.00", True), ("48.95", True), ("48.94", False), ("51.06", False)]
)
def test_floating_result_is_compared_within_a_thousandth_of_equity(positions: str, within: bool) -> None:
    found = check_floating(
        equity=Decimal("1050.00"),
        balance=Decimal("900.00"),
        credit=Decimal("100.00"),
        positions_result=Decimal(positions),
    )
    assert found.floating == Decimal("50.00")
    assert found.within_tolerance is within
