"""A broker as it stands before a story begins, with web, worker, beat and trading server running."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings
from playwright.sync_api import Browser, sync_playwright
from pytest_django.plugin import DjangoDbBlocker

from accounts.models import Manager, PersonalAccount, Role
from brokers.models import Broker
from brokers.scope import broker_scope
from pamm_platform.demo import programs
from pamm_platform.demo.ports import choose_ports
from pamm_platform.demo.supervisor import Supervisor
from pamm_platform.settings import base
from tests.circle.conftest import zone_at_noon
from tests.circle.world import Desk, terms
from tests.conftest import _connected_to as connected_to
from tests.databases import REPOSITORY, TestDatabases
from tests.journeys.rolling import roll
from tests.journeys.visitor import Visitor
from tests.simulator import SimulatorProcess
from tests.worlds import broker_called, enrol
from track_record.services import refresh_statistics

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
def dora(house: House) -> PersonalAccount:
    """Invested with 1,000.00 in a pool that has a short record, beside a pool she does not know yet."""
    desk = house.desk
    steady = desk.pamm_account(house.manager("mona", "5000"), "1000.00", name="Steady")
    bold = desk.pamm_account(house.manager("oscar", "5000"), "1000.00", name="Bold")
    gentle = desk.offer(
        steady, terms((None, "0.20"), minimum_first=Decimal(50), minimum_remaining=Decimal(50)), name="Gentle"
    )
    desk.offer(
        bold, terms((None, "0.30"), minimum_first=Decimal(500), minimum_remaining=Decimal(500)), name="Brisk"
    )
    dora = desk.client("dora", "5000")
    desk.invest(dora, gentle, "1000.00")
    for price in ("1.00", "1.05", "1.03"):
        for account in (steady, bold):
            if account.units:
                desk.bring_price_to(account, Decimal(price))
        roll(desk, steady, bold)
        for account in (steady, bold):
            account.refresh_from_db()
    refresh_statistics([steady, bold])
    return dora


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


@pytest.fixture
def demanding(house: House) -> Iterator[None]:
    """The broker lets new clients in by join links only, wants its terms accepted and a second factor, and
    lets them open trading accounts.
    """
    Broker.objects.update(
        open_sign_up=False,
        opens_trading_accounts=True,
        requires_second_factor=True,
        client_terms_url="https://alpha.example/terms",
    )
    yield
    Broker.objects.update(
        open_sign_up=True, opens_trading_accounts=False, requires_second_factor=False, client_terms_url=""
    )
