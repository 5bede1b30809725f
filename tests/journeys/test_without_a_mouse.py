"""Everything an investor, a newcomer and a manager do, by keyboard alone: no pointer touches a page."""

import re
import time
from decimal import Decimal
from uuid import uuid4

import pytest
from playwright.sync_api import expect

from accounts.models import PammAccount, PersonalAccount
from allocation.models import Investment
from investing.models import Request
from investing.services import request_first_deposit
from offers.models import JoinLink, Offer
from offers.services import create_join_link
from tests.circle.world import terms
from tests.journeys.conftest import EnterSite, House
from tests.journeys.keyboard import Keys
from tests.journeys.rolling import roll
from tests.journeys.visitor import address_in
from tests.worlds import PASSWORD, totp_code

DESK = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"}
PATIENCE_SECONDS = 30.0


@pytest.fixture(scope="module")
def gerda(house: House, dora: PersonalAccount) -> PersonalAccount:
    """Invested with 1,000.00 beside Dora."""
    gerda = house.desk.client("gerda", "5000")
    offer = Offer.objects.get(name="Gentle")
    house.desk.invest(gerda, offer, "1000.00")
    roll(house.desk, offer.account)
    return gerda


def keys_of(enter: EnterSite, person: PersonalAccount | None, name: str) -> Keys:
    visitor = enter(f"{name}-without-a-mouse", **DESK)
    if person is not None:
        visitor.sign_in(person.user.email, PASSWORD)
    return Keys(visitor)


def test_visitor_finds_compares_and_simulates(dora: PersonalAccount, enter: EnterSite) -> None:
    keys = keys_of(enter, None, "visitor")
    page = keys.page
    page.goto("/")
    assert keys.tab() == "Skip to content"
    keys.press("Enter")
    assert keys.tab() == "Search"

    # Arrows and letters choose; only Enter asks the server.
    keys.choose("Sort by", "Lowest m")
    assert "sort" not in page.url
    keys.is_at("Sort by")
    keys.send()
    expect(page).to_have_url(re.compile("sort=minimum"))
    keys.to("More filters")
    keys.press("Enter")
    keys.write("I want to invest", "100")
    keys.send()
    names = page.locator(".offer-name").all_inner_texts()
    assert "Steady" in names
    assert "Bold" not in names

    page.goto("/")
    keys.tick("Compare Steady")
    keys.tick("Compare Bold")
    expect(page.locator("[data-count]")).to_contain_text("2 of 4")
    keys.enter("Compare side by side")
    expect(page.locator(".comparison-name")).to_have_count(2)
    keys.enter("Remove Bold")
    expect(page.locator(".comparison-name")).to_have_text(["Steady"])
    keys.enter("Steady")
    keys.to("1 month")
    keys.press("Enter")
    expect(page.locator(".range[aria-current=true]")).to_have_count(1)
    keys.to("Largest drawdown")
    keys.press("Enter")
    expect(page.locator("details.term[open] p").first).to_be_visible()

    keys.enter("See what fees would cost")
    result = page.locator("#simulation .headline")
    before = result.inner_text()
    keys.write("Return per month", "3")
    expect(result).not_to_have_text(before)
    keys.is_at("Return per month")
    assert keys.tab(back=True) == "Steady"
    keys.press("ArrowDown")
    expect(page).to_have_url(re.compile("path=up_and_down"))
    keys.is_at("Up and down")


