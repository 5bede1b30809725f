"""The gateway interface over the MT5 Web API.

Reads are batched, and repeated once on a fresh connection when the first one breaks or has lost its session.
Balance operations and orders are sent exactly once, on a connection that has just proved itself.
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

from trading.gateway import (
    Account,
    AccountState,
    Adjustment,
    AdjustmentSearch,
    Applied,
    Conflict,
    Deal,
    DealAction,
    Filled,
    Found,
    Gateway,
    GatewayError,
    GatewayNotAuthorised,
    GatewayUnavailable,
    GatewayUnreadable,
    Group,
    Inconclusive,
    NotFound,
    OrderFound,
    OrderOutcome,
    OrderSearch,
    Position,
    Refused,
    ServerTime,
    Side,
    Symbol,
    Tick,
    Unknown,
    require_usable_key,
)
from trading.mt5 import records, retcodes
from trading.mt5.answers import Answer, Record, UnreadableAnswer
from trading.mt5.connection import Connection, ConnectionLost, Endpoint, Forbidden
from trading.mt5.times import from_server_milliseconds, server_window, to_server_seconds

LOGINS_PER_CALL = 500
"""Keeps the request line under 8 KiB with 15-digit logins."""

SYMBOLS_PER_CALL = 100
PAGE_SIZE = 100
IDLE_LIMIT = 150.0
"""Seconds after which an idle connection is not used again; the server drops it after 180."""

PROVEN_FOR = 5.0
"""Seconds after its last answer in which a connection may carry money without a ping first."""

IDLE_KEPT = 4
REFERENCE_LIFETIME = 300.0
"""Seconds for which groups and symbols are remembered."""

CLOCK_TOLERANCE = timedelta(minutes=1)
"""How far the server's clock may be from its zone before the age of its prices is told by it alone."""

TRADING_DISABLED = 0x4
"""Right of an account whose own terminal may not trade."""

_SEARCH_MARGIN = timedelta(days=1)
_POLL_PAUSES = (0.02, 0.05, 0.1, 0.25)

T = TypeVar("T")
logger = logging.getLogger(__name__)


