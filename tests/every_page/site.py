"""The demo's broker `alpha`, served, with a browser window for each of its people."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from playwright.sync_api import Browser, BrowserContext, ViewportSize, sync_playwright

from accounts.models import User
from brokers.models import HostName
from brokers.scope import broker_scope
from demo.services import Addresses, Progress, load_demo
from pamm_platform.demo import programs
from pamm_platform.demo.ports import choose_ports
from pamm_platform.demo.supervisor import Supervisor
from tests.databases import REPOSITORY
from tests.every_page.people import People
from tests.every_page.weight import Scale
from tests.journeys.visitor import Visitor
from tests.simulator import SimulatorProcess
from trading.models import TradingServer

HOST = "alpha.localhost"
DESK, PHONE = ViewportSize(width=1440, height=900), ViewportSize(width=390, height=844)


@dataclass
class Site:
    """Its address, its people, and a browser window for each of them."""

    address: str
    people: People
    browser: Browser
    now: Callable[[], float] = time.time
    _windows: dict[tuple[str, str], Visitor] = field(default_factory=dict)
    _scales: dict[tuple[str, str], Scale] = field(default_factory=dict)

    def window_of(self, who: str, locale: str = "en-US") -> Visitor:
        """The window of somebody signed in, or of a visitor where `who` is empty."""
        if (who, locale) not in self._windows:
            self._windows[who, locale] = self.new_window(
                who, locale=locale, viewport=DESK, color_scheme="light"
            )
        return self._windows[who, locale]

    def new_window(self, who: str, **options: Any) -> Visitor:
        """One more window, which is not kept."""
        name = f"{who or 'visitor'}-{options.get('locale', 'en-US')}"
        window = Visitor(self.browser, self.address, name, reduced_motion="reduce", **options)
        if who:
            self._sign_in(window.page.context, self.people.user(who))
        return window

    def scale_of(self, who: str, locale: str = "en-US") -> Scale:
        """Weighs what comes into that window."""
        if (who, locale) not in self._scales:
            self._scales[who, locale] = Scale(self.window_of(who, locale).page)
        return self._scales[who, locale]

    def close(self) -> None:
        for window in self._windows.values():
            window.page.context.close()

    def _sign_in(self, context: BrowserContext, user: User) -> None:
        context.add_cookies(
            [
                {
                    "name": settings.SESSION_COOKIE_NAME,
                    "value": session_of(user, at=self.now()).session_key or "",
                    "domain": HOST,
                    "path": "/",
                }
            ]
        )


def session_of(user: User, *, at: float) -> SessionStore:
    """Of somebody who has just signed in, with every factor: nothing asks for a password once more."""
    session = SessionStore()
    session["_auth_user_id"] = str(user.pk)
    session["_auth_user_backend"] = settings.AUTHENTICATION_BACKENDS[0]
    session["_auth_user_hash"] = user.get_session_auth_hash()
    factors = Authenticator.objects.filter(user=user)
    session["account_authentication_methods"] = [
        {"method": "password", "at": at},
        *({"method": "mfa", "at": at, "id": factor.pk} for factor in factors),
    ]
    session["account_authentication_methods_user"] = str(user.pk)
    # By the clock of the pages, which may stand at another moment than this machine's.
    session.set_expiry(datetime.fromtimestamp(at, UTC) + timedelta(hours=12))
    session.save()
    return session


def load_past(folder: Path, stack: ExitStack, say: Progress = lambda said: None, **history: Any) -> None:
    """Load the demo where Django is connected to; start its trading server, whose prices stand still.

    `history` is what `load_demo` takes: `days`, `until`, `plans`, `planner`.
    """
    books = folder / "simulator"
    load_demo(Addresses(books, {}), say=say, **history)
    market = SimulatorProcess(books, "--manager-logins", "1000,1001,1002")
    stack.callback(market.stop)
    market.start()
    for broker_id in set(HostName.objects.values_list("broker_id", flat=True)):
        with broker_scope(broker_id):
            TradingServer.objects.update(port=market.port)


def start_pages(folder: Path, stack: ExitStack, *, application: str = "pamm_platform.wsgi") -> int:
    """Start the web server of this WSGI module; its port."""
    (port, *_others) = choose_ports(folder, {"DEMO_PORT": "18200"}).values()
    supervisor = Supervisor(folder / "processes", REPOSITORY)
    stack.callback(supervisor.stop_all)
    environment = {"DJANGO_SETTINGS_MODULE": "pamm_platform.settings.demo", "DATABASE_OWNER_URL": ""}
    program = programs.web(environment, [port])
    command = [application if word == "pamm_platform.wsgi" else word for word in program.command]
    supervisor.start(replace(program, command=command))
    return port


@contextmanager
def launched_chromium(path: Path, **environment: str) -> Iterator[Browser]:
    # Playwright runs its event loop in this thread, which Django takes for asynchronous code.
    with sync_playwright() as playwright, pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        launched = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--disable-dev-shm-usage"],
            env={**os.environ, **environment},
        )
        yield launched
        launched.close()
