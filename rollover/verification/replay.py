"""Investments lived through again: units, marks, carried fractions and charges, from entries and terms alone.

Given are only what people asked for (the amounts of deposits and withdrawals, which investment closed), the
prices and the terms. Everything else is recomputed, and what the rows say is compared with it, never used:
a changed row is named where it stands and does not lead the rest astray.
"""

import uuid
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import TypeVar

from accounts.models import PammAccount
from allocation.calc.price import Price, time_weighted_return
from allocation.calc.units import (
    PriceIsZero,
    rounding_exchange,
    units_for_deposit,
    units_for_redemption,
)
from allocation.calc.units import value as value_of_units
from allocation.models import Investment, UnitEntry
from fees.calc import performance
from fees.calc.intervals import TradingInterval, advance, ends_at
from fees.calc.performance import Standing, Withdrawal, after_deposit
from fees.calc.schedule import FREE_OF_FEES, Basis, Schedule, rate_for
from fees.models import Charge
from money.exact import ZERO, exact_difference, exact_sum
from offers.models import Terms
from rollover.verification.differences import Findings
from rollover.verification.records import ChargeRow, EntryRow, Point, TermsChange

Kind = UnitEntry.Kind
PAYOUTS = (Kind.WITHDRAWAL, Kind.CLOSE)
FEES = {Charge.Kind.PERFORMANCE: Kind.PERFORMANCE_FEE, Charge.Kind.EARLY_EXIT: Kind.EARLY_EXIT_FEE}
EMPTY = Standing(ZERO)
R = TypeVar("R")


@dataclass
class RunningInterval:
    """A trading interval as the terms and the price points make it."""

    terms: Terms
    rule: TradingInterval
    anchor_at: datetime
    opening: Point
    ends_at: datetime | None
    ends_after_sequence: int | None
    number: int = 1

    @classmethod
    def begin(cls, terms: Terms, point: Point, zone: tzinfo) -> "RunningInterval":
        rule = TradingInterval(terms.interval_unit, terms.interval_count, terms.interval_anchor)  # type: ignore[arg-type]
        counted = point.flow_sequence + rule.count if rule.unit == "rollovers" else None
        return cls(terms, rule, point.priced_at, point, ends_at(rule, point.priced_at, zone), counted)

    def is_over(self, point: Point) -> bool:
        if self.ends_at is not None:
            return self.ends_at <= point.priced_at
        return self.ends_after_sequence is not None and self.ends_after_sequence <= point.flow_sequence

    def begin_next(self, point: Point, zone: tzinfo) -> None:
        self.number += 1
        self.opening = point
        if self.rule.unit == "rollovers":
            self.ends_after_sequence = point.flow_sequence + self.rule.count
        else:
            self.ends_at = advance(self.rule, self.anchor_at, point.priced_at, zone)[1]


@dataclass
class Stake:
    """One investment as its history makes it. `lowest`: fewest units since its interval began."""

    row: Investment
    terms: Terms | None
    schedule: Schedule
    units: Decimal = ZERO
    standing: Standing = EMPTY
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
        self.terms, self.schedule = terms, schedule_of(self.row, terms)

    def hold(self, units: Decimal) -> None:
        self.units = units
        self.lowest = min(self.lowest, units)


@dataclass(frozen=True, slots=True)
class FeeInputs:
    """What the fees of one investment are computed from at one price."""

    value: Decimal
    yield_: Decimal
    net_worth: Decimal
    early_exit_rate: Decimal


@dataclass(frozen=True, slots=True)
class Executed:
    """What a request's unit entry did: `fee` is all that was charged with it."""

    entry: EntryRow
    point: Point
    amount: Decimal
    fee: Decimal


