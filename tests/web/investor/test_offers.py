"""The leaderboard and one offer, as a visitor and as an investor see them."""

import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import PammAccount
from fees.calc.schedule import Tier
from offers.models import JoinLink, Offer, Terms
from offers.services import revise_terms
from offers.web.examples import fee_examples
from tests.offers.drafts import draft
from tests.track_record.histories import price_points
from tests.track_record.test_leaderboard import more_offers
from tests.web.investor.conftest import Visit
from tests.web.investor.reading import text_of
from tests.worlds import JOINED, AliceBobCharlie, person
from track_record.services import refresh_statistics

YIELD_TIERS = {
    "basis": "yield",
    "mode": "whole",
    "tiers": [
        {"from": None, "rate": "0"},
        {"from": "0.10", "rate": "0.20"},
        {"from": "0.40", "rate": "0.50"},
    ],
}


@pytest.fixture
def visitor() -> Client:
    return Client(SERVER_NAME="alpha.localhost")


def _priced(world: AliceBobCharlie) -> PammAccount:
    account: PammAccount = PammAccount.objects.get(pk=world.pool.account.pk)
    price_points(
        account, ["1.0", "1.25", "1.0", "1.2"], start=JOINED + timedelta(days=1), every=timedelta(days=20)
    )
    refresh_statistics([account])
    return account


def test_visitor_sees_the_offer_with_its_figures(world: AliceBobCharlie, visitor: Client) -> None:
    _priced(world)
    page = text_of(visitor.get("/"))
    for words in ("Pool 9000", "Alice", "+20.00 %", "-20.0 %", "100 USD", "Sign in"):
        assert words in page


def test_pages_of_one_broker_show_nothing_of_another(world: AliceBobCharlie, visitor: Client) -> None:
    foreign = world.charlie_pool
    assert "Charlie" not in text_of(visitor.get("/"))
    assert visitor.get(f"/offers/{foreign.offer.public_id}/").status_code == 404


def test_leaderboard_says_what_to_do_when_nothing_matches(world: AliceBobCharlie, visitor: Client) -> None:
    _priced(world)
    assert "Loosen a filter" in text_of(visitor.get("/", {"min_return": "500"}))
    wrong = visitor.get("/", {"min_return": "many", "currency": "XXX", "sort": "luck", "after": "%00"})
    assert wrong.status_code == 200
    assert "Pool 9000" in text_of(wrong)


def test_amounts_of_different_currencies_are_not_compared(world: AliceBobCharlie, visitor: Client) -> None:
    (euro,) = more_offers(world, [["1", "1.1"]])
    PammAccount.objects.filter(pk=euro.account_id).update(currency="EUR")
    for query in ({"sort": "money"}, {"amount": "10"}):
        page = text_of(visitor.get("/", query))
        assert "cannot be compared" in page
        assert "Pool 9000" in page
    assert "cannot be compared" not in text_of(visitor.get("/", {"sort": "money", "currency": "EUR"}))
    assert "No offer matches" in text_of(visitor.get("/", {"amount": "10", "currency": "EUR"}))


def test_leaderboard_page_takes_the_same_queries_whatever_the_number_of_offers(
    world: AliceBobCharlie, visitor: Client
) -> None:
    counts = []
    for number in range(2):
        more_offers(world, [["1", "1.1"]] * (1 + 15 * number), first_login=9100 + 100 * number)
        with CaptureQueriesContext(connection) as queries:
            visitor.get("/")
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 12


def test_offer_page_takes_the_same_statements_for_few_and_for_many_prices(
    world: AliceBobCharlie, visitor: Client
) -> None:
    account = _priced(world)
    path = f"/offers/{world.pool.offer.public_id}/"
    counts = []
    for number in range(2):
        with CaptureQueriesContext(connection) as queries:
            assert visitor.get(path).status_code == 200
        counts.append(len(queries))
        if not number:
            later = [str(1 + Decimal(step % 7) / 100) for step in range(400)]
            start = JOINED + timedelta(days=90)
            price_points(account, later, start=start, every=timedelta(hours=13), after=5)
            refresh_statistics([account])
    assert counts[0] == counts[1] <= 12


def test_offer_page_dates_the_largest_drawdown(world: AliceBobCharlie, visitor: Client) -> None:
    account = _priced(world)
    page = text_of(visitor.get(f"/offers/{world.pool.offer.public_id}/"))
    # 1.25 twenty days after the first price, 1.0 twenty days later.
    assert "When that was 22 Jan 2026 – 11 Feb 2026 not made good yet" in page
    price_points(account, ["1.3"], start=JOINED + timedelta(days=90), every=timedelta(days=1), after=6)
    refresh_statistics([account])
    page = text_of(visitor.get(f"/offers/{world.pool.offer.public_id}/"))
    assert "made good on 1 Apr 2026" in page


