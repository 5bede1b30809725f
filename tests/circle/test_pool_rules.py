"""Every rule of pool accounting, on a real trading server. Named after the rule."""

from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from accounts.models import HouseAccount, PammAccount, PersonalAccount
from allocation.calc.price import Price
from allocation.calc.units import value
from allocation.models import Investment, PricePoint, UnitEntry
from fees.models import Charge
from fees.queries import figures_of, with_figures
from investing import services as investing
from investing.errors import OppositeRequestOpen
from investing.models import Request
from ledger.models import LedgerAccount
from ledger.queries import balance
from offers.services import TermsDraft
from rollover.models import Rollover
from rollover.services import settle_open_transfers
from tests.circle.books import assert_books_agree
from tests.circle.world import Desk, login_of, terms
from transfers.models import Leg, Transfer

FREE = terms((None, "0"), no_performance_fee=True)
TWENTY = terms((None, "0.20"), interval_unit="months")


@pytest.fixture
def alice(desk: Desk) -> PersonalAccount:
    return desk.client("alice", "10000")


@pytest.fixture
def bob(desk: Desk) -> PersonalAccount:
    return desk.client("bob", "10000")


def running(
    desk: Desk,
    alice: PersonalAccount,
    bob: PersonalAccount,
    offer_terms: TermsDraft = FREE,
    *,
    own: str = "1000.00",
    amount: str = "1000.00",
) -> tuple[PammAccount, Investment]:
    """A pool with Alice's own capital and Bob's investment, one rollover old."""
    account = desk.pamm_account(alice, own)
    offer = desk.offer(account, offer_terms)
    investment = desk.invest(bob, offer, amount)
    (rollover,) = desk.roll(account)
    assert rollover.state == Rollover.State.COMPLETED, (rollover.reason_code, rollover.reason)
    account.refresh_from_db()
    investment.refresh_from_db()
    return account, investment


def latest(account: PammAccount) -> PricePoint:
    return PricePoint.objects.filter(account=account).latest("sequence")


