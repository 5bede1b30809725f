"""One gateway per server and process, never inside a transaction, never on a parent's socket."""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import transaction

from tests.simulator import MANAGER_LOGIN, MANAGER_PASSWORD, ROOT, SimulatorProcess
from trading.gateway import Applied, DealEntry, Gateway, GatewayInsideTransaction, Side
from trading.gateways import gateway_for
from trading.models import TradingServer
from trading.mt5.gateway import Mt5Gateway


def server(simulator: SimulatorProcess, **changes: object) -> TradingServer:
    fields = {
        "pk": 1,
        "host": simulator.host,
        "port": simulator.port,
        "manager_login": MANAGER_LOGIN,
        "manager_password": MANAGER_PASSWORD,
        "ca_certificate": simulator.certificate,
        "time_zone": simulator.timezone,
    }
    return TradingServer(**{**fields, **changes})


def test_same_server_has_the_same_gateway_and_a_changed_one_another(simulator: SimulatorProcess) -> None:
    first = gateway_for(server(simulator))
    assert first is gateway_for(server(simulator))
    assert first is not gateway_for(server(simulator, manager_password="Other!2026"))
    assert first is not gateway_for(server(simulator, pk=2))
    assert first.server_time().server_seconds > 0


def test_server_of_an_unknown_kind_has_no_gateway(simulator: SimulatorProcess) -> None:
    with pytest.raises(ValueError, match="kind"):
        gateway_for(server(simulator, kind="abacus"))


@pytest.mark.parametrize(
    "call",
    [
        lambda gateway: gateway.server_time(),
        lambda gateway: gateway.account_states([1]),
        lambda gateway: gateway.adjust_balance(1, Decimal(1), "key"),
        lambda gateway: gateway.find_adjustment(1, "key", Decimal(1), datetime.now(UTC)),
        lambda gateway: gateway.place_market_order(1, "EURUSD", Side.BUY, Decimal(1), "key"),
    ],
)
def test_call_inside_a_transaction_is_refused_before_anything_is_sent(
    simulator: SimulatorProcess, committed_db: str, call: Callable[[Gateway], object]
) -> None:
    gateway = gateway_for(server(simulator))
    simulator.calls(reset=True)
    with transaction.atomic(), pytest.raises(GatewayInsideTransaction):
        call(gateway)
    assert set(simulator.calls()) == {"test/calls"}


def test_call_after_the_transaction_is_answered(simulator: SimulatorProcess, committed_db: str) -> None:
    login = simulator.add_account()
    with transaction.atomic():
        pass
    applied = gateway_for(server(simulator)).adjust_balance(login, Decimal(1), "key")
    assert isinstance(applied, Applied)


def test_threads_share_a_gateway_without_mixing_answers(
    simulator: SimulatorProcess, gateway: Mt5Gateway
) -> None:
    logins = [simulator.add_account(amount=str(number)) for number in range(1, 9)]

    def balance_of(number: int) -> Decimal:
        login = logins[number % 8]
        account = gateway.account(login)
        assert account is not None
        assert account.login == login
        return account.balance

    with ThreadPoolExecutor(8) as pool:
        balances = list(pool.map(balance_of, range(200)))
    assert balances == [number % 8 + 1 for number in range(200)]


def test_forked_process_connects_anew_and_leaves_the_parents_connection_alone(
    simulator: SimulatorProcess,
) -> None:
    login = simulator.add_account(amount="5.00")
    gateway = gateway_for(server(simulator))
    gateway.account(login)
    simulator.calls(reset=True)
    context = multiprocessing.get_context("fork")
    inherited, of_its_own = context.SimpleQueue(), context.SimpleQueue()

    def child() -> None:
        inherited.put(str(gateway.accounts([login])[login].balance))
        of_its_own.put(gateway_for(server(simulator)) is gateway)
        os._exit(0)

    process = context.Process(target=child)
    process.start()
    process.join(timeout=20)
    assert process.exitcode == 0
    assert (inherited.get(), of_its_own.get()) == ("5.00", False)
    assert simulator.calls()["auth/answer"] == 1
    assert gateway.accounts([login])[login].balance == 5
    assert simulator.calls()["auth/answer"] == 1


def test_robot_trades_and_stays_solvent(tmp_path: Path) -> None:
    process = SimulatorProcess(tmp_path, "--tick-interval", "0.02", frozen=False).start()
    logins = [process.add_account("pamm\\USD", "50000.00") for _ in range(2)]
    command = [sys.executable, "-m", "trading.simulator.robot", "--data-dir", str(tmp_path)]
    command += ["--port", str(process.port), "--logins", ",".join(map(str, logins))]
    command += ["--manager-login", str(MANAGER_LOGIN), "--interval", "0.02"]
    environment = {**os.environ, "SIMULATOR_MANAGER_PASSWORD": MANAGER_PASSWORD}
    robot = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    gateway = process.gateway()
    started = datetime.now(UTC)
    try:
        entries: set[int] = set()
        while len(entries) < 2 and datetime.now(UTC) - started < timedelta(seconds=30):
            found = gateway.deals(logins, started, datetime.now(UTC))
            entries = {deal.entry for login in logins for deal in found[login] if not deal.is_flow}
        assert entries == {DealEntry.IN, DealEntry.OUT}
        states = gateway.account_states(logins).values()
        assert all(abs(state.equity - 50_000) < 500 and state.margin < 2_500 for state in states)
    finally:
        robot.terminate()
        _, complaints = robot.communicate(timeout=30)
        gateway.close()
        process.stop()
    assert (robot.returncode, complaints) == (0, "")
