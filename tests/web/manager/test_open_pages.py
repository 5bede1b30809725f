"""Pages that are left open ask for what moved, at their own address and behind their own gate."""

import json
import re
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import PammAccount
from tests.web.manager.conftest import Visit
from tests.web.manager.pools import deposit_request, investor
from tests.worlds import AliceBobCharlie

MOST_QUERIES = 12
LIVE = re.compile(r'<div id="([\w-]+)" data-live-piece hx-get="([^"]+)"[^>]*hx-headers="([^"]+)"')
PAGES = ("overview", "account", "approvals", "requests", "request", "offer", "portfolio", "investment")


@pytest.fixture
def pages(world: AliceBobCharlie, visit: Visit) -> dict[str, tuple[Client, str]]:
    """Who reads which page where."""
    request = deposit_request(investor(world.pool), "200.00")
    alice, bob, owner = visit(world.alice), visit(world.bob), visit(request.investment.owner)
    return {
        "overview": (alice, "/manage/"),
        "account": (alice, f"/manage/accounts/{world.pool.account.public_id}/"),
        "approvals": (alice, "/manage/requests/"),
        "requests": (owner, "/requests/"),
        "request": (owner, f"/requests/{request.public_id}/"),
        "offer": (Client(SERVER_NAME="alpha.localhost"), f"/offers/{world.pool.offer.public_id}/"),
        "portfolio": (bob, "/portfolio/"),
        "investment": (bob, f"/investments/{world.pool.investment.public_id}/"),
    }


def _poll(browser: Client, address: str) -> tuple[str, dict[str, str]]:
    """What the page in the browser will ask, as htmx asks it."""
    for element, url, headers in LIVE.findall(browser.get(address).content.decode()):
        if element != "bell":
            asked = {"HX-Request": "true", "HX-Target": element, **json.loads(unescape(headers))}
            return unescape(url), asked
    raise AssertionError(f"nothing on {address} keeps itself up to date")


def _asked(browser: Client, poll: tuple[str, dict[str, str]]) -> Any:
    url, headers = poll
    return browser.get(url, headers=headers)


@pytest.mark.parametrize("page", PAGES)
def test_open_page_is_answered_without_a_body_until_something_moved(
    page: str, pages: dict[str, tuple[Client, str]]
) -> None:
    browser, address = pages[page]
    poll = _poll(browser, address)
    with CaptureQueriesContext(connection) as queries:
        same = _asked(browser, poll)
    assert (same.status_code, same.content) == (304, b"")
    # The account's fees are read when it has been priced anew only.
    assert len(queries) <= MOST_QUERIES, "\n".join(query["sql"][:200] for query in queries.captured_queries)
    assert "no-store" in same["Cache-Control"]


def test_figures_of_an_account_are_sent_anew_when_they_moved(
    pages: dict[str, tuple[Client, str]], world: AliceBobCharlie
) -> None:
    browser, address = pages["account"]
    poll = _poll(browser, address)
    PammAccount.objects.filter(pk=world.pool.account.pk).update(last_equity=1234)
    changed = _asked(browser, poll)
    assert changed.status_code == 200
    assert "1,234.00" in changed.content.decode()
    assert changed["ETag"] != poll[1]["If-None-Match"]


@pytest.mark.parametrize("page", ["overview", "account", "approvals", "requests", "request"])
def test_who_was_signed_out_meanwhile_is_sent_to_the_sign_in_page_not_into_the_piece(
    page: str, pages: dict[str, tuple[Client, str]]
) -> None:
    browser, address = pages[page]
    poll = _poll(browser, address)
    browser.logout()
    answer = _asked(browser, poll)
    assert (answer.status_code, answer["HX-Refresh"]) == (204, "true")
    assert browser.get(address).status_code == 302


def test_piece_of_a_strangers_page_does_not_exist(
    pages: dict[str, tuple[Client, str]], world: AliceBobCharlie, visit: Visit
) -> None:
    stranger = visit(world.bob)
    for page in ("account", "request"):
        assert _asked(stranger, _poll(*pages[page])).status_code == 404
