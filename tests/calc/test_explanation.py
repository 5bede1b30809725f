"""Every fee explains itself: its record holds all it was computed from, and computing it again gives it."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from fees.calc.crystallisation import (
    Debt,
    FeeLine,
    FeeState,
    Situation,
    available,
    closing,
    deposit,
    interval_end,
    withdrawal,
)
from fees.calc.explanation import ExplanationInvalid, explanation, recomputed
from fees.calc.kinds import FeeKind
from fees.calc.performance import Standing
from fees.calc.schedule import Basis, Mode, Schedule, Tier
from fees.calc.terms import EntryFee, FeeTerms
from money.exact import decimal_of, exact_sum
from money.rounding import minor_unit

ZERO = Decimal(0)
EXAMPLE_1 = Schedule(
    Basis.YIELD,
    Mode.WHOLE,
    (Tier(None, ZERO), Tier(Decimal("0.10"), Decimal("0.20")), Tier(Decimal("0.40"), Decimal("0.50"))),
)
TWENTY_PERCENT = Schedule.flat(Decimal("0.20"))


def steps_of(line: FeeLine, digits: int = 2) -> list[tuple[str, str]]:
    return [(step["step"], step["result"]) for step in explanation(line, digits)["steps"]]


# Records, written out


def test_explanation_of_a_performance_fee_has_inputs_tier_steps_and_roundings() -> None:
    state = FeeState(Standing(Decimal("5400.00"), Decimal("0.005")))
    due = Situation(Decimal("5454.00"), 2, yield_=Decimal("0.122222222"))
    (line,) = interval_end(FeeTerms(EXAMPLE_1), state, due).lines
    tiers = [
        {"from": None, "rate": "0"},
        {"from": "0.10", "rate": "0.20"},
        {"from": "0.40", "rate": "0.50"},
    ]
    assert explanation(line, 2) == {
        "version": 1,
        "kind": "performance",
        "collects_debt": False,
        "digits": 2,
        "inputs": {
            "value": "5454",
            "mark": "5400",
            "carried": "0.005",
            "schedule": {"basis": "yield", "mode": "whole", "tiers": tiers},
            "yield": "0.122222222",
        },
        "steps": [
            {"step": "profit", "result": "54"},
            {"step": "tier", "result": "0.2", "basis": "yield", "at": "0.122222222", "tier": 1},
            {"step": "of_profit", "result": "10.8"},
            {"step": "with_carried", "result": "10.805"},
            {"step": "rounded", "result": "10.8", "rounding": "down", "available": "5454"},
            {"step": "mark", "result": "5443.2", "rounding": "half_even"},
            {"step": "carried_on", "result": "0.005", "rounding": "half_even", "places": 24},
        ],
        "amount": "10.8",
        "uncollected": "0",
    }


def test_explanation_of_a_marginal_rate_is_the_average_of_the_bands() -> None:
    terms = FeeTerms(replace(EXAMPLE_1, mode=Mode.MARGINAL))
    due = Situation(Decimal("150.00"), 2, yield_=Decimal("0.50"))
    (line,) = interval_end(terms, FeeState(Standing(Decimal(100))), due).lines
    record = explanation(line, 2)
    # (0.30 · 20 % + 0.10 · 50 %) / 0.50
    assert record["steps"][1] == {
        "step": "average_rate",
        "result": "0.22",
        "basis": "yield",
        "at": "0.5",
        "tier": 2,
    }
    assert record["amount"] == "11"


def test_explanation_of_a_management_fee_keeps_what_is_no_decimal_as_a_ratio() -> None:
    terms = FeeTerms(TWENTY_PERCENT, management_rate=Decimal("0.02"))
    due = Situation(Decimal("10000.00"), 2, value_days=Fraction(3_660_000))
    (line,) = interval_end(terms, FeeState(Standing(Decimal(20_000))), due).lines
    assert explanation(line, 2)["inputs"] == {
        "value": "10000",
        "price": "0.02",
        "quantity": "3660000",
        "carried": "0",
    }
    assert steps_of(line) == [
        ("accrued", "14640/73"),
        ("rounded", "200.54"),
        ("carried_on", "0.007945205479452054794521"),
    ]


def test_explanation_of_a_fee_beyond_the_value_says_what_is_owed() -> None:
    terms = FeeTerms(TWENTY_PERCENT, subscription_amount=Decimal("30.00"))
    due = Situation(Decimal("12.00"), 2, interval_part=Fraction(1))
    (line,) = interval_end(terms, FeeState(Standing(Decimal(100))), due).lines
    record = explanation(line, 2)
    assert record["steps"][1:3] == [
        {"step": "rounded", "result": "30", "rounding": "down", "available": "12"},
        {"step": "limited", "result": "12", "uncollected": "18"},
    ]
    assert (record["amount"], record["uncollected"]) == ("12", "18")


def test_explanation_of_collected_debts_lists_them_oldest_first() -> None:
    owed = (Debt(FeeKind.VOLUME, Decimal("5.00"), 3), Debt(FeeKind.VOLUME, Decimal("8.00"), 9))
    (line,) = closing(FeeTerms(TWENTY_PERCENT), FeeState(debts=owed), Situation(Decimal("11.00"), 2)).lines
    record = explanation(line, 2)
    assert record["collects_debt"] is True
    assert record["steps"] == [
        {"step": "debt_collected", "result": "5", "owed": "5", "since": 3, "left": "6"},
        {"step": "debt_collected", "result": "6", "owed": "8", "since": 9, "left": "0"},
    ]


def test_explanation_of_a_withdrawn_part_shows_the_whole_fee_and_its_part() -> None:
    terms = FeeTerms(TWENTY_PERCENT, early_exit_rate=Decimal("0.05"))
    due = Situation(Decimal("1200.00"), 2, early_exit_rate=Decimal("0.05"))
    taken = withdrawal(Decimal("551.00"), terms, FeeState(Standing(Decimal(1000))), due)
    performance_line, exit_line = taken.lines
    assert steps_of(performance_line) == [
        ("profit", "200"),
        ("flat_rate", "0.2"),
        ("of_profit", "40"),
        ("with_carried", "40"),
        ("exit_fee_beside", "29"),
        ("part", "20"),
        ("rounded", "20"),
        ("gross", "600"),
        ("mark", "500"),
        ("carried_on", "0"),
    ]
    assert steps_of(exit_line) == [("early_exit", "29"), ("rounded", "29"), ("carried_on", "0")]


def test_explanation_of_a_close_beyond_the_value_says_that_it_is_limited() -> None:
    # Small withdrawals have left 7.004 uncharged, then most of the value was lost.
    state = FeeState(Standing(Decimal(1000), Decimal("7.004")))
    (line,) = closing(FeeTerms(TWENTY_PERCENT), state, Situation(Decimal("3.00"), 2)).lines
    record = explanation(line, 2)
    assert [(step["step"], step["result"]) for step in record["steps"][3:]] == [
        ("with_carried", "7.004"),
        ("rounded", "7"),
        ("limited", "3"),
    ]
    assert (record["amount"], record["uncollected"]) == ("3", "0")


def test_explanation_of_an_entry_fee_names_the_tier() -> None:
    tiers = EntryFee((Tier(None, Decimal("0.03")), Tier(Decimal(1000), Decimal("0.02"))))
    line = deposit(Decimal("1000.50"), FeeTerms(TWENTY_PERCENT, entry=tiers), FeeState(), 2).line
    assert line is not None
    record = explanation(line, 2)
    assert record["steps"][0] == {"step": "entry_tier", "result": "0.02", "tier": 1}
    assert steps_of(line)[1:] == [("of_deposit", "20.01"), ("rounded", "20.01"), ("carried_on", "0")]


# What is not believed


def test_explanation_of_another_amount_than_is_charged_is_refused() -> None:
    due = Situation(Decimal("1200.00"), 2)
    (line,) = interval_end(FeeTerms(TWENTY_PERCENT), FeeState(Standing(Decimal(1000))), due).lines
    explanation(line, 2)
    for wrong in (
        replace(line, amount=line.amount + Decimal("0.01")),
        replace(line, uncollected=Decimal("0.01")),
        replace(line, inputs={**line.inputs, "mark": Decimal("999.00")}),
    ):
        with pytest.raises(ExplanationInvalid):
            explanation(wrong, 2)


def collecting(**debt: str) -> dict[str, Any]:
    """Inputs of a debt that is collected from a value of 5."""
    return {"value": "5", "debts": [{"since": 1, **debt}]}


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"kind": "gift"},
        {"inputs": None},
        {"inputs": {}},
        {"digits": "two"},
        {"inputs": {"value": "x", "price": "1", "quantity": "1", "carried": "0"}},
        {"inputs": {"value": "1", "price": "NaN", "quantity": "1", "carried": "0"}},
        {"inputs": {"value": "1", "price": "1", "quantity": "1/0", "carried": "0"}},
        {"inputs": {"value": "1", "price": "Infinity", "quantity": "1", "carried": "0"}},
        {"collects_debt": True, "inputs": collecting(owed="1", collected="2")},
        {"collects_debt": True, "inputs": collecting(owed="9", collected="6")},
        {"collects_debt": True, "inputs": collecting(owed="9", collected="-1")},
        {"collects_debt": True, "inputs": {"value": "5", "debts": 7}},
        {"kind": "performance", "inputs": {"value": "5", "mark": "1", "carried": "0", "schedule": []}},
    ],
    ids=str,
)
def test_record_that_is_none_is_refused(change: dict[str, Any]) -> None:
    terms = FeeTerms(TWENTY_PERCENT, subscription_amount=Decimal("30.00"))
    due = Situation(Decimal("12.00"), 2, interval_part=Fraction(1))
    (line,) = interval_end(terms, FeeState(Standing(Decimal(100))), due).lines
    with pytest.raises(ExplanationInvalid):
        recomputed(explanation(line, 2) | change)


@pytest.mark.parametrize("record", [{}, {"version": 1}])
def test_record_without_its_fields_is_refused(record: dict[str, Any]) -> None:
    with pytest.raises(ExplanationInvalid):
        recomputed(record)


# Ten thousand charges of all kinds


class Chance:
    """Random terms, investments and moments, the same ones every time."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def money(self, digits: int, up_to: int = 10**7) -> Decimal:
        most = up_to * 10**digits // self.random.choice((1, 100, 10**4))
        return decimal_of(self.random.randint(0, most), digits)

    def rate(self, up_to: int = 1000) -> Decimal:
        return decimal_of(self.random.randrange(up_to), 3)

    def carried(self, digits: int) -> Decimal:
        return decimal_of(self.random.choice((0, self.random.randrange(10 ** (24 - digits)))), 24)

    def ratio(self, up_to: int) -> Fraction:
        return Fraction(self.random.randrange(up_to), self.random.choice((1, 7, 86_400, 10**12)))

    def schedule(self, digits: int) -> Schedule:
        basis = self.random.choice(list(Basis))
        if basis is Basis.FLAT:
            return Schedule.flat(self.rate())
        places, top = (3, 2000) if basis is Basis.YIELD else (digits, 10**6 * 10**digits)
        bounds = sorted(self.random.sample(range(1, top), self.random.randrange(5)))
        tiers = [Tier(None, self.rate()), *(Tier(decimal_of(at, places), self.rate()) for at in bounds)]
        return Schedule(basis, self.random.choice(list(Mode)), tuple(tiers))

    def entry(self, digits: int) -> EntryFee:
        rates = sorted((self.rate() for _ in range(3)), reverse=True)
        bounds = sorted(self.random.sample(range(1, 10**6), 2))
        lower = (None, *(decimal_of(at, digits) for at in bounds))
        return EntryFee(tuple(Tier(at, rate) for at, rate in zip(lower, rates, strict=True)))

    def terms(self, digits: int) -> FeeTerms:
        return FeeTerms(
            self.schedule(digits),
            lower_profit=self.random.random() < 0.3,
            crystallises_whole=self.random.random() < 0.3,
            management_rate=self.rate(200),
            entry=self.entry(digits),
            subscription_amount=self.money(digits, 100),
            volume_amount_per_lot=self.money(digits, 100),
            early_exit_rate=self.rate(300),
        )

    def state(self, digits: int) -> FeeState:
        kinds = [kind for kind in FeeKind if kind not in (FeeKind.PERFORMANCE, FeeKind.EARLY_EXIT)]
        owing = [kind for kind in FeeKind if kind is not FeeKind.EARLY_EXIT]
        debts = [
            Debt(self.random.choice(owing), self.money(digits, 100) + minor_unit(digits), since)
            for since in range(self.random.choice((0, 0, 1, 4)))
        ]
        mark = decimal_of(self.random.randrange(10 ** self.random.randrange(12, 20)), 12)
        return FeeState(
            Standing(mark, self.carried(digits)),
            {kind: self.carried(digits) for kind in kinds},
            tuple(debts),
        )

    def situation(self, terms: FeeTerms, digits: int) -> Situation:
        value = self.money(digits)
        return Situation(
            value=value,
            digits=digits,
            rollover=99,
            yield_=decimal_of(self.random.randrange(-(10**9), 2 * 10**9), 9),
            net_worth=self.money(digits),
            value_days=self.ratio(10**9),
            lots=self.ratio(100),
            interval_part=self.ratio(3),
            early_exit_rate=self.random.choice((ZERO, terms.early_exit_rate)),
            balance_share=self.money(digits),
            balance_per_equity=self.ratio(3),
        )

    def lines(self) -> Iterator[tuple[FeeLine, int]]:
        """Fees of one occasion of each sort, with the decimals of their currency."""
        digits = self.random.choice((0, 2, 3, 8))
        terms, state = self.terms(digits), self.state(digits)
        due = self.situation(terms, digits)
        paid_in = deposit(self.money(digits) + minor_unit(digits), terms, state, digits)
        lines = [*([paid_in.line] if paid_in.line else []), *closing(terms, state, due).lines]
        lines += interval_end(terms, state, due).lines
        room = available(terms, state, due).part
        if room:
            part = decimal_of(self.random.randint(1, int(room.scaleb(digits))), digits)
            lines += withdrawal(part, terms, state, due).lines
        return ((line, digits) for line in lines)


