"""Stop loss and take profit, with a real trading server: reached, passed over, waiting, never twice."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone

from accounts.models import PammAccount, PersonalAccount
from allocation.models import Investment, UnitEntry
from brokers.errors import NotFound
from brokers.models import Broker
from fees.models import Charge
from investing.errors import (
    AccountNotActive,
    AlreadyClosing,
    AmountNotPositive,
    AmountTooPrecise,
    InvestmentNotActive,
    LockInNotOver,
    NoStop,
    StopLossNotBelow,
    StopOnOwnCapital,
    StopsChanged,
    StopsCrossed,
    TakeProfitNotAbove,
)
from investing.models import Request, Stop
from investing.services import (
    cancel_request,
    confirm_request,
    order_closing,
    remove_stop,
    set_stops,
)
from offers.models import Offer
from outbox.models import Event
from rollover.models import Rollover
from rollover.services import roll_over, settle_open_transfers
from rollover.verification import verify_account, verify_ledger
from tests.circle.books import assert_books_agree
from tests.circle.world import Calendar, Desk, login_of, terms
from tests.worlds import as_owner

LOSS, PROFIT = Stop.Kind.STOP_LOSS, Stop.Kind.TAKE_PROFIT
D = Decimal


@pytest.fixture
def bob(desk: Desk) -> PersonalAccount:
    return desk.client("bob", "2000")


@pytest.fixture
def offer(desk: Desk) -> Offer:
    account = desk.pamm_account(desk.client("alice", "10000"), "1000.00")
    return desk.offer(account, terms((None, "0.20"), interval_unit="months"))


@pytest.fixture
def bobs(desk: Desk, bob: PersonalAccount, offer: Offer) -> Investment:
    """1,000.00 at price 1, beside 1,000.00 of Alice's own."""
    investment = desk.invest(bob, offer, "1000.00")
    desk.roll(offer.account)
    return fresh(investment)


@pytest.fixture
def pool(bobs: Investment) -> PammAccount:
    account: PammAccount = bobs.account
    return account


def fresh(investment: Investment) -> Investment:
    found: Investment = Investment.objects.select_related("account", "owner").get(pk=investment.pk)
    return found


def put(investment: Investment, **amounts: str) -> list[Stop]:
    investment = fresh(investment)
    typed: Mapping[Stop.Kind, Decimal] = {Stop.Kind(kind): D(amount) for kind, amount in amounts.items()}
    return set_stops(investment=investment, amounts=typed, by=investment.owner)


def states(investment: Investment) -> list[tuple[str, str]]:
    return list(Stop.objects.filter(investment=investment).order_by("id").values_list("kind", "state"))


def differences(pool: PammAccount) -> list[str]:
    return [str(found) for found in (*verify_account(pool.pk).differences, *verify_ledger())]


def close_of(investment: Investment) -> Request:
    found: Request = Request.objects.get(investment=investment, kind=Request.Kind.CLOSE)
    return found


def rewrite(table: str, change: str) -> None:
    """As somebody would who owns the database."""
    with as_owner() as cursor:
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(f"UPDATE {table} SET {change}")
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def test_stop_loss_that_is_reached_closes_at_the_rollovers_price(
    desk: Desk, bob: PersonalAccount, bobs: Investment, pool: PammAccount
) -> None:
    (stop,) = put(bobs, stop_loss="900.00")
    assert stop.price == D("0.9")
    desk.bring_price_to(pool, D("0.901"))
    desk.roll(pool)
    assert fresh(bobs).state == Investment.State.ACTIVE
    desk.bring_price_to(pool, D("0.9"))
    desk.roll(pool)
    bobs = fresh(bobs)
    assert (bobs.state, bobs.end_reason) == (Investment.State.CLOSED, Investment.EndReason.STOP)
    assert desk.balance(bob.login) == D("1900.00")
    request, stop = close_of(bobs), Stop.objects.get()
    assert (request.state, request.origin) == (Request.State.EXECUTED, Request.Origin.STOP_LOSS)
    assert (stop.state, stop.request, stop.reached) == (
        Stop.State.REACHED,
        request,
        UnitEntry.objects.get(investment=bobs, kind="close").price_point,
    )
    event = Event.objects.get(kind="investment.stop_reached")
    assert (event.subject, event.payload["stop"]) == (bobs.public_id, "stop_loss")
    assert event.payload["request"] == str(request.public_id)
    desk.roll(pool)
    assert Request.objects.filter(kind=Request.Kind.CLOSE).count() == 1
    assert differences(pool) == []
    assert_books_agree(desk, pool)


