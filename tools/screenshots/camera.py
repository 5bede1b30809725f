"""Taking pictures: each page at two widths, in two themes, as small files."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page as Tab

from tests.every_page.pages import Page, opened
from tests.every_page.site import DESK, PHONE, Site
from tests.journeys.visitor import Visitor
from tools.screenshots.mails import Letter

SIZES = {"1440": DESK, "390": PHONE}
THEMES = ("light", "dark")
QUALITY = 38
TALLEST = 2200
"""Pixels of height; what is below is more of the same rows."""

SETTLED = """
async () => {
  await document.fonts.ready;
  // One that is hidden may never be fetched.
  const shown = [...document.images].filter((image) => image.checkVisibility());
  await Promise.all(shown.map((image) => image.decode().catch(() => undefined)));
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
}
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a reader of the index sees of one page: its heading, where it is, and its pictures."""

    section: str
    title: str
    name: str


@dataclass(frozen=True, slots=True)
class Look:
    width: str
    theme: str

    @property
    def ending(self) -> str:
        return f"{self.width}-{self.theme}.webp"


LOOKS = tuple(Look(width, theme) for width in SIZES for theme in THEMES)


class Camera:
    """Takes pictures of one site into one folder."""

    def __init__(self, site: Site, folder: Path, locale: str) -> None:
        self._site, self._folder, self._locale = site, folder, locale

    def take_pages(self, section: str, pages: Sequence[Page]) -> Iterator[Shown]:
        """All pages in all looks. Raises AssertionError where one does not answer as it should."""
        if not pages:
            return
        titles: dict[Page, str] = {}
        for look in LOOKS:
            windows: dict[str, Visitor] = {}
            for page in pages:
                if page.who not in windows:
                    windows[page.who] = self._window(page.who, look)
                window = windows[page.who]
                tab = window.page
                opened(page, window, self._site.people)
                self._keep(tab, look, page.file_name)
                titles[page] = tab.title().rpartition(" · ")[0] or tab.title()
            for window in windows.values():
                window.page.context.close()
            print(f"  {section}: {len(pages)} pages {look.width} {look.theme}", flush=True)
        yield from (Shown(section, titles[page], page.file_name) for page in pages)

    def take_letters(self, section: str, letters: Sequence[Letter]) -> Iterator[Shown]:
        for look in LOOKS:
            window = self._window("", look)
            for letter in letters:
                window.page.set_content(letter.html)
                self._keep(window.page, look, f"e-mail-{letter.name}")
            window.page.context.close()
        yield from (Shown(section, letter.subject, f"e-mail-{letter.name}") for letter in letters)

    def _window(self, who: str, look: Look) -> Visitor:
        return self._site.new_window(
            who, viewport=SIZES[look.width], color_scheme=look.theme, locale=self._locale
        )

    def _keep(self, tab: Tab, look: Look, name: str) -> None:
        # A window as tall as the page: what is fixed to its lower edge stands below everything else.
        size = SIZES[look.width]
        height = max(size["height"], tab.evaluate("document.documentElement.scrollHeight"))
        tab.set_viewport_size({"width": size["width"], "height": min(height, TALLEST)})
        tab.evaluate(SETTLED)
        picture = tab.screenshot(animations="disabled", caret="hide")
        tab.set_viewport_size(size)
        with Image.open(io.BytesIO(picture)) as image:
            path = self._folder / f"{name}.{look.ending}"
            image.convert("RGB").save(path, "WEBP", quality=QUALITY, method=6, use_sharp_yuv=True)
