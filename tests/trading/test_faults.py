"""One test per fault switch of the simulated server: what it does, and what the gateway makes of it."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.simulator import SimulatorProcess
from trading.gateway import (
    Applied,
    Conflict,
    Filled,
    Found,
    GatewayNotAuthorised,
    GatewayUnavailable,
    Inconclusive,
    NotFound,
    OrderFound,
    Refused,
    Side,
    Unknown,
)
from trading.mt5.gateway import Mt5Gateway

KEY = "PM01JD2Z0M3Q8X7K4N5V6B9C1A2E"
ONE = Decimal("1.00")
ALWAYS = {"from": 0, "to": 4_000_000_000}


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def login(simulator: SimulatorProcess) -> int:
    return simulator.add_account(amount="1000.00")


@pytest.fixture
def trading_login(simulator: SimulatorProcess) -> int:
    simulator.set_tick("EURUSD", "1.10000", "1.10000")
    return simulator.add_account(amount="10000.00")


@pytest.fixture
def restarted(own_simulator: SimulatorProcess) -> Iterator[Mt5Gateway]:
    gateway = own_simulator.gateway()
    yield gateway
    gateway.close()


def awaited(look: Callable[[], object], wanted: type) -> object:
    deadline = time.monotonic() + 5
    while not isinstance(found := look(), wanted) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def bought(gateway: Mt5Gateway, login: int, lots: str = "1.00", key: str = "bought") -> Filled:
    filled = gateway.place_market_order(login, "EURUSD", Side.BUY, Decimal(lots), key)
    assert isinstance(filled, Filled)
    return filled


# the connection and the answer


def test_fault_drop_before_applies_nothing_and_is_unknown(
    simulator: SimulatorProcess, gateway: Mt5Gateway, login: int
) -> None:
    started = now()
    simulator.arm_fault("drop_before", login=login)
    assert isinstance(gateway.adjust_balance(login, ONE, KEY), Unknown)
    assert simulator.balance(login) == 1000
    assert isinstance(gateway.find_adjustment(login, KEY, ONE, started), NotFound)


def test_fault_drop_after_has_applied_and_is_unknown_until_looked_up(
    simulator: SimulatorProcess, gateway: Mt5Gateway, login: int
) -> None:
    started = now()
    simulator.arm_fault("drop_after", login=login)
    assert isinstance(gateway.adjust_balance(login, ONE, KEY), Unknown)
    assert simulator.balance(login) == 1001
    assert isinstance(gateway.find_adjustment(login, KEY, ONE, started), Found)


def test_fault_apply_late_shows_no_deal_at_first_and_one_later(
    simulator: SimulatorProcess, gateway: Mt5Gateway, login: int
) -> None:
    started = now()
    simulator.arm_fault("apply_late", login=login, seconds=0.4)
    assert isinstance(gateway.adjust_balance(login, ONE, KEY), Unknown)
    assert isinstance(gateway.find_adjustment(login, KEY, ONE, started), NotFound)
    assert isinstance(awaited(lambda: gateway.find_adjustment(login, KEY, ONE, started), Found), Found)
    assert simulator.balance(login) == 1001


def test_fault_late_has_applied_before_the_client_gave_up(simulator: SimulatorProcess, login: int) -> None:
    impatient, started = simulator.gateway(answer_timeout=0.3), now()
    simulator.arm_fault("late", login=login, seconds=0.6)
    assert isinstance(impatient.adjust_balance(login, ONE, KEY), Unknown)
    assert isinstance(impatient.find_adjustment(login, KEY, ONE, started), Found)
    impatient.close()


def test_fault_forbid_flap_leaves_money_unknown_and_reads_repeated_once(
    simulator: SimulatorProcess, gateway: Mt5Gateway, login: int
) -> None:
    simulator.arm_fault("forbid", login=login)
    assert isinstance(gateway.adjust_balance(login, ONE, KEY), Unknown)
    simulator.arm_fault("forbid", "user/get_batch", login=login)
    assert gateway.accounts([login])[login].balance == 1000
    simulator.arm_fault("forbid", "user/get_batch", login=login, calls=2)
    with pytest.raises(GatewayNotAuthorised):
        gateway.accounts([login])


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(10019, Refused), (3, Refused), (8, Refused), (13, Refused), (4005, Refused)]
    + [(code, Unknown) for code in (1, 2, 7, 9, 10, 11, 12, 14, 15, 16, 17, 10012, 4711)],
)
def test_fault_refuse_by_code_applies_nothing_and_only_known_codes_are_definite(
    simulator: SimulatorProcess, gateway: Mt5Gateway, login: int, code: int, outcome: type
) -> None:
    simulator.arm_fault("refuse", login=login, code=code)
    answer = gateway.adjust_balance(login, ONE, KEY)
    assert isinstance(answer, outcome)
    if isinstance(answer, Refused):
        assert (answer.code, answer.not_enough_money) == (code, code == 10019)
    assert simulator.balance(login) == 1000
    assert isinstance(gateway.adjust_balance(login, ONE, KEY), Applied)


def test_fault_refuse_at_sign_in_makes_the_server_unavailable(simulator: SimulatorProcess) -> None:
    simulator.arm_fault("refuse", "auth/start", code=11)
    newcomer = simulator.gateway()
    with pytest.raises(GatewayUnavailable):
        newcomer.server_time()
    assert newcomer.server_time()


# deals and history


def test_fault_delayed_deal_is_in_no_list_while_the_balance_has_moved(
    simulator: SimulatorProcess, gateway: Mt5Gateway, login: int
) -> None:
    started = now()
    simulator.delay_deals(3600, login=login)
    applied = gateway.adjust_balance(login, ONE, KEY)
    assert isinstance(applied, Applied)
    other = simulator.add_account(amount="5.00")
    assert [simulator.balance(login), gateway.account_states([login])[login].balance] == [1001, 1001]
    assert simulator.ask_anyway("deal/get", ticket=applied.ticket).code == 13
    assert simulator.ask("deal/get_total", login=login, **ALWAYS).record().integer("total") == 1
    assert len(simulator.ask("deal/get_page", login=login, offset=0, total=100, **ALWAYS).records()) == 1
    assert len(simulator.ask("deal/get_batch", login=login, **ALWAYS).records()) == 1
    assert simulator.ask("deal/get_batch", ticket=applied.ticket).records() == []
    assert len(simulator.ask("deal/get_batch", login=other, **ALWAYS).records()) == 1
    money = simulator.ask("user/check_balance", login=login, fixflag=0).record().get("Balance")
    assert money == {"User": "1001.000000", "History": "1000.000000"}
    assert isinstance(gateway.find_adjustment(login, KEY, ONE, started), Inconclusive)
    simulator.delay_deals(0, login=login)
    assert isinstance(gateway.find_adjustment(login, KEY, ONE, started), Found)
    assert simulator.ask("deal/get_total", login=login, **ALWAYS).record().integer("total") == 2


def test_fault_delayed_deal_appears_after_its_seconds_and_across_a_restart(
    own_simulator: SimulatorProcess, restarted: Mt5Gateway
) -> None:
    login, started = own_simulator.add_account(amount="10.00"), now()
    own_simulator.delay_deals(60)
    restarted.adjust_balance(login, ONE, KEY)
    own_simulator.restart()
    assert own_simulator.switches()["deal_delays"] == {"0": "60"}
    assert isinstance(restarted.find_adjustment(login, KEY, ONE, started), Inconclusive)
    own_simulator.advance_clock(61)
    assert isinstance(restarted.find_adjustment(login, KEY, ONE, started), Found)


@pytest.mark.parametrize(("kind", "code"), [("partial", 14), ("partial", 0), ("refuse", 14), ("refuse", 1)])
def test_fault_partial_history_is_neither_presence_nor_absence(
    simulator: SimulatorProcess, gateway: Mt5Gateway, login: int, kind: str, code: int
) -> None:
    started = now()
    gateway.adjust_balance(login, ONE, KEY)
    simulator.arm_fault(kind, "deal/get_page", login=login, code=code)
    assert isinstance(gateway.find_adjustment(login, KEY, ONE, started), Inconclusive)
    simulator.arm_fault("refuse", "deal/get_total", login=login, code=14)
    assert isinstance(gateway.find_adjustment(login, KEY, ONE, started), Inconclusive)
    assert isinstance(gateway.find_adjustment(login, KEY, ONE, started), Found)


@pytest.mark.parametrize(("kind", "code"), [("partial", 14), ("refuse", 14), ("refuse", 1)])
def test_fault_partial_batch_of_deals_is_read_whole_by_pages_or_not_at_all(
    simulator: SimulatorProcess, gateway: Mt5Gateway, login: int, kind: str, code: int
) -> None:
    other, started = simulator.add_account(amount="7.00"), now() - timedelta(minutes=1)
    simulator.arm_fault(kind, "deal/get_batch", code=code, calls=0)
    found = gateway.deals([login, other], started, now())
    assert [[deal.amount for deal in found[each]] for each in (login, other)] == [[1000], [7]]
    simulator.arm_fault("partial", "deal/get_page", login=other)
    with pytest.raises(GatewayUnavailable):
        gateway.deals([login, other], started, now())


def test_fault_doubled_deal_counts_once_and_never_with_two_figures(
    simulator: SimulatorProcess, gateway: Mt5Gateway, login: int
) -> None:
    started = now() - timedelta(minutes=1)
    simulator.arm_fault("double", "deal/get_batch", login=login)
    assert [deal.amount for deal in gateway.deals([login], started, now())[login]] == [1000]
    simulator.arm_fault("double", "deal/get_batch", login=login, fields={"Profit": "999.00"})
    with pytest.raises(GatewayUnavailable):
        gateway.deals([login], started, now())


# accounts


def test_fault_idle_state_missing_is_made_up_from_the_record_until_the_account_is_active(
    simulator: SimulatorProcess, gateway: Mt5Gateway, login: int
) -> None:
    simulator.hide_idle_states()
    assert simulator.ask_anyway("user/account/get", login=login).code == 13
    state = gateway.account_states([login])[login]
    assert [state.balance, state.equity, state.margin] == [1000, 1000, 0]
    gateway.adjust_balance(login, ONE, KEY)
    assert simulator.ask_anyway("user/account/get", login=login).code == 0
    simulator.hide_idle_states(False)


def test_fault_idle_state_stays_missing_after_a_restart(
    own_simulator: SimulatorProcess, restarted: Mt5Gateway
) -> None:
    login = own_simulator.add_account(amount="10.00")
    own_simulator.hide_idle_states()
    own_simulator.restart()
    assert own_simulator.ask_anyway("user/account/get", login=login).code == 13
    assert restarted.account_states([login])[login].equity == 10


@pytest.mark.parametrize("fault", ["missing", "absent", "unreadable", "blank", "doubled"])
def test_fault_lie_that_leaves_a_state_unusable_yields_none_and_stops_no_other_account(
    simulator: SimulatorProcess, gateway: Mt5Gateway, trading_login: int, login: int, fault: str
) -> None:
    bought(gateway, trading_login)
    simulator.set_tick("EURUSD", "1.09000", "1.09000")
    if fault == "missing":
        simulator.arm_fault("empty", "user/account/*", login=trading_login, calls=0)
    elif fault == "doubled":
        simulator.arm_fault("double", "user/account/*", login=trading_login, fields={"Equity": "1.00"})
    else:
        value = {"absent": None, "unreadable": "1,000.00", "blank": ""}[fault]
        simulator.lie(trading_login, Equity=value)
    states = gateway.account_states([trading_login, login])
    assert trading_login not in states
    assert states[login].equity == 1000
    simulator.clear_faults()
    assert gateway.account_states([trading_login])[trading_login].equity == 9000


def test_fault_lie_about_equity_lasts_for_its_calls(
    simulator: SimulatorProcess, gateway: Mt5Gateway, login: int
) -> None:
    simulator.lie(login, command="user/account/*", calls=2, Equity="0.00")
    equities = [gateway.account_states([login])[login].equity for _ in range(3)]
    assert equities == [0, 0, 1000]


def test_fault_lie_about_balance_reaches_the_record_as_well(
    simulator: SimulatorProcess, gateway: Mt5Gateway, login: int
) -> None:
    simulator.lie(login, Balance="5.00")
    assert gateway.accounts([login])[login].balance == 5
    assert gateway.account_states([login])[login].balance == 5


def test_fault_lie_that_empties_a_record_is_not_read_as_zero(
    simulator: SimulatorProcess, gateway: Mt5Gateway, login: int
) -> None:
    simulator.lie(login, Balance=None)
    with pytest.raises(GatewayUnavailable):
        gateway.accounts([login])


# prices


@pytest.mark.parametrize(
    "fields",
    [{"Bid": "0"}, {"Ask": "0.00000"}, {"Bid": "-1.1"}, {"Bid": "1.2"}, {"Ask": None}, {"Bid": "abc"}],
)
def test_fault_price_that_cannot_be_is_no_price(
    simulator: SimulatorProcess, gateway: Mt5Gateway, fields: dict[str, str | None]
) -> None:
    simulator.set_tick("EURUSD", "1.10000", "1.10010")
    simulator.arm_fault("lie", "tick/*", symbol="EURUSD", fields=fields)
    assert list(gateway.last_ticks(["EURUSD", "GBPUSD"])) == ["GBPUSD"]


def test_fault_price_missing_for_one_symbol_leaves_it_out(
    simulator: SimulatorProcess, gateway: Mt5Gateway
) -> None:
    simulator.omit_tick("EURUSD", calls=1)
    assert list(gateway.last_ticks(["EURUSD", "GBPUSD"])) == ["GBPUSD"]
    assert set(gateway.last_ticks(["EURUSD", "GBPUSD"])) == {"EURUSD", "GBPUSD"}


def test_fault_price_doubled_in_one_answer_counts_once_and_never_with_two_figures(
    simulator: SimulatorProcess, gateway: Mt5Gateway
) -> None:
    simulator.set_tick("EURUSD", "1.10000", "1.10010")
    simulator.double_tick("EURUSD", calls=1)
    assert gateway.last_ticks(["EURUSD"])["EURUSD"].bid == Decimal("1.1")
    simulator.double_tick("EURUSD", calls=1, Bid="1.09999")
    assert gateway.last_ticks(["EURUSD"]) == {}


def test_fault_price_that_is_stale_says_so(simulator: SimulatorProcess, gateway: Mt5Gateway) -> None:
    simulator.set_tick("EURUSD", "1.10000", age_seconds=600)
    age = now() - gateway.last_ticks(["EURUSD"])["EURUSD"].at
    assert timedelta(seconds=598) < age < timedelta(seconds=610)


# time


@pytest.mark.parametrize("minutes", [-60, 60])
def test_fault_zone_change_moves_the_clock_and_new_deals_but_nothing_booked(
    simulator: SimulatorProcess, gateway: Mt5Gateway, login: int, minutes: int
) -> None:
    started = now()
    (booked,) = gateway.deals([login], started - timedelta(minutes=1), now())[login]
    simulator.shift_time_zone(minutes)
    assert abs(gateway.server_time().at - now() - timedelta(minutes=minutes)) < timedelta(seconds=5)
    gateway.adjust_balance(login, ONE, KEY)
    window = started - timedelta(hours=2), now() + timedelta(hours=2)
    before, after = gateway.deals([login], *window)[login]
    assert before == booked
    assert abs(after.at - now() - timedelta(minutes=minutes)) < timedelta(seconds=5)
    assert isinstance(gateway.find_adjustment(login, KEY, ONE, started), Found)


@pytest.mark.parametrize("minutes", [-60, 60])
def test_fault_zone_change_makes_no_price_older_or_younger(
    simulator: SimulatorProcess, gateway: Mt5Gateway, minutes: int
) -> None:
    simulator.shift_time_zone(minutes)
    simulator.set_tick("EURUSD", "1.10000")
    simulator.set_tick("GBPUSD", "1.30000", age_seconds=3000)
    ticks = gateway.last_ticks(["EURUSD", "GBPUSD"])
    ages = [(now() - ticks[name].at).total_seconds() for name in ("EURUSD", "GBPUSD")]
    assert abs(ages[0]) < 5
    assert abs(ages[1] - 3000) < 5


def test_fault_zone_change_stays_after_a_restart(
    own_simulator: SimulatorProcess, restarted: Mt5Gateway
) -> None:
    own_simulator.shift_time_zone(120)
    own_simulator.restart()
    assert own_simulator.switches()["zone_shift_minutes"] == "120"
    assert restarted.server_time().at - now() > timedelta(minutes=119)


def test_fault_clock_jump_forwards_and_back_leaves_deals_to_be_found(
    own_simulator: SimulatorProcess, restarted: Mt5Gateway
) -> None:
    login, started = own_simulator.add_account(amount="10.00"), now()
    for number, seconds in enumerate((7200, -10_800)):
        own_simulator.advance_clock(seconds)
        restarted.adjust_balance(login, ONE, f"{KEY}{number}")
    for number in range(2):
        assert isinstance(restarted.find_adjustment(login, f"{KEY}{number}", ONE, started), Found)
    assert (
        own_simulator.ask("user/check_balance", login=login).record().get("Balance")["History"][:5] == "12.00"
    )


# other hands


@pytest.mark.parametrize("amount", ["1.00", "-1.00"])
def test_fault_dealers_operation_of_the_same_amount_is_not_ours(
    simulator: SimulatorProcess, gateway: Mt5Gateway, login: int, amount: str
) -> None:
    started = now()
    simulator.adjust_as_dealer(login, amount, comment="by hand")
    assert isinstance(gateway.find_adjustment(login, KEY, Decimal(amount), started), NotFound)


def test_fault_dealers_operation_with_a_copied_key_is_a_conflict(
    simulator: SimulatorProcess, gateway: Mt5Gateway, login: int
) -> None:
    started = now()
    gateway.adjust_balance(login, ONE, KEY)
    simulator.adjust_as_dealer(login, ONE, comment=KEY)
    conflict = gateway.find_adjustment(login, KEY, ONE, started)
    assert isinstance(conflict, Conflict)
    assert len(conflict.tickets) == 2


def test_fault_edited_deal_keeps_its_other_fields_and_the_balance_follows_only_when_fixed(
    simulator: SimulatorProcess, gateway: Mt5Gateway, login: int
) -> None:
    started = now()
    applied = gateway.adjust_balance(login, ONE, KEY)
    assert isinstance(applied, Applied)
    before = simulator.ask("deal/get", ticket=applied.ticket).content
    simulator.edit_deal(applied.ticket, Profit="2.50")
    after = simulator.ask("deal/get", ticket=applied.ticket).content
    assert after == {**before, "Profit": "2.50", "ModifyFlags": "1"}
    assert simulator.balance(login) == 1001
    assert isinstance(gateway.find_adjustment(login, KEY, ONE, started), Inconclusive)
    simulator.edit_deal(applied.ticket, fix_balance=True, Comment="")
    assert simulator.balance(login) == Decimal("1002.50")
    assert isinstance(gateway.find_adjustment(login, KEY, ONE, started), NotFound)


@pytest.mark.parametrize(("fields", "code"), [({"Profit": "0.001"}, 3), ({"Action": "x"}, 3), ({}, 13)])
def test_fault_edit_that_cannot_be_is_refused(
    simulator: SimulatorProcess, login: int, fields: dict[str, str], code: int
) -> None:
    (deal,) = simulator.ask("deal/get_batch", login=login, **ALWAYS).content
    ticket = deal["Deal"] if fields else 4_242_424
    assert simulator.ask_anyway("deal/update", Deal=ticket, **fields).code == code
    assert simulator.ask("deal/get_batch", login=login, **ALWAYS).content == [deal]


@pytest.mark.parametrize("fix_balance", [False, True])
def test_fault_deleted_deal_is_gone_and_its_ticket_never_given_again(
    own_simulator: SimulatorProcess, restarted: Mt5Gateway, fix_balance: bool
) -> None:
    login, started = own_simulator.add_account(amount="10.00"), now()
    applied = restarted.adjust_balance(login, ONE, KEY)
    assert isinstance(applied, Applied)
    own_simulator.delete_deal(applied.ticket, fix_balance=fix_balance)
    assert own_simulator.balance(login) == (10 if fix_balance else 11)
    found = restarted.find_adjustment(login, KEY, ONE, started)
    assert isinstance(found, NotFound if fix_balance else Inconclusive)
    own_simulator.restart()
    assert restarted.server_time()
    assert restarted.adjust_balance(login, ONE, KEY) == Applied(applied.ticket + 1)


# orders


def test_fault_partial_fill_executes_a_part_and_says_so(
    simulator: SimulatorProcess, gateway: Mt5Gateway, trading_login: int
) -> None:
    started = now()
    simulator.partial_fill("0.3", login=trading_login)
    assert bought(gateway, trading_login).volume == Decimal("0.3")
    (position,) = gateway.positions([trading_login])[trading_login]
    assert position.volume == Decimal("0.3")
    found = gateway.find_order(trading_login, "bought", started)
    assert isinstance(found, OrderFound)
    assert [deal.volume for deal in found.deals] == [Decimal("0.3")]
    simulator.partial_fill("0.1", login=trading_login)
    closed = gateway.place_market_order(
        trading_login, "EURUSD", Side.SELL, Decimal("0.3"), "closed", position=position.ticket
    )
    assert isinstance(closed, Filled)
    (left,) = gateway.positions([trading_login])[trading_login]
    assert (closed.volume, left.volume) == (Decimal("0.1"), Decimal("0.2"))


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (10004, Refused),
        (10006, Refused),
        (10018, Refused),
        (10019, Refused),
        (10011, Unknown),
        (10012, Unknown),
    ],
)
def test_fault_requote_and_other_dealer_codes_execute_nothing(
    simulator: SimulatorProcess, gateway: Mt5Gateway, trading_login: int, code: int, outcome: type
) -> None:
    started = now()
    simulator.requote(code=code, login=trading_login)
    answer = gateway.place_market_order(trading_login, "EURUSD", Side.BUY, Decimal(1), "asked")
    assert isinstance(answer, outcome)
    assert gateway.positions([trading_login]) == {trading_login: ()}
    assert isinstance(gateway.find_order(trading_login, "asked", started), NotFound)


def test_fault_silent_dealer_is_unknown_and_the_order_is_found_by_its_comment(
    simulator: SimulatorProcess, gateway: Mt5Gateway, trading_login: int
) -> None:
    started = now()
    simulator.arm_fault("empty", "dealer/get_request_result", calls=0)
    answer = gateway.place_market_order(trading_login, "EURUSD", Side.BUY, Decimal(1), "asked", timeout=0.3)
    assert isinstance(answer, Unknown)
    found = gateway.find_order(trading_login, "asked", started)
    assert isinstance(found, OrderFound)
    assert [deal.comment for deal in found.deals] == ["asked"]


# the process


def test_fault_restart_ends_armed_faults_and_keeps_switches(own_simulator: SimulatorProcess) -> None:
    own_simulator.arm_fault("drop_before")
    own_simulator.hide_idle_states()
    own_simulator.restart()
    assert own_simulator.armed_faults() == []
    assert own_simulator.switches()["idle_states_hidden"] == "1"


def test_fault_restart_by_itself_comes_back_on_the_same_port_with_everything_answered(
    own_simulator: SimulatorProcess, restarted: Mt5Gateway
) -> None:
    login, started = own_simulator.add_account(amount="10.00"), now()
    assert isinstance(restarted.adjust_balance(login, ONE, KEY), Applied)
    own_simulator.restart_itself(seconds_down=0.5)

    def look() -> object:
        return restarted.find_adjustment(login, KEY, ONE, started)

    assert isinstance(awaited(look, Inconclusive), Inconclusive)
    assert isinstance(awaited(look, Found), Found)
    own_simulator.kill()
    assert isinstance(look(), Inconclusive)


# arming


def test_armed_faults_are_listed_counted_and_disarmed_one_by_one(
    simulator: SimulatorProcess, login: int
) -> None:
    first = simulator.arm_fault("refuse", "user/get", login=login, code=10, skip=1, calls=3)
    second = simulator.arm_fault("late", "deal/*", seconds=0.5, calls=0)
    codes = [simulator.ask_anyway("user/get", login=login).code for _ in range(2)]
    assert codes == [0, 10]
    listed = {int(fault["number"]): fault for fault in simulator.armed_faults()}
    assert set(listed) == {first, second}
    shown = {
        name: listed[first][name] for name in ("kind", "command", "login", "calls", "hits", "skip", "code")
    }
    assert shown == {
        "kind": "refuse", "command": "user/get", "login": str(login), "calls": "3", "hits": "1", "skip": "0",
        "code": "10",
    }  # fmt: skip
    simulator.disarm_fault(first)
    assert simulator.ask_anyway("user/get", login=login).code == 0
    assert [int(fault["number"]) for fault in simulator.armed_faults()] == [second]


def test_fault_for_one_login_leaves_calls_about_others_alone(
    simulator: SimulatorProcess, gateway: Mt5Gateway, login: int
) -> None:
    other = simulator.add_account(amount="5.00")
    simulator.arm_fault("refuse", "user/*", login=login, code=10, calls=0)
    assert gateway.accounts([other])[other].balance == 5
    with pytest.raises(GatewayUnavailable):
        gateway.accounts([other, login])


@pytest.mark.parametrize(
    ("parameters", "names"),
    [
        ({"kind": "nonsense"}, "kind"),
        ({"kind": "drop_before", "command": "no/such"}, "command"),
        ({"kind": "drop_before", "command": ""}, "command"),
        ({"kind": "late"}, "seconds"),
        ({"kind": "late", "seconds": "soon"}, "seconds"),
        ({"kind": "refuse"}, "code"),
        ({"kind": "refuse", "code": 0}, "code"),
        ({"kind": "dealer_refuses", "code": 10009}, "code"),
        ({"kind": "partial_fill"}, "lots"),
        ({"kind": "lie"}, "fields"),
        ({"kind": "lie", "fields": "[1]"}, "fields"),
        ({"kind": "lie", "fields": "{"}, "fields"),
        ({"kind": "empty", "symbol": "NOSUCH"}, "symbol"),
        ({"kind": "drop_after", "calls": -1}, "calls"),
    ],
)
def test_fault_that_makes_no_sense_is_refused_and_says_why(
    simulator: SimulatorProcess, parameters: dict[str, object], names: str
) -> None:
    refused = simulator.ask_anyway("test/fault", **{"command": "trade/balance", **parameters})
    assert refused.code == 3
    assert names in refused.text
    assert simulator.armed_faults() == []
