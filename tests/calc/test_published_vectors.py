"""Numbers that others printed come out of the project's own calculation.

A driver per area feeds an example's inputs to `calc` and returns the figures by the names the example gives
them. Figures under `skip` do not fit the platform's rules (they keep a fee inside the pool); every other one
is compared within the example's tolerance.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest

from allocation.calc.accumulators import accrued, value_days_after
from allocation.calc.price import Price, time_weighted_return
from allocation.calc.units import units_for_deposit
from allocation.calc.units import value as value_of_units
from fees.calc.crystallisation import FeeState, Situation, interval_end, withdrawal
from fees.calc.performance import (
    Standing,
    after_deposit,
    closing,
    performance_fee,
)
from fees.calc.schedule import Basis, Mode, Schedule, Tier, rate_for
from fees.calc.terms import FeeTerms
from money.rounding import half_even
from money.splitting import largest_remainder
from tests import vectors
from tests.calc.pool import Pool
from track_record.calc import statistics

Figures = dict[str, Any]
Inputs = Mapping[str, Any]

EXAMPLES = vectors.load("published.json")
AREAS_OF_LATER_ISSUES = {"senior_junior_waterfall", "mam_lot_allocation"}
ZERO = Decimal(0)
CENTS = Decimal("0.01")
START = datetime(2026, 1, 1, tzinfo=UTC)


def high_water_mark(inputs: Inputs) -> Figures:
    if "gav" in inputs:
        return _shares_for_a_fee(inputs)
    if "hwm" in inputs:
        rate = Decimal(inputs["rate_ppm"]) / 10**6
        fee = _flat_fee(Decimal(inputs["value"]), Standing(Decimal(inputs["hwm"])), rate, digits=0)
        return {"profit": fee.profit, "fee": fee.amount, "after": inputs["value"] - fee.amount}
    start = Decimal(inputs.get("start", 100_000))
    rate = Decimal(inputs.get("rate", 0))
    steps: list[Decimal] = [Decimal(value) for value in inputs.get("values", [])]
    results = [Decimal(result) for result in inputs.get("pnl", [])]
    cumulative = [ZERO, *map(Decimal, inputs.get("cumulative_profit", []))]
    results += [now - before for before, now in pairwise(cumulative)]

    value, standing = start, Standing(start)
    figures: Figures = {"fees": [], "after": [], "chargeable": [], "carried_fee_balance": []}
    for step in range(max(len(steps), len(results))):
        value = steps[step] if steps else value + results[step]
        fee = _flat_fee(value, standing, rate)
        value, standing = value - fee.amount, fee.standing_next
        figures["fees"].append(fee.amount)
        figures["after"].append(value)
        figures["chargeable"].append(max(fee.profit, ZERO))
        figures["carried_fee_balance"].append(min(fee.profit, ZERO) * rate)
    return figures | {"fee_paid": figures["fees"]}


def _flat_fee(value: Decimal, standing: Standing, rate: Decimal, digits: int = 2) -> Any:
    return performance_fee(
        value=value,
        standing=standing,
        schedule=Schedule.flat(rate),
        yield_=ZERO,
        net_worth=ZERO,
        digits=digits,
    )


def _shares_for_a_fee(inputs: Inputs) -> Figures:
    supply = Decimal(inputs["supply"])
    fee = _flat_fee(Decimal(inputs["gav"]), Standing(inputs["hwm"] * supply), Decimal(inputs["rate"]))
    left = Price(inputs["gav"] - fee.amount, supply)
    return {
        "fee_value": fee.amount,
        "shares_minted": units_for_deposit(fee.amount, left),
        "new_hwm": fee.high_water_mark_next / supply,
    }


def hurdle(inputs: Inputs) -> Figures:
    if "equity" in inputs:
        return {"steps": _steps_of_a_strict_hurdle(inputs)}
    capital = Decimal(inputs["capital"])
    tiers = (Tier(None, ZERO), Tier(inputs["hurdle"], inputs["fee_rate"]))
    charged = {}
    for name, mode in (("hard", Mode.MARGINAL), ("soft", Mode.WHOLE)):
        pool = Pool()
        pool.deposit("investor", capital, Schedule(Basis.YIELD, mode, tiers))
        pool.trade(capital * inputs["return"])
        charged[name] = pool.end_interval("investor").amount
    return charged


def _steps_of_a_strict_hurdle(inputs: Inputs) -> list[Figures]:
    """The source charges above the hurdle only: at exactly the bound the interval is left open."""
    bound = Decimal(inputs["hurdle_ppm"]) / 10**6
    tiers = (Tier(None, ZERO), Tier(bound, Decimal(inputs["rate_ppm"]) / 10**6))
    pool = Pool(digits=0)
    pool.deposit("investor", Decimal(inputs["deposit"]), Schedule(Basis.YIELD, Mode.WHOLE, tiers))
    fee_total, steps = ZERO, []
    for equity in inputs["equity"]:
        pool.trade((Decimal(equity) * pool.units / inputs["shares"]).quantize(Decimal(1)) - pool.equity)
        reached = time_weighted_return(pool.holdings["investor"].opening, pool.price)
        if reached > bound:
            fee_total += pool.end_interval("investor").amount
        value = pool.value("investor")
        holding = pool.holdings["investor"]
        cumulative = holding.standing.high_water_mark - inputs["deposit"] if fee_total else ZERO
        steps.append(
            {"value": value, "cumulative": cumulative, "fee_total": fee_total, "shares": holding.units}
        )
    return steps


def new_investor(inputs: Inputs) -> Figures:
    return {"nav": Price(Decimal(inputs["capital"] + inputs["profit"]), Decimal(inputs["shares"])).rounded()}


def partial_withdrawal(inputs: Inputs) -> Figures:
    if "hwm" in inputs:
        standing = after_deposit(Standing(Decimal(inputs["hwm"])), Decimal(inputs["deposit"]))
        return {"new_hwm": standing.high_water_mark}
    if "events" in inputs:
        return _withdrawal_after_a_fee(inputs)
    digits, price = 6, Price(Decimal(2), Decimal(1))
    units, value, asked = Decimal(100), Decimal(200), Decimal(inputs["request"]) / 10**6
    schedule = Schedule.flat(Decimal(inputs["manager_ppm"]) / 10**6)
    standing = Standing(Decimal(100))
    whole = closing(
        value=value, standing=standing, schedule=schedule, yield_=ZERO, net_worth=ZERO, digits=digits
    )
    after_fee = units - units_for_deposit(whole.fee, price)
    if asked >= whole.paid:
        return {"user_shares_after_fee": after_fee, "user_shares": ZERO, "user_value": ZERO}
    taken = withdrawal(
        asked, FeeTerms(schedule, crystallises_whole=True), FeeState(standing), Situation(value, digits)
    )
    left = units - units_for_deposit(taken.gross, price)
    assert taken.state.standing.high_water_mark == value - taken.gross
    return {"user_shares_after_fee": after_fee, "user_shares": left, "user_value": value - taken.gross}


def _withdrawal_after_a_fee(inputs: Inputs) -> Figures:
    pool = Pool()
    pool.deposit("investor", Decimal(inputs["start"]), Schedule.flat(inputs["rate"]))
    fees = []
    pool.trade(Decimal(5000))
    fees.append(pool.end_interval("investor").amount)
    pool.withdraw("investor", Decimal(2000))
    after_1, mark_1 = pool.equity, pool.holdings["investor"].standing.high_water_mark
    for result in (-2000, 4000):
        pool.trade(Decimal(result))
        fees.append(pool.end_interval("investor").amount)
    return {"balance_after_1": after_1, "hwm_after_1": mark_1, "fees": fees, "total": sum(fees)}


def proportional_pnl(inputs: Inputs) -> Figures:
    if "new" in inputs:
        return _percentages_with_new_money(inputs)
    investors = [Decimal(amount) for amount in inputs.get("investors", inputs.get("capital"))]
    schedule = Schedule.flat(Decimal(inputs["fee_rate"]))
    if "hurdle" in inputs:
        tiers = (Tier(None, ZERO), Tier(inputs["hurdle"], inputs["fee_rate"]))
        schedule = Schedule(Basis.YIELD, Mode.MARGINAL, tiers)
    pool = Pool()
    if "manager" in inputs:
        pool.deposit("manager", Decimal(inputs["manager"]))
    for number, amount in enumerate(investors):
        pool.deposit(str(number), amount, schedule)
    joined = pool.values()
    pool.trade(_profit(inputs, pool.equity))
    gross = {name: value - joined[name] for name, value in pool.values().items()}
    names = [str(number) for number in range(len(investors))]
    fees = [pool.end_interval(name).amount for name in names]
    return {
        "manager_gross": gross.get("manager"),
        "investor_gross": [gross[name] for name in names],
        "fees": fees,
        "fee": sum(fees),
        "investor_end": [pool.value(name) for name in names],
        "shares": [pool.value(name) - joined[name] for name in names],
        "distributable": sum(pool.value(name) - joined[name] for name in names),
    }


def _profit(inputs: Inputs, capital: Decimal) -> Decimal:
    if "profit" in inputs:
        return Decimal(inputs["profit"])
    if "end_total" in inputs:
        return Decimal(inputs["end_total"]) - capital
    return capital * Decimal(inputs["return"])


def _percentages_with_new_money(inputs: Inputs) -> Figures:
    pool = Pool()
    for number, amount in enumerate(inputs["capital"]):
        pool.deposit(str(number), Decimal(amount))
    before = [100 * holding.units / pool.units for holding in pool.holdings.values()]
    pool.deposit("new", Decimal(inputs["new"]))
    return {"percent": before, "new_percent": 100 * pool.holdings["new"].units / pool.units}


def tiered_fee(inputs: Inputs) -> Figures:
    """Sources give upper bounds, ours has lower ones; a quarter of the rate where parts are printed."""
    share = Fraction(1, 4) if "balance" in inputs else Fraction(1)
    uppers = [upper for upper, _ in inputs["tiers"]]
    rates = [half_even(Fraction(Decimal(rate)) * share, 9) for _, rate in inputs["tiers"]]
    tiers = tuple(
        Tier(None if bound is None else Decimal(bound), rate)
        for bound, rate in zip([None, *uppers[:-1]], rates, strict=True)
    )
    points = [Decimal(x) for x in inputs.get("x", [inputs.get("balance")])]
    by_money = max(points) > 1
    figures: Figures = {}
    for mode in Mode:
        basis = Basis.FLAT if len(tiers) == 1 else Basis.NET_WORTH if by_money else Basis.YIELD
        schedule = Schedule(basis, mode, tiers)
        schedule.validate()
        rated = [rate_for(schedule, point) for point in points]
        if mode is Mode.WHOLE:
            figures["rates"] = rated
        if mode is Mode.MARGINAL:
            base = Fraction(1) if by_money else Fraction(inputs.get("base", 1))
            figures["fees"] = [
                rate * Fraction(point) * base for rate, point in zip(rated, points, strict=True)
            ]
            figures["fee"] = figures["fees"][0]
            figures["effective"] = rated[0]
            bounds = [Decimal(0), *(Decimal(bound) for bound in uppers if bound is not None), points[-1]]
            total = [rate_for(schedule, bound) * Fraction(bound) for bound in bounds]
            figures["parts"] = [now - before for before, now in pairwise(total)]
    return figures


def management_fee(inputs: Inputs) -> Figures:
    """A year of it on the investor's value; the source issues new units instead."""
    price = Price(Decimal(inputs["value"]), Decimal(inputs["total_units"]))
    held = Decimal(inputs["user_units"])
    year = value_days_after(ZERO, price, START, START + timedelta(days=365))
    ended = interval_end(
        FeeTerms(Schedule.flat(ZERO), management_rate=Decimal(inputs["bps"]) / 10_000),
        FeeState(),
        Situation(value_of_units(held, price, 2), 2, value_days=accrued(ZERO, held, year, ZERO)),
    )
    return {"user_value": ended.value_left}


