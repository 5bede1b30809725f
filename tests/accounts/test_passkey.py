"""Passkeys in a real browser on a broker's own host, with an authenticator that DevTools emulates."""

import threading
from collections.abc import Iterator
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.wsgi import get_wsgi_application
from playwright.sync_api import Page, sync_playwright

from accounts.models import Role, User
from brokers.scope import broker_scope
from tests.worlds import PASSWORD, AliceBobCharlie, person


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def port(world: AliceBobCharlie) -> Iterator[int]:
    application = StaticFilesHandler(get_wsgi_application())
    server = make_server("127.0.0.1", 0, application, server_class=_Server, handler_class=_Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def dealer(world: AliceBobCharlie) -> User:
    with broker_scope(world.alpha.pk):
        return person("dealer@example.com", Role.DEALER)


@pytest.fixture
def page(chromium_path: Path) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium_path), args=["--no-sandbox"])
        opened = browser.new_page()
        devtools = opened.context.new_cdp_session(opened)
        devtools.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        yield opened
        browser.close()


def test_passkey_is_enrolled_by_staff_and_opens_the_back_office_without_password(
    dealer: User, port: int, page: Page
) -> None:
    site = f"http://alpha.localhost:{port}"
    page.goto(f"{site}/accounts/login/")
    page.fill("[name=login]", dealer.email)
    page.fill("[name=password]", PASSWORD)
    page.click("form.card button[type=submit]")
    page.goto(f"{site}/accounts/2fa/webauthn/add/")
    page.fill("[name=name]", "Phone")
    if page.locator("[name=passwordless]").count():
        page.check("[name=passwordless]")
    page.click("#mfa_webauthn_add")
    page.wait_for_url("**/accounts/2fa/**recovery-codes/**")
    page.goto(f"{site}/admin/")
    assert page.url == f"{site}/admin/"

    page.context.clear_cookies()
    page.goto(f"{site}/accounts/login/?next=/admin/")
    page.click("#passkey_login")
    page.wait_for_url(f"{site}/admin/")
