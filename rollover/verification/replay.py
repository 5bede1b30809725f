"""Investments lived through again: units, marks, fractions, debts and charges, from entries and terms alone.

Given are only what people asked for (the amounts of deposits and withdrawals, which investment closed), the
prices and the terms. Everything else is recomputed, and what the rows say is compared with it, never used:
a changed row is named where it stands and does not lead the rest astray.
"""

import uuid
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from zoneinfo import ZoneInfo

from accounts.models import PammAccount
from allocation.calc.price import Price
from allocation.calc.units import PriceIsZero, rounding_exchange, units_for_deposit, units_for_redemption
from allocation.models import Investment, UnitEntry
from brokers.models import Broker
from brokers.queries import broker_in_scope
from fees.calc import crystallisation
from fees.calc.crystallisation import FeeLine
from fees.calc.kinds import FeeKind
from fees.models import Charge
from investing.models import Request
from ledger.models import LedgerAccount
from money.exact import ZERO, exact_sum
from offers.models import Terms
from rollover.verification.charges import ExpectedCharges
from rollover.verification.differences import Findings
from rollover.verification.records import (
    Asked,
    ChargeRow,
    EntryRow,
    PartRow,
    Point,
    asked_of,
    terms_changes_of,
)
from rollover.verification.stakes import RunningInterval, Stake, is_on_calendar, stakes_of

Kind = UnitEntry.Kind
Occasion = Charge.Occasion
FEES = {
    FeeKind.MANAGEMENT: Kind.MANAGEMENT_FEE,
    FeeKind.SUBSCRIPTION: Kind.SUBSCRIPTION_FEE,
    FeeKind.VOLUME: Kind.VOLUME_FEE,
    FeeKind.PERFORMANCE: Kind.PERFORMANCE_FEE,
    FeeKind.EARLY_EXIT: Kind.EARLY_EXIT_FEE,
}
"""An entry fee has no unit entry: it is taken of the deposit before units are issued."""


@dataclass(frozen=True, slots=True)
class Executed:
    """What a request's unit entry did: `amount` as asked for, `fee` all that was charged with it."""

    entry: EntryRow
    point: Point
    amount: Decimal
    fee: Decimal


@dataclass
class Flows:
    """What one rollover must have moved: positive amounts, payments by the account or party they concern,
    deposits by the kind of claim and the account that they came from.
    """

    deposits: list[tuple[LedgerAccount.Kind, uuid.UUID, Decimal]] = field(default_factory=list)
    payouts: list[tuple[uuid.UUID, Decimal]] = field(default_factory=list)
    fees: Mapping[uuid.UUID, Decimal] = field(default_factory=dict)
    rounding: Decimal = ZERO
    units: Decimal = ZERO

    @property
    def net(self) -> Decimal:
        """By how much they change the pool's equity."""
        entered = exact_sum(amount for _, _, amount in self.deposits)
        left = exact_sum((*(amount for _, amount in self.payouts), *self.fees.values()))
        return exact_sum((entered, -left, self.rounding))


class Replay:
    """All investments of one account; `at` takes them through one rollover after the other.

    `asked`: what deposits and closes asked for, by request.
    """

    def __init__(
        self,
        account: PammAccount,
        broker: Broker,
        stakes: dict[int, Stake],
        asked: Mapping[uuid.UUID, Asked],
        findings: Findings,
    ) -> None:
        self.account, self.broker, self.findings = account, broker, findings
        self.stakes, self.asked = stakes, asked
        self.zone = ZoneInfo(broker.time_zone)
        self.digits = account.currency_digits
        self.intervals: list[RunningInterval] = []
        self.rounding_carried = ZERO
        self.executed: dict[uuid.UUID, Executed] = {}

    @classmethod
    def of(cls, account: PammAccount, findings: Findings) -> "Replay":
        """The replay before the account's first rollover. `account` comes with its `manager`."""
        investments = (
            Investment.objects.filter(account=account)
            .select_related("personal_account", "interval")
            .order_by("id")
        )
        offers = Terms.objects.filter(investments__account=account).values("offer")
        terms = list(Terms.objects.filter(offer__in=offers))
        stakes = stakes_of(investments, terms_changes_of(account), terms, findings)
        return cls(account, broker_in_scope(), stakes, asked_of(account), findings)

    def at(
        self,
        point: Point,
        entries: Sequence[EntryRow],
        charges: Sequence[ChargeRow] = (),
        parts: Sequence[PartRow] = (),
    ) -> Flows:
        """Everything of one rollover, in the order of the rules: interval ends, leaving, joining."""
        if not entries and not charges and not parts and not self._ends(point):
            return Flows()
        expected = ExpectedCharges(self.account, self.broker.public_id, point, charges, parts, self.findings)
        return _AtPrice(self, point, entries, expected).run()

    def _ends(self, point: Point) -> bool:
        return point.moves_money and any(interval.is_over(point) for interval in self.intervals)


