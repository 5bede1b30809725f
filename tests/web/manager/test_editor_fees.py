"""The other fees in the offer editor, entry tiers, and who receives what."""

from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Role
from brokers.models import Broker
from fees.calc.schedule import Tier
from offers.models import Offer, Terms
from offers.queries import current_terms
from offers.services import TermsDraft, revise_terms
from tests.offers.bad_tiers import BAD_TIERS
from tests.offers.drafts import draft
from tests.web.manager.reading import text_of
from tests.web.manager.typed import edit, new, typed
from tests.worlds import AliceBobCharlie, person, signed_in

OTHER_FEES = {
    "management_rate": "2", "subscription_amount": "12.50", "volume_amount_per_lot": "3",
    "early_exit_rate": "1.5", "lock_in_days": "30", "entry-0-rate": "3", "entry-1-bound": "5000",
    "entry-1-rate": "1",
}  # fmt: skip
TWENTY = [("", "20")]


def _percent(rate: str) -> str:
    return format((Decimal(rate) * 100).normalize(), "f")


@pytest.mark.parametrize("prefix", ["tier", "entry"])
def test_bad_tiers_are_answered_on_the_page_and_nothing_is_saved(
    world: AliceBobCharlie, alice: Client, prefix: str
) -> None:
    before = Offer.objects.count(), Terms.objects.count()
    for bad in BAD_TIERS:
        fields = typed(TWENTY, basis="net_worth", action="create")
        for number, (bound, rate) in enumerate(bad.rows):
            fields |= {f"{prefix}-{number}-bound": bound or "", f"{prefix}-{number}-rate": _percent(rate)}
        answer = alice.post(new(world), fields)
        assert answer.status_code == 422, bad.name
        tiers = text_of(answer).split('id="entry-fee"')[prefix == "entry"]
        assert bad.words in tiers, bad.name
        assert 'role="alert"' in tiers, bad.name
    assert (Offer.objects.count(), Terms.objects.count()) == before


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("management_rate", "5.1", "at most 5 % per year"),
        ("management_rate", "-1", "between 0 % and 100 %"),
        ("management_rate", "two", "Enter a number"),
        ("subscription_amount", "0.001", "USD has 2 decimals"),
        ("volume_amount_per_lot", "-1", "cannot be below 0"),
        ("early_exit_rate", "21", "at most 20 %"),
        ("early_exit_rate", "5", "needs a lock-in"),
    ],
)
def test_bad_fee_is_answered_beside_its_input_in_the_open_group(
    world: AliceBobCharlie, alice: Client, field: str, value: str, message: str
) -> None:
    before = Terms.objects.count()
    answer = alice.post(new(world), typed(TWENTY, action="create") | {field: value})
    page = text_of(answer)
    assert answer.status_code == 422
    assert message in page.split(f'name="{field}"')[1].split("<label")[0]
    assert '<details class="card fold" open>' in page
    assert Terms.objects.count() == before


def test_every_fee_is_saved_as_typed_and_opens_as_saved(world: AliceBobCharlie, alice: Client) -> None:
    alice.post(new(world), typed(TWENTY, action="create") | OTHER_FEES)
    offer = Offer.objects.get(name="Growth")
    assert TermsDraft.of(current_terms(offer)) == draft(
        management_rate=Decimal("0.02"), subscription_amount=Decimal("12.5"),
        volume_amount_per_lot=Decimal(3), early_exit_rate=Decimal("0.015"), lock_in_days=30,
        entry_tiers=(Tier(None, Decimal("0.03")), Tier(Decimal(5000), Decimal("0.01"))),
    )  # fmt: skip
    page = text_of(alice.get(reverse("offers:edit", args=[offer.public_id])))
    for name, value in OTHER_FEES.items():
        assert f'name="{name}" value="{value}"' in page
    assert '<details class="card fold" open>' in page
    again = typed(TWENTY, action="save", expected_version="1") | OTHER_FEES
    alice.post(reverse("offers:edit", args=[offer.public_id]), again)
    assert Terms.objects.filter(offer=offer).count() == 1


def test_early_exit_fee_until_the_interval_ends_is_saved_and_told_without_a_lock_in(
    world: AliceBobCharlie, alice: Client
) -> None:
    fields = typed(TWENTY, action="create", early_exit_rate="1.5", early_exit_until="interval")
    refused = text_of(alice.post(new(world), fields | {"lock_in_days": "30"}))
    assert "would have no effect" in refused.split('name="lock_in_days"')[1].split("<label")[0]
    alice.post(new(world), fields)
    offer = Offer.objects.get(name="Growth")
    terms = current_terms(offer)
    assert (terms.early_exit_until, terms.lock_in_days) == ("interval", 0)
    page = text_of(alice.get(reverse("offers:edit", args=[offer.public_id])))
    assert '<option value="interval" selected>' in page
    assert "Withdrawing before the trading interval ends costs 1.5 %" in page


