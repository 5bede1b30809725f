"""Reads everything that somebody can reach: every route with every row, and whatever the answers lead to."""

import html
import re
import uuid
from collections import Counter, deque
from collections.abc import Iterator
from itertools import product
from typing import Any

from django.test import Client

from tests.isolation.routes import Route, routes
from tests.isolation.test_routes import SECRETS, WITHOUT_ROWS, body, objects_of

LINK = re.compile(r"""(?:href|src|action|hx-get|data-[a-z-]*url)=["'](/[^"'#]*)|"(/api/[^"]*)\"""")
LEFT_ALONE = ("/static/", "/accounts/logout/", "/admin/logout/")
MOST_QUERIES_OF_A_PATH = 5
"""A list that can be sorted and filtered has more addresses than anybody reads."""
MOST_ROWS_OF_THE_BACK_OFFICE = 2


def crawl(browser: Client) -> Iterator[tuple[str, str]]:
    """Each address with all that was answered there: status, headers, and the words of the body, of PDFs too.

    The broker must be in scope: the crawler knows every id there is, which is more than anybody learns.
    """
    waiting = deque(address for route in routes() for address in _addresses(route))
    seen = set(waiting)
    queries: Counter[str] = Counter()
    while waiting:
        address = waiting.popleft()
        answer = browser.get(address)
        said = body(answer)
        yield address, f"{answer.status_code} {answer.headers} {said}"
        for link in LINK.finditer(said):
            found = html.unescape(link[1] or link[2])
            path = found.partition("?")[0]
            if found in seen or found.startswith(LEFT_ALONE) or queries[path] >= MOST_QUERIES_OF_A_PATH:
                continue
            queries[path] += 1
            seen.add(found)
            waiting.append(found)


def _addresses(route: Route) -> Iterator[str]:
    address = route.address() if not route.parameters else ""
    if route.name in SECRETS or address.startswith(LEFT_ALONE):
        return
    if not route.parameters:
        yield address
        return
    models = objects_of(route)
    if not models:
        yield route.address(*WITHOUT_ROWS[route.name])
        return
    most = MOST_ROWS_OF_THE_BACK_OFFICE if route.template.startswith("admin/") else None
    for rows in product(*(_identifiers(model, most) for model in models)):
        yield route.address(*rows)


def _identifiers(model: Any, most: int | None) -> list[Any]:
    """What addresses name all rows by, or the first and last few; nobody's where there is none."""
    rows = list(model.objects.order_by("pk"))
    if most is not None:
        names, rows = ["pk"], rows[:most] + rows[most:][-most:]
    else:
        names = ["token", "public_id"]
    found = [getattr(row, name) for row in rows for name in names if getattr(row, name, None)]
    return found or [row.pk for row in rows] or [uuid.uuid4()]