def test_investor_moves_money_and_changes_her_mind(
    gerda: PersonalAccount, house: House, enter: EnterSite
) -> None:
    keys = keys_of(enter, gerda, "gerda")
    page, sees = keys.page, keys.visitor.sees
    keys.enter("Portfolio")
    keys.enter("Steady")
    keys.enter("Add money")
    keys.is_at("How much do you want to add?")
    page.keyboard.type("300")
    keys.enter("Check the costs")
    keys.enter(re.compile("Add 300|Confirm|Invest"))
    sees("We have your request")
    keys.enter("Requests")
    sheet = keys.open_sheet("Cancel", "Cancel the request?")
    expect(sheet).to_contain_text("No money has moved.")
    keys.enter("Cancel the request")
    expect(page.locator("tbody tr").first).to_contain_text("Cancelled")

    keys.enter("Portfolio")
    keys.enter("Steady")
    keys.enter("Withdraw")
    keys.is_at("How much do you want to receive?")
    page.keyboard.type("200")
    keys.enter("See what it costs")
    keys.enter("Withdraw")
    sees("We have your request")

    keys.enter("See the investment")
    keys.enter("Set a stop")
    keys.write("Stop loss", "400")
    keys.to("+")
    keys.press("Enter")
    assert page.locator("#id_take_profit").input_value()
    keys.enter("See what it means")
    keys.enter("Confirm")
    keys.enter("Change or remove")
    keys.open_sheet("Remove the stop loss", "Remove the stop loss?")
    keys.enter("Remove it")
    assert "Take profit" in keys.visitor.facts()
    assert "Stop loss" not in keys.visitor.facts()

    roll(house.desk, Offer.objects.get(name="Gentle").account)
    keys.enter("Portfolio")
    keys.enter("Steady")
    sheet = keys.open_sheet("Close", "Close the investment?")
    expect(sheet).to_contain_text("A closed investment cannot be reopened")
    keys.visitor.take_picture("sheet-close")
    keys.enter("Close and pay out")
    sees("We have your request")
    closes = Request.objects.filter(investment__owner=gerda.user, kind=Request.Kind.CLOSE)
    assert closes.get().state == Request.State.CONFIRMED


def test_investor_reads_and_settles_what_is_his(gerda: PersonalAccount, enter: EnterSite) -> None:
    keys = keys_of(enter, gerda, "reader")
    page = keys.page
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not page.locator(".bell-count").count():
        assert time.monotonic() < deadline, "nobody told her anything"
        page.reload()
    keys.enter(re.compile(r"\d+ unread notification"))
    keys.enter("Mark all as read")
    expect(page.locator(".is-unread")).to_have_count(0)
    keys.enter("Preferences")
    box = page.get_by_role("checkbox", disabled=False).first
    was = box.is_checked()
    keys.tick(str(box.get_attribute("aria-label")))
    keys.enter("Save")
    assert box.is_checked() is not was

    keys.to("Your account")
    keys.press("Enter")
    assert keys.tab() == "Profile and security"
    keys.press("Escape")
    keys.is_at("Your account")
    keys.press("Enter")
    keys.enter("Profile and security")
    keys.write("Last name", "Groot")
    keys.enter("Save")
    expect(page.get_by_label("Last name")).to_have_value("Groot")
    keys.to("Dark theme")
    keys.press("Enter")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    keys.is_at("Light theme")
    sheet = keys.open_sheet("Sign out everywhere else", "Sign out everywhere else?")
    expect(sheet).to_contain_text("You stay signed in here.")
    keys.enter("Sign out everywhere else")
    keys.visitor.sees("You are signed out everywhere else.")
    keys.enter(re.compile("Set up: Authenticator app"))
    assert page.url.endswith("/totp/activate/") or "reauthenticate" in page.url

    keys.enter("Portfolio")
    keys.enter("Statement")
    keys.enter("This year")
    keys.to("CSV")
    with page.expect_download() as download:
        keys.press("Enter")
    assert download.value.suggested_filename.endswith(".csv")


@pytest.mark.usefixtures("demanding")
def test_newcomer_signs_up_by_link_with_a_second_factor(
    invited: JoinLink, house: House, enter: EnterSite
) -> None:
    keys = keys_of(enter, None, "yara")
    page = keys.page
    page.goto(f"/join/{invited.token}/")
    keys.enter("Sign up and invest")
    keys.write("First name", "Yara")
    keys.write("Email", "yara@alpha.example")
    keys.write("Password", PASSWORD)
    keys.tick("I have read and accept the terms")
    keys.enter("Sign up")
    page.goto(address_in(house.letters()))
    keys.enter("Confirm")
    keys.visitor.sees("Authenticator secret")
    keys.write("Authenticator code", totp_code(page.locator("#authenticator_secret").input_value()))
    keys.enter("Activate")
    keys.enter("Continue to the offer")
    keys.enter("Open or connect a trading account")
    keys.enter("Open the account")
    keys.enter("Go on")
    keys.visitor.sees("How much do you want to invest?")


