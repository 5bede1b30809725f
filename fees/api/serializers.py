"""What the fees' endpoints take and give: simulations.

Codes of terms that cannot be are those of the offer editor. Its ceilings do not apply: what the broker allows
is asked where an offer is written; here any valid terms may be looked at.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from django.utils.translation import gettext as _

from brokers.errors import Refusal
from fees.api.reading import Currency, JsonObject, decimal, refuse, refuse_as
from fees.calc.explanation import Record
from fees.calc.kinds import FeeKind
from fees.calc.schedule import MOST_TIERS, Basis, Mode, Schedule, ScheduleInvalid, Tier
from fees.calc.shares import MOST_AGENT_LEVELS, Parts, Shares
from fees.calc.simulation import Outcome, Step, simulate
from fees.calc.terms import EntryFee, FeeTerms
from fees.explanations import explanation_in_words
from money.exact import ZERO
from money.rounding import MARK_PLACES, PRICE_PLACES, UNIT_PLACES, YIELD_PLACES, is_whole_minor_units
from offers.drafts import check_shares
from offers.errors import (
    EarlyExitRateInvalid,
    ManagementRateInvalid,
    TooManyAgentLevels,
    WholeNeedsFlatFee,
    tiers_fault,
)
from trading.queries import digits_of_currency

MOST_STEPS = 10_000
LOT_PLACES = 8

_BODY = frozenset({"currency", "terms", "steps", "pool_equity", "agents", "lock_in_ends_at"})
_TERMS = frozenset(
    {
        "performance",
        "management_rate",
        "entry_tiers",
        "subscription_amount",
        "volume_amount_per_lot",
        "early_exit_rate",
        "early_exit_until",
        "shares",
    }
)
_PERFORMANCE = frozenset({"basis", "mode", "profit_basis", "on_withdrawal", "tiers"})
_TIER = frozenset({"from", "rate"})
_SHARES = frozenset({"broker_rate", "agents"})
_STEP = frozenset(
    {"at", "equity", "price", "pnl", "balance", "lots", "deposit", "withdraw", "close", "interval_end"}
)
STEP_FIELDS = {"result": "pnl"}
"""Names of a step's fields where the body has another than the calculation."""

_FAULT_FIELDS = {"rate_out_of_range": "rate", "rate_too_precise": "rate", "rates_rising": "rate"}
"""Which field of a tier its fault is about, where it is not `from`."""


class ProfitBasis(StrEnum):
    EQUITY = "equity"
    LOWER = "lower"


class OnWithdrawal(StrEnum):
    PROPORTIONAL = "proportional"
    WHOLE = "whole"


class EarlyExitUntil(StrEnum):
    LOCK_IN = "lock_in"
    INTERVAL = "interval"


@dataclass(frozen=True, slots=True)
class FeeSimulation:
    """What was asked for, valid."""

    currency: Currency
    terms: FeeTerms
    steps: list[Step]
    pool_equity: Decimal
    agents: int | None
    lock_in_ends_at: datetime | None

    def outcomes(self) -> list[Outcome]:
        """Raises `StepImpossible`."""
        return simulate(
            self.terms,
            self.steps,
            digits=self.currency.digits,
            pool_equity=self.pool_equity,
            agents=self.agents,
            lock_in_ends_at=self.lock_in_ends_at,
        )


def read_simulation(document: object) -> FeeSimulation:
    """The simulation that the body asks for. Raises `ValidationError` with the path of the value at fault."""
    body = JsonObject(document, "", _BODY)
    currency = _currency(body)
    agents = body.whole("agents") if body.has("agents") else None
    if agents is not None and not 0 <= agents <= MOST_AGENT_LEVELS:
        most = _("From 0 to {most}.").format(most=MOST_AGENT_LEVELS)
        refuse("agents", "out_of_range", most)
    return FeeSimulation(
        currency=currency,
        terms=_terms(body.object("terms", _TERMS), currency),
        steps=_steps(body, currency),
        pool_equity=body.fee_amount("pool_equity", currency),
        agents=agents,
        lock_in_ends_at=body.moment("lock_in_ends_at") if body.has("lock_in_ends_at") else None,
    )


