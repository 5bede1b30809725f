"""The main ways in a browser without JavaScript: every page is whole by itself, every question a page."""

import re

from playwright.sync_api import expect

from accounts.models import PammAccount
from investing.models import Request
from offers.models import JoinLink, Offer
from tests.journeys.conftest import EnterSite, House
from tests.journeys.rolling import roll
from tests.journeys.visitor import Visitor
from tests.worlds import PASSWORD

PLAIN = {"java_script_enabled": False, "viewport": {"width": 1280, "height": 900}}


def signed_in(enter: EnterSite, name: str, email: str) -> Visitor:
    visitor = enter(f"{name}-without-javascript", **PLAIN)
    visitor.sign_in(email, PASSWORD)
    return visitor


def test_manager_and_investor_need_no_javascript(house: House, enter: EnterSite) -> None:
    desk = house.desk
    of_paula = house.manager("paula", "5000")
    of_rolf = desk.client("rolf", "5000")
    pool = desk.pamm_account(of_paula, "1000.00", name="Plover")
    roll(desk, pool)

    paula = signed_in(enter, "paula", of_paula.user.email)
    write_offer(paula)
    offer = Offer.objects.get(account=pool)
    address = make_link(paula, offer)

    rolf = signed_in(enter, "rolf", of_rolf.user.email)
    rolf.page.goto(address)
    rolf.follow("Invest")
    rolf.page.get_by_label("How much do you want to invest?").fill("1000")
    rolf.press("Check the costs")
    rolf.page.get_by_label("I understand that I can lose money").check()
    rolf.press("Invest 1,000.00 USD")
    rolf.sees("Waits for the manager's approval.")

    paula.open_place("Approvals")
    paula.page.get_by_label("Choose the request of Rolf").check()
    paula.press("Confirm chosen")
    paula.sees("Confirm 1 request?")
    paula.press("Confirm")
    paula.sees("1 request confirmed")
    roll(desk, PammAccount.objects.get(pk=pool.pk))

    move_money(rolf)
    waiting = Request.objects.filter(investment__owner=of_rolf.user, state=Request.State.CONFIRMED)
    assert waiting.get().kind == Request.Kind.CLOSE

    end_link_and_offer(paula, offer)
    offer.refresh_from_db()
    assert offer.state == Offer.State.CLOSED


def write_offer(paula: Visitor) -> None:
    """The editor, tiers added and removed by whole pages."""
    page = paula.page
    paula.open_place("Manage")
    paula.follow("Plover")
    paula.follow("New offer")
    page.get_by_label("Name").fill("Plain")
    page.get_by_label("Deposits are approved").select_option("manager")
    page.locator("#fee").get_by_label("Fee").first.fill("10")
    rows = page.locator("#fee .tier-row")
    for bound, rate in (("5", "20"), ("10", "30")):
        paula.go(page.locator("#fee").get_by_role("button", name="Add a tier"))
        expect(rows.last.get_by_label("From")).to_be_focused()
        rows.last.get_by_label("From").fill(bound)
        rows.last.get_by_label("Fee").fill(rate)
    paula.go(page.get_by_role("button", name="Remove tier 2"))
    expect(rows).to_have_count(2)
    expect(rows.last.get_by_label("From")).to_have_value("10")
    for label in ("First deposit, at least", "Further deposits, at least", "Must remain, at least"):
        page.get_by_label(label).fill("100")
    page.get_by_label("Every").fill("1")
    page.get_by_label("Unit").select_option("rollovers")
    page.get_by_label("Counted from").select_option("own")
    paula.press("Refresh the preview")
    paula.sees("In plain words")
    paula.press("Create and open")
    paula.sees("The offer is open.")


def make_link(paula: Visitor, offer: Offer) -> str:
    paula.page.get_by_label("For one person").uncheck()
    paula.press("New link")
    paula.sees("The link is ready to be sent.")
    return f"/join/{JoinLink.objects.get(offer=offer).token}/"


def move_money(rolf: Visitor) -> None:
    """More in, taken back; a part out, taken back; stop; close."""
    page = rolf.page
    rolf.open_place("Portfolio")
    rolf.follow("Plover")
    rolf.follow("Add money")
    page.get_by_label("How much do you want to add?").fill("200")
    rolf.press("Check the costs")
    rolf.go(page.locator("#content form [type=submit]"))
    rolf.sees("We have your request")
    cancel(rolf)
    rolf.open_place("Portfolio")
    rolf.follow("Plover")
    rolf.follow("Withdraw")
    page.get_by_label("How much do you want to receive?").fill("200")
    rolf.press("See what it costs")
    rolf.press("Withdraw")
    rolf.sees("We have your request")
    cancel(rolf)
    rolf.open_place("Portfolio")
    rolf.follow("Plover")
    rolf.follow("Set a stop")
    page.get_by_label(re.compile("Stop loss")).fill("400")
    rolf.press("See what it means")
    rolf.press("Confirm")
    rolf.follow("Change or remove")
    rolf.follow("Remove the stop loss")
    rolf.press("Remove it")
    rolf.follow("Close")
    rolf.sees("Close the investment?")
    rolf.press("Close and pay out")
    rolf.sees("We have your request")


def cancel(rolf: Visitor) -> None:
    rolf.follow("Cancel the request")
    rolf.sees("Cancel the request?")
    rolf.press("Cancel the request")
    rolf.sees("The request was cancelled.")


def end_link_and_offer(paula: Visitor, offer: Offer) -> None:
    paula.page.goto(f"/manage/offers/{offer.public_id}/")
    paula.go(paula.page.get_by_role("link", name=re.compile("^Revoke")))
    paula.press("Revoke the link")
    paula.sees("The link opens nothing any more.")
    paula.page.get_by_text("Close the offer for good").click()
    paula.follow("Close the offer")
    paula.press("Close the offer")
    paula.sees("The offer is closed.")
