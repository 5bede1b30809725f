"""The rules of pool accounting, one test and more for each, and the properties they promise together."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from allocation.calc.price import Price, ReturnUndefined, price_of, time_weighted_return
from allocation.calc.units import (
    PoolCondition,
    PriceIsZero,
    first_units_allowed,
    last_units_may_leave,
    pool_condition,
    pool_equity,
    residual,
    rounding_exchange,
    units_for_deposit,
    units_for_redemption,
    value,
    values,
)
from fees.calc.schedule import Schedule
from money.exact import decimal_of, exact_sum
from tests.calc.pool import Pool

CENT = Decimal("0.01")

cents = st.integers(1, 10**11).map(lambda scaled: decimal_of(scaled, 2))
unit_amounts = st.integers(1, 10**22).map(lambda scaled: decimal_of(scaled, 12))
prices = st.builds(Price, cents, unit_amounts)
rates = st.integers(0, 100).map(lambda percent: decimal_of(percent, 2))


# Equity and price


def test_pool_equity_money_owed_and_credit_are_out_money_on_its_way_is_in() -> None:
    equity = pool_equity(
        equity=Decimal("1000.00"), credit=Decimal("100.00"), owed=Decimal("30.05"), incoming=Decimal("200.00")
    )
    assert equity == Decimal("1069.95")


def test_pool_equity_payout_leaves_the_server_before_and_after_is_the_same() -> None:
    before = pool_equity(equity=Decimal(500), credit=Decimal(0), owed=Decimal(80), incoming=Decimal(0))
    after = pool_equity(equity=Decimal(420), credit=Decimal(0), owed=Decimal(0), incoming=Decimal(0))
    assert before == after


def test_price_is_the_exact_ratio_and_not_its_rounded_copy() -> None:
    price = price_of(Decimal(1), Decimal(3))
    assert price.ratio == Fraction(1, 3)
    assert price.rounded() == Decimal("0.333333333333")
    assert price > Price(price.rounded(), Decimal(1))
    assert price == Price(Decimal(2), Decimal(6))
    assert hash(price) == hash(Price(Decimal(2), Decimal(6)))


def test_price_is_ordered_by_its_ratio_and_not_by_its_terms() -> None:
    lower, same, higher = (
        Price(Decimal(9), Decimal(10)),
        Price(Decimal(90), Decimal(100)),
        Price(Decimal(1), Decimal(1)),
    )
    assert lower < higher
    assert higher > lower
    assert lower <= same
    assert lower >= same
    assert not lower < same
    assert not lower > same
    assert not higher <= lower
    assert not lower >= higher
    assert max(higher, lower, same) is higher


def test_price_first_units_of_a_series_is_one() -> None:
    assert price_of(Decimal(0), Decimal(0)) == Price.INITIAL
    assert units_for_deposit(Decimal("5000.00"), Price.INITIAL) == Decimal(5000)


def test_price_all_units_redeemed_last_price_goes_on() -> None:
    last = Price(Decimal(11), Decimal(10))
    assert price_of(Decimal(0), Decimal(0), last) == last


def test_price_equity_below_zero_is_never_below_zero() -> None:
    price = price_of(Decimal("-12.34"), Decimal(10))
    assert price.is_zero
    assert value(Decimal(10), price, 2) == 0


@pytest.mark.parametrize(("equity", "units"), [("-1", "1"), ("1", "0"), ("1", "-1"), ("NaN", "1")])
def test_price_impossible_terms_are_refused(equity: str, units: str) -> None:
    with pytest.raises((ValueError, ArithmeticError)):
        Price(Decimal(equity), Decimal(units))


# Values and units


@given(prices, unit_amounts)
def test_value_is_equity_times_units_over_units_to_the_nearest_cent(price: Price, units: Decimal) -> None:
    exact = Fraction(price.equity) * Fraction(units) / Fraction(price.units)
    assert value(units, price, 2) == decimal_of(round(exact * 100), 2)


def test_value_exact_tie_goes_to_the_even_cent() -> None:
    assert value(Decimal("0.125"), Price.INITIAL, 2) == Decimal("0.12")
    assert value(Decimal("0.135"), Price.INITIAL, 2) == Decimal("0.14")


@given(st.lists(unit_amounts, max_size=30), prices, st.sampled_from([0, 2, 8]))
def test_values_in_bulk_equal_the_plain_form(units: list[Decimal], price: Price, digits: int) -> None:
    assert values(units, price, digits) == [value(held, price, digits) for held in units]


def test_values_in_bulk_ties_and_zero_equal_the_plain_form() -> None:
    units = [Decimal(0), Decimal("0.125"), Decimal("0.135"), Decimal("0.125000000001")]
    assert values(units, Price.INITIAL, 2) == [Decimal(text) for text in ("0.00", "0.12", "0.14", "0.13")]


def test_units_for_deposit_rounds_half_even_at_twelve_places() -> None:
    assert units_for_deposit(Decimal(100), Price(Decimal(3), Decimal(1))) == Decimal("33.333333333333")


def test_units_for_redemption_never_more_than_there_are() -> None:
    held = Decimal("33.333333333333")
    assert units_for_redemption(Decimal(200), Price(Decimal(3), Decimal(1)), held) == held
    assert units_for_redemption(Decimal(3), Price(Decimal(3), Decimal(1)), held) == 1


def test_units_price_of_zero_buys_and_pays_nothing() -> None:
    nothing = Price(Decimal(0), Decimal(5))
    with pytest.raises(PriceIsZero):
        units_for_deposit(Decimal(1), nothing)
    with pytest.raises(PriceIsZero):
        units_for_redemption(Decimal(1), nothing, Decimal(5))


@given(st.lists(unit_amounts, min_size=1, max_size=30), cents)
def test_residual_is_at_most_half_a_cent_per_investment(units: list[Decimal], equity: Decimal) -> None:
    price = price_of(equity, exact_sum(units))
    assert abs(residual(equity, values(units, price, 2))) <= CENT / 2 * len(units)


# Conditions


@pytest.mark.parametrize(
    ("equity", "units", "positions", "condition"),
    [
        ("0", "0", False, PoolCondition.EMPTY),
        ("0.01", "5", True, PoolCondition.SOUND),
        ("0", "5", True, PoolCondition.UNDER_WATER),
        ("-3", "5", True, PoolCondition.UNDER_WATER),
        ("0", "5", False, PoolCondition.WIPED_OUT),
        ("-3", "5", False, PoolCondition.WIPED_OUT),
    ],
)
def test_pool_condition_under_water_with_positions_wiped_out_without(
    equity: str, units: str, positions: bool, condition: PoolCondition
) -> None:
    assert pool_condition(Decimal(equity), Decimal(units), positions) is condition


def test_first_units_only_into_an_account_that_holds_nothing() -> None:
    assert first_units_allowed(Decimal("0.00"))
    assert not first_units_allowed(CENT)
    assert not first_units_allowed(-CENT)


def test_last_units_leave_only_with_no_position_open() -> None:
    assert last_units_may_leave(has_open_positions=False)
    assert not last_units_may_leave(has_open_positions=True)


# Rounding exchange


def test_rounding_exchange_pool_paid_too_much_receives_whole_cents_and_carries_the_fraction() -> None:
    exchange = rounding_exchange(
        carried=Decimal("0.004"),
        paid=Decimal("10.01"),
        units=Decimal(10),
        price=Price(Decimal("1.0003"), Decimal(1)),
        digits=2,
    )
    assert (exchange.amount, exchange.carried) == (Decimal("0.01"), Decimal("0.001"))


def test_rounding_exchange_pool_paid_too_little_pays() -> None:
    exchange = rounding_exchange(
        carried=Decimal("-0.004"),
        paid=Decimal("10.00"),
        units=Decimal(10),
        price=Price(Decimal("1.0004"), Decimal(1)),
        digits=2,
    )
    assert (exchange.amount, exchange.carried) == (Decimal("-0.01"), Decimal("0.002"))


@given(
    st.lists(st.tuples(cents, st.integers(-9999, 9999), st.booleans()), min_size=1, max_size=12),
    st.data(),
)
def test_rounding_exchange_pool_everybody_left_holds_exactly_zero(
    joiners: list[tuple[Decimal, int, bool]], data: st.DataObject
) -> None:
    pool = Pool()
    for number, (amount, per_myriad, _) in enumerate(joiners):
        pool.deposit(str(number), amount, Schedule.flat(Decimal("0.2")))
        _trade_by(pool, per_myriad)
        assume(pool.equity > 0)
        if joiners[number][2]:
            pool.end_interval(str(number))
    for name in data.draw(st.permutations(list(pool.holdings))):
        if data.draw(st.booleans()):
            _trade_by(pool, data.draw(st.integers(-999, 999)))
            assume(pool.equity > 0)
        pool.close(name)
    assert pool.equity == 0
    assert abs(pool.carried) <= CENT / 2


@given(st.lists(cents, min_size=2, max_size=8), st.integers(-9999, 9999))
def test_rounding_exchange_one_by_one_equals_their_sums(amounts: list[Decimal], per_myriad: int) -> None:
    pool = Pool()
    for number, amount in enumerate(amounts):
        pool.deposit(str(number), amount)
    _trade_by(pool, per_myriad)
    assume(pool.equity > 0)
    closing_units = [pool.holdings[str(number)].units for number in range(len(amounts) - 1)]
    paid = [value(units, pool.price, 2) for units in closing_units]

    together = rounding_exchange(
        carried=Decimal(0), paid=exact_sum(paid), units=exact_sum(closing_units), price=pool.price, digits=2
    )
    received, carried = Decimal(0), Decimal(0)
    for units, amount in zip(closing_units, paid, strict=True):
        one = rounding_exchange(carried=carried, paid=amount, units=units, price=pool.price, digits=2)
        received, carried = received + one.amount, one.carried

    assert received == together.amount
    assert abs(carried - together.carried) <= Decimal("1e-22")


# Properties of flows


@given(st.lists(cents, min_size=2, max_size=10), st.integers(-9000, 30000))
def test_pool_parts_sum_to_the_whole_but_for_the_residual(amounts: list[Decimal], per_myriad: int) -> None:
    pool = Pool()
    for number, amount in enumerate(amounts):
        pool.deposit(str(number), amount)
    _trade_by(pool, per_myriad)
    exact_parts = [pool.price.ratio * Fraction(holding.units) for holding in pool.holdings.values()]
    assert sum(exact_parts) == Fraction(pool.equity)
    assert exact_sum(pool.values().values()) + residual(pool.equity, pool.values().values()) == pool.equity


@given(
    st.lists(cents, min_size=3, max_size=8),
    st.integers(-9000, 30000),
    cents,
    rates,
    st.sampled_from(["deposit", "withdraw", "fee", "close"]),
)
def test_flow_of_one_changes_the_value_of_the_others_by_rounding_only(
    amounts: list[Decimal], per_myriad: int, moved: Decimal, rate: Decimal, flow: str
) -> None:
    pool = Pool()
    for number, amount in enumerate(amounts):
        pool.deposit(str(number), amount, Schedule.flat(rate))
    _trade_by(pool, per_myriad)
    assume(pool.equity > 0)
    shares = {name: holding.units for name, holding in pool.holdings.items() if name != "0"}
    before = {name: pool.price.ratio * Fraction(units) for name, units in shares.items()}

    if flow == "deposit":
        pool.deposit("0", moved)
    elif flow == "withdraw":
        assume(moved < pool.value("0") * (1 - rate) - 1)
        pool.withdraw("0", moved)
    elif flow == "fee":
        pool.end_interval("0")
    else:
        pool.close("0")

    after = price_of(pool.equity, pool.units, pool.price)
    # The last place of the mover's units and what a close still carries: under a cent for all together.
    change = sum(
        (after.ratio * Fraction(units) - before[name] for name, units in shares.items()), Fraction(0)
    )
    allowed = pool.price.ratio / 10**12 + (Fraction(CENT) / 2 if flow == "close" else 0)
    assert abs(change) <= allowed


@given(
    st.lists(st.tuples(st.integers(-5000, 9000), st.integers(-900, 900)), min_size=1, max_size=12),
)
def test_time_weighted_return_is_independent_of_flows(steps: list[tuple[int, int]]) -> None:
    quiet, busy = Pool(digits=8), Pool(digits=8)
    for pool in (quiet, busy):
        pool.deposit("investor", Decimal(10**6))
    for per_myriad, flow in steps:
        for pool in (quiet, busy):
            _trade_by(pool, per_myriad)
        if flow > 0:
            busy.deposit("investor", Decimal(flow))
        elif flow < 0 and busy.value("investor") + flow > 1000:
            busy.withdraw("investor", Decimal(-flow))
    assume(quiet.equity > 10**4)
    ours = time_weighted_return(Price.INITIAL, busy.price)
    assert abs(ours - time_weighted_return(Price.INITIAL, quiet.price)) <= Decimal("3e-9")


def test_time_weighted_return_from_a_price_of_zero_is_refused() -> None:
    with pytest.raises(ReturnUndefined):
        time_weighted_return(Price(Decimal(0), Decimal(1)), Price.INITIAL)


def test_time_weighted_return_to_a_price_of_zero_loses_everything() -> None:
    assert time_weighted_return(Price.INITIAL, Price(Decimal(0), Decimal(1))) == -1


def _trade_by(pool: Pool, per_myriad: int) -> None:
    change = Fraction(pool.equity) * per_myriad / 10_000
    pool.trade(decimal_of(round(change * 10**pool.digits), pool.digits))
