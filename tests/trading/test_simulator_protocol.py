"""Commands of the simulated server that the platform's own client does not use, and the forms others send."""

from decimal import Decimal
from pathlib import Path

import pytest

from tests.simulator import PASSWORD, SimulatorProcess
from trading.gateway import Side
from trading.mt5.connection import Connection, ConnectionLost
from trading.mt5.gateway import Mt5Gateway

ALWAYS = {"from": 0, "to": 4_000_000_000}


def logins_of(content: object) -> list[str]:
    assert isinstance(content, list)
    return [item["Login"] for item in content]


def test_body_decides_over_the_address_and_may_hold_lists(simulator: SimulatorProcess) -> None:
    first, second, third = (simulator.add_account() for _ in range(3))
    connection = Connection(simulator.endpoint())
    answer = connection.ask("user/get_batch", {"login": first}, {"Login": [second, str(third)]})
    assert logins_of(answer.content) == [str(second), str(third)]
    connection.close()


def test_batch_by_tickets_and_by_symbol(simulator: SimulatorProcess, gateway: Mt5Gateway) -> None:
    simulator.set_tick("EURUSD", "1.10000")
    login = simulator.add_account(amount="10000.00")
    gateway.place_market_order(login, "EURUSD", Side.BUY, Decimal("0.1"), "euro")
    gateway.place_market_order(login, "XAUUSD", Side.SELL, Decimal("0.01"), "gold")
    deposit, euro, gold = simulator.ask("deal/get_batch", login=login, **ALWAYS).content
    by_ticket = simulator.ask("deal/get_batch", ticket=f"{gold['Deal']},{deposit['Deal']},4242424").content
    assert [deal["Comment"] for deal in by_ticket] == ["gold", "opening"]
    by_symbol = simulator.ask("deal/get_batch", login=login, symbol="EURUSD,US500", **ALWAYS).content
    assert [deal["Deal"] for deal in by_symbol] == [euro["Deal"]]
    positions = simulator.ask("position/get_page", login=login, offset=0, total=1).content
    assert [position["Comment"] for position in positions] == ["gold"]
    assert simulator.ask("position/get_total", login=login).record().integer("total") == 2
    tickets = simulator.ask("position/get_batch", ticket=euro["PositionID"]).content
    assert [position["Volume"] for position in tickets] == ["1000"]


def test_deals_have_two_volumes_and_both_times(simulator: SimulatorProcess, gateway: Mt5Gateway) -> None:
    simulator.set_tick("EURUSD", "1.10000")
    login = simulator.add_account(amount="10000.00")
    gateway.place_market_order(login, "EURUSD", Side.BUY, Decimal("0.25"), "key")
    deal = simulator.ask("deal/get_batch", login=login, symbol="EURUSD", **ALWAYS).content[0]
    assert (deal["Volume"], deal["VolumeExt"]) == ("2500", "25000000")
    assert int(deal["TimeMsc"]) // 1000 == int(deal["Time"])


def test_mark_of_the_last_change_gives_only_newer_ticks(simulator: SimulatorProcess) -> None:
    mark = simulator.ask("tick/last", symbol="*", trans_id=0).top.integer("trans_id")
    assert simulator.ask("tick/last", symbol="*", trans_id=mark).content == []
    simulator.set_tick("AUDUSD", "0.66000")
    newer = simulator.ask("tick/last", symbol="Forex\\Major\\AUD*,US500", trans_id=mark).content
    assert [tick["Symbol"] for tick in newer] == ["AUDUSD"]


def test_account_is_updated_and_its_password_changed(simulator: SimulatorProcess) -> None:
    login = simulator.add_account()
    simulator.ask("user/update", login=login, leverage=33, name="Renamed", group="none", rights=0x163 | 0x4)
    account = simulator.ask("user/get", login=login).record()
    assert (account.text("Leverage"), account.text("Name"), account.text("Rights")) == (
        "33",
        "Renamed",
        "359",
    )
    assert account.text("Group") == "personal\\USD"
    simulator.ask("user/change_password", login=login, type="main", password="N3w!Passw0rd")
    assert (
        simulator.ask_anyway("user/check_password", login=login, type="main", password=PASSWORD).code == 3006
    )
    simulator.ask("user/check_password", login=login, type="main", password="N3w!Passw0rd")
    simulator.ask("user/check_password", login=login, type="investor", password=PASSWORD)


def test_groups_are_counted_and_walked(simulator: SimulatorProcess) -> None:
    total = simulator.ask("group/total").record().integer("total")
    names = [simulator.ask("group/next", index=index).record().text("Group") for index in range(total)]
    assert sorted(names) == sorted(item["Group"] for item in simulator.ask("group/get", group="*").content)
    assert simulator.ask_anyway("group/next", index=total).code == 13


@pytest.mark.parametrize("command", ["user/get", "user/account/get", "deal/get_total", "user/check_balance"])
def test_unknown_login_is_not_found(simulator: SimulatorProcess, command: str) -> None:
    assert simulator.ask_anyway(command, login=4242, **ALWAYS).code == 13


def test_command_nobody_wrote_is_not_implemented(simulator: SimulatorProcess) -> None:
    assert simulator.ask_anyway("order/get", ticket=1).code == 12000


def test_test_commands_do_not_exist_unless_asked_for(tmp_path: Path) -> None:
    process = SimulatorProcess(tmp_path, test_commands=False).start()
    try:
        assert process.ask_anyway("test/tick", symbol="EURUSD", bid="1").code == 12000
        assert process.ask_anyway("test/balance", login=1, balance="1").code == 12000
        assert process.ask("test/access").code == 0
    finally:
        process.stop()


def test_dealer_queue_is_full_at_128(tmp_path: Path) -> None:
    process = SimulatorProcess(tmp_path, "--dealer-delay", "5").start()
    try:
        login = process.add_account(amount="1000000.00")
        order = {"action": 200, "login": login, "symbol": "EURUSD", "type": 0, "volume": 100, "digits": 5}
        for _ in range(128):
            process.ask("dealer/send_request", **order)
        assert process.ask_anyway("dealer/send_request", **order).code == 10024
    finally:
        process.stop()


def test_result_is_read_only_on_the_connection_that_asked(simulator: SimulatorProcess) -> None:
    login = simulator.add_account(amount="10000.00")
    order = {"action": 200, "login": login, "symbol": "EURUSD", "type": 0, "volume": 100, "digits": 5}
    asking, other = (Connection(simulator.endpoint()) for _ in range(2))
    request = asking.ask("dealer/send_request", body=order).record().text("id")
    assert other.ask("dealer/get_request_result", {"id": request}).content == {}
    assert request in asking.ask("dealer/get_request_result", {"id": request}).content
    asking.close()
    other.close()


def test_quit_ends_the_session(simulator: SimulatorProcess) -> None:
    connection = Connection(simulator.endpoint())
    assert connection.ask("quit").code == 0
    with pytest.raises(ConnectionLost):
        connection.ask("test/access")
