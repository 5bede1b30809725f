"""One reader per object of the Web API."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from trading.gateway import Account, AccountState, Deal, Group, Position, Side, Symbol, Tick
from trading.mt5.answers import Record, UnreadableAnswer
from trading.mt5.times import from_server_milliseconds

_ZERO = Decimal(0)
_HEDGING = 2
_TRADE_MODE_FULL = 4


def volume(record: Record, name: str) -> Decimal:
    """Lots: from the 1e-8 unit where the server gives it, else from the 1e-4 unit."""
    extended = record.get(f"{name}Ext")
    if extended not in (None, ""):
        return record.decimal(f"{name}Ext").scaleb(-8).normalize() + _ZERO
    return record.decimal(name, default=_ZERO).scaleb(-4).normalize() + _ZERO


def group(record: Record) -> Group:
    return Group(
        name=record.text("Group"),
        currency=record.text("Currency"),
        currency_digits=record.integer("CurrencyDigits"),
        hedging=record.integer("MarginMode") == _HEDGING,
        margin_call_level=record.decimal("MarginCall", default=_ZERO),
        stop_out_level=record.decimal("MarginStopOut", default=_ZERO),
    )


def symbol(record: Record) -> Symbol:
    digits = record.integer("Digits")
    return Symbol(
        name=record.text("Symbol"),
        path=record.text("Path"),
        digits=digits,
        point=Decimal(1).scaleb(-digits),
        contract_size=record.decimal("ContractSize"),
        currency_base=record.text("CurrencyBase"),
        currency_profit=record.text("CurrencyProfit"),
        currency_margin=record.text("CurrencyMargin"),
        volume_min=volume(record, "VolumeMin"),
        volume_max=volume(record, "VolumeMax"),
        volume_step=volume(record, "VolumeStep"),
        tradable=record.integer("TradeMode", default=_TRADE_MODE_FULL) == _TRADE_MODE_FULL,
    )


def account(record: Record) -> Account:
    return Account(
        login=record.integer("Login"),
        group=record.text("Group"),
        name=record.text("Name") or record.text("FirstName"),
        leverage=record.integer("Leverage"),
        rights=record.integer("Rights"),
        balance=record.decimal("Balance"),
        credit=record.decimal("Credit"),
    )


def account_state(record: Record) -> AccountState:
    return AccountState(
        login=record.integer("Login"),
        currency_digits=record.integer("CurrencyDigits"),
        balance=record.decimal("Balance"),
        credit=record.decimal("Credit"),
        equity=record.decimal("Equity"),
        margin=record.decimal("Margin"),
        margin_free=record.decimal("MarginFree"),
        profit=record.decimal("Profit"),
        storage=record.decimal("Storage", default=_ZERO),
    )


def idle_state(owner: Account, currency_digits: int) -> AccountState:
    """The state of an account that the server keeps none for: nothing is open, so nothing floats."""
    equity = owner.balance + owner.credit
    return AccountState(
        login=owner.login,
        currency_digits=currency_digits,
        balance=owner.balance,
        credit=owner.credit,
        equity=equity,
        margin=_ZERO,
        margin_free=equity,
        profit=_ZERO,
        storage=_ZERO,
    )


def position(record: Record, zone: ZoneInfo) -> Position:
    return Position(
        ticket=record.integer("Position"),
        login=record.integer("Login"),
        symbol=record.text("Symbol"),
        side=Side.BUY if record.integer("Action") == 0 else Side.SELL,
        volume=volume(record, "Volume"),
        contract_size=record.decimal("ContractSize", default=_ZERO),
        price_open=record.decimal("PriceOpen"),
        price_current=record.decimal("PriceCurrent"),
        profit=record.decimal("Profit"),
        storage=record.decimal("Storage", default=_ZERO),
        opened_at=from_server_milliseconds(_milliseconds(record, "TimeCreate"), zone),
        comment=record.text("Comment"),
    )


def deal(record: Record, zone: ZoneInfo) -> Deal:
    milliseconds = _milliseconds(record, "Time")
    return Deal(
        ticket=record.integer("Deal"),
        login=record.integer("Login"),
        action=record.integer("Action"),
        entry=record.integer("Entry", default=0),
        at=from_server_milliseconds(milliseconds, zone),
        server_seconds=milliseconds // 1000,
        symbol=record.text("Symbol"),
        volume=volume(record, "Volume"),
        volume_closed=volume(record, "VolumeClosed"),
        contract_size=record.decimal("ContractSize", default=_ZERO),
        price=record.decimal("Price", default=_ZERO),
        profit=record.decimal("Profit"),
        storage=record.decimal("Storage", default=_ZERO),
        commission=record.decimal("Commission", default=_ZERO),
        fee=record.decimal("Fee", default=_ZERO),
        order=record.integer("Order", default=0),
        position=record.integer("PositionID", default=0),
        dealer=record.integer("Dealer", default=0),
        comment=record.text("Comment"),
    )


def tick(record: Record, zone: ZoneInfo, now: datetime) -> Tick:
    """A price that can be dealt at. Raises `UnreadableAnswer` for one that is 0, negative or crossed.

    `now` decides which of the two it is in the hour that a clock change repeats.
    """
    bid, ask = record.decimal("Bid"), record.decimal("Ask")
    if not 0 < bid <= ask:
        raise UnreadableAnswer(f"no price of {record.text('Symbol')}: bid {bid}, ask {ask}")
    at = from_server_milliseconds(_milliseconds(record, "Datetime"), zone, near=now)
    return Tick(symbol=record.text("Symbol"), bid=bid, ask=ask, at=at)


def _milliseconds(record: Record, name: str) -> int:
    fine = record.integer(f"{name}Msc", default=0)
    return fine or record.integer(name) * 1000
