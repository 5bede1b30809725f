"""The worked figures of the two published fee examples, on a real trading server, to the cent."""

from decimal import Decimal

from allocation.models import Investment, PricePoint
from fees.models import Charge
from ledger.models import LedgerAccount
from ledger.queries import balance
from rollover.models import Rollover
from tests.circle.books import assert_books_agree
from tests.circle.world import Desk, terms

EXAMPLE_1 = terms((None, "0"), ("0.10", "0.20"), ("0.40", "0.50"), basis="yield")
EXAMPLE_2 = terms((None, "0.50"), ("1000", "0.40"), ("5000", "0.30"), ("10000", "0.15"), basis="net_worth")


def test_circle_of_the_worked_examples_pays_every_fee_to_the_cent(desk: Desk) -> None:
    manager = desk.client("alice", "10000")
    account = desk.pamm_account(manager, "4100.00")
    offer_1, offer_2 = desk.offer(account, EXAMPLE_1, name="One"), desk.offer(account, EXAMPLE_2, name="Two")
    bob, carol = desk.client("bob", "6000"), desk.client("carol", "1000")
    of_bob, of_carol = desk.invest(bob, offer_1, "5000.00"), desk.invest(carol, offer_2, "900.00")

    def rolled_at(price: str) -> None:
        desk.bring_price_to(account, Decimal(price))
        (rollover,) = desk.roll(account)
        assert rollover.state == Rollover.State.COMPLETED, (
            rollover.state,
            rollover.reason_code,
            rollover.reason,
        )
        assert_books_agree(desk, account)

    def fees(investment: Investment) -> list[Decimal]:
        return list(
            Charge.objects.filter(investment=investment).order_by("id").values_list("amount", flat=True)
        )

    (first,) = desk.roll(account)
    assert first.state == Rollover.State.COMPLETED
    assert desk.pool_balance(account) == Decimal("10000.00")
    assert desk.balance(bob.login) == Decimal("1000.00")
    assert_books_agree(desk, account)

    rolled_at("1.10")
    of_bob.refresh_from_db()
    of_carol.refresh_from_db()
    assert (fees(of_bob), of_bob.high_water_mark) == ([Decimal("100.00")], Decimal("5400.00"))
    assert (fees(of_carol), of_carol.high_water_mark) == ([Decimal("45.00")], Decimal("945.00"))
    assert desk.balance(manager.login) == Decimal("5900.00") + Decimal("145.00")

    rolled_at("0.99")
    assert len(fees(of_bob)) == len(fees(of_carol)) == 1

    rolled_at("1.111")
    of_carol.refresh_from_db()
    assert fees(of_bob)[1:] == [Decimal("10.80")]
    assert fees(of_carol)[1:] == [Decimal("4.72")]
    assert of_carol.performance_carried == Decimal("0.005")
    assert PricePoint.objects.filter(account=account).latest("id").price == Decimal("1.111")

    desk.close(of_bob)
    desk.close(of_carol)
    (last,) = desk.roll(account)
    assert last.state == Rollover.State.COMPLETED
    assert_books_agree(desk, account)
    own = Investment.objects.get(account=account, is_own_capital=True)
    account.refresh_from_db()
    assert account.units == own.units
    assert desk.balance(bob.login) == Decimal("1000.00") + Decimal("5454.00") - Decimal("10.80")
    assert desk.balance(carol.login) == Decimal("100.00") + Decimal("954.45") - Decimal("4.72")
    assert desk.pool_balance(account) == account.last_equity
    assert balance(LedgerAccount.Kind.POOL_CLAIM, account.public_id, "USD") == -account.last_equity
