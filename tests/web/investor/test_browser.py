"""The investor's pages in a real Chromium: no error on the console, no violated policy, figures that move by
themselves; readable on a phone and without JavaScript.
"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.test import override_settings
from django.test.testcases import LiveServerThread
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from accounts.models import PammAccount, User
from brokers.scope import broker_scope
from offers.services import revise_terms
from statements.models import StatementFile
from statements.services import prepare_file
from statements.tasks import prepare_file_task
from tests.offers.drafts import EXAMPLE_1, draft
from tests.track_record.histories import price_points
from tests.track_record.test_leaderboard import more_offers
from tests.worlds import JOINED, AliceBobCharlie, alice_bob_charlie
from track_record.services import refresh_statistics

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1440, "height": 900}


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    # Its event loop runs in this thread, where Django would refuse every query of the tests.
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as running:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Playwright, chromium_path: Path) -> Iterator[Browser]:
    launched = playwright.chromium.launch(
        executable_path=chromium_path, args=["--no-sandbox", "--disable-dev-shm-usage"]
    )
    yield launched
    launched.close()


@pytest.fixture
def world(committed_db: str) -> Iterator[AliceBobCharlie]:
    made = alice_bob_charlie()
    with broker_scope(made.alpha.pk):
        account = PammAccount.objects.get(pk=made.pool.account.pk)
        prices = [str(1 + 0.002 * (number % 9) + 0.001 * number) for number in range(100)]
        price_points(account, prices, start=JOINED + timedelta(hours=1), every=timedelta(hours=6))
        refresh_statistics([account])
        revise_terms(offer=made.pool.offer, terms=draft(schedule=EXAMPLE_1), by=made.alice)
        yield made


@pytest.fixture
def site(world: AliceBobCharlie) -> Iterator[str]:
    """Address of a server, in threads of this process, on the test's own database."""
    server = LiveServerThread("127.0.0.1", StaticFilesHandler, connections_override={})
    server.daemon = True
    server.start()
    server.is_ready.wait()
    if server.error:
        raise server.error
    yield f"http://alpha.localhost:{server.port}"
    server.terminate()


class Watched:
    """A browser window whose console errors and policy violations are kept."""

    def __init__(self, context: BrowserContext, site: str) -> None:
        self.page: Page = context.new_page()
        self.site = site
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console",
            lambda message: (
                self.complaints.append(message.text) if message.type in ("error", "warning") else None
            ),
        )

    def open(self, path: str) -> None:
        answer = self.page.goto(self.site + path)
        assert answer is not None
        assert answer.status == 200, path
        self.page.wait_for_load_state("networkidle")


def _signed_in(browser: Browser, user: User, **options: Any) -> BrowserContext:
    session = SessionStore()
    session["_auth_user_id"] = str(user.pk)
    session["_auth_user_backend"] = settings.AUTHENTICATION_BACKENDS[0]
    session["_auth_user_hash"] = user.get_session_auth_hash()
    session.save()
    context = browser.new_context(**options)
    context.add_cookies(
        [
            {
                "name": settings.SESSION_COOKIE_NAME,
                "value": session.session_key or "",
                "domain": "alpha.localhost",
                "path": "/",
            }
        ]
    )
    return context


def _paths(world: AliceBobCharlie) -> list[str]:
    investment = world.pool.investment.public_id
    return [
        "/",
        f"/offers/{world.pool.offer.public_id}/",
        f"/offers/compare/?offer={world.pool.offer.public_id}",
        "/portfolio/",
        f"/investments/{investment}/",
        f"/investments/{investment}/terms/",
        f"/investments/{investment}/withdraw/",
        f"/investments/{investment}/close/",
        "/requests/",
        "/statements/?period=all",
        "/statements/files/",
        "/accounts/trading-accounts/",
    ]


@pytest.mark.parametrize(("size", "scheme"), [(PHONE, "light"), (DESK, "dark")], ids=["phone", "desk"])
def test_pages_are_quiet_and_fit_their_window(
    browser: Browser, site: str, world: AliceBobCharlie, size: dict[str, int], scheme: str
) -> None:
    context = _signed_in(browser, world.bob, viewport=size, color_scheme=scheme)
    window = Watched(context, site)
    for path in _paths(world):
        window.open(path)
        width = window.page.evaluate("document.documentElement.scrollWidth")
        assert width <= size["width"], path
        assert window.page.locator("html").get_attribute("data-bs-theme") == scheme
        assert window.page.locator("h1").count() == 1
    assert window.complaints == []
    context.close()


