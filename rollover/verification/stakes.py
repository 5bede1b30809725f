"""One investment and one trading interval as their history makes them, rollover after rollover.

Whatever stands in a column of the investment that changes is kept here a second time: units, mark, fractions,
debts, what accrued, who has had which share of its fees.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from fractions import Fraction

from allocation.calc.accumulators import accrued, time_passed, unpaid_part
from allocation.calc.price import Price, time_weighted_return
from allocation.calc.units import value as value_of_units
from allocation.models import Investment
from fees.calc.crystallisation import FeeState, Situation
from fees.calc.intervals import TradingInterval, advance, begins_at, ends_at
from fees.calc.kinds import FeeKind
from fees.calc.performance import behind_by_balance, net_worth_basis
from fees.calc.schedule import Basis
from fees.calc.shares import Shared
from fees.calc.terms import NO_FEES, FeeTerms
from money.exact import ZERO, exact_sum
from money.rounding import rounded_accumulator
from offers.models import Terms
from offers.queries import fee_terms_of
from rollover.verification.differences import Findings
from rollover.verification.records import Point, TermsChange

NO_STATE = FeeState()


@dataclass
class RunningInterval:
    """A trading interval as the terms and the price points make it.

    `opening` is the rollover it began at; `starts_at` is earlier for the first one of a calendar, which began
    before anybody was in it.
    """

    terms: Terms
    rule: TradingInterval
    anchor_at: datetime
    opening: Point
    starts_at: datetime
    ends_at: datetime | None
    ends_after_sequence: int | None
    number: int = 1

    @classmethod
    def begin(cls, terms: Terms, point: Point, zone: tzinfo) -> "RunningInterval":
        rule = TradingInterval(terms.interval_unit, terms.interval_count, terms.interval_anchor)  # type: ignore[arg-type]
        counted = point.flow_sequence + rule.count if rule.unit == "rollovers" else None
        at = point.priced_at
        return cls(terms, rule, at, point, begins_at(rule, at, zone), ends_at(rule, at, zone), counted)

    def is_over(self, point: Point) -> bool:
        if self.ends_at is not None:
            return self.ends_at <= point.priced_at
        return self.ends_after_sequence is not None and self.ends_after_sequence <= point.flow_sequence

    def begin_next(self, point: Point, zone: tzinfo) -> None:
        self.number += 1
        self.opening, self.starts_at = point, point.priced_at
        if self.rule.unit == "rollovers":
            self.ends_after_sequence = point.flow_sequence + self.rule.count
        else:
            self.ends_at = advance(self.rule, self.anchor_at, point.priced_at, zone)[1]

    def passed(self, point: Point) -> Fraction:
        """How much of it has passed at `point`, from 0 to 1."""
        if self.ends_at is not None:
            return time_passed(self.starts_at, point.priced_at, self.ends_at)
        rollovers = point.flow_sequence - self.opening.flow_sequence
        return min(max(Fraction(rollovers, self.rule.count), Fraction(0)), Fraction(1))


@dataclass
class Accrual:
    """What has accrued of one of the account's running sums: `put_aside` until it stood at `checkpoint`."""

    put_aside: Decimal = ZERO
    checkpoint: Decimal = ZERO

    def at(self, units: Decimal, total: Decimal) -> Fraction:
        return accrued(self.put_aside, units, total, self.checkpoint)

    def keep(self, units: Decimal, total: Decimal) -> None:
        """Put aside what `units` have accrued: from here on there are more or fewer of them."""
        self.put_aside, self.checkpoint = rounded_accumulator(self.at(units, total)), total

    def restart(self, total: Decimal) -> None:
        self.put_aside, self.checkpoint = ZERO, total


