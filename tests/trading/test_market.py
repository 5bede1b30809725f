"""The simulated price process: repeatable, bounded, and still where it was told to stand."""

from datetime import UTC
from decimal import Decimal

import pytest

from trading.simulator.catalogue import SYMBOLS
from trading.simulator.clock import ServerClock
from trading.simulator.market import Market, NoPrice


def market(seed: int = 1) -> Market:
    return Market(SYMBOLS.values(), ServerClock(UTC), seed)


def path(moving: Market, steps: int = 200) -> list[dict[str, int]]:
    walked = []
    for _ in range(steps):
        moving.step()
        walked.append({name: quote.bid for name, quote in moving.quotes.items()})
    return walked


def test_same_seed_walks_the_same_way_and_another_seed_another() -> None:
    assert path(market(7)) == path(market(7))
    assert path(market(7)) != path(market(8))


def test_prices_stay_near_their_start_and_keep_their_spread() -> None:
    walking = market()
    for prices in path(walking, steps=5000):
        assert all(abs(bid / SYMBOLS[name].start - 1) < 0.05 for name, bid in prices.items())
    assert all(quote.ask - quote.bid == SYMBOLS[name].spread for name, quote in walking.quotes.items())


def test_prices_return_to_their_start_from_both_sides() -> None:
    for displaced in (-400, 400):
        walking = market()
        for name, quote in walking.quotes.items():
            quote.bid = SYMBOLS[name].start + displaced
        walked = path(walking, steps=3000)[1000:]
        for name, symbol in SYMBOLS.items():
            mean = sum(prices[name] for prices in walked) / len(walked)
            assert abs(mean - symbol.start) < 4 * symbol.step


def test_price_set_by_hand_stands_still_until_released() -> None:
    walking = market()
    walking.set_tick("EURUSD", 111_111, 111_120)
    assert "EURUSD" not in walking.step()
    assert walking.quotes["EURUSD"].bid == 111_111
    walking.quotes["EURUSD"].frozen = False
    assert "EURUSD" in walking.step()


@pytest.mark.parametrize(
    ("source", "target", "gain", "rate"),
    [
        ("USD", "USD", True, "1"),
        ("EUR", "USD", True, "1.1000000000"),
        ("EUR", "USD", False, "1.1001000000"),
        ("USD", "EUR", True, "0.9090082720"),
        ("CHF", "JPY", True, "187.4765654293"),
    ],
)
def test_currencies_convert_at_the_side_that_is_dealt(
    source: str, target: str, gain: bool, rate: str
) -> None:
    still = market()
    still.set_tick("EURUSD", 110_000, 110_010)
    still.set_tick("USDCHF", 80_000, 80_010)
    still.set_tick("USDJPY", 150_000, 150_010)
    assert still.rate(source, target, gain=gain) == Decimal(rate)


def test_currency_that_nothing_connects_has_no_price() -> None:
    with pytest.raises(NoPrice):
        market().rate("SEK", "USD", gain=True)


def test_symbols_that_cannot_be_converted_are_not_started_with() -> None:
    market().require_rates(["USD", "EUR", "JPY"])
    with pytest.raises(NoPrice):
        Market([SYMBOLS["EURUSD"]], ServerClock(UTC), 1).require_rates(["USD", "EUR", "JPY"])
