"""`python -m tools.fonts`: the letters that pages bring along for machines without a font for them.

Into `assets/fonts` go `zh-hans.woff2`, with the Chinese letters of all words, and `language-names.woff2`,
with those by which languages are chosen. Cut out of the font that PDFs are set in (`tools.front_end` fetched
it). Does nothing when words, languages and font are those of the last time.
"""

import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from babel.messages.mofile import read_mo
from django.conf.locale import LANG_INFO
from fontTools import subset

from accounts.web.zones import zones_by_area
from pamm_platform.settings.base import LANGUAGES
from tools.front_end import FONTS as SOURCES
from tools.messages import LOCALES, REPOSITORY

FONTS = REPOSITORY / "assets" / "fonts"
CHINESE = SOURCES / "NotoSansSC_400Regular.ttf"
LIBRARIES = (
    "django.conf",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.humanize",
    "allauth",
    "rest_framework",
)
#: Radicals, punctuation and letters of Chinese, and forms as wide as these.
FIRST, LAST = "\N{CJK RADICAL REPEAT}", "\N{FULLWIDTH WON SIGN}"


def make_fonts() -> None:
    """Bring `assets/fonts` up to date."""
    wanted = {
        "zh-hans.woff2": chinese_letters("".join(words_in("zh_Hans"))),
        "language-names.woff2": chinese_letters("".join(own_names_of_languages())),
    }
    stamp, now = FONTS / ".stamp", _stamp(wanted)
    if stamp.exists() and stamp.read_text() == now:
        return
    FONTS.mkdir(exist_ok=True)
    for name, letters in wanted.items():
        _cut(CHINESE, letters, FONTS / name)
    stamp.write_text(now)


def words_in(locale: str) -> Iterator[str]:
    """Everything that is written in that language, by us or by a library that pages of ours show."""
    yield (LOCALES / locale / "LC_MESSAGES" / "django.po").read_text()
    for library in LIBRARIES:
        found = importlib.util.find_spec(library)
        assert found is not None
        assert found.origin is not None
        path = Path(found.origin).parent / "locale" / locale / "LC_MESSAGES" / "django.mo"
        with path.open("rb") as file:
            yield from (str(message.string) for message in read_mo(file))
    for area in zones_by_area(locale):
        yield from (place for _zone, place in area[1])


def own_names_of_languages() -> Iterator[str]:
    for code, _name in LANGUAGES:
        yield LANG_INFO[code]["name_local"]


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
