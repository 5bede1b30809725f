"""Market orders through the dealer queue, and what they do to the figures, to the cent."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.simulator import SimulatorProcess
from trading.gateway import (
    DealEntry,
    Filled,
    Gateway,
    NotFound,
    OrderFound,
    OrderSearch,
    Refused,
    Side,
    Unknown,
)
from trading.mt5.gateway import Mt5Gateway


def now() -> datetime:
    return datetime.now(UTC)


def opened(
    gateway: Gateway,
    login: int,
    symbol: str = "EURUSD",
    side: Side = Side.BUY,
    volume: str = "1",
    key: str = "open",
) -> Filled:
    filled = gateway.place_market_order(login, symbol, side, Decimal(volume), key)
    assert isinstance(filled, Filled)
    return filled


def closed(gateway: Gateway, login: int, key: str = "close", volume: Decimal | None = None) -> Filled:
    (position,) = gateway.positions([login])[login]
    opposite = Side.SELL if position.side is Side.BUY else Side.BUY
    filled = gateway.place_market_order(
        login, position.symbol, opposite, volume or position.volume, key, position=position.ticket
    )
    assert isinstance(filled, Filled)
    return filled


@pytest.mark.parametrize(
    ("group", "symbol", "side", "volume", "open_at", "close_at", "profit"),
    [
        # (1.10500 bid - 1.10010 ask) * 100,000
        ("personal\\USD", "EURUSD", Side.BUY, "1", ("1.10000", "1.10010"), ("1.10500", "1.10510"), "490.00"),
        # (1.10000 bid - 1.10510 ask) * 25,000
        ("house\\USD", "EURUSD", Side.SELL, "0.25", ("1.10000", "1.10010"), ("1.10500", "1.1051"), "-127.50"),
        # 490 USD gained, a euro bought at the ask of 1.10510: 443.3987
        ("personal\\EUR", "EURUSD", Side.BUY, "1", ("1.10000", "1.10010"), ("1.10500", "1.10510"), "443.40"),
        # 127.50 USD lost, a euro sold at the bid of 1.10500: 115.3846
        ("pamm\\EUR", "EURUSD", Side.SELL, "0.25", ("1.10000", "1.10010"), ("1.10500", "1.10510"), "-115.38"),
        # (151.000 - 150.020) * 10,000 yen, no decimals and no conversion
        ("pamm\\JPY", "USDJPY", Side.BUY, "0.1", ("150.000", "150.020"), ("151.000", "151.020"), "9800"),
        # 9,800 yen at 151.020 to the dollar: 64.8921
        ("pamm\\USD", "USDJPY", Side.BUY, "0.1", ("150.000", "150.020"), ("151.000", "151.020"), "64.89"),
        # 100 ounces a lot
        ("pamm\\USD", "XAUUSD", Side.BUY, "0.03", ("2300.00", "2300.30"), ("2311.11", "2311.41"), "32.43"),
    ],
)  # fmt: skip
def test_round_trip_brings_its_profit_to_the_cent(
    simulator: SimulatorProcess,
    gateway: Mt5Gateway,
    group: str,
    symbol: str,
    side: Side,
    volume: str,
    open_at: tuple[str, str],
    close_at: tuple[str, str],
    profit: str,
) -> None:
    start = Decimal(1_000_000)
    login = simulator.add_account(group, start)
    simulator.set_tick(symbol, *open_at)
    opened(gateway, login, symbol, side, volume)
    simulator.set_tick(symbol, *close_at)
    state = gateway.account_states([login])[login]
    assert (state.profit, state.balance, state.floating) == (Decimal(profit), start, Decimal(profit))
    (position,) = gateway.positions([login])[login]
    assert position.profit == Decimal(profit)
    closed(gateway, login)
    after = gateway.account_states([login])[login]
    assert (after.balance, after.equity, after.margin) == (
        start + Decimal(profit),
        start + Decimal(profit),
        Decimal(0),
    )
    assert gateway.positions([login]) == {login: ()}


def test_deals_of_a_round_trip_tell_what_happened(simulator: SimulatorProcess, gateway: Mt5Gateway) -> None:
    simulator.set_tick("EURUSD", "1.10000", "1.10010")
    login, started = simulator.add_account(amount="10000.00"), now()
    entry, leaving = opened(gateway, login), closed(gateway, login)
    _, first, second = gateway.deals([login], started - timedelta(minutes=1), now())[login]
    assert (first.ticket, first.entry, first.volume) == (entry.deal, DealEntry.IN, Decimal(1))
    assert (second.ticket, second.entry, second.volume_closed) == (leaving.deal, DealEntry.OUT, Decimal(1))
    assert (first.position, second.position) == (entry.order, entry.order)
    assert (first.price, second.price) == (Decimal("1.10010"), Decimal("1.10000"))
    assert second.trade_result == Decimal("-10.00")
    assert not second.is_flow
    assert (first.comment, second.comment) == ("open", "close")


def test_part_of_a_position_closes_and_the_rest_stays(
    simulator: SimulatorProcess, gateway: Mt5Gateway
) -> None:
    simulator.set_tick("EURUSD", "1.10000", "1.10000")
    login = simulator.add_account(amount="10000.00")
    opened(gateway, login)
    simulator.set_tick("EURUSD", "1.10100", "1.10100")
    closed(gateway, login, volume=Decimal("0.3"))
    (rest,) = gateway.positions([login])[login]
    assert (rest.volume, rest.profit) == (Decimal("0.7"), Decimal("70.00"))
    assert simulator.balance(login) == Decimal("10030.00")


def test_opposite_positions_stand_side_by_side_and_bind_one_margin(
    simulator: SimulatorProcess, gateway: Mt5Gateway
) -> None:
    simulator.set_tick("EURUSD", "1.10000", "1.10000")
    login = simulator.add_account(amount="10000.00")
    opened(gateway, login)
    opened(gateway, login, side=Side.SELL, volume="0.4", key="hedge")
    assert [position.side for position in gateway.positions([login])[login]] == [Side.BUY, Side.SELL]
    assert gateway.account_states([login])[login].margin == Decimal("1100.00")


def test_margin_of_gold_follows_its_price(simulator: SimulatorProcess, gateway: Mt5Gateway) -> None:
    simulator.set_tick("XAUUSD", "2300.00", "2300.00")
    login = simulator.add_account(amount="10000.00", leverage=50)
    opened(gateway, login, "XAUUSD", volume="0.1")
    # 10 ounces of 2,300.00 at 1:50
    assert gateway.account_states([login])[login].margin == Decimal("460.00")


@pytest.mark.parametrize(
    ("volume", "position", "code"),
    [("1000", None, 10014), ("100", None, 10019), ("1", 1, 10036)],
)
def test_order_that_cannot_be_is_refused_and_changes_nothing(
    simulator: SimulatorProcess, gateway: Mt5Gateway, volume: str, position: int | None, code: int
) -> None:
    simulator.set_tick("EURUSD", "1.10000")
    login = simulator.add_account(amount="1000.00")
    refused = gateway.place_market_order(login, "EURUSD", Side.BUY, Decimal(volume), "key", position=position)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.not_enough_money) == (code, code == 10019)
    assert gateway.account_states([login])[login].equity == Decimal("1000.00")


def test_closing_more_than_is_open_is_refused(simulator: SimulatorProcess, gateway: Mt5Gateway) -> None:
    simulator.set_tick("EURUSD", "1.10000")
    login = simulator.add_account(amount="1000.00")
    position = opened(gateway, login, volume="0.1").order
    refused = gateway.place_market_order(login, "EURUSD", Side.SELL, Decimal("0.2"), "key", position=position)
    assert isinstance(refused, Refused)
    assert refused.code == 10038


@pytest.mark.parametrize(("symbol", "volume"), [("NOSUCH", "1"), ("EURUSD", "0"), ("EURUSD", "0.00001")])
def test_order_that_makes_no_sense_is_a_programming_error(
    simulator: SimulatorProcess, gateway: Mt5Gateway, symbol: str, volume: str
) -> None:
    login = simulator.add_account(amount="1000.00")
    with pytest.raises(ValueError, match=r"no symbol|not a volume"):
        gateway.place_market_order(login, symbol, Side.BUY, Decimal(volume), "key")


def test_lost_order_answer_is_unknown_and_found_by_its_key(
    simulator: SimulatorProcess, gateway: Mt5Gateway
) -> None:
    simulator.set_tick("EURUSD", "1.10000")
    login, started = simulator.add_account(amount="10000.00"), now()
    simulator.arm_fault("drop_after", "dealer/send_request", login=login)
    assert isinstance(gateway.place_market_order(login, "EURUSD", Side.BUY, Decimal(1), "lost"), Unknown)
    found: OrderSearch = NotFound(started)
    deadline = now() + timedelta(seconds=5)
    while isinstance(found, NotFound) and now() < deadline:
        found = gateway.find_order(login, "lost", started)
    assert isinstance(found, OrderFound)
    assert [deal.volume for deal in found.deals] == [1]


def test_lost_order_request_is_unknown_and_not_found(
    simulator: SimulatorProcess, gateway: Mt5Gateway
) -> None:
    simulator.set_tick("EURUSD", "1.10000")
    login, started = simulator.add_account(amount="10000.00"), now()
    simulator.arm_fault("drop_before", "dealer/send_request", login=login)
    assert isinstance(gateway.place_market_order(login, "EURUSD", Side.BUY, Decimal(1), "lost"), Unknown)
    assert isinstance(gateway.find_order(login, "lost", started), NotFound)
    assert gateway.positions([login])[login] == ()


def test_order_without_final_result_in_time_is_unknown(tmp_path: Path) -> None:
    process = SimulatorProcess(tmp_path, "--dealer-delay", "2").start()
    try:
        login = process.add_account(amount="10000.00")
        gateway = process.gateway()
        outcome = gateway.place_market_order(login, "EURUSD", Side.BUY, Decimal(1), "slow", timeout=0.5)
        assert isinstance(outcome, Unknown)
        gateway.close()
    finally:
        process.stop()


def test_stop_out_closes_the_worst_position_first(simulator: SimulatorProcess, gateway: Mt5Gateway) -> None:
    simulator.set_tick("EURUSD", "1.10000", "1.10000")
    simulator.set_tick("GBPUSD", "1.30000", "1.30000")
    login, started = simulator.add_account(amount="3000.00"), now()
    opened(gateway, login, "EURUSD", volume="1")
    opened(gateway, login, "GBPUSD", volume="1")
    # margin 2,400.00, stop-out at equity 1,200.00 or less; one euro trade gone leaves margin 1,300.00
    simulator.set_tick("EURUSD", "1.08201", "1.08201")
    assert len(gateway.positions([login])[login]) == 2
    simulator.set_tick("EURUSD", "1.08200", "1.08200")
    (left,) = gateway.positions([login])[login]
    assert left.symbol == "GBPUSD"
    state = gateway.account_states([login])[login]
    assert (state.balance, state.equity, state.margin) == tuple(map(Decimal, (1200, 1200, 1300)))
    last = gateway.deals([login], started, now())[login][-1]
    assert last.comment.startswith("[so ")
    assert last.trade_result == Decimal("-1800.00")


def test_jump_beyond_everything_leaves_a_negative_balance(
    simulator: SimulatorProcess, gateway: Mt5Gateway
) -> None:
    simulator.set_tick("EURUSD", "1.10000", "1.10000")
    login = simulator.add_account(amount="2000.00")
    opened(gateway, login)
    simulator.set_tick("EURUSD", "1.05000", "1.05000")
    state = gateway.account_states([login])[login]
    assert (state.balance, state.equity, state.margin) == tuple(map(Decimal, (-3000, -3000, 0)))
    assert gateway.positions([login])[login] == ()


def test_commission_is_taken_on_both_sides_and_is_part_of_the_result(tmp_path: Path) -> None:
    process = SimulatorProcess(tmp_path, "--commission-per-lot", "3.5").start()
    try:
        login, started = process.add_account(amount="10000.00"), now()
        gateway = process.gateway()
        process.set_tick("EURUSD", "1.10000", "1.10000")
        opened(gateway, login, volume="0.5")
        closed(gateway, login)
        assert process.balance(login) == Decimal("9996.50")
        _, *trades = gateway.deals([login], started - timedelta(minutes=1), now())[login]
        assert [deal.trade_result for deal in trades] == [Decimal("-1.75")] * 2
        gateway.close()
    finally:
        process.stop()


def test_swap_is_charged_at_the_servers_midnight_and_realised_on_closing(tmp_path: Path) -> None:
    process = SimulatorProcess(tmp_path, "--tick-interval", "0.05").start()
    try:
        login = process.add_account(amount="10000.00")
        gateway = process.gateway()
        process.set_tick("EURUSD", "1.10000", "1.10000")
        opened(gateway, login)
        process.advance_clock(24 * 3600)
        deadline = now() + timedelta(seconds=5)
        while not (storage := gateway.account_states([login])[login].storage) and now() < deadline:
            pass
        # 7 points of 0.00001 on 100,000
        assert storage == Decimal("-7.00")
        closed(gateway, login)
        assert process.balance(login) == Decimal("9993.00")
        gateway.close()
    finally:
        process.stop()
