"""Statistics are kept: refreshed by what is new, started again with a new series, the same from scratch."""

from datetime import timedelta
from decimal import Decimal

from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import PammAccount
from allocation.models import Investment
from tests.track_record.histories import price_points, rising
from tests.worlds import JOINED, AliceBobCharlie
from track_record.calc.ranks import NOT_PRICED, NOT_TOLD
from track_record.models import AccountStatistics
from track_record.services import refresh_statistics
from track_record.tasks import refresh_statistics_task

HOUR = timedelta(hours=1)
TOLD = (
    "total_return",
    "return_1m",
    "maximum_drawdown",
    "volatility",
    "months",
    "sparkline",
    "daily",
    "sequence",
)


def _account(world: AliceBobCharlie) -> PammAccount:
    account: PammAccount = PammAccount.objects.get(pk=world.pool.account.pk)
    return account


def _statistics(account: PammAccount) -> AccountStatistics:
    row: AccountStatistics = AccountStatistics.objects.get(account=account)
    return row


def test_statistics_refreshed_twice_equal_statistics_from_scratch(world: AliceBobCharlie) -> None:
    account = _account(world)
    price_points(account, rising(30), start=JOINED + HOUR, every=HOUR)
    refresh_statistics([account])
    price_points(account, ["0.95", "1.10", "1.04"], start=JOINED + 31 * HOUR, every=24 * HOUR, after=31)
    refresh_statistics([account])
    grown = _statistics(account)
    AccountStatistics.objects.all().delete()
    refresh_statistics([account])
    fresh = _statistics(account)
    assert [getattr(grown, name) for name in TOLD] == [getattr(fresh, name) for name in TOLD]
    assert grown.total_return == Decimal("0.04")
    # 1.030 was the highest before 0.95.
    assert grown.maximum_drawdown == Decimal("-0.077669903")


def test_refresh_without_new_prices_reads_no_old_ones(world: AliceBobCharlie) -> None:
    account = _account(world)
    price_points(account, rising(50), start=JOINED + HOUR, every=HOUR)
    refresh_statistics([account])
    with CaptureQueriesContext(
        connection,
    ) as queries:
        refresh_statistics([account])
    series = [query["sql"] for query in queries if "allocation_pricepoint" in query["sql"]]
    assert all('"sequence" > 51' in sql for sql in series)
    assert len(series) == 1


def test_new_series_starts_a_new_record(world: AliceBobCharlie) -> None:
    account = _account(world)
    price_points(account, ["1.5", "0"], start=JOINED + HOUR, every=HOUR)
    refresh_statistics([account])
    assert _statistics(account).total_return == -1
    price_points(account, ["1", "1.2"], start=JOINED + 9 * HOUR, every=HOUR, series=2, after=3)
    refresh_statistics([account])
    row = _statistics(account)
    assert (row.series, row.total_return, row.maximum_drawdown) == (2, Decimal("0.2"), 0)


def test_own_capital_is_not_an_investor(world: AliceBobCharlie) -> None:
    account = _account(world)
    Investment.objects.create(
        account=account, owner=world.alice, personal_account=account.income_account, is_own_capital=True,
        series=1, state=Investment.State.ACTIVE, units=Decimal(250),
    )  # fmt: skip
    price_points(account, ["1.2"], start=JOINED + HOUR, every=HOUR)
    refresh_statistics([account])
    row = _statistics(account)
    assert (row.investors, row.own_capital) == (1, Decimal("300.00"))


def test_ranks_are_the_figures_as_whole_numbers(world: AliceBobCharlie) -> None:
    account = _account(world)
    prices = ["1.1", "0.99", "1.2", "1.05"]
    price_points(account, prices, start=JOINED + HOUR, every=timedelta(days=33))
    refresh_statistics([account])
    row = _statistics(account)
    for name, rank in (
        ("headline_return", row.rank_return),
        ("return_3m", row.rank_return_3m),
        ("return_1m", row.rank_return_1m),
        ("total_return", row.rank_total),
        ("maximum_drawdown", row.rank_drawdown),
    ):
        figure = getattr(row, name)
        assert Decimal(rank).scaleb(-9) == figure, name
    assert row.rank_money == 105000
    assert row.money == Decimal("1050.00")
    assert row.rank_investors == row.investors == 1
    assert row.rank_age == -int(row.first_priced_at.timestamp())


def test_figure_that_is_not_told_ranks_below_all_that_are(world: AliceBobCharlie) -> None:
    account = _account(world)
    price_points(account, ["0.001"], start=JOINED + HOUR, every=HOUR)
    refresh_statistics([account])
    row = _statistics(account)
    assert row.return_3m is None
    assert row.missing["return_3m"] == "shorter"
    assert row.rank_return_3m < row.rank_total
    assert row.rank_return_3m == NOT_TOLD > NOT_PRICED


def test_task_refreshes_every_broker_in_its_own_scope(world: AliceBobCharlie) -> None:
    from brokers.scope import broker_scope

    refresh_statistics_task()
    assert AccountStatistics.objects.count() == 1
    with broker_scope(world.beta.pk):
        assert [row.account_id for row in AccountStatistics.objects.all()] == [world.charlie_pool.account.pk]
