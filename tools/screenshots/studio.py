"""The demo as it is pictured: a year of history that ends at one moment, at which the pages' clock stands."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import time_machine
from django.conf import settings

from accounts.models import User
from brokers.models import HostName
from brokers.scope import broker_scope
from events.models import Notification
from events.services import deliver_notifications
from pamm_platform.embedded import Services
from tests.databases import TestDatabases
from tests.every_page.pages import BACK_OFFICE, PAGES, address_of
from tests.every_page.people import People
from tests.every_page.site import HOST, Site, launched_chromium, load_past, start_pages
from tests.simulator import MANAGER_PASSWORD
from tools.bench.database import Database
from tools.chromium import chromium
from tools.screenshots.fonts import font_configuration
from tools.screenshots.moment import HISTORY_ENDS, MOMENT

APPLICATION = "tools.screenshots.standing_clock"


@contextmanager
def studio(services: Services, *, days: int, language: str) -> Iterator[Site]:
    """Broker `alpha` of the demo, served and prepared; the broker is in scope."""
    databases = TestDatabases(services)
    databases.prepare()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="screenshots-")))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("SIMULATOR_MANAGER_PASSWORD", MANAGER_PASSWORD)
        patch.setenv("SCREENSHOT_MOMENT", MOMENT.isoformat())
        database = Database(services, stack.enter_context(databases.clone()))
        stack.enter_context(database.application())
        load_past(folder, stack, lambda said: print(f"  {said}"), days=days, until=HISTORY_ENDS)
        port = start_pages(folder, stack, application=APPLICATION)
        settings.PUBLIC_ADDRESS = f"http://{{host}}:{port}"
        fonts = font_configuration(folder)
        browser = stack.enter_context(launched_chromium(chromium(), FONTCONFIG_FILE=str(fonts)))
        stack.enter_context(broker_scope(HostName.objects.get(host=HOST).broker_id))
        people = People()
        with time_machine.travel(MOMENT, tick=False):
            _prepare(people, language)
        site = Site(f"http://{HOST}:{port}", people, browser, now=MOMENT.timestamp)
        stack.callback(site.close)
        yield site


def _prepare(people: People, language: str) -> None:
    """Every row that some page needs, made at the pictures' moment; the latest news are unread."""
    if language != "en":
        # Pages follow the browser's language; e-mails that of who gets them.
        User.objects.update(language=language)
    for page in (*PAGES, *BACK_OFFICE):
        address_of(page, people)
    while deliver_notifications():
        pass
    Notification.objects.filter(kind="request_executed").update(read_at=None)