def test_other_fees_are_folded_away_until_one_is_set(world: AliceBobCharlie, alice: Client) -> None:
    folded = '<details class="card fold" >'
    assert folded in text_of(alice.get(new(world)))
    assert folded in text_of(alice.get(edit(world)))
    assert folded not in text_of(alice.post(new(world), typed(TWENTY, action="add-entry")))


def test_entry_tiers_are_added_and_removed_apart_from_the_performance_tiers(
    world: AliceBobCharlie, alice: Client
) -> None:
    fields = typed([("", "10"), ("50", "20")], basis="yield") | OTHER_FEES
    page = text_of(alice.post(new(world), fields | {"action": "add-entry"}))
    assert ('name="entry-2-rate"' in page, 'name="tier-2-rate"' in page) == (True, False)
    page = text_of(alice.post(new(world), fields | {"action": "remove-entry-1"}))
    assert ('name="entry-1-rate"' in page, 'name="tier-1-rate"' in page) == (False, True)
    half = fields | {"entry-1-rate": "", "action": "create"}
    refused = alice.post(new(world), half)
    assert "Enter a rate." in text_of(refused).split('id="entry-fee"')[1]
    assert refused.status_code == 422


def test_preview_says_every_fee_and_who_receives_it(world: AliceBobCharlie, alice: Client) -> None:
    Broker.objects.update(fee_share_rate=Decimal("0.2"), agent_share_rates=["0.1"])
    page = text_of(alice.post(new(world), typed(TWENTY, action="change") | OTHER_FEES))
    preview = page.split('id="preview"')[1]
    for words in (
        "The management fee is 2 % per year",
        "3 % below 5,000 USD, 1 % from 5,000 USD",
        "The subscription fee is 12.50 USD",
        "The volume fee is 3 USD",
        "costs 1.5 % of what is withdrawn",
        "The broker receives 20 % of every fee.",
        "10 % at level 1",
    ):
        assert words in preview


def test_manager_sees_the_shares_and_cannot_type_others(world: AliceBobCharlie, alice: Client) -> None:
    Broker.objects.update(fee_share_rate=Decimal("0.2"), agent_share_rates=["0.1"])
    page = text_of(alice.get(new(world)))
    assert "Agent, level 1" in page
    assert 'name="broker_share_rate"' not in page
    own = {"broker_share_rate": "0", "agent_share_rates": ""}
    alice.post(new(world), typed(TWENTY, action="create") | own)
    terms = current_terms(Offer.objects.get(name="Growth"))
    assert (terms.broker_share_rate, terms.agent_share_rates) == (Decimal("0.2"), ["0.1"])


def test_administrator_types_the_shares_and_a_later_edit_of_the_manager_keeps_them(
    world: AliceBobCharlie, alice: Client
) -> None:
    admin = signed_in(person("admin@example.com", Role.ADMIN))
    page = text_of(admin.get(edit(world)))
    assert 'name="broker_share_rate" value="0"' in page
    fields = typed(TWENTY, name="Standard", action="save", expected_version="1")
    for bad, message in (("ten", "with spaces between them"), ("90 20", "more than the whole fee")):
        refused = admin.post(edit(world), fields | {"agent_share_rates": bad})
        assert refused.status_code == 422
        assert message in text_of(refused)
    admin.post(edit(world), fields | {"broker_share_rate": "30", "agent_share_rates": "10 2.5"})
    terms = current_terms(world.pool.offer)
    assert (terms.version, terms.broker_share_rate, terms.agent_share_rates) == (
        2, Decimal("0.3"), ["0.1", "0.025"],
    )  # fmt: skip
    alice.post(edit(world), typed([("", "25")], name="Standard", action="save", expected_version="2"))
    terms = current_terms(world.pool.offer)
    assert (terms.version, terms.broker_share_rate) == (3, Decimal("0.3"))


def test_review_shows_a_change_of_shares(world: AliceBobCharlie) -> None:
    revise_terms(offer=world.pool.offer, terms=draft(), by=world.alice)
    admin = signed_in(person("admin@example.com", Role.ADMIN))
    fields = typed(TWENTY, name="Standard", action="review", expected_version="1", broker_share_rate="30")
    page = text_of(admin.post(edit(world), fields))
    assert "The broker receives 30 % of every fee." in page
    assert "The manager receives every fee as a whole." in page
