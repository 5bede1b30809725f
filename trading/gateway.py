"""What the platform asks of a trading server, whatever its make.

Money is an exact `Decimal` in the account's currency, volume is in lots, times are timezone-aware UTC.
Servers keep their books in local wall time: what a later question to the same server needs
(`server_seconds`) is kept as the server gave it.

Two kinds of calls:

* Reads answer completely or raise `GatewayUnavailable` / `GatewayNotAuthorised`; half an answer is never
  returned. Where only some of the logins cannot be read, `GatewayUnreadable` names them.
* Calls that move money or place orders never raise for what happened on the way. They answer *applied*,
  *refused* or *unknown*; what is unknown is looked up by its key (`find_adjustment`, `find_order`) before
  anything is sent again.

No call may be made while a database transaction is open: a network wait would hold row locks, and an intent
written in that transaction could still be rolled back after the server has acted on it
(`GatewayInsideTransaction`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum, IntEnum

from django.conf import settings
from django.db import connections

KEY_MAX_LENGTH = 31
"""Characters of an operation key that survive in a server-side comment."""


class GatewayError(Exception):
    """A trading server could not be asked, or its answer cannot be used."""


class GatewayUnavailable(GatewayError):
    """The server did not give a complete, readable answer. Reading again later is safe."""


class GatewayUnreadable(GatewayUnavailable):
    """What the server said of these logins cannot be used: cut off, unreadable, or two figures for one thing.

    It is about nobody else: ask again without them.
    """

    def __init__(self, reason: str, logins: Collection[int]) -> None:
        super().__init__(reason)
        self.logins = frozenset(logins)


class GatewayNotAuthorised(GatewayError):
    """The server refused our sign-in, or our login lacks a permission. Repeating will not help."""


class GatewayInsideTransaction(RuntimeError):
    """A gateway was called while a database transaction was open: a programming error."""


class DealAction(IntEnum):
    BUY = 0
    SELL = 1
    BALANCE = 2
    CREDIT = 3
    CHARGE = 4
    CORRECTION = 5
    BONUS = 6
    COMMISSION = 7
    COMMISSION_DAILY = 8
    COMMISSION_MONTHLY = 9
    AGENT_DAILY = 10
    AGENT_MONTHLY = 11
    INTEREST = 12
    BUY_CANCELED = 13
    SELL_CANCELED = 14
    DIVIDEND = 15
    DIVIDEND_FRANKED = 16
    TAX = 17
    AGENT = 18
    SO_COMPENSATION = 19
    SO_COMPENSATION_CREDIT = 20


class DealEntry(IntEnum):
    IN = 0
    OUT = 1
    IN_OUT = 2
    OUT_BY = 3


class Side(Enum):
    BUY = "buy"
    SELL = "sell"


CANCELED_ACTIONS = frozenset({DealAction.BUY_CANCELED, DealAction.SELL_CANCELED})
TRADE_ACTIONS = frozenset({DealAction.BUY, DealAction.SELL}) | CANCELED_ACTIONS

FLOW_ACTIONS = frozenset(
    {DealAction.BALANCE, DealAction.CREDIT, DealAction.CHARGE, DealAction.CORRECTION, DealAction.BONUS}
)
"""Money that somebody moved: our own transfers, and what is foreign when the key is not ours."""

CREDIT_ACTIONS = frozenset({DealAction.CREDIT, DealAction.SO_COMPENSATION_CREDIT})
"""Deals that change the credit and leave the balance alone."""


@dataclass(frozen=True, slots=True)
class ServerTime:
    """`at` is UTC; `server_seconds` is the server's own epoch (its wall time counted as if it were UTC)."""

    at: datetime
    server_seconds: int


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    currency: str
    currency_digits: int
    hedging: bool
    margin_call_level: Decimal
    stop_out_level: Decimal


@dataclass(frozen=True, slots=True)
class Symbol:
    """Volumes in lots; `point` is the smallest price step, `contract_size` units of the base per lot."""

    name: str
    path: str
    digits: int
    point: Decimal
    contract_size: Decimal
    currency_base: str
    currency_profit: str
    currency_margin: str
    volume_min: Decimal
    volume_max: Decimal
    volume_step: Decimal
    tradable: bool


@dataclass(frozen=True, slots=True)
class Account:
    """The account's record. `balance` and `credit` are stored money, without the floating result."""

    login: int
    group: str
    name: str
    leverage: int
    rights: int
    balance: Decimal
    credit: Decimal

    @property
    def is_enabled(self) -> bool:
        return bool(self.rights & 0x1)

    @property
    def may_trade(self) -> bool:
        """Whether the account's own terminal may trade; the server side can always."""
        return not self.rights & (0x4 | 0x200)


