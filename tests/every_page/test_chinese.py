"""Every page in Chinese: no English left in it, nothing that sticks out."""

import re
from dataclasses import replace

import pytest
from django.test import Client
from django.urls import reverse
from fontTools.ttLib import TTFont

from accounts.models import User
from pamm_platform.admin_site import back_office
from tests.every_page.pages import PAGES, Page, opened
from tests.every_page.people import VISITOR
from tests.every_page.site import PHONE, Site
from tests.every_page.test_every_page import OPEN_FOLDS, TOO_WIDE
from tests.every_page.words import english_in, names_of_data
from tests.worlds import signed_in
from tools.fonts import FONTS, chinese_letters

CHINESE = "zh-CN"
MOST_BYTES_OF_LETTERS = 160_000
LISTS = sorted(f"{model._meta.app_label}_{model._meta.model_name}" for model in back_office._registry)


@pytest.fixture
def names(site: Site) -> re.Pattern[str]:
    return names_of_data()


@pytest.fixture(scope="module")
def letters() -> frozenset[str]:
    """Those of the font that pages bring along."""
    return frozenset(map(chr, TTFont(FONTS / "zh-hans.woff2").getBestCmap()))


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_page_is_chinese_and_fits(
    page: Page, site: Site, names: re.Pattern[str], letters: frozenset[str]
) -> None:
    window = site.window_of(page.who, CHINESE)
    tab = window.page
    tab.set_viewport_size(PHONE)
    # Widgets go by their address alone.
    is_widget = page.route in {"widgets:leaderboard", "widgets:offer"}
    opened(replace(page, query="?lang=zh-hans") if is_widget else page, window, site.people)
    tab.evaluate(OPEN_FOLDS)
    faults = [f"too wide: {part}" for part in [tab.evaluate(TOO_WIDE)] if part]
    faults += english_in(tab.content(), names)
    faults += [f"no letter: {letter}" for letter in chinese_letters(tab.content()) if letter not in letters]
    if tab.evaluate("document.documentElement.lang") != "zh-hans":
        faults.append("lang")
    faults += window.take_troubles()
    assert not faults, "\n".join(["", *faults])


@pytest.fixture(scope="module")
def staff(site: Site) -> Client:
    browser = signed_in(User.objects.get(email="admin@alpha.example"))
    browser.defaults["HTTP_ACCEPT_LANGUAGE"] = "zh-CN"
    return browser


@pytest.mark.parametrize("name", ["index", *LISTS])
def test_back_office_is_chinese(name: str, staff: Client, names: re.Pattern[str]) -> None:
    if name == "index":
        addresses = [reverse("admin:index")]
    else:
        addresses = [reverse(f"admin:{name}_changelist")]
        page = staff.get(addresses[0]).content.decode()
        addresses += re.findall(r'href="(/admin/[^"]*/change/)', page)[:1]
    faults = []
    for address in addresses:
        answer = staff.get(address)
        assert answer.status_code == 200, address
        faults += english_in(answer.content.decode(), names)
    assert not faults, "\n".join(["", *faults])


def test_letters_are_loaded_for_chinese_only(site: Site) -> None:
    """On a machine that has none, such as this one: in English there are only the names of languages."""
    for locale, loads in (("en-US", False), (CHINESE, True)):
        window, scale = site.window_of(VISITOR, locale), site.scale_of(VISITOR, locale)
        scale.begin(empty_cache=True)
        window.page.goto("/")
        window.wait_for_answers()
        window.page.evaluate("document.fonts.ready")
        found = [line for line in scale.heaviest() if "zh-hans.woff2" in line]
        assert bool(found) == loads
        assert all(int(line.split()[0]) < MOST_BYTES_OF_LETTERS for line in found)
