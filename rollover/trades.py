"""What whoever sees an account may read of its trading: pages, files and endpoints ask here, nowhere else.

A trade is a counted deal that closed something; positions are as the last rollover left them. Nothing is
asked of the trading server.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from django.db.models import Count, Min, Q, QuerySet, Sum
from django.utils import timezone

from accounts.models import OpenPositions, PammAccount
from money.exact import ZERO
from money.rounding import half_even
from rollover.models import CountedDeal
from trading.gateway import CANCELED_ACTIONS, TRADE_ACTIONS, DealAction, Side

SHARE_PLACES = 6
_BOUGHT = frozenset({DealAction.SELL, DealAction.SELL_CANCELED})
"""Deals that close what was bought."""


@dataclass(frozen=True, slots=True)
class Trade:
    """One closing of a position, or of part of one.

    `result` is profit, swap, commission and fee of the closing, in the account's currency; `share` the same
    as a fraction of the pool at the rollover that counted it. A cancelled one takes back an earlier one, with
    lots below 0.
    """

    closed_at: datetime
    symbol: str
    side: Side
    lots: Decimal
    price: Decimal
    result: Decimal
    share: Decimal | None
    is_cancelled: bool

    @property
    def is_long(self) -> bool:
        return self.side is Side.BUY


@dataclass(frozen=True, slots=True)
class SeenPosition:
    """A position that was open; `result` is its floating profit and swap, `share` that of the pool."""

    symbol: str
    side: Side
    lots: Decimal
    opened_at: datetime
    price_open: Decimal
    price: Decimal
    result: Decimal
    share: Decimal | None

    @property
    def is_long(self) -> bool:
        return self.side is Side.BUY


@dataclass(frozen=True, slots=True)
class SeenOpen:
    """All that was open at one instant, by symbol and time."""

    at: datetime
    positions: tuple[SeenPosition, ...]


@dataclass(frozen=True, slots=True)
class TradeTotals:
    """Of many trades. `won` of them ended above 0; `since` is when the first one was closed."""

    count: int
    won: int
    lots: Decimal
    result: Decimal
    since: datetime | None

    @property
    def won_share(self) -> Decimal | None:
        return half_even(Fraction(self.won, self.count), SHARE_PLACES) if self.count else None


def shown_trades(account: PammAccount) -> QuerySet[CountedDeal]:
    """Those that may be seen now of those that rollovers have counted; none of a hidden account."""
    return _shown(account, account.disclosure, account.disclosure_delay)


def trades_to_be_shown(account: PammAccount, disclosure: str, delay: timedelta) -> TradeTotals:
    """What of the past would be seen at once under another setting."""
    return totals_of(_shown(account, disclosure, delay))


def totals_of(trades: QuerySet[CountedDeal]) -> TradeTotals:
    """One statement."""
    sums = trades.order_by().aggregate(
        count=Count("pk"),
        won=Count("pk", filter=Q(amount__gt=0)),
        lots=Sum("closed_lots"),
        result=Sum("amount"),
        since=Min("executed_at"),
    )
    return TradeTotals(
        sums["count"], sums["won"], sums["lots"] or ZERO, sums["result"] or ZERO, sums["since"]
    )


def symbols_of(trades: QuerySet[CountedDeal]) -> list[str]:
    """What was traded in them, in order."""
    return list(trades.order_by("symbol").values_list("symbol", flat=True).distinct())


def trade_of(deal: CountedDeal) -> Trade:
    """No query where the deal came with its price point."""
    return Trade(
        closed_at=deal.executed_at,
        symbol=deal.symbol,
        side=Side.BUY if deal.action in _BOUGHT else Side.SELL,
        lots=deal.closed_lots,
        price=deal.price,
        result=deal.amount,
        share=_share(deal.amount, deal.price_point.equity),
        is_cancelled=deal.action in CANCELED_ACTIONS,
    )


def shown_positions(account: PammAccount) -> SeenOpen | None:
    """What the last rollover left open, of an account that shows it; None where no rollover has looked yet.
    One statement, none for accounts that do not.
    """
    if not account.shows_positions:
        return None
    row = OpenPositions.objects.filter(account=account).first()
    if row is None:
        return None
    positions = [_position(told, row.equity) for told in row.positions]
    return SeenOpen(row.seen_at, tuple(sorted(positions, key=lambda seen: (seen.symbol, seen.opened_at))))


def _shown(account: PammAccount, disclosure: str, delay: timedelta) -> QuerySet[CountedDeal]:
    """Without a bound where all are shown: the server's clock may be ahead of ours."""
    if disclosure == PammAccount.Disclosure.OPEN:
        return _closings(account)
    if disclosure == PammAccount.Disclosure.DELAYED:
        return _closings(account).filter(executed_at__lte=timezone.now() - delay)
    return CountedDeal.objects.none()


def _closings(account: PammAccount) -> QuerySet[CountedDeal]:
    return (
        CountedDeal.objects.filter(
            account=account, part=CountedDeal.Part.RESULT, action__in=sorted(TRADE_ACTIONS)
        )
        .exclude(closed_lots=0)
        .select_related("price_point")
    )


def _position(told: Mapping[str, Any], equity: Decimal) -> SeenPosition:
    result = Decimal(told["result"])
    return SeenPosition(
        symbol=told["symbol"],
        side=Side(told["side"]),
        lots=Decimal(told["lots"]),
        opened_at=datetime.fromisoformat(told["opened_at"]),
        price_open=Decimal(told["price_open"]),
        price=Decimal(told["price"]),
        result=result,
        share=_share(result, equity),
    )


def _share(amount: Decimal, equity: Decimal) -> Decimal | None:
    return half_even(Fraction(amount) / Fraction(equity), SHARE_PLACES) if equity > 0 else None