@dataclass
class Flows:
    """What one rollover must have moved: positive amounts, payments by the account they concern."""

    deposits: list[tuple[uuid.UUID, Decimal]] = field(default_factory=list)
    payouts: list[tuple[uuid.UUID, Decimal]] = field(default_factory=list)
    fees: Decimal = ZERO
    fee_receiver: uuid.UUID | None = None
    rounding: Decimal = ZERO
    units: Decimal = ZERO

    @property
    def net(self) -> Decimal:
        """By how much they change the pool's equity."""
        paid = exact_sum(amount for _, amount in self.payouts)
        return exact_sum((*(amount for _, amount in self.deposits), -paid, -self.fees, self.rounding))


class Replay:
    """All investments of one account; `at` takes them through one rollover after the other."""

    def __init__(
        self,
        account: PammAccount,
        investments: Iterable[Investment],
        changes: Iterable[TermsChange],
        terms: Iterable[Terms],
        zone: tzinfo,
        findings: Findings,
    ) -> None:
        self.account, self.zone, self.findings = account, zone, findings
        self.digits = account.currency_digits
        self.stakes = _stakes(investments, changes, list(terms), findings)
        self.intervals: list[RunningInterval] = []
        self.rounding_carried = ZERO
        self.executed: dict[uuid.UUID, Executed] = {}

    def at(self, point: Point, entries: list[EntryRow], charges: list[ChargeRow]) -> Flows:
        """Everything of one rollover, in the order of the rules: interval ends, leaving, joining."""
        if not entries and not charges and not self._ends(point):
            return Flows()
        return _AtPrice(self, point, entries, charges).run()

    def _ends(self, point: Point) -> bool:
        return point.moves_money and any(interval.is_over(point) for interval in self.intervals)


