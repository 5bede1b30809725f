"""The leaderboard: what is open to everybody, in order, page after page, by a constant number of queries."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import PammAccount
from offers.models import Offer, Terms
from tests.track_record.histories import price_points
from tests.worlds import FLAT_TWENTY, JOINED, AliceBobCharlie
from track_record.models import AccountStatistics
from track_record.queries import PAGE_SIZE, Filters, LeaderboardPage, Sort, leaderboard
from track_record.services import refresh_statistics

DAY = timedelta(days=1)


def more_offers(
    world: AliceBobCharlie, prices: Sequence[Sequence[str]], first_login: int = 9100
) -> list[Offer]:
    """Open public offers of accounts with these prices, one a day; minimums of 100, 200, …"""
    offers = []
    for number, history in enumerate(prices):
        account = PammAccount.objects.create(
            manager=world.alice_manager, income_account=world.pool.account.income_account,
            server=world.pool.account.server, login=first_login + number, currency="USD", currency_digits=2,
            name=f"Account {number}", state=PammAccount.State.ACTIVE, opening_key=f"k-{first_login + number}",
        )  # fmt: skip
        price_points(account, history, start=JOINED, every=DAY, after=0)
        offer = Offer.objects.create(account=account, name=f"Offer {number}", state=Offer.State.OPEN)
        Terms.objects.create(
            offer=offer, version=1, performance_schedule=FLAT_TWENTY, minimum_first=100 * (number + 1),
            minimum_further=50, minimum_remaining=50,
        )  # fmt: skip
        offers.append(offer)
    refresh_statistics(PammAccount.objects.all())
    return offers


def _names(page: LeaderboardPage) -> list[str]:
    return [row.account.name for row in page.rows]


def test_leaderboard_shows_the_best_first_and_an_account_without_prices_last(world: AliceBobCharlie) -> None:
    more_offers(world, [["1", "1.1"], ["1", "1.3"], ["1", "0.9"]])
    PammAccount.objects.filter(pk=world.pool.account.pk).update(name="Unpriced")
    world.pool.account.statistics.delete()
    assert _names(leaderboard(None)) == ["Account 1", "Account 0", "Account 2", "Unpriced"]


@pytest.mark.parametrize(
    ("sort", "first"),
    [
        (Sort.DRAWDOWN, "Account 0"),
        (Sort.MINIMUM, "Account 0"),
        (Sort.MONEY, "Account 1"),
        (Sort.RETURN, "Account 1"),
        (Sort.TOTAL_RETURN, "Account 1"),
        (Sort.AGE, "Account 1"),
    ],
)
def test_leaderboard_order_puts_the_best_first(world: AliceBobCharlie, sort: Sort, first: str) -> None:
    Offer.objects.filter(pk=world.pool.offer.pk).update(state=Offer.State.CLOSED)
    more_offers(world, [["1", "1.01"], ["1", "0.7", "1.9"], ["1", "0.8", "1.2"]])
    AccountStatistics.objects.filter(account__name="Account 1").update(first_priced_at=JOINED - 9 * DAY)
    refresh_statistics(PammAccount.objects.all())
    assert _names(leaderboard(None, sort=sort))[0] == first


def test_leaderboard_filters_by_return_drawdown_amount_currency_and_words(world: AliceBobCharlie) -> None:
    Offer.objects.filter(pk=world.pool.offer.pk).update(state=Offer.State.CLOSED)
    more_offers(world, [["1", "1.1"], ["1", "0.5", "1.2"], ["1", "1.3"]])
    assert _names(leaderboard(None, Filters(minimum_return=Decimal("0.15")))) == ["Account 2", "Account 1"]
    assert _names(leaderboard(None, Filters(maximum_drawdown=Decimal("0.20")))) == ["Account 2", "Account 0"]
    assert _names(leaderboard(None, Filters(affordable_with=Decimal(250)))) == ["Account 1", "Account 0"]
    assert _names(leaderboard(None, Filters(search="oFFer 2"))) == ["Account 2"]
    assert _names(leaderboard(None, Filters(search="alice"))) == ["Account 2", "Account 1", "Account 0"]
    assert _names(leaderboard(None, Filters(currency="JPY"))) == []


@pytest.mark.parametrize(
    "change",
    [{"state": Offer.State.PAUSED}, {"state": Offer.State.DRAFT}, {"visibility": Offer.Visibility.LINK},
     {"visibility": Offer.Visibility.PRIVATE}],
)  # fmt: skip
def test_offer_that_is_not_open_to_everybody_is_not_listed(
    world: AliceBobCharlie, change: dict[str, str]
) -> None:
    assert len(leaderboard(None).rows) == 1
    Offer.objects.filter(pk=world.pool.offer.pk).update(**change)
    assert leaderboard(None).rows == []


def test_leaderboard_pages_show_every_offer_once_ties_included(world: AliceBobCharlie) -> None:
    more_offers(world, [["1", "1.1"]] * (PAGE_SIZE + 5))
    first = leaderboard(None)
    second = leaderboard(None, cursor=first.next_cursor)
    assert len(first.rows) == PAGE_SIZE
    assert second.next_cursor is None
    seen = _names(first) + _names(second)
    assert len(seen) == len(set(seen)) == PAGE_SIZE + 6


@pytest.mark.parametrize(
    "cursor", ["nonsense", "W10", "WyJOYU4iLCAxXQ", "WyIxZTk5OTk5OSIsIDFd", "é", "WzEsIC0xXQ"]
)
def test_leaderboard_cursor_that_is_none_begins_at_the_first_page(
    world: AliceBobCharlie, cursor: str
) -> None:
    assert len(leaderboard(None, cursor=cursor).rows) == 1


def test_leaderboard_takes_the_same_queries_for_three_and_for_twenty_offers(world: AliceBobCharlie) -> None:
    counts = []
    for number in range(2):
        more_offers(world, [["1", "1.1"]] * (2 + 15 * number), first_login=9100 + 100 * number)
        with CaptureQueriesContext(connection) as queries:
            leaderboard(None)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 4
