"""Bad input: each with its own code and message, and nothing changed."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from decimal import Decimal
from threading import Barrier

import pytest
from django.db import connection, transaction

from accounts.models import Manager, PammAccount, PersonalAccount
from allocation.models import Investment, UnitEntry
from brokers.errors import NotAllowed, NotFound, Refusal
from investing import services as investing
from investing.models import Request
from ledger.models import Entry
from offers.models import Offer
from offers.services import pause_offer, revise_terms
from outbox.models import Event
from tests.circle.world import Desk, terms
from tests.offers.test_races import wait_until_somebody_waits
from transfers.models import Transfer

TWENTY = terms(
    (None, "0.20"), interval_unit="months", minimum_first=Decimal(100), minimum_further=Decimal(50),
    minimum_remaining=Decimal(50), amount_step=Decimal(10),
)  # fmt: skip


@pytest.fixture
def alice(desk: Desk) -> PersonalAccount:
    return desk.client("alice", "10000")


@pytest.fixture
def bob(desk: Desk) -> PersonalAccount:
    return desk.client("bob", "1000")


@pytest.fixture
def offer(desk: Desk, alice: PersonalAccount) -> Offer:
    account = desk.pamm_account(alice, "1000.00", minimum_own_capital="500.00")
    opened = desk.offer(account, TWENTY)
    desk.roll(account)
    return opened


@pytest.fixture
def investment(desk: Desk, bob: PersonalAccount, offer: Offer) -> Investment:
    made = desk.invest(bob, offer, "500.00")
    desk.roll(offer.account)
    made.refresh_from_db()
    return made


def join(bob: PersonalAccount, offer: Offer, amount: str = "500.00", **changes: object) -> Request:
    fields: dict[str, object] = {
        "owner": bob.user, "offer": offer, "terms": offer.terms.latest("version"), "personal_account": bob,
        "amount": Decimal(amount), "idempotency_key": str(uuid.uuid4()), **changes,
    }  # fmt: skip
    return investing.request_first_deposit(**fields)  # type: ignore[arg-type]


def everything() -> tuple[int, ...]:
    models = (Request, Investment, UnitEntry, Transfer, Entry, Event)
    return tuple(model.objects.count() for model in models)


def refused(code: str, act: Callable[[], object]) -> Refusal:
    """`act` must be refused with `code`, say something readable, and change nothing."""
    before = everything()
    with pytest.raises(Refusal) as caught:
        act()
    assert caught.value.code == code
    assert str(caught.value)
    assert "{" not in str(caught.value)
    assert everything() == before
    return caught.value


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        ("0", "amount_not_positive"),
        ("-500", "amount_not_positive"),
        ("NaN", "amount_not_positive"),
        ("Infinity", "amount_not_positive"),
        ("500.001", "amount_too_precise"),
        ("1e30", "amount_too_large"),
        ("90", "amount_below_minimum"),
        ("505", "amount_not_in_steps"),
        ("1010", "over_personal_balance"),
    ],
)
def test_first_deposit_of_a_bad_amount_is_refused(
    bob: PersonalAccount, offer: Offer, amount: str, code: str
) -> None:
    assert refused(code, lambda: join(bob, offer, amount)).field == "amount"


def test_deposits_promised_already_count_against_the_balance(bob: PersonalAccount, offer: Offer) -> None:
    join(bob, offer, "600.00")
    refused("over_personal_balance", lambda: join(bob, offer, "500.00"))


def test_deposit_over_capacity_is_refused(desk: Desk, bob: PersonalAccount, offer: Offer) -> None:
    Offer.objects.filter(pk=offer.pk).update(capacity_amount=Decimal("700"))
    join(bob, offer, "500.00")
    carol = desk.client("carol", "1000")
    refusal = refused("over_capacity", lambda: join(carol, offer, "300.00"))
    assert refusal.fields["left"] == Decimal("200")


def test_deposit_of_one_investor_too_many_is_refused(desk: Desk, bob: PersonalAccount, offer: Offer) -> None:
    Offer.objects.filter(pk=offer.pk).update(capacity_investors=1)
    join(bob, offer)
    refused("no_place_left", lambda: join(desk.client("carol", "1000"), offer))
    join(bob, offer, "100.00")


def test_same_click_twice_is_one_request(bob: PersonalAccount, offer: Offer) -> None:
    key = str(uuid.uuid4())
    first, second = join(bob, offer, idempotency_key=key), join(bob, offer, idempotency_key=key)
    assert first.pk == second.pk
    assert Request.objects.filter(investment__owner=bob.user).count() == 1


def test_same_key_for_another_amount_is_refused(bob: PersonalAccount, offer: Offer) -> None:
    key = str(uuid.uuid4())
    join(bob, offer, idempotency_key=key)
    refused("idempotency_key_reused", lambda: join(bob, offer, "600.00", idempotency_key=key))


def test_same_click_sixteen_times_at_once_is_one_request(bob: PersonalAccount, offer: Offer) -> None:
    key, barrier = str(uuid.uuid4()), Barrier(16)

    def click() -> int:
        barrier.wait()
        try:
            return join(bob, offer, idempotency_key=key).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(16) as pool:
        answers = [pool.submit(copy_context().run, click) for _ in range(16)]
        made = {answer.result() for answer in answers}
    assert len(made) == 1
    assert Request.objects.filter(investment__owner=bob.user).count() == 1


@pytest.mark.parametrize("asked", ["close", "withdrawal"])
def test_same_click_at_once_that_leaves_no_room_for_a_second_is_one_request(
    bob: PersonalAccount, investment: Investment, asked: str
) -> None:
    key, barrier = str(uuid.uuid4()), Barrier(8)

    def click() -> int:
        barrier.wait()
        try:
            if asked == "close":
                return investing.request_close(investment=investment, by=bob.user, idempotency_key=key).pk
            return investing.request_withdrawal(
                investment=investment, amount=Decimal(400), by=bob.user, idempotency_key=key
            ).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(copy_context().run, click) for _ in range(8)]
        made = {answer.result() for answer in answers}
    assert len(made) == 1
    assert Request.objects.filter(investment=investment, kind=asked).count() == 1


def test_account_opened_by_a_twin_meanwhile_is_answered_and_not_made_a_draft_again(
    desk: Desk, alice: PersonalAccount, offer: Offer
) -> None:
    key, manager = str(uuid.uuid4()), Manager.objects.get(user=alice.user)
    twin = PammAccount.objects.create(
        manager=manager, income_account=alice, server=alice.server, name="Twins", currency="USD",
        currency_digits=2, minimum_own_capital=Decimal(100), opening_key=key,
    )  # fmt: skip

    def click() -> investing.OpenedAccount:
        try:
            return investing.open_pamm_account(
                manager=manager, income_account=alice, name="Twins", own_capital=Decimal(100),
                by=alice.user, idempotency_key=key,
            )  # fmt: skip
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            PammAccount.objects.select_for_update().get(pk=twin.pk)
            second = pool.submit(copy_context().run, click)
            wait_until_somebody_waits()
            PammAccount.objects.filter(pk=twin.pk).update(state=PammAccount.State.ACTIVE, login=4711)
        opened = second.result()
    assert (opened.account.pk, opened.account.login, opened.trading_password) == (twin.pk, 4711, None)
    twin.refresh_from_db()
    assert (twin.state, twin.login) == (PammAccount.State.ACTIVE, 4711)
    assert not Request.objects.filter(account=twin).exists()


def test_stale_confirmation_is_refused(desk: Desk, bob: PersonalAccount, offer: Offer) -> None:
    request = join(bob, offer)
    refused(
        "stale_confirmation",
        lambda: investing.confirm_request(request=request, by=desk.dealer, expected_amount=Decimal("100")),
    )


def test_confirmation_of_a_cancelled_request_is_refused(
    desk: Desk, bob: PersonalAccount, offer: Offer
) -> None:
    request = join(bob, offer)
    investing.cancel_request(request=request, by=bob.user)
    refused("request_not_pending", lambda: investing.confirm_request(request=request, by=desk.dealer))


def test_confirmation_twice_is_one(desk: Desk, bob: PersonalAccount, offer: Offer) -> None:
    request = join(bob, offer)
    first = investing.confirm_request(request=request, by=desk.dealer)
    second = investing.confirm_request(request=request, by=desk.dealer)
    assert first.confirmed_at == second.confirmed_at


def test_confirmation_by_the_investor_himself_is_not_allowed(bob: PersonalAccount, offer: Offer) -> None:
    request = join(bob, offer)
    before = everything()
    with pytest.raises(NotAllowed):
        investing.confirm_request(request=request, by=bob.user)
    assert everything() == before


def test_rejection_without_a_reason_is_refused(desk: Desk, bob: PersonalAccount, offer: Offer) -> None:
    request = join(bob, offer)
    refused("reason_missing", lambda: investing.reject_request(request=request, by=desk.dealer, note="  "))


def test_withdrawal_above_what_there_is_is_refused(desk: Desk, investment: Investment) -> None:
    refused("more_than_available", lambda: desk.withdraw(investment, "500.01"))


def test_withdrawals_promised_already_count(desk: Desk, investment: Investment) -> None:
    desk.withdraw(investment, "300.00")
    refused("more_than_available", lambda: desk.withdraw(investment, "200.01"))


def test_withdrawal_that_leaves_less_than_the_minimum_is_refused(desk: Desk, investment: Investment) -> None:
    refusal = refused("too_little_would_remain", lambda: desk.withdraw(investment, "480.00"))
    assert refusal.fields["largest"] == Decimal("450.00")


@pytest.mark.parametrize(
    ("amount", "code"),
    [("0", "amount_not_positive"), ("-1", "amount_not_positive"), ("0.001", "amount_too_precise")],
)
def test_withdrawal_of_a_bad_amount_is_refused(
    desk: Desk, investment: Investment, amount: str, code: str
) -> None:
    refused(code, lambda: desk.withdraw(investment, amount))


def test_second_close_is_refused(desk: Desk, investment: Investment) -> None:
    desk.close(investment)
    refused("already_closing", lambda: desk.close(investment))


def test_own_capital_stays_while_others_are_invested(desk: Desk, investment: Investment) -> None:
    own = Investment.objects.get(account=investment.account, is_own_capital=True)
    refused("own_capital_would_break", lambda: desk.close(own))
    refused("own_capital_would_break", lambda: desk.withdraw(own, "500.01"))
    desk.withdraw(own, "500.00")


def test_lock_in_keeps_money_until_it_ends(desk: Desk, bob: PersonalAccount, alice: PersonalAccount) -> None:
    account = desk.pamm_account(alice, "1000.00")
    locked = desk.invest(bob, desk.offer(account, terms((None, "0.20"), lock_in_days=30)), "500.00")
    desk.roll(account)
    locked.refresh_from_db()
    refused("lock_in_not_over", lambda: desk.close(locked))
    refused("lock_in_not_over", lambda: desk.withdraw(locked, "100.00"))


def test_joining_on_terms_that_have_changed_is_refused(bob: PersonalAccount, offer: Offer) -> None:
    seen = offer.terms.latest("version")
    revise_terms(offer=offer, terms=terms((None, "0.25")), by=offer.account.manager.user)
    refused("terms_changed", lambda: join(bob, offer, terms=seen))


def test_joining_a_paused_offer_is_refused(bob: PersonalAccount, offer: Offer) -> None:
    pause_offer(offer=offer, by=offer.account.manager.user)
    before = everything()
    with pytest.raises((NotFound, Refusal)):
        join(bob, offer)
    assert everything() == before


def test_joining_ones_own_offer_is_refused(alice: PersonalAccount, offer: Offer) -> None:
    refused("own_offer", lambda: join(alice, offer))


def test_joining_with_somebody_elses_account_is_not_found(
    desk: Desk, bob: PersonalAccount, offer: Offer
) -> None:
    refused("not_found", lambda: join(bob, offer, personal_account=desk.client("carol", "1000")))


def test_joining_in_another_currency_is_refused(desk: Desk, bob: PersonalAccount, offer: Offer) -> None:
    in_euros = desk.client("carol", "1000", currency="EUR")
    refused("currency_differs", lambda: join(in_euros, offer))


def test_others_investment_is_not_found(desk: Desk, investment: Investment) -> None:
    stranger = desk.client("carol", "1000").user
    refused(
        "not_found",
        lambda: investing.request_close(investment=investment, by=stranger, idempotency_key="x"),
    )


def test_money_taken_out_under_tiers_comes_back_only_after_the_interval(
    desk: Desk, bob: PersonalAccount, alice: PersonalAccount
) -> None:
    account = desk.pamm_account(alice, "1000.00")
    tiered = desk.offer(
        account, terms((None, "0.50"), ("1000", "0.40"), basis="net_worth", interval_unit="months")
    )
    made = desk.invest(bob, tiered, "500.00")
    desk.roll(account)
    made.refresh_from_db()
    desk.withdraw(made, "100.00")
    desk.roll(account)
    refused("taken_out_early", lambda: desk.add_money(made, "100.00"))
    refused("taken_out_early", lambda: join(bob, tiered, "100.00"))


def test_opening_with_too_little_own_capital_is_refused(desk: Desk, alice: PersonalAccount) -> None:
    refused(
        "own_capital_too_small",
        lambda: desk.pamm_account(alice, "100.00", minimum_own_capital="500.00"),
    )


def test_opening_twice_with_one_key_is_one_account(desk: Desk, alice: PersonalAccount) -> None:
    first = desk.pamm_account(alice, "100.00", key="once")
    second = desk.pamm_account(alice, "100.00", key="once")
    assert first.pk == second.pk
    assert first.login == second.login


def test_opening_at_a_silent_trading_server_leaves_no_draft_behind(
    desk: Desk, alice: PersonalAccount
) -> None:
    desk.simulator.arm_fault("drop_before", command="user/add", calls=5)
    before = PammAccount.objects.count()
    refused("trading_server_unavailable", lambda: desk.pamm_account(alice, "100.00"))
    assert PammAccount.objects.count() == before


def test_silent_trading_server_is_said_and_nothing_changes(
    desk: Desk, bob: PersonalAccount, offer: Offer
) -> None:
    desk.server.port = 1
    desk.server.save()
    bob.refresh_from_db()
    refused("trading_server_unavailable", lambda: join(bob, offer))
