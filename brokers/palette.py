"""The shades of a broker's colour that can be read: one colour in, a whole palette out.

Contrast is that of WCAG 2.2 (relative luminance of sRGB). A shade keeps the hue of the brand and moves
towards black or white only as far as it must: every colour a broker may like is usable, none is refused.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

#: What text and marks need beside the colour behind them (AA).
TEXT_CONTRAST = 4.5

WHITE, BLACK, INK = "#ffffff", "#000000", "#101828"
#: Surfaces of `assets/css/cabinet.css` that text in the brand's colour stands on.
LIGHT_SURFACES = ("#ffffff", "#f5f7fa", "#f0f3f7", "#e3f5ec", "#fdeaea", "#fff4dd")
DARK_SURFACES = ("#131926", "#0b0f17", "#1a2232", "#0f141f", "#10291f", "#311a1f", "#2c2413")
#: How much of the brand tints a surface at most, under text in its ink.
TINT = 0.15
_STEPS = 100
_COLOUR = re.compile(r"#[0-9a-f]{6}")


@dataclass(frozen=True, slots=True)
class Palette:
    """`fill` is the brand's own colour, `on_fill` the text on it, `hover` the fill under a pointer.

    `ink_on_light` and `ink_on_dark` are for text, lines and marks on the pages' surfaces; `solid` carries
    white marks.
    """

    fill: str
    on_fill: str
    hover: str
    ink_on_light: str
    ink_on_dark: str
    solid: str


def is_colour(text: str) -> bool:
    """Whether it is written as `#1f5fbf`."""
    return _COLOUR.fullmatch(text) is not None


def palette(colour: str) -> Palette:
    """Raises ValueError for anything but a colour as `is_colour` wants it."""
    if not is_colour(colour):
        raise ValueError(f"not a colour: {colour!r}")
    on_fill = next((text for text in (WHITE, INK) if contrast(text, colour) >= TEXT_CONTRAST), BLACK)
    away = BLACK if on_fill == WHITE else WHITE
    return Palette(
        fill=colour,
        on_fill=on_fill,
        hover=mixed(colour, away, 0.12),
        ink_on_light=readable(colour, on=(*LIGHT_SURFACES, mixed(WHITE, colour, TINT)), towards=BLACK),
        ink_on_dark=readable(
            colour, on=(*DARK_SURFACES, mixed(DARK_SURFACES[0], colour, TINT)), towards=WHITE
        ),
        solid=readable(colour, on=(WHITE,), towards=BLACK),
    )


def readable(colour: str, *, on: Iterable[str], towards: str) -> str:
    """The first shade on the way from `colour` to `towards` with enough contrast to all colours of `on`."""
    backgrounds = tuple(on)
    for step in range(_STEPS + 1):
        shade = mixed(colour, towards, step / _STEPS)
        if all(contrast(shade, background) >= TEXT_CONTRAST for background in backgrounds):
            return shade
    raise ValueError(f"{towards} cannot be read on {backgrounds}")


def contrast(one: str, other: str) -> float:
    """From 1 (the same) to 21 (black and white)."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def mixed(colour: str, other: str, part: float) -> str:
    """`colour` with `part` (0 to 1) of the other."""
    pairs = zip(_channels(colour), _channels(other), strict=True)
    return "#" + "".join(f"{round(own * (1 - part) + theirs * part):02x}" for own, theirs in pairs)


def channels(colour: str) -> str:
    """`31,95,191`, as style sheets take it."""
    return ",".join(str(channel) for channel in _channels(colour))


def _channels(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return red, green, blue


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(channel / 255) for channel in _channels(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else float(((channel + 0.055) / 1.055) ** 2.4)