@dataclass(frozen=True, slots=True)
class AccountState:
    """One account at one instant, all figures of one answer. `profit` and `storage` are those of open
    positions."""

    login: int
    currency_digits: int
    balance: Decimal
    credit: Decimal
    equity: Decimal
    margin: Decimal
    margin_free: Decimal
    profit: Decimal
    storage: Decimal

    @property
    def floating(self) -> Decimal:
        """The open positions' result as the server counts it: equity less balance less credit."""
        return self.equity - self.balance - self.credit

    @property
    def withdrawable(self) -> Decimal:
        """What a client may take out: the smaller of balance and `equity − credit − margin`, never below
        0."""
        return max(Decimal(0), min(self.balance, self.equity - self.credit - self.margin))


@dataclass(frozen=True, slots=True)
class Position:
    ticket: int
    login: int
    symbol: str
    side: Side
    volume: Decimal
    contract_size: Decimal
    price_open: Decimal
    price_current: Decimal
    profit: Decimal
    storage: Decimal
    opened_at: datetime
    comment: str


@dataclass(frozen=True, slots=True)
class Deal:
    """One entry of the server's own books.

    `server_seconds` is the server's epoch; `at` is the same instant in UTC (in the hour that a clock change
    repeats, the earlier one). `dealer` is the login on whose behalf the server acted, 0 for the client's own
    deals. `volume_closed` are lots that reduced an existing position.
    """

    ticket: int
    login: int
    action: int
    entry: int
    at: datetime
    server_seconds: int
    symbol: str
    volume: Decimal
    volume_closed: Decimal
    contract_size: Decimal
    price: Decimal
    profit: Decimal
    storage: Decimal
    commission: Decimal
    fee: Decimal
    order: int
    position: int
    dealer: int
    comment: str

    @property
    def amount(self) -> Decimal:
        """What the deal did to balance or credit, all its parts."""
        return self.profit + self.storage + self.commission + self.fee

    @property
    def balance_change(self) -> Decimal:
        """What the deal did to the balance; 0 for deals that touch the credit only."""
        return Decimal(0) if self.action in CREDIT_ACTIONS else self.amount

    @property
    def is_flow(self) -> bool:
        """Whether somebody moved money in or out (balance, credit, charge, correction, bonus)."""
        return self.action in FLOW_ACTIONS

    @property
    def trade_result(self) -> Decimal:
        """What trading cost or earned: trades with swap, commission and fee, and the server's own
        commissions, interest, dividends, taxes and stop-out compensation. 0 for flows and for what touches
        the credit only.
        """
        return Decimal(0) if self.is_flow else self.balance_change

    @property
    def opened_lots(self) -> Decimal:
        """Lots of new positions that the deal opened; of a reversal what it did not close."""
        if self.action not in TRADE_ACTIONS or self.entry in (DealEntry.OUT, DealEntry.OUT_BY):
            return Decimal(0)
        return self.volume - self.closed_lots if self.entry == DealEntry.IN_OUT else self.volume

    @property
    def closed_lots(self) -> Decimal:
        """Lots of open positions that the deal closed; negative for a cancelled deal, which takes them back.

        Of a reversal only what the server names as closed: the rest opened a new position.
        """
        if self.action not in TRADE_ACTIONS or self.entry == DealEntry.IN:
            return Decimal(0)
        closed = self.volume_closed
        if not closed and self.entry != DealEntry.IN_OUT:
            closed = self.volume
        return -closed if self.action in CANCELED_ACTIONS else closed


@dataclass(frozen=True, slots=True)
class Tick:
    symbol: str
    bid: Decimal
    ask: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class Applied:
    """The operation stands in the server's books under `ticket`."""

    ticket: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The server said no, and nothing changed. `code` is the server's own number."""

    code: int
    text: str
    not_enough_money: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows whether it happened. Look it up by its key before sending again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    ticket: int
    at: datetime
    server_seconds: int


@dataclass(frozen=True, slots=True)
class NotFound:
    """The complete history up to `searched_until` holds no operation with that key."""

    searched_until: datetime


@dataclass(frozen=True, slots=True)
class Inconclusive:
    """The history was not complete: neither presence nor absence is shown. Ask again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """The key stands in the books more than once, or with other figures. A person has to look."""

    tickets: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Filled:
    """A market order was executed. `volume` in lots may be less than asked for. `order` is 0 if not told."""

    deal: int
    order: int
    volume: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True)
class OrderFound:
    """All deals that carry the order's key, in ticket order."""

    deals: tuple[Deal, ...]


Adjustment = Applied | Refused | Unknown
AdjustmentSearch = Found | NotFound | Inconclusive | Conflict
OrderOutcome = Filled | Refused | Unknown
OrderSearch = OrderFound | NotFound | Inconclusive


def refuse_inside_transaction() -> None:
    """Every adapter calls this before it touches the network. Without Django configured there is no
    transaction."""
    if settings.configured and any(c.in_atomic_block for c in connections.all(initialized_only=True)):
        raise GatewayInsideTransaction("a trading server may not be called inside a database transaction")


