"""Past accounts and deals put into the books of a server that is not running."""

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.pace import slowness
from tests.simulator import SimulatorProcess
from trading.gateway import Applied, Found
from trading.simulator.history import LoadedHistory, PastAccount, PastDeal, load
from trading.simulator.store import Store

STARTED = datetime(2025, 10, 1, tzinfo=UTC)
PASSWORD = "Passw0rd!"


def account(login: int, group: str = "pamm\\USD") -> PastAccount:
    return PastAccount(login, group, f"Account {login}", STARTED, PASSWORD, "Look0nly!")


def loaded(
    folder: Path, *deals: PastDeal, accounts: tuple[PastAccount, ...] = (account(500_001),)
) -> LoadedHistory:
    return load(folder, accounts=accounts, deals=deals, timezone="Europe/Athens")


def test_loaded_books_agree_and_the_server_shows_them(tmp_path: Path) -> None:
    at = datetime(2026, 6, 1, 12, tzinfo=UTC)
    result = loaded(
        tmp_path,
        PastDeal(500_001, at, 2, Decimal("5000.00"), comment="KEY1", dealer=1000),
        PastDeal(
            500_001, at + timedelta(hours=1), 1, Decimal("123.45"), entry=1, symbol="EURUSD",
            volume=Decimal("0.10"), price=Decimal("1.08500"),
            storage=Decimal("-1.10"), commission=Decimal("-0.35"),
        ),
        PastDeal(500_001, at + timedelta(hours=2), 3, Decimal("50.00")),
        PastDeal(500_002, at, 2, Decimal(700_000)),
        accounts=(account(500_001), account(500_002, "personal\\JPY")),
    )  # fmt: skip
    assert (result.first_ticket, result.deal_count) == (1, 4)
    assert result.balances == {500_001: Decimal("5122.00"), 500_002: Decimal(700_000)}
    process = SimulatorProcess(tmp_path).start()
    try:
        gateway = process.gateway()
        states = gateway.account_states([500_001, 500_002])
        assert (states[500_001].balance, states[500_001].credit) == (Decimal("5122.00"), Decimal("50.00"))
        assert states[500_002].balance == 700_000
        first, second, _ = gateway.deals([500_001], at, at + timedelta(days=1))[500_001]
        assert (first.ticket, first.at, first.comment, first.dealer) == (1, at, "KEY1", 1000)
        assert (second.trade_result, second.volume_closed) == (Decimal("122.00"), Decimal("0.1"))
        assert second.price == Decimal("1.08500")
        assert isinstance(gateway.find_adjustment(500_001, "KEY1", Decimal(5000), at), Found)
        assert gateway.check_password(500_001, PASSWORD)
        assert process.add_account() == 500_003
        assert gateway.adjust_balance(500_001, Decimal(1), "next") == Applied(5)
        gateway.close()
    finally:
        process.stop()


@pytest.mark.parametrize(
    ("deal", "accounts"),
    [
        (PastDeal(9, STARTED, 2, Decimal(1)), (account(500_001),)),
        (PastDeal(500_001, STARTED, 2, Decimal("0.001")), (account(500_001),)),
        (PastDeal(500_001, STARTED, 2, Decimal(1)), (account(500_001, "none"),)),
        (PastDeal(500_001, STARTED, 2, Decimal(1)), (account(500_001), account(500_001))),
    ],
)
def test_history_that_cannot_be_leaves_the_books_empty(
    tmp_path: Path, deal: PastDeal, accounts: tuple[PastAccount, ...]
) -> None:
    with pytest.raises(ValueError, match=r"login|finer"):
        loaded(tmp_path, PastDeal(500_001, STARTED, 2, Decimal(1)), deal, accounts=accounts)
    store = Store(tmp_path)
    assert (store.accounts(), store.last_deal()) == ([], 0)
    store.close()


def test_books_of_another_zone_take_nothing(tmp_path: Path) -> None:
    loaded(tmp_path)
    with pytest.raises(ValueError, match="Athens"):
        load(tmp_path, accounts=(), deals=(), timezone="UTC+2")


def test_second_load_adds_to_the_first(tmp_path: Path) -> None:
    deal = PastDeal(500_001, STARTED, 2, Decimal(1))
    loaded(tmp_path, deal)
    result = loaded(tmp_path, deal, accounts=())
    assert (result.first_ticket, result.balances) == (2, {500_001: Decimal(2)})


def test_year_of_hourly_deals_loads_in_seconds(tmp_path: Path) -> None:
    accounts = tuple(account(login) for login in range(500_001, 500_101))
    deals = [
        PastDeal(
            500_001 + number % 100, STARTED + timedelta(minutes=3 * number), 1, Decimal("0.01"), entry=1,
            symbol="EURUSD", volume=Decimal("0.01"), price=Decimal("1.08500"),
        )
        for number in range(150_000)
    ]  # fmt: skip
    began = time.process_time()
    result = loaded(tmp_path, *deals, accounts=accounts)
    assert time.process_time() - began < 4 * slowness(time.process_time)
    assert result.balances[500_001] == Decimal("15.00")
