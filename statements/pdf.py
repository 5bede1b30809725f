"""PDF files of documents, by typst with fonts of our own: the same bytes of text on every machine.

Fonts are embedded, only the glyphs that occur; Latin from Inter, Chinese from Noto Sans SC.
"""

import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import typst

from statements.document import Document

LAYOUT = Path(__file__).with_name("statement.typ")
FONTS = Path(__file__).with_name("fonts")
FAMILIES = ("Inter", "Noto Sans SC")


class FontsMissing(RuntimeError):
    """The fonts of PDF files are not installed: `python -m tools.front_end` puts them there."""


def pdf_of(document: Document) -> bytes:
    """Raises `FontsMissing`; `typst.TypstError` where the layout itself is wrong."""
    texts = asdict(document)
    logo = texts.pop("logo")
    # Nothing but what is in this folder is within the layout's reach.
    with TemporaryDirectory(prefix="statement-") as root:
        folder = Path(root)
        layout = folder / LAYOUT.name
        layout.write_bytes(LAYOUT.read_bytes())
        (folder / "document.json").write_text(json.dumps(texts | {"has_logo": bool(logo)}))
        (folder / "logo.png").write_bytes(logo)
        made = typst.Compiler(root=root, font_paths=_fonts()).compile(str(layout), format="pdf")
    assert isinstance(made, bytes)
    return made


@cache
def _fonts() -> typst.Fonts:
    """Read once by each process; none of the machine's own, so that a file looks alike everywhere."""
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(FONTS)])
    if not set(FAMILIES) <= set(fonts.families()):
        raise FontsMissing(f"{', '.join(FAMILIES)} in {FONTS}")
    return fonts
