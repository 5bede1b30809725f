"""All fees of one investment at one price: interval ends, withdrawals, closes and deposits.

In the order of the rules: management, subscription, volume, debts (oldest first), performance; each is
charged on what the one before left, rounded down, its fraction carried to the next fee of the kind. What the
value cannot pay becomes a debt of its kind, which ends with the investment. The rollover, the accrued fees of
every page, the simulator and the verification of the books all come through here.

Amounts are in the account's currency and whole minor units; `Situation.digits` is how many decimals it has.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from types import MappingProxyType

from fees.calc import performance
from fees.calc.charge import Charge, charge
from fees.calc.kinds import ACCRUING, FeeKind
from fees.calc.performance import Available, Standing, after_deposit
from fees.calc.schedule import Basis
from fees.calc.terms import FeeTerms
from money.exact import ZERO, Quotient, exact_difference, exact_sum
from money.rounding import minor_unit, nearest_money

DAYS_OF_A_YEAR = 365
MOST_DEBTS = 30
"""Debts kept apart by age; beyond it a new one joins the youngest of its kind."""

_NOTHING_CARRIED: Mapping[FeeKind, Decimal] = MappingProxyType({})
_NO_MARK = Standing(ZERO)


@dataclass(frozen=True, slots=True)
class Debt:
    """A fee that could not be collected at rollover number `since`."""

    kind: FeeKind
    amount: Decimal
    since: int


@dataclass(frozen=True, slots=True)
class FeeState:
    """What an investment brings from one fee to the next.

    `carried`: fractions of kinds other than performance, 24 places; absent is 0. `debts`: oldest first.
    """

    standing: Standing = _NO_MARK
    carried: Mapping[FeeKind, Decimal] = field(default_factory=lambda: _NOTHING_CARRIED)
    debts: tuple[Debt, ...] = ()

    def carried_of(self, kind: FeeKind) -> Decimal:
        return self.standing.carried if kind is FeeKind.PERFORMANCE else self.carried.get(kind, ZERO)


@dataclass(frozen=True, slots=True)
class Situation:
    """One investment at one price, before any fee of it.

    `value_days`: money times days since the last management fee; `lots`: its share of the lots closed since
    the last volume fee; `interval_part`: how much of a trading interval the subscription is unpaid for. All
    three exact. `yield_` and `net_worth` as in `fees.calc.performance`. `early_exit_rate`: of the terms for
    who leaves early, else 0. `balance_share` (the same share of the balance as `value` is of the equity) and
    `balance_per_equity` only for terms with `lower_profit`. `rollover` is its number.
    """

    value: Decimal
    digits: int
    rollover: int = 0
    yield_: Decimal = ZERO
    net_worth: Decimal = ZERO
    value_days: Fraction = Fraction(0)
    lots: Fraction = Fraction(0)
    interval_part: Fraction = Fraction(0)
    early_exit_rate: Decimal = ZERO
    balance_share: Decimal | None = None
    balance_per_equity: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True)
class FeeLine:
    """One fee as it is charged. `inputs`: everything it was computed from, for its explanation.

    `amount` is taken, `uncollected` becomes a debt. `carried_before` and `carried_after` are the kind's
    fraction; `mark_before` and `mark_after` differ for performance only.
    """

    kind: FeeKind
    amount: Decimal
    inputs: Mapping[str, object]
    uncollected: Decimal = ZERO
    collects_debt: bool = False
    profit: Decimal = ZERO
    carried_before: Decimal = ZERO
    carried_after: Decimal = ZERO
    mark_before: Decimal = ZERO
    mark_after: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Crystallised:
    """Fees in the order they are charged, what they leave of the value, and the state after them."""

    lines: tuple[FeeLine, ...]
    value_left: Decimal
    state: FeeState

    @property
    def total(self) -> Decimal:
        return exact_sum(line.amount for line in self.lines)


@dataclass(frozen=True, slots=True)
class PartTaken:
    """A part withdrawal: `net` is paid, `lines` are charged, `gross` of both leaves the investment."""

    net: Decimal
    lines: tuple[FeeLine, ...]
    state: FeeState

    @property
    def fees(self) -> Decimal:
        return exact_sum(line.amount for line in self.lines)

    @property
    def gross(self) -> Decimal:
        return exact_sum((self.net, self.fees))


@dataclass(frozen=True, slots=True)
class Closed:
    """A close: `paid` and the fees of `lines` are the whole value. Nothing is carried on."""

    paid: Decimal
    lines: tuple[FeeLine, ...]

    @property
    def fees(self) -> Decimal:
        return exact_sum(line.amount for line in self.lines)

    @property
    def by_kind(self) -> dict[FeeKind, Decimal]:
        """What closing charges."""
        return fees_by_kind(self.lines)


def fees_by_kind(lines: Iterable[FeeLine]) -> dict[FeeKind, Decimal]:
    """What is charged, kind by kind, debts with their kind. Kinds without a fee are absent."""
    sums: dict[FeeKind, Decimal] = {}
    for line in lines:
        if line.amount:
            sums[line.kind] = exact_sum((sums.get(line.kind, ZERO), line.amount))
    return sums


@dataclass(frozen=True, slots=True)
class Deposited:
    """A deposit of `amount`: `invested` after the entry fee.

    `line` is None where there is none to charge or to owe.
    """

    amount: Decimal
    invested: Decimal
    line: FeeLine | None
    state: FeeState


def interval_end(terms: FeeTerms, state: FeeState, situation: Situation) -> Crystallised:
    """Everything that falls due at the end of a trading interval.

    The performance fee has a line wherever there is profit, also at a rate of 0: the mark moves.
    """
    others = accruing_fees(terms, state, situation)
    counted = _profit_value(terms, situation, others)
    fee = performance.performance_fee(
        value=others.value_left,
        standing=others.state.standing,
        schedule=terms.schedule,
        yield_=situation.yield_,
        net_worth=situation.net_worth,
        digits=situation.digits,
        profit_value=counted,
    )
    if fee.profit <= 0:
        return others
    line = FeeLine(
        kind=FeeKind.PERFORMANCE,
        amount=fee.amount,
        uncollected=fee.uncollected,
        profit=fee.profit,
        carried_before=others.state.standing.carried,
        carried_after=fee.carried_next,
        mark_before=others.state.standing.high_water_mark,
        mark_after=fee.high_water_mark_next,
        inputs=_performance_inputs(terms, others, situation)
        | ({} if counted is None else {"counted_value": counted}),
    )
    after = replace(others.state, standing=fee.standing_next)
    return Crystallised(
        lines=(*others.lines, line),
        value_left=exact_difference(others.value_left, fee.amount),
        state=_with_debt(after, line, situation.rollover),
    )


def withdrawal(net_amount: Decimal, terms: FeeTerms, state: FeeState, situation: Situation) -> PartTaken:
    """Taking out part, `net_amount` for its owner.

    First all accrued fees and debts, then the part's performance fee (with terms that crystallise the whole:
    all of it) and early exit fee. Raises `performance.NothingAvailable`, `performance.MoreThanAvailable`. To
    ask for at least what `closing` pays is a close and does not come here (`performance.withdrawal_kind`).
    """
    first = _before_withdrawal(terms, state, situation)
    standing, exit_carried = first.state.standing, first.state.carried_of(FeeKind.EARLY_EXIT)
    plan = performance.withdrawal(
        net_amount=net_amount,
        value=first.value_left,
        standing=standing,
        schedule=terms.schedule,
        yield_=situation.yield_,
        net_worth=situation.net_worth,
        digits=situation.digits,
        early_exit_rate=situation.early_exit_rate,
        exit_carried=exit_carried,
    )
    lines = list(first.lines)
    if plan.fee or (plan.unrounded and not terms.charges_whole_on_withdrawal):
        lines.append(
            FeeLine(
                kind=FeeKind.PERFORMANCE,
                amount=plan.fee,
                profit=exact_difference(first.value_left, standing.high_water_mark),
                carried_before=standing.carried,
                carried_after=plan.carried_next,
                mark_before=standing.high_water_mark,
                mark_after=plan.high_water_mark_next,
                inputs=_performance_inputs(terms, first, situation)
                | {"withdrawn": net_amount, "early_exit_rate": situation.early_exit_rate}
                | ({"exit_carried": exit_carried} if situation.early_exit_rate else {}),
            )
        )
    if plan.exit_fee:
        lines.append(
            FeeLine(
                kind=FeeKind.EARLY_EXIT,
                amount=plan.exit_fee,
                carried_before=exit_carried,
                carried_after=plan.exit_carried_next,
                inputs={
                    "withdrawn": net_amount,
                    "rate": situation.early_exit_rate,
                    "carried": exit_carried,
                },
            )
        )
    after = _with_carried(first.state, {FeeKind.EARLY_EXIT: plan.exit_carried_next})
    return PartTaken(net_amount, tuple(lines), replace(after, standing=plan.standing_next))


def closing(terms: FeeTerms, state: FeeState, situation: Situation) -> Closed:
    """What closing pays and charges now: also what is *accrued* at this price.

    Profit is counted from the value. Debts and fees that the value cannot pay end with the investment.
    """
    others = accruing_fees(terms, state, situation)
    standing, exit_carried = others.state.standing, others.state.carried_of(FeeKind.EARLY_EXIT)
    closed = performance.closing(
        value=others.value_left,
        standing=standing,
        schedule=terms.schedule,
        yield_=situation.yield_,
        net_worth=situation.net_worth,
        digits=situation.digits,
        early_exit_rate=situation.early_exit_rate,
        exit_carried=exit_carried,
    )
    lines = list(others.lines)
    if closed.fee:
        lines.append(
            FeeLine(
                kind=FeeKind.PERFORMANCE,
                amount=closed.fee,
                profit=closed.profit,
                carried_before=standing.carried,
                mark_before=standing.high_water_mark,
                inputs=_performance_inputs(terms, others, situation) | {"closes": True},
            )
        )
    if closed.exit_fee:
        lines.append(
            FeeLine(
                kind=FeeKind.EARLY_EXIT,
                amount=closed.exit_fee,
                carried_before=exit_carried,
                inputs={
                    "left": exact_difference(others.value_left, closed.fee),
                    "rate": situation.early_exit_rate,
                    "carried": exit_carried,
                },
            )
        )
    return Closed(closed.paid, tuple(lines))


def available(
    terms: FeeTerms, state: FeeState, situation: Situation, *, minimum_remaining: Decimal = ZERO
) -> Available:
    """What can be taken out now, net of all fees; `minimum_remaining` of value stays after a part."""
    first = _before_withdrawal(terms, state, situation)
    return performance.available(
        value=first.value_left,
        standing=first.state.standing,
        schedule=terms.schedule,
        yield_=situation.yield_,
        net_worth=situation.net_worth,
        digits=situation.digits,
        early_exit_rate=situation.early_exit_rate,
        exit_carried=first.state.carried_of(FeeKind.EARLY_EXIT),
        minimum_remaining=minimum_remaining,
    )


def deposit(amount: Decimal, terms: FeeTerms, state: FeeState, digits: int, rollover: int = 0) -> Deposited:
    """Entry fee of a deposit, before units are issued, and the mark it raises. `rollover` is its number."""
    if not terms.entry.tiers:
        standing = after_deposit(state.standing, amount)
        return Deposited(amount, amount, None, replace(state, standing=standing))
    rate = terms.entry.rate_for(amount)
    carried = state.carried_of(FeeKind.ENTRY)
    charged = entry_charge(amount, rate, carried, digits)
    line = FeeLine(
        kind=FeeKind.ENTRY,
        amount=charged.amount,
        uncollected=charged.uncollected,
        carried_before=carried,
        carried_after=charged.carried_next,
        inputs={
            "deposit": amount,
            "tiers": terms.entry,
            "carried": carried,
        },
    )
    invested = exact_difference(amount, charged.amount)
    after = _with_debt(_with_carried(state, {FeeKind.ENTRY: charged.carried_next}), line, rollover)
    return Deposited(
        amount,
        invested,
        line if charged.amount or charged.uncollected else None,
        replace(after, standing=after_deposit(after.standing, invested)),
    )


def entry_charge(amount: Decimal, rate: Decimal, carried: Decimal, digits: int) -> Charge:
    """Entry fee of a deposit at the reached `rate`. A minor unit is invested whatever was carried."""
    return charge(
        fee=Fraction(amount) * Fraction(rate),
        carried=carried,
        available=exact_difference(amount, minor_unit(digits)),
        digits=digits,
    )


def accrued_exactly(kind: FeeKind, price: Decimal, quantity: Fraction) -> Fraction:
    """The exact fee of an accruing kind: management by value-days, the others by their quantity."""
    return Fraction(*_accrued(kind, price, quantity))


def _accrued(kind: FeeKind, price: Decimal, quantity: Fraction) -> Quotient:
    exact = _exact_price(kind, price)
    return Quotient(exact.numerator * quantity.numerator, exact.denominator * quantity.denominator)


@lru_cache(maxsize=256)
def _exact_price(kind: FeeKind, price: Decimal) -> Fraction:
    """What one of the quantity costs: of money invested for a day, of an interval, of a lot."""
    return Fraction(price) / (DAYS_OF_A_YEAR if kind is FeeKind.MANAGEMENT else 1)


def accruing_fees(terms: FeeTerms, state: FeeState, situation: Situation) -> Crystallised:
    """Management, subscription and volume fee for all that accrued, then the debts, oldest first."""
    left = situation.value
    lines: list[FeeLine] = []
    if terms.accrues:
        carried: dict[FeeKind, Decimal] = {}
        for kind in ACCRUING:
            line = _accruing_line(kind, terms, state, situation, left)
            if line is None:
                continue
            left = exact_difference(left, line.amount)
            carried[kind] = line.carried_after
            if line.amount or line.uncollected:
                lines.append(line)
        state = _with_carried(state, carried)
    if state.debts:
        collected, state = _collected_debts(state, left)
        left = exact_difference(left, exact_sum(line.amount for line in collected))
        lines += collected
    for line in lines:
        if not line.collects_debt:
            state = _with_debt(state, line, situation.rollover)
    return Crystallised(tuple(lines), left, state)


def _accruing_line(
    kind: FeeKind, terms: FeeTerms, state: FeeState, situation: Situation, left: Decimal
) -> FeeLine | None:
    """The fee of one kind, from the money that is left; None where the terms do not charge it."""
    if kind is FeeKind.MANAGEMENT:
        price, quantity = terms.management_rate, situation.value_days
    elif kind is FeeKind.SUBSCRIPTION:
        price, quantity = terms.subscription_amount, situation.interval_part
    else:
        price, quantity = terms.volume_amount_per_lot, situation.lots
    if not price:
        return None
    carried = state.carried_of(kind)
    charged = charge(
        fee=_accrued(kind, price, quantity), carried=carried, available=left, digits=situation.digits
    )
    return FeeLine(
        kind=kind,
        amount=charged.amount,
        uncollected=charged.uncollected,
        carried_before=carried,
        carried_after=charged.carried_next,
        inputs={"value": left, "price": price, "quantity": quantity, "carried": carried},
    )


def _collected_debts(state: FeeState, left: Decimal) -> tuple[list[FeeLine], FeeState]:
    """As much of the debts as the money that is left pays, one line for each kind; a kind's oldest first."""
    paid: dict[FeeKind, list[tuple[Debt, Decimal]]] = {}
    remaining: list[Debt] = []
    value = left
    for debt in state.debts:
        amount = min(debt.amount, left)
        left = exact_difference(left, amount)
        if amount:
            paid.setdefault(debt.kind, []).append((debt, amount))
        if amount < debt.amount:
            remaining.append(replace(debt, amount=exact_difference(debt.amount, amount)))
    lines = [
        FeeLine(
            kind=kind,
            amount=exact_sum(amount for _, amount in payments),
            collects_debt=True,
            carried_before=state.carried_of(kind),
            carried_after=state.carried_of(kind),
            inputs={
                "value": value,
                "debts": [
                    {"since": debt.since, "owed": debt.amount, "collected": amount}
                    for debt, amount in payments
                ],
            },
        )
        for kind, payments in paid.items()
    ]
    return lines, replace(state, debts=tuple(remaining))