def test_price_that_jumps_over_a_stop_pays_what_it_is_then(
    desk: Desk, bob: PersonalAccount, bobs: Investment, pool: PammAccount
) -> None:
    put(bobs, stop_loss="900.00")
    desk.bring_price_to(pool, D("0.5"))
    desk.roll(pool)
    assert desk.balance(bob.login) == D("1500.00")
    assert differences(pool) == []


def test_take_profit_pays_after_fees_and_the_stop_loss_beside_it_ends(
    desk: Desk, bob: PersonalAccount, bobs: Investment, pool: PammAccount
) -> None:
    put(bobs, stop_loss="900.00", take_profit="1200.00")
    desk.bring_price_to(pool, D("1.25"))
    desk.roll(pool)
    # 250.00 of profit less 20 %.
    assert desk.balance(bob.login) == D("2200.00")
    assert Charge.objects.get().amount == D("50.00")
    assert states(bobs) == [("stop_loss", "ended"), ("take_profit", "reached")]
    assert close_of(bobs).origin == Request.Origin.TAKE_PROFIT
    assert differences(pool) == []
    assert_books_agree(desk, pool)


def test_stops_of_several_investments_in_several_accounts_are_found_in_the_same_statements(
    desk: Desk, bob: PersonalAccount, bobs: Investment, pool: PammAccount, offer: Offer
) -> None:
    carol, dave = desk.client("carol", "1000"), desk.client("dave", "1000")
    other = desk.pamm_account(desk.client("erin", "5000"), "1000.00", name="Other")
    carols = desk.invest(carol, offer, "500.00")
    daves = desk.invest(dave, desk.offer(other, terms((None, "0.20"))), "500.00")
    desk.roll(pool, other)
    put(bobs, stop_loss="900.00")
    put(carols, take_profit="505.00")
    put(daves, take_profit="600.00")
    desk.bring_price_to(pool, D("0.8"))
    desk.bring_price_to(other, D("1.3"))
    desk.roll(pool, other)
    ended = [fresh(investment).state for investment in (bobs, carols, daves)]
    assert ended == [Investment.State.CLOSED, Investment.State.ACTIVE, Investment.State.CLOSED]
    assert Event.objects.filter(kind="investment.stop_reached").count() == 2
    assert differences(pool) + differences(other) == []


def test_withdrawal_asked_for_before_is_paid_first_and_the_rest_closes(
    desk: Desk, bob: PersonalAccount, bobs: Investment, pool: PammAccount
) -> None:
    put(bobs, stop_loss="900.00")
    desk.withdraw(fresh(bobs), "300.00")
    desk.bring_price_to(pool, D("0.8"))
    desk.roll(pool)
    paid = UnitEntry.objects.filter(investment=bobs, amount__lt=0).order_by("id")
    assert list(paid.values_list("kind", "amount")) == [
        ("withdrawal", D("-300.00")),
        ("close", D("-500.00")),
    ]
    assert desk.balance(bob.login) == D("1800.00")
    assert differences(pool) == []


def test_stop_keeps_its_price_when_units_change(desk: Desk, bobs: Investment, pool: PammAccount) -> None:
    put(bobs, stop_loss="900.00")
    desk.withdraw(fresh(bobs), "500.00")
    desk.roll(pool)
    # 450.00 now.
    desk.bring_price_to(pool, D("0.91"))
    desk.roll(pool)
    assert fresh(bobs).state == Investment.State.ACTIVE
    desk.bring_price_to(pool, D("0.9"))
    desk.roll(pool)
    assert fresh(bobs).state == Investment.State.CLOSED


def test_deposit_under_way_goes_back_where_a_stop_is_reached(
    desk: Desk, bob: PersonalAccount, bobs: Investment, pool: PammAccount
) -> None:
    put(bobs, stop_loss="900.00")
    collected = desk.add_money(fresh(bobs), "200.00")
    pending = desk.add_money(fresh(bobs), "100.00")
    Request.objects.filter(pk=collected.pk).update(state="confirmed", confirmed_at=timezone.now())
    desk.bring_price_to(pool, D("0.8"))
    desk.roll(pool)
    settle_open_transfers()
    collected.refresh_from_db()
    pending.refresh_from_db()
    assert (collected.state, collected.reason_code) == (Request.State.FAILED, "stop_reached")
    assert (pending.state, pending.reason_code) == (Request.State.CANCELLED, "stop_reached")
    assert desk.balance(bob.login) == D("1800.00")
    assert fresh(bobs).state == Investment.State.CLOSED
    assert differences(pool) == []
    assert_books_agree(desk, pool)


