"""A manager at his desk: account, offer with tiers, join link, deposits confirmed together, and after a
rollover what he has, what they have, and what he earned.
"""

import re
from decimal import Decimal
from uuid import uuid4

from playwright.sync_api import expect

from accounts.models import PammAccount
from investing.services import request_first_deposit
from offers.models import JoinLink
from tests.circle.books import assert_books_agree
from tests.journeys.conftest import EnterSite, House
from tests.journeys.manager import begin_offer, confirm_all, open_pool
from tests.journeys.rolling import roll
from tests.journeys.visitor import Visitor
from tests.worlds import PASSWORD

POOL, OFFER = "Osprey", "Three tiers"
TIERS = [("", "10"), ("5", "20"), ("10", "30")]


def test_manager_opens_an_account_gathers_investors_and_earns(house: House, enter: EnterSite) -> None:
    desk = house.desk
    of_nina = house.manager("nina", "5000")
    of_piet, of_quirin, of_rosa = (desk.client(name, "3000") for name in ("piet", "quirin", "rosa"))
    nina = enter("nina", viewport={"width": 1440, "height": 900})
    nina.sign_in(of_nina.user.email, PASSWORD)
    open_pool(nina, POOL, "2000.00")
    account = PammAccount.objects.get(name=POOL)
    begin_offer(nina, POOL, OFFER, "The return of the interval", TIERS, sees="By link")
    watch_simulator_react(nina)
    nina.take_picture("offer-editor-tiers")
    nina.press("Create and open")
    nina.sees("The offer is open.")
    address = make_join_link(nina)

    # Only who has the link finds the offer.
    piet = enter("piet", viewport={"width": 1280, "height": 900})
    piet.sign_in(of_piet.user.email, PASSWORD)
    expect(piet.page.locator(".offer-card", has_text=OFFER)).to_have_count(0)
    piet.page.goto(address)
    piet.follow("Invest")
    piet.page.get_by_label("How much do you want to invest?").fill("1000")
    piet.press("Check the costs")
    piet.page.get_by_label("I understand that I can lose money").check()
    piet.press("Invest 1,000.00 USD")
    piet.sees("Waits for the manager's approval.")
    link = JoinLink.objects.get(offer__account=account)
    for personal, amount in ((of_quirin, 2000), (of_rosa, 500)):
        request_first_deposit(
            owner=personal.user,
            offer=link.offer,
            terms=link.offer.terms.latest("version"),
            personal_account=personal,
            amount=Decimal(amount),
            idempotency_key=str(uuid4()),
            join_link=link,
        )

    nina.open_place("Manage")
    nina.follow("3 requests wait")
    confirm_all(nina, ["Piet", "Quirin", "Rosa"], "3,500.00 USD")
    roll(house.desk, account)
    assert desk.balance(account.login or 0) == Decimal("5500.00")
    desk.bring_price_to(account, Decimal("1.10"))
    roll(house.desk, account)
    assert_books_agree(desk, account)

    # 10 % reaches the third tier: 30 % of 350.00 profit.
    nina.open_place("Manage")
    overview = nina.facts("article:has-text('Osprey')")
    shown = {name: overview[name] for name in ("Equity", "Investors", "Own capital", "Fees earned")}
    assert shown == {
        "Equity": "5,945.00 USD",
        "Investors": "3",
        "Own capital": "2,200.00 USD",
        "Fees earned": "105.00 USD",
    }
    nina.take_picture("manager-overview")
    nina.follow(POOL)
    facts = nina.facts()
    assert facts["Equity"].startswith("5,945.00 USD")
    assert facts["Investors"].startswith("3")
    assert (facts["Value"], facts["Profit"]) == ("2,200.00 USD", "▲+200.00 USD")
    expect(nina.page.locator("#price-chart canvas").first).to_be_visible()
    _heads, *investors = nina.rows("section[aria-labelledby=investors-heading] table")
    assert {row[0]: (row[1], row[5]) for row in investors} == {
        "Piet": ("1,070.00 USD", "▲+70.00 USD"),
        "Quirin": ("2,140.00 USD", "▲+140.00 USD"),
        "Rosa": ("535.00 USD", "▲+35.00 USD"),
    }
    nina.take_picture("manager-account")

    nina.open_place("Income")
    assert nina.facts()["You earned"].startswith("105.00 USD")
    nina.follow("Statement")
    nina.sees("Statement of income")
    assert nina.facts()["Owed at the end"] == "0.00 USD"
    _heads, *lines = nina.rows(".statement-lines")
    assert sorted((row[3], row[-1]) for row in lines) == [
        ("Piet", "30.00 USD"),
        ("Quirin", "60.00 USD"),
        ("Rosa", "15.00 USD"),
    ]
    *_rows, together = nina.rows("section[aria-labelledby=by-kind] table")
    assert together == ["Together in USD", "105.00 USD", "0.00 USD", "0.00 USD", "105.00 USD"]
    nina.take_picture("statement-of-income")
    assert desk.balance(of_nina.login) == Decimal("3000.00") + Decimal("105.00")


def watch_simulator_react(nina: Visitor) -> None:
    """Another rate, and at once the same scenario costs more."""
    page = nina.page
    page.get_by_text("Simulate and compare").click()
    page.get_by_label("Months").fill("1")
    fees = page.locator("#simulation tr", has=page.get_by_role("rowheader", name="All fees")).locator("td")
    # 10 % of the 20.00 that the month brings, charged and rounded down day by day.
    cheap, dear = re.compile(r"1\.9\d"), re.compile(r"3\.9\d")
    expect(fees).to_have_text(cheap)
    rate = page.locator("#fee .tier-row").first.get_by_label("Fee")
    rate.fill("20")
    expect(fees).to_have_text(dear)
    rate.fill("10")
    expect(fees).to_have_text(cheap)
    nina.wait_for_answers()


def make_join_link(nina: Visitor) -> str:
    """A link for anybody who has it; its address as the page shows it."""
    nina.page.get_by_label("Valid for").select_option(label="7 days")
    nina.page.get_by_label("For one person").uncheck()
    nina.press("New link")
    address = nina.page.get_by_label("Join link", exact=True).input_value()
    assert "/join/" in address
    nina.take_picture("join-link")
    return address
