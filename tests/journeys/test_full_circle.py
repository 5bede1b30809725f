"""The whole circle in browsers: two investors join under the published fee examples, every figure to the cent
on every page, in the ledger and in the trading server's books, until both have left with their money.
"""

from collections.abc import Sequence
from decimal import Decimal

from accounts.models import PammAccount
from ledger.models import LedgerAccount
from ledger.queries import balance
from tests.circle.books import assert_books_agree
from tests.journeys.back_office import Audit, Dealer
from tests.journeys.conftest import EnterSite, House
from tests.journeys.manager import confirm_all, open_pool, write_offer
from tests.journeys.visitor import Visitor, figure
from tests.simulator import PASSWORD as TRADING_PASSWORD
from tests.worlds import PASSWORD

POOL = "Kestrel"
EXAMPLE_1 = ("The return of the interval", [("", "0"), ("10", "20"), ("40", "50")])
EXAMPLE_2 = ("The investment's worth", [("", "50"), ("1000", "40"), ("5000", "30"), ("10000", "15")])
MARK = "High-water mark: profit counts above it"


def test_two_investors_go_round_the_worked_examples_to_the_cent(house: House, enter: EnterSite) -> None:
    desk = house.desk
    of_alice = house.manager("alice", "10000")
    of_bob, of_carol = desk.client("bob", "6000"), desk.client("carol", "1000")

    alice = enter("alice", viewport={"width": 1280, "height": 900})
    alice.sign_in(of_alice.user.email, PASSWORD)
    open_pool(alice, POOL, "4100.00")
    write_offer(alice, POOL, "Example one", *EXAMPLE_1)
    write_offer(alice, POOL, "Example two", *EXAMPLE_2)

    bob = enter("bob", viewport={"width": 1280, "height": 900})
    bob.sign_in_with_trading_login(of_bob.login, TRADING_PASSWORD)
    invest(bob, "Example one", "5,000.00")
    carol = enter("carol", viewport={"width": 1280, "height": 900})
    carol.sign_in(of_carol.user.email, PASSWORD)
    invest(carol, "Example two", "900.00")
    confirm_all(alice, ["Bob", "Carol"], "5,900.00 USD")

    dealer = Dealer(
        enter("dealer", viewport={"width": 1440, "height": 900}), desk.dealer.email, house.dealer_secret
    )
    account = PammAccount.objects.get(name=POOL)
    assert account.login is not None

    def roll_over_at(price: str) -> Audit:
        if account.units:
            desk.bring_price_to(account, Decimal(price))
        before = desk.balance(account.login or 0)
        dealer.order_rollover(POOL)
        audit = dealer.read_audit()
        assert_audit_is_the_servers(audit, before)
        assert_books_agree(desk, account)
        return audit

    roll_over_at("1.00")
    assert desk.balance(account.login) == Decimal("10000.00")
    assert desk.balance(of_alice.login) == Decimal("5900.00")
    assert_worth(bob, value="5,000.00", mark="5,000.00", fees_paid="0.00")
    assert_worth(carol, value="900.00", mark="900.00", fees_paid="0.00")

    audit = roll_over_at("1.10")
    assert (audit.lines["Bob"]["Value after P&L"], audit.lines["Bob"]["Fees"]) == ("5,500.00", "100.00")
    assert (audit.lines["Carol"]["Value after P&L"], audit.lines["Carol"]["Fees"]) == ("990.00", "45.00")
    assert_worth(bob, value="5,400.00", mark="5,400.00", fees_paid="100.00")
    assert_worth(carol, value="945.00", mark="945.00", fees_paid="45.00")
    assert_last_fee(bob, "−100.00 USD", mark="5,400.00 USD")
    assert_last_fee(carol, "−45.00 USD", mark="945.00 USD")
    assert_income(alice, ["45.00 USD", "100.00 USD"], together="145.00 USD")
    assert desk.balance(of_alice.login) == Decimal("5900.00") + Decimal("145.00")

    audit = roll_over_at("0.99")
    assert (audit.lines["Bob"]["Value after"], audit.lines["Bob"]["Fees"]) == ("4,860.00", "0.00")
    assert (audit.lines["Carol"]["Value after"], audit.lines["Carol"]["Fees"]) == ("850.50", "0.00")
    assert_worth(bob, value="4,860.00", mark="5,400.00", fees_paid="100.00")
    assert_worth(carol, value="850.50", mark="945.00", fees_paid="45.00")
    assert_income(alice, ["45.00 USD", "100.00 USD"], together="145.00 USD")

    audit = roll_over_at("1.111")
    assert (audit.lines["Bob"]["Value after P&L"], audit.lines["Bob"]["Fees"]) == ("5,454.00", "10.80")
    assert (audit.lines["Carol"]["Value after P&L"], audit.lines["Carol"]["Fees"]) == ("954.45", "4.72")
    dealer.visitor.take_picture("back-office-audit")
    assert_worth(bob, value="5,443.20", mark="5,443.20", fees_paid="110.80")
    assert_worth(carol, value="949.73", mark="949.73", fees_paid="49.72")
    assert_last_fee(bob, "−10.80 USD", mark="5,443.20 USD")
    assert_last_fee(carol, "−4.72 USD", mark="949.73 USD", carried="0.005 USD")
    bob.take_picture("investment")
    income = ["4.72 USD", "10.80 USD", "45.00 USD", "100.00 USD"]
    assert_income(alice, income, together="160.52 USD")
    alice.take_picture("fee-income")

    close(bob, pays="5,443.20 USD", to=of_bob.login)
    close(carol, pays="949.73 USD", to=of_carol.login)
    roll_over_at("1.111")
    assert_left(bob, paid_out="5,443.20 USD", profit="+443.20 USD")
    assert_left(carol, paid_out="949.73 USD", profit="+49.73 USD")
    assert desk.balance(of_bob.login) == Decimal("1000.00") + Decimal("5443.20")
    assert desk.balance(of_carol.login) == Decimal("100.00") + Decimal("949.73")
    assert desk.balance(of_alice.login) == Decimal("5900.00") + Decimal("160.52")
    assert_income(alice, income, together="160.52 USD")

    alice.open_place("Portfolio")
    assert alice.facts()["Value"] == "4,555.10"
    alice.open_place("Manage")
    assert alice.facts()["Equity"] == alice.facts()["Own capital"] == "4,555.10 USD"
    alice.take_picture("manager-accounts")
    account.refresh_from_db()
    assert desk.balance(account.login) == account.last_equity == Decimal("4555.10")
    assert balance(LedgerAccount.Kind.POOL_CLAIM, account.public_id, "USD") == Decimal("-4555.10")