def test_offer_page_says_from_when_on_a_figure_is_told(world: AliceBobCharlie, visitor: Client) -> None:
    _priced(world)
    page = text_of(visitor.get(f"/offers/{world.pool.offer.public_id}/"))
    assert "in the last twelve months, before fees. from 12 months on" in page
    assert re.search(r"Sharpe ratio Yearly average .*? from 30 days on", page)


def test_offer_page_draws_its_days_and_counts_them_in_a_table(
    world: AliceBobCharlie, visitor: Client
) -> None:
    _priced(world)
    page = text_of(visitor.get(f"/offers/{world.pool.offer.public_id}/"))
    # +25 %, −20 %, +20 %; the first price is that of the day before.
    assert "3 days on which the price changed. 1 day without a change is left out." in page
    assert "-25 % to -20 % 1 -20 % to -15 % 0" in page
    assert "+25 % and more 1" in page


def test_offer_page_explains_costs_by_examples_that_the_fee_calculation_makes(
    world: AliceBobCharlie, visitor: Client
) -> None:
    _priced(world)
    page = text_of(visitor.get(f"/offers/{world.pool.offer.public_id}/"))
    assert "If you invest 1,000 USD" in page
    assert "1,200.00 (+20 %) 40.00 1,160.00 USD" in page
    assert "900.00 (-10 %) 0.00 900.00 USD" in page


def test_offer_page_names_every_fee_and_its_examples_charge_them(
    world: AliceBobCharlie, visitor: Client
) -> None:
    _priced(world)
    every = draft(
        management_rate=Decimal("0.02"), subscription_amount=Decimal("12.50"), lock_in_days=30,
        volume_amount_per_lot=Decimal(3), early_exit_rate=Decimal("0.015"),
        entry_tiers=(Tier(None, Decimal("0.03")), Tier(Decimal(5000), Decimal("0.01"))),
    )  # fmt: skip
    revise_terms(offer=world.pool.offer, terms=every, by=world.alice)
    page = text_of(visitor.get(f"/offers/{world.pool.offer.public_id}/"))
    for words in (
        "Management fee 2 % per year",
        "Entry fee 1 % – 3 % of each deposit",
        "Subscription fee 12.50 USD per interval",
        "Volume fee 3 USD per lot, shared",
        "Early exit fee 1.5 % for 30 days",
        "30.00 USD of it are the entry fee.",
        # 970.00 that grow by 20 %: management 1.61, subscription 12.50, performance 20 % of 179.89.
        "1,164.00 (+20 %) 50.08 1,113.92 USD",
        "873.00 (-10 %) 14.11 858.89 USD",
        "Without the volume fee",
    ):
        assert words in page, words
    assert "Fee without profit" not in page
    assert "5 more fees" in text_of(visitor.get("/"))
    until_interval_end = replace(every, lock_in_days=0, early_exit_until=Terms.EarlyExitUntil.INTERVAL)
    revise_terms(offer=world.pool.offer, terms=until_interval_end, by=world.alice)
    page = text_of(visitor.get(f"/offers/{world.pool.offer.public_id}/"))
    assert "Early exit fee 1.5 % before the interval ends" in page


def test_examples_follow_the_tiers_of_the_worked_example(world: AliceBobCharlie) -> None:
    terms = Terms.objects.create(
        offer=world.pool.offer,
        version=2,
        performance_schedule=YIELD_TIERS,
        minimum_first=100,
        minimum_further=50,
        minimum_remaining=50,
    )
    examples = fee_examples(terms, Decimal(5000), [Decimal("0.0999"), Decimal("0.10"), Decimal("0.40")])
    assert [example.fee for example in examples] == [Decimal(0), Decimal("100.00"), Decimal("1000.00")]


def test_offer_page_shows_tiers_as_a_table(world: AliceBobCharlie, visitor: Client) -> None:
    Terms.objects.create(
        offer=world.pool.offer,
        version=2,
        performance_schedule=YIELD_TIERS,
        minimum_first=100,
        minimum_further=50,
        minimum_remaining=50,
    )
    page = text_of(visitor.get(f"/offers/{world.pool.offer.public_id}/"))
    assert "below 10 % 0 % from 10 % 20 % from 40 % 50 %" in page
    assert "0–50 %" in page


