"""The demo with a few weeks of history, its web server, and a browser that looks at every page of it."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pytest_django.plugin import DjangoDbBlocker

from brokers.scope import broker_scope
from events.models import Notification
from events.services import deliver_notifications
from tests.conftest import _connected_to as connected_to
from tests.databases import TestDatabases
from tests.demo.conftest import broker_ids
from tests.every_page.people import People
from tests.every_page.site import HOST, Site, launched_chromium, load_past, start_pages
from tests.simulator import MANAGER_PASSWORD

HISTORY_DAYS = 35


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
        until = datetime.now(UTC) - timedelta(hours=1)
        load_past(folder, stack, days=HISTORY_DAYS, until=until)
        port = start_pages(folder, stack)
        with broker_scope(broker_ids()[HOST]):
            while deliver_notifications():
                pass
            Notification.objects.filter(kind="request_executed").update(read_at=None)
            browser = stack.enter_context(launched_chromium(chromium_path))
            made = Site(f"http://{HOST}:{port}", People(), browser)
            stack.callback(made.close)
            yield made
