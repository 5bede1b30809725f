"""What the simulated server has answered survives SIGKILL; what it has not may be lost, never half."""

import threading
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.simulator import PASSWORD, SimulatorProcess
from trading.gateway import Applied, GatewayUnavailable, NotFound, Side, Unknown
from trading.simulator.health import answers


def test_everything_answered_survives_a_kill(own_simulator: SimulatorProcess) -> None:
    gateway, started = own_simulator.gateway(), datetime.now(UTC)
    own_simulator.set_tick("EURUSD", "1.20000", "1.20010")
    login = own_simulator.add_account(amount="10000.00")
    gateway.place_market_order(login, "EURUSD", Side.BUY, Decimal("0.5"), "kept open")
    applied = gateway.adjust_balance(login, Decimal("-1234.56"), "taken out")
    before = gateway.account_states([login]), gateway.positions([login]), gateway.accounts([login])
    books = gateway.deals([login], started - timedelta(days=1), started + timedelta(days=1))
    own_simulator.restart()
    assert (gateway.account_states([login]), gateway.positions([login]), gateway.accounts([login])) == before
    assert gateway.deals([login], started - timedelta(days=1), started + timedelta(days=1)) == books
    assert gateway.check_password(login, PASSWORD)
    assert isinstance(applied, Applied)
    again = gateway.adjust_balance(login, Decimal(1), "after")
    assert isinstance(again, Applied)
    assert again.ticket > applied.ticket
    gateway.close()


@pytest.mark.parametrize("kill_after", [0.05, 0.12, 0.3])
def test_kill_in_the_middle_of_operations_loses_none_that_was_answered(
    own_simulator: SimulatorProcess, kill_after: float
) -> None:
    login, started = own_simulator.add_account(), datetime.now(UTC)
    gateway = own_simulator.gateway(connect_timeout=0.5)
    outcomes = {}

    def operate() -> None:
        for number in range(100_000):
            outcomes[f"op{number}"] = outcome = gateway.adjust_balance(login, Decimal(1), f"op{number}")
            if isinstance(outcome, Unknown):
                return

    worker = threading.Thread(target=operate)
    worker.start()
    time.sleep(kill_after)
    own_simulator.kill()
    worker.join(timeout=20)
    own_simulator.start()
    (deals,) = gateway.deals([login], started - timedelta(days=1), started + timedelta(days=1)).values()
    tickets = {deal.comment: deal.ticket for deal in deals}
    applied = {key: outcome.ticket for key, outcome in outcomes.items() if isinstance(outcome, Applied)}
    assert applied
    assert applied.items() <= tickets.items()
    (doubtful,) = outcomes.keys() - applied.keys()
    absent = isinstance(gateway.find_adjustment(login, doubtful, Decimal(1), started), NotFound)
    assert absent == (doubtful not in tickets)
    assert own_simulator.balance(login) == len(deals)
    gateway.close()


def test_moved_clock_and_set_prices_survive_a_kill(own_simulator: SimulatorProcess) -> None:
    gateway = own_simulator.gateway()
    own_simulator.set_tick("XAUUSD", "2222.22", "2222.33")
    own_simulator.advance_clock(7200)
    own_simulator.restart()
    tick = gateway.last_ticks(["XAUUSD"])["XAUUSD"]
    assert (tick.bid, tick.ask) == (Decimal("2222.22"), Decimal("2222.33"))
    assert gateway.server_time().at - datetime.now(UTC) > timedelta(seconds=7100)
    gateway.close()


def test_reads_fail_while_the_server_is_down_and_work_again_after(own_simulator: SimulatorProcess) -> None:
    gateway = own_simulator.gateway()
    gateway.server_time()
    own_simulator.kill()
    with pytest.raises(GatewayUnavailable):
        gateway.server_time()
    assert not answers(own_simulator.host, own_simulator.port, 1)
    own_simulator.start()
    assert answers(own_simulator.host, own_simulator.port, 1)
    assert gateway.server_time().at - datetime.now(UTC) < timedelta(seconds=5)
    gateway.close()


def test_second_server_on_the_same_books_does_not_start(own_simulator: SimulatorProcess) -> None:
    second = SimulatorProcess(own_simulator.folder)
    with pytest.raises(AssertionError, match="did not start"):
        second.start()


def test_books_kept_in_another_zone_are_not_opened(own_simulator: SimulatorProcess) -> None:
    own_simulator.stop()
    with pytest.raises(AssertionError, match="did not start"):
        SimulatorProcess(own_simulator.folder, timezone="America/New_York").start()
