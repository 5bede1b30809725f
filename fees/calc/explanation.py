"""Why a fee is what it is: a record of what it was computed from and of every step with its rounding.

A record is JSON with numbers as strings, decimals or exact ratios (`1/3`). Its steps are the outcome of the
very functions that charge, run on the record's own inputs, so a record can be computed again at any time from
itself alone (`recomputed`) and must come out the same, amount included. Words are made elsewhere, from the
codes of the steps.

    {"version": 1, "kind": "performance", "collects_debt": false, "digits": 2,
     "inputs": {"value": "5454", "mark": "5400", …},
     "steps": [{"step": "profit", "result": "54"}, …, {"step": "rounded", "result": "10.8",
               "rounding": "down", "available": "5454"}, …],
     "amount": "10.8", "uncollected": "0"}

An input that decides nothing (a tier that is not reached) does not show in the steps: that it is the one of
the terms is for whoever has the terms to compare.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from fees.calc import performance
from fees.calc.charge import Charge, charge
from fees.calc.crystallisation import FeeLine, accrued_exactly, entry_charge
from fees.calc.kinds import FeeKind
from fees.calc.performance import PerformanceFee, Standing
from fees.calc.schedule import Basis, Mode, Schedule, tier_reached
from fees.calc.terms import EntryFee
from money.exact import ZERO, exact_difference, exact_sum
from money.rounding import CARRIED_PLACES, half_even, minor_unit

VERSION = 1
LONGEST_DECIMAL = 40
"""Places up to which a number is written as a decimal: units times an accumulator have 36."""
_KEPT = ("version", "kind", "collects_debt", "digits", "inputs")
Record = dict[str, Any]
Step = dict[str, Any]


class ExplanationInvalid(ValueError):
    """A record that is none, or that leads to nothing."""


def explanation(line: FeeLine, digits: int) -> Record:
    """The record of a fee that is being charged. `digits`: decimals of the currency.

    Raises ExplanationInvalid where the steps lead to another amount than is charged: nothing of it may be
    written down then.
    """
    record = _recorded(line.kind, line.collects_debt, as_json(line.inputs), digits)
    if (record["amount"], record["uncollected"]) != (number_text(line.amount), number_text(line.uncollected)):
        raise ExplanationInvalid(f"{line.kind} of {line.amount} is explained as {record['amount']}")
    return record


def recomputed(record: Mapping[str, Any]) -> Record:
    """The record that the inputs of `record` lead to: equal to it, unless somebody has changed it.

    Raises ExplanationInvalid.
    """
    try:
        if record["version"] != VERSION:
            raise ExplanationInvalid(f"version {record['version']}")
        return _recorded(
            FeeKind(record["kind"]), bool(record["collects_debt"]), record["inputs"], int(record["digits"])
        )
    except (KeyError, TypeError, AttributeError, ArithmeticError, ValueError) as error:
        raise ExplanationInvalid(str(error)) from error


def kept_of(record: Record) -> Record:
    """What of a record has to be kept: the rest follows from it (`recomputed`)."""
    return {name: record[name] for name in _KEPT}


def is_kept(value: object) -> bool:
    """Whether a value has the form of `kept_of`: nothing more and nothing less."""
    return isinstance(value, dict) and set(value) == set(_KEPT)


def kept_text(kind: FeeKind, *, collects_debt: bool, digits: int) -> str:
    """`kept_of` a fee's record as JSON, up to its inputs: these and a closing brace complete it."""
    head = {"version": VERSION, "kind": kind.value, "collects_debt": collects_debt, "digits": digits}
    return f'{json.dumps(head)[:-1]}, "inputs": '


def _recorded(kind: FeeKind, collects_debt: bool, inputs: Mapping[str, Any], digits: int) -> Record:
    if collects_debt:
        steps, amount, uncollected = _debts(inputs)
    elif kind is FeeKind.PERFORMANCE:
        steps, amount, uncollected = _performance(inputs, digits)
    elif kind is FeeKind.ENTRY:
        steps, amount, uncollected = _entry(inputs, digits)
    elif kind is FeeKind.EARLY_EXIT:
        steps, amount, uncollected = _early_exit(inputs, digits)
    else:
        steps, amount, uncollected = _accruing(kind, inputs, digits)
    return {
        "version": VERSION,
        "kind": kind.value,
        "collects_debt": collects_debt,
        "digits": digits,
        "inputs": dict(inputs),
        "steps": steps,
        "amount": number_text(amount),
        "uncollected": number_text(uncollected),
    }


