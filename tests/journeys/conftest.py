"""A broker as it stands before a story begins, with web, worker, beat and trading server running."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings
from playwright.sync_api import Browser, sync_playwright
from pytest_django.plugin import DjangoDbBlocker

from accounts.models import Manager, PersonalAccount, Role
from brokers.scope import broker_scope
from pamm_platform.demo import programs
from pamm_platform.demo.ports import choose_ports
from pamm_platform.demo.supervisor import Supervisor
from pamm_platform.settings import base
from tests.circle.conftest import zone_at_noon
from tests.circle.world import Desk
from tests.conftest import _connected_to as connected_to
from tests.databases import REPOSITORY, TestDatabases
from tests.journeys.visitor import Visitor
from tests.simulator import SimulatorProcess
from tests.worlds import broker_called, enrol

SETTINGS = "pamm_platform.settings.demo"
EnterSite = Callable[..., Visitor]


@dataclass(frozen=True, slots=True)
class House:
    """The broker, where its pages are, and what its dealer's authenticator app knows."""

    desk: Desk
    site: str
    dealer_secret: str
    web_log: Callable[[], str]
    letters: Callable[[], str]

    def manager(self, name: str, amount: str) -> PersonalAccount:
        """A client whom the broker has made a manager; no PAMM account yet."""
        account = self.desk.client(name, amount, Role.INVESTOR, Role.MANAGER)
        Manager.objects.create(user=account.user, display_name=name.title())
        return account


@pytest.fixture(scope="package")
def house(
    django_db_setup: None,
    test_databases: TestDatabases,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    """One database and one set of processes for all journeys: starting them takes longer than a story."""
    folder = tmp_path_factory.mktemp("house")
    market = SimulatorProcess(folder / "market", timezone=zone_at_noon())
    (port, *_others) = choose_ports(folder, {"DEMO_PORT": "18000"}).values()
    supervisor = Supervisor(folder / "processes", REPOSITORY)
    with ExitStack() as stack:
        name = stack.enter_context(test_databases.clone())
        stack.enter_context(django_db_blocker.unblock())
        stack.enter_context(connected_to(test_databases.services, name))
        # Whatever is written here is read by processes with the demo's settings: passwords, too.
        stack.enter_context(override_settings(PASSWORD_HASHERS=base.PASSWORD_HASHERS))
        stack.callback(market.stop)
        market.start()
        stack.callback(supervisor.stop_all)
        environment = {"DJANGO_SETTINGS_MODULE": SETTINGS, "DATABASE_OWNER_URL": ""}
        supervisor.start(programs.worker(environment, processes=1))
        supervisor.start(programs.beat(environment, folder / "schedule"))
        supervisor.start(programs.web(environment, [port]))
        stack.enter_context(broker_scope(broker_called("alpha").pk))
        desk = Desk.open(market, "alpha")
        site = f"http://alpha.localhost:{port}"
        log = partial(supervisor.log_tail, "web")
        # Letters are printed where the web processes print.
        yield House(desk, site, enrol(desk.dealer), log, partial(log, lines=400))
        assert supervisor.watch() == [], "a process died"


@pytest.fixture(scope="package")
def browser(chromium_path: Path, house: House) -> Iterator[Browser]:
    # After `house`: its processes must not inherit the permission below.
    with sync_playwright() as playwright, _database_beside_an_event_loop():
        launched = playwright.chromium.launch(
            executable_path=chromium_path, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield launched
        launched.close()


@contextmanager
def _database_beside_an_event_loop() -> Iterator[None]:
    """Playwright runs its event loop in this thread, which Django takes for asynchronous code."""
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    try:
        yield
    finally:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def enter(house: House, browser: Browser) -> Iterator[EnterSite]:
    """Somebody new opens a browser at the broker's site; afterwards nobody may have met any trouble."""
    visitors: list[Visitor] = []

    def enter_site(name: str, **options: Any) -> Visitor:
        visitors.append(Visitor(browser, house.site, name, **options))
        return visitors[-1]

    yield enter_site
    troubles = [trouble for visitor in visitors for trouble in visitor.leave()]
    assert not troubles, "\n".join([*troubles, house.web_log()])
