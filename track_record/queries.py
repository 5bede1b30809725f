"""Reads of track records: the leaderboard, the price series behind a chart, an account's statistics."""

import base64
import binascii
import json
import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from django.db.models import BigIntegerField, F, Max, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Cast, Extract, Floor, Greatest
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import PammAccount, User
from accounts.queries import get_pamm_account_for
from allocation.calc.price import Price
from allocation.models import Investment
from allocation.models import PricePoint as PriceRow
from brokers.errors import NotFound, Refusal
from brokers.fields import AmountField
from offers.models import Offer, Terms
from offers.queries import (
    current_terms,
    offers_open_to,
    offers_seen_by,
    resolve_join_link,
    with_current_terms,
)
from track_record.calc.drawdown import Drawdown, drawdown
from track_record.calc.ranks import NOT_PRICED, NOT_TOLD, rank_of, rank_of_age
from track_record.calc.record import months_before
from track_record.calc.statistics import PricePoint
from track_record.models import AccountStatistics

PAGE_SIZE = 24
CHART_POINTS = 400
#: What no list of accounts reads.
LONG_COLUMNS = ("daily", "months", "distribution")
#: A minimum is ranked by its 8 places, as an amount is kept.
_AMOUNT_PLACES = 8


class Sort(StrEnum):
    """Orders of the leaderboard, each the best first."""

    RETURN = "return"
    RETURN_3M = "return-3m"
    RETURN_1M = "return-1m"
    TOTAL_RETURN = "total"
    DRAWDOWN = "drawdown"
    INVESTORS = "investors"
    MONEY = "money"
    AGE = "age"
    MINIMUM = "minimum"


@dataclass(frozen=True, slots=True)
class Filters:
    """What the reader narrows the leaderboard to. Rates are fractions; `maximum_drawdown` is positive: 0.20
    allows 20 %.
    """

    search: str = ""
    currency: str = ""
    minimum_return: Decimal | None = None
    maximum_drawdown: Decimal | None = None
    affordable_with: Decimal | None = None
    minimum_months: int | None = None


@dataclass(frozen=True, slots=True)
class LeaderboardRow:
    """One offer. `statistics` is None before the account's first price."""

    offer: Offer
    account: PammAccount
    terms: Terms
    statistics: AccountStatistics | None

    @property
    def headline_return(self) -> Decimal | None:
        """Return of 12 months; of the whole record where that is shorter."""
        return self.statistics.headline_return if self.statistics is not None else None

    @property
    def has_full_year(self) -> bool:
        return self.statistics is not None and self.statistics.return_12m is not None


@dataclass(frozen=True, slots=True)
class LeaderboardPage:
    """`next_cursor` opens the next page; None on the last."""

    rows: Sequence[LeaderboardRow]
    next_cursor: str | None


def leaderboard(
    user: User | None, filters: Filters | None = None, sort: Sort = Sort.RETURN, cursor: str | None = None
) -> LeaderboardPage:
    """Offers open to `user`, the best first by `sort`; the same number of queries whatever their number.

    Accounts without a price come last. Pages go on from the last row seen, so rows that move meanwhile are
    not shown twice. A cursor that is none begins at the first page.
    """
    position = _position(cursor)
    found: list[Any] = []
    for offers in _ranked(_filtered(offers_open_to(user), filters or Filters()), sort):
        if len(found) <= PAGE_SIZE:
            found += _after(offers, position)[: PAGE_SIZE + 1 - len(found)]
    shown = found[:PAGE_SIZE]
    return LeaderboardPage(
        rows=[_row(offer) for offer in shown],
        next_cursor=_cursor(shown[-1]) if len(found) > PAGE_SIZE else None,
    )


def _after(offers: Any, position: tuple[int, int] | None) -> QuerySet[Offer]:
    """Those that come after a position, in order, with all that a row shows."""
    if position is not None:
        rank, last_pk = position
        # The first condition is what an index can be entered by.
        offers = offers.filter(rank__lte=rank).filter(Q(rank__lt=rank) | Q(pk__lt=last_pk))
    return (
        with_current_terms(offers.order_by("-rank", "-pk"))
        .select_related("account__manager", "account__statistics")
        .defer(*(f"account__statistics__{name}" for name in LONG_COLUMNS))
    )


def offers_to_compare(user: User | None, public_ids: Sequence[uuid.UUID]) -> list[LeaderboardRow]:
    """Those of the offers that this person may see, in the given order; each once."""
    found = {
        offer.public_id: offer
        for offer in with_current_terms(offers_seen_by(user).filter(public_id__in=public_ids)).select_related(
            "account__statistics"
        )
    }
    return [_row(found[public_id]) for public_id in dict.fromkeys(public_ids) if public_id in found]


