"""What each page asks the database: few statements, and no more of them for many rows than for few."""

import time
from dataclasses import dataclass

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.every_page.multiplied import multiply
from tests.every_page.pages import PAGES, Page, address_of
from tests.every_page.site import HOST, Site
from tests.worlds import signed_in

MOST_QUERIES = 12
TRANSACTIONS = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")
#: Statements above that, of pages that are known to need more; those do not grow with the rows either.
MORE = {
    # The fees accrued there, read when the account has been priced anew and kept until it is again.
    "accounts:managed-account": 4,
    # Sums by client and by level of agents, and where each payment is.
    "fees:agent": 8,
}
READ = [page for page in PAGES if not page.steps]


@dataclass(frozen=True, slots=True)
class Looks:
    """The statements of each page, before there were many rows and then."""

    few: dict[Page, list[str]]
    many: dict[Page, list[str]]


@pytest.fixture(scope="module")
def looks(site: Site) -> Looks:
    # Committed: pages that ask the trading server may not do so inside a transaction.
    browsers = {page: _browser(page, site) for page in READ}
    few = {page: _asked(browsers[page], page, site) for page in READ}
    multiply(site.people)
    return Looks(few, {page: _asked(browsers[page], page, site) for page in READ})


@pytest.mark.parametrize("page", READ, ids=str)
def test_page_asks_little_however_many_rows_there_are(page: Page, looks: Looks) -> None:
    few, many = looks.few[page], looks.many[page]
    assert len(few) <= MOST_QUERIES + MORE.get(page.route, 0), "\n".join(["", *few])
    assert len(many) <= len(few), "\n".join(["", *many])


def _browser(page: Page, site: Site) -> Client:
    """Somebody who has just confirmed who he is, as in the browser of the other tests."""
    if not page.who:
        return Client(HTTP_HOST=HOST)
    user = site.people.user(page.who)
    browser = signed_in(user)
    session = browser.session
    factors = session.get("account_authentication_methods", [])
    now = time.time()
    session["account_authentication_methods"] = [
        {"method": "password", "at": now},
        *({**factor, "at": now} for factor in factors),
    ]
    session["account_authentication_methods_user"] = str(user.pk)
    session.save()
    return browser


def _asked(browser: Client, page: Page, site: Site) -> list[str]:
    """The statements of one look with nothing in the cache."""
    address = address_of(page, site.people)
    cache.clear()
    with CaptureQueriesContext(connection) as queries:
        answer = browser.get(address)
    assert answer.status_code == page.status, address
    statements = [query["sql"] for query in queries.captured_queries]
    return [" ".join(sql.split())[:300] for sql in statements if not sql.startswith(TRANSACTIONS)]
