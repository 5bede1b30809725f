"""An investor with a phone, who joins, changes her mind and is refused; and one without a mouse."""

import re
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import expect

from accounts.models import PersonalAccount
from offers.models import Offer
from offers.services import create_join_link
from tests.circle.world import terms
from tests.journeys.conftest import EnterSite, House
from tests.journeys.rolling import roll
from tests.journeys.visitor import address_in
from tests.worlds import PASSWORD, totp_code

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}


def test_investor_on_a_phone_finds_an_offer_joins_and_cancels(
    house: House, dora: PersonalAccount, enter: EnterSite
) -> None:
    visitor = enter("dora", **PHONE)
    page = visitor.page
    visitor.sign_in(dora.user.email, PASSWORD)
    visitor.open_place("Offers")
    visitor.fits()
    names = page.locator(".offer-name")

    def ours() -> list[str]:
        return [name for name in names.all_inner_texts() if name in {"Steady", "Bold"}]

    with page.expect_navigation():
        page.get_by_label("Sort by").select_option(label="Lowest minimum")
    assert ours() == ["Steady", "Bold"]
    with page.expect_navigation():
        page.get_by_label("Sort by").select_option(label="Smallest drawdown")
    page.get_by_text("More filters").click()
    page.get_by_label("I want to invest").fill("100")
    visitor.press("Show")
    assert ours() == ["Steady"]
    page.goto("/")
    page.get_by_label("Search").fill("oscar")
    visitor.press("Show")
    assert names.all_inner_texts() == ["Bold"]
    visitor.take_picture("phone-offers")

    visitor.follow("Bold")
    expect(page.locator("#price-chart canvas").first).to_be_visible()
    expect(page.locator(".readout")).to_contain_text("Drawdown")
    visitor.fits()
    visitor.take_picture("phone-offer")
    visitor.follow("Invest from 500 USD")
    page.get_by_label("How much do you want to invest?").fill("600")
    visitor.fits()
    visitor.press("Check the costs")
    visitor.fits()
    page.get_by_label("I understand that I can lose money").check()
    visitor.press("Invest 600.00 USD")
    visitor.sees("Waits for the manager's approval.")
    visitor.fits()
    visitor.take_picture("phone-request")

    visitor.open_place("Requests")
    visitor.fits()
    expect(page.locator("tbody tr").first).to_contain_text("Waits for the manager's approval.")
    page.locator("tbody").get_by_role("link", name="Cancel", exact=True).first.click()
    expect(page.get_by_role("dialog", name="Cancel the request?")).to_contain_text("No money has moved.")
    visitor.take_picture("phone-sheet")
    visitor.fits()
    visitor.press("Cancel the request")
    expect(page.locator("tbody tr").first).to_contain_text("Cancelled")
    assert house.desk.balance(dora.login) == Decimal("4000.00")


