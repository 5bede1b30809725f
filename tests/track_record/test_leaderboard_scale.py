"""The leaderboard with a thousand offers: an index leads to the best of them under row-level security, page
after page, and every offer is seen once.
"""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import PammAccount
from brokers.scope import broker_scope
from offers.models import Offer, Terms
from tests.worlds import FLAT_TWENTY, JOINED, AliceBobCharlie, alice_bob_charlie, as_owner
from track_record.calc.ranks import NOT_PRICED, rank_of, rank_of_age
from track_record.models import AccountStatistics
from track_record.queries import PAGE_SIZE, RANKS_OF_SORTS, Filters, LeaderboardRow, Sort, leaderboard

MANY = 1000
STATISTICS = AccountStatistics._meta.db_table


def thousand_offers(world: AliceBobCharlie) -> None:
    """Open public offers of as many accounts, with statistics as they are kept; every tenth without."""
    pool = world.pool.account
    accounts = PammAccount.objects.bulk_create(
        PammAccount(
            manager=world.alice_manager, income_account=pool.income_account, server=pool.server,
            login=20000 + number, currency="USD", currency_digits=2, name=f"Account {number}",
            state=PammAccount.State.ACTIVE, opening_key=f"many-{number}",
        )
        for number in range(MANY)
    )  # fmt: skip
    offers = Offer.objects.bulk_create(
        Offer(account=account, name="Standard", state=Offer.State.OPEN) for account in accounts
    )
    Terms.objects.bulk_create(
        Terms(
            offer=offer, version=1, performance_schedule=FLAT_TWENTY, minimum_first=100 + number,
            minimum_further=50, minimum_remaining=50,
        )
        for number, offer in enumerate(offers)
    )  # fmt: skip
    AccountStatistics.objects.bulk_create(
        _statistics(account, number) for number, account in enumerate(accounts) if number % 10
    )
    with as_owner() as cursor:
        cursor.execute("ANALYZE")


def _statistics(account: PammAccount, number: int) -> AccountStatistics:
    """Figures that differ from account to account, in no order."""
    rate = Decimal(number * 7919 % 1000) / 1000 - Decimal("0.3")
    first = JOINED - timedelta(days=number * 31 % 900)
    return AccountStatistics(
        account=account, series=1, sequence=1, first_priced_at=first, as_of=JOINED, total_return=rate,
        return_1m=rate / 10, return_3m=rate / 4, return_12m=rate, maximum_drawdown=-abs(rate) / 2,
        current_drawdown=0, money=number * 1000, investors=number % 97, own_capital=100, peak_at=JOINED,
        peak_equity=1, peak_units=1, sparkline=["1.0", "1.1", "1.05"] * 16,
        daily=[[JOINED.isoformat(), "1", "1"]] * 365,
        rank_return=rank_of(rate), rank_return_1m=rank_of(rate / 10), rank_return_3m=rank_of(rate / 4),
        rank_total=rank_of(rate), rank_drawdown=rank_of(-abs(rate) / 2), rank_investors=number % 97,
        rank_money=number * 100000, rank_age=rank_of_age(first),
    )  # fmt: skip


@pytest.fixture
def world(committed_db: str) -> Iterator[AliceBobCharlie]:
    made = alice_bob_charlie()
    with broker_scope(made.alpha.pk):
        thousand_offers(made)
        yield made


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _explained(sql: str) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == ("pamm_app",)
        cursor.execute("EXPLAIN (FORMAT JSON) " + sql)
        return list(_nodes(cursor.fetchall()[0][0][0]["Plan"]))


def _ranked_statement(sort: Sort, cursor: str | None) -> str:
    with CaptureQueriesContext(connection) as captured:
        leaderboard(None, sort=sort, cursor=cursor)
    return next(query["sql"] for query in captured if '"offers_offer"' in query["sql"])


def _all_pages(sort: Sort, filters: Filters | None = None) -> list[LeaderboardRow]:
    rows: list[LeaderboardRow] = []
    cursor = None
    while True:
        page = leaderboard(None, filters, sort, cursor)
        rows += page.rows
        assert len(page.rows) == PAGE_SIZE or page.next_cursor is None
        if page.next_cursor is None:
            return rows
        cursor = page.next_cursor


def test_index_leads_to_the_best_of_a_thousand_offers_and_to_each_next_page(world: AliceBobCharlie) -> None:
    for sort, rank in RANKS_OF_SORTS.items():
        for cursor in (None, leaderboard(None, sort=sort).next_cursor):
            plan = _explained(_ranked_statement(sort, cursor))
            (scan,) = [node for node in plan if node.get("Relation Name") == STATISTICS]
            assert scan["Index Name"] == f"track_record_{rank}", (sort, scan)
            assert ("rank_" in scan["Index Cond"]) == (cursor is not None), (sort, scan)


def test_pages_of_every_order_show_each_of_a_thousand_offers_once_best_first(world: AliceBobCharlie) -> None:
    expected = set(Offer.objects.values_list("pk", flat=True))
    for sort in Sort:
        rows = _all_pages(sort)
        shown = [row.offer.pk for row in rows]
        assert len(shown) == len(set(shown)), sort
        assert set(shown) == expected, sort
        if sort in RANKS_OF_SORTS:
            ranks = [getattr(row.statistics, RANKS_OF_SORTS[sort], NOT_PRICED) for row in rows]
            assert ranks == sorted(ranks, reverse=True), sort
            assert ranks[-1] == NOT_PRICED
    minimums = [row.terms.minimum_first for row in _all_pages(Sort.MINIMUM)]
    assert minimums == sorted(minimums)


def test_filters_find_among_a_thousand_what_their_figures_say(world: AliceBobCharlie) -> None:
    filters = Filters(
        minimum_return=Decimal("0.25"), maximum_drawdown=Decimal("0.2"), affordable_with=Decimal(700)
    )
    found = {row.account.name for row in _all_pages(Sort.RETURN, filters)}
    rows = AccountStatistics.objects.filter(account__offers__terms__minimum_first__lte=700).select_related(
        "account"
    )
    assert found == {
        row.account.name
        for row in rows
        if row.return_12m is not None
        and row.return_12m >= Decimal("0.25")
        and row.maximum_drawdown is not None
        and row.maximum_drawdown >= Decimal("-0.2")
    }
    assert 0 < len(found) < MANY


def test_page_of_a_thousand_offers_takes_few_statements_whatever_is_asked(world: AliceBobCharlie) -> None:
    visitor = Client(SERVER_NAME="alpha.localhost")
    for query in (
        {},
        {"sort": "money"},
        {"sort": "minimum"},
        {"q": "Account 77"},
        {"min_return": "20", "max_drawdown": "30", "min_months": "6", "amount": "700"},
    ):
        with CaptureQueriesContext(connection) as captured:
            assert visitor.get("/", query).status_code == 200
        assert len(captured) <= 8, query