def test_chart_is_drawn_and_follows_its_range(browser: Browser, site: str, world: AliceBobCharlie) -> None:
    context = _signed_in(browser, world.bob, viewport=DESK)
    window = Watched(context, site)
    window.open(f"/offers/{world.pool.offer.public_id}/")
    assert window.page.locator("#price-chart canvas").count() > 0
    with window.page.expect_response(lambda answer: "range=1w" in answer.url) as answered:
        window.page.get_by_role("link", name="1W").click()
    assert answered.value.status == 200
    assert window.page.get_by_role("link", name="1W").get_attribute("aria-current") == "true"
    assert window.page.locator("#price-chart [data-stand-in]").count() == 0
    assert "In this range" in window.page.locator(".readout").inner_text()
    assert window.complaints == []
    context.close()


def test_chart_follows_the_pointer_in_words(browser: Browser, site: str, world: AliceBobCharlie) -> None:
    context = _signed_in(browser, world.bob, viewport=DESK)
    window = Watched(context, site)
    window.open(f"/offers/{world.pool.offer.public_id}/")
    at_the_end = window.page.locator(".readout").inner_text()
    window.page.locator("#price-chart").hover(position={"x": 120, "y": 90})
    expect(window.page.locator(".readout")).not_to_have_text(at_the_end)
    assert window.complaints == []
    context.close()


def test_record_is_read_without_javascript(browser: Browser, site: str, world: AliceBobCharlie) -> None:
    context = _signed_in(browser, world.bob, viewport=PHONE, java_script_enabled=False)
    window = Watched(context, site)
    window.open(f"/offers/{world.pool.offer.public_id}/")
    picture = window.page.locator("#price-chart svg.picture")
    assert picture.is_visible()
    year = picture.inner_html()
    window.page.get_by_role("link", name="1W").click()
    expect(window.page.get_by_role("link", name="1W")).to_have_attribute("aria-current", "true")
    assert picture.inner_html() != year
    definition = window.page.get_by_text("Like the Sharpe ratio, but only days that lost count as risk")
    assert not definition.is_visible()
    window.page.get_by_text("Sortino ratio").first.focus()
    window.page.keyboard.press("Enter")
    assert definition.is_visible()
    context.close()


def test_offers_are_put_side_by_side_by_keyboard_and_without_javascript(
    browser: Browser, site: str, world: AliceBobCharlie
) -> None:
    more_offers(world, [["1", "1.1", "1.05"], ["1", "1.3", "1.2"]])
    context = _signed_in(browser, world.bob, viewport=PHONE, java_script_enabled=False)
    window = Watched(context, site)
    window.open("/")
    compare = window.page.get_by_role("button", name="Compare side by side")
    assert not compare.is_visible()
    for name in ("Compare Account 1", "Compare Account 0"):
        window.page.get_by_role("checkbox", name=name).focus()
        window.page.keyboard.press("Space")
    compare.focus()
    with window.page.expect_navigation():
        window.page.keyboard.press("Enter")
    names = window.page.locator("thead .comparison-name")
    expect(names).to_have_text(["Account 1", "Account 0"])
    region = window.page.get_by_role("region", name="Offers side by side")
    region.focus()
    assert region.evaluate("element => element === document.activeElement")
    window.page.get_by_role("link", name="Remove Account 1").click()
    expect(names).to_have_text(["Account 0"])
    window.page.get_by_role("link", name="Add an offer").click()
    expect(window.page.get_by_role("checkbox", name="Compare Account 0")).to_be_checked()
    context.close()


def test_no_more_than_four_offers_can_be_chosen_and_the_choice_is_kept(
    browser: Browser, site: str, world: AliceBobCharlie
) -> None:
    more_offers(world, [["1", "1.1"]] * 5)
    context = _signed_in(browser, world.bob, viewport=DESK)
    window = Watched(context, site)
    window.open("/")
    boxes = window.page.locator(".offer-choice input")
    for number in range(4):
        boxes.nth(number).check()
    assert boxes.nth(4).is_disabled()
    assert "4 of 4 chosen" in window.page.locator(".comparison-bar").inner_text()
    window.page.reload()
    expect(window.page.locator(".offer-choice input:checked")).to_have_count(4)
    window.page.get_by_label("Sort by").select_option("drawdown")
    window.page.wait_for_url("**sort=drawdown**")
    expect(window.page.locator(".offer-choice input:checked")).to_have_count(4)
    window.page.get_by_role("button", name="Compare side by side").click()
    expect(window.page.locator("thead .comparison-name")).to_have_count(4)
    assert window.complaints == []
    context.close()


