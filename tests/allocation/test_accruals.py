"""What an investment accrues with time and volume, read from its account's running sums. Nothing is stored
here: rows are made in memory.
"""

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import PammAccount
from allocation.models import Interval, Investment, PricePoint, UnitEntry
from allocation.services import (
    Snapshot,
    UnitBook,
    accrued_lots,
    accrued_value_days,
    interval_progress,
    next_price_point,
    unpaid_interval_part,
)
from money.exact import decimal_of

START = datetime(2026, 4, 1, tzinfo=UTC)
DUST = Fraction(1, 10**24)
SOURCE = uuid.UUID(int=1)


def pamm_account(**figures: object) -> PammAccount:
    values: dict[str, object] = {
        "currency": "USD", "currency_digits": 2, "units": Decimal(1000), "last_priced_at": START,
        "last_price_equity": Decimal(1000), "last_price_units": Decimal(1000),
        "last_value_days": Decimal(0), "last_lots_per_unit": Decimal(0), "rounding_carried": Decimal(0),
    }  # fmt: skip
    return PammAccount(**{**values, **figures})


def snapshot(at: datetime, equity: str, lots: str = "0") -> Snapshot:
    money = Decimal(equity)
    return Snapshot(
        at=at, balance=money, equity=money, credit=Decimal(0), margin=Decimal(0), withdrawable=money,
        owed=Decimal(0), incoming=Decimal(0), trading_result=Decimal(0), has_open_positions=False,
        closed_lots=Decimal(lots),
    )  # fmt: skip


def investment(key: int = 1, **figures: object) -> Investment:
    values: dict[str, object] = {
        "pk": key, "terms_id": 1, "state": Investment.State.ACTIVE, "units": Decimal(0),
        "paid_in": Decimal(0), "paid_out": Decimal(0), "fees_paid": Decimal(0),
        "value_days_put_aside": Decimal(0), "value_days_checkpoint": Decimal(0),
        "lots_put_aside": Decimal(0), "lots_checkpoint": Decimal(0),
        "subscription_checkpoint": Decimal(0),
    }  # fmt: skip
    return Investment(**{**values, **figures})


def point_at(
    account: PammAccount, *, value_days: str = "0", lots: str = "0", at: datetime = START
) -> PricePoint:
    """A rollover of `account` at price 1, with its sums standing at these figures."""
    thousand = Decimal(1000)
    return PricePoint(
        account=account, sequence=1, flow_sequence=1, priced_at=at, equity=thousand, units=thousand,
        price_equity=thousand, price_units=thousand,
        value_days=Decimal(value_days), lots_per_unit=Decimal(lots),
    )  # fmt: skip


def months() -> Interval:
    return Interval(number=3, starts_at=START, ends_at=START + timedelta(days=30))


def ten_rollovers() -> Interval:
    return Interval(number=3, starts_at=START, ends_after_sequence=15, opening=PricePoint(flow_sequence=5))


# The account's sums


def test_price_point_extends_the_sums_by_the_last_price_and_the_last_units() -> None:
    account = pamm_account(last_value_days=Decimal(7), last_lots_per_unit=Decimal("0.5"))
    point = next_price_point(
        account, snapshot(START + timedelta(days=2), "3000.00", "4.00"), moves_money=True
    )
    assert (point.closed_lots, point.value_days, point.lots_per_unit) == (
        Decimal(4),
        Decimal(9),
        Decimal("0.504"),
    )


def test_price_point_of_a_rollover_that_moves_no_money_extends_the_sums_too() -> None:
    account = pamm_account()
    point = next_price_point(account, snapshot(START + timedelta(days=1), "900.00", "1"), moves_money=False)
    UnitBook(account, point).move_account_on()
    assert (account.last_value_days, account.last_lots_per_unit) == (Decimal(1), Decimal("0.001"))


def test_first_price_point_has_no_past() -> None:
    account = pamm_account(last_priced_at=None, units=Decimal(0))
    point = next_price_point(account, snapshot(START, "0.00", "5"), moves_money=True)
    assert point.value_days == point.lots_per_unit == 0


# Put aside when units change


def test_deposit_puts_aside_what_the_units_before_it_have_accrued() -> None:
    book = UnitBook(account := pamm_account(), point_at(account, value_days="10", lots="0.25"))
    held = investment(units=Decimal(100), value_days_checkpoint=Decimal(4))
    book.issue(held, Decimal("50.00"), source=SOURCE)
    assert held.units == 150
    assert (held.value_days_put_aside, held.lots_put_aside) == (Decimal(600), Decimal(25))
    assert accrued_value_days(held, Decimal(12)) == 600 + 150 * 2
    assert accrued_lots(held, Decimal("0.25")) == 25


def test_first_deposit_accrues_from_its_own_rollover_on() -> None:
    book = UnitBook(account := pamm_account(), point_at(account, value_days="10", lots="2"))
    joining = investment()
    book.issue(joining, Decimal("50.00"), source=SOURCE)
    assert accrued_value_days(joining, Decimal(11)) == 50
    assert accrued_lots(joining, Decimal(2)) == 0


def test_own_capital_puts_nothing_aside() -> None:
    book = UnitBook(account := pamm_account(), point_at(account, value_days="10", lots="2"))
    own = investment(terms_id=None, units=Decimal(100))
    book.redeem(own, Decimal("50.00"), UnitEntry.Kind.WITHDRAWAL)
    assert own.value_days_put_aside == own.value_days_checkpoint == own.lots_put_aside == 0


