"""What the simulated server trades, and in which groups its accounts are."""

from __future__ import annotations

from dataclasses import dataclass

VOLUME_SCALE = 10**8
"""Volume units per lot inside the server."""


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    currency: str
    digits: int
    margin_call: int = 100
    stop_out: int = 50


@dataclass(frozen=True, slots=True)
class Symbol:
    """Prices, spread and steps in points of 10^-digits; swaps in points per lot and night."""

    name: str
    path: str
    digits: int
    contract_size: int
    base: str
    profit: str
    start: int
    spread: int
    step: int
    swap_long: int
    swap_short: int
    forex: bool = True
    volume_min: int = VOLUME_SCALE // 100
    volume_max: int = 500 * VOLUME_SCALE
    volume_step: int = VOLUME_SCALE // 100

    @property
    def margin_currency(self) -> str:
        return self.base if self.forex else self.profit


_DIGITS = {"USD": 2, "EUR": 2, "JPY": 0}

GROUPS = {
    group.name: group
    for family in ("personal", "pamm", "house")
    for group in (Group(f"{family}\\{currency}", currency, digits) for currency, digits in _DIGITS.items())
}

SYMBOLS = {
    symbol.name: symbol
    for symbol in (
        Symbol("EURUSD", "Forex\\Major\\EURUSD", 5, 100_000, "EUR", "USD", 108_500, 8, 6, -7, 2),
        Symbol("GBPUSD", "Forex\\Major\\GBPUSD", 5, 100_000, "GBP", "USD", 127_200, 12, 8, -5, 1),
        Symbol("USDJPY", "Forex\\Major\\USDJPY", 3, 100_000, "USD", "JPY", 151_300, 10, 9, 12, -22),
        Symbol("USDCHF", "Forex\\Major\\USDCHF", 5, 100_000, "USD", "CHF", 88_400, 13, 6, 6, -11),
        Symbol("AUDUSD", "Forex\\Major\\AUDUSD", 5, 100_000, "AUD", "USD", 65_700, 10, 5, -3, 0),
        Symbol("USDCAD", "Forex\\Major\\USDCAD", 5, 100_000, "USD", "CAD", 137_100, 14, 7, 2, -6),
        Symbol("NZDUSD", "Forex\\Major\\NZDUSD", 5, 100_000, "NZD", "USD", 60_200, 14, 5, -2, -1),
        Symbol("EURJPY", "Forex\\Cross\\EURJPY", 3, 100_000, "EUR", "JPY", 164_200, 18, 11, 8, -18),
        Symbol("XAUUSD", "Metals\\XAUUSD", 2, 100, "XAU", "USD", 234_500, 25, 22, -38, 15, forex=False),
        Symbol("US500", "Indices\\US500", 2, 1, "USD", "USD", 548_000, 60, 35, -70, 10, forex=False,
               volume_min=VOLUME_SCALE // 10, volume_step=VOLUME_SCALE // 10),
    )
}  # fmt: skip