def _currency(body: JsonObject) -> Currency:
    code = body.text("currency")
    digits = digits_of_currency(code) if code.isascii() and code.isalnum() else None
    if digits is None:
        refuse("currency", "currency_unknown", _("There are no accounts in this currency."))
    return Currency(code, digits)


def _terms(terms: JsonObject, currency: Currency) -> FeeTerms:
    performance = terms.object("performance", _PERFORMANCE)
    schedule = _schedule(performance, currency)
    on_withdrawal = performance.choice(
        "on_withdrawal", OnWithdrawal, "unknown_choice", OnWithdrawal.PROPORTIONAL
    )
    if on_withdrawal is OnWithdrawal.WHOLE and schedule.basis is not Basis.FLAT:
        refuse_as(performance.at("on_withdrawal"), WholeNeedsFlatFee())
    profit_basis = performance.choice("profit_basis", ProfitBasis, "unknown_choice", ProfitBasis.EQUITY)
    early_until = terms.choice("early_exit_until", EarlyExitUntil, "unknown_choice", EarlyExitUntil.LOCK_IN)
    return FeeTerms(
        schedule=schedule,
        lower_profit=profit_basis is ProfitBasis.LOWER,
        crystallises_whole=on_withdrawal is OnWithdrawal.WHOLE,
        management_rate=_rate(terms, "management_rate", ManagementRateInvalid()),
        entry=_entry_fee(terms, currency),
        subscription_amount=terms.fee_amount("subscription_amount", currency),
        volume_amount_per_lot=terms.fee_amount("volume_amount_per_lot", currency),
        early_exit_rate=_rate(terms, "early_exit_rate", EarlyExitRateInvalid(), below=1),
        early_exit_until_interval_end=early_until is EarlyExitUntil.INTERVAL,
        shares=_shares(terms.object("shares", _SHARES)) if terms.has("shares") else Shares(),
    )


def _schedule(performance: JsonObject, currency: Currency) -> Schedule:
    basis = performance.choice("basis", Basis, "unknown_basis")
    mode = performance.choice("mode", Mode, "unknown_mode", Mode.WHOLE)
    schedule = Schedule(basis, mode, _tiers(performance, "tiers"))
    try:
        schedule.validate(currency.digits)
    except ScheduleInvalid as invalid:
        _refuse_tiers(performance.at("tiers"), invalid.code, invalid.tier_index)
    return schedule


def _entry_fee(terms: JsonObject, currency: Currency) -> EntryFee:
    fee = EntryFee(_tiers(terms, "entry_tiers") if terms.has("entry_tiers") else ())
    try:
        fee.validate(currency.digits)
    except ScheduleInvalid as invalid:
        _refuse_tiers(terms.at("entry_tiers"), invalid.code, invalid.tier_index)
    return fee


def _tiers(where: JsonObject, name: str) -> tuple[Tier, ...]:
    if len(where.list(name)) > MOST_TIERS:
        _refuse_tiers(where.at(name), "too_many_tiers", None)
    tiers = tuple(
        Tier(row.decimal("from") if row.has("from") else None, row.decimal("rate"))
        for row in where.objects(name, _TIER)
    )
    for index, tier in enumerate(tiers):
        if not is_whole_minor_units(tier.rate, YIELD_PLACES):
            _refuse_tiers(where.at(name), "rate_too_precise", index)
    return tiers


def _refuse_tiers(path: str, code: str, index: int | None) -> None:
    if index is None:
        refuse(path, code, tiers_fault(code, None))
    refuse(f"{path}[{index}].{_FAULT_FIELDS.get(code, 'from')}", code, tiers_fault(code, index + 1))


