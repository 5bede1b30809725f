"""Somebody else's hands on a PAMM account: small operations are undone, large ones and what nothing explains
hold it until a person has said whose they are.
"""

from decimal import Decimal

import pytest

from accounts.models import HouseAccount, PammAccount, PersonalAccount
from allocation.models import Investment
from brokers.errors import NotAllowed, Refusal
from investing.models import Request
from ledger.models import LedgerAccount
from ledger.queries import balance
from offers.models import Offer
from rollover.effects import release_effect
from rollover.errors import DepositNotPositive, InvestmentMissing, NoSuchDifference, NoteMissing
from rollover.models import CountedDeal, Decision, Rollover
from rollover.services import Choice, differences_of, release_account
from rollover.verification import verify_account, verify_ledger
from tests.circle.books import assert_books_agree
from tests.circle.world import Desk, login_of, terms

Kind = Decision.Kind


@pytest.fixture
def bob(desk: Desk) -> PersonalAccount:
    return desk.client("bob", "1000")


@pytest.fixture
def offer(desk: Desk) -> Offer:
    account = desk.pamm_account(desk.client("alice", "10000"), "1000.00")
    return desk.offer(account, terms((None, "0.20"), interval_unit="months"))


@pytest.fixture
def pool(desk: Desk, bob: PersonalAccount, offer: Offer) -> PammAccount:
    """1,500.00 at price 1: 1,000.00 of Alice's own and 500.00 of Bob's."""
    desk.invest(bob, offer, "500.00")
    desk.roll(offer.account)
    account: PammAccount = offer.account
    return account


def bobs(pool: PammAccount) -> Investment:
    return Investment.objects.select_related("account", "owner").get(account=pool, is_own_capital=False)


def suspense(pool: PammAccount) -> HouseAccount:
    return HouseAccount.objects.get(
        purpose=HouseAccount.Purpose.SUSPENSE, currency=pool.currency, server=pool.server
    )


def held(pool: PammAccount) -> PammAccount:
    pool.refresh_from_db()
    assert pool.is_held
    return pool


def assert_all_agree(desk: Desk, pool: PammAccount) -> None:
    assert_books_agree(desk, pool)
    assert [str(found) for found in (*verify_account(pool.pk).differences, *verify_ledger())] == []


def test_small_foreign_operations_are_undone_and_the_price_never_sees_them(
    desk: Desk, pool: PammAccount
) -> None:
    desk.simulator.adjust_as_dealer(login_of(pool), "5.00", comment="by hand")
    desk.simulator.adjust_as_dealer(login_of(pool), "-3.00", comment="by hand")
    (rollover,) = desk.roll(pool)
    assert (rollover.state, rollover.price_point.equity) == (Rollover.State.COMPLETED, Decimal("1500.00"))
    assert desk.pool_balance(pool) == Decimal("1500.00")
    assert desk.balance(suspense(pool).login) == Decimal("1002.00")
    assert balance(LedgerAccount.Kind.HOUSE_CLAIM, suspense(pool).public_id, "USD") == Decimal("-2.00")
    assert set(Decision.objects.values_list("amount", flat=True)) == {Decimal("5.00"), Decimal("-3.00")}
    assert not Decision.objects.exclude(kind=Kind.UNDONE, made_by=None).exists()
    assert_all_agree(desk, pool)


def test_foreign_operations_of_one_day_share_one_limit(desk: Desk, pool: PammAccount) -> None:
    """10.00 a day: 6.00 in and out again are 12.00."""
    desk.simulator.adjust_as_dealer(login_of(pool), "6.00")
    desk.roll(pool)
    desk.simulator.adjust_as_dealer(login_of(pool), "-6.00")
    (rollover,) = desk.roll(pool)
    assert rollover.state == Rollover.State.HELD
    assert [found.amount for found in differences_of(held(pool))] == [Decimal("-6.00")]


def test_large_operation_becomes_the_deposit_of_a_named_investment(desk: Desk, pool: PammAccount) -> None:
    ticket = desk.simulator.adjust_as_dealer(login_of(pool), "250.00", comment="for Bob")
    desk.roll(pool)
    choices = [Choice(ticket, Kind.DEPOSIT, bobs(pool))]
    effect = release_effect(held(pool), choices)
    assert (effect.price_after, effect.deposits[0].units) == (effect.price_before, Decimal(250))
    release_account(account=pool, by=desk.dealer, note="Bob's wire", choices=choices)
    desk.roll(pool)
    assert bobs(pool).units == Decimal(750)
    assert desk.pool_balance(pool) == Decimal("1750.00")
    assert desk.balance(suspense(pool).login) == Decimal("1000.00")
    assert Request.objects.get(origin=Request.Origin.RECONCILIATION).state == Request.State.EXECUTED
    assert_all_agree(desk, pool)


