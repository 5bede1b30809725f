"""A broker's colour, and what can be read on it."""

import re

DEFAULT_COLOUR = "#1f5fbf"
DARK_INK, LIGHT_INK = "#101828", "#ffffff"
_HEX = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")


def mail_colours(colour: str) -> dict[str, str]:
    """What mails are coloured with, where there are no style sheets."""
    return {"colour": plain_colour(colour), "ink": ink_on(colour)}


def plain_colour(colour: str) -> str:
    """The colour where it is a plain one, else the platform's: it is written into styles."""
    return colour if _HEX.fullmatch(colour) else DEFAULT_COLOUR


def ink_on(colour: str) -> str:
    """Text on the colour: dark on a light one, white on a dark one (relative luminance, ITU-R BT.709)."""
    match = _HEX.fullmatch(plain_colour(colour))
    assert match is not None
    red, green, blue = (int(part, 16) for part in match.groups())
    return DARK_INK if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 160 else LIGHT_INK
