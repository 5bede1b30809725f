"""How figures are written."""

from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.template import Context, Template

from pamm_platform.templatetags import figures

USD = SimpleNamespace(currency="USD", currency_digits=2)
JPY = SimpleNamespace(currency="JPY", currency_digits=0)


def _plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u202f", " ").replace("\N{MINUS SIGN}", "-")


@pytest.mark.parametrize(
    ("amount", "of", "written"),
    [
        (Decimal("5000.00000000"), USD, "5,000.00 USD"),
        (Decimal("-0.5"), USD, "-0.50 USD"),
        (Decimal("1234567"), JPY, "1,234,567 JPY"),
        (0, USD, "0.00 USD"),
        (None, USD, "–"),
    ],
)
def test_money_has_the_digits_of_its_currency(
    amount: Decimal | None, of: SimpleNamespace, written: str
) -> None:
    assert _plain(figures.money(amount, of)) == written


def test_gain_and_loss_have_a_sign_and_zero_has_none() -> None:
    assert _plain(figures.signed_money(Decimal(12), USD)) == "+12.00 USD"
    assert _plain(figures.signed_money(Decimal(-12), USD)) == "-12.00 USD"
    assert _plain(figures.signed_money(Decimal(0), USD)) == "0.00 USD"
    assert _plain(figures.signed_percent(Decimal("0.1234"))) == "+12.34 %"
    assert _plain(figures.signed_percent(Decimal("-0.000001"))) == "0.00 %"


def test_figures_are_rounded_and_not_cut() -> None:
    assert _plain(figures.whole_money(Decimal("158338.90"), USD)) == "158,339 USD"
    assert figures.units(Decimal("1.23456789"), 4) == "1.2346"
    assert _plain(figures.percent(Decimal("0.12345"), 1)) == "12.3 %"


def test_millions_are_told_as_millions_on_cards() -> None:
    assert _plain(figures.compact_money(Decimal(13086776), JPY)) == "13.1 M JPY"
    assert _plain(figures.compact_money(Decimal("999999"), JPY)) == "999,999 JPY"


def test_percent_leaves_zeros_out_and_a_range_names_both_ends() -> None:
    assert _plain(figures.percent(Decimal("0.20"))) == "20 %"
    assert _plain(figures.percent(Decimal("0.125"))) == "12.5 %"
    assert _plain(figures.rate_range((Decimal("0"), Decimal("0.5")))) == "0–50 %"
    assert _plain(figures.rate_range((Decimal("0.2"), Decimal("0.2")))) == "20 %"


def test_plain_amount_fits_an_input() -> None:
    assert figures.plain_amount(Decimal("5000.00000000"), USD) == "5000.00"


def test_gain_is_told_by_sign_symbol_and_class_together() -> None:
    page = Template('{% include "components/money.html" with amount=amount of=of signed=True %}')
    gain = page.render(Context({"amount": Decimal(3), "of": USD}))
    loss = page.render(Context({"amount": Decimal(-3), "of": USD}))
    assert all(sign in gain for sign in ("figure gain", "▲", "+3.00"))
    assert all(sign in loss for sign in ("figure loss", "▼", "\N{MINUS SIGN}3.00"))


def test_sparkline_needs_two_values_and_no_inline_style() -> None:
    page = Template("{% load figures %}{% sparkline values 'Price' %}")
    drawn = page.render(Context({"values": ["1.0", "1.5", "1.2"]}))
    assert "<polyline" in drawn
    assert "sparkline gain" in drawn
    assert "style=" not in drawn
    assert "<svg" not in page.render(Context({"values": ["1.0"]}))