def test_portfolio_figures_move_by_themselves_after_a_rollover(
    browser: Browser, site: str, world: AliceBobCharlie
) -> None:
    context = _signed_in(browser, world.bob, viewport=PHONE)
    window = Watched(context, site)
    window.open("/portfolio/")
    before = window.page.locator(".headline").inner_text()
    account = PammAccount.objects.get(pk=world.pool.account.pk)
    price_points(account, ["1.5"], start=JOINED + timedelta(days=40), every=timedelta(hours=1), after=101)
    window.page.wait_for_function(
        "before => document.querySelector('.headline').innerText !== before", arg=before, timeout=20_000
    )
    # 1,000 units at 1.5, less 20 % of 500.
    assert window.page.locator(".headline").inner_text().startswith("1,400.00")
    assert window.complaints == []
    context.close()


def test_theme_switch_is_kept_without_a_reload(browser: Browser, site: str, world: AliceBobCharlie) -> None:
    context = _signed_in(browser, world.bob, viewport=DESK, color_scheme="light")
    window = Watched(context, site)
    window.open("/portfolio/")
    window.page.get_by_role("button", name="Dark theme").click()
    assert window.page.locator("html").get_attribute("data-bs-theme") == "dark"
    window.open("/requests/")
    assert window.page.locator("html").get_attribute("data-bs-theme") == "dark"
    assert window.complaints == []
    context.close()


def test_keyboard_reaches_the_content_first(browser: Browser, site: str, world: AliceBobCharlie) -> None:
    context = _signed_in(browser, world.bob, viewport=DESK)
    window = Watched(context, site)
    window.open("/portfolio/")
    window.page.keyboard.press("Tab")
    assert window.page.evaluate("document.activeElement.textContent") == "Skip to content"
    window.page.keyboard.press("Enter")
    assert window.page.evaluate("document.activeElement.id") == "content"
    context.close()


def test_withdrawal_works_without_javascript(browser: Browser, site: str, world: AliceBobCharlie) -> None:
    context = _signed_in(browser, world.bob, viewport=PHONE, java_script_enabled=False)
    window = Watched(context, site)
    window.open(f"/investments/{world.pool.investment.public_id}/withdraw/")
    window.page.fill("#id_amount", "100")
    window.page.get_by_role("button", name="See what it costs").click()
    window.page.get_by_role("button", name="Withdraw").click()
    assert "We have your request" in window.page.inner_text("main")
    context.close()


def test_newer_terms_are_accepted_by_keyboard_and_without_javascript(
    browser: Browser, site: str, world: AliceBobCharlie
) -> None:
    context = _signed_in(browser, world.bob, viewport=PHONE, java_script_enabled=False)
    window = Watched(context, site)
    window.open(f"/investments/{world.pool.investment.public_id}/")
    window.page.get_by_role("link", name="See what would change").click()
    window.page.get_by_role("checkbox").focus()
    window.page.keyboard.press("Space")
    window.page.keyboard.press("Tab")
    with window.page.expect_navigation():
        window.page.keyboard.press("Enter")
    assert "You have accepted version 2" in window.page.inner_text("main")
    window.page.get_by_role("button", name="Take it back").click()
    assert "New terms are offered: version 2" in window.page.inner_text("main")
    context.close()


def test_prepared_statement_is_followed_to_its_download(
    browser: Browser, world: AliceBobCharlie, site: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The page asks by itself and stops; the focus stays where it was; the file is a PDF."""
    monkeypatch.setattr(prepare_file_task, "apply_async", lambda *args, **options: None)
    folder = {"location": tmp_path, "base_url": None}
    storage = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": folder}
    with override_settings(STORAGES=settings.STORAGES | {"statements": storage}):
        context = _signed_in(browser, world.bob, viewport=PHONE)
        window = Watched(context, site)
        window.open("/statements/?since=2024-01-01&until=2026-12-31")
        window.page.get_by_role("button", name="Prepare PDF").click()
        again = window.page.get_by_role("link", name="Look again")
        again.focus()
        with window.page.expect_response("**/progress/"):
            pass
        window.page.wait_for_function("document.activeElement.id === 'look-again'")
        with broker_scope(world.alpha.pk):
            prepare_file(StatementFile.objects.get().pk)
        window.page.get_by_text("Your file is ready").wait_for()
        with window.page.expect_download() as download:
            window.page.get_by_role("link", name="Download").click()
        assert download.value.suggested_filename.endswith(".pdf")
        assert download.value.path().read_bytes().startswith(b"%PDF-")
        assert window.complaints == []
        context.close()