def test_first_units_are_issued_at_price_one(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    account, investment = running(desk, alice, bob)
    assert (latest(account).price, investment.units) == (Decimal(1), Decimal(1000))


def test_first_units_wait_while_the_account_holds_money_of_nobody(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    account = desk.pamm_account(alice, "1000.00")
    desk.earn_without_units(account, Decimal("0.70"))
    desk.roll(account)
    own = Request.objects.get(account=account)
    assert (own.state, own.reason_code) == (Request.State.COLLECTING, "remainder")
    desk.roll(account)
    own.refresh_from_db()
    assert own.state == Request.State.EXECUTED
    assert desk.pool_balance(account) == Decimal("1000.00")
    rounding = HouseAccount.objects.get(purpose=HouseAccount.Purpose.ROUNDING, currency="USD")
    assert desk.balance(rounding.login) == Decimal("1000.70")
    assert_books_agree(desk, account)


def test_first_units_hold_the_account_where_the_remainder_is_no_dust(
    desk: Desk, alice: PersonalAccount
) -> None:
    account = desk.pamm_account(alice, "1000.00")
    desk.earn_without_units(account, Decimal("7.00"))
    desk.roll(account)
    account.refresh_from_db()
    assert (account.is_held, account.hold_reason) == (True, "remainder_too_large")


def test_all_flows_of_one_rollover_use_the_same_snapshot(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    account, investment = running(desk, alice, bob)
    carol = desk.client("carol", "5000")
    late = desk.invest(carol, investment.terms.offer, "500.00")
    desk.withdraw(investment, "100.00")
    desk.bring_price_to(account, Decimal("1.25"))
    desk.roll(account)
    late.refresh_from_db()
    investment.refresh_from_db()
    assert (late.units, investment.units) == (Decimal(400), Decimal(920))
    assert_books_agree(desk, account)


def test_fees_are_taken_as_units_and_never_move_the_price(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    account, investment = running(desk, alice, bob, terms((None, "0.20")))
    desk.bring_price_to(account, Decimal("1.10"))
    desk.roll(account)
    desk.roll(account)
    first, second = PricePoint.objects.filter(account=account).order_by("-sequence")[:2]
    assert first.price == second.price == Decimal("1.1")
    assert Charge.objects.get(investment=investment).amount == Decimal("20.00")
    assert_books_agree(desk, account)


def test_withdrawal_of_what_closing_pays_is_a_close(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    account, investment = running(desk, alice, bob, TWENTY)
    desk.bring_price_to(account, Decimal("1.10"))
    desk.roll(account)
    figures = figures_of(with_figures(Investment.objects.filter(pk=investment.pk)))[investment.pk]
    assert (figures.value, figures.accrued_fee, figures.net) == (
        Decimal("1100.00"),
        Decimal("20.00"),
        Decimal("1080.00"),
    )
    desk.withdraw(investment, "1080.00")
    desk.roll(account)
    investment.refresh_from_db()
    assert (investment.state, investment.units) == (Investment.State.CLOSED, Decimal(0))
    assert investment.paid_out == Decimal("1080.00")
    assert_books_agree(desk, account)


def test_withdrawal_that_leaves_too_little_is_a_close_only_with_its_owners_consent(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    account, investment = running(
        desk, alice, bob, terms((None, "0.20"), minimum_first=Decimal(100), minimum_remaining=Decimal(100))
    )
    desk.withdraw(investment, "880.00")
    desk.bring_price_to(account, Decimal("0.95"))
    desk.roll(account)
    request = Request.objects.filter(kind=Request.Kind.WITHDRAWAL).latest("id")
    assert (request.state, request.reason_code) == (Request.State.FAILED, "too_little_would_remain")
    desk.withdraw(investment, "880.00", close_if_below_minimum=True)
    desk.roll(account)
    investment.refresh_from_db()
    assert investment.state == Investment.State.CLOSED
    assert investment.paid_out == Decimal("950.00")
    assert_books_agree(desk, account)


def test_last_units_wait_while_a_position_is_open(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    account, investment = running(desk, alice, bob)
    own = Investment.objects.get(account=account, is_own_capital=True)
    desk.close(investment)
    desk.roll(account)
    desk.hold(account, Decimal("50.00"))
    desk.close(own)
    desk.roll(account)
    request = Request.objects.get(investment=own, kind=Request.Kind.CLOSE)
    assert (request.state, request.reason_code) == (Request.State.CONFIRMED, "positions_open")
    desk.flatten(account)
    desk.roll(account)
    request.refresh_from_db()
    account.refresh_from_db()
    assert (request.state, account.units) == (Request.State.EXECUTED, Decimal(0))
    assert desk.pool_balance(account) == Decimal(0)
    assert_books_agree(desk, account)


def test_last_price_goes_on_where_all_units_were_redeemed(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    account, investment = running(desk, alice, bob)
    own = Investment.objects.get(account=account, is_own_capital=True)
    desk.bring_price_to(account, Decimal("1.25"))
    desk.close(investment)
    desk.roll(account)
    desk.close(own)
    desk.roll(account)
    assert latest(account).price == Decimal("1.25")
    desk.roll(account)
    assert (latest(account).price, latest(account).units) == (Decimal("1.25"), Decimal(0))


@pytest.mark.parametrize(("equity", "exchanged"), [("396.06", "-0.03"), ("250.07", "0.03")])
def test_rounding_of_closes_is_exchanged_so_that_the_last_leaves_nothing(
    desk: Desk, alice: PersonalAccount, equity: str, exchanged: str
) -> None:
    """Six shares of 33.33 in 299.98 units, each rounded by almost half a cent, the same way."""
    account = desk.pamm_account(alice, "100.00")
    offer = desk.offer(account, FREE)
    clients = [desk.client(f"investor{number}", "1000") for number in range(6)]
    investments = [desk.invest(client, offer, "33.33") for client in clients]
    desk.roll(account)
    desk.bring_equity_to(account, Decimal(equity))
    for investment in investments:
        investment.refresh_from_db()
        desk.close(investment)
    desk.roll(account)
    account.refresh_from_db()
    assert abs(account.rounding_carried) <= Decimal("0.005")
    rounding = HouseAccount.objects.get(purpose=HouseAccount.Purpose.ROUNDING, currency="USD")
    assert desk.balance(rounding.login) - Decimal(1000) == Decimal(exchanged)
    assert_books_agree(desk, account)
    own = Investment.objects.get(account=account, is_own_capital=True)
    own_value = value(own.units, Price(account.last_price_equity, account.last_price_units), 2)
    assert abs(account.last_equity - own_value) <= Decimal("0.01")
    desk.close(own)
    desk.roll(account)
    assert desk.pool_balance(account) == Decimal(0)
    assert_books_agree(desk, account)


def test_deal_told_with_a_time_long_past_is_counted_once(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    account, _ = running(desk, alice, bob)
    desk.earn(account, Decimal("100.00"))
    desk.simulator.lie(login_of(account), command="deal/*", Time="946684800", TimeMsc="946684800000")
    for _ in range(2):
        (rollover,) = desk.roll(account)
        assert (rollover.state, rollover.reason_code) == (Rollover.State.COMPLETED, "")
    assert_books_agree(desk, account)


def test_money_owed_and_on_its_way_is_counted_in_the_equity(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    account, investment = running(desk, alice, bob)
    desk.withdraw(investment, "300.00")
    desk.invest(desk.client("carol", "5000"), investment.terms.offer, "200.00")
    # Neither the payout nor the deposit's second leg gets an answer: both stay unknown for now.
    desk.simulator.arm_fault("drop_before", login=login_of(account), calls=50)
    desk.roll(account)
    assert Leg.objects.filter(login=login_of(account), state=Leg.State.UNKNOWN).exists()
    desk.simulator.clear_faults()
    desk.expire_answers()
    desk.roll(account)
    desk.roll(account)
    assert latest(account).price == Decimal(1)
    assert_books_agree(desk, account)
    assert desk.pool_balance(account) == Decimal("1900.00")


def test_fee_owed_for_want_of_margin_stays_out_of_the_equity_and_is_sent_again(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    account, investment = running(desk, alice, bob, terms((None, "0.20")))
    desk.bring_price_to(account, Decimal("1.10"))
    desk.bind_margin(account)
    desk.roll(account)
    assert Charge.objects.get(investment=investment).amount == Decimal("20.00")
    fee = Transfer.objects.get(purpose=Transfer.Purpose.FEE)
    leg = fee.legs.get(position=1)
    assert (fee.state, leg.state) == (Transfer.State.PLANNED, Leg.State.REFUSED)
    desk.roll(account)
    point = latest(account)
    assert point.owed == Decimal("20.00")
    desk.flatten(account)
    desk.roll(account)
    fee.refresh_from_db()
    assert fee.state == Transfer.State.COMPLETED


def test_under_water_nothing_flows_is_charged_or_ends(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    account, investment = running(desk, alice, bob, terms((None, "0.20")))
    desk.withdraw(investment, "100.00")
    carol = desk.client("carol", "5000")
    late = desk.invest(carol, investment.terms.offer, "500.00")
    desk.sink(account)
    desk.roll(account)
    point = latest(account)
    assert (point.equity < 0, point.price, point.moves_money) == (True, Decimal(0), False)
    waiting = Request.objects.get(investment=late)
    assert (waiting.state, waiting.reason_code) == (Request.State.COLLECTING, "under_water")
    leaving = Request.objects.get(investment=investment, kind=Request.Kind.WITHDRAWAL)
    assert (leaving.state, leaving.reason_code) == (Request.State.CONFIRMED, "under_water")
    investment.refresh_from_db()
    assert investment.units == Decimal(1000)
    # Money that waits for a price may be called back.
    investing.cancel_request(request=waiting, by=late.owner)
    settle_open_transfers()
    waiting.refresh_from_db()
    assert waiting.state == Request.State.CANCELLED
    assert desk.balance(carol.login) == Decimal("5000.00")
    desk.surface(account)
    desk.roll(account)
    leaving.refresh_from_db()
    assert leaving.state == Request.State.EXECUTED


def test_wiped_out_cancels_the_series_with_its_marks(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    account, investment = running(desk, alice, bob, terms((None, "0.20")))
    desk.wipe_out(account)
    (rollover,) = desk.roll(account)
    assert rollover.state == Rollover.State.COMPLETED
    account.refresh_from_db()
    investment.refresh_from_db()
    assert (account.is_held, account.hold_reason, account.units) == (True, "wiped_out", Decimal(0))
    assert (investment.state, investment.end_reason) == (
        Investment.State.CLOSED,
        Investment.EndReason.WIPED_OUT,
    )
    assert (investment.units, investment.high_water_mark) == (Decimal(0), Decimal(0))
    assert UnitEntry.objects.filter(investment=investment, kind=UnitEntry.Kind.WIPE_OUT).count() == 1
    assert latest(account).price == Decimal(0)


def test_collecting_first_closes_the_free_option_on_a_known_price(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    account, investment = running(desk, alice, bob)
    carol = desk.client("carol", "500")
    desk.invest(carol, investment.terms.offer, "500.00")
    # Carol spends the money elsewhere between her request and the rollover.
    desk.simulator.adjust_as_dealer(carol.login, "-100.00")
    desk.bring_price_to(account, Decimal("0.90"))
    desk.roll(account)
    request = Request.objects.get(investment__owner=carol.user)
    assert (request.state, request.reason_code) == (Request.State.FAILED, "personal_balance_too_low")
    assert desk.balance(carol.login) == Decimal("400.00")
    assert_books_agree(desk, account)


def test_deposit_collected_before_the_price_cannot_be_cancelled(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    account, investment = running(desk, alice, bob)
    carol = desk.client("carol", "500")
    investment = desk.invest(carol, investment.terms.offer, "500.00")
    request = Request.objects.get(investment=investment)
    desk.roll(account)
    request.refresh_from_db()
    assert request.state == Request.State.EXECUTED
    applied_at = Leg.objects.get(transfer=request.collection, position=1).applied_at
    assert applied_at is not None
    assert applied_at < latest(account).priced_at


def test_residual_is_at_most_half_a_minor_unit_per_investment(desk: Desk, alice: PersonalAccount) -> None:
    account = desk.pamm_account(alice, "100.00")
    offer = desk.offer(account, FREE)
    for number in range(7):
        desk.invest(desk.client(f"investor{number}", "1000"), offer, "14.29")
    desk.roll(account)
    desk.bring_equity_to(account, Decimal("203.46"))
    desk.roll(account)
    rows = with_figures(Investment.objects.filter(account=account))
    values = [figures.value for figures in figures_of(rows).values()]
    account.refresh_from_db()
    assert abs(account.last_equity - sum(values)) <= Decimal("0.005") * len(values)


def test_deposit_and_withdrawal_of_one_client_are_never_open_together(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    _, investment = running(desk, alice, bob)
    desk.withdraw(investment, "100.00")
    with pytest.raises(OppositeRequestOpen):
        desk.add_money(investment, "100.00")


def test_ledger_says_what_every_personal_account_gave_and_got(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    account, investment = running(desk, alice, bob)
    desk.withdraw(investment, "250.00")
    desk.roll(account)
    moved = balance(LedgerAccount.Kind.PERSONAL_CASH, bob.public_id, "USD")
    assert moved == Decimal("-750.00") == desk.balance(bob.login) - Decimal("10000.00")
    assert balance(LedgerAccount.Kind.CLIENT_CLAIM, bob.public_id, "USD") == Decimal("750.00")


def test_first_to_join_a_calendar_interval_pays_the_subscription_for_its_rest_only(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    monthly = terms(
        (None, "0.20"),
        interval_unit="months",
        interval_anchor="calendar",
        subscription_amount=Decimal("31.00"),
    )
    account, investment = running(desk, alice, bob, monthly)
    interval, joined_at = investment.interval, investment.joined_at
    assert interval is not None
    assert interval.ends_at is not None
    assert joined_at is not None
    assert interval.starts_at.astimezone(ZoneInfo(desk.broker.time_zone)).day == 1
    passed = (joined_at - interval.starts_at) / (interval.ends_at - interval.starts_at)
    assert float(investment.subscription_checkpoint) == pytest.approx(passed)
    assert_books_agree(desk, account)
