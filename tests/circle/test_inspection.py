"""The nightly comparison of a trading server's balance operations with our books, both ways, and what a
person makes of what it finds.
"""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import HouseAccount, PammAccount, PersonalAccount
from brokers.errors import NotAllowed
from offers.models import Offer
from outbox.models import Event
from rollover.errors import FindingNotOpen, LegNotInConflict, NoSuchDeal, NoteMissing
from rollover.models import Decision, Finding, Inspection, Rollover
from rollover.services import (
    deals_in_conflict,
    inspect_server,
    release_account,
    resolve_conflict,
    settle_finding,
)
from tests.circle.books import assert_books_agree
from tests.circle.world import Calendar, Desk, login_of, terms
from trading.gateway import GatewayError
from transfers.models import Leg

Kind = Finding.Kind
UNUSED_KEY = "PM00000000000000000000000000"


@pytest.fixture
def bob(calendar: Calendar, desk: Desk) -> PersonalAccount:
    return desk.client("bob", "1000")


@pytest.fixture
def offer(bob: PersonalAccount, desk: Desk) -> Offer:
    account = desk.pamm_account(desk.client("alice", "10000"), "1000.00")
    return desk.offer(account, terms((None, "0.20"), interval_unit="months"))


@pytest.fixture
def pool(calendar: Calendar, desk: Desk, bob: PersonalAccount, offer: Offer) -> PammAccount:
    """Alice's 1,000.00 and Bob's 500.00, a gain of 20.00 that was counted, and an hour since."""
    calendar.let_pass(hours=1)
    desk.invest(bob, offer, "500.00")
    desk.roll(offer.account)
    calendar.let_pass(hours=1)
    desk.earn(offer.account, Decimal("20.00"))
    desk.roll(offer.account)
    calendar.let_pass(hours=1)
    account: PammAccount = offer.account
    account.refresh_from_db()
    return account


def inspected(desk: Desk) -> Inspection:
    """Since the people had their accounts and money, which stands in our name here."""
    since = PammAccount.objects.order_by("id")[0].created_at + timedelta(minutes=30)
    return inspect_server(desk.server, since=since)


def applied(login: int) -> Leg:
    """The latest operation of ours on a login."""
    leg: Leg = Leg.objects.filter(login=login, state=Leg.State.APPLIED).latest("id")
    return leg


def gain_of(desk: Desk, pool: PammAccount) -> int:
    """The ticket of the trade that earned 20.00."""
    since = pool.created_at
    deals = desk.gateway.deals([login_of(pool)], since, since.replace(year=since.year + 1))[login_of(pool)]
    return next(deal.ticket for deal in deals if deal.trade_result == Decimal("20.00"))


def suspense(desk: Desk) -> HouseAccount:
    return HouseAccount.objects.get(server=desk.server, purpose=HouseAccount.Purpose.SUSPENSE, currency="USD")


def found() -> set[tuple[str, int, int]]:
    return set(Finding.objects.values_list("kind", "login", "ticket"))


def events(kind: str) -> int:
    return Event.objects.filter(kind=kind).count()


def test_books_that_agree_show_nothing(desk: Desk, pool: PammAccount, bob: PersonalAccount) -> None:
    """Nor do operations of others on clients' own accounts, which are theirs."""
    desk.simulator.adjust_as_dealer(bob.login, "70.00", comment="a wire")
    inspection = inspected(desk)
    assert (inspection.found, found()) == (0, set())
    assert inspection.legs == Leg.objects.filter(state=Leg.State.APPLIED).count()
    assert inspection.deals > inspection.legs
    pool.refresh_from_db()
    assert not pool.is_held


def test_what_is_missing_changed_or_gone_is_found_and_holds_its_account(
    desk: Desk, pool: PammAccount, bob: PersonalAccount
) -> None:
    """One difference of each kind that our own books know of."""
    gone, edited, trade = applied(bob.login), applied(login_of(pool)), gain_of(desk, pool)
    assert gone.ticket is not None
    assert edited.ticket is not None
    desk.simulator.delete_deal(gone.ticket)
    desk.simulator.edit_deal(edited.ticket, Profit="501.00")
    desk.simulator.delete_deal(trade)
    assert inspected(desk).found == 3
    assert found() == {
        (Kind.MISSING_DEAL, bob.login, gone.ticket),
        (Kind.CHANGED_DEAL, login_of(pool), edited.ticket),
        (Kind.VANISHED_DEAL, login_of(pool), trade),
    }
    assert Finding.objects.get(kind=Kind.MISSING_DEAL).account is None
    pool.refresh_from_db()
    assert (pool.is_held, pool.hold_reason) == (True, "counted_deal_changed")
    assert {row["kind"] for row in pool.hold_details["findings"]} == {
        Kind.CHANGED_DEAL,
        Kind.VANISHED_DEAL,
    }
    assert (events("finding.opened"), events("account.held")) == (3, 1)


