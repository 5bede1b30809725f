"""Cells of files that people open in a spreadsheet."""


def harmless(text: str) -> str:
    """A text that a spreadsheet does not take for a formula; a negative number stays one."""
    is_formula = text[:1] in ("=", "+", "-", "@", "\t", "\r")
    return f"'{text}" if is_formula and not _is_number(text) else text


def _is_number(text: str) -> bool:
    return text.lstrip("+-").replace(".", "", 1).isdecimal()
