"""The simulator's endpoint: what it answers, what it refuses by which name, and what it costs."""

import gc
import json
import time
from collections.abc import Iterator
from copy import deepcopy
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from fees.api.parsers import LONGEST_BODY
from fees.api.serializers import MOST_STEPS
from fees.api.views import SimulationThrottle
from tests.fees.simulations import ADDRESS, START, ask, dora_signed_in, on_day, performance, simulated
from tests.pace import slowness

HOURS_OF_A_YEAR = 8760
ALL_KINDS: dict[str, Any] = {
    "performance": performance(
        (None, "0.10"), ("0.05", "0.20"), ("0.20", "0.30"), basis="yield", mode="marginal"
    ),
    "management_rate": "0.02",
    "entry_tiers": [{"from": None, "rate": "0.02"}, {"from": "1000.00", "rate": "0.01"}],
    "subscription_amount": "9.00",
    "volume_amount_per_lot": "1.50",
    "early_exit_rate": "0.01",
    "shares": {"broker_rate": "0.30", "agents": ["0.10", "0.05"]},
}
BODY: dict[str, Any] = {
    "currency": "USD",
    "terms": ALL_KINDS,
    "steps": [
        on_day(0, deposit="1000.00"),
        on_day(30, equity="1200.00", balance="1100.00", lots="2.00", interval_end=True),
        on_day(40, price="1.10", withdraw="100.00"),
        on_day(50, pnl="-10.00", close=True),
    ],
}


@pytest.fixture
def dora(db: None) -> Iterator[Client]:
    with dora_signed_in() as client:
        yield client


def test_answer_tells_everything_of_each_step(dora: Client) -> None:
    terms = {
        "performance": performance((None, "0.20")),
        "shares": ALL_KINDS["shares"],
        "early_exit_rate": "0.01",
    }
    joins, end = simulated(
        dora,
        on_day(0, deposit="1000.00"),
        on_day(31, equity="1500.00", interval_end=True, withdraw="99.00"),
        terms=terms,
    )
    assert joins | {"explanation": []} == {
        "at": "2026-01-01T00:00:00Z",
        "value": "1000.00",
        "units": "1000.000000000000",
        "price": "1.000000000000",
        "high_water_mark": "1000.000000000000",
        "time_weighted_return": "0.000000000",
        "fees": dict.fromkeys(joins["fees"], "0.00"),
        "accrued": dict.fromkeys(joins["fees"], "0.00") | {"early_exit": "10.00"},
        "paid_out": "0.00",
        "net_value": "990.00",
        "parts": {"broker": "0.00", "agents": ["0.00", "0.00"], "manager": "0.00"},
        "explanation": [],
    }
    assert list(joins["fees"]) == [
        "management", "subscription", "volume", "performance", "entry", "early_exit"
    ]  # fmt: skip
    nothing = dict.fromkeys(joins["fees"], "0.00")
    assert end["fees"] == nothing | {"performance": "100.00", "early_exit": "1.00"}
    assert (end["paid_out"], end["value"], end["net_value"]) == ("99.00", "1300.00", "1287.00")
    assert end["time_weighted_return"] == "0.500000000"
    assert end["parts"] == {"broker": "30.30", "agents": ["10.10", "5.05"], "manager": "55.55"}
    performance_fee, exit_fee = end["explanation"]
    assert (performance_fee["kind"], performance_fee["amount"]) == ("performance", "100")
    assert [step["step"] for step in performance_fee["steps"]][:2] == ["profit", "flat_rate"]
    assert any("100.00" in sentence for sentence in performance_fee["words"])
    assert exit_fee["kind"] == "early_exit"


def test_answer_follows_pool_equity_agents_and_lock_in(dora: Client) -> None:
    steps = [
        on_day(0, deposit="1000.00"),
        on_day(10, pnl="500.00", interval_end=True),
        on_day(20, close=True),
    ]
    terms = ALL_KINDS | {"entry_tiers": [], "management_rate": "0", "subscription_amount": "0.00"}
    *_, end, closed = simulated(
        dora,
        *steps,
        terms=terms,
        pool_equity="1000.00",
        agents=1,
        lock_in_ends_at="2026-01-21T00:00:00+02:00",
    )
    # 250.00 at (0.05 × 10 % + 0.15 × 20 % + 0.05 × 30 %) ÷ 0.25 = 20 %
    assert end["fees"]["performance"] == "50.00"
    assert len(end["parts"]["agents"]) == 1
    assert closed["fees"]["early_exit"] == "0.00"


