"""`python -m tools.fonts`: the letters that pages bring along for machines without a font for them.

Into `assets/fonts` go `zh-hans.woff2`, with the Chinese letters of our own words, and `language-names.woff2`, with
those by which languages are chosen. Cut out of the font that PDFs are set in (`tools.front_end` fetched it).
Does nothing when words, languages and font are those of the last time.
"""

import hashlib
from pathlib import Path

from django.conf.locale import LANG_INFO
from fontTools import subset

from pamm_platform.settings.base import LANGUAGES
from tools.front_end import FONTS as SOURCES
from tools.messages import LOCALES, REPOSITORY

FONTS = REPOSITORY / "assets" / "fonts"
CHINESE = SOURCES / "NotoSansSC_400Regular.ttf"
#: Radicals, punctuation and letters of Chinese, and forms as wide as these.
FIRST, LAST = "\N{CJK RADICAL REPEAT}", "\N{FULLWIDTH WON SIGN}"


def make_fonts() -> None:
    """Bring `assets/fonts` up to date."""
    wanted = {
        "zh-hans.woff2": chinese_letters((LOCALES / "zh_Hans" / "LC_MESSAGES" / "django.po").read_text()),
        "language-names.woff2": chinese_letters(
            "".join(LANG_INFO[code]["name_local"] for code, _ in LANGUAGES)
        ),
    }
    stamp, now = FONTS / ".stamp", _stamp(wanted)
    if stamp.exists() and stamp.read_text() == now:
        return
    FONTS.mkdir(exist_ok=True)
    for name, letters in wanted.items():
        _cut(CHINESE, letters, FONTS / name)
    stamp.write_text(now)


def chinese_letters(text: str) -> str:
    """Each once, in their order in Unicode."""
    return "".join(sorted({letter for letter in text if FIRST <= letter <= LAST}))


def _cut(source: Path, letters: str, target: Path) -> None:
    options = subset.Options(flavor="woff2", hinting=False, layout_features=[], notdef_outline=True)
    font = subset.load_font(source, options)
    cutter = subset.Subsetter(options)
    cutter.populate(text=letters)
    cutter.subset(font)
    subset.save_font(font, target, options)


def _stamp(wanted: dict[str, str]) -> str:
    digest = hashlib.sha256(repr(sorted(wanted.items())).encode())
    digest.update(Path(__file__).read_bytes())
    digest.update(str(CHINESE.stat().st_size).encode())
    return digest.hexdigest()


if __name__ == "__main__":
    make_fonts()
