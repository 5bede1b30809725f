"""`python -m tools.messages extract|compile|check`: the words of pages, e-mails and files in other languages.

The catalogues are `pamm_platform/locale/<language>/LC_MESSAGES/django.po`. `extract` brings them up to date
with the code, `compile` writes what Django reads, `check` says what is missing or does not fit. All of it is
done by Babel and by Django's own reading of templates: GNU gettext is not needed.
"""

import argparse
import io
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import django
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

from pamm_platform import row_names

REPOSITORY = Path(__file__).resolve().parent.parent
LOCALES = REPOSITORY / "pamm_platform" / "locale"
#: Folders without words for people.
ELSEWHERE = {"tests", "tools", "node_modules"}
TEMPLATES = {".html", ".txt"}
KEYWORDS = {
    **DEFAULT_KEYWORDS,
    # What modules call `gettext` beside a lazy `_`.
    "_now": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext_lazy": (1, 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext_lazy": ((1, "c"), 2, 3),
}
# No dates and no places in the code: a change of the file is then a change of words.
HEADER = """# Words of pages, e-mails and files. `python -m tools.messages extract` brings them up to date.
msgid ""
msgstr ""
"Language: {language}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals={forms}; plural={rule};\\n"

"""
#: Context of what stands between the parts of a list: with a blank in some languages only.
LIST = "between parts of a list"
#: What must be in a translation as it is in the original.
KEPT = re.compile(r"%\(\w+\)[sd]|%%|%[sd]|\{[\w.!:]*\}|</?[a-z][^>]*>|&\w+;")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.messages", description=__doc__)
    parser.add_argument("what", choices=("extract", "compile", "check"))
    what = parser.parse_args(arguments).what
    if what == "extract":
        bring_up_to_date()
    elif what == "compile":
        compile_catalogues()
    else:
        faults = list(faults_of_catalogues())
        print("\n".join(faults))
        return 1 if faults else 0
    return 0


def bring_up_to_date(locales: Path = LOCALES) -> None:
    """New messages come in without a translation, those no longer in the code go."""
    found = messages_of_code()
    for path in catalogues(locales):
        catalogue = _read(path)
        catalogue.update(found, no_fuzzy_matching=True)
        path.write_text(written(catalogue))


def compile_catalogues(locales: Path = LOCALES) -> None:
    """Write the `.mo` beside every `.po` that is newer; whoever reads one meanwhile reads the old one."""
    for path in catalogues(locales):
        compiled = path.with_suffix(".mo")
        if compiled.exists() and compiled.stat().st_mtime_ns >= path.stat().st_mtime_ns:
            continue
        buffer = io.BytesIO()
        write_mo(buffer, _read(path))
        beside = compiled.with_suffix(f".{os.getpid()}")
        beside.write_bytes(buffer.getvalue())
        beside.replace(compiled)


def faults_of_catalogues(locales: Path = LOCALES) -> Iterator[str]:
    """One line for each message that is missing, left over, not translated or not of its original's form."""
    wanted = {_key(message): message for message in messages_of_code() if message.id}
    for path in catalogues(locales):
        language = path.parent.parent.name
        catalogue = _read(path)
        had = {_key(message): message for message in catalogue if message.id}
        for key in wanted.keys() - had.keys():
            yield f"{language}: missing, run `python -m tools.messages extract`: {key!r}"
        for key in had.keys() - wanted.keys():
            yield f"{language}: no longer in the code, run `python -m tools.messages extract`: {key!r}"
        for key in sorted(wanted.keys() & had.keys(), key=str):
            for fault in _faults(had[key], catalogue.num_plurals):
                yield f"{language}: {fault}: {key!r}"


def messages_of_code() -> Catalog:
    """Everything that is marked for translation in modules and templates, and what is named by Django."""
    catalogue = Catalog(charset="utf-8")
    for path in _sources():
        text = path.read_text()
        if path.suffix in TEMPLATES:
            # One expression: lines of a template may begin anywhere.
            text = f"({templatize(text, origin=str(path))}\n)"
        source = io.BytesIO(text.encode())
        for _line, message, comments, context in extract("python", source, KEYWORDS, ("Translators",)):
            catalogue.add(message, auto_comments=comments, context=context)
    for name in _names_in_the_back_office():
        catalogue.add(name, context=row_names.CONTEXT)
    return catalogue


def catalogues(locales: Path = LOCALES) -> list[Path]:
    return sorted(locales.glob("*/LC_MESSAGES/django.po"))


def written(catalogue: Catalog) -> str:
    """The file of a catalogue: sorted, without places."""
    buffer = io.BytesIO()
    write_po(
        buffer,
        catalogue,
        width=110,
        no_location=True,
        omit_header=True,
        sort_output=True,
        ignore_obsolete=True,
    )
    header = HEADER.format(
        language=catalogue.locale_identifier, forms=catalogue.num_plurals, rule=catalogue.plural_expr
    )
    return header + buffer.getvalue().decode()


def _names_in_the_back_office() -> list[str]:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pamm_platform.settings.collect")
    django.setup()
    return row_names.known_names()


def _sources() -> Iterator[Path]:
    packages = (path.parent for path in REPOSITORY.glob("*/__init__.py"))
    for folder in (*packages, REPOSITORY / "templates"):
        if folder.name not in ELSEWHERE:
            yield from sorted(path for path in folder.rglob("*") if path.suffix in {".py", *TEMPLATES})


def _read(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=path.parent.parent.name, charset="utf-8")


def _key(message: Message) -> tuple[str | None, str]:
    return message.context, _forms(message.id)[0]


def _forms(text: object) -> tuple[str, ...]:
    return tuple(text) if isinstance(text, (tuple, list)) else (str(text),)


def _faults(message: Message, plurals: int) -> Iterator[str]:
    originals, translations = _forms(message.id), _forms(message.string)
    if message.fuzzy:
        yield "not sure (fuzzy)"
    if len(translations) != (plurals if message.pluralizable else 1) or not all(translations):
        yield "not translated"
        return
    allowed = [Counter(KEPT.findall(original)) for original in originals]
    for translation in translations:
        if Counter(KEPT.findall(translation)) not in allowed:
            yield f"placeholders or tags differ in {translation!r}"
        if message.context != LIST and _edges(translation) != _edges(originals[-1]):
            yield f"begins or ends with other white space in {translation!r}"


def _edges(text: str) -> tuple[str, str]:
    return text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
