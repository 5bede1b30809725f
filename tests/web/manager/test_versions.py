"""Versions of an offer's terms on its manager's page."""

import re
from decimal import Decimal

from django.test import Client
from django.urls import reverse

from fees.calc.schedule import Schedule
from investing.services import accept_terms
from offers.services import revise_terms
from tests.offers.drafts import draft
from tests.web.manager.reading import text_of
from tests.worlds import AliceBobCharlie


def test_offer_page_counts_who_is_under_each_version_and_who_has_accepted_the_next(
    world: AliceBobCharlie, alice: Client
) -> None:
    offer, investment = world.pool.offer, world.pool.investment
    url = reverse("offers:managed-offer", args=[offer.public_id])
    assert "are offered the current one" not in text_of(alice.get(url))
    newer = revise_terms(offer=offer, terms=draft(schedule=Schedule.flat(Decimal("0.10"))), by=world.alice)
    accept_terms(investment=investment, terms=newer, by=world.bob)
    page = alice.get(url)
    assert "Investors under an earlier version are offered the current one." in text_of(page)
    counts = re.findall(
        r'data-label="(Investments under it|Accepted, not begun)">(\d+)', page.content.decode()
    )
    assert counts == [
        ("Investments under it", "0"),
        ("Accepted, not begun", "1"),
        ("Investments under it", "1"),
        ("Accepted, not begun", "0"),
    ]
