"""Offers side by side: chosen on the list, shown up to four, nothing of what one may not see."""

import re
import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import PammAccount
from allocation.models import PricePoint
from offers.models import Offer
from rollover.models import CountedDeal
from tests.track_record.histories import price_points
from tests.track_record.test_leaderboard import more_offers
from tests.web.investor.conftest import Visit
from tests.web.investor.reading import text_of
from tests.worlds import JOINED, AliceBobCharlie, person
from track_record.models import AccountStatistics
from track_record.queries import PAGE_SIZE
from track_record.services import refresh_statistics

PATH = "/offers/compare/"


@pytest.fixture
def visitor() -> Client:
    return Client(SERVER_NAME="alpha.localhost")


def _three(world: AliceBobCharlie) -> list[Offer]:
    return more_offers(world, [["1", "1.1"], ["1", "0.8", "1.3"], ["1", "1.2"]])


def _ids(offers: list[Offer]) -> dict[str, list[str]]:
    return {"offer": [str(offer.public_id) for offer in offers]}


def test_comparison_shows_the_chosen_offers_in_their_order(world: AliceBobCharlie, visitor: Client) -> None:
    first, second, third = _three(world)
    page = text_of(visitor.get(PATH, _ids([third, first])))
    assert page.index("Account 2") < page.index("Account 0")
    assert "Account 1" not in page
    assert "The performance fee is 20 % of new profit." in page
    assert second.name not in page


def test_comparison_marks_the_best_of_a_row(world: AliceBobCharlie, visitor: Client) -> None:
    first, second, _third = _three(world)
    body = text_of(visitor.get(PATH, _ids([first, second])))
    returns = body[body.index("Return since start") : body.index("Largest drawdown")]
    assert "+30.00 % best" in returns
    assert "+10.00 % best" not in returns
    drawdown = body[body.index("Largest drawdown") : body.index("Drawdown now")]
    assert "0.00 % best" in drawdown
    assert "-20.00 % best" not in drawdown


def test_figure_that_is_too_young_says_from_when_it_is_told(world: AliceBobCharlie, visitor: Client) -> None:
    first, second, _third = _three(world)
    page = text_of(visitor.get(PATH, _ids([first, second])))
    for words in ("from 30 days on", "from 3 months on", "from 12 months on"):
        assert words in page


def test_comparison_has_room_for_four_and_names_the_others(world: AliceBobCharlie, visitor: Client) -> None:
    offers = more_offers(world, [["1", "1.1"]] * 6)
    page = text_of(visitor.get(PATH, _ids(offers)))
    assert "There is room for four Left out: Account 4, Account 5." in page
    assert page.count("What fees would cost") == 4


def test_comparison_without_a_choice_leads_to_the_list(world: AliceBobCharlie, visitor: Client) -> None:
    page = visitor.get(PATH)
    assert page.status_code == 200
    assert "Nothing to compare yet" in text_of(page)
    assert visitor.get(PATH, {"offer": ["nonsense", ""]}).status_code == 200


@pytest.mark.parametrize("visibility", [Offer.Visibility.LINK, Offer.Visibility.PRIVATE])
def test_offer_that_is_not_for_everybody_is_like_one_that_does_not_exist(
    world: AliceBobCharlie, visitor: Client, visit: Visit, visibility: str
) -> None:
    first, second, _third = _three(world)
    Offer.objects.filter(pk=second.pk).update(visibility=visibility)
    alone = _ids([second])
    assert visitor.get(PATH, alone).status_code == 404
    assert visitor.get(PATH, {"offer": str(uuid.uuid4())}).status_code == 404
    with_other = visitor.get(PATH, _ids([first, second]))
    reference = visitor.get(PATH, {"offer": [str(first.public_id), str(uuid.uuid4())]})
    assert text_of(with_other) == text_of(reference)
    assert "Account 1" not in text_of(with_other)
    assert visit(person("eve@example.com")).get(PATH, alone).status_code == 404
    assert "Account 1" in text_of(visit(world.alice).get(PATH, alone))


def test_offer_of_another_broker_is_not_compared(world: AliceBobCharlie, visitor: Client) -> None:
    first, *_others = _three(world)
    assert visitor.get(PATH, _ids([world.charlie_pool.offer])).status_code == 404
    assert "Charlie" not in text_of(visitor.get(PATH, _ids([first, world.charlie_pool.offer])))