def test_large_operation_that_a_person_undoes_leaves_everybody_where_he_was(
    desk: Desk, pool: PammAccount
) -> None:
    ticket = desk.simulator.adjust_as_dealer(login_of(pool), "-250.00")
    desk.roll(pool)
    release_account(account=held(pool), by=desk.dealer, note="a slip", choices=[Choice(ticket, Kind.UNDONE)])
    (rollover,) = desk.roll(pool)
    assert rollover.price_point.equity == Decimal("1500.00")
    assert desk.balance(suspense(pool).login) == Decimal("750.00")
    assert_all_agree(desk, pool)


def test_accepted_operation_is_everybodys_result(desk: Desk, pool: PammAccount) -> None:
    ticket = desk.simulator.adjust_as_dealer(login_of(pool), "150.00", comment="compensation")
    desk.roll(pool)
    choices = [Choice(ticket, Kind.RESULT)]
    assert release_effect(held(pool), choices).price_after.rounded() == Decimal("1.1")
    release_account(account=pool, by=desk.dealer, note="outage", choices=choices)
    (rollover,) = desk.roll(pool)
    assert rollover.price_point.trading_result == Decimal("150.00")
    assert_all_agree(desk, pool)


@pytest.mark.parametrize(("kind", "equity"), [(Kind.RESULT, "1480.00"), (Kind.UNDONE, "1500.00")])
def test_difference_that_no_deal_explains_holds_until_somebody_says_whose_it_is(
    desk: Desk, pool: PammAccount, kind: Decision.Kind, equity: str
) -> None:
    """An operation is deleted by an administrator, and the balance follows."""
    ticket = desk.simulator.adjust_as_dealer(login_of(pool), "-20.00")
    desk.simulator.ask("deal/delete", ticket=ticket)
    (rollover,) = desk.roll(pool)
    assert (rollover.state, rollover.reason_code) == (Rollover.State.HELD, "balance_differs")
    (difference,) = differences_of(held(pool))
    assert (difference.ticket, difference.amount) == (None, Decimal("-20.00"))
    release_account(account=pool, by=desk.dealer, note="seen", choices=[Choice(None, kind)])
    (rollover,) = desk.roll(pool)
    assert (rollover.state, rollover.price_point.equity) == (Rollover.State.COMPLETED, Decimal(equity))
    assert CountedDeal.objects.filter(account=pool, ticket__lt=0).count() == 1
    assert_all_agree(desk, pool)


def test_account_released_with_nothing_said_is_held_again(desk: Desk, pool: PammAccount) -> None:
    desk.simulator.adjust_as_dealer(login_of(pool), "250.00")
    desk.roll(pool)
    release_account(account=held(pool), by=desk.dealer, note="looked at it")
    (rollover,) = desk.roll(pool)
    assert rollover.state == Rollover.State.HELD


def test_release_that_does_not_fit_the_differences_changes_nothing(desk: Desk, pool: PammAccount) -> None:
    taken = desk.simulator.adjust_as_dealer(login_of(pool), "-250.00")
    desk.roll(pool)
    held(pool)
    refused: list[tuple[type[Refusal], dict[str, object]]] = [
        (NoteMissing, {"note": " "}),
        (NotAllowed, {"by": bobs(pool).owner}),
        (NoSuchDifference, {"choices": [Choice(taken + 1, Kind.RESULT)]}),
        (NoSuchDifference, {"choices": [Choice(taken, Kind.RESULT), Choice(taken, Kind.RESULT)]}),
        (InvestmentMissing, {"choices": [Choice(taken, Kind.DEPOSIT)]}),
        (DepositNotPositive, {"choices": [Choice(taken, Kind.DEPOSIT, bobs(pool))]}),
    ]
    for refusal, changes in refused:
        with pytest.raises(refusal):
            release_account(**{"account": pool, "by": desk.dealer, "note": "seen", **changes})  # type: ignore[arg-type]
    assert held(pool).hold_reason == "foreign_operation"
    assert not Decision.objects.exists()


def test_operation_with_a_copied_key_of_ours_is_foreign(desk: Desk, pool: PammAccount) -> None:
    """The first deposit's key stands there twice: by its ticket only one is ours."""
    key = next(deal.comment for deal in desk.gateway.deals(
        [login_of(pool)], pool.created_at, pool.created_at.replace(year=pool.created_at.year + 1)
    )[login_of(pool)] if deal.is_flow)  # fmt: skip
    desk.simulator.adjust_as_dealer(login_of(pool), "400.00", comment=key, dealer=desk.server.manager_login)
    (rollover,) = desk.roll(pool)
    assert (rollover.state, rollover.reason_code) == (Rollover.State.HELD, "foreign_operation")