def test_deposit_still_on_its_way_never_buys_units_of_a_closed_investment(
    desk: Desk, bob: PersonalAccount, bobs: Investment, pool: PammAccount
) -> None:
    put(bobs, stop_loss="900.00")
    deposit = desk.add_money(fresh(bobs), "200.00")
    Request.objects.filter(pk=deposit.pk).update(state="confirmed", confirmed_at=timezone.now())
    desk.simulator.arm_fault("drop_after", command="trade/balance")
    desk.bring_price_to(pool, D("0.8"))
    for _ in range(4):
        desk.roll(pool)
        desk.expire_answers()
        settle_open_transfers()
    deposit.refresh_from_db()
    assert fresh(bobs).units == 0
    assert deposit.state == Request.State.FAILED
    assert desk.balance(bob.login) == D("1800.00")
    assert differences(pool) == []


def test_deposit_into_another_investment_of_the_owner_goes_back_too(
    desk: Desk, bob: PersonalAccount, bobs: Investment, pool: PammAccount, offer: Offer
) -> None:
    """Confirmed or not, where the rollover itself has not begun it."""
    other = desk.invest(bob, offer, "300.00")
    desk.roll(pool)
    put(bobs, stop_loss="900.00")
    confirmed, pending = (desk.add_money(fresh(other), amount) for amount in ("100.00", "50.00"))
    confirm_request(request=confirmed, by=desk.dealer)
    # Within the freeze time, say.
    Request.objects.filter(pk=confirmed.pk).update(confirmed_at=timezone.now() + timedelta(hours=1))
    desk.bring_price_to(pool, D("0.8"))
    desk.roll(pool)
    ended = Request.objects.filter(pk__in=[confirmed.pk, pending.pk]).values_list("state", "reason_code")
    assert set(ended) == {("cancelled", "stop_reached")}
    assert (fresh(bobs).state, fresh(other).state) == (Investment.State.CLOSED, Investment.State.ACTIVE)
    assert desk.balance(bob.login) == D("1500.00")
    assert differences(pool) == []


def test_deposit_still_on_its_way_when_a_stop_is_reached_goes_back_at_a_later_rollover(
    desk: Desk, bob: PersonalAccount, bobs: Investment, pool: PammAccount, offer: Offer
) -> None:
    other = desk.invest(bob, offer, "300.00")
    desk.roll(pool)
    put(bobs, stop_loss="900.00")
    deposit = confirm_request(request=desk.add_money(fresh(other), "200.00"), by=desk.dealer)
    desk.bring_price_to(pool, D("0.8"))
    desk.simulator.arm_fault("drop_after", command="trade/balance")
    desk.roll(pool)
    deposit.refresh_from_db()
    assert (deposit.state, deposit.reason_code) == (Request.State.COLLECTING, "stop_reached")
    assert fresh(bobs).state == Investment.State.CLOSED
    for _ in range(3):
        desk.expire_answers()
        settle_open_transfers()
        desk.roll(pool)
    deposit.refresh_from_db()
    assert (deposit.state, deposit.reason_code) == (Request.State.FAILED, "stop_reached")
    assert fresh(other).units == 300
    assert desk.balance(bob.login) == D("1500.00")
    assert differences(pool) == []
    assert_books_agree(desk, pool)


def test_reached_stop_waits_with_everything_else_where_no_price_is_live(
    desk: Desk, bobs: Investment, pool: PammAccount
) -> None:
    put(bobs, stop_loss="900.00")
    desk.hold(pool, D("-500.00"))
    desk.age_ticks(seconds=4000)
    desk.simulator.set_tick("US500", D("4500.00"), D("4500.00"), age_seconds=4000)
    desk.roll(pool)
    assert states(bobs) == [("stop_loss", "active")]
    desk.simulator.set_tick("US500", D("4500.00"), D("4500.00"))
    desk.roll(pool)
    assert states(bobs) == [("stop_loss", "reached")]
    assert differences(pool) == []


def test_account_that_is_held_looks_at_no_stop(desk: Desk, bobs: Investment, pool: PammAccount) -> None:
    put(bobs, stop_loss="900.00")
    desk.bring_price_to(pool, D("0.8"))
    desk.simulator.adjust_as_dealer(login_of(pool), "-777.00")
    desk.roll(pool)
    assert Rollover.objects.latest("id").state == Rollover.State.HELD
    assert states(bobs) == [("stop_loss", "active")]
    assert not Request.objects.filter(kind=Request.Kind.CLOSE).exists()


