"""Load accounts and past deals into the books of a server that is not running.

The books that result agree with themselves: every balance and credit is the sum of its deals.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from trading.simulator.books import COMMENT_LENGTH, CREDIT, DEFAULT_RIGHTS, hashed_password
from trading.simulator.catalogue import GROUPS, SYMBOLS, VOLUME_SCALE
from trading.simulator.clock import server_milliseconds, zone_named
from trading.simulator.store import Account, Deal, Store

BUY, SELL = 0, 1
ENTRY_IN, ENTRY_OUT = 0, 1


@dataclass(frozen=True, slots=True)
class PastAccount:
    """`registered_at` is aware. `password` opens the account as its owner, `investor_password` to look
    only."""

    login: int
    group: str
    name: str
    registered_at: datetime
    password: str
    investor_password: str
    leverage: int = 100
    rights: int = DEFAULT_RIGHTS
    comment: str = ""


class PastDeal(NamedTuple):
    """One deal, money in the account's currency, volume in lots, `at` aware.

    A balance operation: `action` 2, `profit` the signed amount, `comment` its key, `dealer` who made it. A
    closed trade: `action` 0 or 1 (of the closing deal), `entry` 1, with symbol, volume and price; it needs
    no opening deal. `position` ties an opening and a closing deal together.
    """

    login: int
    at: datetime
    action: int
    profit: Decimal
    comment: str = ""
    dealer: int = 0
    entry: int = ENTRY_IN
    symbol: str = ""
    volume: Decimal = Decimal(0)
    price: Decimal = Decimal(0)
    storage: Decimal = Decimal(0)
    commission: Decimal = Decimal(0)
    position: int = 0


@dataclass(frozen=True, slots=True)
class LoadedHistory:
    """The deals got the tickets from `first_ticket` on, in the order they were given."""

    first_ticket: int
    deal_count: int
    balances: dict[int, Decimal]


def load(
    folder: Path, *, accounts: Iterable[PastAccount], deals: Iterable[PastDeal], timezone: str
) -> LoadedHistory:
    """Add accounts and deals to the books in `folder`, which are made if absent; all or nothing.

    `timezone` is the one the server will run with. Deals should come in time order, as a server's do. Raises
    `ValueError` for an unknown group, a login that exists or is unknown, an amount finer than the currency,
    and another timezone than the books have.
    """
    store = Store(folder)
    try:
        loaded = _loaded(store, accounts, deals, timezone)
        store.commit()
        return loaded
    finally:
        store.abandon()


def _loaded(
    store: Store, accounts: Iterable[PastAccount], deals: Iterable[PastDeal], timezone: str
) -> LoadedHistory:
    kept = store.meta("timezone")
    if kept not in (None, timezone):
        raise ValueError(f"these books are kept in {kept}, not in {timezone}")
    store.put_meta("timezone", timezone)
    known = {account.login: account for account in store.accounts()}
    server_time = _ServerTimes(timezone)
    hashes: dict[str, str] = {}
    for given in accounts:
        if given.login in known or given.group not in GROUPS:
            raise ValueError(f"login {given.login} exists, or there is no group {given.group}")
        for password in (given.password, given.investor_password):
            hashes.setdefault(password, hashed_password(password))
        known[given.login] = Account(
            login=given.login,
            group=given.group,
            name=given.name[:127],
            leverage=given.leverage,
            rights=given.rights,
            balance=0,
            credit=0,
            password=hashes[given.password],
            investor_password=hashes[given.investor_password],
            registered=server_time.milliseconds(given.registered_at) // 1000,
            comment=given.comment[:63],
        )
    first_ticket = store.last_deal() + 1
    rows = [_row(ticket, deal, known, server_time) for ticket, deal in enumerate(deals, start=first_ticket)]
    store.add_deals(rows)
    balance_changes: dict[int, int] = defaultdict(int)
    for row in rows:
        amount = row.profit + row.storage + row.commission
        if row.action == CREDIT:
            known[row.login].credit += amount
        else:
            balance_changes[row.login] += amount
    for login, change in balance_changes.items():
        known[login].balance += change
    store.put_accounts(known.values())
    balances = {
        login: Decimal(account.balance).scaleb(-GROUPS[account.group].digits)
        for login, account in known.items()
    }
    return LoadedHistory(first_ticket, len(rows), balances)


class _ServerTimes:
    """Server milliseconds of instants; the zone is asked once per hour of history, not once per deal.

    Zones change their offset on whole hours of UTC.
    """

    def __init__(self, timezone: str) -> None:
        self._zone = zone_named(timezone)
        self._hours: dict[datetime, int] = {}

    def milliseconds(self, at: datetime) -> int:
        hour = at.replace(minute=0, second=0, microsecond=0)
        start = self._hours.get(hour)
        if start is None:
            start = self._hours[hour] = server_milliseconds(hour, self._zone)
        return start + (at - hour) // timedelta(milliseconds=1)


def _row(ticket: int, deal: PastDeal, known: dict[int, Account], server_time: _ServerTimes) -> Deal:
    account = known.get(deal.login)
    if account is None:
        raise ValueError(f"a deal of the unknown login {deal.login}")
    digits = GROUPS[account.group].digits
    volume = int(deal.volume * VOLUME_SCALE) if deal.volume else 0
    return Deal(
        ticket=ticket,
        login=deal.login,
        time_msc=server_time.milliseconds(deal.at),
        dealer=deal.dealer,
        order_id=deal.position,
        position=deal.position,
        action=deal.action,
        entry=deal.entry,
        reason=2,
        symbol=deal.symbol,
        volume=volume,
        volume_closed=volume if deal.entry == ENTRY_OUT else 0,
        price=int(deal.price.scaleb(SYMBOLS[deal.symbol].digits)) if deal.symbol else 0,
        profit=_minor(deal.profit, digits),
        storage=_minor(deal.storage, digits),
        commission=_minor(deal.commission, digits),
        fee=0,
        rate_profit="0",
        comment=deal.comment[:COMMENT_LENGTH],
    )


def _minor(amount: Decimal, digits: int) -> int:
    scaled = amount.scaleb(digits)
    minor = int(scaled)
    if minor != scaled:
        raise ValueError(f"{amount} is finer than a currency of {digits} digits")
    return minor
