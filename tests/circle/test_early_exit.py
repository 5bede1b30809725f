"""Early exit fee until the trading interval ends: due within it, not at the rollover that ends it."""

from decimal import Decimal

from fees.calc.kinds import FeeKind
from fees.models import Charge
from fees.queries import figures_of
from offers.models import Terms
from tests.circle.test_verify_books import found
from tests.circle.world import Desk, terms

EXIT = FeeKind.EARLY_EXIT


def test_leaving_within_the_interval_pays_and_at_its_end_does_not(desk: Desk) -> None:
    account = desk.pamm_account(desk.client("alice", "10000"), "1000.00")
    offer = desk.offer(account, terms(
        (None, "0"), no_performance_fee=True, interval_count=2, early_exit_rate=Decimal("0.02"),
        early_exit_until=Terms.EarlyExitUntil.INTERVAL,
    ))  # fmt: skip
    bob, carol = (desk.invest(desk.client(name, "5000"), offer, "1000.00") for name in ("bob", "carol"))
    desk.roll(account)
    part = desk.withdraw(bob, "98.00")
    desk.roll(account)
    # Within the interval: 98.00 × 0.02 ÷ 0.98.
    part.refresh_from_db()
    assert (part.state, part.executed_fee) == ("executed", Decimal("2.00"))
    bob.refresh_from_db()
    assert figures_of([bob])[bob.pk].accrued == {EXIT: Decimal("18.00")}
    part, closed = desk.withdraw(bob, "100.00"), desk.close(carol)
    desk.roll(account)
    for request, paid in ((part, Decimal("100.00")), (closed, Decimal("1000.00"))):
        request.refresh_from_db()
        assert (request.executed_amount, request.executed_fee) == (paid, Decimal(0))
    bob.refresh_from_db()
    # Who leaves from here on leaves within the next interval.
    figures = figures_of([bob])[bob.pk]
    assert (figures.accrued, figures.net) == ({EXIT: Decimal("16.00")}, Decimal("784.00"))
    closed = desk.close(bob)
    desk.roll(account)
    closed.refresh_from_db()
    assert (closed.executed_amount, closed.executed_fee) == (Decimal("784.00"), Decimal("16.00"))
    charged = Charge.objects.filter(amount__gt=0).order_by("id").values_list("kind", "amount")
    assert list(charged) == [(EXIT.value, Decimal("2.00")), (EXIT.value, Decimal("16.00"))]
    assert found(account) == []