def time_weighted(inputs: Inputs) -> Figures:
    pool = Pool()
    prices = [pool.price]

    def trade(result: Decimal) -> None:
        pool.trade(result)
        prices.append(pool.price)

    def flow(name: str, amount: Decimal) -> None:
        if amount > 0:
            pool.deposit(name, amount)
        elif amount < 0:
            pool.withdraw(name, -amount)

    figures: Figures = {}
    if "subperiods_begin_end" in inputs:
        flows = [inputs["subperiods_begin_end"][0][0], *inputs["flows_between"]]
        for amount, (begin, end) in zip(flows, inputs["subperiods_begin_end"], strict=True):
            flow("investor", Decimal(amount))
            assert pool.equity == begin
            trade(Decimal(end - begin))
    elif "div" in inputs:
        flow("investor", Decimal(inputs["p0"]))
        trade(Decimal(inputs["p1"] + inputs["div"] - inputs["p0"]))
        flow("investor", -Decimal(inputs["div"]))
        trade(Decimal(inputs["p2"] + inputs["div"] - inputs["p1"]))
    elif "flows" in inputs:
        names = ("a", "b")
        for name in names:
            flow(name, Decimal(inputs["start"]))
        trade(pool.equity * inputs["r"][0])
        for name, amount in zip(names, inputs["flows"], strict=True):
            flow(name, Decimal(amount))
        trade(pool.equity * inputs["r"][1])
        figures["end"] = [pool.value(name) for name in names]
    elif "deposits" in inputs:
        for paid_in, taken_out, result in zip(
            inputs["deposits"], inputs["withdrawals"], inputs["pnl"], strict=True
        ):
            flow("investor", Decimal(paid_in))
            trade(Decimal(result))
            flow("investor", -Decimal(taken_out))
    else:
        flow("investor", Decimal(10_000))
        for rate in inputs["returns"]:
            trade((pool.equity * Decimal(rate)).quantize(CENTS))

    steps = statistics.returns(prices)
    return figures | {
        "twr": time_weighted_return(prices[0], prices[-1]),
        "subperiod_returns": steps,
        "hpr": steps,
        "twr_annual": statistics.annual_return(steps, 1),
        "delta": steps,
        "accumulated": [time_weighted_return(prices[0], price) for price in prices[1:]],
    }