def test_close_of_a_stop_that_cannot_be_paid_waits_is_tried_again_and_can_be_cancelled(
    desk: Desk, bob: PersonalAccount, bobs: Investment, pool: PammAccount
) -> None:
    put(bobs, stop_loss="900.00", take_profit="2000.00")
    desk.bring_price_to(pool, D("0.8"))
    desk.bind_margin(pool)
    desk.roll(pool)
    request = close_of(bobs)
    assert (request.state, request.reason_code) == (Request.State.CONFIRMED, "free_margin")
    with pytest.raises(AlreadyClosing):
        put(bobs, stop_loss="500.00")
    desk.roll(pool)
    assert close_of(bobs).state == Request.State.CONFIRMED
    assert differences(pool) == []
    cancel_request(request=request, by=bob.user)
    desk.flatten(pool)
    desk.roll(pool)
    assert fresh(bobs).state == Investment.State.ACTIVE
    assert states(bobs) == [("stop_loss", "reached"), ("take_profit", "active")]
    assert differences(pool) == []


def test_wiped_out_account_ends_its_stops(desk: Desk, bobs: Investment, pool: PammAccount) -> None:
    put(bobs, stop_loss="900.00", take_profit="2000.00")
    desk.wipe_out(pool)
    desk.roll(pool)
    assert {state for _, state in states(bobs)} == {"ended"}
    assert differences(pool) == []


def test_close_by_its_owner_ends_the_stops(desk: Desk, bobs: Investment, pool: PammAccount) -> None:
    put(bobs, stop_loss="900.00")
    desk.close(fresh(bobs))
    desk.bring_price_to(pool, D("0.8"))
    desk.roll(pool)
    assert states(bobs) == [("stop_loss", "ended")]
    assert fresh(bobs).end_reason == Investment.EndReason.OWNER
    assert not Event.objects.filter(kind="investment.stop_reached").exists()
    assert differences(pool) == []


def test_stop_within_the_freeze_time_waits_for_the_next_rollover(
    calendar: Calendar, desk: Desk, bobs: Investment, pool: PammAccount
) -> None:
    Broker.objects.update(freeze_minutes=10)
    put(bobs, stop_loss="900.00")
    desk.bring_price_to(pool, D("0.8"))
    due = timezone.now() + timedelta(minutes=5)
    calendar.let_pass(seconds=300)
    rollover = Rollover.objects.create(account=pool, scheduled_for=due, ordered_at=due)
    roll_over([rollover.pk])
    assert states(bobs) == [("stop_loss", "active")]
    assert differences(pool) == []
    calendar.let_pass(seconds=600)
    now = timezone.now()
    roll_over([Rollover.objects.create(account=pool, scheduled_for=now, ordered_at=now).pk])
    assert states(bobs) == [("stop_loss", "reached")]
    assert differences(pool) == []


def test_lock_in_without_a_price_refuses_stops_and_makes_them_wait(
    calendar: Calendar, desk: Desk, bob: PersonalAccount, offer: Offer
) -> None:
    locked = desk.offer(offer.account, terms((None, "0.20"), lock_in_days=10), name="Locked in")
    investment = desk.invest(bob, locked, "1000.00")
    desk.roll(offer.account)
    with pytest.raises(LockInNotOver):
        put(investment, stop_loss="900.00")
    calendar.let_pass(days=11)
    put(investment, stop_loss="900.00")
    # Newer terms, say, that lock in for longer.
    rewrite("offers_terms", "lock_in_days = 20")
    desk.bring_price_to(offer.account, D("0.8"))
    desk.roll(offer.account)
    assert states(investment) == [("stop_loss", "active")]
    assert differences(offer.account) == []
    calendar.let_pass(days=10)
    desk.roll(offer.account)
    assert states(investment) == [("stop_loss", "reached")]
    assert differences(offer.account) == []


