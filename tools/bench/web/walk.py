"""The pages that are walked, out of the list of all pages: as whom, and under which address."""

import time
from collections.abc import Iterator

from django.conf import settings

from tests.every_page.pages import PAGES, Page, address_of
from tests.every_page.people import NEWCOMER, VISITOR, People
from tests.every_page.site import HOST, session_of
from tools.bench.web.contest import Visit

SESSIONS = 5
"""Of each person: browsers that are signed in at the same time."""

WALKED = {
    "offers:leaderboard", "offers:offer", "offers:comparison", "offers:simulator", "offers:join",
    "widgets:leaderboard", "widgets:offer", "account_login",
    "allocation:portfolio", "allocation:investment", "investing:deposit", "investing:withdraw",
    "investing:stops", "investing:requests", "investing:request", "statements:investor-page",
    "statements:movement", "events:notifications", "events:preferences", "accounts:profile",
    "accounts:trading-accounts",
    "accounts:managed", "accounts:managed-account", "accounts:investors", "accounts:rollovers",
    "offers:managed-offer", "offers:edit", "investing:approvals", "fees:income", "statements:manager-page",
    "fees:agent", "fees:agent-clients", "statements:agent-page",
}  # fmt: skip


def walked(pages: tuple[Page, ...] = PAGES) -> Iterator[Page]:
    """Those of `WALKED` as they are found without doing anything there; a newcomer only joins."""
    for page in pages:
        is_read = not page.steps and page.status == 200
        if page.route in WALKED and is_read and (page.who != NEWCOMER or page.route == "offers:join"):
            yield page


def visits_of(people: People) -> list[Visit]:
    """Each page from every session of whoever looks at it. Makes the rows and sessions that are needed."""
    pages = list(walked())
    cookies = {who: _cookies(people, who) for who in dict.fromkeys(page.who for page in pages)}
    return [
        Visit(str(page), address_of(page, people), _headers(cookie))
        for page in pages
        for cookie in cookies[page.who]
    ]


def _headers(cookie: str) -> dict[str, str]:
    """As they come from a proxy that speaks TLS with a browser."""
    return {
        "Host": HOST,
        "X-Forwarded-Proto": "https",
        "Accept": "text/html",
        "Accept-Encoding": "gzip",
        "Accept-Language": "en",
        **({"Cookie": cookie} if cookie else {}),
    }


def _cookies(people: People, who: str) -> list[str]:
    if who == VISITOR:
        return [""] * SESSIONS
    user = people.user(who)
    return [
        f"{settings.SESSION_COOKIE_NAME}={session_of(user, at=time.time()).session_key}"
        for _ in range(SESSIONS)
    ]
