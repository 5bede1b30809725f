"""Who sees which offer, and what terms say in words."""

import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import PammAccount, Role, User
from brokers.errors import NotFound
from brokers.scope import broker_scope
from fees.calc.schedule import Basis, Mode, Schedule
from offers.models import JoinLink, Offer, Terms
from offers.queries import (
    current_terms,
    get_managed_offer_for,
    get_offer_for,
    offers_managed_by,
    offers_open_to,
    valid_join_links,
    with_current_terms,
)
from offers.services import revise_terms
from offers.words import terms_in_words
from tests.offers.drafts import EXAMPLE_1, EXAMPLE_2, draft, plain, refused_as, tiers
from tests.worlds import AliceBobCharlie, person


def test_offers_open_to_all_are_public_open_and_of_an_active_account(offer: Offer, bob: User) -> None:
    assert list(offers_open_to(None)) == list(offers_open_to(bob)) == [offer]
    for change in (
        {"visibility": "link"},
        {"visibility": "private"},
        {"state": "paused"},
        {"state": "draft"},
    ):
        Offer.objects.filter(pk=offer.pk).update(**({"visibility": "public", "state": "open"} | change))
        assert not offers_open_to(bob).exists()
    Offer.objects.filter(pk=offer.pk).update(visibility="public", state="open")
    PammAccount.objects.update(state="suspended")
    assert not offers_open_to(bob).exists()


@pytest.mark.parametrize(
    ("visibility", "state", "seen"),
    [
        ("public", "open", True),
        ("public", "paused", True),
        ("public", "draft", False),
        ("public", "closed", False),
        ("link", "open", False),
        ("private", "open", False),
    ],
)
def test_offer_is_seen_by_a_visitor_only_while_it_is_public(
    offer: Offer, bob: User, visibility: str, state: str, seen: bool
) -> None:
    Offer.objects.filter(pk=offer.pk).update(visibility=visibility, state=state)
    for reader in (None, bob):
        if seen:
            assert get_offer_for(reader, offer.public_id) == offer
        else:
            with pytest.raises(NotFound):
                get_offer_for(reader, offer.public_id)


def test_offer_in_any_state_is_seen_by_its_manager_and_the_staff(offer: Offer, alice: User) -> None:
    Offer.objects.filter(pk=offer.pk).update(visibility="private", state="draft")
    for reader in (alice, person("auditor@example.com", Role.AUDITOR)):
        assert get_offer_for(reader, offer.public_id) == offer


def test_offer_by_link_is_seen_with_its_own_valid_link_only(
    offer: Offer, account: PammAccount, bob: User
) -> None:
    Offer.objects.filter(pk=offer.pk).update(visibility="link")
    link = JoinLink.objects.create(offer=offer)
    other = JoinLink.objects.create(offer=Offer.objects.create(account=account, name="Other", state="open"))
    assert get_offer_for(None, offer.public_id, link.token) == offer
    for token in (other.token, "nonsense"):
        with pytest.raises(NotFound):
            get_offer_for(bob, offer.public_id, token)
    JoinLink.objects.filter(pk=link.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    with refused_as("join_link_expired"):
        get_offer_for(bob, offer.public_id, link.token)


def test_offer_of_another_broker_does_not_exist(world: AliceBobCharlie, offer: Offer) -> None:
    link = JoinLink.objects.create(offer=offer)
    with broker_scope(world.beta.pk):
        for token in (None, link.token):
            with pytest.raises(NotFound):
                get_offer_for(world.charlie, offer.public_id, token)
        with pytest.raises(NotFound):
            get_managed_offer_for(world.charlie, offer.public_id)
        assert offer not in offers_open_to(world.charlie)


def test_managed_offer_is_its_managers_and_the_administrators(offer: Offer, alice: User, bob: User) -> None:
    assert get_managed_offer_for(alice, offer.public_id) == offer
    assert get_managed_offer_for(person("admin@example.com", Role.ADMIN), offer.public_id) == offer
    for stranger in (bob, person("dealer@example.com", Role.DEALER), person("m@example.com", Role.MANAGER)):
        with pytest.raises(NotFound):
            get_managed_offer_for(stranger, offer.public_id)
    with pytest.raises(NotFound):
        get_managed_offer_for(alice, uuid.uuid4())
    assert list(offers_managed_by(alice)) == [offer]
    assert not offers_managed_by(bob).exists()


def test_current_terms_of_many_offers_cost_two_statements(
    account: PammAccount, alice: User, offer: Offer, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    revise_terms(offer=offer, terms=draft(lock_in_days=9), by=alice)
    for number in range(5):
        other = Offer.objects.create(account=account, name=f"Offer {number}")
        draft(lock_in_days=number).version_of(other, 1).save()
    with django_assert_num_queries(2):
        days = [
            (current_terms(found).lock_in_days, terms_in_words(current_terms(found)) != [])
            for found in with_current_terms(Offer.objects.order_by("pk"))
        ]
    assert days == [(9, True), (0, True), (1, True), (2, True), (3, True), (4, True)]


def test_links_that_are_over_are_not_listed(offer: Offer) -> None:
    now = timezone.now()
    alive = JoinLink.objects.create(offer=offer, expires_at=now + timedelta(days=1), used_at=now)
    for over in ({"expires_at": now}, {"revoked_at": now}, {"single_use": True, "used_at": now}):
        JoinLink.objects.create(offer=offer, **over)
    assert list(valid_join_links(offer)) == [alive]


def _words(offer: Offer, **changes: Any) -> str:
    return plain(" ".join(terms_in_words(draft(**changes).version_of(offer, 1))))


def test_words_of_tiers_say_every_bound_and_rate(offer: Offer) -> None:
    by_return = _words(offer, schedule=EXAMPLE_1)
    assert "0 % below 10 %, 20 % from 10 %, 50 % from 40 %" in by_return
    assert "whole profit" in by_return
    by_worth = _words(offer, schedule=EXAMPLE_2)
    assert "50 % below 1,000 USD, 40 % from 1,000 USD, 30 % from 5,000 USD, 15 % from 10,000 USD" in by_worth
    marginal = tiers(Basis.YIELD, (None, "0.1"), ("0.105", "0.2"), mode=Mode.MARGINAL)
    assert "its own band only" in _words(offer, schedule=marginal)
    assert "20 % from 10.5 %" in _words(offer, schedule=marginal)


def test_words_of_the_other_terms(offer: Offer) -> None:
    plain = _words(offer)
    assert "The performance fee is 20 % of new profit." in plain
    assert "A trading interval lasts 1 month, counted on the calendar" in plain
    assert "The first deposit is at least 100 USD, each further one at least 50 USD." in plain
    assert "no lock-in" in plain
    other = _words(
        offer, interval_unit=Terms.IntervalUnit.WEEKS, interval_count=2,
        interval_anchor=Terms.IntervalAnchor.OWN, lock_in_days=30, early_exit_rate=Decimal("0.025"),
        amount_step=Decimal("0.5"), profit_basis=Terms.ProfitBasis.LOWER,
        on_withdrawal=Terms.OnWithdrawal.WHOLE,
    )  # fmt: skip
    assert "lasts 2 weeks, counted from your joining" in other
    assert "during the first 30 days costs 2.5 %" in other
    assert "in steps of 0.50 USD" in other
    assert "Profit of open positions waits" in other
    assert "on the whole investment" in other
    free = _words(offer, schedule=Schedule.flat(Decimal(0)), no_performance_fee=True, lock_in_days=1)
    assert "There is no performance fee." in free
    assert "Nothing can be withdrawn during the first day." in free