class Mt5Gateway(Gateway):
    def __init__(self, endpoint: Endpoint, zone: ZoneInfo) -> None:
        self._endpoint = endpoint
        self._zone = zone
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._owner_pid = os.getpid()
        self._groups = _Remembered(lambda: self._list("group/get", {"group": "*"}, records.group))
        self._symbols = _Remembered(lambda: self._list("symbol/get", {"symbol": "*"}, records.symbol))

    # reads

    def server_time(self) -> ServerTime:
        answer = self._read("time/server")
        with _readable("time/server"):
            seconds = answer.record().integer("time")
        return ServerTime(
            from_server_milliseconds(seconds * 1000, self._zone, near=datetime.now(UTC)), seconds
        )

    def groups(self) -> tuple[Group, ...]:
        return self._groups()

    def symbols(self) -> tuple[Symbol, ...]:
        return self._symbols()

    def account(self, login: int) -> Account | None:
        return self.accounts([login]).get(login)

    def accounts(self, logins: Collection[int]) -> dict[int, Account]:
        accounts, unreadable = self._recorded(logins)
        if unreadable:
            raise GatewayUnreadable(f"user/get_batch: unreadable for {sorted(unreadable)}", unreadable)
        return accounts

    def _recorded(self, logins: Collection[int]) -> tuple[dict[int, Account], set[int]]:
        """Records by login, and the logins whose record cannot be read."""
        accounts: dict[int, Account] = {}
        unreadable: set[int] = set()
        for record in self._by_login("user/get_batch", logins, lambda record: record):
            login = _login_of(record, "user/get_batch")
            try:
                accounts[login] = records.account(record)
            except UnreadableAnswer as error:
                logger.warning("the record of login %s cannot be read: %s", login, error)
                unreadable.add(login)
        return accounts, unreadable

    def unknown_logins(self, logins: Collection[int]) -> set[int]:
        accounts, unreadable = self._recorded(logins)
        return set(logins) - accounts.keys() - unreadable

    def check_password(self, login: int, password: str) -> bool:
        body = {"Login": str(login), "Type": "main", "Password": password}
        wrong = (retcodes.INVALID_PASSWORD, retcodes.NOT_FOUND)
        return self._read("user/check_password", body=body, also=wrong).code not in wrong

    def forbid_trading(self, login: int) -> None:
        answer = self._read("user/get", {"login": login})
        with _readable("user/get"):
            record = answer.record()
            rights = record.integer("Rights")
        if rights & TRADING_DISABLED:
            return
        # The whole record goes back: some servers clear what an update leaves out.
        body = {**record.fields, "Login": str(login), "Rights": str(rights | TRADING_DISABLED)}
        self._read("user/update", {"login": login}, body=body)

    def account_states(self, logins: Collection[int]) -> dict[int, AccountState]:
        states, unusable = self._stated(logins)
        silent = [login for login in logins if login not in states and login not in unusable]
        if silent:
            digits = {group.name: group.currency_digits for group in self.groups()}
            positions = self._opened(silent)
            accounts, _unreadable = self._recorded(silent)
            for account in accounts.values():
                if account.group not in digits:
                    logger.warning("login %s is in a group we cannot see: %s", account.login, account.group)
                elif positions.are_open(account.login):
                    logger.warning(
                        "login %s has open positions, but the server gives no state", account.login
                    )
                else:
                    states[account.login] = records.idle_state(account, digits[account.group])
        return states

    def _stated(self, logins: Collection[int]) -> tuple[dict[int, AccountState], set[int]]:
        """States that the server gives, and the logins whose state cannot be read or contradicts itself."""
        states: dict[int, AccountState] = {}
        unusable: set[int] = set()
        for record in self._by_login("user/account/get_batch", logins, lambda record: record):
            login = _login_of(record, "user/account/get_batch")
            try:
                state = records.account_state(record)
            except UnreadableAnswer as error:
                logger.warning("the state of login %s cannot be read: %s", login, error)
                unusable.add(login)
                continue
            if states.setdefault(login, state) != state:
                logger.warning("login %s has two states in one answer", login)
                unusable.add(login)
        return {login: state for login, state in states.items() if login not in unusable}, unusable

    def positions(self, logins: Collection[int]) -> dict[int, tuple[Position, ...]]:
        return self._opened(logins).by_login(logins)

    def _opened(self, logins: Collection[int]) -> _Rows[Position]:
        rows: _Rows[Position] = _Rows(
            "position/get_batch", lambda record: records.position(record, self._zone)
        )
        for record in self._by_login("position/get_batch", logins, lambda record: record):
            rows.add(record)
        return rows

    def deals(self, logins: Collection[int], since: datetime, until: datetime) -> dict[int, tuple[Deal, ...]]:
        first, last = server_window(since, until, self._zone)
        rows: _Rows[Deal] = _Rows("deal/get_batch", lambda record: records.deal(record, self._zone))
        for chunk in _chunks(list(dict.fromkeys(logins)), LOGINS_PER_CALL):
            self._read_deals(rows, chunk, first, last)
        return rows.by_login(logins)

    def last_ticks(self, symbols: Sequence[str], *, group: str | None = None) -> Mapping[str, Tick]:
        now = datetime.now(UTC)
        ticks: dict[str, Tick] = {}
        unusable: set[str] = set()
        for chunk in _chunks(list(dict.fromkeys(symbols)), SYMBOLS_PER_CALL):
            parameters: dict[str, object] = {"symbol": ",".join(chunk)}
            if group is None:
                answer = self._read("tick/last", {**parameters, "trans_id": 0})
            else:
                answer = self._read("tick/last_group", {**parameters, "group": group})
            with _readable("tick/last"):
                rows = answer.records()
            for record in rows:
                name = record.text("Symbol")
                try:
                    tick = records.tick(record, self._zone, now)
                except UnreadableAnswer as error:
                    logger.warning("%s", error)
                    unusable.add(name)
                    continue
                if ticks.setdefault(name, tick) != tick:
                    logger.warning("%s has two prices in one answer", name)
                    unusable.add(name)
        usable = {name: tick for name, tick in ticks.items() if name not in unusable}
        drift = self.server_time().at - now if usable else timedelta(0)
        if abs(drift) <= CLOCK_TOLERANCE:
            return usable
        # the server's clock is not in the zone we know: how old a price is, its own clock decides
        return {name: replace(tick, at=tick.at - drift) for name, tick in usable.items()}

    # what changes something on the server

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
        body = {
            "Login": str(login or 0),
            "Group": group,
            "Name": name,
            "FirstName": name,
            "Leverage": str(leverage),
            "PassMain": password,
            "PassInvestor": investor_password,
            "Comment": comment,
        }
        if rights is not None:
            body["Rights"] = str(rights)
        try:
            answer = self._send_once("user/add", body=body)
            if retcodes.refuses_account(answer.code):
                return Refused(answer.code, answer.text)
            if answer.code != retcodes.DONE:
                return Unknown(answer.text)
            return records.account(answer.record())
        except _UNANSWERED as error:
            return Unknown(str(error))

    def adjust_balance(
        self,
        login: int,
        amount: Decimal,
        key: str,
        *,
        check_margin: bool = True,
        deadline: float | None = None,
    ) -> Adjustment:
        require_usable_key(key)
        if not amount.is_finite() or amount == 0:
            raise ValueError(f"not an amount that can be moved: {amount}")
        parameters = {
            "login": login,
            "type": int(DealAction.BALANCE),
            "balance": f"{amount:f}",
            "comment": key,
            "check_margin": int(check_margin),
        }
        try:
            answer = self._send_once("trade/balance", parameters, deadline=deadline)
            if answer.code in retcodes.DEFINITE_BALANCE_REFUSALS:
                return Refused(answer.code, answer.text, answer.code == retcodes.NOT_ENOUGH_MONEY)
            if answer.code != retcodes.DONE:
                return Unknown(answer.text)
            return Applied(answer.record().integer("ticket"))
        except _UNANSWERED as error:
            return Unknown(str(error))

    def find_adjustment(self, login: int, key: str, amount: Decimal, since: datetime) -> AdjustmentSearch:
        try:
            searched_until, deals = self._complete_history(login, since)
        except (GatewayError, *_UNANSWERED) as error:
            return Inconclusive(str(error))
        matches = [deal for deal in deals if deal.comment == key]
        if not matches:
            return NotFound(searched_until)
        tickets = tuple(deal.ticket for deal in matches)
        if len(matches) > 1:
            return Conflict(tickets, "the key stands in the books more than once")
        deal = matches[0]
        ours = deal.login == login and deal.dealer == self._endpoint.login
        if not ours or deal.action != DealAction.BALANCE or deal.amount != amount:
            return Conflict(
                tickets, f"the key stands under action {deal.action}, {deal.amount}, by {deal.dealer}"
            )
        return Found(deal.ticket, deal.at, deal.server_seconds)

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
        require_usable_key(key)
        try:
            body = self._order_body(login, symbol, side, volume, key, position)
        except GatewayError as error:
            return Unknown(f"not sent: {error}")
        try:
            # queue and result are bound to one connection: leaving it would lose the subscription
            with self._leased(proven=True) as connection:
                _require_time_left(deadline)
                queued = connection.ask("dealer/send_request", body=body)
                if retcodes.refuses_order(queued.code):
                    return _refused_order(queued.code, queued.text)
                if queued.code not in (retcodes.DONE, retcodes.OK_NO_DATA):
                    return Unknown(queued.text)
                return _awaited_result(connection, queued.record().text("id"), timeout)
        except _UNANSWERED as error:
            return Unknown(str(error))

    def find_order(self, login: int, key: str, since: datetime) -> OrderSearch:
        try:
            searched_until, deals = self._complete_history(login, since)
        except (GatewayError, *_UNANSWERED) as error:
            return Inconclusive(str(error))
        trades = (DealAction.BUY, DealAction.SELL)
        matches = tuple(deal for deal in deals if deal.comment == key and deal.action in trades)
        return OrderFound(matches) if matches else NotFound(searched_until)

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        if self._owner_pid == os.getpid():
            for connection in idle:
                connection.close()

    # how

    def _order_body(
        self, login: int, symbol: str, side: Side, volume: Decimal, key: str, position: int | None
    ) -> dict[str, str]:
        specification = next((known for known in self.symbols() if known.name == symbol), None)
        if specification is None:
            raise ValueError(f"the server has no symbol {symbol}")
        server_volume = volume * 10_000
        if volume <= 0 or server_volume != server_volume.to_integral_value():
            raise ValueError(f"not a volume an order can have: {volume}")
        tick = self.last_ticks([symbol]).get(symbol)
        price = Decimal(0) if tick is None else tick.ask if side is Side.BUY else tick.bid
        body = {
            "Action": "200",
            "Login": str(login),
            "Symbol": symbol,
            "Type": "0" if side is Side.BUY else "1",
            "TypeFill": "0",
            "Volume": str(int(server_volume)),
            "PriceOrder": f"{price:f}",
            "Digits": str(specification.digits),
            "Comment": key,
            "SourceLogin": str(self._endpoint.login),
            "Flags": "2",
        }
        if position is not None:
            body["Position"] = str(position)
        return body

    def _read_deals(self, rows: _Rows[Deal], logins: Sequence[int], first: int, last: int) -> None:
        """Deals of some logins; a list the server cannot answer whole is halved, a single login is read by
        pages, and one whose pages do not come whole either is rejected."""
        parameters = {"login": ",".join(map(str, logins)), "from": first, "to": last}
        incomplete = (retcodes.OK_NO_DATA, retcodes.PARTIAL)
        answer = self._read("deal/get_batch", parameters, body={}, also=incomplete)
        if answer.code == retcodes.DONE:
            with _readable("deal/get_batch"):
                for record in answer.records():
                    rows.add(record)
            return
        if len(logins) > 1:
            middle = len(logins) // 2
            self._read_deals(rows, logins[:middle], first, last)
            self._read_deals(rows, logins[middle:], first, last)
            return
        try:
            with self._leased() as connection:
                deals = self._paged_deals(connection, logins[0], first, last)
        except (ConnectionLost, Forbidden) as error:
            raise GatewayUnavailable(str(error)) from error
        except (GatewayUnavailable, UnreadableAnswer) as error:
            rows.reject(logins[0], str(error))
            return
        for deal in deals:
            rows.keep(deal)

    def _paged_deals(self, connection: Connection, login: int, first: int, last: int) -> list[Deal]:
        """All deals of one login. Raises `GatewayUnavailable` where fewer come than the server says there
        are."""
        window: dict[str, object] = {"login": login, "from": first, "to": last}
        total_answer = connection.ask("deal/get_total", window)
        if total_answer.code != retcodes.DONE:
            raise GatewayUnavailable(f"deal/get_total: {total_answer.text}")
        total = total_answer.record().integer("total")
        deals: dict[int, Deal] = {}
        for offset in range(0, total, PAGE_SIZE):
            page = connection.ask("deal/get_page", {**window, "offset": offset, "total": PAGE_SIZE})
            if page.code != retcodes.DONE:
                raise GatewayUnavailable(f"deal/get_page: {page.text}")
            for record in page.records():
                deal = records.deal(record, self._zone)
                deals[deal.ticket] = deal
        if len(deals) < total:
            raise GatewayUnavailable(f"the history of {login} holds {total} deals, {len(deals)} came")
        return list(deals.values())

    def _complete_history(self, login: int, since: datetime) -> tuple[datetime, list[Deal]]:
        """What one login did since about `since`, shown to be complete, and until when (UTC).

        On a fresh connection: the one that lost an answer may still have it under way. The window is a day
        wider on both ends, so neither clocks nor clock changes hide anything. The balance must follow from
        the history.
        """
        connection = Connection(self._endpoint)
        try:
            now = connection.ask("time/server")
            if now.code != retcodes.DONE:
                raise GatewayUnavailable(f"time/server: {now.text}")
            seconds = now.record().integer("time")
            searched_until = from_server_milliseconds(seconds * 1000, self._zone, near=datetime.now(UTC))
            first = to_server_seconds(since - _SEARCH_MARGIN, self._zone)
            last = max(seconds, to_server_seconds(since, self._zone)) + int(_SEARCH_MARGIN.total_seconds())
            deals = self._paged_deals(connection, login, first, last)
            check = connection.ask("user/check_balance", {"login": login, "fixflag": 0})
            if check.code != retcodes.DONE:
                raise GatewayUnavailable(f"user/check_balance: {check.text}")
            balance = Record(check.record().get("Balance"))
            if balance.decimal("User") != balance.decimal("History"):
                raise GatewayUnavailable(f"the balance of {login} does not follow from its history")
            return searched_until, deals
        finally:
            connection.close()

    def _list(
        self, command: str, parameters: Mapping[str, object], read: Callable[[Record], T]
    ) -> tuple[T, ...]:
        answer = self._read(command, parameters)
        with _readable(command):
            return tuple(read(record) for record in answer.records())

    def _by_login(self, command: str, logins: Collection[int], read: Callable[[Record], T]) -> list[T]:
        found: list[T] = []
        for chunk in _chunks(list(dict.fromkeys(logins)), LOGINS_PER_CALL):
            parameters = {"login": ",".join(map(str, chunk))}
            # a batch of nothing but idle or unknown logins is answered as "no data" or "not found"
            answer = self._read(command, parameters, also=(retcodes.OK_NO_DATA, retcodes.NOT_FOUND))
            if answer.code == retcodes.DONE:
                with _readable(command):
                    found += [read(record) for record in answer.records()]
        return found

    def _read(
        self,
        command: str,
        parameters: Mapping[str, object] | None = None,
        body: Mapping[str, Any] | None = None,
        also: Collection[int] = (),
    ) -> Answer:
        """Ask, once more on a fresh connection if the first breaks. Return codes but 0 and `also` raise."""
        for attempt in ("first", "last"):
            try:
                with self._leased(fresh=attempt == "last") as connection:
                    answer = connection.ask(command, parameters, body)
                break
            except Forbidden as error:
                if attempt == "last":
                    raise GatewayNotAuthorised(str(error)) from error
            except (ConnectionLost, UnreadableAnswer) as error:
                if attempt == "last":
                    raise GatewayUnavailable(str(error)) from error
        if answer.code == retcodes.NO_PERMISSION:
            raise GatewayNotAuthorised(f"{command}: {answer.text}")
        if answer.code != retcodes.DONE and answer.code not in also:
            raise GatewayUnavailable(f"{command}: {answer.text}")
        return answer

    def _send_once(
        self,
        command: str,
        parameters: Mapping[str, object] | None = None,
        body: Mapping[str, Any] | None = None,
        deadline: float | None = None,
    ) -> Answer:
        with self._leased(proven=True) as connection:
            _require_time_left(deadline)
            return connection.ask(command, parameters, body)

    @contextmanager
    def _leased(self, *, fresh: bool = False, proven: bool = False) -> Iterator[Connection]:
        """A connection for one caller alone; it goes back to the others only if nothing went wrong on it."""
        connection = Connection(self._endpoint) if fresh else self._taken(proven)
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        with self._lock:
            if connection.is_open and len(self._idle) < IDLE_KEPT and self._owner_pid == os.getpid():
                self._idle.append(connection)
                return
        connection.close()

    def _taken(self, proven: bool) -> Connection:
        while (connection := self._pop_idle()) is not None:
            idle_for = time.monotonic() - connection.last_used
            if idle_for < IDLE_LIMIT and (not proven or idle_for < PROVEN_FOR or _answers_ping(connection)):
                return connection
            connection.close()
        return Connection(self._endpoint)

    def _pop_idle(self) -> Connection | None:
        with self._lock:
            if self._owner_pid != os.getpid():
                # the sockets are the parent's: two processes writing on one would mix their requests
                self._idle, self._owner_pid = [], os.getpid()
            return self._idle.pop() if self._idle else None


