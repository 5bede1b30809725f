"""Shades of a brand: whatever the colour, what is written in it can be read."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.palette import (
    BLACK,
    DARK_SURFACES,
    INK,
    LIGHT_SURFACES,
    TEXT_CONTRAST,
    TINT,
    WHITE,
    contrast,
    is_colour,
    mixed,
    palette,
)
from tests.databases import REPOSITORY

colours = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    # The first two by definition, the others as WebAIM's checker has them.
    [
        ("#000000", "#ffffff", 21),
        ("#123456", "#123456", 1),
        ("#777777", "#ffffff", 4.48),
        ("#1f5fbf", "#ffffff", 6.1),
    ],
)
def test_contrast_is_that_of_wcag(one: str, other: str, ratio: float) -> None:
    assert contrast(one, other) == pytest.approx(ratio, abs=0.01)
    assert contrast(one, other) == contrast(other, one)


@given(colours)
def test_every_shade_of_any_colour_can_be_read_where_it_stands(colour: str) -> None:
    made = palette(colour)
    assert contrast(made.on_fill, made.fill) >= TEXT_CONTRAST
    assert contrast(made.on_fill, made.hover) >= TEXT_CONTRAST
    assert contrast(made.solid, WHITE) >= TEXT_CONTRAST
    for surface in (*LIGHT_SURFACES, mixed(WHITE, colour, TINT)):
        assert contrast(made.ink_on_light, surface) >= TEXT_CONTRAST
    for surface in (*DARK_SURFACES, mixed(DARK_SURFACES[0], colour, TINT)):
        assert contrast(made.ink_on_dark, surface) >= TEXT_CONTRAST


@given(colours)
def test_brand_itself_is_never_changed(colour: str) -> None:
    assert palette(colour).fill == colour


def test_colour_that_can_be_read_is_its_own_ink() -> None:
    assert palette("#0f4c81").ink_on_light == "#0f4c81"
    assert palette("#9cc7ff").ink_on_dark == "#9cc7ff"
    assert palette("#ffd400").on_fill == INK
    assert palette("#7a7a7a").on_fill == BLACK


@pytest.mark.parametrize(
    "text", ["", "red", "#fff", "#12345g", "#1234567", "#ABCDEF", "#123456;}", "#123456\n"]
)
def test_nothing_else_is_a_colour(text: str) -> None:
    assert not is_colour(text)
    with pytest.raises(ValueError, match="not a colour"):
        palette(text)


def test_surfaces_are_those_of_the_style_sheet() -> None:
    sheet = (REPOSITORY / "assets" / "css" / "cabinet.css").read_text()
    light, dark = (
        re.search(r":root \{(.*?)\}", sheet, re.S),
        re.search(r'\[data-bs-theme="dark"\] \{(.*?)\}', sheet, re.S),
    )
    assert light is not None
    assert dark is not None
    for rules, surfaces in ((light[1], LIGHT_SURFACES), (dark[1], DARK_SURFACES)):
        named = re.findall(r"--(?:page|surface[a-z-]*|[a-z]+-soft): (#[0-9a-f]{6});", rules)
        assert set(named) == set(surfaces)
