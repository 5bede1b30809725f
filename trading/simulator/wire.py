"""Objects as the protocol shows them: every scalar a string, money and prices with their digits."""

from __future__ import annotations

from trading.simulator.books import Books, State
from trading.simulator.catalogue import GROUPS, Group, Symbol
from trading.simulator.market import Quote
from trading.simulator.store import Account, Deal, Position

Fields = dict[str, object]


def fixed(value: int, digits: int) -> str:
    """A whole number of 10^-digits as decimal text."""
    if digits == 0:
        return str(value)
    text = str(abs(value)).rjust(digits + 1, "0")
    return f"{'-' if value < 0 else ''}{text[:-digits]}.{text[-digits:]}"


def user(account: Account) -> Fields:
    digits = GROUPS[account.group].digits
    return {
        "Login": str(account.login),
        "Group": account.group,
        "CertSerialNumber": "0",
        "Rights": str(account.rights),
        "Registration": str(account.registered),
        "LastAccess": str(account.registered),
        "LastPassChange": str(account.registered),
        "Name": account.name,
        "FirstName": account.name,
        "LastName": "",
        "MiddleName": "",
        "Company": "",
        "Country": "",
        "Language": "0",
        "Email": "",
        "Comment": account.comment,
        "Leverage": str(account.leverage),
        "Agent": "0",
        "Balance": fixed(account.balance, digits),
        "Credit": fixed(account.credit, digits),
        "ApiData": [],
    }


def account_state(state: State) -> Fields:
    digits = state.digits
    level = state.equity * 10_000 // state.margin if state.margin else 0
    return {
        "Login": str(state.login),
        "CurrencyDigits": str(digits),
        "Balance": fixed(state.balance, digits),
        "Credit": fixed(state.credit, digits),
        "Margin": fixed(state.margin, digits),
        "MarginFree": fixed(state.margin_free, digits),
        "MarginLevel": fixed(level, 2),
        "MarginLeverage": str(state.leverage),
        "MarginInitial": fixed(0, digits),
        "MarginMaintenance": fixed(0, digits),
        "Profit": fixed(state.profit, digits),
        "Storage": fixed(state.storage, digits),
        "Floating": fixed(state.floating, digits),
        "Equity": fixed(state.equity, digits),
        "SOActivation": "0",
        "BlockedCommission": fixed(0, digits),
        "BlockedProfit": fixed(0, digits),
        "Assets": fixed(0, digits),
        "Liabilities": fixed(0, digits),
    }


def deal(row: Deal, group: Group, symbol: Symbol | None, *, modified: bool = False) -> Fields:
    digits = group.digits
    price_digits = symbol.digits if symbol else digits
    return {
        "Deal": str(row.ticket),
        "ExternalID": "",
        "Login": str(row.login),
        "Dealer": str(row.dealer),
        "Order": str(row.order_id),
        "Action": str(row.action),
        "Entry": str(row.entry),
        "Reason": str(row.reason),
        "Digits": str(price_digits),
        "DigitsCurrency": str(digits),
        "ContractSize": str(symbol.contract_size if symbol else 0),
        "Time": str(row.time_msc // 1000),
        "TimeMsc": str(row.time_msc),
        "Symbol": row.symbol,
        "Price": fixed(row.price, price_digits),
        "Volume": str(row.volume // 10_000),
        "VolumeExt": str(row.volume),
        "Profit": fixed(row.profit, digits),
        "Storage": fixed(row.storage, digits),
        "Commission": fixed(row.commission, digits),
        "Fee": fixed(row.fee, digits),
        "RateProfit": row.rate_profit,
        "ExpertID": "0",
        "PositionID": str(row.position),
        "Comment": row.comment,
        "VolumeClosed": str(row.volume_closed // 10_000),
        "VolumeClosedExt": str(row.volume_closed),
        "ModifyFlags": str(int(modified)),
    }


def position(row: Position, books: Books, symbol: Symbol) -> Fields:
    digits = books.group_of(books.accounts[row.login]).digits
    return {
        "Position": str(row.ticket),
        "ExternalID": "",
        "Login": str(row.login),
        "Dealer": str(row.dealer),
        "Symbol": row.symbol,
        "Action": str(row.action),
        "Digits": str(symbol.digits),
        "DigitsCurrency": str(digits),
        "Reason": "2",
        "ContractSize": str(symbol.contract_size),
        "TimeCreate": str(row.opened_msc // 1000),
        "TimeUpdate": str(row.opened_msc // 1000),
        "TimeCreateMsc": str(row.opened_msc),
        "TimeUpdateMsc": str(row.opened_msc),
        "PriceOpen": fixed(row.price_open, symbol.digits),
        "PriceCurrent": fixed(books.close_price(row), symbol.digits),
        "PriceSL": fixed(0, symbol.digits),
        "PriceTP": fixed(0, symbol.digits),
        "Volume": str(row.volume // 10_000),
        "VolumeExt": str(row.volume),
        "Profit": fixed(books.profit(row), digits),
        "Storage": fixed(row.storage, digits),
        "RateProfit": str(books.rate_profit(row)),
        "RateMargin": row.rate_margin,
        "ExpertID": "0",
        "Comment": row.comment,
    }


def tick(symbol: Symbol, quote: Quote) -> Fields:
    return {
        "Symbol": symbol.name,
        "Digits": str(symbol.digits),
        "Datetime": str(quote.time_msc // 1000),
        "DatetimeMsc": str(quote.time_msc),
        "Bid": fixed(quote.bid, symbol.digits),
        "Ask": fixed(quote.ask, symbol.digits),
        "Last": fixed(0, symbol.digits),
        "Volume": "0",
        "VolumeReal": "0.0",
    }


def group(known: Group) -> Fields:
    return {
        "Group": known.name,
        "Currency": known.currency,
        "CurrencyDigits": str(known.digits),
        "MarginMode": "2",
        "MarginCall": fixed(known.margin_call * 100, 2),
        "MarginStopOut": fixed(known.stop_out * 100, 2),
        "MarginSOMode": "0",
        "MarginFreeMode": "1",
        "TradeFlags": "0",
        "TradeTransferMode": "0",
        "LimitOrders": "0",
        "LimitPositions": "0",
        "Commissions": [],
        "Symbols": [],
    }


def symbol(known: Symbol) -> Fields:
    point = fixed(1, known.digits)
    return {
        "Symbol": known.name,
        "Path": known.path,
        "Digits": str(known.digits),
        "Point": point,
        "Multiply": str(10**known.digits),
        "ContractSize": str(known.contract_size),
        "VolumeMin": str(known.volume_min // 10_000),
        "VolumeMinExt": str(known.volume_min),
        "VolumeMax": str(known.volume_max // 10_000),
        "VolumeMaxExt": str(known.volume_max),
        "VolumeStep": str(known.volume_step // 10_000),
        "VolumeStepExt": str(known.volume_step),
        "VolumeLimit": "0",
        "CurrencyBase": known.base,
        "CurrencyProfit": known.profit,
        "CurrencyMargin": known.margin_currency,
        "TickValue": "0",
        "TickSize": "0",
        "CalcMode": "0" if known.forex else "4",
        "TradeMode": "4",
        "ExecMode": "2",
        "FillFlags": "3",
        "SwapMode": "1",
        "SwapLong": str(known.swap_long),
        "SwapShort": str(known.swap_short),
        "Spread": str(known.spread),
        "StopsLevel": "0",
        "FreezeLevel": "0",
    }
