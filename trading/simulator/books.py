"""Accounts, positions and deals: the rules of the simulated server.

Every change is written to the store in the same step; the caller commits before it answers.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from trading.simulator.catalogue import GROUPS, VOLUME_SCALE, Group, Symbol
from trading.simulator.clock import ServerClock
from trading.simulator.market import Market
from trading.simulator.store import Account, Deal, Position, Store
from trading.simulator.switches import Switches

BALANCE, CREDIT, CHARGE, CORRECTION, BONUS = 2, 3, 4, 5, 6
_OPERATIONS = (BALANCE, CREDIT, CHARGE, CORRECTION, BONUS)
_ENTRY_IN, _ENTRY_OUT = 0, 1
_REASON_DEALER, _REASON_STOP_OUT = 2, 5
COMMENT_LENGTH = 31
DEFAULT_RIGHTS = 0x163
_READ_ONLY = 0x200
_AMOUNT_LIMIT = 1_000_000_000
_FIRST_LOGIN = 100_001
_FIRST_ORDER = 1_000_001
_MILLISECONDS_PER_DAY = 86_400_000


class Refusal(Exception):
    """The server's no: a return code and its text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text


BAD_PARAMETERS = (3, "Invalid parameters")
NOT_FOUND = (13, "Not found")
EXISTS = (3004, "Login already exists")
BAD_PASSWORD = (3006, "Invalid account password")
AMOUNT_TOO_LARGE = (4005, "Money limit reached")
BAD_REQUEST = (10013, "Invalid request")
BAD_VOLUME = (10014, "Invalid volume")
TRADE_DISABLED = (10017, "Trade disabled")
NOT_ENOUGH_MONEY = (10019, "Not enough money")
POSITION_CLOSED = (10036, "Position already closed")
CLOSE_VOLUME = (10038, "Close volume exceeds the position")


def not_found(what: str) -> Refusal:
    code, text = NOT_FOUND
    return Refusal(code, f"{text}: {what}")


@dataclass(frozen=True, slots=True)
class State:
    """One account now, minor units."""

    login: int
    digits: int
    leverage: int
    balance: int
    credit: int
    profit: int
    storage: int
    margin: int

    @property
    def floating(self) -> int:
        return self.profit + self.storage

    @property
    def equity(self) -> int:
        return self.balance + self.credit + self.floating

    @property
    def margin_free(self) -> int:
        return self.equity - self.margin


@dataclass(frozen=True, slots=True)
class Execution:
    deal: int
    order: int
    volume: int
    price: int


