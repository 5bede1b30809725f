"""An investor with a phone, who joins, changes her mind and is refused; and one without a mouse."""

import re
import time
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import expect

from accounts.models import PammAccount, PersonalAccount
from rollover.models import Rollover
from tests.circle.world import terms
from tests.journeys.conftest import EnterSite, House
from tests.worlds import PASSWORD
from track_record.services import refresh_statistics

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
PATIENCE_SECONDS = 30.0


@pytest.fixture(scope="module")
def dora(house: House) -> PersonalAccount:
    """Invested with 1,000.00 in a pool that has a short record, beside a pool she does not know yet."""
    desk = house.desk
    steady = desk.pamm_account(house.manager("mona", "5000"), "1000.00", name="Steady")
    bold = desk.pamm_account(house.manager("oscar", "5000"), "1000.00", name="Bold")
    gentle = desk.offer(
        steady, terms((None, "0.20"), minimum_first=Decimal(50), minimum_remaining=Decimal(50)), name="Gentle"
    )
    desk.offer(
        bold, terms((None, "0.30"), minimum_first=Decimal(500), minimum_remaining=Decimal(500)), name="Brisk"
    )
    dora = desk.client("dora", "5000")
    desk.invest(dora, gentle, "1000.00")
    for price in ("1.00", "1.05", "1.03"):
        for account in (steady, bold):
            if account.units:
                desk.bring_price_to(account, Decimal(price))
        roll(house, steady, bold)
        for account in (steady, bold):
            account.refresh_from_db()
    refresh_statistics([steady, bold])
    return dora


def roll(house: House, *accounts: PammAccount) -> None:
    """Roll over here; the worker may be quicker."""
    house.desk.roll(*accounts)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while Rollover.objects.filter(state__in=Rollover.OPEN_STATES).exists():
        assert time.monotonic() < deadline, list(Rollover.objects.values_list("state", "reason_code"))
        time.sleep(0.1)


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
    visitor.sees("Waits for approval.")
    visitor.fits()
    visitor.take_picture("phone-request")

    visitor.open_place("Requests")
    visitor.fits()
    expect(page.locator("tbody tr").first).to_contain_text("Waits for approval.")
    page.locator("tbody").get_by_role("link", name="Cancel", exact=True).first.click()
    expect(page.get_by_role("dialog", name="Cancel the request?")).to_contain_text("No money has moved.")
    visitor.take_picture("phone-sheet")
    visitor.fits()
    visitor.press("Cancel the request")
    expect(page.locator("tbody tr").first).to_contain_text("Cancelled")
    assert house.desk.balance(dora.login) == Decimal("4000.00")


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
    visitor.sees("Waits for approval.")
