"""What an account trades, for whoever sees its offer or has money in it: as much as its manager shows.

Nothing of it is kept by any cache: what is hidden now is gone from the next look on.
"""

import uuid
from dataclasses import dataclass
from datetime import UTC
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.disclosure_words import disclosure_in_words
from accounts.models import PammAccount, User
from accounts.web.paging import page_by_time
from brokers.web.csv_files import csv_answer
from investing.queries import get_investment_for
from offers.queries import get_offer_for
from rollover.models import CountedDeal
from rollover.trades import shown_positions, shown_trades, symbols_of, totals_of, trade_of
from rollover.web.filters import TradesFilter
from rollover.web.latest_trades import places, with_places

PAGE_SIZE = 30
COLUMNS = (
    "closed_at", "symbol", "side", "lots", "price", "result", "currency", "share_of_pool", "cancelled",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Door:
    """By which way somebody came to an account: where it leads back to, and where its file is."""

    account: PammAccount
    back_url: str
    csv_url: str
    token: str = ""


@never_cache
@require_safe
def offer_trades(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Trades of an offer's account; with `?link=` for offers by link, as the offer's own page."""
    return _page(request, _by_offer(request, public_id))


@never_cache
@require_safe
def offer_trades_csv(request: HttpRequest, public_id: uuid.UUID) -> StreamingHttpResponse:
    """The same as a file, oldest first."""
    return _file(request, _by_offer(request, public_id))


@never_cache
@login_required
@require_safe
def investment_trades(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Trades of the account that one has money in, or had."""
    return _page(request, _by_investment(request, public_id))


@never_cache
@login_required
@require_safe
def investment_trades_csv(request: HttpRequest, public_id: uuid.UUID) -> StreamingHttpResponse:
    """The same as a file, oldest first."""
    return _file(request, _by_investment(request, public_id))


def _by_offer(request: HttpRequest, public_id: uuid.UUID) -> _Door:
    token = request.GET.get("link", "")
    user = request.user if isinstance(request.user, User) else None
    offer = get_offer_for(user, public_id, token or None)
    back = reverse("offers:by-link", args=[token]) if token else reverse("offers:offer", args=[public_id])
    return _Door(offer.account, back, reverse("trades:offer-csv", args=[public_id]), token)


def _by_investment(request: HttpRequest, public_id: uuid.UUID) -> _Door:
    assert isinstance(request.user, User)
    investment = get_investment_for(request.user, public_id)
    back = reverse("allocation:investment", args=[public_id])
    return _Door(investment.account, back, reverse("trades:investment-csv", args=[public_id]))


def _page(request: HttpRequest, door: _Door) -> HttpResponse:
    account = door.account
    context: dict[str, Any] = {
        "account": account,
        "back_url": door.back_url,
        "token": door.token,
        "words": disclosure_in_words(account.disclosure, account.disclosure_delay),
        "is_hidden": account.disclosure == PammAccount.Disclosure.HIDDEN,
    }
    if not context["is_hidden"]:
        trades = shown_trades(account)
        form = TradesFilter(request.GET or None, symbols=symbols_of(trades))
        found = trades.filter(form.condition())
        page = page_by_time(request, found, PAGE_SIZE, "executed_at")
        closed = [trade_of(deal) for deal in page.rows]
        seen = shown_positions(account)
        held = seen.positions if seen else ()
        asked = {name: request.GET[name] for name in ("link", *form.fields) if request.GET.get(name)}
        context |= {
            "form": form,
            "page": page,
            "trades": with_places([(trade, (trade.price,)) for trade in closed]),
            "lot_places": places(trade.lots for trade in closed),
            "totals": totals_of(found),
            "open": seen,
            "positions": with_places([(row, (row.price_open, row.price)) for row in held]),
            "position_lot_places": places(row.lots for row in held),
            "csv_url": f"{door.csv_url}?{urlencode(asked)}" if asked else door.csv_url,
            "clear_url": f"{request.path}?{urlencode({'link': door.token})}" if door.token else request.path,
        }
    return render(request, "rollover/trades.html", context)


def _file(request: HttpRequest, door: _Door) -> StreamingHttpResponse:
    trades = shown_trades(door.account)
    form = TradesFilter(request.GET or None, symbols=symbols_of(trades))
    return csv_answer(
        "trades.csv", COLUMNS, trades.filter(form.condition()).select_related("account"), _columns
    )


def _columns(deal: CountedDeal) -> tuple[str, ...]:
    trade = trade_of(deal)
    return (
        trade.closed_at.astimezone(UTC).isoformat(timespec="seconds"),
        trade.symbol,
        trade.side.value,
        format(trade.lots.normalize(), "f"),
        format(trade.price.normalize(), "f"),
        format(trade.result, f".{deal.currency_digits}f"),
        deal.account.currency,
        "" if trade.share is None else format(trade.share, "f"),
        "yes" if trade.is_cancelled else "no",
    )