def _accruing(kind: FeeKind, inputs: Mapping[str, Any], digits: int) -> tuple[list[Step], Decimal, Decimal]:
    exact = accrued_exactly(kind, Decimal(inputs["price"]), Fraction(inputs["quantity"]))
    charged = charge(
        fee=exact, carried=Decimal(inputs["carried"]), available=Decimal(inputs["value"]), digits=digits
    )
    steps = [
        _step("accrued", exact),
        *_rounded(charged, inputs, Decimal(inputs["value"])),
    ]
    return [*steps, _carried_on(charged.carried_next)], charged.amount, charged.uncollected


def _entry(inputs: Mapping[str, Any], digits: int) -> tuple[list[Step], Decimal, Decimal]:
    fee, amount = EntryFee.from_json(inputs["tiers"]), Decimal(inputs["deposit"])
    rate = fee.rate_for(amount)
    charged = entry_charge(amount, rate, Decimal(inputs["carried"]), digits)
    steps = [
        _step("entry_tier", rate, tier=fee.tier_for(amount)),
        _step("of_deposit", Fraction(amount) * Fraction(rate)),
        *_rounded(charged, inputs, exact_difference(amount, minor_unit(digits))),
        _carried_on(charged.carried_next),
    ]
    return steps, charged.amount, charged.uncollected


def _early_exit(inputs: Mapping[str, Any], digits: int) -> tuple[list[Step], Decimal, Decimal]:
    rate, carried = Decimal(inputs["rate"]), Decimal(inputs["carried"])
    leaves = "withdrawn" in inputs
    if leaves:
        charged = performance.exit_fee_on(Decimal(inputs["withdrawn"]), rate, carried, digits)
    else:
        charged = performance.exit_fee_at_close(Decimal(inputs["left"]), rate, carried, digits)
    steps = [
        _step("early_exit", charged.exact),
        *([_with_carried(charged.unrounded)] if carried else []),
        _step("rounded", charged.amount, rounding="down"),
        *([_carried_on(charged.carried_next)] if leaves else []),
    ]
    return steps, charged.amount, ZERO


def _debts(inputs: Mapping[str, Any]) -> tuple[list[Step], Decimal, Decimal]:
    steps = []
    left = Decimal(inputs["value"])
    for debt in inputs["debts"]:
        collected = Decimal(debt["collected"])
        if not 0 <= collected <= min(Decimal(debt["owed"]), left):
            raise ExplanationInvalid("more is collected than is owed, or there is")
        left = exact_difference(left, collected)
        steps.append(
            _step("debt_collected", collected, owed=debt["owed"], since=debt["since"], left=number_text(left))
        )
    return steps, exact_difference(Decimal(inputs["value"]), left), ZERO


def _performance(inputs: Mapping[str, Any], digits: int) -> tuple[list[Step], Decimal, Decimal]:
    schedule = Schedule.from_json(inputs["schedule"])
    value = Decimal(inputs["value"])
    yield_ = Decimal(inputs["yield"]) if schedule.basis is Basis.YIELD else ZERO
    net_worth = Decimal(inputs["net_worth"]) if schedule.basis is Basis.NET_WORTH else ZERO
    standing = Standing(Decimal(inputs["mark"]), Decimal(inputs["carried"]))
    if "withdrawn" in inputs:
        exit_rate = Decimal(inputs["early_exit_rate"])
        exit_carried = Decimal(inputs["exit_carried"]) if exit_rate else ZERO
        plan = performance.withdrawal(
            net_amount=Decimal(inputs["withdrawn"]),
            value=value,
            standing=standing,
            schedule=schedule,
            yield_=yield_,
            net_worth=net_worth,
            digits=digits,
            early_exit_rate=exit_rate,
            exit_carried=exit_carried,
        )
        steps = [
            *_rated(schedule, exact_difference(value, standing.high_water_mark), plan.rate, inputs),
            _with_carried(plan.unrounded),
            *([_exit_fee_beside(plan, exit_rate, exit_carried)] if exit_rate else []),
            _step("part", performance.exact_fee_on_part(plan, value)),
            _step("rounded", plan.fee, rounding="down"),
            _step("gross", plan.gross),
            _step("mark", plan.high_water_mark_next, rounding="half_even"),
            _carried_on(plan.carried_next),
        ]
        return steps, plan.fee, ZERO
    if inputs.get("closes"):
        closed = performance.closing(
            value=value,
            standing=standing,
            schedule=schedule,
            yield_=yield_,
            net_worth=net_worth,
            digits=digits,
        )
        steps = [
            *_rated(schedule, closed.profit, closed.rate, inputs),
            *_rounded(
                charge(
                    fee=closed.unrounded - Fraction(standing.carried),
                    carried=standing.carried,
                    available=value,
                    digits=digits,
                ),
                inputs,
                value,
            ),
        ]
        return steps, closed.fee, ZERO
    counted = Decimal(inputs["counted_value"]) if "counted_value" in inputs else None
    fee = performance.performance_fee(
        value=value,
        standing=standing,
        schedule=schedule,
        yield_=yield_,
        net_worth=net_worth,
        digits=digits,
        profit_value=counted,
    )
    steps = [
        *_rated(schedule, fee.profit, fee.rate, inputs),
        *_rounded(fee, inputs, value if counted is None else min(value, counted)),
        _step("mark", fee.high_water_mark_next, rounding="half_even"),
        _carried_on(fee.carried_next),
    ]
    return steps, fee.amount, fee.uncollected


