"""The last trades of an account as a part of another page, and how figures of trades are written."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from accounts.disclosure_words import disclosure_in_words
from accounts.models import PammAccount
from rollover.trades import Trade, shown_trades, trade_of

ROWS = 5
LEAST_PLACES = 2


@dataclass(frozen=True, slots=True)
class LatestTrades:
    """What `rollover/latest_trades.html` shows."""

    words: str
    is_hidden: bool
    trades: Sequence[tuple[Trade, int]]
    lot_places: int


def latest_trades(account: PammAccount) -> LatestTrades:
    """One statement; none for an account that shows nothing."""
    is_hidden = account.disclosure == PammAccount.Disclosure.HIDDEN
    rows = [] if is_hidden else shown_trades(account).order_by("-executed_at", "-pk")[:ROWS]
    trades = [trade_of(deal) for deal in rows]
    return LatestTrades(
        words=disclosure_in_words(account.disclosure, account.disclosure_delay),
        is_hidden=is_hidden,
        trades=with_places([(trade, (trade.price,)) for trade in trades]),
        lot_places=places(trade.lots for trade in trades),
    )


def with_places(rows: Sequence[tuple[Any, Sequence[Decimal]]]) -> list[tuple[Any, int]]:
    """Each row of a symbol with the decimals its prices need, so that those of one symbol stand alike."""
    by_symbol: dict[str, list[Decimal]] = {}
    for row, prices in rows:
        by_symbol.setdefault(row.symbol, []).extend(prices)
    return [(row, places(by_symbol[row.symbol])) for row, _ in rows]


def places(numbers: Iterable[Decimal]) -> int:
    """Decimals that all of them can be written with."""
    return max((LEAST_PLACES, *(-int(number.normalize().as_tuple().exponent) for number in numbers)))