def invest(visitor: Visitor, offer: str, amount: str) -> None:
    """Find the offer in the list and invest, through the page that shows every cost."""
    visitor.open_place("Offers")
    visitor.go(visitor.page.locator(".offer-card", has_text=offer).get_by_role("link", name=POOL))
    visitor.follow("Invest")
    visitor.page.get_by_label("How much do you want to invest?").fill(amount)
    visitor.press("Check the costs")
    visitor.take_picture(f"costs-{visitor.name}")
    visitor.page.get_by_label("I understand that I can lose money").check()
    visitor.press(f"Invest {amount} USD")
    visitor.sees("We have your request")
    visitor.sees("Waits for the manager's approval.")


def assert_worth(visitor: Visitor, *, value: str, mark: str, fees_paid: str) -> None:
    """Portfolio and investment page say the same; nothing is accrued right after an interval's end."""
    visitor.open_place("Portfolio")
    (row,) = [row for row in visitor.rows(".table-cards") if row[0].startswith(POOL)]
    assert (row[2], row[3], row[4]) == (value, "0.00", f"{value} USD")
    assert visitor.facts()["Net"] == f"{value} USD"
    visitor.follow(POOL)
    facts = visitor.facts()
    shown = (facts["Value"], facts["Accrued fees"], facts["Net"], facts[MARK], facts["Fees paid"])
    assert shown == (value, "0.00", f"{value} USD", f"{mark} USD", fees_paid)


def assert_last_fee(visitor: Visitor, amount: str, *, mark: str, carried: str | None = None) -> None:
    """The latest fee in the investment's history, with the steps that explain it."""
    title, shown, steps = next(line for line in visitor.timeline() if "fee" in line[0])
    assert (title, shown) == ("Performance fee", amount)
    assert (steps["New high-water mark"], steps.get("Carried to the next such fee")) == (mark, carried)


def assert_income(alice: Visitor, amounts: Sequence[str], *, together: str) -> None:
    """The manager's fee income: each charge, the latest first, and their sum."""
    alice.open_place("Income")
    _heads, *rows = alice.rows("table")
    assert [row[-1] for row in rows if len(row) > 1] == list(amounts)
    assert alice.facts()["Fees charged"] == together


def assert_audit_is_the_servers(audit: Audit, balance_before: Decimal) -> None:
    """Every check holds; values and residual sum to what the trading server had, columns to their sums."""
    assert audit.checks
    assert all(mark == "✓" for mark, _rule in audit.checks), audit.checks
    facts = audit.facts
    assert figure(facts["Equity on the trading server"]) == balance_before
    assert audit.column("Value after P&L") == figure(facts["sum of the values"])
    assert figure(facts["= equity of the pool"]) == figure(facts["sum of the values"]) + figure(
        audit.residual
    )
    for name in (
        "Value before",
        "Share of P&L",
        "Value after P&L",
        "Paid in",
        "Taken out",
        "Fees",
        "Value after",
    ):
        assert figure(audit.sums[name]) == audit.column(name), name


def close(visitor: Visitor, *, pays: str, to: int) -> None:
    """Close the investment on its own page, after the page that says what that pays."""
    visitor.open_place("Portfolio")
    visitor.follow(POOL)
    visitor.ask("Close")
    assert visitor.facts()[f"Paid to personal account {to}"] == pays
    visitor.take_picture(f"close-{visitor.name}")
    visitor.press("Close and pay out")
    visitor.sees("We have your request")


def assert_left(visitor: Visitor, *, paid_out: str, profit: str) -> None:
    visitor.open_place("Portfolio")
    visitor.sees("Nothing invested at the moment")
    (row,) = [row for row in visitor.rows("section[aria-labelledby=closed-title] table") if row[0] == POOL]
    assert row[3] == paid_out
    assert row[4].endswith(profit)
    visitor.follow(POOL)
    assert visitor.facts()["Paid out"] == paid_out
    assert visitor.timeline()[0][0] == "Investment closed and paid"
