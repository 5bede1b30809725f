"""The commands of the Web API, one method each, and the table that names them."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from trading.simulator import wire
from trading.simulator.books import (
    BAD_PARAMETERS,
    BAD_PASSWORD,
    BAD_REQUEST,
    COMMENT_LENGTH,
    DEFAULT_RIGHTS,
    NOT_FOUND,
    Books,
    Execution,
    Refusal,
    hashed_password,
    is_password,
)
from trading.simulator.catalogue import GROUPS
from trading.simulator.clock import ServerClock
from trading.simulator.faults import AT_THE_DEALER, Fault, FaultKind, Faults, code_text
from trading.simulator.market import Market
from trading.simulator.parameters import Parameters, matching
from trading.simulator.session import DealerRequest, Session, proof, stored_hash
from trading.simulator.store import Account, Deal, Position, Store

Members = dict[str, object]

PAGE_LIMIT = 100
MASK_LIMIT = 5_000
"""Records after which a query by group mask is answered as partial."""
BATCH_LIMIT = 20_000
"""Deals after which any batch is answered as partial: beyond it the answer would pass 16 MB."""
QUEUE_LIMIT = 128
REQUEST_LIFETIME = 180.0
SKIP_MARGIN_CHECK = 0x400

DONE = (0, "Done")
PARTIAL = (14, "Operation has not been completed")
TOO_MANY_REQUESTS = (10024, "Too many requests")
FILLED, FILLED_PARTIALLY = 10009, 10010

_WHOLE_COLUMNS = {
    "action": "action", "entry": "entry", "reason": "reason", "order": "order_id", "positionid": "position",
    "dealer": "dealer",
}  # fmt: skip
"""Fields of a deal as `deal/update` names them (in lower case), and where the books keep them."""


class SessionRefused(Exception):
    """Answered with 403 and the end of the connection."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Where real servers differ from each other, and what tests shorten."""

    documented_case: bool = False
    dealer_delay: float = 0.02
    sign_in_window: float = 10.0
    idle_timeout: float = 180.0