def test_comparison_takes_the_same_statements_for_two_and_for_four(
    world: AliceBobCharlie, visitor: Client
) -> None:
    offers = more_offers(world, [["1", "1.1", "1.2"]] * 4)
    counts = []
    for chosen in (offers[:2], offers):
        with CaptureQueriesContext(connection) as queries:
            visitor.get(PATH, _ids(chosen))
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 12


def test_choice_survives_pages_and_filters_without_javascript(
    world: AliceBobCharlie, visitor: Client
) -> None:
    offers = more_offers(world, [["1", "1.1"]] * (PAGE_SIZE + 2))
    chosen = offers[-1]
    body = visitor.get("/", _ids([chosen])).content.decode()
    assert f'<input type="hidden" name="offer" value="{chosen.public_id}">' in body
    following = body[body.index('rel="next"') - 300 : body.index('rel="next"')]
    assert f"offer={chosen.public_id}" in following
    next_url = following[following.index('href="') + 6 :].split('"')[0].replace("&amp;", "&")
    second = visitor.get(next_url).content.decode()
    # On the other page it can be left out again.
    assert f'value="{chosen.public_id}" checked> {chosen.account.name}</label>' in second


def test_pages_of_a_hidden_account_name_no_symbol_of_its_trades(
    world: AliceBobCharlie, visitor: Client, bob: Client
) -> None:
    account = PammAccount.objects.get(pk=world.pool.account.pk)
    prices = [str(1 + Decimal(number % 5) / 100) for number in range(40)]
    price_points(account, prices, start=JOINED + timedelta(days=1), every=timedelta(days=1))
    refresh_statistics([account])
    CountedDeal.objects.create(
        account=account, price_point=PricePoint.objects.filter(account=account).latest("sequence"),
        ticket=778899001122, part=CountedDeal.Part.RESULT, action=0, executed_at=JOINED, symbol="XAUUSD.x",
        volume=Decimal("3.21"), price=Decimal("2411.5"), amount=Decimal(5), currency_digits=2,
        comment="grid-7",
    )  # fmt: skip
    offer = world.pool.offer.public_id
    for browser in (visitor, bob):
        for path in (
            "/",
            f"/offers/{offer}/",
            f"/offers/{offer}/?range=all",
            f"{PATH}?offer={offer}",
            f"/api/v1/pamm-accounts/{account.public_id}/price-series/?range=all",
        ):
            answer = browser.get(path)
            assert answer.status_code == 200, path
            for trace in ("778899001122", "XAUUSD", "3.21", "2411.5", "2,411.5", "grid-7"):
                assert trace not in answer.content.decode(), (path, trace)


def test_offer_page_leads_to_the_list_with_itself_chosen(world: AliceBobCharlie, visitor: Client) -> None:
    offer, *_others = _three(world)
    page = visitor.get(f"/offers/{offer.public_id}/").content.decode()
    assert f'href="/?offer={offer.public_id}"' in page
    body = visitor.get("/", _ids([offer])).content.decode()
    assert re.search(rf'value="{offer.public_id}" form="comparison-form" checked', body)


def test_pages_of_a_wiped_out_pool_and_of_one_without_a_price_are_shown(
    world: AliceBobCharlie, visitor: Client
) -> None:
    wiped_out, fine = more_offers(world, [["1", "0", "0"], ["1", "1.1", "1.2"]])
    AccountStatistics.objects.filter(account__offers=world.pool.offer).delete()
    page = text_of(visitor.get(f"/offers/{wiped_out.public_id}/"))
    assert "Largest drawdown" in page
    assert "-100.00 %" in page
    together = text_of(visitor.get(PATH, _ids([wiped_out, fine, world.pool.offer])))
    assert "no price yet" in together
    assert "-100.00 %" in together
    assert "-100.00 %" in text_of(visitor.get(PATH, _ids([wiped_out, fine])))


def test_draft_is_compared_by_its_manager_only(world: AliceBobCharlie, visit: Visit) -> None:
    first, second, _third = _three(world)
    Offer.objects.filter(pk=second.pk).update(state=Offer.State.DRAFT)
    assert "Account 1" not in text_of(visit(world.bob).get(PATH, _ids([first, second])))
    assert "Account 1" in text_of(visit(world.alice).get(PATH, _ids([first, second])))
