"""What a rollover may cost: nothing per investor, and nothing per account at the gateway."""

import time
from decimal import Decimal
from statistics import median

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import PammAccount, PersonalAccount
from allocation.models import Interval, Investment, PricePoint
from rollover.models import Rollover
from rollover.services import order_rollover, roll_over
from tests.circle.world import Desk, login_of, terms
from tests.worlds import person

TIERED = terms((None, "0"), ("0.10", "0.20"), basis="yield", interval_unit="months")


def quiet_account(desk: Desk, manager: PersonalAccount, investors: int) -> PammAccount:
    """A pool of `investors` investments of 10.00 each, one rollover old, nothing due."""
    account = desk.pamm_account(manager, "1000.00", name=f"Pool of {investors}")
    offer = desk.offer(account, TIERED, name=f"Offer {investors}")
    desk.roll(account)
    account.refresh_from_db()
    point = PricePoint.objects.filter(account=account).latest("sequence")
    version = offer.terms.latest("version")
    interval = Interval.objects.create(
        account=account,
        terms=version,
        anchor_at=point.priced_at,
        starts_at=point.priced_at,
        ends_at=point.priced_at.replace(year=point.priced_at.year + 1),
        opening=point,
    )
    owner = person(f"many{investors}@a.example")
    personal = PersonalAccount.objects.create(
        user=owner, server=desk.server, login=desk.simulator.add_account(), currency="USD", currency_digits=2
    )
    Investment.objects.bulk_create(
        Investment(
            account=account,
            owner=owner,
            personal_account=personal,
            terms=version,
            state=Investment.State.ACTIVE,
            series=1,
            joined=point,
            joined_at=point.priced_at,
            units=10,
            lowest_units=10,
            lowest_units_number=1,
            high_water_mark=10,
            interval=interval,
            paid_in=10,
        )
        for _ in range(investors)
    )
    ticket = desk.simulator.adjust_as_dealer(login_of(account), Decimal(10 * investors))
    account.units += 10 * investors
    account.save()
    desk.accept(account, ticket, Decimal(10 * investors))
    desk.roll(account)
    return account


def rolled(desk: Desk, account: PammAccount) -> tuple[int, float]:
    """Statements and seconds of one rollover with nothing due."""
    ordered = order_rollover(accounts=[PammAccount.objects.get(pk=account.pk)], by=desk.dealer)
    with CaptureQueriesContext(connection) as captured:
        started = time.perf_counter()
        roll_over([rollover.pk for rollover in ordered])
        elapsed = time.perf_counter() - started
    assert Rollover.objects.get(pk=ordered[0].pk).state == Rollover.State.COMPLETED
    return len(captured), elapsed


def test_rollover_with_nothing_due_costs_the_same_for_ten_and_ten_thousand_investors(desk: Desk) -> None:
    manager = desk.client("alice", "10000")
    few, many = quiet_account(desk, manager, 10), quiet_account(desk, manager, 10_000)
    few_runs, many_runs = [], []
    for _ in range(7):
        few_runs.append(rolled(desk, few))
        many_runs.append(rolled(desk, many))
    assert {count for count, _ in few_runs} == {count for count, _ in many_runs}
    ratio = median(b / a for (_, a), (_, b) in zip(few_runs, many_runs, strict=True))
    print(f"statements {few_runs[0][0]}, time of 10,000 investors / 10 investors: {ratio:.2f}")
    assert ratio <= 1.5


@pytest.mark.parametrize("accounts", [20, 200])
def test_rollover_of_many_accounts_asks_the_gateway_a_constant_number_of_times(
    desk: Desk, accounts: int
) -> None:
    manager = desk.client("alice", "10000")
    template = desk.pamm_account(manager, "100.00")
    made = PammAccount.objects.bulk_create(
        PammAccount(
            manager=template.manager,
            income_account=manager,
            server=desk.server,
            login=desk.simulator.add_account("pamm\\USD"),
            currency="USD",
            currency_digits=2,
            name=f"Pool {number}",
            opening_key=str(number),
            state=PammAccount.State.ACTIVE,
        )
        for number in range(accounts)
    )
    ordered = order_rollover(accounts=made, by=desk.dealer)
    desk.simulator.calls(reset=True)
    with CaptureQueriesContext(connection) as captured:
        roll_over([rollover.pk for rollover in ordered])
    calls = desk.simulator.calls()
    calls.pop("test/calls")
    assert PricePoint.objects.filter(account__in=made).count() == accounts
    assert set(
        Rollover.objects.filter(pk__in=[rollover.pk for rollover in ordered]).values_list("state", flat=True)
    ) == {Rollover.State.COMPLETED}
    print(f"{accounts} accounts: gateway calls {calls}, statements {len(captured)}")
    assert sum(calls.values()) <= 10