def test_early_exit_fee_may_be_due_until_the_interval_ends(dora: Client) -> None:
    terms = {
        "performance": performance((None, "0.00")),
        "early_exit_rate": "0.01",
        "early_exit_until": "interval",
    }
    steps = [
        on_day(0, deposit="1000.00"),
        on_day(10, withdraw="99.00"),
        on_day(20, interval_end=True, close=True),
    ]
    _, within, at_end = simulated(dora, *steps, terms=terms)
    assert [step["fees"]["early_exit"] for step in (within, at_end)] == ["1.00", "0.00"]


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_only_a_post_simulates(dora: Client, method: str) -> None:
    assert getattr(dora, method)(ADDRESS).status_code == 405


def test_visitor_is_refused(dora: Client) -> None:
    answer = ask(Client(HTTP_HOST="alpha.localhost"), BODY)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_authenticated")


def _changed(path: str, value: object) -> dict[str, Any]:
    """The body with another value at `path`; `...` takes it away."""
    body = deepcopy(BODY)
    place: Any = body
    *way, last = path.replace("]", "").replace("[", ".").split(".")
    for name in way:
        place = place[int(name)] if isinstance(place, list) else place[name]
    key: Any = int(last) if isinstance(place, list) else last
    if value is ...:
        del place[key]
    else:
        place[key] = value
    return body


TIERS = "terms.performance.tiers"


