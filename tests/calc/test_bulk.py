"""Crystallising very many at once comes to the very figures that crystallising one by one does."""

import json
import random
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from accounts.models import PammAccount
from allocation.models import Interval, Investment, PricePoint
from allocation.services import UnitBook
from fees.calc.bulk import Charged, Ended, IntervalEnd, IntervalEndOfMany, Stake, decimal_text
from fees.calc.explanation import kept_of, kept_text
from fees.calc.kinds import FeeKind
from fees.calc.schedule import Basis, Mode, Schedule, Tier
from fees.models import Charge
from fees.queries import interval_return, moment_of
from fees.recipients import Recipients
from fees.services import ChargeBook
from fees.services.bulk import interval_end_of
from money.exact import decimal_of, scaled_int
from money.rounding import ACCUMULATOR_PLACES, CARRIED_PLACES, MARK_PLACES, UNIT_PLACES, half_even
from offers.models import Terms
from tests.counts import cases

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
ENDS = BEGAN + timedelta(days=31)
MANAGER, BROKER = uuid.uuid4(), uuid.uuid4()
AGENTS = [str(uuid.uuid4()) for _ in range(3)]
INVESTMENTS = 12


class Case:
    """One interval of one account that ends, with terms of every sort, and investments in it."""

    def __init__(self, seed: int, digits: int | None = None) -> None:
        self.chance = random.Random(seed)
        self.digits = self.chance.choice((0, 2, 2, 8)) if digits is None else digits
        units = self.number("1", "100000", UNIT_PLACES)
        self.is_even = self.chance.random() < 0.2
        if self.is_even:
            units = self.money("1000", "100000")
        price = Decimal(1) if self.is_even else self.number("0.01", "3", 9)
        equity = half_even(Fraction(units) * Fraction(price), self.digits)
        self.account = PammAccount(pk=1, currency="XXX", currency_digits=self.digits, units=units)
        self.opening, self.later = (
            PricePoint(
                pk=pk, account=self.account, sequence=pk, flow_sequence=3, priced_at=BEGAN,
                price_equity=equity, price_units=self.number("1", "2", 6) * units,
            )
            for pk in (3, 77)
        )  # fmt: skip
        point = PricePoint(
            pk=100, account=self.account, sequence=100, flow_sequence=5, priced_at=ENDS, units=units,
            currency_digits=self.digits, equity=equity, price_equity=equity, price_units=units,
            server_balance=equity + self.money("-5000", "5000"), owed=self.money("0", "50"),
            incoming=self.money("0", "50"), value_days=self.number("31", "60", ACCUMULATOR_PLACES),
            lots_per_unit=self.number("0.01", "0.02", ACCUMULATOR_PLACES),
        )  # fmt: skip
        by_date = self.chance.random() < 0.5
        self.interval = Interval(
            pk=8, account=self.account, terms=self.terms(), number=2, starts_at=BEGAN, opening=self.opening,
            ends_at=ENDS if by_date else None, ends_after_sequence=None if by_date else 6,
        )  # fmt: skip
        self.charges = ChargeBook(UnitBook(self.account, point), Recipients(self.account, BROKER, MANAGER))

    def number(self, low: str, high: str, places: int) -> Decimal:
        """Somewhere between, at so many places, and at times at fewer."""
        scale = 10 ** self.chance.choice((places, places, min(places, 2)))
        drawn = self.chance.randint(int(Decimal(low) * scale), int(Decimal(high) * scale))
        return half_even(Fraction(drawn, scale), places)

    def money(self, low: str, high: str) -> Decimal:
        return self.number(low, high, self.digits)

    def or_nothing(self, number: Decimal) -> Decimal:
        return self.chance.choice((Decimal(0), number))

    def terms(self) -> Terms:
        return Terms(
            pk=5,
            performance_schedule=self.schedule().to_json(),
            profit_basis=self.chance.choice(Terms.ProfitBasis.values),
            management_rate=self.or_nothing(self.number("0.0001", self.chance.choice(("0.05", "9")), 9)),
            subscription_amount=self.or_nothing(self.money("0", "90")),
            volume_amount_per_lot=self.or_nothing(self.money("0", "9")),
            broker_share_rate=self.or_nothing(self.number("0", "0.4", 9)),
            agent_share_rates=[
                str(self.number("0", "0.2", 9)) for _ in range(self.chance.randint(0, len(AGENTS)))
            ],
        )

    def schedule(self) -> Schedule:
        basis = self.chance.choice(list(Basis))

        def rate() -> Decimal:
            return self.chance.choice((Decimal(0), Decimal(1), self.number("0", "1", 4), Decimal("0.2")))

        if basis is Basis.FLAT:
            return Schedule.flat(rate())
        of = ("0.01", "0.6", 4) if basis is Basis.YIELD else ("1", "900", 0)
        bounds = sorted({self.number(*of) for _ in range(self.chance.randint(1, 3))})
        tiers = (Tier(None, rate()), *(Tier(bound, rate()) for bound in bounds))
        return Schedule(basis, self.chance.choice(list(Mode)), tiers)

    def investment(self) -> Investment:
        held = self.number("0.5", "900", UNIT_PLACES)
        units = self.chance.choice((Decimal(0), Decimal("0.5"), *[held] * 8))
        lowest = self.number("0", "900", UNIT_PLACES)
        if self.is_even and units:
            # At the price of 1 the fewest units may be worth a tier's very bound.
            bounds = [tier.get("from") for tier in self.interval.terms.performance_schedule["tiers"]]
            lowest = Decimal(self.chance.choice(bounds) or 7)
            units += lowest
        worth = Fraction(units) * self.charges.book.price.ratio
        part = Fraction(self.or_nothing(self.number("0", "1.3", 6)))
        owed = self.chance.random() < 0.2
        return Investment(
            pk=1,
            account=self.account,
            terms=self.interval.terms,
            interval=self.interval,
            joined=self.chance.choice((None, self.opening, self.later)),
            units=units,
            lowest_units=lowest,
            lowest_units_number=self.chance.randint(1, 2),
            high_water_mark=half_even(worth * part, MARK_PLACES),
            performance_carried=self.fraction(),
            value_days_put_aside=self.or_nothing(self.number("0", "900", ACCUMULATOR_PLACES)),
            value_days_checkpoint=self.number("0", "31", ACCUMULATOR_PLACES),
            lots_put_aside=self.or_nothing(self.number("0", "1", ACCUMULATOR_PLACES)),
            lots_checkpoint=self.number("0", "0.01", ACCUMULATOR_PLACES),
            subscription_checkpoint=self.number("0", "1", ACCUMULATOR_PLACES),
            subscription_number=self.chance.randint(1, 2),
            carried={
                kind.value: format(self.fraction(), "f")
                for kind in FeeKind
                if kind is not FeeKind.PERFORMANCE and self.chance.random() < 0.5
            },
            debts=[
                {"kind": kind, "amount": format(self.money("1", "200"), "f"), "since": 20 + at}
                for at, kind in enumerate(("management", "performance", "management"))
                if owed
            ],
            shared={
                kind: {"charged": format(had * 5, "f"), "had": [format(had, "f")] * self.chance.randint(0, 4)}
                for kind in ("performance", "management", "volume")
                if (had := self.money("0", "100")) and self.chance.random() < 0.5
            },
            agents=AGENTS[: self.chance.randint(0, len(AGENTS))],
            fees_paid=Decimal(0),
        )

    def fraction(self) -> Decimal:
        """Of a minor unit, or of several: withdrawals leave more, or dust below nothing."""
        most = Fraction(self.chance.choice((1, 1, 7, Fraction(-1, 1000))), 10**self.digits)
        return self.or_nothing(half_even(most * Fraction(self.number("0", "1", 20)), CARRIED_PLACES))

    def end(self, investment: Investment) -> IntervalEnd:
        moment = moment_of(self.charges.book.point)
        later = {} if investment.joined is not self.later else {77: interval_return(investment, moment.price)}
        terms = self.charges._read.of(investment)
        return interval_end_of(moment, self.interval, terms, later)