class _AtPrice:
    """One rollover of the replay: expects its entries and charges, and reports those that differ."""

    def __init__(
        self, replay: Replay, point: Point, entries: list[EntryRow], charges: list[ChargeRow]
    ) -> None:
        self.replay, self.point, self.findings = replay, point, replay.findings
        self.digits = replay.digits
        self.price = Price(point.price_equity, point.price_units)
        self.flows = Flows()
        self.ends: list[EntryRow] = []
        self.fee_entries: dict[tuple[int, str, uuid.UUID | None], deque[EntryRow]] = defaultdict(deque)
        self.charges: dict[tuple[int, str, str], deque[ChargeRow]] = defaultdict(deque)
        self.fee_of_request: defaultdict[uuid.UUID, Decimal] = defaultdict(Decimal)
        for entry in entries:
            if entry.kind in FEES.values():
                self.fee_entries[entry.investment_id, entry.kind, entry.source].append(entry)
            else:
                self.ends.append(entry)
        for charge in charges:
            self.charges[charge.investment_id, charge.kind, charge.occasion].append(charge)

    def run(self) -> Flows:
        if self.point.moves_money:
            self._end_intervals()
        for entry in self.ends:
            stake = self.replay.stakes.get(entry.investment_id)
            if stake is None:
                self.findings.add("UnitEntry", entry.public_id, "investment", "one here", None, self.point)
                continue
            try:
                self._carry_out(stake, entry)
            except (ValueError, PriceIsZero) as impossible:
                self.findings.add("UnitEntry", entry.public_id, entry.kind, "allowed", impossible, self.point)
        self._report_left_over()
        return self.flows

    def _end_intervals(self) -> None:
        over = [interval for interval in self.replay.intervals if interval.is_over(self.point)]
        if not over:
            return
        ended = [
            stake
            for stake in self.replay.stakes.values()
            if stake.is_active and any(stake.interval is interval for interval in over)
        ]
        for stake in ended:
            self._crystallise(stake)
        for interval in over:
            interval.begin_next(self.point, self.replay.zone)
        begun: dict[int, RunningInterval] = {}
        for stake in ended:
            stake.lowest = stake.units
            newer = stake.changes.pop(self.point.sequence, None)
            if newer is not None:
                stake.come_under(newer)
                if newer.pk not in begun:
                    begun[newer.pk] = self._interval_begun(newer, over)
                stake.interval = begun[newer.pk]

    def _interval_begun(self, terms: Terms, over: list[RunningInterval]) -> RunningInterval:
        """One that begins at this rollover: the calendar's, if it turned just now, else a new one."""
        shared = (interval for interval in over if interval.terms.pk == terms.pk and is_on_calendar(terms))
        return next(shared, None) or self._begin_interval(terms)

    def _begin_interval(self, terms: Terms) -> RunningInterval:
        interval = RunningInterval.begin(terms, self.point, self.replay.zone)
        self.replay.intervals.append(interval)
        return interval

    def _carry_out(self, stake: Stake, entry: EntryRow) -> None:
        if entry.kind == Kind.WIPE_OUT:
            self._wipe_out(stake, entry)
        elif not self.point.moves_money:
            self.findings.add("UnitEntry", entry.public_id, "a flow", "none", entry.kind, self.point)
        elif entry.kind == Kind.DEPOSIT:
            self._join(stake, entry)
        elif entry.kind == Kind.WITHDRAWAL:
            self._take_part(stake, entry)
        elif entry.kind == Kind.CLOSE:
            self._close(stake, entry)
        else:
            self.findings.add("UnitEntry", entry.public_id, "kind", "a known one", entry.kind, self.point)

    # fees

    def _crystallise(self, stake: Stake) -> None:
        inputs, before = self._inputs(stake), stake.standing
        fee = performance.performance_fee(
            value=inputs.value,
            standing=before,
            schedule=stake.schedule,
            yield_=inputs.yield_,
            net_worth=inputs.net_worth,
            digits=self.digits,
            profit_value=self._lower_value(stake, inputs.value),
        )
        if fee.profit <= 0:
            return
        stake.standing = fee.standing_next
        self._expect_charge(
            stake, inputs, Charge.Kind.PERFORMANCE, Charge.Occasion.INTERVAL_END, None, fee.amount,
            profit=fee.profit, before=before, after=fee.standing_next, rate=fee.rate, unrounded=fee.unrounded,
        )  # fmt: skip

    def _take_part(self, stake: Stake, entry: EntryRow) -> None:
        inputs, standing = self._inputs(stake), stake.standing
        plan = self._plan(stake, inputs, -entry.amount)
        if plan.fee or plan.unrounded:
            self._expect_charge(
                stake, inputs, Charge.Kind.PERFORMANCE, Charge.Occasion.WITHDRAWAL, entry.source, plan.fee,
                profit=exact_difference(inputs.value, standing.high_water_mark),
                before=standing, after=plan.standing_next, rate=plan.rate, unrounded=plan.unrounded,
            )  # fmt: skip
            standing = plan.standing_next
        self._expect_exit(stake, inputs, Charge.Occasion.WITHDRAWAL, entry.source, plan.exit_fee, standing)
        stake.standing = plan.standing_next
        redeemed = units_for_redemption(plan.net, self.price, stake.units)
        self._expect_entry(stake, entry, -redeemed, -plan.net)
        self._paid_out(stake, plan.net, entry)

    def _close(self, stake: Stake, entry: EntryRow) -> None:
        inputs, standing, held = self._inputs(stake), stake.standing, stake.units
        closing = performance.closing(
            value=inputs.value,
            standing=standing,
            schedule=stake.schedule,
            yield_=inputs.yield_,
            net_worth=inputs.net_worth,
            digits=self.digits,
            early_exit_rate=inputs.early_exit_rate,
        )
        if closing.fee:
            self._expect_charge(
                stake, inputs, Charge.Kind.PERFORMANCE, Charge.Occasion.CLOSE, entry.source, closing.fee,
                profit=closing.profit, before=standing, after=EMPTY,
                rate=closing.rate, unrounded=closing.unrounded,
            )  # fmt: skip
            standing = EMPTY
        self._expect_exit(stake, inputs, Charge.Occasion.CLOSE, entry.source, closing.exit_fee, standing)
        self._expect_entry(stake, entry, -stake.units, -closing.paid)
        self._paid_out(stake, closing.paid, entry)
        stake.standing = EMPTY
        stake.closed, stake.end_reason = self.point, Investment.EndReason.OWNER
        exchange = rounding_exchange(
            carried=self.replay.rounding_carried,
            paid=inputs.value,
            units=held,
            price=self.price,
            digits=self.digits,
        )
        self.replay.rounding_carried = exchange.carried
        self.flows.rounding = exact_sum((self.flows.rounding, exchange.amount))

    def _inputs(self, stake: Stake) -> FeeInputs:
        return FeeInputs(
            value=value_of_units(stake.units, self.price, self.digits),
            yield_=self._yield(stake),
            net_worth=performance.net_worth_basis(
                self.price, stake.units if stake.interval is None else stake.lowest, self.digits
            ),
            early_exit_rate=self._early_exit_rate(stake),
        )

    def _yield(self, stake: Stake) -> Decimal:
        start = stake.joined
        if start is None:
            return ZERO
        if stake.interval is not None and stake.interval.opening.sequence > start.sequence:
            start = stake.interval.opening
        price = Price(start.price_equity, start.price_units)
        return ZERO if price.is_zero else time_weighted_return(price, self.price)

    def _early_exit_rate(self, stake: Stake) -> Decimal:
        terms, joined = stake.terms, stake.joined
        if terms is None or joined is None or not terms.lock_in_days:
            return ZERO
        locked = self.point.priced_at < joined.priced_at + timedelta(days=terms.lock_in_days)
        return terms.early_exit_rate if locked else ZERO

    def _lower_value(self, stake: Stake, value: Decimal) -> Decimal | None:
        if stake.terms is None or stake.terms.profit_basis != Terms.ProfitBasis.LOWER:
            return None
        point = self.point
        return performance.lower_profit_value(
            value=value,
            units=stake.units,
            pool_balance=exact_sum((point.server_balance, -point.owed, point.incoming)),
            pool_units=point.units,
            digits=self.digits,
        )

    def _plan(self, stake: Stake, inputs: FeeInputs, net_amount: Decimal) -> Withdrawal:
        whole = stake.terms is not None and stake.terms.on_withdrawal == Terms.OnWithdrawal.WHOLE
        if whole and stake.schedule.basis is Basis.FLAT:
            return performance.withdrawal_after_crystallising_all(
                net_amount=net_amount,
                value=inputs.value,
                standing=stake.standing,
                schedule=stake.schedule,
                digits=self.digits,
                early_exit_rate=inputs.early_exit_rate,
            )
        return performance.withdrawal(
            net_amount=net_amount,
            value=inputs.value,
            standing=stake.standing,
            schedule=stake.schedule,
            yield_=inputs.yield_,
            net_worth=inputs.net_worth,
            digits=self.digits,
            early_exit_rate=inputs.early_exit_rate,
        )

    # units

    def _join(self, stake: Stake, entry: EntryRow) -> None:
        first = stake.joined is None
        self._expect_entry(stake, entry, units_for_deposit(entry.amount, self.price), entry.amount)
        stake.standing = after_deposit(stake.standing, entry.amount)
        stake.paid_in = exact_sum((stake.paid_in, entry.amount))
        if first:
            stake.joined, stake.lowest = self.point, stake.units
            stake.interval = self._interval_of(stake.terms)
        self.flows.deposits.append((stake.row.personal_account.public_id, entry.amount))
        self._executed(entry, entry.amount)

    def _interval_of(self, terms: Terms | None) -> RunningInterval | None:
        """The one that all investments with these terms and this start share."""
        if terms is None:
            return None
        for interval in self.replay.intervals:
            starts_here = is_on_calendar(terms) or interval.anchor_at == self.point.priced_at
            if interval.terms.pk == terms.pk and starts_here:
                return interval
        return self._begin_interval(terms)

    def _wipe_out(self, stake: Stake, entry: EntryRow) -> None:
        self._expect_entry(stake, entry, -stake.units, ZERO)
        stake.standing = EMPTY
        stake.closed, stake.end_reason = self.point, Investment.EndReason.WIPED_OUT
        self.replay.rounding_carried = ZERO

    def _paid_out(self, stake: Stake, amount: Decimal, entry: EntryRow) -> None:
        stake.paid_out = exact_sum((stake.paid_out, amount))
        if amount:
            self.flows.payouts.append((stake.row.personal_account.public_id, amount))
        self._executed(entry, amount)

    def _executed(self, entry: EntryRow, amount: Decimal) -> None:
        if entry.source is None:
            self.findings.add("UnitEntry", entry.public_id, "source", "a request", None, self.point)
            return
        fee = self.fee_of_request.pop(entry.source, ZERO)
        if entry.source in self.replay.executed:
            self.findings.add("UnitEntry", entry.public_id, "source", "one entry", entry.source, self.point)
        self.replay.executed[entry.source] = Executed(entry, self.point, amount, fee)

    # comparing

    def _expect_entry(self, stake: Stake, entry: EntryRow, units: Decimal, amount: Decimal) -> None:
        self.findings.compare(
            "UnitEntry",
            entry.public_id,
            (
                ("units", units, entry.units),
                ("amount", amount, entry.amount),
                ("currency_digits", self.digits, entry.currency_digits),
            ),
            self.point,
        )
        self._move_units(stake, units)

    def _move_units(self, stake: Stake, units: Decimal) -> None:
        self.flows.units = exact_sum((self.flows.units, units))
        after = exact_sum((stake.units, units))
        if units < 0:
            stake.hold(after)
        else:
            stake.units = after

    def _expect_exit(
        self,
        stake: Stake,
        inputs: FeeInputs,
        occasion: Charge.Occasion,
        source: uuid.UUID | None,
        amount: Decimal,
        standing: Standing,
    ) -> None:
        if amount:
            self._expect_charge(
                stake, inputs, Charge.Kind.EARLY_EXIT, occasion, source, amount,
                profit=ZERO, before=standing, after=standing,
                rate=Fraction(inputs.early_exit_rate), unrounded=Fraction(amount),
            )  # fmt: skip

    def _expect_charge(
        self,
        stake: Stake,
        inputs: FeeInputs,
        kind: Charge.Kind,
        occasion: Charge.Occasion,
        source: uuid.UUID | None,
        amount: Decimal,
        *,
        profit: Decimal,
        before: Standing,
        after: Standing,
        rate: Fraction,
        unrounded: Fraction,
    ) -> None:
        investment = stake.row
        found = _first(self.charges[investment.pk, kind, occasion])
        if found is None:
            self.findings.add(
                "Charge",
                f"of investment {investment.public_id}",
                f"{kind}, {occasion}",
                amount,
                None,
                self.point,
            )
        else:
            self.findings.compare(
                "Charge",
                found.public_id,
                (
                    ("amount", amount, found.amount),
                    ("currency", self.replay.account.currency, found.currency),
                    ("profit", profit, found.profit),
                    ("mark_before", before.high_water_mark, found.mark_before),
                    ("mark_after", after.high_water_mark, found.mark_after),
                    ("carried_before", before.carried, found.carried_before),
                    ("carried_after", after.carried, found.carried_after),
                    ("charged_at", self.point.priced_at, found.charged_at),
                    ("basis value", Fraction(inputs.value), _number(found, "value")),
                    ("basis yield", Fraction(inputs.yield_), _number(found, "yield")),
                    ("basis net worth", Fraction(inputs.net_worth), _number(found, "net_worth")),
                    ("basis rate", rate, _number(found, "rate")),
                    ("basis unrounded", unrounded, _number(found, "unrounded")),
                    ("basis price_equity", Fraction(self.point.price_equity), _number(found, "price_equity")),
                    ("basis price_units", Fraction(self.point.price_units), _number(found, "price_units")),
                    ("basis schedule", stake.schedule.to_json(), found.basis.get("schedule")),
                ),
                self.point,
            )
            _compare_with_own_basis(found, self.findings, self.point)
            self.flows.fee_receiver = found.receiver
        if amount:
            self._expect_fee_entry(stake, kind, source, amount)
        if source is not None:
            self.fee_of_request[source] = exact_sum((self.fee_of_request[source], amount))
        self.flows.fees = exact_sum((self.flows.fees, amount))
        stake.fees_paid = exact_sum((stake.fees_paid, amount))

    def _expect_fee_entry(
        self, stake: Stake, kind: Charge.Kind, source: uuid.UUID | None, amount: Decimal
    ) -> None:
        redeemed = units_for_redemption(amount, self.price, stake.units)
        entry = _first(self.fee_entries[stake.row.pk, FEES[kind], source])
        if entry is not None:
            self._expect_entry(stake, entry, -redeemed, -amount)
            return
        self.findings.add(
            "UnitEntry", f"of investment {stake.row.public_id}", FEES[kind], -amount, None, self.point
        )
        self._move_units(stake, -redeemed)

    def _report_left_over(self) -> None:
        for entries in self.fee_entries.values():
            for entry in entries:
                self.findings.add("UnitEntry", entry.public_id, entry.kind, None, entry.amount, self.point)
        for charges in self.charges.values():
            for charge in charges:
                what = f"{charge.kind}, {charge.occasion}"
                self.findings.add("Charge", charge.public_id, what, None, charge.amount, self.point)


