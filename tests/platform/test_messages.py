"""Catalogues are brought up to date, compiled and checked without GNU gettext."""

import gettext
import shutil
from pathlib import Path

import pytest

from tools.messages import (
    LOCALES,
    bring_up_to_date,
    compile_catalogues,
    faults_of_catalogues,
    messages_of_code,
)

CATALOGUE = Path("zh_Hans") / "LC_MESSAGES" / "django.po"


@pytest.fixture
def locales(tmp_path: Path) -> Path:
    """A copy of our catalogues."""
    shutil.copytree(LOCALES, tmp_path / "locale", ignore=shutil.ignore_patterns("*.mo"))
    return tmp_path / "locale"


def change(locales: Path, old: str, new: str) -> None:
    text = (locales / CATALOGUE).read_text()
    assert old in text
    (locales / CATALOGUE).write_text(text.replace(old, new, 1))


def test_messages_of_templates_modules_models_and_libraries_are_found() -> None:
    found = {(message.context, message.id) for message in messages_of_code() if message.id}
    assert (None, "Skip to content") in found
    assert (None, ("%(count)d day", "%(count)d days")) in found
    assert (None, "Last rollover completed") in found
    assert (None, "As my broker has it (%(zone)s)") in found
    assert ("name in the back office", "high water mark") in found
    assert (None, "Type to search") in found


def test_catalogues_are_complete_and_as_extract_writes_them(locales: Path) -> None:
    assert list(faults_of_catalogues(locales)) == []
    before = (locales / CATALOGUE).read_text()
    bring_up_to_date(locales)
    assert (locales / CATALOGUE).read_text() == before


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('msgid "Skip to content"', 'msgid "Skip to the content"', "missing, run"),
        ('msgstr "跳到主要内容"', 'msgstr ""', "not translated: (None, 'Skip to content')"),
        ('msgid "Skip to content"', '#, fuzzy\nmsgid "Skip to content"', "not sure (fuzzy)"),
        ('msgstr "时区：%(zone)s"', 'msgstr "时区：%(zones)s"', "placeholders or tags differ"),
        ('msgstr "跳到主要内容"', 'msgstr "<b>跳到主要内容</b>"', "placeholders or tags differ"),
        ('msgstr "跳到主要内容"', 'msgstr "跳到主要内容\\n"', "other white space"),
    ],
)
def test_check_says_what_is_wrong(locales: Path, old: str, new: str, fault: str) -> None:
    change(locales, old, new)
    faults = list(faults_of_catalogues(locales))
    assert faults
    assert any(fault in said for said in faults), faults


def test_message_that_is_gone_goes_and_a_new_one_waits_for_its_words(locales: Path) -> None:
    change(locales, 'msgid "Skip to content"', 'msgid "Skip all of it"')
    bring_up_to_date(locales)
    text = (locales / CATALOGUE).read_text()
    assert "Skip all of it" not in text
    assert 'msgid "Skip to content"\nmsgstr ""\n' in text


def test_compiled_catalogue_is_what_python_reads(locales: Path) -> None:
    compile_catalogues(locales)
    with (locales / CATALOGUE).with_suffix(".mo").open("rb") as file:
        words = gettext.GNUTranslations(file)
    assert words.ngettext("%(count)d day", "%(count)d days", 1) == "%(count)d天"
    assert words.pgettext("name in the back office", "high water mark") == "高水位线"