def stake_of(investment: Investment) -> Stake:
    return Stake(
        joined=investment.joined_id,
        units=scaled_int(investment.units, UNIT_PLACES),
        lowest_units=scaled_int(investment.lowest_units, UNIT_PLACES),
        lowest_units_number=investment.lowest_units_number,
        mark=scaled_int(investment.high_water_mark, MARK_PLACES),
        performance_carried=scaled_int(investment.performance_carried, CARRIED_PLACES),
        value_days_put_aside=scaled_int(investment.value_days_put_aside, ACCUMULATOR_PLACES),
        value_days_checkpoint=scaled_int(investment.value_days_checkpoint, ACCUMULATOR_PLACES),
        lots_put_aside=scaled_int(investment.lots_put_aside, ACCUMULATOR_PLACES),
        lots_checkpoint=scaled_int(investment.lots_checkpoint, ACCUMULATOR_PLACES),
        subscription_checkpoint=scaled_int(investment.subscription_checkpoint, ACCUMULATOR_PLACES),
        subscription_number=investment.subscription_number,
        carried=json.dumps(investment.carried),
        debts=json.dumps(investment.debts),
        shared=json.dumps(investment.shared),
        agents=len(investment.agents),
    )


def state_of(ended: Ended | Stake) -> dict[str, Any]:
    """What an investment stores, its JSON read."""
    columns = set(Ended._fields) & set(Stake._fields)
    figures = {column: getattr(ended, column) for column in columns}
    return figures | {column: json.loads(figures[column]) for column in ("carried", "debts", "shared")}