def test_changed_and_removed_stops_are_kept_as_history(
    desk: Desk, bobs: Investment, pool: PammAccount
) -> None:
    put(bobs, stop_loss="900.00")
    put(bobs, stop_loss="900.00")
    put(bobs, stop_loss="850.00", take_profit="1500.00")
    remove_stop(investment=bobs, kind=LOSS, by=bobs.owner)
    with pytest.raises(NoStop):
        remove_stop(investment=bobs, kind=LOSS, by=bobs.owner)
    assert states(bobs) == [("stop_loss", "replaced"), ("stop_loss", "removed"), ("take_profit", "active")]
    told = Event.objects.filter(kind__startswith="stop.").order_by("id")
    assert [(event.kind, event.payload["amount"]) for event in told] == [
        ("stop.set", "900.00"),
        ("stop.set", "850.00"),
        ("stop.set", "1500.00"),
        ("stop.removed", "850.00"),
    ]
    desk.bring_price_to(pool, D("0.5"))
    desk.roll(pool)
    assert fresh(bobs).state == Investment.State.ACTIVE
    assert differences(pool) == []


def test_stops_that_make_no_sense_are_refused(
    desk: Desk, bob: PersonalAccount, bobs: Investment, pool: PammAccount, offer: Offer
) -> None:
    cases: list[tuple[type[Exception], dict[str, str]]] = [
        (StopLossNotBelow, {"stop_loss": "1000.00"}),
        (StopLossNotBelow, {"stop_loss": "1000.01"}),
        (TakeProfitNotAbove, {"take_profit": "1000.00"}),
        (TakeProfitNotAbove, {"stop_loss": "900.00", "take_profit": "999.99"}),
        (AmountNotPositive, {"stop_loss": "0"}),
        (AmountTooPrecise, {"stop_loss": "900.001"}),
    ]
    for refusal, amounts in cases:
        with pytest.raises(refusal):
            put(bobs, **amounts)
    stranger = desk.client("mallory", "10").user
    with pytest.raises(NotFound):
        set_stops(investment=bobs, amounts={LOSS: D(900)}, by=stranger)
    with pytest.raises(NotFound):
        remove_stop(investment=bobs, kind=LOSS, by=stranger)
    with pytest.raises(StopsChanged):
        set_stops(investment=bobs, amounts={LOSS: D(900)}, by=bobs.owner, expected_units=D(999))
    own = Investment.objects.get(account=pool, is_own_capital=True)
    with pytest.raises(StopOnOwnCapital):
        put(own, stop_loss="900.00")
    waiting = desk.invest(desk.client("carol", "500"), offer, "100.00")
    with pytest.raises(InvestmentNotActive):
        put(waiting, stop_loss="50.00")
    desk.close(fresh(bobs))
    with pytest.raises(AlreadyClosing):
        put(bobs, stop_loss="900.00")
    order_closing(account=pool, by=desk.dealer, note="The manager retires")
    with pytest.raises(AccountNotActive):
        put(bobs, stop_loss="900.00")
    assert not Stop.objects.exists()


def test_take_profit_below_a_stop_loss_that_still_waits_is_refused(
    desk: Desk, bobs: Investment, pool: PammAccount
) -> None:
    put(bobs, stop_loss="900.00")
    desk.hold(pool, D("-600.00"))
    desk.simulator.set_tick("US500", D("4400.00"), D("4400.00"), age_seconds=4000)
    desk.roll(pool)
    with pytest.raises(StopsCrossed):
        put(bobs, take_profit="800.00")


def test_database_lets_nobody_rewrite_a_stop(bobs: Investment) -> None:
    (stop,) = put(bobs, stop_loss="900.00")
    statements: list[tuple[str, list[Any]]] = [
        ("UPDATE investing_stop SET price = 0.5 WHERE id = %s", [stop.pk]),
        ("UPDATE investing_stop SET state = 'reached' WHERE id = %s", [stop.pk]),
        ("DELETE FROM investing_stop WHERE id = %s", [stop.pk]),
    ]
    for statement, values in statements:
        with (
            pytest.raises(DatabaseError, match=r"keeps|permission denied|violates"),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement, values)


def test_verification_names_a_stop_that_was_missed_and_one_that_was_not_reached(
    desk: Desk, bobs: Investment, pool: PammAccount
) -> None:
    put(bobs, stop_loss="900.00")
    desk.roll(pool)
    rewrite("investing_stop", "price = 1.1")
    (missed,) = verify_account(pool.pk).differences
    assert (missed.model, missed.expected) == ("Stop", "reached")
    rewrite("investing_stop", "price = 0.9")
    desk.bring_price_to(pool, D("0.8"))
    desk.roll(pool)
    assert differences(pool) == []
    rewrite("investing_stop", "price = 0.7")
    (early,) = verify_account(pool.pk).differences
    assert (early.model, early.what) == ("Stop", "reached")
