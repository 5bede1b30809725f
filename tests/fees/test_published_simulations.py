"""Numbers that others printed come out of the simulator's endpoint too.

One driver per area puts an example's inputs as bodies and reads the figures from the answers. Sources that
charge several people are asked one by one, the others being the rest of the pool.
"""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from django.test import Client

from money.rounding import half_even
from tests import vectors
from tests.calc.test_published_vectors import assert_close
from tests.fees.simulations import dora_signed_in, on_day, performance, simulated, written

Figures = dict[str, Any]
Inputs = Mapping[str, Any]

EXAMPLES = vectors.load("published.json")
NOT_ASKED = {
    "senior_junior_waterfall": "two classes of units: the simulator has one",
    "mam_lot_allocation": "lots of copied trades, no fee",
    "rounding_allocation": "splitting a whole number among many, no fee",
    "risk_statistics": "statistics of a track record, no fee",
    "time_weighted_return": "a track record over many intervals: the simulator gives the present one's",
}


@pytest.fixture
def dora(db: None) -> Iterator[Client]:
    with dora_signed_in() as client:
        yield client


def high_water_mark(dora: Client, inputs: Inputs) -> Figures:
    if "gav" in inputs:
        return _shares_for_a_fee(dora, inputs)
    if "hwm" in inputs:
        return _fee_above_a_mark(dora, inputs)
    start = Decimal(inputs.get("start", 100_000))
    results = list(inputs.get("pnl", []))
    results += [now - before for before, now in pairwise([0, *inputs.get("cumulative_profit", [])])]
    ends = [{"equity": written(value)} for value in inputs.get("values", [])]
    ends += [{"pnl": written(result)} for result in results]
    rate = inputs.get("rate", 0)
    steps = simulated(
        dora,
        on_day(0, deposit=written(start)),
        *(on_day(30 * number, interval_end=True, **end) for number, end in enumerate(ends, start=1)),
        terms={"performance": performance((None, rate))},
    )[1:]
    return {
        "fees": _fees(steps),
        "fee_paid": _fees(steps),
        "after": [Decimal(step["value"]) for step in steps],
        "chargeable": [_profit(step) for step in steps],
        "carried_fee_balance": [
            (Decimal(step["value"]) - Decimal(step["high_water_mark"])) * Decimal(rate) for step in steps
        ],
    }


def _shares_for_a_fee(dora: Client, inputs: Inputs) -> Figures:
    """The source mints shares for its manager at the price that the fee has left."""
    supply = Decimal(inputs["supply"])
    _, end = simulated(
        dora,
        on_day(0, deposit=written(inputs["hwm"] * supply)),
        on_day(1, equity=written(inputs["gav"]), interval_end=True),
        terms={"performance": performance((None, inputs["rate"]))},
    )
    (fee,), left = _fees([end]), Decimal(end["value"])
    return {
        "fee_value": fee,
        "shares_minted": fee * supply / left,
        "new_hwm": Decimal(end["high_water_mark"]) / supply,
    }


def _fee_above_a_mark(dora: Client, inputs: Inputs) -> Figures:
    _, end = simulated(
        dora,
        on_day(0, deposit=str(inputs["hwm"])),
        on_day(1, equity=str(inputs["value"]), interval_end=True),
        terms={"performance": performance((None, Decimal(inputs["rate_ppm"]) / 10**6))},
        currency="JPY",
    )
    return {"profit": _profit(end), "fee": _fees([end])[0], "after": Decimal(end["value"])}


def hurdle(dora: Client, inputs: Inputs) -> Figures:
    if "equity" in inputs:
        return {"steps": _steps_of_a_strict_hurdle(dora, inputs)}
    tiers = ((None, 0), (inputs["hurdle"], inputs["fee_rate"]))
    capital = Decimal(inputs["capital"])
    charged = {}
    for name, mode in (("hard", "marginal"), ("soft", "whole")):
        _, end = simulated(
            dora,
            on_day(0, deposit=written(capital)),
            on_day(30, equity=written(capital * (1 + inputs["return"])), interval_end=True),
            terms={"performance": performance(*tiers, basis="yield", mode=mode)},
        )
        charged[name] = _fees([end])[0]
    return charged


def _steps_of_a_strict_hurdle(dora: Client, inputs: Inputs) -> list[Figures]:
    """The source charges above the hurdle only: an interval that has not passed it stays open."""
    bound = Decimal(inputs["hurdle_ppm"]) / 10**6
    prices = [Decimal(equity) / inputs["shares"] for equity in inputs["equity"]]
    steps, opening = [on_day(0, deposit=str(inputs["deposit"]))], Decimal(1)
    for day, price in enumerate(prices, start=1):
        ends = price / opening - 1 > bound
        steps.append(on_day(day, price=str(price), interval_end=ends))
        opening = price if ends else opening
    tiers = ((None, 0), (bound, Decimal(inputs["rate_ppm"]) / 10**6))
    terms = {"performance": performance(*tiers, basis="yield")}
    fee_total, figures = Decimal(0), []
    for step in simulated(dora, *steps, terms=terms, currency="JPY")[1:]:
        fee_total += _fees([step])[0]
        cumulative = Decimal(step["high_water_mark"]) - inputs["deposit"] if fee_total else 0
        figures.append(
            {
                "value": Decimal(step["value"]),
                "cumulative": cumulative,
                "fee_total": fee_total,
                "shares": Decimal(step["units"]),
            }
        )
    return figures