def test_what_was_done_in_our_name_or_on_the_brokers_accounts_is_found(
    calendar: Calendar, desk: Desk, pool: PammAccount, bob: PersonalAccount
) -> None:
    """One of each kind that only the trading server knows of."""
    ours, house = desk.server.manager_login, suspense(desk).login
    unknown = desk.simulator.adjust_as_dealer(bob.login, "1.00", dealer=ours, comment=UNUSED_KEY)
    again = desk.simulator.adjust_as_dealer(bob.login, "2.00", comment=applied(bob.login).key)
    foreign = desk.simulator.adjust_as_dealer(house, "3.00", comment="by hand")
    calendar.let_pass(hours=1)
    inspected(desk)
    assert found() == {
        (Kind.UNKNOWN_KEY, bob.login, unknown),
        (Kind.DUPLICATE_KEY, bob.login, again),
        (Kind.FOREIGN, house, foreign),
    }
    pool.refresh_from_db()
    assert not pool.is_held


def test_what_was_done_a_moment_ago_is_left_to_the_next_night(
    calendar: Calendar, desk: Desk, pool: PammAccount, bob: PersonalAccount
) -> None:
    """The server may show an operation later than it makes it."""
    carol = desk.client("carol", "0")
    desk.simulator.adjust_as_dealer(carol.login, "300.00")
    desk.invest(carol, Offer.objects.get(), "300.00")
    desk.roll(pool)
    late = applied(login_of(pool))
    assert late.ticket is not None
    desk.simulator.delete_deal(late.ticket)
    assert inspected(desk).found == 0
    calendar.let_pass(hours=1)
    assert inspected(desk).found == 1
    assert found() == {(Kind.MISSING_DEAL, login_of(pool), late.ticket)}


def test_settled_finding_stays_settled_until_it_changes(
    desk: Desk, pool: PammAccount, bob: PersonalAccount
) -> None:
    trade = gain_of(desk, pool)
    desk.simulator.edit_deal(trade, Profit="21.00")
    inspected(desk)
    finding = Finding.objects.get()
    with pytest.raises(NotAllowed):
        settle_finding(finding=finding, by=bob.user, note="mine")
    with pytest.raises(NoteMissing):
        settle_finding(finding=finding, by=desk.dealer, note="  ")
    settle_finding(finding=finding, by=desk.dealer, note="a correction that the client agreed to")
    with pytest.raises(FindingNotOpen):
        settle_finding(finding=finding, by=desk.dealer, note="again")
    assert Decision.objects.get(ticket=trade).kind == Decision.Kind.NOTED
    release_account(account=pool, by=desk.dealer, note="seen")

    inspected(desk)
    finding.refresh_from_db()
    pool.refresh_from_db()
    assert (finding.state, pool.is_held, events("finding.opened")) == (Finding.State.SETTLED, False, 1)

    desk.simulator.edit_deal(trade, Profit="22.00")
    inspected(desk)
    finding.refresh_from_db()
    pool.refresh_from_db()
    assert (finding.state, finding.note, finding.settled_by) == (Finding.State.OPEN, "", None)
    assert (pool.is_held, events("finding.opened")) == (True, 2)


def test_account_released_while_its_finding_is_open_is_held_again_the_next_night(
    desk: Desk, pool: PammAccount
) -> None:
    desk.simulator.delete_deal(gain_of(desk, pool))
    inspected(desk)
    pool.refresh_from_db()
    release_account(account=pool, by=desk.dealer, note="later")
    (rollover,) = desk.roll(pool)
    assert rollover.state == Rollover.State.COMPLETED
    inspected(desk)
    pool.refresh_from_db()
    assert pool.is_held
    assert (Finding.objects.count(), events("finding.opened")) == (1, 1)


def test_comparison_asks_as_often_for_many_accounts_as_for_one(desk: Desk, pool: PammAccount) -> None:
    def asked() -> tuple[int, int]:
        desk.simulator.calls(reset=True)
        with CaptureQueriesContext(connection) as statements:
            inspected(desk)
        return sum(desk.simulator.calls().values()), len(statements)

    inspected(desk)
    one = asked()
    desk.roll(*(desk.pamm_account(desk.client(f"m{number}", "500"), "100.00") for number in range(4)))
    assert asked() == one


