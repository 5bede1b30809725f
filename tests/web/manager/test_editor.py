"""The offer editor: tiers, preview, refusals beside their inputs, versions and whom they affect."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from brokers.models import Broker
from fees.calc.schedule import Basis, Schedule
from offers.models import JoinLink, Offer, Terms
from offers.queries import current_terms
from offers.services import revise_terms
from tests.offers.drafts import EXAMPLE_1, draft
from tests.web.manager.reading import text_of
from tests.web.manager.typed import Tiers, edit, new, typed
from tests.worlds import AliceBobCharlie

EXAMPLE_1_TYPED: Tiers = [("", "0"), ("10", "20"), ("40", "50")]


def _versions() -> int:
    return int(Terms.objects.count())


def test_offer_with_tiers_is_created_open_with_the_rates_as_typed(
    world: AliceBobCharlie, alice: Client
) -> None:
    answer = alice.post(new(world), typed(EXAMPLE_1_TYPED, basis="yield", action="create-and-open"))
    offer = Offer.objects.get(name="Growth")
    assert answer["Location"] == reverse("offers:managed-offer", args=[offer.public_id])
    assert offer.state == Offer.State.OPEN
    assert Schedule.from_json(current_terms(offer).performance_schedule) == EXAMPLE_1
    page = text_of(alice.get(answer["Location"]))
    assert "0 % below 10 %, 20 % from 10 %, 50 % from 40 %" in page


def test_offer_saved_without_opening_is_a_draft(world: AliceBobCharlie, alice: Client) -> None:
    alice.post(new(world), typed([("", "20")], action="create"))
    assert Offer.objects.get(name="Growth").state == Offer.State.DRAFT


def test_net_worth_bounds_are_money_and_not_percent(world: AliceBobCharlie, alice: Client) -> None:
    fields = typed([("", "50"), ("1000", "40"), ("5000.50", "30")], basis="net_worth", action="create")
    alice.post(new(world), fields)
    schedule = Schedule.from_json(current_terms(Offer.objects.get(name="Growth")).performance_schedule)
    assert [str(tier.lower_bound) for tier in schedule.tiers] == ["None", "1000", "5000.50"]


@pytest.mark.parametrize(
    ("tiers", "changes", "message"),
    [
        (
            [("", "10"), ("40", "20"), ("10", "30")],
            {"basis": "yield"},
            "Tier 3: it must begin above the tier before",
        ),
        (
            [("", "10"), ("10", "20"), ("10", "30")],
            {"basis": "yield"},
            "Tier 3: it must begin above the tier before",
        ),
        ([("", "10"), ("", "20")], {"basis": "yield"}, "Tier 2: say from where it applies"),
        ([("", "10"), ("-5", "20")], {"basis": "yield"}, "Tier 2: the bound may not be negative"),
        ([("", "10"), ("10", "20")], {}, "A flat fee has one rate"),
        ([("", "101")], {}, "between 0 % and 100 %"),
        ([("", "51")], {}, "at most 50 %"),
        ([("", "0")], {}, "say that there is no performance fee"),
        ([("", "20")], {"no_performance_fee": "on"}, "said to have no performance fee"),
        ([("", "")], {}, "Enter a rate."),
        ([("", "ten")], {}, "Enter a number."),
        ([("", "20")], {"minimum_first": "100.001"}, "USD has 2 decimals."),
        ([("", "20")], {"minimum_first": "0"}, "must be above 0"),
        ([("", "20")], {"minimum_first": ""}, "This field is required."),
        ([("", "20")], {"minimum_remaining": "101"}, "more than the smallest first deposit"),
        ([("", "20")], {"amount_step": "30"}, "multiple of the step"),
        ([("", "20")], {"capacity_amount": "50"}, "room for at least one"),
        ([("", "20")], {"name": "Standard"}, "an offer of this name already"),
        ([("", "20")], {"name": ""}, "This field is required."),
        ([("", "20")], {"visibility": "secret"}, "Select a valid choice"),
        ([("", "20")], {"interval_count": "0"}, "greater than or equal to 1"),
    ],
)
def test_bad_terms_are_answered_beside_their_input_and_nothing_is_written(
    world: AliceBobCharlie, alice: Client, tiers: Tiers, changes: dict[str, str], message: str
) -> None:
    before = Offer.objects.count(), _versions()
    answer = alice.post(new(world), typed(tiers, action="create-and-open", **changes))
    assert answer.status_code == 422
    assert message in text_of(answer)
    assert (Offer.objects.count(), _versions()) == before


def test_tier_rows_are_added_and_removed_without_losing_what_was_typed(
    world: AliceBobCharlie, alice: Client
) -> None:
    fields = typed(EXAMPLE_1_TYPED, basis="yield", name="Half typed")
    added = alice.post(new(world), fields | {"action": "add-tier"})
    page = text_of(added)
    assert added.status_code == 200
    assert 'name="tier-3-rate"' in page
    assert 'value="Half typed"' in page
    assert "field-error" not in page
    removed = text_of(alice.post(new(world), fields | {"action": "remove-tier-1"}))
    assert 'name="tier-2-rate"' not in removed
    assert 'name="tier-1-bound" value="40"' in removed
    for nonsense in ("remove-tier-99", "remove-tier-x", "remove-tier-"):
        assert 'name="tier-2-rate"' in text_of(alice.post(new(world), fields | {"action": nonsense}))
    assert not Offer.objects.filter(name="Half typed").exists()


def test_tier_added_to_a_flat_fee_makes_it_depend_on_the_return(
    world: AliceBobCharlie, alice: Client
) -> None:
    page = text_of(alice.post(new(world), typed([("", "20")], action="add-tier")))
    (by_return,) = re.findall(r'<input[^>]*value="yield"[^>]*>', page)
    assert "checked" in by_return
    assert 'name="tier-1-bound"' in page


def test_tiers_stop_at_the_limit_of_a_schedule(world: AliceBobCharlie, alice: Client) -> None:
    many = [("", "1"), *[(str(number), "1") for number in range(1, 40)]]
    page = text_of(alice.post(new(world), typed(many, basis="yield", action="add-tier")))
    assert 'name="tier-21-rate"' not in page
    refused = alice.post(new(world), typed(many, basis="yield", action="create"))
    assert "more than 20 tiers" in text_of(refused)


def test_preview_draws_the_curve_names_the_cliffs_and_says_the_terms(
    world: AliceBobCharlie, alice: Client
) -> None:
    page = text_of(alice.post(new(world), typed(EXAMPLE_1_TYPED, basis="yield", action="change")))
    assert "<polyline" in page
    assert "At 40 % it jumps from 20 % to 50 %" in page
    assert "made good from 64 % on" in page
    assert "Losses are carried forward" in page
    marginal = typed(EXAMPLE_1_TYPED, basis="yield", mode="marginal", action="change")
    assert "jumps from" not in text_of(alice.post(new(world), marginal))


def test_preview_of_half_typed_terms_shows_as_much_as_can_be_read(
    world: AliceBobCharlie, alice: Client
) -> None:
    only_a_rate = text_of(alice.post(new(world), typed([("", "20")], minimum_first="", action="change")))
    assert "<polyline" in only_a_rate
    assert "In plain words" not in only_a_rate
    assert "field-error" not in only_a_rate
    nothing = text_of(alice.post(new(world), typed([("", "")], action="change")))
    assert "<polyline" not in nothing
    falling = typed([("", "1"), ("9", "2"), ("8", "3")], basis="yield", action="change")
    assert "Tier 3" in text_of(alice.post(new(world), falling))
    assert alice.post(new(world), {"action": "change"}).status_code == 200


def test_editor_opens_with_the_terms_as_they_are(world: AliceBobCharlie, alice: Client) -> None:
    revise_terms(offer=world.pool.offer, terms=draft(schedule=EXAMPLE_1, lock_in_days=7), by=world.alice)
    page = text_of(alice.get(edit(world)))
    for field in (
        'name="tier-1-bound" value="10"',
        'name="tier-2-rate" value="50"',
        'name="lock_in_days" value="7"',
    ):
        assert field in page
    assert 'name="minimum_first" value="100"' in page
    assert 'name="expected_version" value="2"' in page


def test_new_version_is_reviewed_says_whom_it_affects_and_leaves_investments_alone(
    world: AliceBobCharlie, alice: Client
) -> None:
    fields = typed([("", "25")], name="Standard", expected_version="1")
    review = alice.post(edit(world), fields | {"action": "review"})
    page = text_of(review)
    assert review.status_code == 200
    assert "1 investment keeps the terms it joined under." in page
    assert "Whoever joins from now on gets version 2." in page
    assert "The performance fee is 25 % of new profit." in page
    assert "The performance fee is 20 % of new profit." in page
    assert 'name="tier-0-rate" value="25"' in page
    assert _versions() == 1
    saved = alice.post(edit(world), fields | {"action": "save"})
    assert saved.status_code == 302
    assert current_terms(world.pool.offer).version == 2
    world.pool.investment.refresh_from_db()
    assert world.pool.investment.terms_id == world.pool.terms.pk


def test_unchanged_terms_make_no_version_but_the_offer_changes(world: AliceBobCharlie, alice: Client) -> None:
    fields = typed(
        [("", "20.0")], name="Renamed", capacity_investors="7", expected_version="1", action="review"
    )
    assert alice.post(edit(world), fields).status_code == 302
    offer = Offer.objects.get()
    assert (offer.name, offer.capacity_investors, _versions()) == ("Renamed", 7, 1)


def test_stale_editor_changes_nothing(world: AliceBobCharlie, alice: Client) -> None:
    revise_terms(offer=world.pool.offer, terms=draft(lock_in_days=3), by=world.alice)
    fields = typed([("", "25")], name="Renamed", expected_version="1", action="save")
    answer = alice.post(edit(world), fields)
    assert answer.status_code == 422
    assert "changed meanwhile (now version 2)" in text_of(answer)
    assert (_versions(), Offer.objects.get().name) == (2, "Standard")


def test_ceiling_of_the_broker_is_told_in_the_editor(world: AliceBobCharlie, alice: Client) -> None:
    Broker.objects.update(performance_fee_ceiling="0.3")
    page = text_of(alice.post(new(world), typed([("", "31")], action="change")))
    assert "at most 30 %" in page


def test_offer_page_moves_the_offer_and_keeps_its_links(world: AliceBobCharlie, alice: Client) -> None:
    offer = world.pool.offer
    page = reverse("offers:managed-offer", args=[offer.public_id])
    alice.post(reverse("offers:move", args=[offer.public_id]), {"step": "pause"})
    assert Offer.objects.get().state == Offer.State.PAUSED
    alice.post(reverse("offers:add-link", args=[offer.public_id]), {"valid_days": "7", "single_use": "on"})
    link = JoinLink.objects.get()
    assert link.single_use
    assert link.expires_at is not None
    assert f"http://alpha.localhost/join/{link.token}/" in text_of(alice.get(page))
    alice.post(reverse("offers:revoke-link", args=[offer.public_id, link.public_id]))
    assert link.token not in text_of(alice.get(page))
    bad = alice.post(reverse("offers:add-link", args=[offer.public_id]), {"valid_days": "5000"})
    assert bad.status_code == 422
    assert alice.post(reverse("offers:move", args=[offer.public_id]), {"step": "explode"}).status_code == 404


def test_basis_decides_the_unit_of_the_bounds(world: AliceBobCharlie, alice: Client) -> None:
    two = [("", "10"), ("10", "20")]
    for basis, unit in ((Basis.YIELD, "%"), (Basis.NET_WORTH, "USD")):
        page = text_of(alice.post(new(world), typed(two, basis=basis.value, action="change")))
        bound = page.split('name="tier-1-bound"')[1]
        assert f'<span class="unit">{unit}</span>' in bound.split("</div>")[0]


@pytest.mark.parametrize(
    "changes", [{"action": "remove-tier-" + "9" * 5000}, {"action": "save", "expected_version": "9" * 5000}]
)
def test_number_of_thousands_of_digits_is_no_number(
    world: AliceBobCharlie, alice: Client, changes: dict[str, str]
) -> None:
    before = _versions()
    assert alice.post(edit(world), typed(EXAMPLE_1_TYPED, basis="yield") | changes).status_code < 500
    assert _versions() == before
