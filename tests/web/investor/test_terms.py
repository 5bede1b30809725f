"""Newer terms on an investor's pages: what changes, accepting with one's eyes open, taking it back."""

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from allocation.models import Investment
from brokers.identifiers import new_public_id
from fees.calc.schedule import Schedule
from offers.models import Terms
from offers.services import revise_terms
from tests.offers.drafts import draft
from tests.web.investor.conftest import Visit
from tests.web.investor.reading import hidden_fields, text_of
from tests.worlds import AliceBobCharlie, person


@pytest.fixture
def newer(world: AliceBobCharlie) -> Terms:
    """Version 2: the same, at 10 % instead of 20 %."""
    return revised(world, "0.10")


def revised(world: AliceBobCharlie, rate: str, **changes: Any) -> Terms:
    """The manager's next version, at a flat rate."""
    return revise_terms(
        offer=world.pool.offer, terms=draft(schedule=Schedule.flat(Decimal(rate)), **changes), by=world.alice
    )


def address(world: AliceBobCharlie) -> str:
    return f"/investments/{world.pool.investment.public_id}/terms/"


def accepted(world: AliceBobCharlie) -> int | None:
    key: int | None = Investment.objects.get(pk=world.pool.investment.pk).accepted_terms_id
    return key


def test_portfolio_and_investment_say_that_new_terms_are_offered(
    world: AliceBobCharlie, bob: Client, newer: Terms
) -> None:
    assert "New terms offered" in text_of(bob.get("/portfolio/"))
    page = bob.get(f"/investments/{world.pool.investment.public_id}/")
    assert "New terms are offered to you: version 2" in text_of(page)
    assert address(world) in page.content.decode()


def test_nothing_is_offered_under_the_newest_terms(world: AliceBobCharlie, bob: Client) -> None:
    assert "New terms" not in text_of(bob.get("/portfolio/"))
    assert "New terms" not in text_of(bob.get(f"/investments/{world.pool.investment.public_id}/"))
    assert "No newer terms" in text_of(bob.get(address(world)))


def test_fee_that_is_new_stands_against_not_being_charged(world: AliceBobCharlie, bob: Client) -> None:
    revise_terms(offer=world.pool.offer, terms=draft(management_rate=Decimal("0.02")), by=world.alice)
    page = text_of(bob.get(address(world)))
    assert "Management fee changes Yours, version 1 not charged New, version 2 New: The management" in page
    assert "Entry fee stays" not in page
    assert "No longer: Nothing else is charged: no management fee, no entry fee" in page


def test_terms_page_shows_both_versions_marks_what_differs_and_says_from_when(
    world: AliceBobCharlie, bob: Client, newer: Terms
) -> None:
    answer = bob.get(address(world))
    page = text_of(answer)
    for words in (
        "Performance fee changes",
        "No longer: The performance fee is 20 % of new profit.",
        "New: The performance fee is 10 % of new profit.",
        "Trading interval stays the same",
        "The new terms begin when your trading interval ends",
        "charged under your present terms",
        "You may stay with your version for as long as you like.",
        # 1,000.00 that become 1,200.00.
        "1,200.00 (+20 %) 40.00 20.00 USD",
    ):
        assert words in page, words
    assert answer.content.decode().count('class="is-new"') == 1
    assert page.count("A trading interval lasts 1 month") == 1


def test_accepting_asks_for_confirmation_then_says_from_when_and_offers_to_take_it_back(
    world: AliceBobCharlie, bob: Client, newer: Terms
) -> None:
    sent = hidden_fields(bob.get(address(world)))
    careless = bob.post(address(world), sent)
    assert careless.status_code == 422
    assert "Say that you have read what changes." in text_of(careless)
    assert accepted(world) is None

    page = text_of(bob.post(address(world), sent | {"understood": "on"}, follow=True))
    assert accepted(world) == newer.pk
    assert "You have accepted version 2" in page
    assert "The new terms begin when your trading interval ends" in page
    assert "Version 2 accepted" in text_of(bob.get("/portfolio/"))
    history = text_of(bob.get(f"/investments/{world.pool.investment.public_id}/"))
    assert "Version 2 of the terms accepted" in history

    back = hidden_fields(bob.get(address(world)))
    assert back["action"] == "take-back"
    page = text_of(bob.post(address(world), back, follow=True))
    assert accepted(world) is None
    assert "Taken back. Your investment stays under version 1." in page
    assert "Accept version 2" in page


def test_version_that_is_no_longer_current_is_not_accepted_and_the_newest_is_shown(
    world: AliceBobCharlie, bob: Client, newer: Terms
) -> None:
    sent = hidden_fields(bob.get(address(world))) | {"understood": "on"}
    revised(world, "0.30")
    answer = bob.post(address(world), sent)
    assert answer.status_code == 422
    page = text_of(answer)
    assert "The terms have changed since you saw them." in page
    assert "Accept version 3" in page
    assert "30 % of new profit" in page
    assert accepted(world) is None


def test_terms_of_another_offer_and_own_capital_are_not_found(
    world: AliceBobCharlie, bob: Client, newer: Terms
) -> None:
    sent = hidden_fields(bob.get(address(world))) | {"understood": "on"}
    foreign = {"terms": str(world.charlie_pool.terms.public_id)}
    assert bob.post(address(world), sent | foreign).status_code == 404
    own = world.pool.investment
    own.pk, own._state.adding, own.public_id = None, True, new_public_id()
    own.is_own_capital, own.terms = True, None
    own.save()
    assert bob.get(address(world)).status_code == 404


def test_terms_page_is_nobody_elses(world: AliceBobCharlie, bob: Client, newer: Terms, visit: Visit) -> None:
    sent = hidden_fields(bob.get(address(world))) | {"understood": "on"}
    for stranger in (person("dora@example.com"), world.alice):
        assert visit(stranger).get(address(world)).status_code == 404
        assert visit(stranger).post(address(world), sent).status_code == 404
    assert accepted(world) is None


def test_longer_lock_in_says_that_it_counts_from_joining(world: AliceBobCharlie, bob: Client) -> None:
    revised(world, "0.20", lock_in_days=30, early_exit_rate=Decimal("0.05"))
    page = text_of(bob.get(address(world)))
    assert "Lock-in changes" in page
    assert "counts from your joining" in page
    assert "Performance fee stays the same" in page


def test_version_newer_than_the_accepted_one_is_offered_beside_the_way_back(
    world: AliceBobCharlie, bob: Client, newer: Terms
) -> None:
    bob.post(address(world), hidden_fields(bob.get(address(world))) | {"understood": "on"})
    newest = revised(world, "0.05")
    page = text_of(bob.get(address(world)))
    for words in ("Version 2, accepted", "Take it back", "Accept version 3", "5 % of new profit"):
        assert words in page, words
    bob.post(address(world), {"action": "accept", "terms": str(newest.public_id), "understood": "on"})
    assert accepted(world) == newest.pk
