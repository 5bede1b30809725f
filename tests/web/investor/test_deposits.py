"""Adding money to an investment: its entry fee, the tier it joins and the way round it, asked for once.

The first page asks the trading server what is free, so most tests look at the review.
"""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from accounts.models import PammAccount, Role
from allocation.models import Investment
from fees.calc.schedule import Mode, Tier
from investing.models import Request
from offers.models import Offer
from offers.services import revise_terms
from tests.circle.world import Desk, terms
from tests.offers.drafts import EXAMPLE_1, EXAMPLE_2, draft
from tests.track_record.histories import price_points
from tests.web.investor.conftest import Visit
from tests.web.investor.reading import hidden_fields, text_of
from tests.worlds import JOINED, AliceBobCharlie

REVIEWED = {"amount": "1,000"}


def _under(world: AliceBobCharlie, price: str = "1.1", **changes: Any) -> str:
    """Bob's 1,000 units are under these terms at that price; the address of his deposit page."""
    version = revise_terms(offer=world.pool.offer, terms=draft(**changes), by=world.alice)
    Investment.objects.filter(pk=world.pool.investment.pk).update(terms=version)
    account = PammAccount.objects.get(pk=world.pool.account.pk)
    price_points(account, [price], start=JOINED + timedelta(hours=1), every=timedelta(hours=1))
    return f"/investments/{world.pool.investment.public_id}/deposit/"


def test_yield_schedule_shows_the_tier_and_offers_a_separate_investment(
    world: AliceBobCharlie, bob: Client
) -> None:
    url = _under(world, "1.123", schedule=EXAMPLE_1)
    answer = bob.post(url, REVIEWED)
    page = text_of(answer)
    for words in (
        "Your money shares this interval's tier",
        "before fees +12.30 %",
        "Tier reached now from 10 % 20 % of the profit",
        "Next tier from 40 % 50 %",
        "Interval ends 1 Feb 2026",
        "Invest separately instead",
    ):
        assert words in page, words
    join = f'href="/offers/{world.pool.offer.public_id}/join/?amount=1000.00"'
    assert join in answer.content.decode()
    assert "present terms" not in page
    assert not Request.objects.exists()


def test_marginal_tier_says_its_band_and_the_average(world: AliceBobCharlie, bob: Client) -> None:
    url = _under(world, "1.123", schedule=replace(EXAMPLE_1, mode=Mode.MARGINAL))
    # 0 % of the first 10 points, 20 % of the other 2.3.
    words = "Tier reached now from 10 % 20 % in its band, 3.74 % of the profit on average"
    assert words in text_of(bob.post(url, REVIEWED))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"state": Offer.State.PAUSED}, "takes no new investments now"),
        ({"visibility": Offer.Visibility.PRIVATE}, "by invitation only"),
    ],
)
def test_offer_that_cannot_be_joined_anew_says_why(
    world: AliceBobCharlie, bob: Client, changes: dict[str, str], why: str
) -> None:
    url = _under(world, "1.0", schedule=EXAMPLE_1)
    Offer.objects.filter(pk=world.pool.offer.pk).update(**changes)
    page = text_of(bob.post(url, REVIEWED))
    assert "Tier reached now below 10 % 0 % of the profit" in page
    assert why in page
    assert "Invest separately" not in page


def test_separate_investment_under_newer_terms_is_told(world: AliceBobCharlie, bob: Client) -> None:
    url = _under(world, schedule=EXAMPLE_1)
    revise_terms(offer=world.pool.offer, terms=draft(), by=world.alice)
    assert "present terms, version 3; yours here are version 2" in text_of(bob.post(url, REVIEWED))


def test_net_worth_schedule_says_that_new_money_counts_from_the_next_interval(
    world: AliceBobCharlie, bob: Client
) -> None:
    page = text_of(bob.post(_under(world, schedule=EXAMPLE_2), REVIEWED))
    for words in (
        "New money counts for the tier from the next interval on",
        "at the last price. 1,100.00 USD",
        "Tier reached now from 1,000 USD 40 % of the profit",
        "Next tier from 5,000 USD 30 %",
    ):
        assert words in page, words
    assert "separate" not in page


def test_entry_fee_of_the_typed_amount_is_reviewed_before_anything_is_asked_for(
    world: AliceBobCharlie, bob: Client
) -> None:
    tiers = (Tier(None, Decimal("0.03")), Tier(Decimal(5000), Decimal("0.01")))
    url = _under(world, entry_tiers=tiers)
    # Of fees on deposits a third of a cent is left from before.
    Investment.objects.filter(pk=world.pool.investment.pk).update(carried={"entry": "0.004"})
    page = text_of(bob.post(url, {"amount": "100.20"}))
    # 3.006 and the 0.004 of before.
    for words in ("You add 100.20 USD", "Entry fee 3.01 USD", "Is invested 97.19 USD", "Add 100.20 USD"):
        assert words in page, words
    assert "tier" not in page
    assert "Entry fee 50.00 USD Is invested 4,950.00 USD" in text_of(bob.post(url, {"amount": "5000"}))
    assert not Request.objects.exists()


def test_reviewed_deposit_is_asked_for_once(desk: Desk, visit: Visit) -> None:
    account = desk.pamm_account(desk.client("alice", "5000", Role.INVESTOR, Role.MANAGER), "1000")
    bob = desk.client("bob", "2000")
    tiers = terms((None, "0"), ("0.10", "0.20"), basis="yield", entry_tiers=(Tier(None, Decimal("0.02")),))
    investment = desk.invest(bob, desk.offer(account, tiers), "500.00")
    desk.roll(account)
    client, url = visit(bob.user), f"/investments/{investment.public_id}/deposit/"
    page = text_of(client.get(url))
    for words in ("2 % of each deposit", "1,500.00 USD free", "Tier reached now below 10 %", "next rollover"):
        assert words in page, words
    for amount, message in (("9.99", "The minimum is 10 USD."), ("ten", "Enter a number")):
        refused = client.post(url, {"amount": amount})
        assert refused.status_code == 422
        assert message in text_of(refused)
    sent = hidden_fields(client.post(url, {"amount": "250", "key": "the-form"}))
    assert {client.post(url, sent).status_code for _ in range(2)} == {302}
    made = Request.objects.exclude(state=Request.State.EXECUTED).get()
    assert (made.investment_id, made.kind, made.amount) == (investment.pk, "deposit", Decimal(250))
    too_much = client.post(url, {"amount": "5000", "step": "confirm", "key": "another"})
    assert too_much.status_code == 422
    assert "USD free" in text_of(too_much)