def _before_withdrawal(terms: FeeTerms, state: FeeState, situation: Situation) -> Crystallised:
    """What is charged before a part is taken out: what accrued, and the whole profit where terms say so."""
    if not terms.charges_whole_on_withdrawal:
        return accruing_fees(terms, state, situation)
    return interval_end(replace(terms, lower_profit=False), state, situation)


def _profit_value(terms: FeeTerms, situation: Situation, others: Crystallised) -> Decimal | None:
    """The value the profit is counted from, where it is not the value itself.

    Profit basis *lower*: the smaller of the value and the same share of the balance, both after the other
    fees.
    """
    if not terms.lower_profit or situation.balance_share is None:
        return None
    charged = Fraction(exact_difference(situation.value, others.value_left))
    share = Fraction(situation.balance_share) - charged * situation.balance_per_equity
    return min(others.value_left, nearest_money(share, situation.digits))


def _performance_inputs(terms: FeeTerms, before: Crystallised, situation: Situation) -> dict[str, object]:
    inputs: dict[str, object] = {
        "value": before.value_left,
        "mark": before.state.standing.high_water_mark,
        "carried": before.state.standing.carried,
        "schedule": terms.schedule,
    }
    if terms.schedule.basis is Basis.YIELD:
        inputs["yield"] = situation.yield_
    elif terms.schedule.basis is Basis.NET_WORTH:
        inputs["net_worth"] = situation.net_worth
    return inputs


def _with_carried(state: FeeState, carried: Mapping[FeeKind, Decimal]) -> FeeState:
    """The state with these fractions instead of its own of their kinds; one of 0 is left out."""
    kept = {kind: fraction for kind, fraction in {**state.carried, **carried}.items() if fraction}
    return FeeState(state.standing, kept, state.debts)


def _with_debt(state: FeeState, line: FeeLine, rollover: int) -> FeeState:
    if not line.uncollected:
        return state
    debts: Sequence[Debt] = state.debts
    if len(debts) >= MOST_DEBTS:
        youngest = max((at for at, debt in enumerate(debts) if debt.kind is line.kind), default=None)
        if youngest is not None:
            grown = exact_sum((debts[youngest].amount, line.uncollected))
            merged = replace(debts[youngest], amount=grown)
            return replace(state, debts=(*debts[:youngest], merged, *debts[youngest + 1 :]))
    return replace(state, debts=(*debts, Debt(line.kind, line.uncollected, rollover)))
