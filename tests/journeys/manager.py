"""What a manager does in the cabinet, told once for all journeys."""

from collections.abc import Sequence

from playwright.sync_api import expect

from tests.journeys.visitor import Visitor


def open_pool(manager: Visitor, name: str, own_capital: str) -> None:
    """Open a PAMM account of this name with own capital, of which 100.00 must stay."""
    manager.open_place("Manage")
    manager.follow("Open an account")
    page = manager.page
    page.get_by_label("Name").fill(name)
    page.get_by_label("Own capital").fill(own_capital)
    page.get_by_label("Of it must stay at least").fill("100")
    manager.press("Review")
    assert manager.facts()["Must stay while others are invested"] == "100.00 USD"
    manager.press("Open the account")
    manager.sees("Write the password down now.")
    manager.follow("Go to the account")
    manager.sees(f"Deposit {own_capital[:1]},{own_capital[1:]} USD: confirmed")


def write_offer(
    manager: Visitor,
    pool: str,
    name: str,
    basis: str,
    tiers: Sequence[tuple[str, str]],
    *,
    sees: str = "Public",
) -> None:
    """Write an offer in the editor, tiers row by row, and open it."""
    begin_offer(manager, pool, name, basis, tiers, sees=sees)
    manager.take_picture(f"offer-editor-{name.split()[-1]}")
    manager.press("Create and open")
    manager.sees("The offer is open.")


def begin_offer(
    manager: Visitor,
    pool: str,
    name: str,
    basis: str,
    tiers: Sequence[tuple[str, str]],
    *,
    sees: str = "Public",
) -> None:
    """Fill in the offer editor, up to where the preview says the terms in words."""
    manager.open_place("Manage")
    manager.follow(pool)
    manager.follow("New offer")
    page = manager.page
    page.get_by_label("Name").fill(name)
    page.get_by_label("Who sees it").select_option(label=sees)
    page.get_by_label("Deposits are approved").select_option("manager")
    page.get_by_label(basis).check()
    expect(page.get_by_label("The whole profit")).to_be_visible()
    fee = page.locator("#fee")
    rows = fee.locator(".tier-row")
    for number, (bound, rate) in enumerate(tiers):
        while rows.count() <= number:
            before = rows.count()
            fee.get_by_role("button", name="Add a tier").click()
            expect(rows).not_to_have_count(before)
        if bound:
            rows.nth(number).get_by_label("From").fill(bound)
        rows.nth(number).get_by_label("Fee").fill(rate)
    page.get_by_label("Every").fill("1")
    page.get_by_label("Unit").select_option("rollovers")
    page.get_by_label("Counted from").select_option("own")
    page.get_by_label("First deposit, at least").fill("100")
    page.get_by_label("Further deposits, at least").fill("100")
    page.get_by_label("Must remain, at least").fill("100")
    expect(page.locator("#preview svg").first).to_be_visible()
    # There are words only once everything is filled in: nothing more is under way then.
    expect(page.get_by_role("heading", name="In plain words")).to_be_visible()


def confirm_all(manager: Visitor, owners: Sequence[str], together: str) -> None:
    """Confirm all that waits in one go, after the page that shows it once more."""
    manager.open_place("Approvals")
    for owner in owners:
        manager.page.get_by_label(f"Choose the request of {owner}").check()
    manager.ask("Confirm chosen")
    assert manager.facts()["Together"] == together
    manager.take_picture("approvals")
    manager.press("Confirm")
    manager.sees(f"{len(owners)} requests confirmed")
