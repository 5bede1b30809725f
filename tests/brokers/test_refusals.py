"""How refusals are worded: amounts as people write them."""

from decimal import Decimal

import pytest

from brokers.errors import Refusal


class TooMuch(Refusal):
    code = "too_much"
    message = "At most {largest} {currency}."


@pytest.mark.parametrize(
    ("stored", "written"),
    [
        ("450.00000000", "450"),
        ("1450.50000000", "1,450.50"),
        ("0.12345678", "0.12345678"),
        ("0", "0"),
        ("1E+3", "1,000"),
        ("0.01", "0.01"),
    ],
)
def test_refusal_writes_amounts_without_places_that_say_nothing(stored: str, written: str) -> None:
    assert str(TooMuch(largest=Decimal(stored), currency="USD")) == f"At most {written} USD."