def test_manager_opens_an_account_writes_an_offer_and_confirms(house: House, enter: EnterSite) -> None:
    desk = house.desk
    of_ivan = house.manager("ivan", "5000")
    keys = keys_of(enter, of_ivan, "ivan")
    page, sees = keys.page, keys.visitor.sees
    keys.enter("Manage")
    keys.enter("Open an account")
    keys.write("Name", "Kite")
    keys.write("Own capital", "1000")
    keys.write("Of it must stay at least", "100")
    keys.enter("Review")
    keys.enter("Open the account")
    sees("Write the password down now.")
    keys.enter("Go to the account")
    account = PammAccount.objects.get(name="Kite")

    keys.enter("New offer")
    keys.write("Name", "By return")
    rows = page.locator("#fee .tier-row")
    keys.to("Nothing: one rate")
    keys.press("ArrowDown")
    expect(page.get_by_label("The whole profit")).to_be_visible()
    keys.visitor.wait_for_answers()
    keys.is_at("The return of the interval")
    keys.write("Fee", "10")
    for bound, rate in (("5", "20"), ("10", "30")):
        before = rows.count()
        keys.to("Add a tier")
        keys.press("Enter")
        expect(rows).to_have_count(before + 1)
        # Whoever added a row goes on typing in it.
        keys.is_at("From")
        page.keyboard.type(bound)
        assert keys.tab() == "Fee"
        page.keyboard.type(rate)
    keys.to("Remove tier 2")
    keys.press("Enter")
    expect(rows).to_have_count(2)
    keys.is_at("From")
    expect(page.locator(":focus")).to_have_value("10")
    for name in ("First deposit, at least", "Further deposits, at least", "Must remain, at least"):
        keys.write(name, "100")
    expect(page.get_by_role("heading", name="In plain words")).to_be_visible()
    keys.to("Simulate and compare")
    keys.press("Enter")
    keys.to("Months")
    # Enter in a field asks for the preview in place and loses nothing.
    keys.press("Enter")
    keys.visitor.wait_for_answers()
    keys.is_at("Months")
    keys.enter("Create and open")
    sees("The offer is open.")

    keys.choose("Valid for", "1 day")
    keys.enter("New link")
    sees("The link is ready to be sent.")
    sheet = keys.open_sheet("Revoke", "Revoke the link?")
    expect(sheet).to_contain_text("A revoked link cannot be brought back")
    keys.enter("Revoke the link")
    sees("The link opens nothing any more.")

    offer = Offer.objects.get(account=account)
    for name in ("jana", "karl"):
        personal = desk.client(name, "1000")
        request_first_deposit(
            owner=personal.user,
            offer=offer,
            terms=offer.terms.get(),
            personal_account=personal,
            amount=Decimal(300),
            idempotency_key=str(uuid4()),
        )
    roll(desk, account)
    keys.enter("Approvals")
    keys.tick("Choose the request of Jana")
    keys.tick("Choose the request of Karl")
    sheet = keys.open_sheet("Confirm chosen", "Confirm 2 requests?")
    expect(sheet).to_contain_text("600.00 USD")
    keys.visitor.take_picture("sheet-confirm")
    keys.enter("Confirm")
    sees("2 requests confirmed")
    assert Investment.objects.filter(account=account, requests__state=Request.State.CONFIRMED).count() == 2

    keys.enter("Manage")
    keys.enter("Kite")
    keys.enter("By return")
    keys.to("Close the offer for good")
    keys.press("Enter")
    sheet = keys.open_sheet("Close the offer", "Close the offer “By return” for good?")
    expect(sheet).to_contain_text("This cannot be undone.")
    keys.enter("Close the offer")
    sees("The offer is closed.")


@pytest.fixture
def invited(house: House) -> JoinLink:
    """Somebody's link for one person, at a broker where one opens a trading account oneself."""
    of_manager = house.manager("lotte", "5000")
    account = house.desk.pamm_account(of_manager, "1000.00", name="Heron")
    roll(house.desk, account)
    offer = house.desk.offer(
        account, terms((None, "0.20"), minimum_first=Decimal(50)), name="Invited", visibility="link"
    )
    return create_join_link(offer=offer, single_use=True, by=of_manager.user)