def currencies_offered(user: User | None) -> list[str]:
    """Currencies of the offers open to `user`, in order."""
    return sorted(offers_open_to(user).values_list("account__currency", flat=True).distinct())


def statistics_of(account: PammAccount) -> AccountStatistics | None:
    """The account's statistics; None before its first price."""
    return AccountStatistics.objects.filter(account=account).first()


@dataclass(frozen=True, slots=True)
class SeriesPoint:
    """A price at one rollover and how far it lies below the highest before it (a fraction, 0 or negative)."""

    at: datetime
    price: Decimal
    drawdown: Decimal


def price_series(
    account: PammAccount, since: datetime | None = None, max_points: int = CHART_POINTS
) -> list[SeriesPoint]:
    """Prices of the account's present series from `since` on, oldest first: the last of each of `max_points`
    equal stretches of time (whole seconds, from the first price on if that is later), so the latest is always
    among them and no two are of the same second.
    """
    rows = PriceRow.objects.filter(account=account, series=account.series)
    first = rows.order_by("sequence").values_list("priced_at", flat=True).first()
    if account.last_priced_at is None or first is None:
        return []
    begins = first if since is None else max(since, first)
    seconds = max((account.last_priced_at - begins) / timedelta(seconds=1), 1.0)
    stretch = math.ceil(seconds / max_points)
    highest = rows.filter(priced_at__lt=begins).aggregate(highest=Max("price"))["highest"] or Decimal(0)
    stretches = (
        rows.filter(priced_at__gte=begins)
        .annotate(stretch=Cast(Floor(Extract("priced_at", "epoch")), BigIntegerField()) / Value(stretch))
        .values("stretch")
        .annotate(last=Max("sequence"), highest=Max("price"))
    )
    highest_until = {found["last"]: found["highest"] for found in stretches}
    shown = rows.filter(sequence__in=list(highest_until)).order_by("sequence")
    points = []
    for sequence, at, price in shown.values_list("sequence", "priced_at", "price"):
        # The highest of a stretch need not be its last, which alone is shown.
        highest = max(highest, highest_until[sequence])
        points.append(SeriesPoint(at, price, _below(price, highest)))
    return points


def start_price(account: PammAccount, since: datetime | None) -> Decimal | None:
    """The price that the return of a range counts from: the one that the kept statistics take, so that chart
    and figures agree. None before the account's first price.
    """
    statistics = statistics_of(account)
    if statistics is None or statistics.series != account.series or not statistics.daily:
        return None
    daily = daily_points(statistics)
    before = [point for point in daily if since is not None and point.at <= since]
    return (before[-1] if before else daily[0]).price.rounded()


def daily_points(statistics: AccountStatistics) -> list[PricePoint]:
    """The kept daily prices, oldest first."""
    return [
        PricePoint(datetime.fromisoformat(at), Price(Decimal(equity), Decimal(units)))
        for at, equity, units in statistics.daily
    ]


def deepest_drawdown(statistics: AccountStatistics) -> Drawdown | None:
    """The deepest fall with its dates; None before the first."""
    began_at, lowest_at = statistics.drawdown_began_at, statistics.drawdown_lowest_at
    if statistics.maximum_drawdown is None or began_at is None or lowest_at is None:
        return None
    return Drawdown(statistics.maximum_drawdown, began_at, lowest_at, statistics.drawdown_recovered_at)


class ChartRange(StrEnum):
    """How far back a chart goes."""

    WEEK = "1w"
    MONTH = "1m"
    QUARTER = "3m"
    YEAR = "1y"
    ALL = "all"

    @classmethod
    def with_labels(cls) -> list[tuple[str, str]]:
        """Values and what stands on their buttons."""
        labels = {
            cls.WEEK: _("1W"),
            cls.MONTH: _("1M"),
            cls.QUARTER: _("3M"),
            cls.YEAR: _("1Y"),
            cls.ALL: _("All"),
        }
        return [(choice.value, label) for choice, label in labels.items()]

    def since(self, latest: datetime) -> datetime | None:
        """Where the range begins that ends with `latest`; None for everything."""
        match self:
            case ChartRange.WEEK:
                return latest - timedelta(days=7)
            case ChartRange.MONTH:
                return months_before(latest, 1)
            case ChartRange.QUARTER:
                return months_before(latest, 3)
            case ChartRange.YEAR:
                return months_before(latest, 12)
            case _:
                return None