def charge_of(fee: Charged, digits: int) -> dict[str, Any]:
    due, head = fee.due, kept_text(fee.due.kind, collects_debt=fee.due.collects_debt, digits=digits)
    return {
        "kind": due.kind.value,
        "collects_debt": due.collects_debt,
        "amount": decimal_of(due.amount, digits),
        "uncollected": decimal_of(due.uncollected, digits),
        "profit": decimal_of(due.profit, MARK_PLACES),
        "mark_before": decimal_of(due.mark_before, MARK_PLACES),
        "mark_after": decimal_of(due.mark_after, MARK_PLACES),
        "carried_before": decimal_of(due.carried_before, CARRIED_PLACES),
        "carried_after": decimal_of(due.carried_after, CARRIED_PLACES),
        "explanation": json.loads(f"{head}{due.inputs}}}"),
    }


def figures_of(charge: Charge) -> dict[str, Any]:
    columns = (
        "kind", "collects_debt", "amount", "uncollected", "profit", "mark_before", "mark_after",
        "carried_before", "carried_after",
    )  # fmt: skip
    return {column: getattr(charge, column) for column in columns} | {
        "explanation": kept_of(charge.explanation)
    }


def parts_above_nothing(fee: Charged, digits: int) -> list[tuple[str, int, Decimal]]:
    if not fee.parts:
        return []
    broker, *agents, manager = fee.parts
    parts = [("broker", 0, broker), *(("agent", at, part) for at, part in enumerate(agents, 1))]
    return [
        (party, level, decimal_of(part, digits))
        for party, level, part in [*parts, ("manager", 0, manager)]
        if part
    ]


@pytest.mark.parametrize("seed", range(cases(push=120, soak=20_000)))
def test_many_at_once_is_what_one_by_one_is_in_every_stored_figure(seed: int) -> None:
    case = Case(seed)
    for _ in range(INVESTMENTS):
        investment = case.investment()
        stake, rule = stake_of(investment), IntervalEndOfMany(case.end(investment))
        charges, digits = (
            ChargeBook(UnitBook(case.account, case.charges.book.point), case.charges.recipients),
            case.digits,
        )
        charges.crystallise([investment])
        ended = rule(stake)
        if ended is None:
            assert (charges.charges, charges.book.touched) == ([], {})
            continue
        assert state_of(ended) == state_of(stake_of(investment))
        assert [charge_of(fee, digits) for fee in ended.fees] == [figures_of(it) for it in charges.charges]
        assert [part for fee in ended.fees for part in parts_above_nothing(fee, digits)] == [
            (part.party, part.level, part.amount) for part in charges.parts
        ]
        assert [-decimal_of(fee.units, UNIT_PLACES) for fee in ended.fees if fee.due.amount] == [
            entry.units for entry in charges.book.entries
        ]
        assert decimal_of(ended.charged, digits) == investment.fees_paid == charges.book.paid_out


@pytest.mark.parametrize("places", [0, 2, 12, 24])
@pytest.mark.parametrize("scaled", [0, 1, -1, 10, 99, -100, 123456789012345, -(10**24), 10**40 + 1])
def test_decimal_text_is_the_plain_form_of_the_decimal(scaled: int, places: int) -> None:
    assert decimal_text(scaled, places) == format(decimal_of(scaled, places), "f")