def _stakes(
    investments: Iterable[Investment], changes: Iterable[TermsChange], terms: list[Terms], findings: Findings
) -> dict[int, Stake]:
    """By primary key, each under the terms it joined under."""
    by_key = {version.pk: version for version in terms}
    by_public_id = {str(version.public_id): version for version in terms}
    stakes: dict[uuid.UUID, Stake] = {}
    for row in investments:
        held = None if row.terms_id is None else by_key[row.terms_id]
        stakes[row.public_id] = Stake(row, held, schedule_of(row, held))
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


def schedule_of(row: Investment, terms: Terms | None) -> Schedule:
    """The schedule of these terms; own capital is free of fees."""
    if terms is None or row.is_own_capital:
        return FREE_OF_FEES
    return Schedule.from_json(terms.performance_schedule)


def is_on_calendar(terms: Terms) -> bool:
    """Whether all investments under these terms end their intervals together."""
    return terms.interval_anchor == Terms.IntervalAnchor.CALENDAR and terms.interval_unit != "rollovers"


def _first(rows: deque[R]) -> R | None:
    return rows.popleft() if rows else None


def _number(charge: ChargeRow, name: str) -> Fraction | None:
    """A figure of the charge's basis, written as a decimal or a ratio; None where it is neither."""
    try:
        return Fraction(str(charge.basis.get(name)))
    except (ValueError, ZeroDivisionError):
        return None


def _compare_with_own_basis(charge: ChargeRow, findings: Findings, point: Point) -> None:
    """What the charge's own record says of it must lead to its amount, whatever anything else says."""
    unrounded, rate = _number(charge, "unrounded"), _number(charge, "rate")
    if charge.kind == Charge.Kind.EARLY_EXIT:
        figures: list[tuple[str, object, object]] = [
            ("amount by its basis", unrounded, Fraction(charge.amount))
        ]
    else:
        figures = [
            ("rate by its schedule", _rate_of(charge), rate),
            (
                "unrounded by its basis",
                None
                if rate is None
                else rate * max(Fraction(charge.profit), Fraction(0)) + Fraction(charge.carried_before),
                unrounded,
            ),
        ]
    findings.compare("Charge", charge.public_id, figures, point)


def _rate_of(charge: ChargeRow) -> Fraction | None:
    try:
        schedule = Schedule.from_json(charge.basis["schedule"])
        name = "net_worth" if schedule.basis is Basis.NET_WORTH else "yield"
        return rate_for(schedule, Decimal(str(charge.basis[name])))
    except (KeyError, TypeError, ValueError, InvalidOperation):
        return None