def test_offer_page_shows_returns_drawdown_months_and_own_money(
    world: AliceBobCharlie, visitor: Client
) -> None:
    _priced(world)
    page = text_of(visitor.get(f"/offers/{world.pool.offer.public_id}/"))
    for words in ("+20.00 %", "-20.00 %", "Manager's own money", "Monthly returns", "2026", "Sharpe ratio"):
        assert words in page


def test_offer_page_of_an_account_without_prices_says_so(world: AliceBobCharlie, visitor: Client) -> None:
    assert "begins with the first rollover" in text_of(visitor.get(f"/offers/{world.pool.offer.public_id}/"))


def test_offer_page_tells_of_an_earlier_wiped_out_pool(world: AliceBobCharlie, visitor: Client) -> None:
    PammAccount.objects.filter(pk=world.pool.account.pk).update(series=2)
    assert "wiped out" in text_of(visitor.get(f"/offers/{world.pool.offer.public_id}/"))


def test_offer_by_link_opens_with_its_link_only(world: AliceBobCharlie, visitor: Client) -> None:
    Offer.objects.filter(pk=world.pool.offer.pk).update(visibility=Offer.Visibility.LINK)
    link = JoinLink.objects.create(offer=world.pool.offer)
    assert visitor.get(f"/offers/{world.pool.offer.public_id}/").status_code == 404
    page = visitor.get(f"/join/{link.token}/")
    assert page.status_code == 200
    assert f"?link={link.token}" in page.content.decode()
    assert visitor.get("/join/no-such-link/").status_code == 404


def test_paused_offer_shows_its_record_and_no_way_in(world: AliceBobCharlie, visitor: Client) -> None:
    Offer.objects.filter(pk=world.pool.offer.pk).update(state=Offer.State.PAUSED)
    page = visitor.get(f"/offers/{world.pool.offer.public_id}/")
    assert "takes no new investments now" in text_of(page)
    assert "/join/" not in page.content.decode()


def test_manager_is_not_asked_to_join_his_own_offer(world: AliceBobCharlie, visit: Visit) -> None:
    page = visit(world.alice).get(f"/offers/{world.pool.offer.public_id}/").content.decode()
    assert "You manage this account" in page
    assert "/join/" not in page


def test_pages_carry_no_inline_script_or_style_and_a_strict_policy(
    world: AliceBobCharlie, bob: Client
) -> None:
    _priced(world)
    investment = world.pool.investment.public_id
    for url in (
        "/",
        f"/offers/{world.pool.offer.public_id}/",
        f"/offers/{world.pool.offer.public_id}/simulator/",
        "/portfolio/",
        f"/investments/{investment}/",
        "/requests/",
        f"/investments/{investment}/withdraw/",
        f"/investments/{investment}/close/",
    ):
        answer = bob.get(url)
        body = answer.content.decode()
        assert answer.status_code == 200, url
        assert not re.search(r"\sstyle=|\son\w+=|hx-on|<style|<script(?![^>]*\ssrc=)", body), url
        assert "'unsafe" not in answer["Content-Security-Policy"]
        assert "default-src 'self'" in answer["Content-Security-Policy"]


def test_navigation_depends_on_the_role(world: AliceBobCharlie, visitor: Client, visit: Visit) -> None:
    assert "Portfolio" not in text_of(visitor.get("/"))
    assert "Approvals" not in text_of(visit(world.bob).get("/"))
    assert "Approvals" in text_of(visit(world.alice).get("/"))


def test_moments_are_written_in_the_readers_zone(world: AliceBobCharlie, visit: Visit) -> None:
    _priced(world)
    dora = person("dora@example.com", time_zone="Asia/Tokyo")
    page = text_of(visit(dora).get(f"/offers/{world.pool.offer.public_id}/"))
    assert "3 Mar 2026, 09:00" in page
    assert "Times in Asia/Tokyo" in page


def test_theme_is_kept_and_returns_to_the_same_site_only(world: AliceBobCharlie, visitor: Client) -> None:
    answer = visitor.post("/theme/", {"theme": "dark", "next": "/?sort=age"})
    assert answer["Location"] == "/?sort=age"
    assert 'data-bs-theme="dark"' in visitor.get("/").content.decode()
    elsewhere = visitor.post("/theme/", {"theme": "light", "next": "https://elsewhere.example/"})
    assert elsewhere["Location"] == "/"
    visitor.cookies["theme"] = '"><script>'
    assert "<script>" not in visitor.get("/").content.decode()


def test_brand_colour_is_a_style_sheet_of_its_own(world: AliceBobCharlie, visitor: Client) -> None:
    sheet = visitor.get("/brand.css")
    assert sheet["Content-Type"].startswith("text/css")
    assert b"--brand:#1f5fbf" in sheet.content
