"""Balance operations: applied, refused, unknown, and found again by their key."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.simulator import PASSWORD, SimulatorProcess
from trading.gateway import (
    Account,
    Applied,
    Conflict,
    Found,
    Inconclusive,
    NotFound,
    Refused,
    Side,
    Unknown,
)
from trading.mt5.gateway import Mt5Gateway
from trading.simulator.store import Store

KEY = "PM01JD2Z0M3Q8X7K4N5V6B9C1A2E"


def now() -> datetime:
    return datetime.now(UTC)


def test_deposit_stands_in_balance_and_books_at_once(
    simulator: SimulatorProcess, gateway: Mt5Gateway
) -> None:
    login, started = simulator.add_account(), now()
    applied = gateway.adjust_balance(login, Decimal("5000.00"), KEY)
    assert isinstance(applied, Applied)
    assert gateway.account_states([login])[login].balance == Decimal("5000.00")
    (deal,) = gateway.deals([login], started, now())[login]
    assert (deal.ticket, deal.amount, deal.comment, deal.dealer, deal.is_flow) == (
        applied.ticket, Decimal("5000.00"), KEY, 1000, True,
    )  # fmt: skip


def test_comment_is_cut_at_31_characters_without_error(simulator: SimulatorProcess) -> None:
    login = simulator.add_account()
    ticket = (
        simulator.ask("trade/balance", login=login, type=2, balance="1.00", comment="x" * 31 + "y")
        .record()
        .integer("ticket")
    )
    assert simulator.ask("deal/get", ticket=ticket).record().text("Comment") == "x" * 31


@pytest.mark.parametrize("key", ["", "k" * 32, "a|b", "a=b", "a\\b", "ключ", "a\nb", " a"])
def test_key_that_would_not_come_back_is_a_programming_error(gateway: Mt5Gateway, key: str) -> None:
    with pytest.raises(ValueError, match="operation key"):
        gateway.adjust_balance(1, Decimal(1), key)


@pytest.mark.parametrize("amount", [Decimal(0), Decimal("NaN"), Decimal("Infinity")])
def test_amount_that_moves_nothing_is_a_programming_error(gateway: Mt5Gateway, amount: Decimal) -> None:
    with pytest.raises(ValueError, match="amount"):
        gateway.adjust_balance(1, amount, KEY)


def test_withdrawal_above_the_balance_is_refused_even_without_margin_check(
    simulator: SimulatorProcess, gateway: Mt5Gateway
) -> None:
    login = simulator.add_account(amount="100.00")
    for check_margin in (True, False):
        refused = gateway.adjust_balance(login, Decimal("-100.01"), KEY, check_margin=check_margin)
        assert isinstance(refused, Refused)
        assert (refused.code, refused.not_enough_money) == (10019, True)
    assert simulator.balance(login) == Decimal("100.00")


def test_withdrawal_above_free_margin_is_refused_unless_the_check_is_off(
    simulator: SimulatorProcess, gateway: Mt5Gateway
) -> None:
    simulator.set_tick("EURUSD", "1.10000", "1.10000")
    login = simulator.add_account(amount="2000.00")
    gateway.place_market_order(login, "EURUSD", Side.BUY, Decimal(1), "open")
    free = gateway.account_states([login])[login].margin_free
    assert free == Decimal("900.00")
    refused = gateway.adjust_balance(login, Decimal("-900.01"), KEY)
    assert isinstance(refused, Refused)
    assert refused.not_enough_money
    assert isinstance(gateway.adjust_balance(login, Decimal("-900.00"), KEY + "a"), Applied)
    unchecked = gateway.adjust_balance(login, Decimal("-0.01"), KEY + "b", check_margin=False)
    assert isinstance(unchecked, Applied)


def test_credit_above_what_was_given_is_refused(simulator: SimulatorProcess) -> None:
    login = simulator.add_account()
    simulator.adjust_as_dealer(login, "50.00", action=3)
    more = simulator.ask_anyway("trade/balance", login=login, type=3, balance="-50.01", comment="")
    assert more.code == 10019


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"type": 7}, 3),
        ({"balance": "0.001"}, 3),
        ({"balance": "abc"}, 3),
        ({"balance": "NaN"}, 3),
        ({"balance": "1000000000.01"}, 4005),
        ({"login": 999}, 13),
    ],
)
def test_senseless_operation_is_refused_with_its_code(
    simulator: SimulatorProcess, changes: dict[str, Any], code: int
) -> None:
    login = simulator.add_account(amount="1.00")
    parameters = {"login": login, "type": 2, "balance": "1.00", "comment": "k", **changes}
    assert simulator.ask_anyway("trade/balance", **parameters).code == code
    assert simulator.balance(login) == Decimal("1.00")


def test_yen_have_no_decimals(simulator: SimulatorProcess, gateway: Mt5Gateway) -> None:
    login = simulator.add_account("pamm\\JPY")
    assert isinstance(gateway.adjust_balance(login, Decimal(150_000), KEY), Applied)
    refused = gateway.adjust_balance(login, Decimal("0.5"), KEY + "a")
    assert isinstance(refused, Refused)
    state = gateway.account_states([login])[login]
    assert (str(state.balance), state.currency_digits) == ("150000", 0)


def test_credit_is_in_equity_but_not_withdrawable(simulator: SimulatorProcess, gateway: Mt5Gateway) -> None:
    login = simulator.add_account(amount="100.00")
    simulator.adjust_as_dealer(login, "30.00", action=3)
    state = gateway.account_states([login])[login]
    assert (state.balance, state.credit, state.equity) == (Decimal(100), Decimal(30), Decimal(130))
    assert state.withdrawable == 100


def test_lost_answer_after_applying_is_unknown_and_found_by_its_key(
    simulator: SimulatorProcess, gateway: Mt5Gateway
) -> None:
    login, started = simulator.add_account(amount="100.00"), now()
    simulator.arm_fault("drop_after", login=login)
    assert isinstance(gateway.adjust_balance(login, Decimal("-40.00"), KEY), Unknown)
    found = gateway.find_adjustment(login, KEY, Decimal("-40.00"), started)
    assert isinstance(found, Found)
    (deal,) = gateway.deals([login], started, now())[login][-1:]
    assert (deal.ticket, deal.at) == (found.ticket, found.at)
    assert simulator.balance(login) == Decimal("60.00")


def test_lost_request_is_unknown_and_not_found(simulator: SimulatorProcess, gateway: Mt5Gateway) -> None:
    login, started = simulator.add_account(amount="100.00"), now()
    simulator.arm_fault("drop_before", login=login)
    assert isinstance(gateway.adjust_balance(login, Decimal("-40.00"), KEY), Unknown)
    assert isinstance(gateway.find_adjustment(login, KEY, Decimal("-40.00"), started), NotFound)
    assert simulator.balance(login) == Decimal("100.00")


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "forbid"])
def test_unanswered_operation_is_never_sent_twice(
    simulator: SimulatorProcess, gateway: Mt5Gateway, kind: str
) -> None:
    login = simulator.add_account(amount="100.00")
    simulator.arm_fault(kind, login=login)
    simulator.calls(reset=True)
    assert isinstance(gateway.adjust_balance(login, Decimal(1), KEY), Unknown)
    done = kind == "drop_after"
    assert simulator.calls().get("trade/balance", 0) == int(done)
    assert simulator.balance(login) == Decimal("100.00") + int(done)


def test_late_answer_is_unknown_and_found(simulator: SimulatorProcess) -> None:
    login, started = simulator.add_account(amount="100.00"), now()
    impatient = simulator.gateway(answer_timeout=0.4)
    simulator.arm_fault("late", login=login, seconds=1)
    assert isinstance(impatient.adjust_balance(login, Decimal(1), KEY), Unknown)
    assert isinstance(impatient.find_adjustment(login, KEY, Decimal(1), started), Found)
    impatient.close()


def test_server_that_is_down_makes_unknown_and_inconclusive(own_simulator: SimulatorProcess) -> None:
    login, gateway = own_simulator.add_account(amount="5.00"), own_simulator.gateway()
    own_simulator.kill()
    assert isinstance(gateway.adjust_balance(login, Decimal(1), KEY), Unknown)
    assert isinstance(gateway.find_adjustment(login, KEY, Decimal(1), now()), Inconclusive)


def test_key_under_another_amount_is_a_conflict(simulator: SimulatorProcess, gateway: Mt5Gateway) -> None:
    login, started = simulator.add_account(amount="100.00"), now()
    gateway.adjust_balance(login, Decimal("7.00"), KEY)
    assert isinstance(gateway.find_adjustment(login, KEY, Decimal("7.01"), started), Conflict)


def test_key_used_by_another_dealer_is_a_conflict(simulator: SimulatorProcess, gateway: Mt5Gateway) -> None:
    login, started = simulator.add_account(), now()
    simulator.adjust_as_dealer(login, "7.00", comment=KEY)
    assert isinstance(gateway.find_adjustment(login, KEY, Decimal("7.00"), started), Conflict)


def test_key_that_stands_twice_is_a_conflict(simulator: SimulatorProcess, gateway: Mt5Gateway) -> None:
    login, started = simulator.add_account(), now()
    for _ in range(2):
        gateway.adjust_balance(login, Decimal("7.00"), KEY)
    conflict = gateway.find_adjustment(login, KEY, Decimal("7.00"), started)
    assert isinstance(conflict, Conflict)
    assert len(conflict.tickets) == 2


def test_key_that_only_begins_like_another_is_not_found(
    simulator: SimulatorProcess, gateway: Mt5Gateway
) -> None:
    login, started = simulator.add_account(), now()
    gateway.adjust_balance(login, Decimal("7.00"), KEY + "x")
    assert isinstance(gateway.find_adjustment(login, KEY, Decimal("7.00"), started), NotFound)


def test_search_reads_every_page(simulator: SimulatorProcess, gateway: Mt5Gateway) -> None:
    login, started = simulator.add_account(amount="1000.00"), now()
    for number in range(230):
        simulator.ask("trade/balance", login=login, type=2, balance="1.00", comment=f"n{number}")
    simulator.calls(reset=True)
    for key in ("n0", "n229"):
        assert isinstance(gateway.find_adjustment(login, key, Decimal(1), started), Found)
    assert simulator.calls()["deal/get_page"] == 2 * 3


def test_history_that_is_not_loaded_shows_neither_presence_nor_absence(
    simulator: SimulatorProcess, gateway: Mt5Gateway
) -> None:
    login, started = simulator.add_account(amount="100.00"), now()
    simulator.arm_fault("empty", "deal/get_page", login=login)
    assert isinstance(gateway.find_adjustment(login, KEY, Decimal(1), started), Inconclusive)
    assert isinstance(gateway.find_adjustment(login, KEY, Decimal(1), started), NotFound)


def test_balance_that_does_not_follow_from_the_history_makes_absence_inconclusive(
    own_simulator: SimulatorProcess,
) -> None:
    login, started = own_simulator.add_account(amount="100.00"), now()
    own_simulator.stop()
    store = Store(own_simulator.folder)
    (account,) = store.accounts()
    account.balance += 1
    store.put_account(account)
    store.close()
    own_simulator.start()
    gateway = own_simulator.gateway()
    assert isinstance(gateway.find_adjustment(login, KEY, Decimal(1), started), Inconclusive)
    gateway.close()


def test_new_account_is_opened_with_its_password(simulator: SimulatorProcess, gateway: Mt5Gateway) -> None:
    account = gateway.create_account(
        group="pamm\\EUR",
        name="Zoë & 张伟",
        leverage=200,
        password=PASSWORD,
        investor_password="Look0nly!",
        rights=0x163 | 0x4,
    )
    assert isinstance(account, Account)
    assert account == gateway.account(account.login)
    assert (account.group, account.name, account.leverage) == ("pamm\\EUR", "Zoë & 张伟", 200)
    assert account.is_enabled
    assert not account.may_trade
    assert gateway.check_password(account.login, PASSWORD)
    assert not gateway.check_password(account.login, "Look0nly!")
    assert not gateway.check_password(4242, PASSWORD)


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"group": "none"}, 3), ({"password": "weak"}, 3006), ({"leverage": 0}, 3), ({"name": ""}, 3)],
)
def test_account_that_cannot_be_opened_is_refused(
    simulator: SimulatorProcess, gateway: Mt5Gateway, changes: dict[str, Any], code: int
) -> None:
    wanted = {"group": "pamm\\EUR", "name": "A", "leverage": 100, "password": PASSWORD}
    refused = gateway.create_account(**{**wanted, "investor_password": PASSWORD, **changes})
    assert isinstance(refused, Refused)
    assert refused.code == code


def test_account_under_a_taken_login_is_refused(simulator: SimulatorProcess, gateway: Mt5Gateway) -> None:
    taken = simulator.add_account()
    refused = gateway.create_account(
        group="pamm\\EUR", name="A", leverage=1, password=PASSWORD, investor_password=PASSWORD, login=taken
    )
    assert isinstance(refused, Refused)
    assert refused.code == 3004
