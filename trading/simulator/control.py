"""What nobody can ask a real server for: faults, switches, prices, the clock, somebody else's hand in the
books. Served as `test/*` commands to tests and behind the console's forms.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Collection
from datetime import timedelta
from decimal import Decimal

from trading.simulator.books import Books, not_found
from trading.simulator.catalogue import VOLUME_SCALE
from trading.simulator.clock import ServerClock
from trading.simulator.faults import (
    AT_THE_DEALER,
    ON_THE_WAY,
    PARTIAL,
    REQUOTE,
    Fault,
    FaultKind,
    Faults,
    Fields,
)
from trading.simulator.market import Market
from trading.simulator.parameters import Parameters, bad_parameter, matching
from trading.simulator.store import Store
from trading.simulator.switches import Switches

Members = dict[str, object]

ORDER_COMMAND = "dealer/send_request"
LONGEST_SECONDS = 3_600
FILLED_CODES = (0, 10008, 10009, 10010, 11001)
"""Codes that say an order stands or was executed: not a dealer's refusal."""
_FURTHEST_SHIFT = 26 * 60
_SECONDS_PER_YEAR = 366 * 86_400


class Control:
    def __init__(
        self,
        *,
        store: Store,
        books: Books,
        market: Market,
        clock: ServerClock,
        faults: Faults,
        switches: Switches,
        calls: Counter[str],
        commands: Collection[str],
    ) -> None:
        """`commands` are the names a fault may be armed for; `calls` counts them."""
        self._store = store
        self._books = books
        self._market = market
        self._clock = clock
        self._faults = faults
        self._switches = switches
        self._calls = calls
        self._commands = commands
        self.restart_asked = asyncio.Event()
        self.seconds_down = 0.0
        self.table: dict[str, Callable[[Parameters], Members]] = {
            "test/tick": self._tick,
            "test/freeze": self._freeze,
            "test/fault": self._fault,
            "test/faults": self._list_faults,
            "test/delay": self._delay_deals,
            "test/idle": self._hide_idle_states,
            "test/balance": self._operate,
            "test/clock": self._move_clock,
            "test/zone": self._shift_zone,
            "test/restart": self._restart,
            "test/calls": self._count_calls,
        }

    # prices

    def _tick(self, parameters: Parameters) -> Members:
        symbol = self._market.symbols.get(parameters.text("symbol"))
        if symbol is None:
            raise not_found(f"symbol {parameters.text('symbol')}")
        bid = parameters.scaled("bid", symbol.digits)
        ask = parameters.scaled("ask", symbol.digits) if "ask" in parameters else bid + symbol.spread
        if not 0 < bid <= ask:
            raise bad_parameter("bid", "is not above 0 and at most the ask")
        self._market.set_tick(symbol.name, bid, ask, age_msc=parameters.whole("age", 0) * 1000)
        self._books.keep_quotes()
        self._books.stop_out()
        return {}

    def _freeze(self, parameters: Parameters) -> Members:
        for name in matching(parameters.text("symbol", default="*"), self._market.symbols):
            self._market.quotes[name].frozen = parameters.whole("frozen", 1) != 0
        self._books.keep_quotes()
        return {}

    # faults and switches

    def _fault(self, parameters: Parameters) -> Members:
        if "clear" in parameters:
            return self._all_off()
        if "disarm" in parameters:
            if not self._faults.disarm(parameters.whole("disarm")):
                raise not_found(f"fault {parameters.text('disarm')}")
            return {}
        return {"answer": {"number": str(self._faults.arm(self._fault_from(parameters)))}}

    def _fault_from(self, parameters: Parameters) -> Fault:
        try:
            kind = FaultKind(parameters.text("kind"))
        except ValueError as error:
            raise bad_parameter("kind", "is unknown") from error
        fault = Fault(
            command=ORDER_COMMAND if kind in AT_THE_DEALER else parameters.text("command").strip().lower(),
            kind=kind,
            calls=parameters.whole("calls", 1),
            skip=parameters.whole("skip", 0),
            login=parameters.whole("login", 0),
            symbol=parameters.text("symbol", default=""),
            seconds=float(parameters.number("seconds", Decimal(0))),
            code=parameters.whole("code", _USUAL_CODES.get(kind, 0)),
            rows=parameters.whole("rows") if "rows" in parameters else None,
            volume=int(parameters.number("lots", Decimal(0)) * VOLUME_SCALE),
            fields=_fields(parameters),
        )
        if not matching(fault.command, self._commands):
            raise bad_parameter("command", f"names no command: {fault.command}")
        if fault.calls < 0 or fault.skip < 0 or fault.login < 0 or (fault.rows or 0) < 0:
            raise bad_parameter("calls, skip, login or rows", "is negative")
        if fault.symbol and (fault.symbol not in self._market.symbols or kind in ON_THE_WAY | AT_THE_DEALER):
            raise bad_parameter("symbol", "is unknown, or this kind is not about rows of a symbol")
        if kind in (FaultKind.LATE, FaultKind.APPLY_LATE) and not 0 < fault.seconds <= LONGEST_SECONDS:
            raise bad_parameter("seconds", f"is not above 0 and at most {LONGEST_SECONDS}")
        if kind is FaultKind.REFUSE and fault.code <= 0:
            raise bad_parameter("code", "is not a return code that refuses")
        if kind is FaultKind.DEALER_REFUSES and fault.code in FILLED_CODES:
            raise bad_parameter("code", "says that the order stands or was executed")
        if kind is FaultKind.PARTIAL_FILL and fault.volume <= 0:
            raise bad_parameter("lots", "is not above 0")
        if kind is FaultKind.LIE and not fault.fields:
            raise bad_parameter("fields", "names none to change")
        return fault

    def _all_off(self) -> Members:
        """No fault armed, every switch off, the zone as the books have it."""
        self._faults.disarm()
        self._switches.idle_states_hidden = False
        self._switches.deal_delays.clear()
        self._store.show_deals()
        self._switches.keep(self._store)
        self._set_shift(0)
        return {}

    def _list_faults(self, parameters: Parameters) -> Members:
        delays = {str(login): str(seconds) for login, seconds in self._switches.deal_delays.items()}
        switches = {
            "idle_states_hidden": str(int(self._switches.idle_states_hidden)),
            "deal_delays": delays,
            "zone_shift_minutes": str(int(self._clock.shift.total_seconds()) // 60),
            "advance_seconds": str(int(self._clock.advance.total_seconds())),
        }
        armed = [_shown(fault) for fault in self._faults.armed]
        return {"answer": {"armed": armed, "switches": switches, "late": str(self._faults.late)}}

    def _delay_deals(self, parameters: Parameters) -> Members:
        """From now on deals are shown `seconds` after they were made; 0 ends that and shows all."""
        login, seconds = parameters.whole("login", 0), parameters.whole("seconds")
        if login:
            self._books.account(login)
        if not 0 <= seconds <= LONGEST_SECONDS:
            raise bad_parameter("seconds", f"is not from 0 to {LONGEST_SECONDS}")
        if seconds:
            self._switches.deal_delays[login] = seconds
        else:
            self._switches.deal_delays.pop(login, None)
            self._store.show_deals(login=login)
        self._switches.keep(self._store)
        return {}

    def _hide_idle_states(self, parameters: Parameters) -> Members:
        self._switches.idle_states_hidden = parameters.whole("hidden", 1) != 0
        self._switches.keep(self._store)
        self._books.forget_activity()
        return {}

    # somebody else's hand

    def _operate(self, parameters: Parameters) -> Members:
        ticket = self._books.operate(
            login=parameters.whole("login"),
            action=parameters.whole("type", 2),
            amount=parameters.number("balance"),
            comment=parameters.text("comment", default=""),
            check_margin=False,
            dealer=parameters.whole("dealer", 0),
        )
        return {"answer": {"ticket": str(ticket)}}

    # time and process

    def _move_clock(self, parameters: Parameters) -> Members:
        advance = self._clock.advance + timedelta(seconds=_within(parameters, "advance", _SECONDS_PER_YEAR))
        if abs(advance) > timedelta(seconds=10 * _SECONDS_PER_YEAR):
            raise bad_parameter("advance", "leads more than ten years away")
        self._set_clock(advance, self._clock.shift)
        return {}

    def _shift_zone(self, parameters: Parameters) -> Members:
        """The clock shows `minutes` more than the zone of the books has it; booked times stay."""
        self._set_shift(_within(parameters, "minutes", _FURTHEST_SHIFT))
        return {}

    def _set_shift(self, minutes: int) -> None:
        self._set_clock(self._clock.advance, timedelta(minutes=minutes))

    def _set_clock(self, advance: timedelta, shift: timedelta) -> None:
        before = self._clock.advance + self._clock.shift
        self._clock.advance, self._clock.shift = advance, shift
        self._market.carry_frozen((advance + shift - before) // timedelta(milliseconds=1))
        self._books.keep_quotes()
        # Before anybody trades on the new day: no position opened on it is charged for the night.
        self._books.change_day()
        self._store.put_meta("advance_seconds", str(int(advance.total_seconds())))
        self._store.put_meta("zone_shift_minutes", str(int(shift.total_seconds()) // 60))

    def _restart(self, parameters: Parameters) -> Members:
        """End like a server that goes down, and come back after `seconds` on the same ports and books."""
        seconds = float(parameters.number("seconds", Decimal(0)))
        if not 0 <= seconds <= LONGEST_SECONDS:
            raise bad_parameter("seconds", f"is not from 0 to {LONGEST_SECONDS}")
        self.seconds_down = seconds
        # late enough for the answer to leave
        asyncio.get_running_loop().call_later(0.05, self.restart_asked.set)
        return {}

    def _count_calls(self, parameters: Parameters) -> Members:
        counted = {name: str(count) for name, count in self._calls.items()}
        if "reset" in parameters:
            self._calls.clear()
        return {"answer": counted}


_USUAL_CODES = {FaultKind.PARTIAL: PARTIAL, FaultKind.DEALER_REFUSES: REQUOTE}


def _within(parameters: Parameters, name: str, limit: int) -> int:
    number = parameters.whole(name)
    if abs(number) > limit:
        raise bad_parameter(name, f"is not from {-limit} to {limit}")
    return number


def _fields(parameters: Parameters) -> Fields:
    """`fields` as a JSON object of texts (null: absent), or one `field` and its `value` (blank: absent)."""
    if name := parameters.text("field", default=""):
        return {name: parameters.text("value", default="") or None}
    try:
        given = json.loads(parameters.text("fields", default="") or "{}")
    except ValueError as error:
        raise bad_parameter("fields", "is not JSON") from error
    if not isinstance(given, dict):
        raise bad_parameter("fields", "is not a JSON object")
    return {name: None if value is None else str(value) for name, value in given.items()}


def _shown(fault: Fault) -> dict[str, object]:
    return {
        "number": str(fault.number),
        "kind": fault.kind.value,
        "command": fault.command,
        "login": str(fault.login),
        "symbol": fault.symbol,
        "calls": str(fault.calls),
        "hits": str(fault.hits),
        "skip": str(fault.skip),
        "seconds": f"{fault.seconds:g}",
        "code": str(fault.code),
        "rows": "" if fault.rows is None else str(fault.rows),
        "lots": f"{(Decimal(fault.volume) / VOLUME_SCALE):f}",
        "fields": fault.fields,
    }
