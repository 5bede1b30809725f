"""Many accounts cost as many calls as one, and an answer is whole or none."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.pace import slowness
from tests.simulator import SimulatorProcess
from trading.gateway import Applied, Filled, Found, Side
from trading.mt5.gateway import Mt5Gateway
from trading.simulator import history

PASSWORD = "Passw0rd!"
STARTED = datetime(2026, 1, 1, tzinfo=UTC)
LOGINS = list(range(500_001, 500_201))


def loaded(folder: Path, logins: list[int], deals: list[history.PastDeal]) -> None:
    accounts = [
        history.PastAccount(login, "pamm\\USD", f"Account {login}", STARTED, PASSWORD, PASSWORD)
        for login in logins
    ]
    history.load(folder, accounts=accounts, deals=deals, timezone="Europe/Athens")


def deposits(logins: list[int], each: int = 1) -> list[history.PastDeal]:
    return [
        history.PastDeal(login, STARTED + timedelta(minutes=number), 2, Decimal("1.00"), f"d{number}")
        for number in range(each)
        for login in logins
    ]


@pytest.fixture
def many(tmp_path: Path) -> Iterator[SimulatorProcess]:
    loaded(tmp_path, LOGINS, deposits(LOGINS, each=3))
    process = SimulatorProcess(tmp_path).start()
    yield process
    process.stop()


def calls_for(simulator: SimulatorProcess, logins: list[int]) -> dict[str, int]:
    gateway = simulator.gateway()
    simulator.calls(reset=True)
    assert len(gateway.account_states(logins)) == len(logins)
    assert len(gateway.positions(logins)) == len(logins)
    assert len(gateway.accounts(logins)) == len(logins)
    deals = gateway.deals(logins, STARTED, STARTED + timedelta(days=1))
    assert [len(found) for found in deals.values()] == [3] * len(logins)
    gateway.close()
    return simulator.calls()


def test_two_hundred_accounts_cost_the_calls_of_one(many: SimulatorProcess) -> None:
    calls_of_two_hundred = calls_for(many, LOGINS)
    assert calls_of_two_hundred == calls_for(many, LOGINS[:1])
    assert calls_of_two_hundred["deal/get_batch"] == 1


def test_state_of_a_thousand_accounts_comes_in_one_fast_answer(tmp_path: Path) -> None:
    logins = list(range(600_001, 601_001))
    loaded(tmp_path, logins, deposits(logins))
    process = SimulatorProcess(tmp_path).start()
    try:
        gateway = process.gateway()
        for login in logins[:50]:
            process.ask("trade/balance", login=login, type=2, balance="5000", comment="")
            gateway.place_market_order(login, "EURUSD", Side.BUY, Decimal("0.1"), "key")
        asked = ",".join(map(str, logins))
        process.ask("test/access")
        took = []
        for _ in range(3):
            began = time.perf_counter()
            answer = process.ask("user/account/get_batch", login=asked)
            took.append(time.perf_counter() - began)
        assert len(answer.content) == 1000
        assert min(took) < 0.2 * slowness()
        gateway.close()
    finally:
        process.stop()


def test_unknown_logins_are_missing_from_states_and_empty_elsewhere(
    simulator: SimulatorProcess, gateway: Mt5Gateway
) -> None:
    login = simulator.add_account(amount="5.00")
    assert set(gateway.account_states([login, 4242])) == {login}
    assert set(gateway.accounts([login, 4242])) == {login}
    assert gateway.positions([4242]) == {4242: ()}
    assert gateway.account_states([]) == {}


def test_idle_accounts_without_state_are_read_from_their_record(tmp_path: Path) -> None:
    loaded(tmp_path, LOGINS[:3], deposits(LOGINS[:2]))
    process = SimulatorProcess(tmp_path, "--idle-states-absent").start()
    try:
        gateway = process.gateway()
        states = gateway.account_states(LOGINS[:3])
        assert [states[login].equity for login in LOGINS[:3]] == [1, 1, 0]
        assert [states[login].currency_digits for login in LOGINS[:3]] == [2, 2, 2]
        process.ask("trade/balance", login=LOGINS[0], type=2, balance="2.00", comment="")
        process.calls(reset=True)
        assert gateway.account_states(LOGINS[:3])[LOGINS[0]].equity == 3
        assert process.calls()["user/get_batch"] == 1
        gateway.close()
    finally:
        process.stop()


def test_history_too_long_for_one_answer_is_read_whole(tmp_path: Path) -> None:
    busy, quiet = LOGINS[0], LOGINS[1]
    loaded(tmp_path, [busy, quiet], [*deposits([busy], each=20_150), *deposits([quiet])])
    process = SimulatorProcess(tmp_path).start()
    try:
        gateway = process.gateway()
        deals = gateway.deals([busy, quiet], STARTED, STARTED + timedelta(days=60))
        assert (len(deals[busy]), len(deals[quiet])) == (20_150, 1)
        assert len({deal.ticket for deal in deals[busy]}) == 20_150
        gateway.close()
    finally:
        process.stop()


def test_page_of_more_than_a_hundred_is_refused(many: SimulatorProcess) -> None:
    window = {"login": LOGINS[0], "from": 0, "to": 2_000_000_000, "offset": 0}
    assert many.ask_anyway("deal/get_page", **window, total=101).code == 3
    assert len(many.ask("deal/get_page", **window, total=100).content) == 3


@pytest.mark.parametrize("selectors", [{}, {"login": 1, "group": "*"}, {"login": 1, "ticket": 1}])
def test_batch_takes_exactly_one_selector(simulator: SimulatorProcess, selectors: dict[str, Any]) -> None:
    assert simulator.ask_anyway("deal/get_batch", **selectors, **{"from": 0, "to": 1}).code == 3


def test_group_mask_includes_and_excludes(simulator: SimulatorProcess) -> None:
    euro, yen = simulator.add_account("pamm\\EUR"), simulator.add_account("pamm\\JPY")
    found = simulator.ask("user/logins", group="pamm\\*,!pamm\\JPY").content
    assert str(euro) in found
    assert str(yen) not in found


def test_scalars_are_strings_and_the_return_code_comes_first(simulator: SimulatorProcess) -> None:
    login = simulator.add_account("pamm\\EUR", "12.50")
    answer = simulator.ask("user/account/get", login=login)
    fields = answer.content
    assert all(isinstance(value, str) for value in fields.values())
    assert (fields["Balance"], fields["CurrencyDigits"], fields["Equity"]) == ("12.50", "2", "12.50")


def test_reference_tables_name_currencies_digits_and_contracts(gateway: Mt5Gateway) -> None:
    digits = {group.name: (group.currency, group.currency_digits) for group in gateway.groups()}
    assert digits["personal\\USD"] == ("USD", 2)
    assert digits["pamm\\JPY"] == ("JPY", 0)
    symbols = {symbol.name: symbol for symbol in gateway.symbols()}
    assert len(symbols) == 10
    assert symbols["EURUSD"].contract_size == 100_000
    assert symbols["EURUSD"].volume_step == Decimal("0.01")
    assert symbols["USDJPY"].point == Decimal("0.001")


def test_last_ticks_are_the_ones_set(simulator: SimulatorProcess, gateway: Mt5Gateway) -> None:
    simulator.set_tick("GBPUSD", "1.31000", "1.31020", age_seconds=600)
    tick = gateway.last_ticks(["GBPUSD", "NOSUCH"], group="pamm\\USD")["GBPUSD"]
    assert (tick.bid, tick.ask) == (Decimal("1.31000"), Decimal("1.31020"))
    assert timedelta(seconds=595) < datetime.now(UTC) - tick.at < timedelta(seconds=660)
    assert set(gateway.last_ticks(["GBPUSD", "NOSUCH"])) == {"GBPUSD"}


def test_documented_letter_case_is_understood(tmp_path: Path) -> None:
    process = SimulatorProcess(tmp_path, "--documented-case").start()
    try:
        gateway = process.gateway()
        login = process.add_account(amount="10000.00")
        started = gateway.server_time().at
        assert gateway.adjust_balance(login, Decimal(1), "key") == Applied(2)
        assert isinstance(gateway.find_adjustment(login, "key", Decimal(1), started), Found)
        order = gateway.place_market_order(login, "EURUSD", Side.BUY, Decimal("0.1"), "order")
        assert isinstance(order, Filled)
        gateway.close()
    finally:
        process.stop()
