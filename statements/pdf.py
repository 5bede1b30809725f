"""PDF files of documents, by typst with fonts of our own: the same bytes of text on every machine.

Fonts are embedded, only the glyphs that occur; Latin from Inter, Chinese from Noto Sans SC.
"""

import json
from dataclasses import asdict
from functools import cache
from pathlib import Path

import typst

from statements.document import Document

LAYOUT = Path(__file__).with_name("statement.typ")
FONTS = Path(__file__).with_name("fonts")
FAMILIES = ("Inter", "Noto Sans SC")


class FontsMissing(RuntimeError):
    """The fonts of PDF files are not installed: `python -m tools.front_end` puts them there."""


def pdf_of(document: Document) -> bytes:
    """Raises `FontsMissing`; `typst.TypstError` where the layout itself is wrong."""
    made = typst.Compiler(root=str(LAYOUT.parent), font_paths=_fonts()).compile(
        str(LAYOUT), format="pdf", sys_inputs={"document": json.dumps(asdict(document))}
    )
    assert isinstance(made, bytes)
    return made


@cache
def _fonts() -> typst.Fonts:
    """Read once by each process; none of the machine's own, so that a file looks alike everywhere."""
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(FONTS)])
    if not set(FAMILIES) <= set(fonts.families()):
        raise FontsMissing(f"{', '.join(FAMILIES)} in {FONTS}")
    return fonts