class Books:
    def __init__(
        self,
        store: Store,
        market: Market,
        clock: ServerClock,
        switches: Switches,
        commission_per_lot: Decimal,
    ) -> None:
        self._store = store
        self._market = market
        self._clock = clock
        self._switches = switches
        self._commission_per_lot = commission_per_lot
        self.accounts = {account.login: account for account in store.accounts()}
        self._open: dict[int, dict[int, Position]] = defaultdict(dict)
        for position in store.positions():
            self._open[position.login][position.ticket] = position
        self._next_deal = store.last_deal() + 1
        last_position = max((position.ticket for position in self.positions()), default=0)
        self._next_order = max(store.last_order() + 1, last_position + 1, _FIRST_ORDER)
        self._next_login = max([_FIRST_LOGIN - 1, *self.accounts]) + 1
        self.active: set[int] = set()
        self.forget_activity()

    # accounts

    def account(self, login: int) -> Account:
        if login not in self.accounts:
            raise not_found(f"login {login}")
        return self.accounts[login]

    def group_of(self, account: Account) -> Group:
        return GROUPS[account.group]

    def add_account(
        self,
        *,
        login: int,
        group: str,
        name: str,
        leverage: int,
        rights: int,
        password: str,
        investor_password: str,
        comment: str,
    ) -> Account:
        if group not in GROUPS or not name or not 1 <= leverage <= 500 or login < 0:
            raise Refusal(*BAD_PARAMETERS)
        if login in self.accounts:
            raise Refusal(*EXISTS)
        if not _strong(password) or not _strong(investor_password):
            raise Refusal(*BAD_PASSWORD)
        login = login or self._next_login
        self._next_login = max(self._next_login, login + 1)
        account = Account(
            login=login,
            group=group,
            name=name[:127],
            leverage=leverage,
            rights=rights,
            balance=0,
            credit=0,
            password=hashed_password(password),
            investor_password=hashed_password(investor_password),
            registered=self._clock.milliseconds() // 1000,
            comment=comment[:63],
        )
        self.accounts[login] = account
        self._store.put_account(account)
        return account

    def save(self, account: Account) -> None:
        self._store.put_account(account)

    def forget_activity(self) -> None:
        """As after a restart: an account without positions has not been active."""
        self.active = {login for login, positions in self._open.items() if positions}

    def has_state(self, login: int) -> bool:
        """Whether the server keeps a state of the account; some keep none for idle ones."""
        return not self._switches.idle_states_hidden or login in self.active

    # states

    def positions(self, logins: Collection[int] | None = None) -> Iterator[Position]:
        for login in list(self._open) if logins is None else logins:
            yield from self._open[login].values() if login in self._open else ()

    def state(self, login: int) -> State:
        account = self.account(login)
        currency = self.group_of(account)
        profit = storage = 0
        margin_of: dict[tuple[str, int], Decimal] = defaultdict(Decimal)
        for position in self.positions([login]):
            profit += self.profit(position)
            storage += position.storage
            margin_of[position.symbol, position.action] += self._margin(position, account.leverage)
        # hedged legs of one symbol bind margin for the larger side only
        names = {name for name, _ in margin_of}
        margin = sum((max(margin_of[name, 0], margin_of[name, 1]) for name in names), Decimal(0))
        return State(
            login=login,
            digits=currency.digits,
            leverage=account.leverage,
            balance=account.balance,
            credit=account.credit,
            profit=profit,
            storage=storage,
            margin=_minor(margin, currency.digits),
        )

    def close_price(self, position: Position) -> int:
        quote = self._market.quotes[position.symbol]
        return quote.bid if position.action == 0 else quote.ask

    def profit(self, position: Position, volume: int | None = None) -> int:
        """What closing `volume` (all by default) at the present price brings, without swap, minor units."""
        difference = self.close_price(position) - position.price_open
        if position.action == 1:
            difference = -difference
        symbol = self._market.symbols[position.symbol]
        gross = _in_profit_currency(difference, symbol, position.volume if volume is None else volume)
        group = self.group_of(self.accounts[position.login])
        return _minor(gross * self.rate_profit(position, gain=difference >= 0), group.digits)

    def rate_profit(self, position: Position, *, gain: bool | None = None) -> Decimal:
        if gain is None:
            gain = (self.close_price(position) >= position.price_open) == (position.action == 0)
        currency = self.group_of(self.accounts[position.login]).currency
        return self._market.rate(self._market.symbols[position.symbol].profit, currency, gain=gain)

    # money

    def operate(
        self, *, login: int, action: int, amount: Decimal, comment: str, check_margin: bool, dealer: int
    ) -> int:
        """A balance operation; the deal's ticket. Raises `Refusal`."""
        account = self.account(login)
        digits = self.group_of(account).digits
        scaled = amount.scaleb(digits)
        if action not in _OPERATIONS or amount == 0 or scaled != scaled.to_integral_value():
            raise Refusal(*BAD_PARAMETERS)
        if abs(amount) > _AMOUNT_LIMIT:
            raise Refusal(*AMOUNT_TOO_LARGE)
        minor = int(scaled)
        if action == CREDIT:
            if account.credit + minor < 0:
                raise Refusal(*NOT_ENOUGH_MONEY)
            account.credit += minor
        else:
            if minor < 0:
                self._require_withdrawable(account, -minor, check_margin and action != CORRECTION)
            account.balance += minor
        self._store.put_account(account)
        return self._book(account, action=action, dealer=dealer, profit=minor, comment=comment)

    def _require_withdrawable(self, account: Account, minor: int, check_margin: bool) -> None:
        beyond_free = check_margin and minor > self.state(account.login).margin_free
        if minor > account.balance or beyond_free:
            raise Refusal(*NOT_ENOUGH_MONEY)

    def checked_money(self, login: int, *, fix: bool) -> tuple[tuple[int, int], tuple[int, int]]:
        """Stored balance and credit, and the same as the sum of the shown deals; `fix` stores the latter."""
        account = self.account(login)
        booked = self._store.booked_money(login)
        if fix:
            account.balance, account.credit = booked
            self._store.put_account(account)
        return (account.balance, account.credit), booked

    # deals

    def deal(self, ticket: int) -> Deal:
        found = self._store.deal(ticket)
        if found is None:
            raise not_found(f"deal {ticket}")
        return found

    def edit_deal(self, ticket: int, **changes: Any) -> Deal:
        """Rewrite fields of a booked deal; the balance does not follow by itself. Raises `Refusal`."""
        deal = self.deal(ticket)._replace(**changes)
        self._store.replace_deal(deal)
        return deal

    def delete_deal(self, ticket: int) -> Deal:
        """Take a deal out of the books; the balance does not follow by itself. Raises `Refusal`."""
        deal = self.deal(ticket)
        self._store.drop_deal(ticket)
        return deal

    def show_deals_due(self) -> None:
        """End the hiding of deals whose time has come."""
        now = self._clock.absolute_milliseconds()
        if self._store.hides_deals_due(now):
            self._store.show_deals(due_msc=now)

    # trading

    def open(
        self,
        *,
        login: int,
        symbol: str,
        action: int,
        volume: int,
        comment: str,
        dealer: int,
        check_margin: bool,
    ) -> Execution:
        """Open a position at the market. Raises `Refusal`."""
        account = self.account(login)
        traded = self._market.symbols.get(symbol)
        if traded is None or action not in (0, 1):
            raise Refusal(*BAD_REQUEST)
        if account.rights & _READ_ONLY or not account.rights & 0x1:
            raise Refusal(*TRADE_DISABLED)
        in_steps = volume % traded.volume_step == 0
        if not (in_steps and traded.volume_min <= volume <= traded.volume_max):
            raise Refusal(*BAD_VOLUME)
        currency = self.group_of(account).currency
        quote = self._market.quotes[symbol]
        price = quote.ask if action == 0 else quote.bid
        position = Position(
            ticket=self._next_order,
            login=login,
            symbol=symbol,
            action=action,
            volume=volume,
            price_open=price,
            rate_margin=str(self._market.rate(traded.margin_currency, currency, gain=False)),
            storage=0,
            opened_msc=self._clock.milliseconds(),
            dealer=dealer,
            comment=comment[:COMMENT_LENGTH],
        )
        commission = self._commission(account, volume)
        self._open[login][position.ticket] = position
        state = self.state(login)
        if check_margin and state.margin_free + commission < 0:
            del self._open[login][position.ticket]
            raise Refusal(*NOT_ENOUGH_MONEY)
        self._next_order += 1
        account.balance += commission
        self._store.put_account(account)
        self._store.put_position(position)
        deal = self._book(
            account,
            action=action,
            dealer=dealer,
            order=position.ticket,
            position=position.ticket,
            symbol=symbol,
            volume=volume,
            price=price,
            commission=commission,
            comment=comment,
        )
        return Execution(deal, position.ticket, volume, price)

    def reduce(
        self, *, login: int, ticket: int, volume: int, comment: str, dealer: int, reason: int = _REASON_DEALER
    ) -> Execution:
        """Close a position or part of it at the market. Raises `Refusal`."""
        account = self.account(login)
        position = self._open[login].get(ticket)
        if position is None:
            raise Refusal(*POSITION_CLOSED)
        if volume > position.volume:
            raise Refusal(*CLOSE_VOLUME)
        if volume <= 0 or volume % self._market.symbols[position.symbol].volume_step:
            raise Refusal(*BAD_VOLUME)
        price = self.close_price(position)
        rate = self.rate_profit(position)
        profit = self.profit(position, volume)
        storage = int(Decimal(position.storage * volume) / position.volume)
        commission = self._commission(account, volume)
        account.balance += profit + storage + commission
        position.volume -= volume
        position.storage -= storage
        if position.volume:
            self._store.put_position(position)
        else:
            del self._open[login][ticket]
            self._store.drop_position(ticket)
        self._store.put_account(account)
        order, self._next_order = self._next_order, self._next_order + 1
        deal = self._book(
            account,
            action=1 - position.action,
            entry=_ENTRY_OUT,
            reason=reason,
            dealer=dealer,
            order=order,
            position=ticket,
            symbol=position.symbol,
            volume=volume,
            volume_closed=volume,
            price=price,
            profit=profit,
            storage=storage,
            commission=commission,
            rate_profit=rate,
            comment=comment,
        )
        return Execution(deal, order, volume, price)

    def stop_out(self) -> int:
        """Close the worst positions of accounts under their stop-out level; how many were closed."""
        closed = 0
        for login in [login for login, positions in self._open.items() if positions]:
            level = self.group_of(self.accounts[login]).stop_out
            while (state := self.state(login)).margin > 0 and state.equity * 100 <= level * state.margin:
                worst = min(
                    self.positions([login]), key=lambda position: self.profit(position) + position.storage
                )
                self.reduce(
                    login=login,
                    ticket=worst.ticket,
                    volume=worst.volume,
                    comment=f"[so {state.equity * 100 // state.margin}%]",
                    dealer=0,
                    reason=_REASON_STOP_OUT,
                )
                closed += 1
        return closed

    def change_day(self) -> None:
        """Charge one night's swap where the server's day is a later one than when this was last asked."""
        today = self._clock.milliseconds() // _MILLISECONDS_PER_DAY
        charged = self._store.meta("swap_day")
        if charged is not None and today <= int(charged):
            return
        if charged is not None:
            self._charge_swaps()
        self._store.put_meta("swap_day", str(today))

    def keep_quotes(self) -> None:
        """Write the present prices; durable with the next commit."""
        self._store.put_quotes(
            (name, quote.bid, quote.ask, quote.time_msc, int(quote.frozen))
            for name, quote in self._market.quotes.items()
        )

    def _charge_swaps(self) -> None:
        """One night's swap on every open position."""
        for position in self.positions():
            symbol = self._market.symbols[position.symbol]
            points = symbol.swap_long if position.action == 0 else symbol.swap_short
            group = self.group_of(self.accounts[position.login])
            rate = self._market.rate(symbol.profit, group.currency, gain=points >= 0)
            gross = _in_profit_currency(points, symbol, position.volume)
            position.storage += _minor(gross * rate, group.digits)
            self._store.put_position(position)

    def _margin(self, position: Position, leverage: int) -> Decimal:
        symbol = self._market.symbols[position.symbol]
        units = Decimal(symbol.contract_size * position.volume) / VOLUME_SCALE
        if not symbol.forex:
            units *= Decimal(position.price_open).scaleb(-symbol.digits)
        return units * Decimal(position.rate_margin) / leverage

    def _commission(self, account: Account, volume: int) -> int:
        """Negative minor units; the rate per lot and side is in USD."""
        if not self._commission_per_lot:
            return 0
        group = self.group_of(account)
        cost = self._commission_per_lot * volume / VOLUME_SCALE
        return -_minor(cost * self._market.rate("USD", group.currency, gain=False), group.digits)

    def _book(
        self,
        account: Account,
        *,
        action: int,
        dealer: int,
        comment: str,
        profit: int = 0,
        storage: int = 0,
        commission: int = 0,
        entry: int = _ENTRY_IN,
        reason: int = _REASON_DEALER,
        order: int = 0,
        position: int = 0,
        symbol: str = "",
        volume: int = 0,
        volume_closed: int = 0,
        price: int = 0,
        rate_profit: Decimal = Decimal(0),
    ) -> int:
        ticket, self._next_deal = self._next_deal, self._next_deal + 1
        deal = Deal(
            ticket=ticket,
            login=account.login,
            time_msc=self._clock.milliseconds(),
            dealer=dealer,
            order_id=order,
            position=position,
            action=action,
            entry=entry,
            reason=reason,
            symbol=symbol,
            volume=volume,
            volume_closed=volume_closed,
            price=price,
            profit=profit,
            storage=storage,
            commission=commission,
            fee=0,
            rate_profit=str(rate_profit),
            comment=comment[:COMMENT_LENGTH],
        )
        self._store.add_deals([deal])
        if delay := self._switches.deal_delay(account.login):
            self._store.hide_deal(ticket, self._clock.absolute_milliseconds() + delay * 1000)
        self.active.add(account.login)
        return ticket


def hashed_password(password: str) -> str:
    """Salted, but fast: these are the passwords of a test program."""
    salt = secrets.token_hex(8)
    return f"{salt}:{hashlib.sha256((salt + password).encode()).hexdigest()}"


def is_password(password: str, stored: str) -> bool:
    salt, _, digest = stored.partition(":")
    return secrets.compare_digest(hashlib.sha256((salt + password).encode()).hexdigest(), digest)


def _strong(password: str) -> bool:
    kinds = (str.islower, str.isupper, str.isdigit, lambda character: not character.isalnum())
    return 8 <= len(password) <= 16 and all(any(map(kind, password)) for kind in kinds)


def _in_profit_currency(points: int, symbol: Symbol, volume: int) -> Decimal:
    return Decimal(points * symbol.contract_size * volume).scaleb(-symbol.digits) / VOLUME_SCALE


def _minor(amount: Decimal, digits: int) -> int:
    """Whole minor units, half away from zero as the server rounds."""
    return int(amount.scaleb(digits).quantize(Decimal(1), ROUND_HALF_UP))
