"""The price of a stop: worth the amount it was set at, reached exactly, found by its key."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from allocation.calc.price import Price
from allocation.calc.stops import LARGEST_KEY, is_reached, price_key, stop_amount, stop_price

AMOUNTS = st.decimals("0.01", "1000000000", places=2)
UNITS = st.decimals("0.000000000001", "1000000000", places=12)
EQUITIES = st.decimals("0", "1000000000", places=2)


@given(AMOUNTS, UNITS, st.booleans())
def test_stop_is_worth_its_amount_and_a_value_of_exactly_that_reaches_it(
    amount: Decimal, units: Decimal, is_loss: bool
) -> None:
    price = stop_price(amount, units, is_loss=is_loss)
    assert stop_amount(price, units, 2) == amount
    assert is_reached(price, Price(amount, units), is_loss=is_loss)
    off = abs(Fraction(price) - Fraction(amount) / Fraction(units))
    assert off < Fraction(1, 10**24)


@given(AMOUNTS, UNITS, EQUITIES, UNITS, st.booleans())
def test_key_never_hides_a_stop_that_is_reached(
    amount: Decimal, units: Decimal, equity: Decimal, outstanding: Decimal, is_loss: bool
) -> None:
    stop, price = stop_price(amount, units, is_loss=is_loss), Price(equity, outstanding)
    key = price_key(Price(stop, Decimal(1)))
    if is_reached(stop, price, is_loss=is_loss):
        assert key >= price_key(price) if is_loss else key <= price_key(price)


def test_a_price_just_beside_the_stop_does_not_reach_it() -> None:
    third = stop_price(Decimal(100), Decimal(300), is_loss=True)
    assert third == Decimal("0.333333333333333333333334")
    assert is_reached(third, Price(Decimal(1), Decimal(3)), is_loss=True)
    assert not is_reached(third, Price(Decimal("0.3333333333334"), Decimal(1)), is_loss=True)
    assert not is_reached(Decimal("0.33333334"), Price(Decimal(1), Decimal(3)), is_loss=False)


def test_keys_of_huge_prices_fit_into_the_database() -> None:
    assert price_key(Price(Decimal(10**9), Decimal("0.000000000001"))) == LARGEST_KEY < 2**63
