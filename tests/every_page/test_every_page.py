"""Every page, in light and dark, on a desk and on a phone: no violation that axe finds, valid HTML, a silent
console and content policy, nothing that sticks out at the side; and light enough for a slow line.
"""

import json
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Page as Tab

from tests.databases import REPOSITORY
from tests.every_page.pages import BACK_OFFICE, ELSEWHERE, NO_PAGES, PAGES, Page, opened
from tests.every_page.site import DESK, PHONE, Site
from tests.every_page.weight import Scale
from tests.isolation.routes import Route, routes
from tools.front_end import NODE_MODULES, node_command

AXE = (NODE_MODULES / "axe-core" / "axe.min.js").read_text()
HTML_RULES = REPOSITORY / "tests" / "every_page" / "htmlvalidate.json"
MOST_KILOBYTES, MOST_KILOBYTES_AFTER = 250, 40
ROUTES: dict[str, Route] = {
    route.name: route for route in routes() if not route.template.startswith(ELSEWHERE)
}

VIOLATIONS = """
async (options) => {
  const found = await axe.run(document, { resultTypes: ["violations"], ...options });
  const reason = ({ any, all, none }) => [...any, ...all, ...none][0]?.message ?? "";
  return found.violations.flatMap(({ id, nodes }) => nodes.map((node) =>
    `${id}: ${node.target.join(" ")}: ${node.html.slice(0, 160)} (${reason(node)})`));
}
"""
OPEN_FOLDS = "document.querySelectorAll('details:not(.menu)').forEach((fold) => { fold.open = true; })"
SET_THEME = """
async (theme) => {
  const root = document.documentElement;
  root.setAttribute("data-bs-theme", theme);
  root.setAttribute("data-theme-chosen", "");
  document.dispatchEvent(new CustomEvent("themechange"));
  await new Promise(requestAnimationFrame);
}
"""
UNSEEN_FOCUS = """
() => {
  const look = (element) => [element, element.closest("label"), element.parentElement]
    .filter(Boolean)
    .flatMap((part) => [getComputedStyle(part), getComputedStyle(part, "::after")])
    .map((style) => ["outlineStyle", "outlineWidth", "boxShadow", "borderColor"].map((name) => style[name]))
    .join("|");
  const focusable = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]";
  const shown = [...(document.querySelector("dialog[open]") ?? document).querySelectorAll(focusable)]
    .filter((element) => element.tabIndex >= 0 && !element.disabled && element.checkVisibility());
  const before = document.activeElement;
  const unseen = shown.filter((element) => {
    element.blur();
    const idle = look(element);
    element.focus({ preventScroll: true });
    return document.activeElement === element && look(element) === idle;
  });
  before.focus({ preventScroll: true });
  const told = (fault, elements) => elements.map((element) => `${fault}: ${element.outerHTML.slice(0, 160)}`);
  return [
    ...told("no visible focus", unseen),
    ...told("out of order", shown.filter((element) => element.tabIndex > 0)),
  ];
}
"""
TOO_WIDE = """
() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return "";
  const wide = [...document.body.querySelectorAll("*")].filter((part) =>
    part.getBoundingClientRect().right > width + 1 && getComputedStyle(part).position !== "fixed");
  return wide.slice(0, 5).map((part) => part.outerHTML.slice(0, 120)).join(" | ") || "the document";
}
"""


def test_every_route_is_a_page_to_look_at_or_says_why_not() -> None:
    named = {page.route for page in PAGES} | NO_PAGES.keys()
    assert ROUTES.keys() - named == set(), "name the page in PAGES, or why it is none in NO_PAGES"
    assert named - ROUTES.keys() == set(), "there is no such route"
    assert not {page.route for page in PAGES if page.status == 200} & NO_PAGES.keys()


def test_no_two_pages_are_kept_under_one_name() -> None:
    names = [page.file_name for page in (*PAGES, *BACK_OFFICE)]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_page_is_accessible_quiet_and_fits(page: Page, site: Site, sources: Path) -> None:
    window, scale = site.window_of(page.who), site.scale_of(page.who)
    tab = window.page
    tab.set_viewport_size(DESK)
    scale.begin(empty_cache=True)
    answer = opened(page, window, site.people)
    (sources / f"{page.file_name}.html").write_text(answer.text())
    faults = [*_overweight(scale), *judged(tab, "desk")]
    tab.set_viewport_size(PHONE)
    faults += [fault for fault in judged(tab, "phone") if fault not in faults]
    faults += window.take_troubles()
    assert not faults, "\n".join(["", *faults])


def test_html_of_every_page_is_valid(sources: Path) -> None:
    """Judges what the tests above have read: run them together."""
    report = sources / "report.json"
    command = [*node_command(), str(NODE_MODULES / "html-validate" / "bin" / "html-validate.mjs")]
    command += ["--config", str(HTML_RULES), f"--formatter=json={report}", str(sources / "*.html")]
    assert list(sources.glob("*.html"))
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert report.exists(), done.stderr
    faults = [
        f"{Path(judged['filePath']).stem}:{fault['line']}: {fault['ruleId']}: {fault['message']}"
        for judged in json.loads(report.read_text())
        for fault in judged["messages"]
    ]
    assert not faults, "\n".join(["", *faults])


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The HTML of the pages as it came from the server."""
    return tmp_path_factory.mktemp("sources")


def test_page_weighs_little_where_its_files_have_been_loaded(site: Site) -> None:
    window, scale = site.window_of(""), site.scale_of("")
    weights: list[float] = []
    for _visit in ("first", "second"):
        scale.begin(empty_cache=not weights)
        window.page.goto("/")
        window.wait_for_answers()
        weights.append(scale.kilobytes())
    assert weights[0] > MOST_KILOBYTES_AFTER
    assert weights[1] <= MOST_KILOBYTES_AFTER, scale.heaviest()


def _overweight(scale: Scale) -> list[str]:
    if (
        scale.kilobytes() <= MOST_KILOBYTES
        and scale.kilobytes(files=False) <= MOST_KILOBYTES_AFTER
        and scale.kilobytes() > 0
    ):
        return []
    return ["too heavy:", *scale.heaviest()]


def judged(tab: Tab, where: str) -> list[str]:
    """What is wrong in both themes at the present size; folds are looked into."""
    found = [f"too wide on the {where}: {part}" for part in [tab.evaluate(TOO_WIDE)] if part]
    tab.evaluate(OPEN_FOLDS)
    found += [f"too wide on the {where}, folds open: {part}" for part in [tab.evaluate(TOO_WIDE)] if part]
    # Focus from a script shows as focus by keyboard does only after a key.
    tab.keyboard.press("Shift")
    found += tab.evaluate(UNSEEN_FOCUS)
    if not tab.evaluate("'axe' in window"):
        tab.evaluate(AXE)
    found += tab.evaluate(VIOLATIONS, {})
    tab.evaluate(SET_THEME, "dark")
    found += [f"dark: {fault}" for fault in tab.evaluate(VIOLATIONS, {"runOnly": ["color-contrast"]})]
    tab.evaluate(SET_THEME, "light")
    return found
