"""What seeds have found, each told once more without chance."""

from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
from django.conf import settings

from accounts.models import PammAccount
from allocation.models import Interval
from brokers.scope import broker_scope
from investing.models import Request
from investing.services import accept_terms
from offers.services import revise_terms
from rollover.models import Rollover
from rollover.services import order_rollover, roll_over, settle_open_transfers
from tests.circle.world import Calendar, Desk, calendar_from_first_day, terms
from tests.simulation.interruptions import Crash, forget_connections, watched
from tests.simulator import SimulatorProcess
from tests.worlds import broker_called
from transfers.models import Leg, Transfer


@pytest.fixture
def calendar(market: SimulatorProcess) -> Iterator[Calendar]:
    with calendar_from_first_day(market) as calendar:
        yield calendar


@pytest.fixture
def desk(calendar: Calendar, committed_db: str, market: SimulatorProcess) -> Iterator[Desk]:
    with broker_scope(broker_called("a").pk):
        yield Desk.open(market)
    market.clear_faults()


def test_deposit_of_a_worker_that_was_taken_over_while_it_asked_is_taken_once(
    calendar: Calendar, desk: Desk
) -> None:
    alice = desk.client("alice", "20000")
    keys = ordered(desk, desk.pamm_account(alice, "1000.00"))

    def take_over() -> None:
        outlive_the_lease(calendar)
        roll_over(keys)

    with watched(once("after user/account/get_batch", take_over)):
        roll_over(keys)
    settle(calendar)
    assert Transfer.objects.get(purpose=Transfer.Purpose.DEPOSIT).state == Transfer.State.COMPLETED
    assert desk.balance(alice.login) == 19000


def test_payment_beside_an_unanswered_one_of_the_same_login_arrives(calendar: Calendar, desk: Desk) -> None:
    bob = desk.client("bob", "5000")
    first, second = (desk.pamm_account(desk.client(name, "9000"), "1000.00") for name in ("alice", "carol"))
    investment = desk.invest(bob, desk.offer(first, terms((None, "0.20"))), "500.00")
    desk.roll(first, second)
    desk.withdraw(investment, "100.00")
    desk.invest(bob, desk.offer(second, terms((None, "0.20"))), "200.00")
    calendar.let_pass(hours=1)
    desk.simulator.arm_fault("drop_before", login=bob.login)
    desk.roll(first, second)
    assert Leg.objects.filter(login=bob.login, state=Leg.State.UNKNOWN).exists()
    settle(calendar)
    left = Leg.objects.exclude(state=Leg.State.APPLIED)
    assert list(left.values_list("state", "refusal_text", "lookups", "attempts")) == []
    assert desk.balance(bob.login) == 4400


def test_worker_that_looked_before_another_sent_again_sends_no_third_time(
    calendar: Calendar, desk: Desk
) -> None:
    bob = desk.client("bob", "5000")
    account = desk.pamm_account(desk.client("alice", "9000"), "1000.00")
    investment = desk.invest(bob, desk.offer(account, terms((None, "0.20"))), "500.00")
    desk.roll(account)
    desk.withdraw(investment, "100.00")
    calendar.let_pass(hours=1)
    login = account.login or 0
    desk.simulator.arm_fault("drop_before", login=login)
    desk.roll(account)
    calendar.let_pass(seconds=20)
    desk.simulator.arm_fault("apply_late", login=login, seconds=0.5)
    with watched(once("after user/check_balance", settle_open_transfers)):
        settle_open_transfers()
    desk.simulator.finish_late_calls()
    settle(calendar)
    leg = Leg.objects.get(login=login, amount=Decimal("-100.00"))
    assert (leg.state, leg.attempts) == (Leg.State.APPLIED, 2)
    assert desk.balance(bob.login) == 4600
    assert desk.pool_balance(account) == 1400


def test_who_joins_while_others_pass_to_the_same_terms_shares_their_interval(
    calendar: Calendar, desk: Desk
) -> None:
    account = desk.pamm_account(desk.client("alice", "9000"), "1000.00")
    offer = desk.offer(account, terms((None, "0.20")))
    investment = desk.invest(desk.client("bob", "5000"), offer, "500.00")
    desk.roll(account)
    newer = revise_terms(offer=offer, terms=terms((None, "0.10")), by=account.manager.user)
    accept_terms(investment=investment, terms=newer, by=investment.owner)
    desk.invest(desk.client("carol", "5000"), offer, "300.00")
    calendar.let_pass(hours=1)
    (rollover,) = desk.roll(account)
    assert rollover.state == Rollover.State.COMPLETED
    assert Interval.objects.get(terms=newer).investments.count() == 2


def test_refused_deposit_fails_though_its_worker_died_before_it_said_so(
    calendar: Calendar, desk: Desk
) -> None:
    keys = ordered(desk, desk.pamm_account(desk.client("alice", "9000"), "1000.00"))
    desk.simulator.arm_fault("refuse", code=10019)

    answered: list[str] = []

    def die_once_it_is_recorded(moment: str) -> None:
        if moment == "after trade/balance":
            answered.append(moment)
        if answered and moment == "after a commit":
            raise Crash(moment)

    with pytest.raises(Crash), watched(die_once_it_is_recorded):
        roll_over(keys)
    forget_connections()
    outlive_the_lease(calendar)
    roll_over(keys)
    request = Request.objects.get()
    assert (request.state, request.reason_code) == (Request.State.FAILED, "refused_by_trading_server")


def ordered(desk: Desk, account: PammAccount) -> list[int]:
    """Keys of a rollover of the account that nobody works on yet."""
    return [rollover.pk for rollover in order_rollover(accounts=[account], by=desk.dealer)]


def once(moment: str, act: Callable[[], None]) -> Callable[[str], None]:
    """A hook that does something at the first moment of this kind."""
    awaited = [moment]

    def hook(now: str) -> None:
        if now in awaited:
            awaited.remove(now)
            act()

    return hook


def outlive_the_lease(calendar: Calendar) -> None:
    calendar.let_pass(seconds=int(settings.ROLLOVER_LEASE_SECONDS) + 1)


def settle(calendar: Calendar) -> None:
    """Let what is open be looked up, sent and finished."""
    for _ in range(4):
        calendar.let_pass(seconds=20)
        settle_open_transfers()
        keys = Rollover.objects.filter(state__in=Rollover.OPEN_STATES).values_list("pk", flat=True)
        roll_over(list(keys))