def get_account_for(user: User | None, public_id: uuid.UUID, link_token: str | None = None) -> PammAccount:
    """The account whose track record this person may read. Raises `NotFound` for everybody else.

    Everybody, where one of its offers is listed; whoever has a valid link to one; who has or had money in it;
    its manager and the broker's staff.
    """
    account: PammAccount | None = PammAccount.objects.filter(public_id=public_id).first()
    if account is None:
        raise NotFound
    if _is_listed(account) or (link_token and _link_opens(link_token, account)):
        return account
    if user is None:
        raise NotFound
    if Investment.objects.filter(account=account, owner=user).exists():
        return account
    return get_pamm_account_for(user, public_id)


def _is_listed(account: PammAccount) -> bool:
    shown = Offer.objects.filter(
        account=account,
        visibility=Offer.Visibility.PUBLIC,
        state__in=[Offer.State.OPEN, Offer.State.PAUSED],
        account__state__in=[PammAccount.State.ACTIVE, PammAccount.State.SUSPENDED],
    )
    return shown.exists()


def _link_opens(token: str, account: PammAccount) -> bool:
    try:
        opens: bool = resolve_join_link(token).offer.account_id == account.pk
    except Refusal:
        return False
    return opens


def _filtered(offers: QuerySet[Offer], filters: Filters) -> QuerySet[Offer]:
    if filters.search:
        offers = offers.filter(
            Q(name__icontains=filters.search)
            | Q(account__name__icontains=filters.search)
            | Q(account__manager__display_name__icontains=filters.search)
        )
    if filters.currency:
        offers = offers.filter(account__currency=filters.currency)
    if filters.minimum_return is not None:
        offers = offers.filter(account__statistics__rank_return__gte=rank_of(filters.minimum_return))
    if filters.maximum_drawdown is not None:
        deepest = rank_of(-filters.maximum_drawdown)
        offers = offers.filter(account__statistics__rank_drawdown__gte=deepest)
    if filters.minimum_months is not None:
        since = months_before(timezone.now(), filters.minimum_months)
        offers = offers.filter(account__statistics__rank_age__gte=rank_of_age(since))
    if filters.affordable_with is not None:
        offers = offers.annotate(minimum=_minimum_first()).filter(minimum__lte=filters.affordable_with)
    return offers


def _ranked(offers: QuerySet[Offer], sort: Sort) -> list[QuerySet[Offer]]:
    """The offers with `rank`, the larger the better: all in one, or those with a price and then those
    without. So an index leads to the best of the former.
    """
    if sort is Sort.MINIMUM:
        lowest_first = Cast(-_minimum_first() * 10**_AMOUNT_PLACES, BigIntegerField())
        return [offers.annotate(rank=Greatest(lowest_first, Value(NOT_TOLD)))]
    return [
        offers.filter(account__statistics__isnull=False).annotate(
            rank=F(f"account__statistics__{RANKS_OF_SORTS[sort]}")
        ),
        offers.filter(account__statistics__isnull=True).annotate(
            rank=Value(NOT_PRICED, output_field=BigIntegerField())
        ),
    ]


RANKS_OF_SORTS = {
    Sort.RETURN: "rank_return",
    Sort.RETURN_3M: "rank_return_3m",
    Sort.RETURN_1M: "rank_return_1m",
    Sort.TOTAL_RETURN: "rank_total",
    Sort.DRAWDOWN: "rank_drawdown",
    Sort.INVESTORS: "rank_investors",
    Sort.MONEY: "rank_money",
    Sort.AGE: "rank_age",
}


def _minimum_first() -> Any:
    newest = Terms.objects.filter(offer=OuterRef("pk")).order_by("-version")
    return Subquery(newest.values("minimum_first")[:1], output_field=AmountField())


def _row(offer: Offer) -> LeaderboardRow:
    account = offer.account
    return LeaderboardRow(
        offer=offer,
        account=account,
        terms=current_terms(offer),
        statistics=getattr(account, "statistics", None),
    )


def _cursor(offer: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps([offer.rank, offer.pk]).encode()).decode().rstrip("=")


def _position(cursor: str | None) -> tuple[int, int] | None:
    if not cursor:
        return None
    try:
        rank, pk = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        position = int(rank), int(pk)
    except (ValueError, TypeError, OverflowError, binascii.Error):
        return None
    return position if abs(position[0]) <= -NOT_PRICED and 0 <= position[1] < 2**63 else None


def _below(price: Decimal, highest: Decimal) -> Decimal:
    return drawdown(Price(price, Decimal(1)), Price(highest, Decimal(1)))
