"""What an account trades as the API tells it: to whoever may read its track record, as far as it is shown."""

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet
from django.utils.cache import add_never_cache_headers
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import PammAccount, User
from brokers.api.paging import LatestFirst
from rollover.models import CountedDeal
from rollover.trades import SeenPosition, Trade, shown_positions, shown_trades, trade_of
from track_record.queries import get_account_for


class TradeQuerySerializer(serializers.Serializer):  # type: ignore[type-arg]
    """Which trades: `from` is inclusive, `to` exclusive; without a zone they are UTC."""

    symbol = serializers.CharField(required=False, max_length=32)
    to = serializers.DateTimeField(required=False, default_timezone=UTC)

    COLUMNS = {"symbol": "symbol", "from": "executed_at__gte", "to": "executed_at__lt"}

    def get_fields(self) -> dict[str, Any]:
        """With `from`, which cannot be written as an attribute."""
        return super().get_fields() | {
            "from": serializers.DateTimeField(required=False, default_timezone=UTC)
        }

    def narrowed(self, trades: QuerySet[CountedDeal]) -> QuerySet[CountedDeal]:
        """Those that are asked for."""
        return trades.filter(**{self.COLUMNS[name]: asked for name, asked in self.validated_data.items()})


class LatestClosedFirst(LatestFirst):
    """Pages by the time of closing."""

    ordering = ("-executed_at", "-id")

    def read_position(self, position: str) -> object:
        return datetime.fromisoformat(position)


class TradesView(APIView):
    """Closed trades of one PAMM account, the latest first: those that its disclosure shows now."""

    permission_classes = [AllowAny]
    renderer_classes = [JSONRenderer]

    def get(self, request: Request, public_id: uuid.UUID) -> Response:
        account = _account(request, public_id)
        query = TradeQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        pages = LatestClosedFirst()
        page = pages.paginate_queryset(query.narrowed(shown_trades(account)), request, view=self) or []
        response: Response = pages.get_paginated_response([_trade(trade_of(deal), account) for deal in page])
        response.data |= _setting(account)
        add_never_cache_headers(response)
        return response


class OpenPositionsView(APIView):
    """What the last rollover of one PAMM account left open; `seen_at` is null where it is not shown."""

    permission_classes = [AllowAny]
    renderer_classes = [JSONRenderer]

    def get(self, request: Request, public_id: uuid.UUID) -> Response:
        account = _account(request, public_id)
        seen = shown_positions(account)
        response = Response(
            {
                **_setting(account),
                "seen_at": seen.at if seen else None,
                "positions": [_position(row, account) for row in seen.positions] if seen else [],
            }
        )
        add_never_cache_headers(response)
        return response


def _account(request: Request, public_id: uuid.UUID) -> PammAccount:
    """The gate. Raises `NotFound`."""
    user = request.user if isinstance(request.user, User) else None
    return get_account_for(user, public_id, request.query_params.get("link"))


def _setting(account: PammAccount) -> dict[str, Any]:
    is_delayed = account.disclosure == PammAccount.Disclosure.DELAYED
    return {
        "account": account.public_id,
        "currency": account.currency,
        "disclosure": account.disclosure,
        "delay_seconds": int(account.disclosure_delay.total_seconds()) if is_delayed else None,
    }


def _trade(trade: Trade, account: PammAccount) -> dict[str, Any]:
    return {
        "closed_at": trade.closed_at,
        "symbol": trade.symbol,
        "side": trade.side.value,
        "lots": _plain(trade.lots),
        "price": _plain(trade.price),
        "result": format(trade.result, f".{account.currency_digits}f"),
        "share_of_pool": None if trade.share is None else format(trade.share, "f"),
        "is_cancelled": trade.is_cancelled,
    }


def _position(position: SeenPosition, account: PammAccount) -> dict[str, Any]:
    return {
        "opened_at": position.opened_at,
        "symbol": position.symbol,
        "side": position.side.value,
        "lots": _plain(position.lots),
        "price_open": _plain(position.price_open),
        "price": _plain(position.price),
        "result": format(position.result, f".{account.currency_digits}f"),
        "share_of_pool": None if position.share is None else format(position.share, "f"),
    }


def _plain(number: Decimal) -> str:
    return format(number.normalize(), "f")
