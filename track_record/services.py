"""Keeping the statistics of accounts up to date."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction
from django.db.models import Count, Q, Sum

from accounts.models import PammAccount
from allocation.calc.price import Price
from allocation.calc.units import value as value_of_units
from allocation.models import Investment
from allocation.models import PricePoint as PriceRow
from brokers.queries import broker_in_scope
from track_record.calc.drawdown import Peak
from track_record.calc.ranks import rank_of, rank_of_age
from track_record.calc.record import Record, extended, summary
from track_record.calc.statistics import PricePoint
from track_record.models import AccountStatistics
from track_record.queries import daily_points, deepest_drawdown

POINTS_AT_ONCE = 2000


def refresh_statistics(accounts: Iterable[PammAccount], as_of: datetime | None = None) -> int:
    """Bring the statistics of `accounts` up to their last price at or before `as_of` (default: the latest).

    Reads only prices that came since the last refresh; a new series of units starts a new record. Returns how
    many accounts have statistics afterwards: one that was never priced has none.
    """
    chosen = list(accounts)
    zone = ZoneInfo(broker_in_scope().time_zone)
    known = {row.account_id: row for row in AccountStatistics.objects.filter(account__in=chosen)}
    people = _people_in(chosen)
    refreshed = 0
    for account in chosen:
        row = _refreshed(account, known.get(account.pk), zone, as_of)
        if row is None:
            continue
        row.investors, own_units = people.get(account.pk, (0, Decimal(0)))
        row.own_capital = _worth(own_units, account)
        row.money = account.last_equity
        _rank(row, account.currency_digits)
        _save(row)
        refreshed += 1
    return refreshed


def _save(row: AccountStatistics) -> None:
    """Two workers may tell the same record at once: the later one wins, and a row that was first is left
    alone.
    """
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        if row.pk is not None:
            raise


def _refreshed(
    account: PammAccount, row: AccountStatistics | None, zone: tzinfo, as_of: datetime | None
) -> AccountStatistics | None:
    if row is not None and row.series != account.series:
        row = _restarted(row, account)
    record = _record_of(row) if row is not None and row.daily else None
    points = _points_after(account, row.sequence if row is not None else 0, as_of)
    first = next(points, None)
    if first is None and record is None:
        return None
    seen = _Seen(row.sequence if row is not None else 0)
    record = extended(record, seen.points(first, points), zone)
    row = row or AccountStatistics(account=account, series=account.series)
    _write(row, record, zone, seen.sequence)
    return row


class _Seen:
    """Passes points on and remembers the number of the last one."""

    def __init__(self, sequence: int) -> None:
        self.sequence = sequence

    def points(
        self, first: tuple[int, PricePoint] | None, rest: Iterator[tuple[int, PricePoint]]
    ) -> Iterator[PricePoint]:
        if first is not None:
            self.sequence = first[0]
            yield first[1]
        for self.sequence, point in rest:
            yield point


def _points_after(
    account: PammAccount, sequence: int, as_of: datetime | None
) -> Iterator[tuple[int, PricePoint]]:
    rows = PriceRow.objects.filter(account=account, series=account.series, sequence__gt=sequence)
    if as_of is not None:
        rows = rows.filter(priced_at__lte=as_of)
    columns = rows.order_by("sequence").values_list("sequence", "priced_at", "price_equity", "price_units")
    for number, at, equity, units in columns.iterator(POINTS_AT_ONCE):
        yield number, PricePoint(at, Price(equity, units))


def _restarted(row: AccountStatistics, account: PammAccount) -> AccountStatistics:
    row.series, row.daily = account.series, []
    return row


def _record_of(row: AccountStatistics) -> Record:
    return Record(
        first_at=row.first_priced_at,
        daily=tuple(daily_points(row)),
        peak=Peak(row.peak_at, Price(row.peak_equity, row.peak_units)),
        deepest=deepest_drawdown(row),
    )


def _write(row: AccountStatistics, record: Record, zone: tzinfo, sequence: int) -> None:
    told = summary(record, zone)
    row.sequence = sequence
    row.first_priced_at, row.as_of = record.first_at, record.latest.at
    row.peak_at = record.peak.at
    row.peak_equity, row.peak_units = record.peak.price.equity, record.peak.price.units
    deepest = record.deepest
    row.drawdown_began_at = deepest.began_at if deepest else None
    row.drawdown_lowest_at = deepest.lowest_at if deepest else None
    row.drawdown_recovered_at = deepest.recovered_at if deepest else None
    for name in (
        "total_return",
        "return_1m",
        "return_3m",
        "return_12m",
        "maximum_drawdown",
        "current_drawdown",
        "volatility",
        "sharpe_ratio",
        "sortino_ratio",
        "calmar_ratio",
        "profit_factor",
        "winning_share",
    ):
        setattr(row, name, getattr(told, name))
    row.missing = {name: reason.value for name, reason in told.missing.items()}
    row.daily = [
        [point.at.isoformat(), format(point.price.equity, "f"), format(point.price.units, "f")]
        for point in record.daily
    ]
    row.months = [[month.year, month.month, format(month.rate, "f")] for month in told.months]
    row.distribution = [[_text(bar.low), _text(bar.high), bar.days] for bar in told.distribution.bars]
    row.unchanged_days = told.distribution.unchanged
    row.sparkline = [format(price, "f") for price in told.sparkline]


def _text(bound: Decimal | None) -> str | None:
    return None if bound is None else format(bound, "f")


def _rank(row: AccountStatistics, digits: int) -> None:
    row.rank_return = rank_of(row.headline_return)
    row.rank_return_3m, row.rank_return_1m = rank_of(row.return_3m), rank_of(row.return_1m)
    row.rank_total, row.rank_drawdown = rank_of(row.total_return), rank_of(row.maximum_drawdown)
    row.rank_investors, row.rank_money = row.investors, rank_of(row.money, digits)
    row.rank_age = rank_of_age(row.first_priced_at)


def _people_in(accounts: Sequence[PammAccount]) -> dict[int, tuple[int, Decimal]]:
    """Investors (people, the manager apart) and the units of the manager's own money, by account."""
    own = Q(is_own_capital=True)
    rows = (
        Investment.objects.filter(account__in=accounts, state=Investment.State.ACTIVE)
        .values("account")
        .annotate(people=Count("owner", filter=~own, distinct=True), own_units=Sum("units", filter=own))
    )
    return {row["account"]: (row["people"], row["own_units"] or Decimal(0)) for row in rows}


def _worth(units: Decimal, account: PammAccount) -> Decimal:
    price = Price(account.last_price_equity, account.last_price_units)
    return value_of_units(units, price, account.currency_digits)
