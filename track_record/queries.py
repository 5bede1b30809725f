"""Reads of track records: the leaderboard, the price series behind a chart, an account's statistics."""

import base64
import binascii
import json
import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from django.db.models import BigIntegerField, DecimalField, F, Max, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Cast, Coalesce, Extract, Floor
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import PammAccount, User
from accounts.queries import get_pamm_account_for
from allocation.calc.price import Price
from allocation.models import Investment
from allocation.models import PricePoint as PriceRow
from brokers.errors import NotFound, Refusal
from offers.models import Offer, Terms
from offers.queries import current_terms, offers_open_to, resolve_join_link, with_current_terms
from track_record.calc.record import drawdown, months_before
from track_record.models import AccountStatistics

PAGE_SIZE = 24
CHART_POINTS = 400
_LOWEST = Decimal("-1000000000")
_NUMBER: DecimalField[Any, Any] = DecimalField(max_digits=30, decimal_places=9)


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

    Pages go on from the last row seen, so rows that move meanwhile are not shown twice. A cursor that is none
    begins at the first page.
    """
    offers = _ranked(_filtered(offers_open_to(user), filters or Filters()), sort)
    position = _position(cursor)
    if position is not None:
        rank, last_pk = position
        offers = offers.filter(Q(rank__lt=rank) | Q(rank=rank, pk__lt=last_pk))
    found: list[Any] = list(
        with_current_terms(offers.order_by("-rank", "-pk"))
        .select_related("account__manager", "account__statistics")
        .defer("account__statistics__daily", "account__statistics__months")[: PAGE_SIZE + 1]
    )
    shown = found[:PAGE_SIZE]
    return LeaderboardPage(
        rows=[_row(offer) for offer in shown],
        next_cursor=_cursor(shown[-1]) if len(found) > PAGE_SIZE else None,
    )


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
    last_of_stretches = (
        rows.filter(priced_at__gte=begins)
        .annotate(stretch=Cast(Floor(Extract("priced_at", "epoch")), BigIntegerField()) / Value(stretch))
        .values("stretch")
        .annotate(last=Max("sequence"))
        .values("last")
    )
    thinned = rows.filter(sequence__in=last_of_stretches).order_by("sequence")
    return _with_drawdown(list(thinned.values_list("priced_at", "price")), highest)


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
        offers = offers.annotate(
            headline=Coalesce("account__statistics__return_12m", "account__statistics__total_return")
        ).filter(headline__gte=filters.minimum_return)
    if filters.maximum_drawdown is not None:
        offers = offers.filter(account__statistics__maximum_drawdown__gte=-filters.maximum_drawdown)
    if filters.affordable_with is not None:
        offers = offers.annotate(minimum=_minimum_first()).filter(minimum__lte=filters.affordable_with)
    return offers


def _ranked(offers: QuerySet[Offer], sort: Sort) -> Any:
    """The offers with `rank`, the larger the better; lowest where there is nothing to rank by."""
    statistics = "account__statistics__"
    expression: Any = {
        Sort.RETURN: Coalesce(F(f"{statistics}return_12m"), F(f"{statistics}total_return")),
        Sort.RETURN_3M: F(f"{statistics}return_3m"),
        Sort.RETURN_1M: F(f"{statistics}return_1m"),
        Sort.TOTAL_RETURN: F(f"{statistics}total_return"),
        Sort.DRAWDOWN: F(f"{statistics}maximum_drawdown"),
        Sort.INVESTORS: F(f"{statistics}investors"),
        Sort.MONEY: F("account__last_equity"),
        Sort.AGE: -Extract(f"{statistics}first_priced_at", "epoch"),
        Sort.MINIMUM: -_minimum_first(),
    }[sort]
    rank = Cast(Coalesce(Cast(expression, _NUMBER), Value(_LOWEST), output_field=_NUMBER), _NUMBER)
    return offers.annotate(rank=rank)


def _minimum_first() -> Any:
    newest = Terms.objects.filter(offer=OuterRef("pk")).order_by("-version")
    return Subquery(newest.values("minimum_first")[:1], output_field=_NUMBER)


def _row(offer: Offer) -> LeaderboardRow:
    account = offer.account
    return LeaderboardRow(
        offer=offer,
        account=account,
        terms=current_terms(offer),
        statistics=getattr(account, "statistics", None),
    )


def _cursor(offer: Any) -> str:
    return (
        base64.urlsafe_b64encode(json.dumps([format(offer.rank, "f"), offer.pk]).encode())
        .decode()
        .rstrip("=")
    )


def _position(cursor: str | None) -> tuple[Decimal, int] | None:
    if not cursor:
        return None
    try:
        rank, pk = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        position = Decimal(str(rank)), int(pk)
    except (ValueError, TypeError, binascii.Error, InvalidOperation):
        return None
    return (
        position
        if position[0].is_finite() and abs(position[0]) < 10**20 and 0 <= position[1] < 2**63
        else None
    )


def _with_drawdown(rows: Sequence[tuple[datetime, Decimal]], highest: Decimal) -> list[SeriesPoint]:
    points = []
    for at, price in rows:
        highest = max(highest, price)
        below = drawdown(Price(price, Decimal(1)), Price(highest, Decimal(1)))
        points.append(SeriesPoint(at, price, below))
    return points


def age_in_days(statistics: AccountStatistics) -> int:
    """Whole days since the first price of the present series."""
    return max((timezone.now() - statistics.first_priced_at).days, 0)