class _Remembered(Generic[T]):
    """What a server seldom changes, read again after `REFERENCE_LIFETIME`."""

    def __init__(self, read: Callable[[], tuple[T, ...]]) -> None:
        self._read = read
        self._known: tuple[float, tuple[T, ...]] | None = None

    def __call__(self) -> tuple[T, ...]:
        known = self._known
        if known is None or time.monotonic() - known[0] > REFERENCE_LIFETIME:
            known = self._known = (time.monotonic(), self._read())
        return known[1]


class _TooLate(GatewayError):
    """Not sent: by now somebody else may have found that it never was, and send it again."""


_UNANSWERED = (
    _TooLate,
    ConnectionLost,
    Forbidden,
    UnreadableAnswer,
    GatewayUnavailable,
    GatewayNotAuthorised,
)


@contextmanager
def _readable(command: str) -> Iterator[None]:
    try:
        yield
    except UnreadableAnswer as error:
        raise GatewayUnavailable(f"{command}: {error}") from error


def _require_time_left(deadline: float | None) -> None:
    """The last look at the clock before something is sent: signing in may have taken any time."""
    if deadline is not None and time.monotonic() > deadline:
        raise _TooLate("not sent: too late")


def _answers_ping(connection: Connection) -> bool:
    try:
        return connection.ask("test/access").code == retcodes.DONE
    except (ConnectionLost, Forbidden, UnreadableAnswer):
        return False