class Commands:
    def __init__(
        self,
        *,
        store: Store,
        books: Books,
        market: Market,
        clock: ServerClock,
        faults: Faults,
        passwords: dict[int, str],
        behaviour: Behaviour,
    ) -> None:
        self._store = store
        self._books = books
        self._market = market
        self._clock = clock
        self._faults = faults
        self._hashes = {login: stored_hash(password) for login, password in passwords.items()}
        self._behaviour = behaviour
        self._request_ids = itertools.count(int(time.time()))
        self._pending = 0
        self.calls: Counter[str] = Counter()
        self._open_to_strangers: dict[str, Callable[[Session, Parameters], Members]] = {
            "auth/start": self._auth_start,
            "auth/answer": self._auth_answer,
        }
        self._table: dict[str, Callable[[Session, Parameters], Members]] = {
            "test/access": lambda session, parameters: {},
            "user/get": self._user_get,
            "user/get_batch": self._user_get_batch,
            "user/logins": self._user_logins,
            "user/total": self._user_total,
            "user/add": self._user_add,
            "user/update": self._user_update,
            "user/check_password": self._user_check_password,
            "user/change_password": self._user_change_password,
            "user/check_balance": self._user_check_balance,
            "user/account/get": self._account_get,
            "user/account/get_batch": self._account_get_batch,
            "deal/get": self._deal_get,
            "deal/get_total": self._deal_get_total,
            "deal/get_page": self._deal_get_page,
            "deal/get_batch": self._deal_get_batch,
            "deal/update": self._deal_update,
            "deal/delete": self._deal_delete,
            "position/get_total": self._position_get_total,
            "position/get_page": self._position_get_page,
            "position/get_batch": self._position_get_batch,
            "trade/balance": self._trade_balance,
            "dealer/send_request": self._dealer_send_request,
            "dealer/get_request_result": self._dealer_get_request_result,
            "tick/last": self._tick_last,
            "tick/last_group": self._tick_last,
            "symbol/get": self._symbol_get,
            "symbol/get_group": self._symbol_get,
            "symbol/list": self._symbol_list,
            "symbol/total": self._symbol_total,
            "group/get": self._group_get,
            "group/total": self._group_total,
            "group/next": self._group_next,
            "time/server": self._time_server,
            "time/get": self._time_get,
        }

    @property
    def names(self) -> tuple[str, ...]:
        return (*self._open_to_strangers, *self._table)

    def run(self, command: str, session: Session, parameters: Parameters, *, refuse: int = 0) -> Members:
        """Carry out one command; what it changed is durable when this returns.

        With `refuse` it is answered with that return code instead. Raises `Refusal`, `SessionRefused`.
        """
        self.calls[command] += 1
        if refuse:
            raise Refusal(refuse, code_text(refuse))
        if command in self._open_to_strangers:
            return self._open_to_strangers[command](session, parameters)
        if not session.authenticated:
            raise SessionRefused
        if command not in self._table:
            raise Refusal(12_000, "Not implemented")
        try:
            self._books.show_deals_due()
            return self._table[command](session, parameters)
        finally:
            self._store.commit()

    def _small(self, name: str, value: object) -> Members:
        return {"answer": {name.capitalize() if self._behaviour.documented_case else name: str(value)}}

    # sign-in

    def _auth_start(self, session: Session, parameters: Parameters) -> Members:
        if parameters.whole("version") < 484:
            raise Refusal(1010, "Old version")
        if parameters.text("type", default="").lower() != "manager" or not parameters.text(
            "agent", default=""
        ):
            raise Refusal(1000, "Invalid client type")
        manager = parameters.whole("login")
        if manager not in self._hashes:
            raise Refusal(1020, "Unknown account")
        return {"version_access": "4755", "srv_rand": session.begin(manager).hex()}

    def _auth_answer(self, session: Session, parameters: Parameters) -> Members:
        try:
            theirs = bytes.fromhex(parameters.text("srv_rand_answer"))
            challenge = bytes.fromhex(parameters.text("cli_rand"))
        except ValueError as error:
            raise Refusal(*BAD_PARAMETERS) from error
        hashed = self._hashes.get(session.manager, b"")
        if not session.is_answered_by(theirs, hashed, self._behaviour.sign_in_window):
            raise SessionRefused
        session.authenticated = True
        return {
            "version_access": "4755",
            "version_trade": "4755",
            "cli_rand_answer": proof(hashed, challenge).hex(),
        }

    # users

    def _user_get(self, session: Session, parameters: Parameters) -> Members:
        return {"answer": wire.user(self._books.account(parameters.whole("login")))}

    def _user_get_batch(self, session: Session, parameters: Parameters) -> Members:
        return {"answer": [wire.user(account) for account in self._selected(parameters)]}

    def _user_logins(self, session: Session, parameters: Parameters) -> Members:
        return {"answer": [str(account.login) for account in self._in_groups(parameters.text("group"))]}

    def _user_total(self, session: Session, parameters: Parameters) -> Members:
        return self._small("total", len(self._books.accounts))

    def _user_add(self, session: Session, parameters: Parameters) -> Members:
        account = self._books.add_account(
            login=parameters.whole("login", 0),
            group=parameters.text("group"),
            name=parameters.text("name", "firstname"),
            leverage=parameters.whole("leverage"),
            rights=parameters.whole("rights", DEFAULT_RIGHTS),
            password=parameters.text("passmain", "pass_main"),
            investor_password=parameters.text("passinvestor", "pass_investor"),
            comment=parameters.text("comment", default=""),
        )
        return {"answer": wire.user(account)}

    def _user_update(self, session: Session, parameters: Parameters) -> Members:
        account = self._books.account(parameters.whole("login"))
        group = parameters.text("group", default=account.group)
        if group in GROUPS and GROUPS[group].currency == GROUPS[account.group].currency:
            account.group = group
        account.name = parameters.text("name", default=account.name)[:127]
        account.comment = parameters.text("comment", default=account.comment)[:63]
        leverage = parameters.whole("leverage", account.leverage)
        if 1 <= leverage <= 500:
            account.leverage = leverage
        account.rights = parameters.whole("rights", account.rights)
        self._books.save(account)
        return {"answer": wire.user(account)}

    def _user_check_password(self, session: Session, parameters: Parameters) -> Members:
        account = self._books.account(parameters.whole("login"))
        kind = parameters.text("type", default="main").lower()
        stored = account.investor_password if kind == "investor" else account.password
        if not is_password(parameters.text("password"), stored):
            raise Refusal(*BAD_PASSWORD)
        return {}

    def _user_change_password(self, session: Session, parameters: Parameters) -> Members:
        account = self._books.account(parameters.whole("login"))
        password = hashed_password(parameters.text("password"))
        if parameters.text("type", default="main").lower() == "investor":
            account.investor_password = password
        else:
            account.password = password
        self._books.save(account)
        return {}

    def _user_check_balance(self, session: Session, parameters: Parameters) -> Members:
        account = self._books.account(parameters.whole("login"))
        stored, booked = self._books.checked_money(account.login, fix=parameters.whole("fixflag", 0) != 0)
        digits = GROUPS[account.group].digits
        shown = {
            "Balance": {"User": stored[0], "History": booked[0]},
            "Credit": {"User": stored[1], "History": booked[1]},
        }
        pad = "000000"[digits:]
        point = "." if digits == 0 else ""
        return {
            "answer": {
                name: {side: wire.fixed(value, digits) + point + pad for side, value in pair.items()}
                for name, pair in shown.items()
            }
        }

    def _account_get(self, session: Session, parameters: Parameters) -> Members:
        account = self._books.account(parameters.whole("login"))
        if not self._books.has_state(account.login):
            raise Refusal(*NOT_FOUND)
        return {"answer": wire.account_state(self._books.state(account.login))}

    def _account_get_batch(self, session: Session, parameters: Parameters) -> Members:
        selected = self._selected(parameters)
        accounts = [account for account in selected if self._books.has_state(account.login)]
        if selected and not accounts:
            raise Refusal(*NOT_FOUND)
        return {"answer": [wire.account_state(self._books.state(account.login)) for account in accounts]}

    # deals and positions

    def _deal_get(self, session: Session, parameters: Parameters) -> Members:
        return {"answer": self._deal_fields(self._books.deal(parameters.whole("ticket")))}

    def _deal_get_total(self, session: Session, parameters: Parameters) -> Members:
        login = self._books.account(parameters.whole("login")).login
        return self._small("total", self._store.deal_count(login, *_window(parameters)))

    def _deal_get_page(self, session: Session, parameters: Parameters) -> Members:
        login = self._books.account(parameters.whole("login")).login
        limit = parameters.whole("total", PAGE_LIMIT)
        if not 0 < limit <= PAGE_LIMIT:
            raise Refusal(*BAD_PARAMETERS)
        deals = self._store.deals(
            login, *_window(parameters), offset=parameters.whole("offset", 0), limit=limit
        )
        return {"answer": [self._deal_fields(deal) for deal in deals]}

    def _deal_get_batch(self, session: Session, parameters: Parameters) -> Members:
        if _selector(parameters) == "ticket":
            found = [self._store.deal(ticket) for ticket in parameters.wholes("ticket")]
            return {"answer": [self._deal_fields(deal) for deal in found if deal is not None]}
        first, last = _window(parameters)
        symbols = set(parameters.text("symbol", default="").split(",")) - {""}
        deals: list[Deal] = []
        for account in self._selected(parameters):
            found_here = self._store.deals(account.login, first, last, limit=BATCH_LIMIT + 1)
            deals += [deal for deal in found_here if not symbols or deal.symbol in symbols]
        limit = MASK_LIMIT if "group" in parameters else BATCH_LIMIT
        answer: Members = {"answer": [self._deal_fields(deal) for deal in deals[:limit]]}
        return answer if len(deals) <= limit else {"retcode": "{} {}".format(*PARTIAL), **answer}

    def _deal_update(self, session: Session, parameters: Parameters) -> Members:
        """An administrator's edit: absent fields stay, and so does the account's balance."""
        deal = self._books.deal(parameters.whole("deal"))
        symbol = self._market.symbols.get(deal.symbol)
        money_digits = GROUPS[self._books.accounts[deal.login].group].digits
        changes: dict[str, int | str] = {
            column: parameters.whole(name) for name, column in _WHOLE_COLUMNS.items() if name in parameters
        }
        for name in ("profit", "storage", "commission", "fee"):
            if name in parameters:
                changes[name] = parameters.scaled(name, money_digits)
        if "price" in parameters:
            changes["price"] = parameters.scaled("price", symbol.digits if symbol else money_digits)
        for name, column in (("volume", "volume"), ("volumeclosed", "volume_closed")):
            if f"{name}ext" in parameters:
                changes[column] = parameters.whole(f"{name}ext")
            elif name in parameters:
                changes[column] = parameters.whole(name) * 10_000
        if "timemsc" in parameters or "time" in parameters:
            changes["time_msc"] = parameters.whole("timemsc", 0) or parameters.whole("time") * 1000
        if parameters.has("comment"):
            changes["comment"] = parameters.text("comment")[:COMMENT_LENGTH]
        return {"answer": self._deal_fields(self._books.edit_deal(deal.ticket, **changes))}

    def _deal_delete(self, session: Session, parameters: Parameters) -> Members:
        for ticket in parameters.wholes("ticket"):
            self._books.delete_deal(ticket)
        return {}

    def _position_get_total(self, session: Session, parameters: Parameters) -> Members:
        login = self._books.account(parameters.whole("login")).login
        return self._small("total", sum(1 for _ in self._books.positions([login])))

    def _position_get_page(self, session: Session, parameters: Parameters) -> Members:
        login = self._books.account(parameters.whole("login")).login
        limit, offset = parameters.whole("total", PAGE_LIMIT), parameters.whole("offset", 0)
        if not 0 < limit <= PAGE_LIMIT or offset < 0:
            raise Refusal(*BAD_PARAMETERS)
        newest_first = sorted(self._books.positions([login]), key=lambda position: -position.ticket)
        page = newest_first[offset : offset + limit]
        return {"answer": [self._position_fields(position) for position in page]}

    def _position_get_batch(self, session: Session, parameters: Parameters) -> Members:
        if _selector(parameters) == "ticket":
            tickets = set(parameters.wholes("ticket"))
            found = [position for position in self._books.positions() if position.ticket in tickets]
        else:
            found = list(self._books.positions([account.login for account in self._selected(parameters)]))
        symbols = set(parameters.text("symbol", default="").split(",")) - {""}
        wanted = [position for position in found if not symbols or position.symbol in symbols]
        return {"answer": [self._position_fields(position) for position in wanted]}

    # money and orders

    def _trade_balance(self, session: Session, parameters: Parameters) -> Members:
        ticket = self._books.operate(
            login=parameters.whole("login"),
            action=parameters.whole("type"),
            amount=parameters.number("balance"),
            comment=parameters.text("comment", default=""),
            check_margin=parameters.whole("check_margin", 1) != 0,
            dealer=session.manager,
        )
        return self._small("ticket", ticket)

    def _dealer_send_request(self, session: Session, parameters: Parameters) -> Members:
        if self._pending >= QUEUE_LIMIT:
            raise Refusal(*TOO_MANY_REQUESTS)
        if parameters.whole("action") != 200:
            raise Refusal(*BAD_REQUEST)
        self._books.account(parameters.whole("login"))
        parameters.whole("digits")
        volume = parameters.whole("volumeext", 0) or parameters.whole("volume") * 10_000
        fault = self._faults.take("dealer/send_request", parameters.logins, AT_THE_DEALER)
        identity = str(next(self._request_ids))
        request = DealerRequest(time.monotonic(), [_event(identity, 10002)])
        session.requests[identity] = request
        self._pending += 1
        # runs whether or not the connection that asked is still there
        asyncio.get_running_loop().call_later(
            self._behaviour.dealer_delay,
            self._execute,
            identity,
            request,
            parameters,
            session.manager,
            volume,
            fault,
        )
        if self._behaviour.documented_case:
            return {"answer": {"ID": identity}}
        return {"answer": {"id": identity}}

    def _execute(
        self,
        identity: str,
        request: DealerRequest,
        parameters: Parameters,
        dealer: int,
        volume: int,
        fault: Fault | None,
    ) -> None:
        self._pending -= 1
        try:
            if fault and fault.kind is FaultKind.DEALER_REFUSES:
                raise Refusal(fault.code, code_text(fault.code))
            executed = min(fault.volume, volume) if fault else volume
            execution = self._executed(parameters, dealer, executed)
            digits = self._market.symbols[parameters.text("symbol")].digits
            code = FILLED if executed == volume else FILLED_PARTIALLY
            request.events.append(_event(identity, code, execution, digits))
        except Refusal as refusal:
            request.events.append(_event(identity, refusal.code))
        finally:
            self._store.commit()
            request.final = True

    def _executed(self, parameters: Parameters, dealer: int, volume: int) -> Execution:
        login, comment = parameters.whole("login"), parameters.text("comment", default="")
        if ticket := parameters.whole("position", 0):
            return self._books.reduce(
                login=login, ticket=ticket, volume=volume, comment=comment, dealer=dealer
            )
        return self._books.open(
            login=login,
            symbol=parameters.text("symbol"),
            action=parameters.whole("type"),
            volume=volume,
            comment=comment,
            dealer=dealer,
            check_margin=not parameters.whole("flags", 0) & SKIP_MARGIN_CHECK,
        )

    def _dealer_get_request_result(self, session: Session, parameters: Parameters) -> Members:
        wanted = (
            parameters.text("id", default="").split(",") if "id" in parameters else list(session.requests)
        )
        answer: dict[str, object] = {}
        for identity in wanted:
            request = session.requests.get(identity)
            if request is None:
                continue
            if request.final or time.monotonic() - request.queued_at > REQUEST_LIFETIME:
                del session.requests[identity]
            answer[identity], request.events = request.events, []
        return {"answer": answer}

    # prices, symbols, groups, time

    def _tick_last(self, session: Session, parameters: Parameters) -> Members:
        since = parameters.whole("trans_id", 0)
        ticks = [
            wire.tick(self._market.symbols[name], self._market.quotes[name])
            for name in self._symbols(parameters.text("symbol"))
            if self._market.quotes[name].trans_id > since
        ]
        return {"trans_id": str(self._market.trans_id), "answer": ticks}

    def _symbol_get(self, session: Session, parameters: Parameters) -> Members:
        mask = parameters.text("symbol")
        symbols = [wire.symbol(self._market.symbols[name]) for name in self._symbols(mask)]
        if not symbols:
            raise Refusal(*NOT_FOUND)
        return {"answer": symbols if "*" in mask or "," in mask else symbols[0]}

    def _symbol_list(self, session: Session, parameters: Parameters) -> Members:
        return {"answer": list(self._market.symbols)}

    def _symbol_total(self, session: Session, parameters: Parameters) -> Members:
        return self._small("total", len(self._market.symbols))

    def _group_get(self, session: Session, parameters: Parameters) -> Members:
        mask = parameters.text("group")
        groups = [wire.group(GROUPS[name]) for name in matching(mask, GROUPS)]
        if not groups:
            raise Refusal(*NOT_FOUND)
        return {"answer": groups if "*" in mask or "," in mask else groups[0]}

    def _group_total(self, session: Session, parameters: Parameters) -> Members:
        return self._small("total", len(GROUPS))

    def _group_next(self, session: Session, parameters: Parameters) -> Members:
        index = parameters.whole("index")
        if not 0 <= index < len(GROUPS):
            raise Refusal(*NOT_FOUND)
        return {"answer": wire.group(list(GROUPS.values())[index])}

    def _time_server(self, session: Session, parameters: Parameters) -> Members:
        seconds = self._clock.milliseconds() // 1000
        return self._small("time", f"{seconds} {datetime.fromtimestamp(seconds, UTC):%Y.%m.%d %H:%M:%S}")

    def _time_get(self, session: Session, parameters: Parameters) -> Members:
        minutes = str(self._clock.offset_minutes())
        return {"answer": {"Daylight": "0", "DaylightState": "0", "TimeZone": minutes, "TimeServer": ""}}

    # how

    def _selected(self, parameters: Parameters) -> list[Account]:
        """Accounts of a batch by its one selector, logins as asked for, unknown ones left out."""
        if _selector(parameters) == "group":
            return self._in_groups(parameters.text("group"))
        known = self._books.accounts
        return [known[login] for login in parameters.wholes("login") if login in known]

    def _in_groups(self, mask: str) -> list[Account]:
        names = set(matching(mask, GROUPS))
        return [account for account in self._books.accounts.values() if account.group in names]

    def _symbols(self, mask: str) -> list[str]:
        by_name = set(matching(mask, self._market.symbols))
        return [
            name
            for name, symbol in self._market.symbols.items()
            if name in by_name or matching(mask, [symbol.path])
        ]

    def _deal_fields(self, deal: Deal) -> wire.Fields:
        group = GROUPS[self._books.accounts[deal.login].group]
        modified = deal.ticket in self._store.modified_deals
        return wire.deal(deal, group, self._market.symbols.get(deal.symbol), modified=modified)

    def _position_fields(self, position: Position) -> wire.Fields:
        return wire.position(position, self._books, self._market.symbols[position.symbol])


def _selector(parameters: Parameters) -> str:
    given = [name for name in ("login", "group", "ticket") if name in parameters]
    if len(given) != 1:
        raise Refusal(*BAD_PARAMETERS)
    return given[0]


def _window(parameters: Parameters) -> tuple[int, int]:
    """First and last millisecond of the asked period, whole seconds inclusive."""
    return parameters.whole("from") * 1000, parameters.whole("to") * 1000 + 999


def _event(
    identity: str, code: int, execution: Execution | None = None, digits: int = 0
) -> dict[str, object]:
    done = execution or Execution(0, 0, 0, 0)
    return {
        "result": {
            "ID": identity,
            "Retcode": str(code),
            "DealID": str(done.deal),
            "OrderID": str(done.order),
            "Volume": str(done.volume // 10_000),
            "VolumeExt": str(done.volume),
            "Price": wire.fixed(done.price, digits),
            "Comment": "",
            "Flags": "0",
        }
    }