@dataclass
class Stake:
    """One investment as its history makes it. `lowest`: fewest units since its interval began.

    `fees` are its terms as the calculation takes them; own capital is free of fees.
    `subscription_checkpoint`: the part of interval `subscription_number` that is paid for or was missed.
    """

    row: Investment
    terms: Terms | None
    fees: FeeTerms
    units: Decimal = ZERO
    state: FeeState = NO_STATE
    value_days: Accrual = field(default_factory=Accrual)
    lots: Accrual = field(default_factory=Accrual)
    subscription_checkpoint: Decimal = ZERO
    subscription_number: int = 0
    shared: dict[FeeKind, Shared] = field(default_factory=dict)
    paid_in: Decimal = ZERO
    paid_out: Decimal = ZERO
    fees_paid: Decimal = ZERO
    lowest: Decimal = ZERO
    interval: RunningInterval | None = None
    joined: Point | None = None
    closed: Point | None = None
    end_reason: str = ""
    changes: dict[int, Terms] = field(default_factory=dict)
    """Newer terms by the rollover at which they take effect."""

    @property
    def is_active(self) -> bool:
        return self.joined is not None and self.closed is None

    def come_under(self, terms: Terms) -> None:
        """Go on under `terms`; where they share fees differently the running sums of the shares end."""
        fees = _fees_of(self.row, terms)
        if self.terms is None or fees.shares != self.fees.shares:
            self.shared = {}
        self.terms, self.fees = terms, fees

    def move_units(self, change: Decimal, point: Point) -> None:
        """Hold more or fewer units from `point` on."""
        if self.terms is not None:
            self.value_days.keep(self.units, point.value_days)
            self.lots.keep(self.units, point.lots_per_unit)
        self.units = exact_sum((self.units, change))
        if change < 0:
            self.lowest = min(self.lowest, self.units)

    def join(self, point: Point, interval: RunningInterval | None) -> None:
        """Hold the first units since `point`; of an interval under way the subscription is for the rest."""
        self.joined, self.lowest, self.interval = point, self.units, interval
        self._restart_subscription(point)

    def restart_accruals(self, point: Point) -> None:
        """What accrues begins again: all of it has been charged."""
        self.value_days.restart(point.value_days)
        self.lots.restart(point.lots_per_unit)
        self._restart_subscription(point)

    def end(self, point: Point, reason: str) -> None:
        """Closed or cancelled: mark, fractions, debts and accruals end, the sums of the past stay."""
        self.closed, self.end_reason = point, reason
        self.state, self.value_days, self.lots = NO_STATE, Accrual(), Accrual()
        self.subscription_checkpoint, self.subscription_number = ZERO, 0

    def _restart_subscription(self, point: Point) -> None:
        if self.interval is not None:
            self.subscription_checkpoint = rounded_accumulator(self.interval.passed(point))
            self.subscription_number = self.interval.number

    def situation(self, point: Point, *, leaves_later: bool = False) -> Situation:
        """What its fees are computed from at the price of `point`, as it stands now.

        `leaves_later`: after the rollover, so within the interval that may have begun at it.
        """
        fees, price, digits = self.fees, Price(point.price_equity, point.price_units), point.currency_digits
        value = value_of_units(self.units, price, digits)
        if self.terms is None or self.row.is_own_capital:
            return Situation(value, digits, point.sequence)
        share, per_equity = None, Fraction(1)
        if fees.lower_profit:
            share, per_equity = behind_by_balance(
                units=self.units,
                pool_balance=exact_sum((point.server_balance, -point.owed, point.incoming)),
                pool_units=point.units,
                pool_equity=point.equity,
                digits=digits,
            )
        nothing, basis = Fraction(0), fees.schedule.basis
        return Situation(
            value=value,
            digits=digits,
            rollover=point.sequence,
            yield_=self._yield(price) if basis is Basis.YIELD else ZERO,
            net_worth=net_worth_basis(price, min(self.lowest, self.units), digits)
            if basis is Basis.NET_WORTH
            else ZERO,
            value_days=self.value_days.at(self.units, point.value_days) if fees.management_rate else nothing,
            lots=self.lots.at(self.units, point.lots_per_unit) if fees.volume_amount_per_lot else nothing,
            interval_part=self._unpaid_part(point) if fees.subscription_amount else nothing,
            early_exit_rate=self._early_exit_rate(point, leaves_later=leaves_later),
            balance_share=share,
            balance_per_equity=per_equity,
        )

    def _yield(self, price: Price) -> Decimal:
        """Time-weighted return since the interval, or the investment, began."""
        start = self.joined
        if start is None:
            return ZERO
        if self.interval is not None and self.interval.opening.sequence > start.sequence:
            start = self.interval.opening
        began = Price(start.price_equity, start.price_units)
        return ZERO if began.is_zero else time_weighted_return(began, price)

    def _unpaid_part(self, point: Point) -> Fraction:
        if self.interval is None:
            return Fraction(0)
        is_present = self.subscription_number == self.interval.number
        return unpaid_part(self.interval.passed(point), self.subscription_checkpoint if is_present else ZERO)

    def _early_exit_rate(self, point: Point, *, leaves_later: bool) -> Decimal:
        terms, joined = self.terms, self.joined
        if self.fees.early_exit_until_interval_end and self.interval is not None:
            # Whoever leaves where his interval ends is in the next one already.
            ended_here = self.interval.opening.sequence == point.sequence and not leaves_later
            return ZERO if ended_here else self.fees.early_exit_rate
        if terms is None or joined is None or not terms.lock_in_days:
            return ZERO
        locked = point.priced_at < joined.priced_at + timedelta(days=terms.lock_in_days)
        return self.fees.early_exit_rate if locked else ZERO


def stakes_of(
    investments: Iterable[Investment], changes: Iterable[TermsChange], terms: list[Terms], findings: Findings
) -> dict[int, Stake]:
    """By primary key, each under the terms it joined under."""
    by_key = {version.pk: version for version in terms}
    by_public_id = {str(version.public_id): version for version in terms}
    stakes: dict[uuid.UUID, Stake] = {}
    for row in investments:
        held = None if row.terms_id is None else by_key[row.terms_id]
        stakes[row.public_id] = Stake(row, held, _fees_of(row, held))
    for change in changes:
        stake, number = stakes[change.investment], change.sequence
        before, after = by_public_id.get(change.replaces or ""), by_public_id.get(change.terms or "")
        if before is None or after is None or number is None:
            findings.add("Event", change.event, "terms and rollover", "known ones", change.terms)
            continue
        if not stake.changes:
            stake.come_under(before)
        stake.changes[number] = after
    return {stake.row.pk: stake for stake in stakes.values()}


def _fees_of(row: Investment, terms: Terms | None) -> FeeTerms:
    return NO_FEES if terms is None or row.is_own_capital else fee_terms_of(terms)


def is_on_calendar(terms: Terms) -> bool:
    """Whether all investments under these terms end their intervals together."""
    return terms.interval_anchor == Terms.IntervalAnchor.CALENDAR and terms.interval_unit != "rollovers"