def test_server_that_does_not_answer_leaves_no_comparison(desk: Desk, pool: PammAccount) -> None:
    desk.simulator.arm_fault("drop_before", "deal/*", calls=0)
    with pytest.raises(GatewayError):
        inspected(desk)
    assert not Inspection.objects.exists()


@pytest.fixture
def doubtful(calendar: Calendar, desk: Desk, pool: PammAccount, bob: PersonalAccount) -> tuple[Leg, int]:
    """A payment of 100.00 whose answer was lost, and a dealer who made it again under its key: the leg, and
    the dealer's ticket.
    """
    desk.withdraw(bob.user.investments.select_related("account", "owner").get(), "100.00")
    desk.simulator.arm_fault("drop_after", login=login_of(pool))
    desk.roll(pool)
    leg = Leg.objects.select_related("server", "transfer").get(state=Leg.State.UNKNOWN)
    copied = desk.simulator.adjust_as_dealer(login_of(pool), leg.amount, comment=leg.key)
    calendar.let_pass(hours=1)
    desk.expire_answers()
    (rollover,) = desk.roll(pool)
    assert (rollover.state, rollover.reason_code) == (Rollover.State.HELD, "transfer_conflict")
    leg.refresh_from_db()
    return leg, copied


def go_on(calendar: Calendar, desk: Desk, pool: PammAccount, *, undoing: str) -> None:
    """Release the account; the next hour's rollover undoes foreign operations up to that much."""
    pool.refresh_from_db()
    release_account(account=pool, by=desk.dealer, note="decided")
    desk.broker.foreign_limit = Decimal(undoing)
    desk.broker.save()
    calendar.let_pass(hours=1)
    (rollover,) = desk.roll(pool)
    assert rollover.state == Rollover.State.COMPLETED


def test_operation_found_twice_stops_everything_until_a_person_says_which_is_ours(
    desk: Desk, pool: PammAccount, bob: PersonalAccount, doubtful: tuple[Leg, int]
) -> None:
    leg, copied = doubtful
    assert leg.state == Leg.State.CONFLICT
    assert events("transfer.conflict") == 1
    (ours,) = (deal.ticket for deal in deals_in_conflict(leg) if deal.ticket != copied)
    with pytest.raises(NotAllowed):
        resolve_conflict(leg=leg, ticket=ours, by=bob.user, note="mine")
    with pytest.raises(NoteMissing):
        resolve_conflict(leg=leg, ticket=ours, by=desk.dealer, note="")
    with pytest.raises(NoSuchDeal):
        resolve_conflict(leg=leg, ticket=gain_of(desk, pool), by=desk.dealer, note="that one")
    leg.refresh_from_db()
    assert (leg.state, desk.balance(bob.login)) == (Leg.State.CONFLICT, Decimal("500.00"))

    resolve_conflict(leg=leg, ticket=ours, by=desk.dealer, note="the dealer repeated it")
    with pytest.raises(LegNotInConflict):
        resolve_conflict(leg=leg, ticket=ours, by=desk.dealer, note="again")


def test_operation_that_is_none_of_those_found_is_sent_again_and_they_are_undone(
    calendar: Calendar, desk: Desk, pool: PammAccount, bob: PersonalAccount, doubtful: tuple[Leg, int]
) -> None:
    leg, _ = doubtful
    found = {deal.ticket for deal in deals_in_conflict(leg)}
    resolve_conflict(leg=leg, ticket=None, by=desk.dealer, note="both by hand")
    with pytest.raises(LegNotInConflict):
        resolve_conflict(leg=leg, ticket=None, by=desk.dealer, note="again")
    go_on(calendar, desk, pool, undoing="200.00")
    assert set(Decision.objects.values_list("ticket", flat=True)) == found
    leg.refresh_from_db()
    assert (leg.state, leg.attempts) == (Leg.State.APPLIED, 2)
    assert leg.ticket not in found
    assert desk.balance(bob.login) == Decimal("600.00")


def test_other_deal_of_a_resolved_conflict_is_somebody_elses(
    calendar: Calendar, desk: Desk, pool: PammAccount, bob: PersonalAccount, doubtful: tuple[Leg, int]
) -> None:
    leg, copied = doubtful
    (ours,) = (deal.ticket for deal in deals_in_conflict(leg) if deal.ticket != copied)
    resolve_conflict(leg=leg, ticket=ours, by=desk.dealer, note="the dealer repeated it")
    go_on(calendar, desk, pool, undoing="100.00")
    assert Decision.objects.get().ticket == copied
    assert desk.balance(bob.login) == Decimal("600.00")
    desk.simulator.edit_deal(copied, Comment="by hand")
    assert_books_agree(desk, pool)
