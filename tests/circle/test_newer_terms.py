"""Newer terms an investor accepts, on a real trading server: they begin after the charge under the old."""

from decimal import Decimal
from threading import Thread

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import PammAccount, PersonalAccount
from allocation.models import Interval, Investment, PricePoint
from brokers.errors import NotFound, Refusal
from brokers.scope import broker_scope
from fees.models import Charge
from fees.queries import figures_of, with_figures
from investing.errors import InvestmentNotActive, NothingNewer, TermsChanged, TermsInEffect
from investing.queries import newer_terms
from investing.services import accept_terms, confirm_request, withdraw_acceptance
from offers.models import Terms
from offers.services import TermsDraft, revise_terms
from outbox.models import Event
from rollover.models import Rollover
from rollover.queries import allocation_audit
from rollover.services import order_rollover, roll_over
from tests.circle.books import assert_books_agree
from tests.circle.world import Desk, terms

HALF = terms((None, "0.50"), interval_count=2)
TENTH = terms((None, "0.10"), interval_count=2)
MONTHLY = terms((None, "0.20"), interval_unit="months", interval_anchor="calendar")
MONTHLY_TIERS = terms(
    (None, "0"), ("0.20", "0.50"), basis="yield", interval_unit="months", interval_anchor="calendar"
)
SLOW_HALF = terms((None, "0.50"), interval_count=50)


@pytest.fixture
def alice(desk: Desk) -> PersonalAccount:
    return desk.client("alice", "10000")


@pytest.fixture
def bob(desk: Desk) -> PersonalAccount:
    return desk.client("bob", "10000")


def joined(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount, draft: TermsDraft = HALF
) -> tuple[PammAccount, Investment]:
    """A pool in which Bob has 1,000.00 at price 1, one rollover old."""
    account = desk.pamm_account(alice, "1000.00")
    investment = desk.invest(bob, desk.offer(account, draft), "1000.00")
    desk.roll(account)
    return fresh(account), reread(investment)


def fresh(account: PammAccount) -> PammAccount:
    found: PammAccount = PammAccount.objects.select_related("manager__user").get(pk=account.pk)
    return found


def reread(investment: Investment) -> Investment:
    found: Investment = Investment.objects.select_related(
        "terms__offer__account__manager", "accepted_terms", "interval__opening", "owner", "account"
    ).get(pk=investment.pk)
    return found


def offered(investment: Investment, draft: TermsDraft = TENTH) -> Terms:
    """The manager's next version of the investment's offer."""
    assert investment.terms is not None
    offer = investment.terms.offer
    return revise_terms(offer=offer, terms=draft, by=offer.account.manager.user)


def charged(rollover: Rollover, investment: Investment) -> list[Decimal]:
    return list(
        Charge.objects.filter(price_point=rollover.price_point, investment=investment).values_list(
            "amount", flat=True
        )
    )


def kinds_of(investment: Investment) -> list[str]:
    return list(
        Event.objects.filter(subject=investment.public_id).order_by("id").values_list("kind", flat=True)
    )


def refused(investment: Investment, newer: Terms) -> str:
    with pytest.raises(Refusal) as caught:
        accept_terms(investment=investment, terms=newer, by=investment.owner)
    return caught.value.code