@pytest.mark.parametrize(
    ("path", "value", "field", "code"),
    [
        ("currency", ..., None, "required"),
        ("currency", "EUR", None, "currency_unknown"),
        ("currency", "U\0D", None, "currency_unknown"),
        ("currency", 5, None, "not_a_text"),
        ("colour", "red", None, "unknown_field"),
        ("\ud800", "red", "?", "unknown_field"),
        ("terms", ..., None, "required"),
        ("terms", [], None, "not_an_object"),
        ("terms.performance", ..., None, "required"),
        ("terms.performance.basis", "profit", None, "unknown_basis"),
        ("terms.performance.mode", "half", None, "unknown_mode"),
        ("terms.performance.profit_basis", "balance", None, "unknown_choice"),
        ("terms.performance.on_withdrawal", "whole", None, "whole_needs_flat_fee"),
        (TIERS, ..., None, "required"),
        (TIERS, [], None, "no_tiers"),
        (TIERS, "0.20", None, "not_a_list"),
        (TIERS, [{"from": None, "rate": "0.1"}] * 21, None, "too_many_tiers"),
        (f"{TIERS}[1]", "0.20", None, "not_an_object"),
        (f"{TIERS}[1].to", "0.20", None, "unknown_field"),
        (f"{TIERS}[0].from", "0.01", None, "first_tier_has_bound"),
        (f"{TIERS}[2].from", "0.05", None, "bounds_not_rising"),
        (f"{TIERS}[2].from", "0.01", None, "bounds_not_rising"),
        (f"{TIERS}[2].from", None, None, "bound_missing"),
        (f"{TIERS}[2].from", "-0.20", None, "bound_negative"),
        (f"{TIERS}[2].from", "0.2000000001", None, "bound_too_precise"),
        (f"{TIERS}[2].from", 0.2, None, "not_a_decimal"),
        (f"{TIERS}[2].rate", "1.01", None, "rate_out_of_range"),
        (f"{TIERS}[2].rate", "-0.01", None, "rate_out_of_range"),
        (f"{TIERS}[2].rate", "0.1234567891", None, "rate_too_precise"),
        (f"{TIERS}[2].rate", ..., None, "required"),
        ("terms.performance.basis", "flat", f"{TIERS}[1].from", "flat_has_several_tiers"),
        ("terms.management_rate", "1.1", None, "management_rate_invalid"),
        ("terms.management_rate", "-0.1", None, "management_rate_invalid"),
        ("terms.management_rate", 0.02, None, "not_a_decimal"),
        ("terms.entry_tiers[1].rate", "0.03", None, "rates_rising"),
        ("terms.entry_tiers[0].rate", "1", None, "rate_out_of_range"),
        ("terms.entry_tiers[1].from", "1000.001", None, "bound_too_precise"),
        ("terms.subscription_amount", "9.001", None, "amount_too_precise"),
        ("terms.subscription_amount", "-9.00", None, "amount_negative"),
        ("terms.volume_amount_per_lot", "1e2", None, "not_a_decimal"),
        ("terms.early_exit_rate", "1", None, "early_exit_rate_invalid"),
        ("terms.early_exit_until", "forever", None, "unknown_choice"),
        ("terms.shares.broker_rate", "0.90", None, "shares_exceed_the_fee"),
        ("terms.shares.broker_rate", "1.10", None, "share_rate_invalid"),
        ("terms.shares.agents[1]", 5, None, "not_a_decimal"),
        ("terms.shares.agents[1]", "-0.1", "terms.shares.agents", "share_rate_invalid"),
        ("terms.shares.agents", ["0.01"] * 11, None, "too_many_agent_levels"),
        ("agents", 11, None, "out_of_range"),
        ("agents", True, None, "not_a_whole_number"),
        ("lock_in_ends_at", "tomorrow", None, "not_a_moment"),
        ("pool_equity", "-1.00", None, "amount_negative"),
        ("steps", ..., None, "required"),
        ("steps", [], None, "required"),
        ("steps", {}, None, "not_a_list"),
        ("steps", [None] * (MOST_STEPS + 1), None, "too_many_steps"),
        ("steps[1]", None, None, "not_an_object"),
        ("steps[1].profit", "1.00", None, "unknown_field"),
        ("steps[1].at", ..., None, "required"),
        ("steps[1].at", "2026-01-31T00:00:00", None, "not_a_moment"),
        ("steps[1].at", "2026-02-30T00:00:00Z", None, "not_a_moment"),
        ("steps[1].at", "0001-01-01T00:00:00+14:00", None, "not_a_moment"),
        ("steps[1].at", "2300-01-01T00:00:00Z", None, "moment_out_of_range"),
        ("steps[1].at", "2025-12-31T00:00:00Z", None, "time_not_rising"),
        ("steps[1].equity", 1200, None, "not_a_decimal"),
        ("steps[1].equity", 1200.5, None, "not_a_decimal"),
        ("steps[1].equity", "", None, "not_a_decimal"),
        ("steps[1].equity", " 1200.00", None, "not_a_decimal"),
        ("steps[1].equity", "1,200.00", None, "not_a_decimal"),
        ("steps[1].equity", "01200.00", None, "not_a_decimal"),
        ("steps[1].equity", "NaN", None, "not_a_decimal"),
        ("steps[1].equity", "Infinity", None, "not_a_decimal"),
        ("steps[1].equity", "1.2e3", None, "not_a_decimal"),
        ("steps[1].equity", "\N{FULLWIDTH DIGIT ONE}", None, "not_a_decimal"),
        ("steps[1].equity", True, None, "not_a_decimal"),
        ("steps[1].equity", "1200.001", None, "amount_too_precise"),
        ("steps[1].equity", "1200.000", None, "amount_too_precise"),
        ("steps[1].equity", "1000000000000000.00", None, "amount_too_large"),
        ("steps[1].balance", "1.001", None, "amount_too_precise"),
        ("steps[1].pnl", "200.00", "steps[1].equity", "several_prices"),
        ("steps[1].lots", "-1", None, "amount_negative"),
        ("steps[1].lots", "0.000000001", None, "too_precise"),
        ("steps[1].interval_end", "true", None, "not_a_boolean"),
        ("steps[2].price", "1.1000000000001", None, "too_precise"),
        ("steps[2].withdraw", "0.00", None, "amount_not_positive"),
        ("steps[2].withdraw", "5000.00", "steps[3].at", "already_closed"),
        ("steps[3].withdraw", "1.00", None, "withdraw_and_close"),
        ("steps[0].deposit", "-5.00", None, "amount_not_positive"),
        ("steps[0].deposit", ..., "steps[1].interval_end", "not_invested"),
        ("steps[0].pnl", "5.00", None, "equity_without_units"),
        ("steps[1].equity", "-1.00", "steps[1].interval_end", "price_is_zero"),
    ],
)  # fmt: skip
def test_body_that_cannot_be_is_refused_with_the_path_of_the_value(
    dora: Client, path: str, value: object, field: str | None, code: str
) -> None:
    body = json.dumps(_changed(path, value))
    answer = ask(dora, body)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "invalid_input"), problem
    assert answer["Content-Type"] == "application/problem+json"
    assert {at: [error["code"] for error in errors] for at, errors in problem["fields"].items()} == {
        field or path: [code]
    }
    assert all(error["message"] for errors in problem["fields"].values() for error in errors)


