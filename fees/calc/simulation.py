"""What terms would charge one investment over a series of dated steps: the simulator.

Nothing is decided here. Prices and units come from `allocation.calc`, fees from
`fees.calc.crystallisation`, parts from `fees.calc.shares` and explanations from `fees.calc.explanation`, in
the order of a rollover: price, fees of an interval end, withdrawal or close, deposit, all at the price of the
step.

The investor is alone in the pool, unless others hold `pool_equity` in it, who do nothing. The trading
interval, which the subscription fee is spread over, runs from the first step, and then from each
`interval_end`, to the next `interval_end` or else to the last step, evenly with time; whoever joins in
between pays for the rest of it.

Amounts are in one currency and whole minor units, rates are fractions. Nothing is rounded but by the rules
that are called.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from allocation.calc.accumulators import (
    accrued,
    lots_per_unit_after,
    time_passed,
    unpaid_part,
    value_days_after,
)
from allocation.calc.price import Price, price_of, time_weighted_return
from allocation.calc.units import first_units_allowed, units_for_deposit, units_for_redemption
from allocation.calc.units import value as value_of_units
from fees.calc import crystallisation
from fees.calc.crystallisation import Closed, FeeLine, FeeState, Situation
from fees.calc.explanation import Record, explanation
from fees.calc.kinds import FeeKind
from fees.calc.performance import (
    WithdrawalKind,
    behind_by_balance,
    net_worth_basis,
    withdrawal_kind,
)
from fees.calc.schedule import Basis
from fees.calc.shares import Parts, Shared, split
from fees.calc.terms import FeeTerms
from money.exact import EXACT, ZERO, exact_difference, exact_sum
from money.rounding import rounded_accumulator


class StepImpossible(ValueError):
    """A step that no rollover would carry out. `index` counts from 0, `field` is the step's at fault.

    `code`: time_not_rising (not after the step before), several_prices (equity, price and result say the same
    thing), not_invested (nothing to end, withdraw or close), equity_without_units (nobody holds units, so
    nobody's money can be there), price_is_zero (nothing flows, is charged or ends), already_closed,
    withdraw_and_close, amount_not_positive, price_negative, lots_negative. To withdraw more than there is is
    not among them: it closes.
    """

    def __init__(self, code: str, index: int, field_name: str) -> None:
        super().__init__(f"step {index}, {field_name}: {code}")
        self.code = code
        self.index = index
        self.field = field_name


@dataclass(frozen=True, slots=True)
class Step:
    """What happens at one moment, like a rollover: the price first, then fees, then money out, then in.

    The price comes from at most one of `equity` (the pool's, before this step's flows), `price` (per unit)
    and `result` (profit or loss since the step before); without any nothing was gained or lost. Before
    anybody holds units, `price` is what the first ones cost (else 1).

    `balance`: the pool's balance without floating results, looked at by terms with `lower_profit`; without
    one it is the equity. `lots`: closed since the step before. `withdraw`: net amount for the investor; at
    least what closing pays is a close.
    """

    at: datetime
    equity: Decimal | None = None
    price: Decimal | None = None
    result: Decimal | None = None
    balance: Decimal | None = None
    lots: Decimal = ZERO
    interval_end: bool = False
    withdraw: Decimal | None = None
    close: bool = False
    deposit: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The investment after one step: after its fees and flows, at its price.

    `time_weighted_return`: of the trading interval until this step, also where it ends here; 9 places, None
    where nothing is invested. `fees` were charged at this step, debts with their kind; `accrued` is what
    closing would charge after it and `net_value` what it would pay: by kind, kinds without a fee absent.
    `paid_out` went to the investor. `parts` share all `fees`. `explanation`: records of the fees of this
    step in their order, also of one that became a debt or came to 0 and moved the mark.
    """

    at: datetime
    value: Decimal
    units: Decimal
    price: Decimal
    high_water_mark: Decimal
    time_weighted_return: Decimal | None
    fees: Mapping[FeeKind, Decimal]
    accrued: Mapping[FeeKind, Decimal]
    paid_out: Decimal
    net_value: Decimal
    parts: Parts
    explanation: tuple[Record, ...]
    is_closed: bool


def simulate(
    terms: FeeTerms,
    steps: Sequence[Step],
    *,
    digits: int,
    pool_equity: Decimal = ZERO,
    agents: int | None = None,
    lock_in_ends_at: datetime | None = None,
    interval_began_at: datetime | None = None,
    interval_ends_at: datetime | None = None,
) -> list[Outcome]:
    """One outcome for each step. Raises `StepImpossible` for the first step that cannot be carried out.

    `terms` are valid; `digits` are the currency's decimals. `pool_equity`: what others hold when the first
    step begins, in units at its `price` if it says one, else at 1. `agents`: how many introduced the
    investor, as many as the terms have levels unless said. `lock_in_ends_at`: until when the early exit fee
    is due; None: at every step. Where it is due until the interval ends, every step but those that end one.
    `interval_began_at`: when the trading interval began that the first step is in, if before it;
    `interval_ends_at`: when the one ends that the last step is in, if after it.
    """
    for index, (before, step) in enumerate(pairwise(steps), start=1):
        if step.at <= before.at:
            raise StepImpossible("time_not_rising", index, "at")
    levels = len(terms.shares.agent_rates) if agents is None else agents
    simulation = _Simulation(terms, digits, pool_equity, terms.shares.among(levels), lock_in_ends_at)
    intervals = _intervals(steps, interval_began_at, interval_ends_at)
    return [
        simulation.after(index, step, interval)
        for index, (step, interval) in enumerate(zip(steps, intervals, strict=True))
    ]


@dataclass(frozen=True, slots=True)
class _TradingInterval:
    starts_at: datetime
    ends_at: datetime

    def passed(self, at: datetime) -> Fraction:
        return Fraction(0) if at <= self.starts_at else time_passed(self.starts_at, at, self.ends_at)


def _intervals(
    steps: Sequence[Step], began_at: datetime | None, ends_at: datetime | None
) -> list[_TradingInterval]:
    """The interval that is under way when each step begins."""
    found: list[_TradingInterval] = []
    if steps:
        starts_at = began_at or steps[0].at
        ends = [index for index, step in enumerate(steps) if step.interval_end]
        if not ends or ends[-1] != len(steps) - 1:
            ends.append(len(steps) - 1)
        for end in ends:
            last = steps[end]
            interval = _TradingInterval(starts_at, last.at if last.interval_end else ends_at or last.at)
            found += [interval] * (end + 1 - len(found))
            starts_at = steps[end].at
    return found


@dataclass(slots=True)
class _Simulation:
    """The pool and the investment between two steps."""

    terms: FeeTerms
    digits: int
    equity: Decimal
    rates: tuple[Decimal, ...]
    lock_in_ends_at: datetime | None

    last_at: datetime | None = None
    price: Price = Price.INITIAL
    pool_units: Decimal = ZERO
    value_days: Decimal = ZERO
    lots_per_unit: Decimal = ZERO

    units: Decimal = ZERO
    lowest_units: Decimal = ZERO
    opening: Price = Price.INITIAL
    reached: Decimal = ZERO
    interval_ended_at: datetime | None = None
    state: FeeState = field(default_factory=FeeState)
    shared: dict[FeeKind, Shared] = field(default_factory=dict)
    is_invested: bool = False
    is_closed: bool = False
    value_days_put_aside: Decimal = ZERO
    value_days_checkpoint: Decimal = ZERO
    lots_put_aside: Decimal = ZERO
    lots_checkpoint: Decimal = ZERO
    subscription_paid: Decimal = ZERO

    def after(self, index: int, step: Step, interval: _TradingInterval) -> Outcome:
        self._require_possible(index, step)
        self._reprice(index, step)
        charged: list[FeeLine] = []
        paid_out = ZERO
        reached = self.reached if self.is_invested else None
        passed = interval.passed(step.at) if self.terms.subscription_amount else Fraction(0)
        if step.interval_end:
            charged += self._end_interval(index, step, passed)
            passed = Fraction(0)
        if step.close:
            paid_out, lines = self._close(index, step.at, passed)
            charged += lines
        elif step.withdraw is not None:
            paid_out, lines = self._withdraw(index, step.at, step.withdraw, passed)
            charged += lines
        if step.deposit is not None:
            charged += self._deposit(index, step.deposit, passed)
        if self.is_invested and reached is None:
            reached = ZERO
        return self._outcome(index, step.at, passed, reached, charged, paid_out)

    def _require_possible(self, index: int, step: Step) -> None:
        def refuse(code: str, field_name: str) -> None:
            raise StepImpossible(code, index, field_name)

        if self.is_closed:
            refuse("already_closed", "at")
        if (step.equity is not None) + (step.price is not None) + (step.result is not None) > 1:
            refuse("several_prices", "price" if step.equity is None else "equity")
        if step.price is not None and step.price < 0:
            refuse("price_negative", "price")
        if step.lots < 0:
            refuse("lots_negative", "lots")
        if step.withdraw is not None:
            if step.close:
                refuse("withdraw_and_close", "withdraw")
            if step.withdraw <= 0:
                refuse("amount_not_positive", "withdraw")
        if step.deposit is not None and step.deposit <= 0:
            refuse("amount_not_positive", "deposit")
        if not self.is_invested:
            for name in ("interval_end", "withdraw", "close"):
                if getattr(step, name):
                    refuse("not_invested", name)

    def _reprice(self, index: int, step: Step) -> None:
        """The pool's price and running sums at the step."""
        before, since = self.price, self.last_at or step.at
        if self.last_at is None and self.equity:
            self._others_join(step.price)
        if self.pool_units:
            if step.price is not None:
                self.equity = EXACT.multiply(step.price, self.pool_units)
            elif step.equity is not None:
                self.equity = step.equity
            elif step.result is not None:
                self.equity = exact_sum((self.equity, step.result))
            self.price = price_of(self.equity, self.pool_units, before)
        else:
            for name, amount in (("equity", step.equity), ("result", step.result)):
                if amount:
                    raise StepImpossible("equity_without_units", index, name)
            if step.price:
                self.price = Price(step.price, Decimal(1))
        if self.price.is_zero and (step.interval_end or step.close or step.withdraw or step.deposit):
            name = next(
                name for name in ("interval_end", "close", "withdraw", "deposit") if getattr(step, name)
            )
            raise StepImpossible("price_is_zero", index, name)
        if self.is_invested:
            self.reached = time_weighted_return(self.opening, self.price)
        if self.terms.management_rate:
            self.value_days = value_days_after(self.value_days, before, since, step.at)
        if self.terms.volume_amount_per_lot:
            self.lots_per_unit = lots_per_unit_after(self.lots_per_unit, step.lots, self.pool_units)
        self.last_at = step.at

    def _others_join(self, price: Decimal | None) -> None:
        """Units of the others, at the price of the first step."""
        self.price = Price(price, Decimal(1)) if price else Price.INITIAL
        self.pool_units = units_for_deposit(self.equity, self.price)

    def _situation(
        self, index: int, at: datetime, passed: Fraction, *, leaves_later: bool = False
    ) -> Situation:
        """The investment at the present price. `passed`: how much of the trading interval is over;
        `leaves_later`: after the step, so within the interval that may have begun at it.
        """
        terms, basis = self.terms, self.terms.schedule.basis
        return Situation(
            value=value_of_units(self.units, self.price, self.digits),
            digits=self.digits,
            rollover=index + 1,
            yield_=self.reached if basis is Basis.YIELD else ZERO,
            net_worth=net_worth_basis(self.price, self.lowest_units, self.digits)
            if basis is Basis.NET_WORTH
            else ZERO,
            value_days=self._accrued_value_days() if terms.management_rate else Fraction(0),
            lots=self._accrued_lots() if terms.volume_amount_per_lot else Fraction(0),
            interval_part=unpaid_part(passed, self.subscription_paid),
            early_exit_rate=terms.early_exit_rate if self._is_early(at, leaves_later) else ZERO,
        )

    def _is_early(self, at: datetime, leaves_later: bool) -> bool:
        """Whether who leaves now leaves before the lock-in, or the trading interval, has ended."""
        if self.terms.early_exit_until_interval_end:
            return leaves_later or self.interval_ended_at != at
        return self.lock_in_ends_at is None or at < self.lock_in_ends_at

    def _accrued_value_days(self) -> Fraction:
        return accrued(self.value_days_put_aside, self.units, self.value_days, self.value_days_checkpoint)

    def _accrued_lots(self) -> Fraction:
        return accrued(self.lots_put_aside, self.units, self.lots_per_unit, self.lots_checkpoint)

    def _end_interval(self, index: int, step: Step, passed: Fraction) -> tuple[FeeLine, ...]:
        situation = self._situation(index, step.at, passed)
        if self.terms.lower_profit:
            situation = self._with_balance(situation, step.balance)
        ended = crystallisation.interval_end(self.terms, self.state, situation)
        self._redeem(line.amount for line in ended.lines)
        self.state = ended.state
        self._restart_accruals(Fraction(0))
        self._begin_interval()
        self.interval_ended_at = step.at
        return ended.lines

    def _begin_interval(self) -> None:
        self.opening, self.reached, self.lowest_units = self.price, ZERO, self.units

    def _with_balance(self, situation: Situation, balance: Decimal | None) -> Situation:
        if balance is None:
            return situation
        share, per_equity = behind_by_balance(
            units=self.units,
            pool_balance=balance,
            pool_units=self.pool_units,
            pool_equity=self.equity,
            digits=self.digits,
        )
        return replace(situation, balance_share=share, balance_per_equity=per_equity)

    def _withdraw(
        self, index: int, at: datetime, net_amount: Decimal, passed: Fraction
    ) -> tuple[Decimal, tuple[FeeLine, ...]]:
        situation = self._situation(index, at, passed)
        room = crystallisation.available(self.terms, self.state, situation)
        kind = withdrawal_kind(
            net_amount=net_amount,
            closing_pays=room.closing,
            largest_part=room.part,
            closes_if_too_little_remains=True,
        )
        if kind is WithdrawalKind.CLOSE:
            return self._close(index, at, passed)
        taken = crystallisation.withdrawal(net_amount, self.terms, self.state, situation)
        self._redeem((*(line.amount for line in taken.lines), taken.net))
        self.state = taken.state
        self._restart_accruals(passed)
        return taken.net, taken.lines

    def _close(self, index: int, at: datetime, passed: Fraction) -> tuple[Decimal, tuple[FeeLine, ...]]:
        closed = crystallisation.closing(self.terms, self.state, self._situation(index, at, passed))
        self.units, self.state = ZERO, FeeState()
        self.is_invested, self.is_closed = False, True
        return closed.paid, closed.lines

    def _deposit(self, index: int, amount: Decimal, passed: Fraction) -> tuple[FeeLine, ...]:
        if self.is_closed:
            raise StepImpossible("already_closed", index, "deposit")
        if not self.pool_units and not first_units_allowed(self.equity):
            raise StepImpossible("equity_without_units", index, "deposit")
        deposited = crystallisation.deposit(amount, self.terms, self.state, self.digits, index + 1)
        self._put_aside()
        issued = units_for_deposit(deposited.invested, self.price)
        self.units = exact_sum((self.units, issued))
        self.pool_units = exact_sum((self.pool_units, issued))
        self.equity = exact_sum((self.equity, deposited.invested))
        self.state = deposited.state
        if not self.is_invested:
            self.is_invested = True
            self._begin_interval()
            self._restart_accruals(passed)
        return () if deposited.line is None else (deposited.line,)

    def _redeem(self, amounts: Iterable[Decimal]) -> None:
        """Take fees and payments out of the pool as units, one after the other as a rollover does."""
        self._put_aside()
        for amount in amounts:
            if not amount:
                continue
            redeemed = units_for_redemption(amount, self.price, self.units)
            self.units = exact_difference(self.units, redeemed)
            self.pool_units = exact_difference(self.pool_units, redeemed)
            self.equity = exact_difference(self.equity, amount)
        self.lowest_units = min(self.lowest_units, self.units)

    def _put_aside(self) -> None:
        """Keep what the units held so far have accrued."""
        self.value_days_put_aside = rounded_accumulator(self._accrued_value_days())
        self.value_days_checkpoint = self.value_days
        self.lots_put_aside = rounded_accumulator(self._accrued_lots())
        self.lots_checkpoint = self.lots_per_unit

    def _restart_accruals(self, passed: Fraction) -> None:
        """All that accrued has been charged; `passed` of the interval is paid for."""
        self.value_days_put_aside = self.lots_put_aside = ZERO
        self.value_days_checkpoint, self.lots_checkpoint = self.value_days, self.lots_per_unit
        self.subscription_paid = rounded_accumulator(passed)

    def _outcome(
        self,
        index: int,
        at: datetime,
        passed: Fraction,
        reached: Decimal | None,
        charged: Sequence[FeeLine],
        paid_out: Decimal,
    ) -> Outcome:
        if self.is_invested:
            situation = self._situation(index, at, passed, leaves_later=True)
            value, closed = situation.value, crystallisation.closing(self.terms, self.state, situation)
        else:
            value, closed = ZERO, Closed(ZERO, ())
        return Outcome(
            at=at,
            value=value,
            units=self.units,
            price=self.price.rounded(),
            high_water_mark=self.state.standing.high_water_mark,
            time_weighted_return=reached,
            fees=crystallisation.fees_by_kind(charged),
            accrued=closed.by_kind,
            paid_out=paid_out,
            net_value=closed.paid,
            parts=self._split(charged),
            explanation=tuple(explanation(line, self.digits) for line in charged),
            is_closed=self.is_closed,
        )

    def _split(self, charged: Sequence[FeeLine]) -> Parts:
        """Who receives the fees of one step, in all."""
        broker, manager = ZERO, ZERO
        agents = [ZERO] * (len(self.rates) - 1)
        for line in charged:
            if not line.amount:
                continue
            parts, self.shared[line.kind] = split(
                line.amount, self.shared.get(line.kind, Shared()), self.rates, self.digits
            )
            broker = exact_sum((broker, parts.broker))
            manager = exact_sum((manager, parts.manager))
            agents = [exact_sum(pair) for pair in zip(agents, parts.agents, strict=True)]
        return Parts(broker, tuple(agents), manager)