def _rate(terms: JsonObject, name: str, refusal: Refusal, below: int | None = None) -> Decimal:
    """A fraction from 0 to 1 with the places a rate is stored with; 0 where it is absent."""
    if not terms.has(name):
        return ZERO
    rate = terms.decimal(name)
    if not is_whole_minor_units(rate, YIELD_PLACES) or not 0 <= rate <= 1 or rate == below:
        refuse_as(terms.at(name), refusal)
    return rate


def _shares(where: JsonObject) -> Shares:
    agents = where.list("agents") if where.has("agents") else []
    if len(agents) > MOST_AGENT_LEVELS:
        refuse_as(where.at("agents"), TooManyAgentLevels(most=MOST_AGENT_LEVELS))
    shares = Shares(
        where.decimal("broker_rate") if where.has("broker_rate") else ZERO,
        tuple(decimal(rate, f"{where.at('agents')}[{level}]") for level, rate in enumerate(agents)),
    )
    try:
        check_shares(shares)
    except Refusal as refusal:
        refuse_as(where.at("agents" if refusal.field == "agent_share_rates" else "broker_rate"), refusal)
    return shares


def _steps(body: JsonObject, currency: Currency) -> list[Step]:
    count = len(body.list("steps"))
    if not count:
        refuse("steps", "required")
    if count > MOST_STEPS:
        refuse("steps", "too_many_steps", _("At most {most} steps.").format(most=MOST_STEPS))
    return [
        Step(
            at=row.moment("at"),
            equity=row.money("equity", currency),
            price=row.number("price", PRICE_PLACES),
            result=row.money("pnl", currency),
            balance=row.money("balance", currency),
            lots=row.number("lots", LOT_PLACES) or ZERO,
            interval_end=row.flag("interval_end"),
            withdraw=row.positive_money("withdraw", currency),
            close=row.flag("close"),
            deposit=row.positive_money("deposit", currency),
        )
        for row in body.objects("steps", _STEP)
    ]


def answer(simulation: FeeSimulation, outcomes: Collection[Outcome]) -> dict[str, Any]:
    """One object for each step, in their order; every number a string, rates and returns as fractions."""
    written = _Answer(simulation.currency)
    return {
        "currency": simulation.currency.code,
        "steps": [written.step(outcome) for outcome in outcomes],
    }


class _Answer:
    """Outcomes as JSON. Amounts have the currency's decimals."""

    def __init__(self, currency: Currency) -> None:
        self._currency = currency
        self._money = f".{currency.digits}f"
        self._zero = format(ZERO, self._money)
        self._nothing = {kind.value: self._zero for kind in FeeKind}

    def step(self, outcome: Outcome) -> dict[str, Any]:
        reached = outcome.time_weighted_return
        return {
            "at": outcome.at.isoformat().replace("+00:00", "Z"),
            "value": format(outcome.value, self._money),
            "units": format(outcome.units, f".{UNIT_PLACES}f"),
            "price": format(outcome.price, f".{PRICE_PLACES}f"),
            "high_water_mark": format(outcome.high_water_mark, f".{MARK_PLACES}f"),
            "time_weighted_return": None if reached is None else format(reached, f".{YIELD_PLACES}f"),
            "fees": self._by_kind(outcome.fees),
            "accrued": self._by_kind(outcome.accrued),
            "paid_out": format(outcome.paid_out, self._money),
            "net_value": format(outcome.net_value, self._money),
            "parts": self._parts(outcome.parts),
            "explanation": [self._explained(record) for record in outcome.explanation],
        }

    def _by_kind(self, amounts: Mapping[FeeKind, Decimal]) -> dict[str, str]:
        """Every kind, in one order."""
        return self._nothing | {kind: format(amount, self._money) for kind, amount in amounts.items()}

    def _amount(self, amount: Decimal) -> str:
        return format(amount, self._money) if amount else self._zero

    def _parts(self, parts: Parts) -> dict[str, Any]:
        return {
            "broker": self._amount(parts.broker),
            "agents": [self._amount(amount) for amount in parts.agents],
            "manager": self._amount(parts.manager),
        }

    def _explained(self, record: Record) -> Record:
        return record | {"words": [str(line) for line in explanation_in_words(record, self._currency.code)]}