class _AtPrice:
    """One rollover of the replay: expects its entries and charges, and reports those that differ."""

    def __init__(
        self, replay: Replay, point: Point, entries: Iterable[EntryRow], charges: ExpectedCharges
    ) -> None:
        self.replay, self.point, self.findings = replay, point, replay.findings
        self.digits = replay.digits
        self.price = Price(point.price_equity, point.price_units)
        self.charges = charges
        self.flows = Flows(fees=charges.by_payee)
        self.ends: list[EntryRow] = []
        self.fee_entries: dict[tuple[int, str, uuid.UUID | None], deque[EntryRow]] = defaultdict(deque)
        self.fee_of_request: defaultdict[uuid.UUID, Decimal] = defaultdict(Decimal)
        for entry in entries:
            if entry.kind in FEES.values():
                self.fee_entries[entry.investment_id, entry.kind, entry.source].append(entry)
            else:
                self.ends.append(entry)

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

    # intervals

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
                stake.restart_accruals(self.point)

    def _interval_begun(self, terms: Terms, over: list[RunningInterval]) -> RunningInterval:
        """One that begins at this rollover: the calendar's, if it turned just now, else a new one."""
        shared = (interval for interval in over if interval.terms.pk == terms.pk and is_on_calendar(terms))
        return next(shared, None) or self._begin_interval(terms)

    def _begin_interval(self, terms: Terms) -> RunningInterval:
        interval = RunningInterval.begin(terms, self.point, self.replay.zone)
        self.replay.intervals.append(interval)
        return interval

    def _interval_of(self, terms: Terms | None) -> RunningInterval | None:
        """The one that all investments with these terms and this start share."""
        if terms is None:
            return None
        for interval in self.replay.intervals:
            starts_here = is_on_calendar(terms) or interval.anchor_at == self.point.priced_at
            if interval.terms.pk == terms.pk and starts_here:
                return interval
        return self._begin_interval(terms)

    # what happens

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

    def _crystallise(self, stake: Stake) -> None:
        ended = crystallisation.interval_end(stake.fees, stake.state, stake.situation(self.point))
        self._charge(stake, ended.lines, Occasion.INTERVAL_END, None)
        stake.state = ended.state
        if stake.fees.accrues:
            stake.restart_accruals(self.point)

    def _take_part(self, stake: Stake, entry: EntryRow) -> None:
        situation = stake.situation(self.point)
        part = crystallisation.withdrawal(-entry.amount, stake.fees, stake.state, situation)
        self._charge(stake, part.lines, Occasion.WITHDRAWAL, entry.source)
        stake.state = part.state
        if stake.fees.accrues:
            stake.restart_accruals(self.point)
        redeemed = units_for_redemption(part.net, self.price, stake.units)
        self._expect_entry(stake, entry, -redeemed, -part.net)
        self._paid_out(stake, part.net, entry)

    def _close(self, stake: Stake, entry: EntryRow) -> None:
        situation, held, reason = stake.situation(self.point), stake.units, Investment.EndReason.OWNER
        origin = self._asked(entry).origin
        if origin in Request.STOP_ORIGINS:
            reason = Investment.EndReason.STOP
        elif origin == Request.Origin.ACCOUNT_CLOSING:
            # Nobody pays for leaving early what the account itself has ended.
            situation, reason = replace(situation, early_exit_rate=ZERO), Investment.EndReason.ACCOUNT
        closed = crystallisation.closing(stake.fees, stake.state, situation)
        self._charge(stake, closed.lines, Occasion.CLOSE, entry.source)
        self._expect_entry(stake, entry, -stake.units, -closed.paid)
        self._paid_out(stake, closed.paid, entry)
        stake.end(self.point, reason)
        exchange = rounding_exchange(
            carried=self.replay.rounding_carried,
            paid=situation.value,
            units=held,
            price=self.price,
            digits=self.digits,
        )
        self.replay.rounding_carried = exchange.carried
        self.flows.rounding = exact_sum((self.flows.rounding, exchange.amount))

    def _join(self, stake: Stake, entry: EntryRow) -> None:
        """A deposit without a request is taken as it stands; that it has none is reported with the
        requests.
        """
        request = self._asked(entry)
        asked = entry.amount if request.amount is None else request.amount
        deposited = crystallisation.deposit(asked, stake.fees, stake.state, self.digits, self.point.sequence)
        if deposited.line is not None:
            self._charge(stake, [deposited.line], Occasion.DEPOSIT, entry.source)
        stake.state = deposited.state
        issued = units_for_deposit(deposited.invested, self.price)
        self._expect_entry(stake, entry, issued, deposited.invested)
        stake.paid_in = exact_sum((stake.paid_in, asked))
        if stake.joined is None:
            stake.join(self.point, self._interval_of(stake.terms))
        if request.paid_by is None:
            source = LedgerAccount.Kind.CLIENT_CLAIM, stake.row.personal_account.public_id
        else:
            source = LedgerAccount.Kind.HOUSE_CLAIM, request.paid_by
        self.flows.deposits.append((*source, asked))
        self._executed(entry, asked)

    def _asked(self, entry: EntryRow) -> Asked:
        asked = None if entry.source is None else self.replay.asked.get(entry.source)
        return asked or Asked(None, Request.Origin.OWNER, None)

    def _wipe_out(self, stake: Stake, entry: EntryRow) -> None:
        """Every investment of the series ends, also one whose units fees have used up."""
        self._expect_entry(stake, entry, -stake.units, ZERO)
        stake.end(self.point, Investment.EndReason.WIPED_OUT)
        for other in self.replay.stakes.values():
            if other.is_active and not other.units:
                other.end(self.point, Investment.EndReason.WIPED_OUT)
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

    def _charge(
        self, stake: Stake, lines: Iterable[FeeLine], occasion: Charge.Occasion, source: uuid.UUID | None
    ) -> None:
        for line in lines:
            self.charges.expect(stake, line, occasion)
            if line.amount and line.kind in FEES:
                self._expect_fee_entry(stake, line, source)
            if source is not None:
                self.fee_of_request[source] = exact_sum((self.fee_of_request[source], line.amount))

    def _expect_fee_entry(self, stake: Stake, line: FeeLine, source: uuid.UUID | None) -> None:
        kind = FEES[line.kind]
        redeemed = units_for_redemption(line.amount, self.price, stake.units)
        entries = self.fee_entries[stake.row.pk, kind, source]
        if entries:
            self._expect_entry(stake, entries.popleft(), -redeemed, -line.amount)
            return
        row = f"of investment {stake.row.public_id}"
        self.findings.add("UnitEntry", row, kind, -line.amount, None, self.point)
        self._move_units(stake, -redeemed)

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
        stake.move_units(units, self.point)

    def _report_left_over(self) -> None:
        for entries in self.fee_entries.values():
            for entry in entries:
                self.findings.add("UnitEntry", entry.public_id, entry.kind, None, entry.amount, self.point)
        self.charges.report_left_over()