def require_usable_key(key: str) -> None:
    """A key must come back from the server unchanged, or the operation could never be found again.

    Raises `ValueError` for an empty or too long key, and for characters that a server cuts or escapes.
    """
    if not 0 < len(key) <= KEY_MAX_LENGTH:
        raise ValueError(f"an operation key has 1 to {KEY_MAX_LENGTH} characters, this one {len(key)}")
    if not key.isascii() or not key.isprintable() or key != key.strip() or set(key) & set("|=\\"):
        raise ValueError("an operation key is plain ASCII without '|', '=', backslash or outer blanks")


class Gateway(ABC):
    """One trading server under one manager login. Safe to use from several threads and after a fork."""

    @abstractmethod
    def server_time(self) -> ServerTime: ...

    @abstractmethod
    def groups(self) -> tuple[Group, ...]: ...

    @abstractmethod
    def symbols(self) -> tuple[Symbol, ...]: ...

    @abstractmethod
    def account(self, login: int) -> Account | None:
        """The account's record; None if the server has no such login."""

    @abstractmethod
    def accounts(self, logins: Collection[int]) -> dict[int, Account]:
        """Records by login; unknown logins are missing."""

    def unknown_logins(self, logins: Collection[int]) -> set[int]:
        """Those of the logins that the server does not have; one whose record cannot be read it has."""
        return set(logins) - self.accounts(logins).keys()

    @abstractmethod
    def create_account(
        self,
        *,
        group: str,
        name: str,
        leverage: int,
        password: str,
        investor_password: str,
        rights: int | None = None,
        login: int | None = None,
        comment: str = "",
    ) -> Account | Refused | Unknown:
        """Open an account; the server chooses the login unless one is given. Sent once, never repeated."""

    @abstractmethod
    def check_password(self, login: int, password: str) -> bool:
        """Whether this is the main password of that login. False also for an unknown login."""

    @abstractmethod
    def forbid_trading(self, login: int) -> None:
        """Take from the account's own terminal the right to trade; the server side keeps it. Safe to repeat.

        Raises `GatewayError` where it is not known to be done.
        """

    @abstractmethod
    def account_states(self, logins: Collection[int]) -> dict[int, AccountState]:
        """States by login. An account without a state on the server (idle) is given from its record with
        nothing floating. Missing are a login the server does not know, and one whose state cannot be read,
        contradicts itself or is absent although positions are open: a figure is never made up."""

    @abstractmethod
    def positions(self, logins: Collection[int]) -> dict[int, tuple[Position, ...]]:
        """Open positions by login, in ticket order; every asked login has an entry."""

    @abstractmethod
    def deals(self, logins: Collection[int], since: datetime, until: datetime) -> dict[int, tuple[Deal, ...]]:
        """Deals by login, in ticket order; every asked login has an entry.

        Holds every deal made from `since` to `until`, both inclusive. Near a clock change of the server it
        may hold some made up to an hour outside: count deals by ticket, never by window.
        """

    @abstractmethod
    def adjust_balance(
        self,
        login: int,
        amount: Decimal,
        key: str,
        *,
        check_margin: bool = True,
        deadline: float | None = None,
    ) -> Adjustment:
        """Put `amount` into the account (negative: take it out), with `key` as its comment. Sent once, not at
        all after `deadline` (`time.monotonic()`).

        `check_margin=False` lets a withdrawal go below the free margin, never below the balance.
        Raises `ValueError` for 0, an amount that is not finite, or an unusable key.
        """

    @abstractmethod
    def find_adjustment(self, login: int, key: str, amount: Decimal, since: datetime) -> AdjustmentSearch:
        """Look for an operation sent at or after `since`. Does not raise for a server that cannot be
        reached."""

    @abstractmethod
    def place_market_order(
        self,
        login: int,
        symbol: str,
        side: Side,
        volume: Decimal,
        key: str,
        *,
        position: int | None = None,
        timeout: float = 20.0,
        deadline: float | None = None,
    ) -> OrderOutcome:
        """Buy or sell `volume` lots at the market and wait for the final result, `timeout` seconds at most.

        Not sent at all after `deadline` (`time.monotonic()`).
        With `position`, that position is reduced or closed: `side` is the opposite of the position's.
        """

    @abstractmethod
    def find_order(self, login: int, key: str, since: datetime) -> OrderSearch:
        """Look for deals of an order sent at or after `since`."""

    @abstractmethod
    def last_ticks(self, symbols: Sequence[str], *, group: str | None = None) -> Mapping[str, Tick]:
        """Last prices by symbol, as `group` sees them if given; symbols without a price are missing, and so
        are those whose price is 0, negative, crossed, unreadable or given twice with other figures.

        `at` is the instant by the server's own clock, also where that is not in the zone it should be in.
        """

    @abstractmethod
    def close(self) -> None:
        """End the open connections. The gateway stays usable and connects again when asked."""