def test_accepted_terms_begin_after_the_interval_was_charged_under_the_old_ones(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    account, investment = joined(desk, alice, bob)
    newer = offered(investment)
    accept_terms(investment=investment, terms=newer, by=bob.user)

    desk.bring_price_to(account, Decimal("1.10"))
    (midway,) = desk.roll(account)
    assert charged(midway, investment) == []
    assert reread(investment).terms_id == investment.terms_id

    (end,) = desk.roll(account)
    assert charged(end, investment) == [Decimal("50.00")]
    after = reread(investment)
    assert (after.terms_id, after.accepted_terms_id, after.terms_accepted_at) == (newer.pk, None, None)
    assert after.interval is not None
    assert (after.interval.terms_id, after.interval.number) == (newer.pk, 1)
    assert after.interval.opening_id == end.price_point_id
    switched = PricePoint.objects.filter(account=account).latest("sequence")
    assert after.interval.ends_after_sequence == switched.flow_sequence + 2
    assert (after.lowest_units, after.lowest_units_number) == (after.units, 1)

    # From 1,050.00 on, the next interval is the first one charged at the new rate.
    desk.bring_price_to(account, Decimal("1.20"))
    rollovers = desk.roll(account) + desk.roll(account)
    value = round(after.units * Decimal("1.2"), 2)
    assert charged(rollovers[1], investment) == [
        ((value - after.high_water_mark) * Decimal("0.10")).quantize(Decimal("0.01"), "ROUND_DOWN")
    ]
    for rollover in (midway, end, *rollovers):
        assert allocation_audit(Rollover.objects.get(pk=rollover.pk)).holds
    assert_books_agree(desk, account)
    assert [kind for kind in kinds_of(investment) if kind.startswith("terms.")] == [
        "terms.accepted",
        "terms.took_effect",
    ]


def test_cheaper_version_accepted_just_before_the_end_saves_nothing_in_that_interval(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    account, investment = joined(desk, alice, bob)
    carol = desk.client("carol", "5000")
    assert investment.terms is not None
    stays = desk.invest(carol, investment.terms.offer, "1000.00")
    newer = offered(investment)
    desk.bring_price_to(account, Decimal("1.25"))
    desk.roll(account)
    accept_terms(investment=reread(investment), terms=newer, by=bob.user)
    (end,) = desk.roll(account)
    # 1,000 units at 1.25: half of 250.00, as it would have been without accepting.
    assert charged(end, investment) == [Decimal("125.00")]
    assert reread(stays).terms_id == investment.terms_id


def test_mark_and_carried_fraction_stay_when_newer_terms_begin_in_a_loss(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    account, investment = joined(desk, alice, bob, terms((None, "0.33")))
    desk.bring_price_to(account, Decimal("1.00071"))
    desk.roll(account)
    before = reread(investment)
    assert before.performance_carried > 0
    newer = offered(investment)
    accept_terms(investment=before, terms=newer, by=bob.user)
    desk.bring_price_to(account, Decimal("0.90"))
    (end,) = desk.roll(account)
    after = reread(investment)
    assert charged(end, investment) == []
    assert after.terms_id == newer.pk
    assert (after.high_water_mark, after.performance_carried) == (
        before.high_water_mark,
        before.performance_carried,
    )


def test_fewest_units_count_anew_from_the_switch(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    account, investment = joined(desk, alice, bob)
    confirm_request(request=desk.add_money(investment, "500.00"), by=desk.dealer)
    desk.roll(account)
    assert reread(investment).lowest_units == 1000
    accept_terms(investment=investment, terms=offered(investment), by=bob.user)
    desk.roll(account)
    after = reread(investment)
    assert after.interval is not None
    assert (after.lowest_units, after.lowest_units_number) == (Decimal(1500), after.interval.number)


def test_withdrawal_close_and_deposit_of_the_same_rollover_are_under_the_new_terms(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    locked = terms((None, "0.50"), lock_in_days=30, early_exit_rate=Decimal("0.10"))
    account, investment = joined(desk, alice, bob, locked)
    assert investment.terms is not None
    adding = desk.invest(desk.client("carol", "5000"), investment.terms.offer, "1000.00")
    leaving = desk.invest(desk.client("dave", "5000"), investment.terms.offer, "1000.00")
    desk.roll(account)
    newer = offered(investment, terms((None, "0"), no_performance_fee=True))
    for each in (investment, adding, leaving):
        accept_terms(investment=reread(each), terms=newer, by=each.owner)
    # What is confirmed before the rollover is carried out in it, after the switch.
    withdrawal, close = desk.withdraw(reread(investment), "100.00"), desk.close(reread(leaving))
    confirm_request(request=desk.add_money(reread(adding), "500.00"), by=desk.dealer)
    desk.bring_price_to(account, Decimal("1.10"))
    (end,) = desk.roll(account)
    withdrawal.refresh_from_db()
    close.refresh_from_db()
    assert charged(end, investment) == charged(end, leaving) == [Decimal("50.00")]
    assert (withdrawal.executed_amount, withdrawal.executed_fee) == (Decimal("100.00"), Decimal(0))
    assert (close.executed_amount, close.executed_fee) == (Decimal("1050.00"), Decimal(0))
    grown = reread(adding)
    assert grown.terms_id == newer.pk
    assert grown.lowest_units < grown.units
    assert allocation_audit(Rollover.objects.get(pk=end.pk)).holds
    assert_books_agree(desk, account)


def test_yield_counts_from_the_switch_though_others_are_in_an_older_interval_of_the_version(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    """On the calendar all of one version end together, but what was earned before the switch buys no tier."""
    account, investment = joined(desk, alice, bob)
    newer = offered(investment, MONTHLY_TIERS)
    assert investment.terms is not None
    earlier = desk.invest(desk.client("carol", "5000"), investment.terms.offer, "1000.00")
    accept_terms(investment=investment, terms=newer, by=bob.user)
    desk.roll(account)
    desk.bring_price_to(account, Decimal("1.25"))
    (switch,) = desk.roll(account)
    of_bob, of_carol = reread(investment), reread(earlier)
    assert of_bob.interval is not None
    assert of_carol.interval is not None
    assert of_bob.interval.opening_id == switch.price_point_id
    assert of_bob.interval.ends_at == of_carol.interval.ends_at
    figures = figures_of(with_figures(Investment.objects.filter(pk__in=[of_bob.pk, of_carol.pk])))
    assert figures[of_bob.pk].interval_return == 0
    assert figures[of_carol.pk].interval_return == Decimal("0.25")


def test_switch_shares_the_interval_of_the_version_that_begins_at_the_same_rollover(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    account, investment = joined(desk, alice, bob, MONTHLY)
    newer = offered(investment, MONTHLY_TIERS)
    assert investment.terms is not None
    beside = desk.invest(desk.client("carol", "5000"), investment.terms.offer, "1000.00")
    desk.roll(account)
    accept_terms(investment=investment, terms=newer, by=bob.user)
    Interval.objects.filter(account=account).update(ends_at=timezone.now())
    desk.roll(account)
    assert reread(investment).terms_id == newer.pk
    assert reread(investment).interval_id == reread(beside).interval_id
    assert Interval.objects.filter(account=account).count() == 2


def test_closing_drops_the_acceptance(desk: Desk, alice: PersonalAccount, bob: PersonalAccount) -> None:
    account, investment = joined(desk, alice, bob, SLOW_HALF)
    newer = offered(investment)
    accept_terms(investment=investment, terms=newer, by=bob.user)
    desk.close(reread(investment))
    desk.roll(account)
    after = reread(investment)
    assert (after.state, after.terms_id, after.accepted_terms_id) == ("closed", investment.terms_id, None)
    assert refused(after, newer) == InvestmentNotActive.code
    assert "terms.took_effect" not in kinds_of(investment)


def test_wiped_out_pool_drops_the_acceptances(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    account, investment = joined(desk, alice, bob, SLOW_HALF)
    accept_terms(investment=investment, terms=offered(investment), by=bob.user)
    desk.wipe_out(account)
    desk.roll(account)
    after = reread(investment)
    assert (after.state, after.accepted_terms_id) == ("closed", None)


def test_acceptance_is_for_the_owner_of_an_active_investment_and_the_current_version(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    account, investment = joined(desk, alice, bob, SLOW_HALF)
    assert investment.terms is not None
    assert refused(investment, investment.terms) == NothingNewer.code
    second = offered(investment)
    third = offered(investment, terms((None, "0.05")))
    assert refused(investment, second) == TermsChanged.code
    with pytest.raises(NotFound):
        accept_terms(investment=investment, terms=third, by=alice.user)
    with pytest.raises(NotFound):
        withdraw_acceptance(investment=investment, terms=third, by=alice.user)
    own = Investment.objects.get(account=account, is_own_capital=True)
    assert refused(own, third) == NotFound.code
    elsewhere = desk.offer(account, TENTH, name="Another").terms.latest("version")
    assert refused(investment, elsewhere) == NotFound.code
    waiting = desk.invest(desk.client("carol", "5000"), investment.terms.offer, "100.00")
    assert refused(waiting, third) == InvestmentNotActive.code
    assert reread(investment).accepted_terms_id is None


def test_accepting_and_taking_back_twice_is_once(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    account, investment = joined(desk, alice, bob)
    second = offered(investment)
    for _ in range(2):
        accepted = accept_terms(investment=investment, terms=second, by=bob.user)
        assert accepted.accepted_terms_id == second.pk
    assert newer_terms([reread(investment)]) == {}
    for _ in range(2):
        withdraw_acceptance(investment=investment, terms=second, by=bob.user)
    assert newer_terms([reread(investment)]) == {investment.pk: second}
    assert [kind for kind in kinds_of(investment) if kind.startswith("terms.")] == [
        "terms.accepted",
        "terms.acceptance_withdrawn",
    ]
    desk.roll(account), desk.roll(account)
    assert reread(investment).terms_id == investment.terms_id


def test_acceptance_outlives_a_later_version_which_may_replace_it(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    account, investment = joined(desk, alice, bob)
    second = offered(investment)
    accept_terms(investment=investment, terms=second, by=bob.user)
    third = offered(investment, terms((None, "0.05")))
    # The same click again is still answered with what it did.
    accept_terms(investment=investment, terms=second, by=bob.user)
    assert newer_terms([reread(investment)]) == {investment.pk: third}
    accept_terms(investment=investment, terms=third, by=bob.user)
    with pytest.raises(TermsChanged):
        withdraw_acceptance(investment=investment, terms=second, by=bob.user)
    desk.roll(account), desk.roll(account)
    assert reread(investment).terms_id == third.pk
    with pytest.raises(TermsInEffect):
        withdraw_acceptance(investment=investment, terms=third, by=bob.user)


def test_acceptance_waits_for_the_rollover_that_has_read_the_investment(
    desk: Desk, alice: PersonalAccount, bob: PersonalAccount
) -> None:
    """A rollover holds the account's row while it reads investments, decides and writes them back."""
    account, investment = joined(desk, alice, bob)
    newer = offered(investment)
    accepting = Thread(target=_accept, args=(desk.broker.pk, investment, newer))
    with transaction.atomic():
        PammAccount.objects.select_for_update().get(pk=account.pk)
        accepting.start()
        accepting.join(timeout=1)
        assert accepting.is_alive()
        assert reread(investment).accepted_terms_id is None
    accepting.join(timeout=20)
    assert reread(investment).accepted_terms_id == newer.pk


def _accept(broker_id: int, investment: Investment, newer: Terms) -> None:
    with broker_scope(broker_id):
        accept_terms(investment=investment, terms=newer, by=investment.owner)
    connection.close()


def test_statements_of_a_switch_do_not_grow_with_the_investments_or_the_versions(
    desk: Desk, alice: PersonalAccount
) -> None:
    counts = []
    for size in (2, 1, 6):
        account = desk.pamm_account(alice, "1000.00", name=f"Pool {size}")
        offers = [desk.offer(account, terms((None, "0.20")), name=f"Offer {n}") for n in range(size)]
        client = desk.client(f"client{size}", "5000")
        taken = [desk.invest(client, offer, "100.00") for offer in offers for _ in range(2)]
        desk.roll(account)
        for investment in map(reread, taken):
            assert investment.terms is not None
            newest = investment.terms.offer.terms.latest("version")
            accept_terms(
                investment=investment,
                terms=newest if newest.version > 1 else offered(investment),
                by=client.user,
            )
        desk.bring_price_to(account, Decimal("1.10"))
        ordered = order_rollover(accounts=[fresh(account)], by=desk.dealer)
        with CaptureQueriesContext(connection) as captured:
            roll_over([rollover.pk for rollover in ordered])
        counts.append(len(captured))
        assert Interval.objects.filter(account=account, terms__version=2).count() == size
        assert not Investment.objects.filter(account=account, terms__version=1).exists()
    # The first pool opened the ledger's accounts.
    assert counts[1] == counts[2]
