"""The allocation audit of rollovers that really took place, on a trading server in its own process."""

from decimal import Decimal

from investing.services import confirm_request
from rollover.models import Rollover
from rollover.queries import AllocationAudit, allocation_audit
from tests.circle.world import Desk, terms

TWENTY_PER_CENT = terms((None, "0.20"))


def audited(rollover: Rollover) -> AllocationAudit:
    """The audit, all of whose checks hold."""
    assert rollover.price_point_id is not None, (rollover.state, rollover.reason_code, rollover.reason)
    audit = allocation_audit(rollover)
    assert [check for check in audit.checks if not check.holds] == []
    return audit


def test_audit_of_a_circle_holds_at_every_rollover(desk: Desk) -> None:
    account = desk.pamm_account(desk.client("alice", "10000"), "333.33")
    offer = desk.offer(account, TWENTY_PER_CENT)
    bob, carol = desk.client("bob", "6000"), desk.client("carol", "1000")
    of_bob, of_carol = desk.invest(bob, offer, "1000.00"), desk.invest(carol, offer, "77.77")
    rollovers = desk.roll(account)

    desk.earn(account, Decimal("123.45"))
    desk.withdraw(of_bob, "200.00")
    rollovers += desk.roll(account)
    desk.hold(account, Decimal("-61.23"))
    confirm_request(request=desk.add_money(of_carol, "33.33"), by=desk.dealer)
    rollovers += desk.roll(account)
    desk.flatten(account)
    desk.close(of_bob), desk.close(of_carol)
    rollovers += desk.roll(account)
    rollovers += desk.roll(account)

    audits = [audited(rollover) for rollover in rollovers]
    assert audits[1].sums.charged > 0
    assert audits[2].pool.floating == Decimal("-61.23")
    assert len(audits[3].lines) == 3
    assert len(audits[4].lines) == 1


def test_audit_of_a_wiped_out_pool_and_of_its_next_series_holds(desk: Desk) -> None:
    account = desk.pamm_account(desk.client("alice", "10000"), "500.00")
    rollovers = desk.roll(account)
    desk.sink(account)
    rollovers += desk.roll(account)
    desk.flatten(account)
    rollovers += desk.roll(account)

    under_water, wiped_out = [audited(rollover) for rollover in rollovers][1:]
    assert under_water.sums.value_priced == 0
    assert under_water.residual == under_water.pool.equity < 0
    assert wiped_out.sums.units_after == 0