def _awaited_result(connection: Connection, request: str, timeout: float) -> OrderOutcome:
    deadline = time.monotonic() + timeout
    for attempt in itertools.count():
        answer = connection.ask("dealer/get_request_result", {"id": request})
        # "not found" is how some servers say "not ready"
        if answer.code not in (retcodes.DONE, retcodes.OK_NO_DATA, retcodes.NOT_FOUND):
            return Unknown(answer.text)
        outcome = _final_outcome(answer, request)
        if outcome is not None:
            return outcome
        pause = _POLL_PAUSES[min(attempt, len(_POLL_PAUSES) - 1)]
        if time.monotonic() + pause > deadline:
            break
        time.sleep(pause)
    return Unknown(f"no final result of request {request} after {timeout:g} s")


def _final_outcome(answer: Answer, request: str) -> OrderOutcome | None:
    """The outcome once an event says so; None while the request is under way."""
    events = answer.top.get(request)
    if events is None and isinstance(answer.content, dict):
        events = answer.content.get(request)
    for event in events or ():
        result = Record(event).get("result")
        if result is None:
            continue
        record = Record(result)
        code = record.integer("Retcode")
        if code in retcodes.ORDER_IN_PROGRESS:
            continue
        if code in retcodes.ORDER_FILLED:
            return Filled(
                deal=record.integer("DealID"),
                order=record.integer("OrderID", default=0),
                volume=records.volume(record, "Volume"),
                price=record.decimal("Price"),
            )
        text = record.text("Retcode")
        return _refused_order(code, text) if retcodes.refuses_order(code) else Unknown(text)
    return None