def random_lines(seed: int, number: int) -> Iterator[tuple[FeeLine, int]]:
    chance = Chance(seed)
    while True:
        for line in chance.lines():
            if not number:
                return
            number -= 1
            yield line


def test_ten_thousand_random_charges_recompute_to_their_amount_after_json() -> None:
    seen: Counter[str] = Counter()
    for line, digits in random_lines(20_270_101, 10_000):
        record = json.loads(json.dumps(explanation(line, digits)))
        again = recomputed(record)
        assert again == record
        assert (Decimal(again["amount"]), Decimal(again["uncollected"])) == (line.amount, line.uncollected)
        carried = [step["result"] for step in record["steps"] if step["step"] == "carried_on"]
        assert [line.carried_after] == list(map(Decimal, carried)) or not carried
        mark = [step["result"] for step in record["steps"] if step["step"] == "mark"]
        assert [line.mark_after] == list(map(Decimal, mark)) or not mark
        seen[f"{line.kind.value}{' debt' if line.collects_debt else ''}"] += 1
        seen["limited"] += bool(line.uncollected)
    assert min(seen.values()) > 100, seen
    assert len(seen) == 6 + 5 + 1, seen


def tampered(record: dict[str, Any], chance: random.Random) -> Iterator[tuple[str, dict[str, Any]]]:
    """The record with one figure changed, for each figure that decided something."""
    cent = minor_unit(record["digits"])
    for name in ("amount", "uncollected"):
        yield name, record | {name: str(Decimal(record[name]) + cent)}
    inputs = record["inputs"]
    for name, written in inputs.items():
        if name in ("schedule", "tiers", "debts", "closes"):
            continue
        if name == "value" and "counted_value" in inputs:
            continue  # the balance may have decided
        changed = (
            str(Fraction(written) + Fraction(1, 1000)) if name == "quantity" else str(Decimal(written) + cent)
        )
        yield name, record | {"inputs": inputs | {name: changed}}
    if "debts" in inputs:
        at = chance.randrange(len(inputs["debts"]))
        for name in ("owed", "collected", "since"):
            copy = deepcopy(record)
            debt = copy["inputs"]["debts"][at]
            debt[name] = debt[name] + 1 if name == "since" else str(Decimal(debt[name]) + cent)
            yield name, copy
    tiers = inputs["tiers"] if "tiers" in inputs else inputs.get("schedule", {}).get("tiers")
    if tiers:
        reached = next((step["tier"] for step in record["steps"] if "tier" in step), 0)
        copy = deepcopy(record)
        copied = copy["inputs"]
        row = (copied["tiers"] if "tiers" in copied else copied["schedule"]["tiers"])[reached]
        row["rate"] = str(
            Decimal(row["rate"]) - Decimal("0.0001") if Decimal(row["rate"]) else Decimal(1) / 8
        )
        yield "reached rate", copy
    if "closes" in inputs:
        yield "closes", record | {"inputs": inputs | {"closes": False}}
    at = chance.randrange(len(record["steps"]))
    copy = deepcopy(record)
    copy["steps"][at]["result"] = "12345.678"
    yield "step", copy


def test_record_with_a_changed_figure_no_longer_recomputes() -> None:
    chance, changes = random.Random(3), Counter[str]()
    for line, digits in random_lines(20_270_102, 600):
        record = json.loads(json.dumps(explanation(line, digits)))
        for name, changed in tampered(record, chance):
            try:
                noticed = recomputed(changed) != changed
            except ExplanationInvalid:
                noticed = True
            assert noticed, (name, record)
            changes[name] += 1
    assert len(changes) > 20, changes


def test_explanation_of_amounts_of_any_size_stays_exact() -> None:
    terms = FeeTerms(TWENTY_PERCENT, management_rate=Decimal("0.0123"))
    huge = decimal_of(10**24 - 1, 8)
    value_days = Fraction(decimal_of(10**50 + 1, 36))
    ended = interval_end(terms, FeeState(Standing(huge / 2)), Situation(huge, 8, value_days=value_days))
    assert exact_sum(Decimal(explanation(line, 8)["amount"]) for line in ended.lines) == ended.total
