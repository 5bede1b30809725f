"""A person at a browser: real Chromium, a context of their own, and an eye on everything that goes wrong."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, Response, expect

from tests.databases import REPOSITORY

PICTURES = REPOSITORY / "test-results"

REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => {
  reportViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
});
"""

# Terms and descriptions without the hints inside them.
FACTS = """
(root) => {
  const text = (element) => {
    const copy = element.cloneNode(true);
    copy.querySelectorAll(".hint").forEach((hint) => hint.remove());
    return copy.textContent;
  };
  return [...root.querySelectorAll("dt")].map((term) => [text(term), text(term.nextElementSibling)]);
}
"""

ROWS = """
(root) => [...root.querySelectorAll("tr")].map((row) => [...row.children].map((cell) => cell.textContent))
"""

TIMELINE = """
(root) => [...root.querySelectorAll(":scope > li")].map((line) => ({
  title: line.querySelector(".timeline-head").firstElementChild.textContent,
  amount: line.querySelector(".timeline-head .figure")?.textContent ?? "",
  steps: [...line.querySelectorAll("dt")].map((term) => [
    term.firstChild.textContent, term.nextElementSibling.textContent,
  ]),
}))
"""


FOCUSED = """
() => {
  const focused = document.activeElement;
  const named = focused.getAttribute("aria-label") || focused.labels?.[0]?.textContent || focused.textContent;
  return focused.matches(":focus-visible") ? named.trim() : "";
}
"""
MOST_TABS = 80
PATIENCE_SECONDS = 10.0