def test_body_of_the_refusals_is_answered_unchanged(dora: Client) -> None:
    assert ask(dora, BODY).status_code == 200


def test_ceilings_of_the_broker_do_not_stop_a_simulation(dora: Client) -> None:
    terms = {"performance": performance((None, "1")), "management_rate": "1"}
    _, end = simulated(
        dora, on_day(0, deposit="100.00"), on_day(1, equity="150.00", interval_end=True), terms=terms
    )
    assert Decimal(end["fees"]["performance"]) > 49


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        ("{", "application/json", 400, "parse_error"),
        ("[" * 100_000, "application/json", 400, "parse_error"),
        ('{"currency": NaN}', "application/json", 400, "parse_error"),
        (b"\xff", "application/json", 400, "parse_error"),
        (" " * (LONGEST_BODY + 1), "application/json", 413, "body_too_large"),
        (" " * 2 * LONGEST_BODY, "application/json", 413, "body_too_large"),
        ("currency=USD", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
    ],
    ids=["cut off", "nested too deep", "not a number", "not UTF-8", "too large", "far too large", "a form"],
)
def test_what_is_no_body_of_ours_is_refused(
    dora: Client, body: str | bytes, content_type: str, status: int, code: str
) -> None:
    answer = dora.post(ADDRESS, body, content_type=content_type)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_figures_beyond_any_account_are_refused(dora: Client) -> None:
    steps = [on_day(0, price="0.000000000001", deposit="900000000000000.00")]
    steps += [on_day(day, deposit="900000000000000.00") for day in range(1, 4)]
    steps.append(on_day(10_000, price="900000000000000", interval_end=True))
    answer = ask(dora, BODY | {"steps": steps})
    assert (answer.status_code, list(answer.json()["fields"])) == (422, ["steps"])


def test_many_simulations_at_once_are_slowed_down(dora: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimulationThrottle, "rate", "2/min")
    assert [ask(dora, BODY).status_code for _ in range(3)] == [200, 200, 429]
    assert int(ask(dora, BODY)["Retry-After"]) > 0


def _year() -> dict[str, Any]:
    """Hours of a year with every kind of fee: monthly ends, weekly deposits and withdrawals."""
    steps: list[dict[str, Any]] = [{"at": START.isoformat(), "deposit": "10000.00"}]
    for hour in range(1, HOURS_OF_A_YEAR):
        step: dict[str, Any] = {
            "at": (START + timedelta(hours=hour)).isoformat(),
            "pnl": f"{(hour * 7919) % 4100 / 100 - 20:.2f}",
            "lots": f"{hour % 30 / 100:.2f}",
        }
        if hour % 730 == 0:
            step["interval_end"] = True
        if hour % 168 == 5:
            step["deposit"] = "50.00"
        if hour % 168 == 90:
            step["withdraw"] = "60.00"
        steps.append(step)
    return BODY | {"steps": steps}


def test_year_of_hours_with_all_kinds_takes_about_a_second_and_no_more_statements(dora: Client) -> None:
    with CaptureQueriesContext(connection) as few:
        assert ask(dora, BODY).status_code == 200
    body = json.dumps(_year())
    gc.freeze()  # as the web server does
    began = time.process_time()
    with CaptureQueriesContext(connection) as many:
        answer = ask(dora, body)
    seconds = time.process_time() - began
    gc.unfreeze()
    assert answer.status_code == 200
    assert len(answer.json()["steps"]) == HOURS_OF_A_YEAR
    charged = {kind for step in answer.json()["steps"] for kind, fee in step["fees"].items() if Decimal(fee)}
    assert charged == set(answer.json()["steps"][0]["fees"])
    assert len(many) == len(few)
    assert not [query["sql"] for query in many if query["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]
    # About 1 s of processor time on a machine of its own; several times that beside others on the same cores.
    assert seconds < 6 * slowness(time.process_time)
