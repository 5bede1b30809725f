"""Accrued fees on the audit's page: at once where they are cheap, else when somebody asks."""

import re

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from rollover.models import Rollover
from tests.back_office.pools import quiet_pool
from tests.offers.drafts import plain

LINK = "accrued at this rollover"


def page(auditor: Client, rollover: Rollover, query: str = "") -> str:
    answer = auditor.get(reverse("admin:rollover_rollover_audit", args=[rollover.public_id]) + query)
    assert answer.status_code == 200
    return plain(answer.content.decode())


def cells_of_bob(shown: str) -> list[str]:
    """Two of his line: accrued, and net."""
    (row,) = re.findall(r'<tr id="of-[0-9a-f-]+">.*?</tr>', shown, re.DOTALL)
    return [
        re.sub(r"<[^>]*>", " ", cell).strip() for cell in re.findall(r"<td.*?</td>", row, re.DOTALL)[-3:-1]
    ]


def test_newest_rollover_shows_what_has_accrued_at_once(auditor: Client) -> None:
    _pool, rollovers = quiet_pool()
    accrued, net = cells_of_bob(page(auditor, rollovers[3]))
    assert accrued.split() == ["40.00", "Performance", "fee:", "40.00"]
    assert net == "1,160.00"


def test_past_rollover_shows_it_once_somebody_has_asked(auditor: Client) -> None:
    pool, rollovers = quiet_pool()
    asked = page(auditor, rollovers[1])
    bobs = pool.investments["bob"].public_id
    assert f'<a href="?page=1&amp;accrued=1#of-{bobs}" rel="nofollow">{LINK}</a>' in asked
    for query in ("?page=1&accrued=1", ""):
        shown = page(auditor, rollovers[1], query)
        assert LINK not in shown, "the second time nobody has to ask"
        assert cells_of_bob(shown)[1] == "1,080.00"
    assert LINK in page(auditor, rollovers[2])


def test_accrued_fees_of_many_cost_the_page_no_more_statements(auditor: Client) -> None:
    _pool, rollovers = quiet_pool(investors=7)

    def statements(query: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            shown = page(auditor, rollovers[1], query)
        assert (shown.count("1,080.00") == 7) is bool(query)
        return len(captured)

    page(auditor, rollovers[0])
    plain_page = statements("")
    page(auditor, rollovers[1], "?accrued=1")
    assert statements("?accrued=1") == plain_page