def management_fee(dora: Client, inputs: Inputs) -> Figures:
    """A year of it, taken out of the investor's value; the source issues new units instead."""
    held, total = Decimal(inputs["user_units"]), Decimal(inputs["total_units"])
    _, end = simulated(
        dora,
        on_day(0, deposit=written(held * inputs["value"] / total)),
        on_day(365, interval_end=True),
        terms={
            "performance": performance((None, 0)),
            "management_rate": str(Decimal(inputs["bps"]) / 10_000),
        },
        pool_equity=written((total - held) * inputs["value"] / total),
    )
    return {"user_value": Decimal(end["value"])}


def new_investor(dora: Client, inputs: Inputs) -> Figures:
    price = Decimal(inputs["capital"]) / inputs["shares"]
    *_, gained = simulated(
        dora,
        on_day(0, price=str(price), deposit=written(inputs["capital"])),
        on_day(30, pnl=written(inputs["profit"])),
    )
    return {"nav": Decimal(gained["price"])}


def partial_withdrawal(dora: Client, inputs: Inputs) -> Figures:
    if "hwm" in inputs:
        _, step = simulated(
            dora, on_day(0, deposit=written(inputs["hwm"])), on_day(1, deposit=written(inputs["deposit"]))
        )
        return {"new_hwm": Decimal(step["high_water_mark"])}
    if "events" in inputs:
        _, withdrawn, *later = simulated(
            dora,
            on_day(0, deposit=written(inputs["start"])),
            on_day(30, equity="55000.00", interval_end=True, withdraw="2000.00"),
            on_day(60, pnl="-2000.00", interval_end=True),
            on_day(90, pnl="4000.00", interval_end=True),
            terms={"performance": performance((None, inputs["rate"]))},
        )
        fees = _fees([withdrawn, *later])
        return {
            "balance_after_1": Decimal(withdrawn["value"]),
            "hwm_after_1": Decimal(withdrawn["high_water_mark"]),
            "fees": fees,
            "total": sum(fees),
        }
    rate = Decimal(inputs["manager_ppm"]) / 10**6
    _, step = simulated(
        dora,
        on_day(0, deposit=written(100, "USDC")),
        on_day(1, price="2", withdraw=written(Decimal(inputs["request"]) / 10**6, "USDC")),
        terms={"performance": performance((None, rate), on_withdrawal="whole")},
        currency="USDC",
    )
    units = Decimal(step["units"])
    return {
        "user_shares_after_fee": units + Decimal(step["paid_out"]) / 2,
        "user_shares": units,
        "user_value": Decimal(step["value"]),
    }


def proportional_pnl(dora: Client, inputs: Inputs) -> Figures:
    if "new" in inputs:
        return _percentages_with_new_money(dora, inputs)
    investors = [Decimal(amount) for amount in inputs.get("investors", inputs.get("capital"))]
    manager = Decimal(inputs.get("manager", 0))
    capital = sum(investors) + manager
    if "hurdle" in inputs:
        fee = performance((None, 0), (inputs["hurdle"], inputs["fee_rate"]), basis="yield", mode="marginal")
    else:
        fee = performance((None, inputs["fee_rate"]))
    if "profit" in inputs:
        end_total = capital + inputs["profit"]
    else:
        end_total = Decimal(inputs.get("end_total", capital * (1 + Decimal(inputs.get("return", 0)))))

    def end_of(own: Decimal, fee: Mapping[str, Any]) -> Any:
        return simulated(
            dora,
            on_day(0, deposit=written(own)),
            on_day(30, equity=written(end_total), interval_end=True),
            terms={"performance": fee},
            pool_equity=written(capital - own),
        )[1]

    ends = [end_of(own, fee) for own in investors]
    fees, values = _fees(ends), [Decimal(end["value"]) for end in ends]
    shares = [value - own for value, own in zip(values, investors, strict=True)]
    free = end_of(manager, performance((None, 0))) if manager else None
    return {
        "manager_gross": free and Decimal(free["value"]) - manager,
        "investor_gross": [share + charged for share, charged in zip(shares, fees, strict=True)],
        "fees": fees,
        "fee": sum(fees),
        "investor_end": values,
        "shares": shares,
        "distributable": sum(shares),
    }


def _percentages_with_new_money(dora: Client, inputs: Inputs) -> Figures:
    total = Decimal(sum(inputs["capital"]))

    def percent(own: Decimal, others: Decimal) -> Decimal:
        (step,) = simulated(dora, on_day(0, deposit=written(own)), pool_equity=written(others))
        return 100 * Decimal(step["units"]) / (Decimal(step["units"]) + others)

    return {
        "percent": [percent(Decimal(own), total - own) for own in inputs["capital"]],
        "new_percent": percent(Decimal(inputs["new"]), total),
    }


