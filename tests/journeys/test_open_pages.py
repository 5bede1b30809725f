"""Pages that are left open: nothing is sent while nothing moved, the new figures come after a rollover, and
whoever reads keeps his place, what he opened, what he ticked and the focus.
"""

from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Response, expect

from accounts.models import PersonalAccount
from allocation.models import Investment
from investing.services import request_first_deposit
from offers.models import Offer
from tests.circle.world import terms
from tests.journeys.conftest import EnterSite, House
from tests.journeys.rolling import roll
from tests.worlds import PASSWORD
from track_record.services import refresh_statistics

A_WHILE = 31_000
"""Milliseconds; the slowest page asks twice a minute."""


@dataclass
class OpenPage:
    """A tab that its reader has left open, with everything that its piece was answered."""

    tab: Page
    piece: str
    answers: list[int] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    before: int = 0
    """How many answers there were before the rollover."""

    def watch(self) -> None:
        self.tab.on("response", self._note)
        self.tab.on("console", self._note_console)
        self.tab.on("pageerror", lambda error: self.troubles.append(str(error)))

    def let_time_pass(self) -> None:
        """The timers of the page run as if half a minute had gone by."""
        asked = len(self.answers)
        self.tab.clock.run_for(A_WHILE)
        for _look in range(200):
            if len(self.answers) > asked:
                break
            self.tab.wait_for_timeout(25)
        assert len(self.answers) > asked, f"{self.piece} asked for nothing"
        # What was answered is put in place.
        self.tab.clock.run_for(100)

    def _note(self, response: Response) -> None:
        if response.request.headers.get("hx-target") == self.piece:
            self.answers.append(response.status)

    def _note_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and "304" not in message.text:
            self.troubles.append(message.text)


@pytest.fixture(scope="module")
def ida(house: House) -> Investment:
    """Invested with 1,000.00, no fee; the offer is new to nobody."""
    desk = house.desk
    account = desk.pamm_account(house.manager("hugo", "5000"), "1000.00", name="Harrier")
    offer = desk.offer(account, terms((None, "0"), no_performance_fee=True), name="Open")
    investment = desk.invest(desk.client("ida", "5000"), offer, "1000.00")
    roll(desk, account)
    account.refresh_from_db()
    refresh_statistics([account])
    _ask(house, offer, "jonas")
    return investment


def _ask(house: House, offer: Offer, name: str) -> None:
    personal: PersonalAccount = house.desk.client(name, "1000")
    request_first_deposit(
        owner=personal.user,
        offer=offer,
        terms=offer.terms.get(),
        personal_account=personal,
        amount=Decimal(500),
        idempotency_key=name,
    )


def test_open_pages_follow_a_rollover_and_leave_their_reader_where_he_is(
    house: House, ida: Investment, enter: EnterSite, browser: Browser
) -> None:
    desk, account = house.desk, ida.account
    assert ida.terms is not None
    offer = ida.terms.offer
    readers = {"ida": ida.owner.email, "hugo": account.manager.user.email}
    visitors = {name: enter(f"{name}-reads", viewport={"width": 1280, "height": 700}) for name in readers}
    for name, email in readers.items():
        visitors[name].sign_in(email, PASSWORD)

    def left_open(name: str, address: str, piece: str) -> OpenPage:
        tab = visitors[name].page.context.new_page()
        tab.clock.install()
        page = OpenPage(tab, piece)
        page.watch()
        tab.goto(address)
        return page

    portfolio = left_open("ida", "/portfolio/", "portfolio-figures")
    investment = left_open("ida", f"/investments/{ida.public_id}/", "investment-figures")
    overview = left_open("hugo", "/manage/", "accounts-figures")
    managed = left_open("hugo", f"/manage/accounts/{account.public_id}/", "account-figures")
    approvals = left_open("hugo", "/manage/requests/", "approval-rows")
    record = left_open("ida", f"/offers/{offer.public_id}/", "offer-figures")
    desk.withdraw(ida, "50.00")
    requests = left_open("ida", "/requests/", "request-rows")
    everything = (portfolio, investment, overview, managed, approvals, record, requests)
    for page in everything:
        # The withdrawal may have come between the page and its first question.
        page.let_time_pass()
        page.let_time_pass()
        assert page.answers[-1] == 304, page.piece
        expect(page.tab.locator(f"#{page.piece}")).not_to_be_empty()

    # Each reader is in the middle of something.
    investment.tab.get_by_text("How these figures come about").click()
    managed.tab.get_by_role("button", name="1M").click()
    approvals.tab.get_by_label("Choose the request of Jonas").check()
    record.tab.get_by_text("Sharpe").first.click()
    portfolio.tab.locator("#portfolio-figures").get_by_role("link", name="Harrier").focus()
    record.tab.evaluate("scrollTo(0, 900)")
    requests.tab.locator("#request-rows a").first.focus()

    for page in everything:
        page.before = len(page.answers)
    desk.bring_price_to(account, Decimal("1.10"))
    roll(desk, account)
    account.refresh_from_db()
    refresh_statistics([account])
    _ask(house, offer, "kurt")
    for page in everything:
        page.let_time_pass()
        assert 200 in page.answers[page.before :], (page.piece, page.answers)

    expect(portfolio.tab.locator("[data-live=net-USD]")).to_contain_text("1,050.00")
    expect(portfolio.tab.locator("#portfolio-figures").get_by_role("link", name="Harrier")).to_be_focused()
    expect(investment.tab.locator("[data-live=net]")).to_contain_text("1,050.00")
    expect(investment.tab.get_by_text("Your units", exact=True)).to_be_visible()
    expect(overview.tab.locator("#accounts-figures")).to_contain_text("2,150.00 USD")
    expect(managed.tab.locator("#account-figures")).to_contain_text("2,150.00 USD")
    expect(managed.tab.get_by_role("button", name="1M")).to_have_attribute("aria-pressed", "true")
    expect(managed.tab.locator("#price-chart canvas").first).to_be_visible()
    expect(approvals.tab.get_by_label("Choose the request of Jonas")).to_be_checked()
    expect(approvals.tab.get_by_label("Choose the request of Kurt")).not_to_be_checked()
    expect(record.tab.locator("#offer-figures .headline")).to_contain_text("10")
    expect(record.tab.locator("details.term[open]").first).to_be_visible()
    assert record.tab.evaluate("scrollY") == 900
    expect(requests.tab.locator("tbody tr").first).to_contain_text("Executed")
    expect(requests.tab.locator("#request-rows a").first).to_be_focused()
    assert [trouble for page in everything for trouble in page.troubles] == []