def _refused_order(code: int, text: str) -> Refused:
    return Refused(code, text, code == retcodes.NOT_ENOUGH_MONEY)


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


_Entry = TypeVar("_Entry", Deal, Position)


class _Rows(Generic[_Entry]):
    """Entries of several logins as they come in, by ticket: what an answer holds twice counts once.

    What of a login cannot be used spoils that login and no other.
    """

    def __init__(self, command: str, read: Callable[[Record], _Entry]) -> None:
        self._command = command
        self._read: Callable[[Record], _Entry] = read
        self._by_ticket: dict[int, _Entry] = {}
        self._rejected: dict[int, str] = {}

    def add(self, record: Record) -> None:
        """Raises `GatewayUnavailable` for a row that does not even say whose it is."""
        login = _login_of(record, self._command)
        try:
            entry = self._read(record)
        except UnreadableAnswer as error:
            self.reject(login, str(error))
        else:
            self.keep(entry)

    def keep(self, entry: _Entry) -> None:
        known = self._by_ticket.setdefault(entry.ticket, entry)
        if known != entry:
            for login in (known.login, entry.login):
                self.reject(login, f"ticket {entry.ticket} stands twice in one answer, with other figures")

    def reject(self, login: int, reason: str) -> None:
        logger.warning("%s of login %s: %s", self._command, login, reason)
        self._rejected[login] = reason

    def are_open(self, login: int) -> bool:
        """Whether the login has any entry, be it one that cannot be used."""
        return login in self._rejected or any(entry.login == login for entry in self._by_ticket.values())

    def by_login(self, logins: Collection[int]) -> dict[int, tuple[_Entry, ...]]:
        """In ticket order. Raises `GatewayUnreadable`."""
        if self._rejected:
            login, reason = next(iter(self._rejected.items()))
            raise GatewayUnreadable(f"{self._command}, login {login}: {reason}", self._rejected)
        found: dict[int, list[_Entry]] = defaultdict(list)
        for _, entry in sorted(self._by_ticket.items()):
            found[entry.login].append(entry)
        return {login: tuple(found[login]) for login in logins}


def _login_of(record: Record, command: str) -> int:
    with _readable(command):
        return record.integer("Login")
