"""Writing offers and terms: who may, what is refused by which code, and that a refusal changes nothing."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import PammAccount, Role, User
from brokers.errors import NotAllowed, Refusal
from brokers.models import Broker
from fees.calc.schedule import Basis, Schedule
from offers.models import JoinLink, Offer, Terms
from offers.queries import current_terms
from offers.services import (
    TermsDraft,
    change_offer,
    close_offer,
    create_join_link,
    create_offer,
    open_offer,
    pause_offer,
    resolve_join_link,
    revise_terms,
    revoke_join_link,
    use_join_link,
)
from outbox.models import Event
from tests.offers.drafts import EXAMPLE_1, draft, refused_as, tiers
from tests.worlds import AliceBobCharlie, person


def _create(account: PammAccount, by: User, **changes: Any) -> Offer:
    arguments: dict[str, Any] = {
        "name": "Growth",
        "visibility": Offer.Visibility.PUBLIC,
        "approval": Offer.Approval.MANAGER,
        "terms": draft(),
    }
    return create_offer(account=account, by=by, **(arguments | changes))


def _counts() -> tuple[int, int, int]:
    return Offer.objects.count(), Terms.objects.count(), Event.objects.count()


def test_offer_created_is_a_draft_with_the_first_version_of_its_terms(
    account: PammAccount, alice: User
) -> None:
    offer = _create(account, alice, terms=draft(schedule=EXAMPLE_1), capacity_amount=Decimal(5000))
    terms = current_terms(offer)
    assert (offer.state, terms.version, terms.created_by) == (Offer.State.DRAFT, 1, alice)
    assert Schedule.from_json(terms.performance_schedule) == EXAMPLE_1


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        (
            {"schedule": tiers(Basis.YIELD, (None, "0.1"), ("0.4", "0.2"), ("0.1", "0.3"))},
            "tiers_invalid",
            "schedule",
        ),
        ({"schedule": tiers(Basis.NET_WORTH, (None, "0.1"), ("10.001", "0.2"))}, "tiers_invalid", "schedule"),
        ({"schedule": tiers(Basis.NET_WORTH, (None, "0.1"), ("1e40", "0.2"))}, "tiers_invalid", "schedule"),
        ({"schedule": tiers(Basis.NET_WORTH, (None, "0.1"), ("1e400", "0.2"))}, "tiers_invalid", "schedule"),
        ({"schedule": Schedule.flat(Decimal("0.1234567891"))}, "tiers_invalid", "schedule"),
        ({"schedule": Schedule.flat(Decimal("0.51"))}, "performance_fee_ceiling_exceeded", "schedule"),
        ({"schedule": Schedule.flat(Decimal(0))}, "performance_fee_not_stated", "no_performance_fee"),
        ({"no_performance_fee": True}, "performance_fee_contradicted", "no_performance_fee"),
        (
            {"schedule": EXAMPLE_1, "on_withdrawal": Terms.OnWithdrawal.WHOLE},
            "whole_needs_flat_fee",
            "on_withdrawal",
        ),
        ({"minimum_first": Decimal("100.001")}, "amount_too_precise", "minimum_first"),
        ({"minimum_first": Decimal(0)}, "amount_not_positive", "minimum_first"),
        ({"minimum_further": Decimal(-1)}, "amount_not_positive", "minimum_further"),
        ({"minimum_remaining": Decimal(0)}, "amount_not_positive", "minimum_remaining"),
        ({"minimum_first": Decimal("NaN")}, "amount_too_precise", "minimum_first"),
        ({"minimum_first": Decimal("1e400")}, "amount_too_large", "minimum_first"),
        ({"minimum_remaining": Decimal("100.01")}, "remaining_above_first", "minimum_remaining"),
        ({"amount_step": Decimal(0)}, "amount_not_positive", "amount_step"),
        ({"amount_step": Decimal(30)}, "minimum_not_in_steps", "minimum_first"),
        ({"amount_step": Decimal(100)}, "minimum_not_in_steps", "minimum_further"),
        ({"interval_count": 0}, "interval_invalid", "interval_count"),
        ({"lock_in_days": -1}, "lock_in_invalid", "lock_in_days"),
        ({"early_exit_rate": Decimal(1), "lock_in_days": 5}, "early_exit_rate_invalid", "early_exit_rate"),
        ({"early_exit_rate": Decimal("0.02")}, "early_exit_without_lock_in", "early_exit_rate"),
        (
            {"early_exit_rate": Decimal("0.02"), "early_exit_until": "interval", "lock_in_days": 5},
            "lock_in_without_effect",
            "lock_in_days",
        ),
    ],
)
def test_terms_that_break_a_rule_are_refused_and_nothing_is_written(
    account: PammAccount, alice: User, offer: Offer, changes: dict[str, Any], code: str, field: str
) -> None:
    before = _counts()
    for attempt in (
        lambda: _create(account, alice, terms=draft(**changes)),
        lambda: revise_terms(offer=offer, terms=draft(**changes), by=alice),
    ):
        with pytest.raises(Refusal) as refused:
            attempt()
        assert (refused.value.code, refused.value.field) == (code, field)
        assert str(refused.value)
    assert _counts() == before


def test_tiers_out_of_order_name_the_tier_and_the_reason(account: PammAccount, alice: User) -> None:
    falling = tiers(Basis.YIELD, (None, "0.1"), ("0.4", "0.2"), ("0.1", "0.3"))
    with pytest.raises(Refusal) as refused:
        _create(account, alice, terms=draft(schedule=falling))
    assert refused.value.fields["reason"] == "bounds_not_rising"
    assert refused.value.fields["tier"] == 3


def test_ceiling_is_the_brokers_own(account: PammAccount, alice: User) -> None:
    Broker.objects.update(performance_fee_ceiling=Decimal("0.15"))
    with refused_as("performance_fee_ceiling_exceeded"):
        _create(account, alice)
    assert _create(account, alice, terms=draft(schedule=Schedule.flat(Decimal("0.15")))).pk


def test_no_performance_fee_stated_is_accepted(account: PammAccount, alice: User) -> None:
    offer = _create(account, alice, terms=draft(schedule=Schedule.flat(Decimal(0)), no_performance_fee=True))
    assert current_terms(offer).version == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": "  "}, "offer_name_invalid"),
        ({"name": "x" * 81}, "offer_name_invalid"),
        ({"name": "Standard"}, "offer_name_taken"),
        ({"description": "x" * 2001}, "offer_text_too_long"),
        ({"capacity_amount": Decimal("99.99")}, "capacity_invalid"),
        ({"capacity_amount": Decimal("0.001")}, "amount_too_precise"),
        ({"capacity_investors": 0}, "capacity_invalid"),
    ],
)
def test_offer_that_breaks_a_rule_is_refused_and_nothing_is_written(
    account: PammAccount, alice: User, changes: dict[str, Any], code: str
) -> None:
    before = _counts()
    with pytest.raises(Refusal) as refused:
        _create(account, alice, **changes)
    assert refused.value.code == code
    assert _counts() == before


def test_same_click_twice_makes_one_offer(account: PammAccount, alice: User) -> None:
    _create(account, alice)
    with refused_as("offer_name_taken"):
        _create(account, alice)
    assert Offer.objects.filter(name="Growth").count() == 1


def test_everything_about_an_offer_is_refused_to_an_investor(
    account: PammAccount, bob: User, offer: Offer
) -> None:
    before = _counts()
    fields: dict[str, Any] = {
        "name": "Mine", "description": "", "visibility": Offer.Visibility.PUBLIC,
        "approval": Offer.Approval.AUTOMATIC, "capacity_amount": None, "capacity_investors": None,
    }  # fmt: skip
    link = JoinLink.objects.create(offer=offer)
    for attempt in (
        lambda: _create(account, bob),
        lambda: revise_terms(offer=offer, terms=draft(lock_in_days=1), by=bob),
        lambda: change_offer(offer=offer, by=bob, **fields),
        lambda: open_offer(offer=offer, by=bob),
        lambda: pause_offer(offer=offer, by=bob),
        lambda: close_offer(offer=offer, by=bob),
        lambda: create_join_link(offer=offer, by=bob),
        lambda: revoke_join_link(link=link, by=bob),
    ):
        with pytest.raises(NotAllowed):
            attempt()
    offer.refresh_from_db()
    assert (offer.name, offer.state, _counts()) == ("Standard", Offer.State.OPEN, before)


@pytest.mark.parametrize(("role", "may"), [(Role.ADMIN, True), (Role.DEALER, False), (Role.AUDITOR, False)])
def test_terms_are_written_by_the_brokers_administrator_and_no_other_staff(
    offer: Offer, role: Role, may: bool
) -> None:
    staff = person("staff@example.com", role)
    if may:
        assert revise_terms(offer=offer, terms=draft(lock_in_days=1), by=staff).version == 2
        return
    with pytest.raises(NotAllowed):
        revise_terms(offer=offer, terms=draft(lock_in_days=1), by=staff)


@pytest.mark.parametrize(
    "state", [PammAccount.State.SUSPENDED, PammAccount.State.CLOSING, PammAccount.State.CLOSED]
)
def test_account_that_ends_takes_no_offers_and_no_terms(
    account: PammAccount, alice: User, offer: Offer, state: PammAccount.State
) -> None:
    PammAccount.objects.filter(pk=account.pk).update(state=state)
    account.refresh_from_db()
    before = _counts()
    for attempt in (
        lambda: _create(account, alice),
        lambda: revise_terms(offer=offer, terms=draft(lock_in_days=1), by=alice),
    ):
        with refused_as("account_takes_no_offers"):
            attempt()
    assert _counts() == before


def test_revised_terms_are_a_new_version_and_the_old_one_stays_with_its_investments(
    world: AliceBobCharlie, alice: User, offer: Offer
) -> None:
    revised = revise_terms(offer=offer, terms=draft(lock_in_days=30), by=alice)
    investment = world.pool.investment
    investment.refresh_from_db()
    assert (revised.version, revised.lock_in_days) == (2, 30)
    assert investment.terms is not None
    assert (investment.terms.version, investment.terms.lock_in_days) == (1, 0)
    event = Event.objects.get(kind="terms.changed")
    assert (event.subject, event.payload["version"]) == (offer.public_id, 2)


def test_terms_with_the_same_content_are_no_new_version(alice: User, offer: Offer) -> None:
    same = TermsDraft.of(current_terms(offer))
    assert revise_terms(offer=offer, terms=same, by=alice).version == 1
    written_otherwise = draft(schedule=Schedule.flat(Decimal("0.200")), minimum_first=Decimal("100.00"))
    assert revise_terms(offer=offer, terms=written_otherwise, by=alice).version == 1
    assert not Event.objects.filter(kind="terms.changed").exists()


def test_terms_edited_on_a_stale_version_are_refused(alice: User, offer: Offer) -> None:
    revise_terms(offer=offer, terms=draft(lock_in_days=30), by=alice, expected_version=1)
    with pytest.raises(Refusal) as refused:
        revise_terms(offer=offer, terms=draft(lock_in_days=60), by=alice, expected_version=1)
    assert (refused.value.code, refused.value.status) == ("terms_changed_meanwhile", 409)
    assert current_terms(offer).lock_in_days == 30


def test_offer_opens_pauses_and_closes_for_good(account: PammAccount, alice: User) -> None:
    offer = _create(account, alice)
    with refused_as("offer_state_forbids"):
        pause_offer(offer=offer, by=alice)
    assert open_offer(offer=offer, by=alice).state == Offer.State.OPEN
    assert open_offer(offer=offer, by=alice).state == Offer.State.OPEN
    assert pause_offer(offer=offer, by=alice).state == Offer.State.PAUSED
    assert open_offer(offer=offer, by=alice).state == Offer.State.OPEN
    assert close_offer(offer=offer, by=alice).state == Offer.State.CLOSED
    for attempt in (
        lambda: open_offer(offer=offer, by=alice),
        lambda: revise_terms(offer=offer, terms=draft(lock_in_days=1), by=alice),
        lambda: create_join_link(offer=offer, by=alice),
    ):
        with refused_as("offer_state_forbids"):
            attempt()
    kinds = Event.objects.filter(subject=offer.public_id).order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == ["offer.opened", "offer.paused", "offer.opened", "offer.closed"]


def test_link_opens_until_it_expires_is_revoked_or_its_offer_closes(alice: User, offer: Offer) -> None:
    forever = create_join_link(offer=offer, by=alice)
    for _ in range(2):
        assert use_join_link(link=resolve_join_link(forever.token)).offer == offer
    expired = create_join_link(offer=offer, expires_at=timezone.now() + timedelta(days=1), by=alice)
    JoinLink.objects.filter(pk=expired.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    revoked = revoke_join_link(link=create_join_link(offer=offer, by=alice), by=alice)
    for link in (expired, revoked):
        with pytest.raises(Refusal) as refused:
            resolve_join_link(link.token)
        assert (refused.value.code, refused.value.status) == ("join_link_expired", 410)
    close_offer(offer=offer, by=alice)
    with refused_as("join_link_expired"):
        resolve_join_link(forever.token)


def test_link_for_one_person_is_over_after_its_first_use(alice: User, offer: Offer) -> None:
    link = create_join_link(offer=offer, single_use=True, by=alice)
    seen_by_both = resolve_join_link(link.token), resolve_join_link(link.token)
    assert use_join_link(link=seen_by_both[0]).used_at is not None
    with refused_as("join_link_used"):
        use_join_link(link=seen_by_both[1])


def test_link_that_would_be_over_or_is_too_open_is_refused(alice: User, offer: Offer) -> None:
    with refused_as("link_expiry_past"):
        create_join_link(offer=offer, expires_at=timezone.now(), by=alice)
    Offer.objects.filter(pk=offer.pk).update(visibility=Offer.Visibility.PRIVATE)
    with refused_as("private_link_must_be_single_use"):
        create_join_link(offer=offer, by=alice)
    assert not JoinLink.objects.exists()
    assert create_join_link(offer=offer, single_use=True, by=alice).pk
