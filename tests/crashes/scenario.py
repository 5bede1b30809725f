"""What happens to a pool within one hour: everything that moves money, once or twice."""

from contextlib import suppress
from decimal import Decimal

from django.utils import timezone

from accounts.models import Agent, HouseAccount, PammAccount, PersonalAccount, User
from allocation.models import Investment
from fees.calc.schedule import Tier
from investing import services as investing
from investing.errors import RequestNotPending
from investing.models import Request, Stop
from investing.services import order_closing, set_margin_policy
from offers.models import Offer
from rollover.models import Decision, Rollover, Schedule
from rollover.services import (
    Choice,
    differences_of,
    order_rollover,
    release_account,
    settle_open_transfers,
)
from tests.circle.world import SHARES, Desk, login_of, share_as_standard, terms

FEES = terms(
    (None, "0.30"),
    entry_tiers=(Tier(None, Decimal("0.01")),),
    volume_amount_per_lot=Decimal("0.50"),
    lock_in_days=30,
    early_exit_rate=Decimal("0.005"),
    early_exit_until="lock_in",
    **SHARES,
)
"""Of every kind that does not grow with time: what is due is the same, whenever a worker comes to it."""


def an_hour_full_of_money(desk: Desk) -> None:
    """Due are two deposits, a withdrawal, a close, the end of an interval with fees for the manager, the
    broker and an agent, and a small operation of somebody else's to be undone.
    """
    _open_fee_income(desk)
    account = _pool_of_three(desk)
    _ask_of(desk, account)
    desk.simulator.adjust_as_dealer(login_of(account), "7.00", comment="by hand")
    Schedule.objects.create(next_at=timezone.now(), every_minutes=60)


def the_same_but_nobody_planned_it(desk: Desk) -> None:
    """No hour is due. Frank has money and has not joined."""
    _open_fee_income(desk)
    _ask_of(desk, _pool_of_three(desk))
    desk.client("frank", "1000")


def money_in_transit(desk: Desk) -> None:
    """The deposits wait for a live price, and the broker's part of the entry fees has waited for an account
    that is there by now.
    """
    account = _pool_of_three(desk)
    _ask_of(desk, account)
    desk.hold(account, Decimal("10.00"))
    desk.age_ticks(seconds=4000)
    desk.roll(account)
    _open_fee_income(desk)


def an_hour_that_closes_positions(desk: Desk) -> None:
    """Two positions bind the pool's money; Bob takes out a part, for which both are closed in proportion."""
    _open_fee_income(desk)
    account = _pool_of_three(desk)
    set_margin_policy(
        account=account, policy=PammAccount.MarginPolicy.CLOSE_IN_PROPORTION, by=account.manager.user
    )
    desk.bind_margin(account, leave=Decimal(1207))
    desk.bind_margin(account, leave=Decimal(1301))
    desk.withdraw(Investment.objects.get(owner=_user("bob")), "300.00")
    Schedule.objects.create(next_at=timezone.now(), every_minutes=60)


def the_last_hour(desk: Desk) -> None:
    """The account is being closed: positions, then investors, then Alice."""
    _open_fee_income(desk)
    account = _pool_of_three(desk)
    desk.hold(account, Decimal("10.00"))
    desk.hold(account, Decimal("5.00"))
    order_closing(account=account, by=desk.dealer, note="Alice retires")
    Schedule.objects.create(next_at=timezone.now(), every_minutes=60)


def an_hour_in_which_a_stop_is_reached(desk: Desk) -> None:
    """Dora has added money and Erin joins; the price has reached Dora's take profit."""
    _open_fee_income(desk)
    account = _pool_of_three(desk)
    doras = Investment.objects.select_related("account", "owner").get(owner=_user("dora"))
    investing.confirm_request(request=desk.add_money(doras, "100.00"), by=desk.dealer)
    desk.invest(desk.client("erin", "1000"), Offer.objects.get(account=account), "200.00")
    amounts = {Stop.Kind.STOP_LOSS: Decimal("100.00"), Stop.Kind.TAKE_PROFIT: Decimal("310.00")}
    investing.set_stops(investment=doras, amounts=amounts, by=doras.owner)
    Schedule.objects.create(next_at=timezone.now(), every_minutes=60)