def tiered_fee(dora: Client, inputs: Inputs) -> Figures:
    """Sources give upper bounds, ours has lower ones; a quarter of the rate where parts are printed.

    The exact rate is read from the explanation of the fee.
    """
    share = Fraction(1, 4) if "balance" in inputs else Fraction(1)
    uppers = [upper for upper, _ in inputs["tiers"]]
    rates = [half_even(Fraction(Decimal(rate)) * share, 9) for _, rate in inputs["tiers"]]
    tiers = list(zip([None, *uppers[:-1]], rates, strict=True))
    points = [Decimal(x) for x in inputs.get("x", [inputs.get("balance")])]
    by_money = max(points) > 1
    basis = "flat" if len(tiers) == 1 else "net_worth" if by_money else "yield"

    def rate(mode: str, point: Decimal) -> Fraction:
        """At a net worth, or a yield of 10,000.00; half of the net worth is profit."""
        before = point / 2 if by_money else Decimal(10_000)
        after = point if by_money else before * (1 + point)
        _, end = simulated(
            dora,
            on_day(0, deposit=written(before)),
            on_day(30, equity=written(after), interval_end=True),
            terms={"performance": performance(*tiers, basis=basis, mode=mode)},
        )
        (reached,) = (
            step["result"]
            for step in end["explanation"][0]["steps"]
            if step["step"] in ("flat_rate", "tier", "average_rate")
        )
        charged = _fees([end])[0]
        assert 0 <= Fraction(reached) * Fraction(after - before) - Fraction(charged) < Fraction(1, 100)
        return Fraction(reached)

    base = Fraction(1) if by_money else Fraction(inputs.get("base", 1))
    marginal = [rate("marginal", point) for point in points]
    fees = [reached * Fraction(point) * base for reached, point in zip(marginal, points, strict=True)]
    bounds = [*(Decimal(bound) for bound in uppers if bound is not None), points[-1]]
    totals = [rate("marginal", bound) * Fraction(bound) for bound in bounds] if by_money else []
    return {
        "rates": [rate("whole", point) for point in points],
        "fees": fees,
        "fee": fees[0],
        "effective": marginal[0],
        "parts": [now - before for before, now in pairwise([Fraction(0), *totals])],
    }


def unit_accounting(dora: Client, inputs: Inputs) -> Figures:
    if "nav_in" in inputs:
        joined, later = simulated(
            dora,
            on_day(0, price=str(inputs["nav_in"]), deposit=written(inputs["units"] * inputs["nav_in"])),
            on_day(30, price=str(inputs["nav_out"])),
        )
        return {"invested": Decimal(joined["value"]), "value": Decimal(later["value"])}
    price = Decimal(inputs["assets"]) / inputs["units"]
    joined, later = simulated(
        dora,
        on_day(0, price=str(price), deposit=written(inputs["deposit"])),
        on_day(30, pnl=written(inputs["gain"])),
        pool_equity=written(inputs["assets"]),
    )
    return {
        "unit_value": Decimal(joined["price"]),
        "units_bought": Decimal(joined["units"]),
        "units_total": inputs["units"] + Decimal(joined["units"]),
        "unit_value_after": Decimal(later["price"]),
    }


def _fees(steps: list[Any]) -> list[Decimal]:
    return [sum(map(Decimal, step["fees"].values()), Decimal(0)) for step in steps]


def _profit(step: Any) -> Fraction:
    """Profit above the mark that the step was charged on; no record where there was none."""
    for record in step["explanation"]:
        for line in record["steps"]:
            if line["step"] == "profit":
                return Fraction(line["result"])
    return Fraction(0)


DRIVERS: dict[str, Callable[[Client, Inputs], Figures]] = {
    "high_water_mark": high_water_mark,
    "hurdle": hurdle,
    "management_fee": management_fee,
    "new_investor_vs_hwm": new_investor,
    "partial_withdrawal": partial_withdrawal,
    "proportional_pnl": proportional_pnl,
    "tiered_fee": tiered_fee,
    "unit_accounting": unit_accounting,
}


@pytest.mark.parametrize(
    "example", [e for e in EXAMPLES if e["area"] in DRIVERS], ids=lambda example: str(example["id"])
)
def test_published_example_is_reproduced_by_the_endpoint(dora: Client, example: dict[str, Any]) -> None:
    figures = DRIVERS[example["area"]](dora, example["inputs"])
    compared = {
        name: printed for name, printed in example["expected"].items() if name not in example.get("skip", [])
    }
    assert compared
    for name, printed in compared.items():
        assert_close(figures[name], printed, Fraction(example["tolerance"]), f"{example['id']} {name}")


def test_published_areas_are_asked_or_have_a_reason() -> None:
    assert {example["area"] for example in EXAMPLES} == DRIVERS.keys() | NOT_ASKED.keys()
