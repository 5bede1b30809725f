"""Which route is a page, and as whom and with which rows in its address it is looked at.

A new route of cabinet, public pages or widgets belongs either into `PAGES` or, with the reason, into
`NO_PAGES`: the tests fail until it does. `BACK_OFFICE` are the pages of the staff that matter most; they are
pictured, too. `address_of` says where a page is, `opened` goes there.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from playwright.sync_api import Response

from rollover.models import Rollover
from tests.every_page.people import (
    ADMIN,
    AGENT,
    INVESTOR,
    MANAGER,
    NEWCOMER,
    SECURED,
    STAFF,
    VISITOR,
    People,
)
from tests.isolation.routes import Route, routes
from tests.journeys.visitor import Visitor

NO_SHEETS = "document.querySelectorAll('[data-sheet]').forEach((one) => one.removeAttribute('data-sheet'))"

Rows = Callable[[People], tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Page:
    """A route as somebody sees it. `rows` are the values in its path; `query` follows it, filled with what
    `chosen` names. `state` tells it from another look at the same route.

    `steps` are taken in the page before it is judged: a selector and what to type there, or None to click.
    """

    route: str
    who: str
    rows: Rows = lambda people: ()
    query: str = ""
    chosen: Rows = lambda people: ()
    steps: tuple[tuple[str, str | None], ...] = ()
    status: int = 200
    state: str = ""

    def __str__(self) -> str:
        after = f"-after-{len(self.steps)}" if self.steps else ""
        state = f"-{self.state}" if self.state else ""
        return f"{self.route}{self.query}{after}{state}-{self.who or 'visitor'}"

    @property
    def file_name(self) -> str:
        """Of what is kept of it, without an ending; no other page has it."""
        return re.sub(r"\W+", "-", str(self))


def _offer(people: People) -> tuple[Any, ...]:
    return (people.offer.public_id,)


def _investment(people: People) -> tuple[Any, ...]:
    return (people.investment.public_id,)


def _account(people: People) -> tuple[Any, ...]:
    return (people.account.public_id,)


def _request(people: People) -> tuple[Any, ...]:
    return (people.request.public_id,)


def _file(state: str) -> Rows:
    return lambda people: (people.files[state].public_id,)


def _files(people: People) -> tuple[Any, ...]:
    assert people.files
    return ()


def _told(people: People) -> tuple[Any, ...]:
    assert people.told
    return ()


def _owner(people: People) -> tuple[Any, ...]:
    return (people.investment.owner.public_id,)


def _outdated(people: People) -> tuple[Any, ...]:
    assert people.newer_terms
    return (people.investment.public_id,)


def _with_stop(people: People) -> tuple[Any, ...]:
    return (people.stop.investment.public_id,)


def _rollover(people: People) -> tuple[Any, ...]:
    """The latest one that charged fees: its audit has most to show."""
    point = people.charge.price_point_id
    return (Rollover.objects.get(price_point_id=point).public_id,)


PAGES = (
    # Visitors.
    Page("offers:leaderboard", VISITOR),
    Page("offers:leaderboard", VISITOR, query="?q=nothing-is-called-like-this"),
    Page("offers:offer", VISITOR, _offer),
    Page("offers:comparison", VISITOR),
    Page("offers:comparison", VISITOR, query="?offer={}&offer={}", chosen=lambda people: people.two_offers),
    Page("offers:simulator", VISITOR, _offer),
    Page("trades:offer", VISITOR, lambda people: (people.delayed_offer.public_id,)),
    Page("trades:offer", VISITOR, lambda people: (people.delayed_offer.public_id,), "?since=2030-01-01"),
    Page("trades:offer", VISITOR, lambda people: (people.hidden_offer.public_id,), state="hidden"),
    Page("trades:offer", VISITOR, lambda people: (people.open_offer.public_id,), state="open"),
    Page("offers:offer", VISITOR, lambda people: (people.open_offer.public_id,), state="open"),
    Page("offers:by-link", VISITOR, lambda people: (people.link.token,)),
    Page("accounts:trading-login", VISITOR),
    Page("account_login", VISITOR),
    Page("account_signup", VISITOR),
    Page("account_reset_password", VISITOR),
    Page("account_reset_password_done", VISITOR),
    Page("account_reset_password_from_key", VISITOR, lambda people: ("nobodys", "key")),
    Page("account_reset_password_from_key_done", VISITOR),
    Page("account_email_verification_sent", VISITOR),
    Page("account_confirm_email", VISITOR, lambda people: ("nobodys",)),
    Page("account_inactive", VISITOR),
    Page("offers:offer", VISITOR, lambda people: (people.investment.public_id,), status=404, state="missing"),
    Page("widgets:leaderboard", VISITOR),
    Page("widgets:leaderboard", VISITOR, query="?theme=dark&count=3"),
    Page("widgets:offer", VISITOR, _offer),
    Page("brokers:design", VISITOR),
    Page("brokers:design-sheet", VISITOR),
    # Investors.
    Page("offers:leaderboard", INVESTOR),
    Page("offers:offer", NEWCOMER, _offer),
    Page("offers:join", NEWCOMER, _offer),
    Page(
        "offers:join",
        NEWCOMER,
        _offer,
        steps=(("#id_amount", "5000"), ("#content form [type=submit]", None)),
    ),
    Page("allocation:portfolio", INVESTOR),
    Page("allocation:portfolio", NEWCOMER),
    Page("allocation:investment", INVESTOR, _investment),
    Page("trades:investment", INVESTOR, _investment),
    Page("investing:deposit", INVESTOR, _investment),
    Page(
        "investing:deposit",
        INVESTOR,
        _investment,
        steps=(("#id_amount", "500"), ("#content form [type=submit]", None)),
    ),
    Page("investing:withdraw", INVESTOR, _investment),
    Page(
        "investing:withdraw",
        INVESTOR,
        _investment,
        steps=(("#id_amount", "10"), ("#content form [type=submit]", None)),
    ),
    Page("investing:close", INVESTOR, _investment),
    Page("investing:stops", INVESTOR, _with_stop),
    Page(
        "investing:stops",
        INVESTOR,
        _with_stop,
        steps=(("#id_take_profit", "9000"), ("#content form [type=submit]", None)),
    ),
    Page("investing:remove-stop", INVESTOR, _with_stop, query="?stop=stop_loss"),
    Page("investing:requests", INVESTOR),
    Page("investing:requests", NEWCOMER),
    Page("investing:request", INVESTOR, _request),
    Page("investing:cancel", INVESTOR, _request),
    Page("investing:terms", INVESTOR, _outdated),
    Page("accounts:trading-accounts", INVESTOR),
    Page("accounts:profile", INVESTOR),
    Page("accounts:profile", SECURED),
    Page("accounts:sign-out-elsewhere", INVESTOR),
    Page("account_logout", INVESTOR),
    Page("account_reauthenticate", INVESTOR),
    Page("account_email", INVESTOR),
    Page("account_change_password", INVESTOR),
    Page("mfa_index", INVESTOR),
    Page("mfa_activate_totp", INVESTOR),
    Page("mfa_list_webauthn", INVESTOR),
    Page("mfa_add_webauthn", INVESTOR),
    Page("mfa_index", SECURED),
    Page("mfa_deactivate_totp", SECURED),
    Page("mfa_generate_recovery_codes", SECURED),
    Page("statements:investor-page", INVESTOR, query="?period=all"),
    Page("statements:investor-page", NEWCOMER),
    Page("statements:files", INVESTOR, _files),
    Page("statements:files", NEWCOMER),
    Page("statements:file", INVESTOR, _file("waiting"), state="waiting"),
    Page("statements:file", INVESTOR, _file("running"), state="running"),
    Page("statements:file", INVESTOR, _file("ready"), state="ready"),
    Page("statements:file", INVESTOR, _file("failed"), state="failed"),
    Page("statements:movement", INVESTOR, lambda people: (people.movement.public_id,)),
    Page("events:notifications", INVESTOR, _told),
    Page("events:notifications", SECURED),
    Page("events:notifications", NEWCOMER, query="?unread=1"),
    Page("events:preferences", INVESTOR),
    # Managers.
    Page("statements:manager-page", MANAGER, query="?period=all"),
    Page("statements:charge", MANAGER, lambda people: (people.charge.public_id,)),
    Page("events:preferences", MANAGER),
    Page("accounts:managed", MANAGER),
    Page("accounts:open-account", MANAGER),
    Page("accounts:managed-account", MANAGER, _account),
    Page("accounts:investors", MANAGER, _account),
    Page("accounts:rollovers", MANAGER, _account),
    Page("accounts:settings", MANAGER, _account),
    Page("accounts:disclosure", MANAGER, _account),
    Page(
        "accounts:disclosure",
        MANAGER,
        _account,
        steps=(("#content input[value=open]", None), ("#content form [type=submit]", None)),
    ),
    Page("accounts:close-account", MANAGER, _account),
    Page("offers:create", MANAGER, _account),
    Page("offers:managed-offer", MANAGER, _offer),
    Page("offers:edit", MANAGER, _offer),
    Page("offers:close", MANAGER, _offer),
    Page("offers:revoke-link", MANAGER, lambda people: (people.offer.public_id, people.own_link.public_id)),
    Page("investing:approvals", MANAGER),
    Page(
        "investing:approvals",
        MANAGER,
        steps=(("input[name=request]", None), ("#confirm-chosen", None)),
    ),
    Page("investing:reject", MANAGER, lambda people: (people.pending.public_id,)),
    Page("fees:income", MANAGER),
    Page("widgets:manage", MANAGER),
    Page("widgets:manage", MANAGER, query="?show=leaderboard&theme=dark"),
    # Agents.
    Page("fees:agent", AGENT),
    Page("fees:agent-clients", AGENT),
    Page("statements:agent-page", AGENT, query="?period=all"),
    # The broker's staff, who read statements of others.
    Page(
        "statements:investor-page-of",
        STAFF,
        lambda people: (people.investment.owner.public_id,),
        "?period=all",
    ),
    Page("statements:manager-page-of", STAFF, lambda people: (people.manager.user.public_id,)),
    Page("statements:agent-page-of", STAFF, lambda people: (people.agent.public_id,)),
)

#: Looked at as pictures only: what other tests say of the back office stands in `tests/back_office`.
BACK_OFFICE = (
    Page("admin:index", STAFF),
    Page("admin:investing_request_changelist", STAFF),
    Page("admin:investing_request_approve", STAFF, lambda people: (people.pending.public_id,)),
    Page("admin:accounts_pammaccount_changelist", STAFF),
    Page("admin:accounts_pammaccount_change", STAFF, lambda people: (people.account.public_id,)),
    Page("admin:allocation_investment_change", STAFF, lambda people: (people.investment.public_id,)),
    Page("admin:rollover_rollover_changelist", STAFF),
    Page("admin:rollover_rollover_change", STAFF, _rollover),
    Page("admin:rollover_rollover_audit", STAFF, _rollover),
    Page("admin:rollover_rollover_order", STAFF),
    Page("admin:rollover_finding_changelist", STAFF),
    Page("admin:transfers_transfer_changelist", STAFF),
    Page("admin:fees_charge_change", STAFF, lambda people: (people.charge.public_id,)),
    Page("admin:ledger_entry_changelist", STAFF),
    Page("admin:outbox_event_changelist", STAFF),
    Page("admin:accounts_user_changelist", ADMIN),
    Page("admin:accounts_user_change", ADMIN, lambda people: (people.investment.owner.public_id,)),
    Page("admin:accounts_user_add_client", ADMIN),
    Page("admin:brokers_broker_change", ADMIN, lambda people: (people.investment.broker.public_id,)),
)

POSTED = "takes a form and leads back to a page"
PIECE = "a piece of a page, which is looked at in it"
FILE = "a file"
MIDWAY = "in the middle of signing in or of confirming it, seen in the journeys"
NO_PAGES = {
    "brokers:brand-stylesheet": FILE,
    "brokers:brand-image": FILE,
    "brokers:brand-icon": FILE,
    "brokers:choose-theme": POSTED,
    "accounts:choose-language": POSTED,
    "offers:start-by-link": "leads on to the steps of joining",
    "accounts:decline-invitation": POSTED,
    "offers:move": POSTED,
    "offers:add-link": POSTED,
    "allocation:portfolio-figures": PIECE,
    "allocation:investment-figures": PIECE,
    "trades:offer-csv": FILE,
    "trades:investment-csv": FILE,
    "allocation:entries-csv": FILE,
    "allocation:charges-csv": FILE,
    "investing:requests-csv": FILE,
    "fees:income-csv": FILE,
    "fees:agent-csv": FILE,
    **{
        f"statements:{kind}-{what}{suffix}": reason
        for kind in ("investor", "manager", "agent")
        for suffix in ("", "-of")
        for what, reason in (("csv", FILE), ("pdf", FILE), ("prepare", POSTED))
    },
    "statements:file-progress": PIECE,
    "statements:retry": POSTED,
    "statements:download": FILE,
    "events:bell": PIECE,
    "events:read-all": POSTED,
    "events:open": POSTED,
    "events:read": POSTED,
    "account_set_password": "only for people without a password, of whom there are none",
    "account_confirm_login_code": MIDWAY,
    "mfa_authenticate": MIDWAY,
    "mfa_reauthenticate": MIDWAY,
    "mfa_reauthenticate_webauthn": MIDWAY,
    "mfa_login_webauthn": "an answer to the script of the sign-in page",
    "mfa_view_recovery_codes": "shown once only, after they were made",
    "mfa_download_recovery_codes": FILE,
    "mfa_remove_webauthn": "needs a passkey",
    "mfa_edit_webauthn": "needs a passkey",
}
ELSEWHERE = ("admin/", "api/")


@cache
def _routes() -> dict[str, Route]:
    return {route.name: route for route in routes()}


def address_of(page: Page, people: People) -> str:
    """Path and query."""
    return _routes()[page.route].address(*page.rows(people)) + page.query.format(*page.chosen(people))


def opened(page: Page, window: Visitor, people: People) -> Response:
    """Go to the page and take its steps; the answer that brought what is shown in the end."""
    tab = window.page
    if page.status != 200:
        window.expect(page.status)
    answer = tab.goto(address_of(page, people))
    assert answer is not None
    assert answer.status == page.status, f"{answer.status} for {answer.url}"
    if page.steps:
        # A question is looked at as the page that it is without JavaScript.
        tab.evaluate(NO_SHEETS)
    for selector, typed in page.steps:
        element = tab.locator(selector).first
        if typed is not None:
            element.fill(typed)
        elif element.get_attribute("type") in {"checkbox", "radio"}:
            element.check()
        else:
            with tab.expect_navigation() as leaving:
                element.click()
            answer = leaving.value
            assert answer is not None
    window.wait_for_answers()
    return answer