def _rated(schedule: Schedule, profit: Decimal, rate: Fraction, inputs: Mapping[str, Any]) -> list[Step]:
    """Profit above the mark, the tier the basis has reached, and the fee on all of the profit."""
    profit_step = _step("profit", profit)
    if schedule.basis is Basis.FLAT:
        reached: Step = _step("flat_rate", rate)
    else:
        basis = Decimal(inputs["net_worth" if schedule.basis is Basis.NET_WORTH else "yield"])
        code = "tier" if schedule.mode is Mode.WHOLE else "average_rate"
        reached = _step(
            code,
            rate,
            basis=schedule.basis.value,
            at=number_text(basis),
            tier=tier_reached(schedule.tiers, basis),
        )
    return [profit_step, reached, _step("of_profit", rate * max(Fraction(profit), Fraction(0)))]


def _rounded(charged: Charge | PerformanceFee, inputs: Mapping[str, Any], available: Decimal) -> list[Step]:
    """The carried fraction added, the minor unit rounded down to, and what was not `available` for it."""
    steps = [_with_carried(charged.unrounded)] if Decimal(inputs["carried"]) else []
    due = exact_sum((charged.amount, charged.uncollected))
    steps.append(_step("rounded", due, rounding="down", available=number_text(available)))
    if charged.uncollected:
        steps.append(_step("limited", charged.amount, uncollected=number_text(charged.uncollected)))
    return steps


def _with_carried(unrounded: Fraction) -> Step:
    return _step("with_carried", unrounded)


def _exit_fee_beside(plan: performance.Withdrawal, rate: Decimal, carried: Decimal) -> Step:
    """The early exit fee of the same withdrawal: the performance fee is on the part before it."""
    return _step("exit_fee_beside", plan.exit_fee, rate=number_text(rate), carried=number_text(carried))


def _carried_on(carried: Decimal) -> Step:
    return _step("carried_on", carried, rounding="half_even", places=CARRIED_PLACES)


def _step(code: str, result: Decimal | Fraction, **details: object) -> Step:
    return {"step": code, "result": number_text(result), **details}


def as_json(inputs: Any) -> Any:
    """Inputs as a record has them: every number as a string."""
    if isinstance(inputs, Mapping):
        return {name: as_json(value) for name, value in inputs.items()}
    if isinstance(inputs, (list, tuple)):
        return [as_json(value) for value in inputs]
    if isinstance(inputs, (Decimal, Fraction)):
        return number_text(inputs)
    return inputs.to_json() if isinstance(inputs, (Schedule, EntryFee)) else inputs


def number_text(number: Decimal | Fraction) -> str:
    """A decimal without exponent and superfluous zeros where the number is one, else its exact ratio."""
    exact = Fraction(number)
    if exact.denominator == 1:
        return str(exact.numerator)
    rounded = half_even(exact, LONGEST_DECIMAL)
    if Fraction(rounded) != exact:
        return f"{exact.numerator}/{exact.denominator}"
    return format(rounded, "f").rstrip("0")