@pytest.mark.usefixtures("demanding")
def test_visitor_with_a_join_link_becomes_an_investor_and_leaves_with_the_money(
    house: House, enter: EnterSite
) -> None:
    desk = house.desk
    of_manager = house.manager("hanna", "5000")
    harbour = desk.pamm_account(of_manager, "1000.00", name="Harbour")
    offer = desk.offer(
        harbour,
        terms(
            (None, "0"),
            no_performance_fee=True,
            minimum_first=Decimal(50),
            minimum_remaining=Decimal(50),
        ),
        name="Quay",
        visibility=Offer.Visibility.LINK,
        approval=Offer.Approval.AUTOMATIC,
    )
    roll(house.desk, harbour)
    link = create_join_link(offer=offer, single_use=True, by=of_manager.user)

    visitor = enter("petra", **PHONE)
    page = visitor.page
    page.goto(f"/join/{link.token}/")
    visitor.sees("Hanna invites you")
    visitor.fits()
    visitor.take_picture("phone-invitation")
    visitor.follow("Sign up, invest from 50 USD")
    page.get_by_label("First name").fill("Petra")
    page.get_by_label("Email").fill("petra@alpha.example")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("I have read and accept the terms").check()
    visitor.fits()
    visitor.take_picture("phone-sign-up")
    visitor.press("Sign up")
    visitor.fits()
    visitor.take_picture("phone-confirm-address")
    page.goto(address_in(house.letters()))
    visitor.press("Confirm")
    visitor.sees("Authenticator secret")
    visitor.fits()
    visitor.take_picture("phone-second-factor")
    page.get_by_label("Authenticator code").fill(
        totp_code(page.locator("#authenticator_secret").input_value())
    )
    visitor.press("Activate")
    visitor.fits()
    visitor.take_picture("phone-recovery-codes")
    visitor.follow("Continue to the offer")
    visitor.sees("You need a personal account in USD")
    visitor.fits()
    visitor.follow("Open or connect a trading account")
    expect(page.get_by_label("Currency")).to_have_value(re.compile(r"\d+"))
    visitor.fits()
    visitor.take_picture("phone-open-trading-account")
    visitor.press("Open the account")
    login = int(visitor.facts()["Trading login"])
    visitor.fits()
    visitor.take_picture("phone-trading-account-opened")
    desk.simulator.adjust_as_dealer(login, "1000.00")
    visitor.follow("Go on")
    visitor.sees("1,000.00 USD free to invest")
    page.get_by_label("How much do you want to invest?").fill("500")
    visitor.press("Check the costs")
    page.get_by_label("I understand that I can lose money").check()
    visitor.press("Invest 500.00 USD")
    visitor.sees("We have your request")
    expect(page.locator(".notice-info", has_text="You were invited")).to_have_count(0)
    visitor.fits()

    visitor.open_place("Requests")
    expect(page.locator("tbody tr").first).to_contain_text("next rollover")
    roll(house.desk, harbour)
    desk.bring_price_to(harbour, Decimal("1.10"))
    roll(house.desk, harbour)
    visitor.open_place("Portfolio")
    assert visitor.facts()["Net"] == "550.00 USD"
    visitor.sees("+50.00")
    visitor.fits()
    visitor.take_picture("phone-first-profit")
    visitor.follow("Harbour")
    visitor.follow("Withdraw")
    page.get_by_label("How much do you want to receive?").fill("110")
    visitor.press("See what it costs")
    visitor.press("Withdraw")
    visitor.sees("We have your request")
    roll(house.desk, harbour)
    assert desk.balance(login) == Decimal("610.00")
    visitor.open_place("Portfolio")
    visitor.follow("Harbour")
    visitor.ask("Close")
    visitor.press("Close and pay out")
    roll(house.desk, harbour)
    assert desk.balance(login) == Decimal("1050.00")
    visitor.open_place("Portfolio")
    visitor.sees("550.00 USD")
    visitor.take_picture("phone-left")
    with visitor.refused(410):
        page.goto(f"/join/{link.token}/")
    visitor.sees("This link was for one person and has been used.")


def test_withdrawal_above_what_is_available_is_refused_at_the_field(
    dora: PersonalAccount, enter: EnterSite
) -> None:
    visitor = enter("dora-withdraws", **PHONE)
    page = visitor.page
    visitor.sign_in(dora.user.email, PASSWORD)
    visitor.open_place("Portfolio")
    visitor.fits()
    visitor.take_picture("phone-portfolio")
    visitor.follow("Steady")
    expect(page.locator("#price-chart canvas").first).to_be_visible()
    visitor.fits()
    visitor.take_picture("phone-investment")
    visitor.follow("Withdraw")
    visitor.fits()
    amount = page.get_by_label("How much do you want to receive?")
    amount.fill("1000")
    with visitor.refused():
        visitor.press("See what it costs")
        wrong = page.locator(".field.has-error", has=amount)
        expect(wrong).to_contain_text("Withdraw at most 970.19 USD, or close the investment.")
    expect(amount).to_have_value("1000")
    visitor.take_picture("phone-withdrawal-refused")


def test_investor_without_a_mouse_signs_in_and_invests(
    dora: PersonalAccount, house: House, enter: EnterSite
) -> None:
    emil = house.desk.client("emil", "1000")
    visitor = enter("emil", viewport={"width": 1280, "height": 800})
    keyboard = visitor.page.keyboard
    visitor.page.goto("/")
    visitor.tab_to("Sign in")
    keyboard.press("Enter")
    expect(visitor.page).to_have_url(re.compile("/accounts/login/"))
    visitor.tab_to("Email")
    keyboard.type(emil.user.email)
    visitor.tab_to("Password")
    keyboard.type(PASSWORD)
    keyboard.press("Enter")
    expect(visitor.page.locator(".avatar-button")).to_be_visible()
    visitor.tab_to("Steady")
    keyboard.press("Enter")
    expect(visitor.page).to_have_url(re.compile("/offers/"))
    visitor.tab_to("Invest")
    keyboard.press("Enter")
    expect(visitor.page).to_have_url(re.compile("/join/"))
    # The field for the amount has the focus already.
    keyboard.type("200")
    visitor.tab_to("Check the costs")
    keyboard.press("Enter")
    visitor.sees("What it will cost you")
    visitor.tab_to("I understand that I can lose money")
    keyboard.press("Space")
    visitor.tab_to("Invest 200.00")
    keyboard.press("Enter")
    visitor.sees("We have your request")
    visitor.sees("Waits for the manager's approval.")
