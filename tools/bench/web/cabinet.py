"""The pages of cabinets and public pages beside a bare Django page."""

from contextlib import ExitStack
from pathlib import Path

from brokers.models import HostName
from brokers.scope import broker_scope
from events.services import deliver_notifications
from tests.every_page.people import People
from tests.every_page.site import HOST, load_past
from tools.bench.database import Database
from tools.bench.web.contest import Served, Visit
from tools.bench.web.crowd import CrowdSizes, Planner, broker_of
from tools.bench.web.serving import serve
from tools.bench.web.walk import visits_of

FLOOR, PRODUCT = "bare page", "cabinet"
DAYS = 365


def contestants(
    database: Database,
    folder: Path,
    stack: ExitStack,
    *,
    sizes: CrowdSizes,
    times: int,
    days: int = DAYS,
) -> dict[str, Served]:
    """Both, up and answering; Django of this process is connected to `database` as the application.

    `times`: how often each session looks at each page in a round. The floor is looked at a quarter as often
    as all pages together: there is but one of it.
    """
    visits = _loaded(database, folder, stack, sizes, days)
    bare = [Visit(FLOOR, "/")]
    return {
        FLOOR: Served(serve(folder, stack, "tools.bench.web.bare"), bare, max(1, times * len(visits) // 4)),
        PRODUCT: Served(serve(folder, stack, "tools.bench.web.product"), visits, times),
    }


def _loaded(database: Database, folder: Path, stack: ExitStack, sizes: CrowdSizes, days: int) -> list[Visit]:
    load_past(folder, stack, days=days, plans=(broker_of(sizes),), planner=Planner(sizes))
    with broker_scope(HostName.objects.get(host=HOST).broker_id):
        visits = visits_of(People())
        while deliver_notifications():
            pass
    database.vacuum()
    return visits