class Visitor:
    """One browser context at one broker's host, and what went wrong in it."""

    def __init__(
        self, browser: Browser, site: str, name: str, *, locale: str = "en-US", **options: Any
    ) -> None:
        self.name = name
        self._troubles: list[str] = []
        self._expected_status: int | None = None
        self._under_way: set[Request] = set()
        self._context = browser.new_context(base_url=site, locale=locale, **options)
        self._context.expose_function("reportViolation", self._note_violation)
        self._context.add_init_script(REPORT_VIOLATIONS)
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(10_000)
        self.page.on("console", self._note_console)
        self.page.on("pageerror", lambda error: self._note(f"page error: {error}"))
        self.page.on("request", lambda sent: self._under_way.add(sent))
        self.page.on("requestfinished", lambda sent: self._under_way.discard(sent))
        self.page.on("requestfailed", self._note_failure)
        self.page.on("response", self._note_response)

    def leave(self) -> list[str]:
        """Close the browser, with a picture of where the story ended; returns what went wrong on the way."""
        self.take_picture(f"last-seen-by-{self.name}")
        # What a closing page gives up is nobody's trouble.
        found = list(self._troubles)
        self._context.close()
        return found

    def take_troubles(self) -> list[str]:
        """What has gone wrong since this was asked last."""
        found, self._troubles = self._troubles, []
        return found

    def expect(self, status: int) -> None:
        """One answer with this status is right, whenever it comes."""
        self._expected_status = status

    def sign_in(self, email: str, password: str) -> None:
        self.page.goto("/accounts/login/")
        self.page.get_by_label("Email").fill(email)
        self.page.get_by_label("Password", exact=True).fill(password)
        self.press("Sign in")

    def sign_in_with_trading_login(self, login: int, password: str) -> None:
        self.page.goto("/accounts/login/")
        self.follow("Use your trading login")
        self.page.get_by_label("Trading login").fill(str(login))
        self.page.get_by_label("Trading password").fill(password)
        self.press("Sign in")

    def go(self, way: Locator) -> None:
        """Click what leads to another page, once this one has all it asked for."""
        self.wait_for_answers()
        with self.page.expect_navigation():
            way.click()

    def wait_for_answers(self) -> None:
        """Until the page has all it asked for."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._under_way:
            assert time.monotonic() < deadline, f"{self.page.url} still waits for {self._under_way}"
            self.page.wait_for_timeout(20)

    def press(self, name: str) -> None:
        """Send the form whose button has that name."""
        self.go(self.page.locator("#content").get_by_role("button", name=name, exact=True))

    def follow(self, name: str) -> None:
        """Follow the link of that name in the page itself."""
        self.go(self.page.locator("#content").get_by_role("link", name=name, exact=True).first)

    def ask(self, name: str) -> None:
        """Click what is asked about once more; the question opens in place."""
        self.wait_for_answers()
        content = self.page.locator("#content")
        link = content.get_by_role("link", name=name, exact=True)
        link.or_(content.get_by_role("button", name=name, exact=True)).first.click()
        expect(self.page.get_by_role("dialog")).to_be_visible()

    def open_place(self, name: str) -> None:
        """Go to a place of the navigation."""
        self.go(self.page.get_by_role("navigation").get_by_role("link", name=name, exact=True).first)

    def sees(self, text: str) -> None:
        """Wait until the page says this somewhere."""
        expect(self.page.locator("body")).to_contain_text(text)

    def fits(self) -> None:
        """Nothing of the page sticks out at the side."""
        self.wait_for_answers()
        # Asked again where the page was just about to be replaced.
        width: int = self.page.wait_for_function("() => document.documentElement?.scrollWidth").json_value()
        assert width <= self.page.viewport_size["width"], f"{self.page.url} is {width} wide"  # type: ignore[index]

    def tab_to(self, name: str) -> None:
        """Press Tab until what has the focus is called that: its text, label or value begins with `name`."""
        for _press in range(MOST_TABS):
            self.page.keyboard.press("Tab")
            if str(self.page.evaluate(FOCUSED)).startswith(name):
                return
        raise AssertionError(f"{name!r} cannot be reached by keyboard on {self.page.url}")

    @contextmanager
    def refused(self, status: int = 422) -> Iterator[None]:
        """The page is answered with this status once within the block, and that is right so."""
        self.expect(status)
        yield
        assert self._expected_status is None, f"nothing was refused with {status}"

    def facts(self, within: str = "#content") -> dict[str, str]:
        """Terms and descriptions of the page, folded ones too; where a term comes twice, the first."""
        facts: dict[str, str] = {}
        for term, description in self.page.locator(within).first.evaluate(FACTS):
            facts.setdefault(_plain(term), _plain(description))
        return facts

    def rows(self, table: str) -> list[list[str]]:
        """Cells of every row of a table, heads included."""
        found: list[list[str]] = self.page.locator(table).first.evaluate(ROWS)
        return [[_plain(cell) for cell in row] for row in found]

    def timeline(self) -> list[tuple[str, str, dict[str, str]]]:
        """Title, amount and explanation of each line of an investment's history, the latest first."""
        found = self.page.locator(".timeline-list").evaluate(TIMELINE)
        return [
            (
                _plain(line["title"]),
                _plain(line["amount"]),
                {_plain(term): _plain(text) for term, text in line["steps"]},
            )
            for line in found
        ]

    def take_picture(self, name: str) -> Path:
        """Keep the whole page for people to look at."""
        PICTURES.mkdir(exist_ok=True)
        path = PICTURES / f"{name}.png"
        self.page.evaluate("scrollTo(0, 0)")
        self.page.screenshot(path=path, full_page=True)
        return path

    def _note(self, trouble: str) -> None:
        self._troubles.append(f"{self.name} at {self.page.url}: {trouble}")

    def _note_failure(self, sent: Request) -> None:
        self._under_way.discard(sent)
        # The browser's own giving up: a page is left before its fonts have come, or what was asked for as a
        # page turned out to be a file. What a server fails in has other names.
        if sent.failure != "net::ERR_ABORTED":
            self._note(f"failed: {sent.url} {sent.failure}")

    def _note_violation(self, violation: str) -> None:
        self._note(f"content policy: {violation}")

    def _note_console(self, message: ConsoleMessage) -> None:
        # Chromium repeats each failed answer here; the answers themselves are looked at.
        if message.type in {"error", "warning"} and not message.text.startswith("Failed to load resource"):
            self._note(f"console: {message.text}")

    def _note_response(self, response: Response) -> None:
        if response.status == self._expected_status:
            self._expected_status = None
        elif response.status >= 400:
            self._note(f"{response.status} for {response.request.method} {response.url}")


def address_in(letters: str) -> str:
    """The latest address to confirm in printed letters."""
    found = re.findall(r"http://[^\s\"]+/accounts/confirm-email/[^\s\"]+", letters.replace("=\n", ""))
    return str(found[-1])


def figure(text: str) -> Decimal:
    """The number of a written amount in dollars."""
    return Decimal(text.removesuffix(" USD").replace(",", "").replace("\N{MINUS SIGN}", "-"))


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
