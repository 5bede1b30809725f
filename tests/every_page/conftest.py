"""The demo with a few weeks of history, its web server, and a browser that looks at every page of it."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from playwright.sync_api import Browser, BrowserContext, ViewportSize, sync_playwright
from pytest_django.plugin import DjangoDbBlocker

from accounts.models import User
from brokers.scope import broker_scope
from demo.services import Addresses, load_demo
from events.models import Notification
from events.services import deliver_notifications
from pamm_platform.demo import programs
from pamm_platform.demo.ports import choose_ports
from pamm_platform.demo.supervisor import Supervisor
from tests.conftest import _connected_to as connected_to
from tests.databases import REPOSITORY, TestDatabases
from tests.demo.conftest import broker_ids
from tests.every_page.people import People
from tests.every_page.weight import Scale
from tests.journeys.visitor import Visitor
from tests.simulator import MANAGER_PASSWORD, SimulatorProcess

HOST = "alpha.localhost"
HISTORY_DAYS = 35
DESK = ViewportSize(width=1440, height=900)


@dataclass
class Site:
    """Broker `alpha` of the demo: its address, its people, and a browser window for each of them."""

    address: str
    people: People
    browser: Browser
    _windows: dict[tuple[str, str], Visitor] = field(default_factory=dict)
    _scales: dict[tuple[str, str], Scale] = field(default_factory=dict)

    def window_of(self, who: str, locale: str = "en-US") -> Visitor:
        """The window of somebody signed in, or of a visitor where `who` is empty."""
        if (who, locale) not in self._windows:
            window = Visitor(
                self.browser,
                self.address,
                f"{who or 'visitor'}-{locale}",
                locale=locale,
                viewport=DESK,
                color_scheme="light",
                reduced_motion="reduce",
            )
            if who:
                self._sign_in(window.page.context, self.people.user(who))
            self._windows[who, locale] = window
        return self._windows[who, locale]

    def scale_of(self, who: str, locale: str = "en-US") -> Scale:
        """Weighs what comes into that window."""
        if (who, locale) not in self._scales:
            self._scales[who, locale] = Scale(self.window_of(who, locale).page)
        return self._scales[who, locale]

    def close(self) -> None:
        for window in self._windows.values():
            window.page.context.close()

    def _sign_in(self, context: BrowserContext, user: User) -> None:
        session = SessionStore()
        session["_auth_user_id"] = str(user.pk)
        session["_auth_user_backend"] = settings.AUTHENTICATION_BACKENDS[0]
        session["_auth_user_hash"] = user.get_session_auth_hash()
        # Just signed in: nothing asks for the password once more.
        factors = Authenticator.objects.filter(user=user)
        session["account_authentication_methods"] = [
            {"method": "password", "at": time.time()},
            *({"method": "mfa", "at": time.time(), "id": factor.pk} for factor in factors),
        ]
        session["account_authentication_methods_user"] = str(user.pk)
        session.save()
        context.add_cookies(
            [
                {
                    "name": settings.SESSION_COOKIE_NAME,
                    "value": session.session_key or "",
                    "domain": HOST,
                    "path": "/",
                }
            ]
        )


@pytest.fixture(scope="package")
def site(
    django_db_setup: None,
    test_databases: TestDatabases,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
    chromium_path: Path,
) -> Iterator[Site]:
    """As `make demo` starts it, less worker and beat: nothing moves while the pages are looked at."""
    folder = tmp_path_factory.mktemp("every-page")
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("SIMULATOR_MANAGER_PASSWORD", MANAGER_PASSWORD)
        name = stack.enter_context(test_databases.clone())
        stack.enter_context(django_db_blocker.unblock())
        stack.enter_context(connected_to(test_databases.services, name))
        port = _start(folder, stack)
        with broker_scope(broker_ids()[HOST]):
            while deliver_notifications():
                pass
            Notification.objects.filter(kind="request_executed").update(read_at=None)
            browser = stack.enter_context(_chromium(chromium_path))
            made = Site(f"http://{HOST}:{port}", People(), browser)
            stack.callback(made.close)
            yield made


def _start(folder: Path, stack: ExitStack) -> int:
    """Load the demo and start its trading server and its pages; the port of these."""
    books = folder / "simulator"
    until = datetime.now(UTC) - timedelta(hours=1)
    load_demo(Addresses(books, {}), days=HISTORY_DAYS, until=until, say=lambda said: None)
    market = SimulatorProcess(books, "--manager-logins", "1000,1001,1002")
    stack.callback(market.stop)
    market.start()
    load_demo(Addresses(books, {"DEMO_TRADING_PORT": market.port}), say=lambda said: None)
    (port, *_others) = choose_ports(folder, {"DEMO_PORT": "18200"}).values()
    supervisor = Supervisor(folder / "processes", REPOSITORY)
    stack.callback(supervisor.stop_all)
    environment = {"DJANGO_SETTINGS_MODULE": "pamm_platform.settings.demo", "DATABASE_OWNER_URL": ""}
    supervisor.start(programs.web(environment, [port]))
    return port


@contextmanager
def _chromium(path: Path) -> Iterator[Browser]:
    # Playwright runs its event loop in this thread, which Django takes for asynchronous code.
    with sync_playwright() as playwright, pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        launched = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield launched
        launched.close()