def unit_accounting(inputs: Inputs) -> Figures:
    if "nav_in" in inputs:
        pool = Pool(digits=2, price=Price(Decimal(inputs["nav_in"]), Decimal(1)))
        invested = Decimal(inputs["units"] * inputs["nav_in"])
        pool.deposit("investor", invested)
        pool.trade(Decimal(inputs["units"] * (inputs["nav_out"] - inputs["nav_in"])))
        return {"invested": invested, "value": pool.value("investor")}
    price = Price(Decimal(inputs["assets"]), Decimal(inputs["units"]))
    pool = Pool(price=price)
    pool.deposit("before", Decimal(inputs["assets"]))
    already = pool.units
    pool.deposit("new", Decimal(inputs["deposit"]))
    figures = {"unit_value": price.rounded(), "units_bought": pool.units - already, "units_total": pool.units}
    pool.trade(Decimal(inputs["gain"]))
    return figures | {"unit_value_after": pool.price.rounded()}


def rounding_allocation(inputs: Inputs) -> Figures:
    step = inputs.get("step", 1)
    parts = largest_remainder(inputs.get("total", inputs.get("minor", 0)) // step, inputs["weights"])
    return {"parts": [part * step for part in parts]}


DRIVERS: dict[str, Callable[[Inputs], Figures]] = {
    "high_water_mark": high_water_mark,
    "hurdle": hurdle,
    "management_fee": management_fee,
    "new_investor_vs_hwm": new_investor,
    "partial_withdrawal": partial_withdrawal,
    "proportional_pnl": proportional_pnl,
    "tiered_fee": tiered_fee,
    "time_weighted_return": time_weighted,
    "unit_accounting": unit_accounting,
    "rounding_allocation": rounding_allocation,
}


@pytest.mark.parametrize(
    "example", [e for e in EXAMPLES if e["area"] in DRIVERS], ids=lambda example: str(example["id"])
)
def test_published_example_is_reproduced_by_our_calculation(example: dict[str, Any]) -> None:
    figures = DRIVERS[example["area"]](example["inputs"])
    compared = {
        name: figure for name, figure in example["expected"].items() if name not in example.get("skip", [])
    }
    assert compared
    for name, printed in compared.items():
        assert_close(figures[name], printed, Fraction(example["tolerance"]), f"{example['id']} {name}")


def test_published_examples_every_area_is_driven_or_named_as_later() -> None:
    areas = {example["area"] for example in EXAMPLES}
    assert areas == DRIVERS.keys() | AREAS_OF_LATER_ISSUES | {"risk_statistics"}


def assert_close(ours: Any, printed: Any, tolerance: Fraction, what: str) -> None:
    """Each figure within the example's tolerance, in lists and objects too."""
    if isinstance(printed, Mapping):
        for name, figure in printed.items():
            assert_close(ours[name], figure, tolerance, f"{what}.{name}")
    elif isinstance(printed, list):
        assert len(ours) == len(printed), what
        for index, (our, figure) in enumerate(zip(ours, printed, strict=True)):
            assert_close(our, figure, tolerance, f"{what}[{index}]")
    else:
        assert abs(Fraction(ours) - Fraction(printed)) <= tolerance, f"{what}: {ours} is not {printed}"
