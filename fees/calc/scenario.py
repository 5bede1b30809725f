"""What may happen to one investment, and what came of it: the question a person asks the simulator.

A scenario is told in months. It becomes dated steps of `fees.calc.simulation`: one at each month's end, one
at each end of a trading interval in between. Within a month the price moves, and lots are closed, evenly with
time. No fee is computed here.

Amounts are in one currency and whole minor units, returns and rates are fractions.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise

from allocation.calc.accumulators import time_passed
from fees.calc.intervals import TradingInterval, end_number
from fees.calc.kinds import FeeKind
from fees.calc.shares import Parts
from fees.calc.simulation import Outcome, Step, StepImpossible, simulate
from fees.calc.terms import FeeTerms
from money.exact import EXACT, ZERO, exact_difference, exact_sum
from money.rounding import PRICE_PLACES, YIELD_PLACES, half_even

MOST_MONTHS = 120
LOT_PLACES = 12
ONE = Decimal(1)
DAYS_OF_A_YEAR = 365
_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1) // _MICROSECOND
_MONTH = TradingInterval("months", 1, "own")


class Path(StrEnum):
    """How the months differ.

    `steady`: each the same. `up_and_down`: three times the rate up, then once down, in turns.
    `loss_then_recovery`: a third of the months lose twice the rate, the others gain twice of it. `own`: as
    listed; a list shorter than the time starts over.
    """

    STEADY = "steady"
    UP_AND_DOWN = "up_and_down"
    LOSS_THEN_RECOVERY = "loss_then_recovery"
    OWN = "own"


def returns_along(
    path: Path, months: int, rate: Decimal, listed: Sequence[Decimal] = ()
) -> tuple[Decimal, ...]:
    """The return of each of `months` months. `listed` is there for `own`."""
    match path:
        case Path.STEADY:
            return (rate,) * months
        case Path.UP_AND_DOWN:
            return tuple(-rate if month % 2 else rate * 3 for month in range(months))
        case Path.LOSS_THEN_RECOVERY:
            losing = months // 3
            return (rate * -2,) * losing + (rate * 2,) * (months - losing)
        case Path.OWN:
            return tuple(listed[month % len(listed)] for month in range(months))


@dataclass(frozen=True, slots=True)
class Scenario:
    """`amount` is paid in first. `returns`: of each month, before fees, above −1.

    `monthly_flow` is paid in (above 0) or out, net (below 0), after each month but the last; `monthly_lots`
    are closed in the account for this investment. `closes`: whether it leaves after the last month.
    """

    amount: Decimal
    returns: tuple[Decimal, ...]
    monthly_flow: Decimal = ZERO
    monthly_lots: Decimal = ZERO
    closes: bool = True

    def month_ends(self, starts_at: datetime, zone: tzinfo) -> list[datetime]:
        """Each at the same local day and time as the start, as far as the month has that day; UTC."""
        ends = (end_number(_MONTH, starts_at, number + 1, zone) for number in range(len(self.returns)))
        return [end for end in ends if end is not None]

    def steps(
        self, starts_at: datetime, month_ends: Sequence[datetime], interval_ends: Iterable[datetime]
    ) -> list[Step]:
        """The first deposit at `starts_at`, then every end of a month or a trading interval, to the last
        month's.
        """
        prices = self._prices()
        bounds = [starts_at, *month_ends]
        ending = {end for end in interval_ends if starts_at < end <= bounds[-1]}
        made = [Step(at=starts_at, deposit=self.amount)]
        lots_before = ZERO
        for at in sorted(ending | set(month_ends)):
            month = bisect_left(bounds, at) - 1
            passed = time_passed(bounds[month], at, bounds[month + 1])
            lots = half_even(Fraction(self.monthly_lots) * (month + passed), LOT_PLACES)
            is_last, is_month_end = at == bounds[-1], passed == 1
            flow = self.monthly_flow if is_month_end and not is_last else ZERO
            made.append(
                Step(
                    at=at,
                    price=_between(prices[month], prices[month + 1], passed),
                    lots=exact_difference(lots, lots_before),
                    interval_end=at in ending,
                    withdraw=-flow if flow < 0 else None,
                    close=is_last and self.closes,
                    deposit=flow if flow > 0 else None,
                )
            )
            lots_before = lots
        return made

    def _prices(self) -> list[Decimal]:
        prices = [ONE]
        for month_return in self.returns:
            prices.append(half_even(EXACT.multiply(prices[-1], ONE + month_return), PRICE_PLACES))
        return prices


def _between(before: Decimal, after: Decimal, passed: Fraction) -> Decimal:
    low = Fraction(before)
    return half_even(low + (Fraction(after) - low) * passed, PRICE_PLACES)


@dataclass(frozen=True, slots=True)
class Month:
    """One month, number 0 being the moment of joining: everything charged and paid in it, and how the
    investment stands at its end.

    `month_return`: of the price, before fees; None at joining. `fees` by kind, kinds without a fee absent.
    `charged`: the steps at which something was charged, became a debt or moved the mark. `fees_so_far`
    includes what closing would charge.
    """

    number: int
    month_return: Decimal | None
    paid_in: Decimal
    paid_out: Decimal
    fees: Mapping[FeeKind, Decimal]
    charged: tuple[Outcome, ...]
    end: Outcome
    fees_so_far: Decimal
    put_in_so_far: Decimal

    @property
    def at(self) -> datetime:
        return self.end.at

    @property
    def kept(self) -> Decimal:
        """What closing would pay; in the month of the close, what it paid."""
        return self.paid_out if self.end.is_closed else self.end.net_value

    @property
    def before_fees(self) -> Decimal:
        """What there would be if no fee so far had been taken from what was earned."""
        return exact_sum((self.kept, self.fees_so_far))


@dataclass(frozen=True, slots=True)
class Course:
    """What came of a scenario under terms.

    `left`: what closing would pay at the end, 0 once closed. `fees`: by kind, charged and what closing would
    charge at the end. `parts` share the charged ones. `value_days`: value after each step times the days to
    the next. `closed_early`: withdrawals took everything before the last month.
    """

    months: tuple[Month, ...]
    paid_in: Decimal
    paid_out: Decimal
    left: Decimal
    fees: Mapping[FeeKind, Decimal]
    parts: Parts
    value_days: Fraction
    closed_early: bool

    @property
    def all_fees(self) -> Decimal:
        return exact_sum(self.fees.values())

    @property
    def net_result(self) -> Decimal:
        return exact_difference(exact_sum((self.paid_out, self.left)), self.paid_in)

    @property
    def gross_result(self) -> Decimal:
        """Before fees: what trading made of the money that was invested."""
        return exact_sum((self.net_result, self.all_fees))

    @property
    def part_of_profit(self) -> Decimal | None:
        """Fees as a fraction of the gross result, 9 places; None without a profit."""
        if self.gross_result <= 0:
            return None
        return half_even(Fraction(self.all_fees) / Fraction(self.gross_result), YIELD_PLACES)

    @property
    def yearly_cost(self) -> Decimal | None:
        """Fees per year of 365 days as a fraction of the value on average, 9 places; None without value."""
        if not self.value_days:
            return None
        return half_even(Fraction(self.all_fees) * DAYS_OF_A_YEAR / self.value_days, YIELD_PLACES)


def course(
    terms: FeeTerms,
    scenario: Scenario,
    *,
    starts_at: datetime,
    month_ends: Sequence[datetime],
    interval_ends: Sequence[datetime],
    lock_in_ends_at: datetime,
    interval_began_at: datetime | None = None,
    digits: int,
) -> Course:
    """Play the scenario under the terms, alone in the pool. `interval_began_at` as for `simulate`;
    `interval_ends` rise, up to the first after the last month.

    Withdrawals that take everything end it there. Raises `StepImpossible` for any other step that cannot be
    carried out.
    """

    def play(steps: Sequence[Step]) -> list[Outcome]:
        return simulate(
            terms,
            steps,
            digits=digits,
            lock_in_ends_at=lock_in_ends_at,
            interval_began_at=interval_began_at,
            interval_ends_at=next((end for end in interval_ends if end > steps[-1].at), None),
        )

    steps = scenario.steps(starts_at, month_ends, interval_ends)
    closed_early = False
    try:
        outcomes = play(steps)
    except StepImpossible as impossible:
        if impossible.code != "already_closed":
            raise
        closed_early = True
        steps = steps[: impossible.index]
        outcomes = play(steps)
    last = outcomes[-1]
    return Course(
        months=tuple(_months(scenario, steps, outcomes, month_ends)),
        paid_in=exact_sum(step.deposit or ZERO for step in steps),
        paid_out=exact_sum(outcome.paid_out for outcome in outcomes),
        left=last.net_value,
        fees=_by_kind([*(outcome.fees for outcome in outcomes), last.accrued]),
        parts=_all_parts([outcome.parts for outcome in outcomes]),
        value_days=sum(
            (
                Fraction(before.value) * Fraction((after.at - before.at) // _MICROSECOND, _DAY)
                for before, after in pairwise(outcomes)
            ),
            Fraction(0),
        ),
        closed_early=closed_early,
    )


def _months(
    scenario: Scenario, steps: Sequence[Step], outcomes: Sequence[Outcome], month_ends: Sequence[datetime]
) -> Iterable[Month]:
    charged_so_far = put_in_so_far = ZERO
    first = 0
    for number, ends_at in enumerate([steps[0].at, *month_ends]):
        last = first
        while last < len(steps) and steps[last].at <= ends_at:
            last += 1
        if first == last:
            return
        these = outcomes[first:last]
        fees = _by_kind([outcome.fees for outcome in these])
        charged_so_far = exact_sum((charged_so_far, *fees.values()))
        paid_in = exact_sum(step.deposit or ZERO for step in steps[first:last])
        paid_out = exact_sum(outcome.paid_out for outcome in these)
        end = these[-1]
        put_in_so_far = exact_sum((put_in_so_far, paid_in, ZERO if end.is_closed else -paid_out))
        yield Month(
            number=number,
            month_return=scenario.returns[number - 1] if number else None,
            paid_in=paid_in,
            paid_out=paid_out,
            fees=fees,
            charged=tuple(outcome for outcome in these if outcome.explanation),
            end=end,
            fees_so_far=exact_sum((charged_so_far, *end.accrued.values())),
            put_in_so_far=put_in_so_far,
        )
        first = last


def _by_kind(amounts: Iterable[Mapping[FeeKind, Decimal]]) -> dict[FeeKind, Decimal]:
    """Sums by kind, in the order in which kinds are charged."""
    found = list(amounts)
    return {
        kind: exact_sum(of_step.get(kind, ZERO) for of_step in found)
        for kind in FeeKind
        if any(kind in of_step for of_step in found)
    }


def _all_parts(parts: Sequence[Parts]) -> Parts:
    return Parts(
        broker=exact_sum(part.broker for part in parts),
        agents=tuple(exact_sum(level) for level in zip(*(part.agents for part in parts), strict=True)),
        manager=exact_sum(part.manager for part in parts),
    )
