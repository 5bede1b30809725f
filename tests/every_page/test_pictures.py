"""`make screenshots` has every page in one section, takes it in all looks, and shows it on its index."""

from pathlib import Path

import pytest
from PIL import Image, ImageStat

from tests.every_page.pages import BACK_OFFICE, PAGES, Page, address_of
from tests.every_page.people import INVESTOR, STAFF, VISITOR
from tests.every_page.site import Site
from tools.screenshots.camera import LOOKS, TALLEST, Camera
from tools.screenshots.index import write_index
from tools.screenshots.mails import letters
from tools.screenshots.sections import sections


def test_every_page_is_in_one_section() -> None:
    shown = [page for pages in sections().values() for page in pages]
    assert sorted(map(str, shown)) == sorted(map(str, (*PAGES, *BACK_OFFICE)))


@pytest.mark.parametrize("page", BACK_OFFICE, ids=str)
def test_page_of_the_back_office_is_there(page: Page, site: Site) -> None:
    window = site.window_of(page.who)
    answer = window.page.goto(address_of(page, site.people))
    assert answer is not None
    assert answer.status == page.status
    assert window.page.locator("#content, #main, main").first.is_visible()
    assert window.take_troubles() == []


def test_page_is_pictured_in_every_look_and_shown_on_the_index(site: Site, tmp_path: Path) -> None:
    pages = [Page("account_login", VISITOR), Page("investing:requests", INVESTOR), Page("admin:index", STAFF)]
    camera = Camera(site, tmp_path, "en-US")
    shown = list(camera.take_pages("Some", pages))
    shown += camera.take_letters("E-mails", list(letters(site.people.newcomer))[:1])
    write_index(tmp_path, shown, TALLEST)
    index = (tmp_path / "README.md").read_text()
    assert [page.title for page in shown[:2]] == ["Sign in", "Requests"]
    for page in shown:
        for look in LOOKS:
            file = f"{page.name}.{look.ending}"
            assert f'src="{file}"' in index
            with Image.open(tmp_path / file) as picture:
                assert picture.width == int(look.width)
                assert picture.height <= TALLEST
    light, dark = (
        ImageStat.Stat(Image.open(tmp_path / f"{pages[0].file_name}.1440-{theme}.webp").convert("L")).mean[0]
        for theme in ("light", "dark")
    )
    assert light > 180 > 80 > dark


def test_letters_are_of_kinds_that_were_told_and_of_signing_in(site: Site) -> None:
    found = {letter.name: letter for letter in letters(site.people.newcomer)}
    assert {"terms-offered", "email-confirmation-signup", "password-reset-key"} <= found.keys()
    assert all("<html" in letter.html and letter.subject for letter in found.values())
