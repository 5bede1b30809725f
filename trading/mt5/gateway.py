"""The gateway interface over the MT5 Web API.

Reads are batched, and repeated once on a fresh connection when the first one breaks or has lost its session.
Balance operations and orders are sent exactly once, on a connection that has just proved itself.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
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

_SEARCH_MARGIN = timedelta(days=1)
_POLL_PAUSES = (0.02, 0.05, 0.1, 0.25)

T = TypeVar("T")


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
        found = self._by_login("user/get_batch", logins, records.account)
        return {account.login: account for account in found}

    def check_password(self, login: int, password: str) -> bool:
        body = {"Login": str(login), "Type": "main", "Password": password}
        wrong = (retcodes.INVALID_PASSWORD, retcodes.NOT_FOUND)
        return self._read("user/check_password", body=body, also=wrong).code not in wrong

    def account_states(self, logins: Collection[int]) -> dict[int, AccountState]:
        found = self._by_login("user/account/get_batch", logins, records.account_state)
        states = {state.login: state for state in found}
        idle = [login for login in logins if login not in states]
        if idle:
            digits = {group.name: group.currency_digits for group in self.groups()}
            for account in self.accounts(idle).values():
                if account.group not in digits:
                    raise GatewayUnavailable(
                        f"login {account.login} is in a group we cannot see: {account.group}"
                    )
                states[account.login] = records.idle_state(account, digits[account.group])
        return states

    def positions(self, logins: Collection[int]) -> dict[int, tuple[Position, ...]]:
        zone = self._zone
        found = self._by_login("position/get_batch", logins, lambda record: records.position(record, zone))
        return _grouped(logins, found)

    def deals(self, logins: Collection[int], since: datetime, until: datetime) -> dict[int, tuple[Deal, ...]]:
        first, last = server_window(since, until, self._zone)
        found: list[Deal] = []
        for chunk in _chunks(list(dict.fromkeys(logins)), LOGINS_PER_CALL):
            found += self._deals_of(chunk, first, last)
        return _grouped(logins, found)

    def last_ticks(self, symbols: Sequence[str], *, group: str | None = None) -> Mapping[str, Tick]:
        ticks: dict[str, Tick] = {}
        for chunk in _chunks(list(dict.fromkeys(symbols)), SYMBOLS_PER_CALL):
            parameters: dict[str, object] = {"symbol": ",".join(chunk)}
            if group is None:
                answer = self._read("tick/last", {**parameters, "trans_id": 0})
            else:
                answer = self._read("tick/last_group", {**parameters, "group": group})
            with _readable("tick/last"):
                for record in answer.records():
                    tick = records.tick(record, self._zone)
                    ticks[tick.symbol] = tick
        return ticks

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
        self, login: int, amount: Decimal, key: str, *, check_margin: bool = True
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
            answer = self._send_once("trade/balance", parameters)
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
    ) -> OrderOutcome:
        require_usable_key(key)
        try:
            body = self._order_body(login, symbol, side, volume, key, position)
        except GatewayError as error:
            return Unknown(f"not sent: {error}")
        try:
            # queue and result are bound to one connection: leaving it would lose the subscription
            with self._leased(proven=True) as connection:
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

    def _deals_of(self, logins: Sequence[int], first: int, last: int) -> list[Deal]:
        """Deals of some logins; a list the server cannot answer whole is halved, a single login is read by
        pages."""
        parameters = {"login": ",".join(map(str, logins)), "from": first, "to": last}
        incomplete = (retcodes.OK_NO_DATA, retcodes.PARTIAL)
        answer = self._read("deal/get_batch", parameters, body={}, also=incomplete)
        if answer.code == retcodes.DONE:
            with _readable("deal/get_batch"):
                return [records.deal(record, self._zone) for record in answer.records()]
        if len(logins) > 1:
            middle = len(logins) // 2
            return self._deals_of(logins[:middle], first, last) + self._deals_of(logins[middle:], first, last)
        with self._leased() as connection, _readable("deal/get_page"):
            try:
                return self._paged_deals(connection, logins[0], first, last)
            except (ConnectionLost, Forbidden) as error:
                raise GatewayUnavailable(str(error)) from error

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
    ) -> Answer:
        with self._leased(proven=True) as connection:
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


_UNANSWERED = (ConnectionLost, Forbidden, UnreadableAnswer, GatewayUnavailable, GatewayNotAuthorised)


@contextmanager
def _readable(command: str) -> Iterator[None]:
    try:
        yield
    except UnreadableAnswer as error:
        raise GatewayUnavailable(f"{command}: {error}") from error


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


def _grouped(logins: Collection[int], entries: Collection[_Entry]) -> dict[int, tuple[_Entry, ...]]:
    by_login: dict[int, list[_Entry]] = defaultdict(list)
    for entry in sorted(entries, key=lambda entry: entry.ticket):
        by_login[entry.login].append(entry)
    return {login: tuple(by_login[login]) for login in logins}
