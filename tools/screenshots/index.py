"""The page that shows all pictures: a table a section, a row a page."""

from collections.abc import Sequence
from html import escape
from itertools import groupby
from pathlib import Path

from tools.screenshots.camera import LOOKS, Shown

TEMPLATE = """\
# Screenshots

Written by `make screenshots` from the data of the demo; do not edit by hand. Each page as a computer (1440
pixels wide) and a phone (390) show it, light and dark. Click for the full size; what is longer than {tallest}
pixels is cut off.

{contents}

{sections}"""
THUMBNAIL = {"1440": 260, "390": 110}


def write_index(folder: Path, shown: Sequence[Shown], tallest: int) -> None:
    sections = [(name, list(pages)) for name, pages in groupby(shown, key=lambda page: page.section)]
    contents = "\n".join(f"* [{name}](#{_anchor(name)}), {len(pages)} pages" for name, pages in sections)
    text = "\n".join(_section(name, pages) for name, pages in sections)
    (folder / "README.md").write_text(TEMPLATE.format(tallest=tallest, contents=contents, sections=text))


def _section(name: str, pages: Sequence[Shown]) -> str:
    head = "| page | " + " | ".join(f"{look.width} {look.theme}" for look in LOOKS) + " |"
    lines = [f"## {name}", "", head, "|---" * (len(LOOKS) + 1) + "|"]
    return "\n".join([*lines, *map(_row, pages), ""])


def _row(page: Shown) -> str:
    cells = []
    for look in LOOKS:
        file = f"{page.name}.{look.ending}"
        picture = f'<img src="{file}" width="{THUMBNAIL[look.width]}" alt="" loading="lazy">'
        cells.append(f'<a href="{file}" title="{look.width} {look.theme}">{picture}</a>')
    title = escape(page.title).replace("|", "&#124;")
    return f"| **{title}** | " + " | ".join(cells) + " |"


def _anchor(name: str) -> str:
    return name.lower().replace(" ", "-")