@given(
    st.lists(
        st.tuples(
            st.integers(0, 10**26).map(lambda scaled: decimal_of(scaled, 24)),
            st.integers(0, 10**26).map(lambda scaled: decimal_of(scaled, 24)),
            st.integers(1, 10**8).map(lambda scaled: decimal_of(scaled, 2)),
        ),
        max_size=10,
    )
)
def test_accrued_is_the_sum_of_units_times_growth_whatever_was_put_aside(
    steps: list[tuple[Decimal, Decimal, Decimal]],
) -> None:
    held, account = investment(), pamm_account()
    days = lots = Decimal(0)
    exact_days = exact_lots = Fraction(0)
    for more_days, more_lots, deposit in steps:
        exact_days += Fraction(held.units) * Fraction(more_days)
        exact_lots += Fraction(held.units) * Fraction(more_lots)
        days, lots = days + more_days, lots + more_lots
        UnitBook(account, point_at(account, value_days=str(days), lots=str(lots))).issue(
            held, deposit, source=SOURCE
        )
    assert abs(accrued_value_days(held, days) - exact_days) <= len(steps) * DUST
    assert abs(accrued_lots(held, lots) - exact_lots) <= len(steps) * DUST


def test_restarted_accruals_begin_at_the_rollover_and_the_interval_so_far_is_paid() -> None:
    book = UnitBook(
        account := pamm_account(),
        point_at(account, value_days="10", lots="2", at=START + timedelta(days=6)),
    )
    held = investment(units=Decimal(100), interval=months())
    book.restart_accruals(held)
    assert accrued_value_days(held, Decimal(10)) == accrued_lots(held, Decimal(2)) == 0
    assert (held.subscription_checkpoint, held.subscription_number) == (Decimal("0.2"), 3)
    assert unpaid_interval_part(held, START + timedelta(days=15), 1) == Fraction(3, 10)
    assert book.touched == {held.pk: held}


def test_close_forgets_accruals_fractions_and_debts_but_not_what_was_shared() -> None:
    book = UnitBook(account := pamm_account(), point_at(account, value_days="10", lots="2"))
    leaving = investment(
        units=Decimal(100), interval=months(), subscription_number=3, subscription_checkpoint=Decimal("0.5"),
        carried={"volume": "0.004"}, debts=[{"kind": "volume"}], shared={"volume": {"charged": "1.00"}},
    )  # fmt: skip
    book.close(leaving, Decimal("100.00"), worth=Decimal("100.00"), units_before=Decimal(100), source=None)
    accruals = (
        leaving.value_days_put_aside, leaving.value_days_checkpoint, leaving.lots_put_aside,
        leaving.lots_checkpoint, leaving.subscription_checkpoint, leaving.subscription_number,
    )  # fmt: skip
    assert not any(accruals)
    assert (leaving.carried, leaving.debts) == ({}, [])
    assert leaving.shared == {"volume": {"charged": "1.00"}}


def test_entry_fee_is_taken_before_units_are_issued() -> None:
    book = UnitBook(account := pamm_account(), point_at(account))
    joining = investment()
    entry = book.issue(joining, Decimal("200.00"), fee=Decimal("3.50"), source=SOURCE)
    assert (entry.units, entry.amount, joining.units) == (
        Decimal("196.5"),
        Decimal("196.50"),
        Decimal("196.5"),
    )
    assert (joining.paid_in, joining.fees_paid) == (Decimal("200.00"), Decimal("3.50"))
    assert book.equity_after == Decimal("1196.50")


# The part of an interval


@pytest.mark.parametrize(("days", "part"), [(-1, 0), (0, 0), (10, Fraction(1, 3)), (30, 1), (44, 1)])
def test_interval_progress_of_dates_is_time_passed_over_its_length(days: int, part: Fraction) -> None:
    assert interval_progress(months(), START + timedelta(days=days), 1) == part


def test_interval_progress_is_exact_to_the_microsecond() -> None:
    progress = interval_progress(months(), START + timedelta(microseconds=1), 1)
    assert progress == Fraction(1, 30 * 86_400_000_000)


@pytest.mark.parametrize(("sequence", "part"), [(5, 0), (6, Fraction(1, 10)), (15, 1), (16, 1)])
def test_interval_progress_of_rollovers_counts_those_that_moved_money(sequence: int, part: Fraction) -> None:
    assert interval_progress(ten_rollovers(), START, sequence) == part


def test_unpaid_part_counts_a_checkpoint_of_the_present_interval_only() -> None:
    held = investment(interval=ten_rollovers(), subscription_checkpoint=Decimal("0.4"), subscription_number=3)
    assert unpaid_interval_part(held, START, 12) == Fraction(3, 10)
    held.subscription_number = 2
    assert unpaid_interval_part(held, START, 12) == Fraction(7, 10)


def test_unpaid_part_right_after_a_checkpoint_that_was_rounded_is_nothing() -> None:
    third = START + timedelta(days=10)
    book = UnitBook(account := pamm_account(), point_at(account, at=third))
    held = investment(interval=months())
    book.restart_accruals(held)
    assert held.subscription_checkpoint < Fraction(1, 3)
    assert unpaid_interval_part(held, third, 1) == 0


def test_unpaid_parts_of_one_interval_sum_to_the_whole() -> None:
    held, parts = investment(interval=months(), subscription_number=3), Fraction(0)
    for hours in (1, 7, 200, 500, 719, 800):
        at = START + timedelta(hours=hours)
        parts += unpaid_interval_part(held, at, 1)
        UnitBook(account := pamm_account(), point_at(account, at=at)).restart_accruals(held)
    assert parts == 1


def test_unpaid_part_without_an_interval_is_nothing() -> None:
    assert unpaid_interval_part(investment(), START, 12) == 0
