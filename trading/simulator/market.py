"""Prices: a seeded, mean-reverting random walk per symbol in whole points, and ticks set by hand."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from trading.simulator.catalogue import Symbol
from trading.simulator.clock import ServerClock

_RATE_QUANTUM = Decimal("1E-10")
_REVERSION = 120
"""Steps in which a distance from the start would be made up if it shrank evenly."""


class NoPrice(Exception):
    """No symbol connects two currencies. Cannot happen once `require_rates` has passed."""


@dataclass(slots=True)
class Quote:
    """Bid and ask in points, server time in milliseconds, the running number of the change."""

    bid: int
    ask: int
    time_msc: int
    trans_id: int
    frozen: bool = False


class Market:
    def __init__(self, symbols: Iterable[Symbol], clock: ServerClock, seed: int) -> None:
        self.symbols = {symbol.name: symbol for symbol in symbols}
        self._clock = clock
        self._random = {name: random.Random(f"{seed}/{name}") for name in self.symbols}  # noqa: S311 - prices
        self.trans_id = 1
        now = clock.milliseconds()
        self.quotes = {
            name: Quote(symbol.start, symbol.start + symbol.spread, now, 1)
            for name, symbol in self.symbols.items()
        }

    def set_tick(self, name: str, bid: int, ask: int, *, age_msc: int = 0) -> None:
        """Set a price by hand; the symbol stands still from then on."""
        self._quote(name, bid, ask, self._clock.milliseconds() - age_msc)
        self.quotes[name].frozen = True

    def restore(self, name: str, bid: int, ask: int, time_msc: int, frozen: bool) -> None:
        if name in self.quotes:
            self._quote(name, bid, ask, time_msc)
            self.quotes[name].frozen = frozen

    def carry_frozen(self, milliseconds: int) -> None:
        """The server's clock moved: prices that stand still keep their age, as live ones would."""
        for quote in self.quotes.values():
            if quote.frozen:
                quote.time_msc += milliseconds

    def step(self) -> list[str]:
        """Move every symbol that is not frozen by one step of its process; the names that moved."""
        now = self._clock.milliseconds()
        moved = []
        for name, symbol in self.symbols.items():
            quote = self.quotes[name]
            if quote.frozen:
                continue
            random_of = self._random[name]
            # rounded at random: rounding down would pull every price below its start
            pull = (symbol.start - quote.bid + random_of.randrange(_REVERSION)) // _REVERSION
            bid = max(symbol.spread, quote.bid + random_of.randint(-symbol.step, symbol.step) + pull)
            self._quote(name, bid, bid + symbol.spread, now)
            moved.append(name)
        return moved

    def rate(self, source: str, target: str, *, gain: bool) -> Decimal:
        """Units of `target` for one of `source`, 10 places: sold at the bid for a gain, bought at the ask
        for a cost.

        Raises `NoPrice`.
        """
        if source == target:
            return Decimal(1)
        direct = self._direct(source, target, gain=gain)
        if direct is None:
            first, second = self._direct(source, "USD", gain=gain), self._direct("USD", target, gain=gain)
            if first is None or second is None:
                raise NoPrice(f"{source} to {target}")
            direct = first * second
        return direct.quantize(_RATE_QUANTUM)

    def require_rates(self, currencies: Iterable[str]) -> None:
        """Raise `NoPrice` unless everything traded can be converted to each of these currencies."""
        for symbol in self.symbols.values():
            for currency in currencies:
                self.rate(symbol.profit, currency, gain=True)
                self.rate(symbol.margin_currency, currency, gain=True)

    def _direct(self, source: str, target: str, *, gain: bool) -> Decimal | None:
        if source == target:
            return Decimal(1)
        if name := self._pairs.get((source, target)):
            quote = self.quotes[name]
            return Decimal(quote.bid if gain else quote.ask).scaleb(-self.symbols[name].digits)
        if name := self._pairs.get((target, source)):
            quote = self.quotes[name]
            return 1 / Decimal(quote.ask if gain else quote.bid).scaleb(-self.symbols[name].digits)
        return None

    @cached_property
    def _pairs(self) -> dict[tuple[str, str], str]:
        return {(symbol.base, symbol.profit): name for name, symbol in self.symbols.items() if symbol.forex}

    def _quote(self, name: str, bid: int, ask: int, time_msc: int) -> None:
        self.trans_id += 1
        quote = self.quotes[name]
        quote.bid, quote.ask, quote.time_msc, quote.trans_id = bid, ask, time_msc, self.trans_id