def held_for_a_large_operation(desk: Desk) -> None:
    """Dora paid straight into the pool, which is held; the requests wait."""
    _open_fee_income(desk)
    account = _pool_of_three(desk)
    _ask_of(desk, account)
    desk.simulator.adjust_as_dealer(login_of(account), "250.00", comment="by hand")
    (held,) = desk.roll(account)
    assert held.state == Rollover.State.HELD


def release_as_a_deposit() -> None:
    account = PammAccount.objects.get()
    (difference,) = differences_of(account) or (None,)
    if difference is None:
        return
    release_account(
        account=account,
        by=_user("dealer"),
        note="Dora paid it in herself",
        choices=[
            Choice(difference.ticket, Decision.Kind.DEPOSIT, Investment.objects.get(owner=_user("dora")))
        ],
    )


def release_and_roll_over() -> None:
    release_as_a_deposit()
    order_by_hand()


def order_by_hand() -> None:
    order_rollover(accounts=PammAccount.objects.all(), by=_user("dealer"))


def ask_for_more() -> None:
    """Frank joins and is let in; Bob takes out a second part; Dora, who adds, thinks again."""
    offer, frank = Offer.objects.get(), PersonalAccount.objects.get(user=_user("frank"))
    request = investing.request_first_deposit(
        owner=frank.user,
        offer=offer,
        terms=offer.terms.latest("version"),
        personal_account=frank,
        amount=Decimal("150.00"),
        idempotency_key="frank joins",
    )
    investing.confirm_request(request=request, by=_user("dealer"))
    bobs = Investment.objects.get(owner=_user("bob"))
    investing.request_withdrawal(
        investment=bobs, amount=Decimal("20.00"), by=bobs.owner, idempotency_key="bob takes more"
    )
    think_again()


def think_again() -> None:
    """Dora cancels what she adds, or calls it back; that it is done already is as good."""
    request = Request.objects.filter(investment__owner=_user("dora")).latest("id")
    with suppress(RequestNotPending):
        investing.cancel_request(request=request, by=request.investment.owner)


def think_again_and_tend() -> None:
    think_again()
    settle_open_transfers()


def _open_fee_income(desk: Desk) -> None:
    HouseAccount.objects.create(
        server=desk.server,
        purpose=HouseAccount.Purpose.INCOME,
        currency="USD",
        currency_digits=2,
        login=desk.simulator.add_account("house\\USD", "0"),
    )


def _pool_of_three(desk: Desk) -> PammAccount:
    """Alice's pool with Bob, Carol and Dora, whom an agent brought; worth a tenth more since they joined."""
    share_as_standard(desk, FEES)
    account = desk.pamm_account(desk.client("alice", "10000"), "1000.00")
    offer = desk.offer(account, FEES)
    agent = Agent.objects.create(user=desk.client("near", "0").user)
    for name, amount in (("bob", "500.00"), ("carol", "400.00"), ("dora", "300.00")):
        personal = desk.client(name, "1000")
        personal.introduced_by = agent
        personal.save()
        desk.invest(personal, offer, amount)
    (begun,) = desk.roll(account)
    assert begun.state == Rollover.State.COMPLETED, begun.reason
    desk.bring_price_to(account, Decimal("1.10"))
    return account


def _ask_of(desk: Desk, account: PammAccount) -> None:
    """Bob takes out a part, Carol leaves, Dora adds, Erin joins; all of it confirmed."""
    bobs, carols, doras = (Investment.objects.get(owner=_user(name)) for name in ("bob", "carol", "dora"))
    desk.withdraw(bobs, "50.00")
    desk.close(carols)
    investing.confirm_request(request=desk.add_money(doras, "100.00"), by=desk.dealer)
    desk.invest(desk.client("erin", "1000"), Offer.objects.get(account=account), "200.00")


def _user(name: str) -> User:
    user: User = User.objects.get(email=f"{name}@a.example")
    return user
