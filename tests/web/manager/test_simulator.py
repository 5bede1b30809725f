"""The simulator in the offer editor: typed terms beside others, figures by hand, nothing saved."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from brokers.models import Broker
from offers.models import Offer, Terms
from offers.services import create_offer
from tests.offers.drafts import EXAMPLE_1, draft
from tests.web.investor.reading import text_of
from tests.web.manager.typed import edit, new, typed
from tests.worlds import AliceBobCharlie, pool

NEW_YEAR = datetime(2026, 1, 1, 10, tzinfo=UTC)
EXAMPLE_1_TYPED = [("", "0"), ("10", "20"), ("40", "50")]
TWO_MONTHS = {"amount": "1000", "months": "2", "path": "own", "returns": "10 10", "ending": "close"}
OTHER_TIERS = {"compare": "tiers", "other_basis": "flat", "other_mode": "whole", "other-0-rate": "10"}


def _simulate(alice: Client, address: str, fields: dict[str, Any], action: str = "simulate") -> Any:
    with time_machine.travel(NEW_YEAR, tick=False):
        return alice.post(address, fields | {"action": action})


def _offer(world: AliceBobCharlie, name: str, **changes: Any) -> Offer:
    return create_offer(
        account=world.pool.account, name=name, visibility=Offer.Visibility.PUBLIC,
        approval=Offer.Approval.MANAGER, terms=draft(**changes), by=world.alice,
    )  # fmt: skip


def _results(answer: Any) -> str:
    """The words of the simulator's figures, its months left out."""
    words = text_of(answer)
    return words.partition("What the terms take and leave")[2].partition("Month by month")[0]


def test_typed_terms_are_simulated_beside_the_current_version_and_nothing_is_saved(
    world: AliceBobCharlie, alice: Client
) -> None:
    before = Offer.objects.count(), Terms.objects.count()
    fields = typed([("", "30")], name="Standard", expected_version="1") | TWO_MONTHS
    answer = _simulate(alice, edit(world), fields | {"compare": "current"})
    figures = _results(answer)
    # 30 %: 30.00 of 100.00, then 32.10 of 107.00. 20 %: 20.00, then 21.60 of 108.00.
    for line in (
        "A As typed B Version 1, current Difference",
        "Put in 1,000.00 1,000.00 0.00",
        "Result before fees 207.00 208.00 +1.00",
        "Performance fee 62.10 41.60 -20.50",
        "The investor's result 144.90 166.40 +21.50",
        "Received: Manager 62.10 41.60 -20.50",
    ):
        assert line in figures
    assert answer.status_code == 200
    assert (Offer.objects.count(), Terms.objects.count()) == before


def test_two_schedules_stand_in_one_picture_with_their_cliffs_in_words(
    world: AliceBobCharlie, alice: Client
) -> None:
    fields = typed(EXAMPLE_1_TYPED, basis="yield") | TWO_MONTHS
    tiers = OTHER_TIERS | {"other_basis": "yield", "other-1-bound": "100", "other-1-rate": "25"}
    answer = _simulate(alice, new(world), fields | tiers)
    figures = _results(answer)
    for words in (
        "A: 2 cliffs",
        "At 10 % it jumps from 0 % to 20 %, made good from 12.5 % on",
        "At 40 % it jumps from 20 % to 50 %, made good from 64 % on",
        "B: A cliff",
        "At 100 % it jumps from 10 % to 25 %, made good from 120 % on",
        "-50.00 % -50.00 % -50.00 % 0.00 %",
        "+20.00 % +16.00 % +18.00 % +2.00 %",
        "+150.00 % +75.00 % +112.50 % +37.50 %",
    ):
        assert words in figures
    body = answer.content.decode()
    assert 'class="curve-net curve-net-2"' in body
    assert body.count('class="curve-cliff-label"') == 3


def test_other_offers_of_the_manager_in_the_same_currency_can_be_compared(
    world: AliceBobCharlie, alice: Client
) -> None:
    other = _offer(world, "Steps", schedule=EXAMPLE_1)
    elsewhere = pool(
        manager=world.alice_manager, income_account=world.pool.account.income_account, investor=world.bob,
        personal_account=world.bob_account, login=9100,
    )  # fmt: skip
    type(elsewhere.account).objects.filter(pk=elsewhere.account.pk).update(currency="EUR")
    fields = typed([("", "30")]) | TWO_MONTHS
    answer = _simulate(alice, new(world), fields | {"compare": str(other.public_id)})
    assert "B Steps · Pool 9000" in _results(answer)
    assert str(elsewhere.offer.public_id) not in answer.content.decode()
    foreign = _simulate(alice, new(world), fields | {"compare": str(world.charlie_pool.offer.public_id)})
    assert "Difference" not in _results(foreign)
    assert "Select a valid choice" in text_of(foreign)


def test_recipients_are_told_for_both(world: AliceBobCharlie, alice: Client) -> None:
    Broker.objects.update(fee_share_rate=Decimal("0.25"), agent_share_rates=["0.1"])
    fields = typed([("", "20")]) | TWO_MONTHS | OTHER_TIERS
    figures = _results(_simulate(alice, new(world), fields))
    # Of 41.60; the other tiers take 10.00 and 10.90 of 109.00.
    assert "Received: Manager 27.04 13.59 -13.45" in figures
    assert "Received: Broker 10.40 5.22 -5.18" in figures
    assert "Received: Agent, level 1 4.16 2.09 -2.07" in figures


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"amount": "many"}, "Correct what is marked"),
        ({"minimum_first": ""}, "Complete the terms above"),
        (OTHER_TIERS | {"other-0-rate": "101"}, "B: Tier 1"),
        (OTHER_TIERS | {"other-0-rate": "ten"}, "cannot be read yet"),
    ],
)
def test_what_cannot_be_simulated_is_said_and_refuses_nothing_else(
    world: AliceBobCharlie, alice: Client, changes: dict[str, str], words: str
) -> None:
    fields = typed([("", "20")]) | TWO_MONTHS | changes
    assert words in text_of(_simulate(alice, new(world), fields))
    assert words in text_of(_simulate(alice, new(world), fields, action="change"))


def test_wrong_scenario_does_not_keep_an_offer_from_being_created(
    world: AliceBobCharlie, alice: Client
) -> None:
    alice.post(new(world), typed([("", "20")], action="create") | {"amount": "many", "compare": "nothing"})
    assert Offer.objects.filter(name="Growth").exists()


def test_rows_of_other_tiers_are_added_and_removed_apart(world: AliceBobCharlie, alice: Client) -> None:
    fields = typed([("", "20")]) | OTHER_TIERS
    added = _simulate(alice, new(world), fields, action="add-other").content.decode()
    assert ('name="other-1-rate"' in added, 'name="tier-1-rate"' in added) == (True, False)
    more = fields | {"other-1-bound": "10", "other-1-rate": "20"}
    removed = _simulate(alice, new(world), more, action="remove-other-1").content.decode()
    assert 'name="other-1-rate"' not in removed
    assert 'id="simulator" open>' in removed


def test_more_offers_cost_no_more_queries(world: AliceBobCharlie, alice: Client) -> None:
    counts = []
    for number in range(2):
        _offer(world, f"Offer {number}")
        with CaptureQueriesContext(connection) as queries:
            assert alice.get(edit(world)).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]
