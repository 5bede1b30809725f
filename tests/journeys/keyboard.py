"""A visitor without a mouse: keys alone, and at every step an eye on where the focus is and how it shows."""

import re
import time

from playwright.sync_api import Locator, expect

from tests.journeys.visitor import MOST_TABS, PATIENCE_SECONDS, Visitor

STEP = """
() => {
  const look = (element) => [element, element.closest("label"), element.parentElement]
    .filter(Boolean)
    .flatMap((part) => [getComputedStyle(part), getComputedStyle(part, "::after")])
    .map((style) => ["outlineStyle", "outlineWidth", "boxShadow", "borderColor"].map((name) => style[name]))
    .join("|");
  const faults = [];
  const { last } = window;
  const bars = ".site-header, .tab-bar, .form-actions-sticky, .bulk-bar, .comparison-bar, .invest-bar";
  const read = (element) => {
    const copy = element.cloneNode(true);
    copy.querySelectorAll("[aria-hidden]").forEach((part) => part.remove());
    return copy.textContent;
  };
  const named = (element) =>
    (element.getAttribute("aria-label") || read(element.labels?.[0] ?? element)).trim();
  const isOver = last?.element.isConnected && last.element !== document.activeElement;
  if (isOver && look(last.element) === last.look) {
    faults.push(`nobody sees that ${last.name} has the focus`);
  }
  const focused = document.activeElement;
  window.last = undefined;
  if (!focused || focused === document.body) return { name: "", faults, outside: false };
  const name = named(focused);
  window.last = { element: focused, look: look(focused), name };
  if (focused.tabIndex > 0) faults.push(`${name} is out of order`);
  const box = focused.getBoundingClientRect();
  const [x, y] = [box.x + box.width / 2, box.y + Math.min(box.height, innerHeight) / 2];
  const isSeen = box.width > 1 && box.height > 1;
  if (isSeen && (y < 0 || y > innerHeight)) faults.push(`${name} is focused out of sight`);
  const above = document.elementFromPoint(x, y);
  const bar = above?.closest(bars);
  if (isSeen && bar && !bar.contains(focused)) faults.push(`${name} is covered by ${bar.className}`);
  const open = document.querySelector("dialog[open]");
  return { name, faults, outside: Boolean(open) && !open.contains(focused) };
}
"""


class Keys:
    """Hands on the keyboard of a visitor; what is wrong with the focus on the way is an error at once."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor, self.page = visitor, visitor.page

    def tab(self, *, back: bool = False) -> str:
        """One Tab; the name of what has the focus then."""
        self.page.keyboard.press("Shift+Tab" if back else "Tab")
        return self._look()

    def focused(self) -> str:
        """The name of what has the focus."""
        return self._look()

    def to(self, name: str | re.Pattern[str]) -> None:
        """Press Tab until what has the focus is called that: its name begins so."""
        seen = []
        for _press in range(MOST_TABS):
            seen.append(self.tab())
            if re.match(name if isinstance(name, re.Pattern) else re.escape(name), seen[-1]):
                return
        raise AssertionError(f"{name!r} cannot be reached on {self.page.url}, only {seen}")

    def is_at(self, name: str) -> None:
        """The focus is there, or comes there by itself in a moment."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.focused() != name:
            assert time.monotonic() < deadline, f"the focus is at {self.focused()!r}, not at {name!r}"
            self.page.wait_for_timeout(20)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def write(self, name: str, text: str) -> None:
        """Go to a field and replace what stands in it."""
        self.to(name)
        self.press("Control+A")
        self.page.keyboard.type(text)

    def tick(self, name: str) -> None:
        self.to(name)
        self.press("Space")

    def choose(self, name: str, option: str) -> None:
        """Go to a select and type what its option begins with."""
        self.to(name)
        self.page.keyboard.type(option)

    def enter(self, name: str | re.Pattern[str]) -> None:
        """Go to a link or button that leads to another page, and press Enter."""
        self.visitor.wait_for_answers()
        self.to(name)
        self.send()

    def send(self) -> None:
        """Press Enter where the focus is; another page comes."""
        self.visitor.wait_for_answers()
        with self.page.expect_navigation():
            self.press("Enter")

    def open_sheet(self, name: str | re.Pattern[str], title: str) -> Locator:
        """Open a confirmation sheet: the focus goes in, stays in, and is back at its opener on Escape."""
        self.to(name)
        opener = self.focused()
        sheet = self.page.get_by_role("dialog", name=title)
        for _visit in ("closed again", "kept open"):
            self.press("Enter")
            expect(sheet).to_be_visible()
            expect(sheet.locator(":focus")).to_have_count(1)
            if _visit == "kept open":
                break
            for _press in range(6):
                self.tab()
            self.press("Escape")
            expect(sheet).to_have_count(0)
            self.is_at(opener)
        return sheet

    def _look(self) -> str:
        seen = self.page.evaluate(STEP)
        assert not seen["faults"], f"{self.page.url}: {seen['faults']}"
        assert not seen["outside"], f"{self.page.url}: {seen['name']} has the focus behind the sheet"
        return re.sub(r"\s+", " ", str(seen["name"]))
