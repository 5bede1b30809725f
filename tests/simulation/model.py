"""The law of the money once more, in memory, in ints and fractions: what a rollover must come to.

Written from the rules (`docs/money.md`) and not from the code that follows them: nothing of `fees`,
`allocation`, `investing` or `rollover` is imported. It knows no trading server, no key, no leg and no crash;
money that is on its way has arrived. So whatever happens in between, the platform has to end where this ends.

Money is an int of minor units. Units are ints of 10^-12. What the rules keep unrounded is a `Fraction`, in
minor units where it is money; the rules' own roundings to 12 and 24 decimals are of the currency's unit, not
the minor one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from fractions import Fraction
from math import floor

from tests.simulation import stop_rules
from tests.simulation.stop_rules import Stop

UNIT = 10**12
"""Steps of a unit, and of a mark in the currency's unit."""
FINE = 10**24
"""Steps of accumulators and carried fractions."""
YIELD = 10**9
DAY = timedelta(days=1)
NEVER = datetime.max.replace(tzinfo=UTC)

GROWING = ("management", "subscription", "volume")
"""Fees that grow with time or volume, in the order in which they are charged."""
KINDS = (*GROWING, "performance")


def nearest(exact: Fraction, steps: int = 1) -> Fraction:
    """To a multiple of 1/steps, a tie to the even one."""
    return Fraction(round(exact * steps), steps)


@dataclass(frozen=True)
class Tiers:
    """Lower bounds (inclusive) and rates; the first has no bound. Money bounds are in minor units."""

    steps: tuple[tuple[Fraction | None, Fraction], ...]

    def whole(self, reached: Fraction) -> Fraction:
        """The rate of the tier that is reached."""
        rate = self.steps[0][1]
        for bound, above in self.steps[1:]:
            if bound is not None and reached >= bound:
                rate = above
        return rate

    def marginal(self, reached: Fraction) -> Fraction:
        """The bands' rates from 0 up to here, weighted by their width."""
        if reached <= 0:
            return self.steps[0][1]
        weighted = Fraction(0)
        for number, (bound, rate) in enumerate(self.steps):
            low = max(Fraction(0), bound if bound is not None else Fraction(0))
            following = self.steps[number + 1][0] if number + 1 < len(self.steps) else None
            high = reached if following is None else min(reached, following)
            if high > low:
                weighted += rate * (high - low)
        return weighted / reached


@dataclass(frozen=True)
class Rules:
    """One version of an offer's terms."""

    basis: str
    tiers: Tiers
    mode: str = "whole"
    lower: bool = False
    whole_on_withdrawal: bool = False
    unit: str = "rollovers"
    count: int = 1
    own_anchor: bool = True
    minimum_remaining: int = 0
    lock_in_days: int = 0
    early_exit: Fraction = Fraction(0)
    early_exit_until_interval: bool = False
    management: Fraction = Fraction(0)
    entry: Tiers | None = None
    subscription: int = 0
    per_lot: int = 0
    broker_share: Fraction = Fraction(0)
    agent_shares: tuple[Fraction, ...] = ()


FREE = Rules("flat", Tiers(((None, Fraction(0)),)))


@dataclass(frozen=True)
class Term:
    """One trading interval. Counted in rollovers (`last`) or dated (`ends_at`)."""

    anchor: datetime
    number: int
    starts_at: datetime
    ends_at: datetime | None
    first: int
    last: int | None

    @classmethod
    def at(
        cls, rules: Rules, anchor: datetime, moment: datetime, flow: int, *, found: datetime | None = None
    ) -> Term:
        """The one that `moment` lies in. Ends belong to the next one. Where the end of the one before was
        found late, the subscription is spread over what is left from there (`found`).
        """
        if rules.unit == "rollovers":
            return cls(anchor, 1, moment, None, flow, flow + rules.count)
        number = 1
        while _end(rules, anchor, number) <= moment:
            number += 1
        begins = _end(rules, anchor, number - 1)
        return cls(anchor, number, found or begins, _end(rules, anchor, number), flow, None)

    def is_over(self, moment: datetime, flow: int) -> bool:
        if self.last is not None:
            return flow >= self.last
        return self.ends_at is not None and moment >= self.ends_at

    def part(self, moment: datetime, flow: int) -> Fraction:
        """How much of it is over, at most all."""
        if self.last is not None:
            return min(Fraction(1), Fraction(flow - self.first, self.last - self.first))
        assert self.ends_at is not None
        return min(Fraction(1), _ratio(moment - self.starts_at, self.ends_at - self.starts_at))


@dataclass(frozen=True)
class Ratio:
    """A price: minor units of money over 10^-12 units."""

    money: int
    units: int

    def of(self, units: int) -> Fraction:
        return Fraction(units * self.money, self.units)

    def units_for(self, money: int) -> int:
        return round(Fraction(money * self.units, self.money))


@dataclass
class Party:
    """Who is paid: shares are counted under its name."""

    name: str
    received: int = 0


@dataclass
class Charge:
    stake: str
    kind: str
    amount: int
    uncollected: int = 0
    collects_debt: bool = False
    parts: dict[str, int] = field(default_factory=dict)


@dataclass
class Stake:
    """One investment."""

    name: str
    owner: str
    rules: Rules
    is_own: bool = False
    agents: tuple[str, ...] = ()
    state: str = "pending"
    series: int = 1
    units: int = 0
    lowest: int = 0
    mark: int = 0
    """In 10^-12 of the currency's unit."""
    carried: defaultdict[str, Fraction] = field(default_factory=lambda: defaultdict(Fraction))
    debts: list[tuple[str, int]] = field(default_factory=list)
    days_aside: Fraction = Fraction(0)
    days_from: Fraction = Fraction(0)
    lots_aside: Fraction = Fraction(0)
    lots_from: Fraction = Fraction(0)
    subscribed: Fraction = Fraction(0)
    """Part of the present interval that is paid for, or was over before it counted."""
    ended_at_flow: int = -1
    """Of the rollover at which its last interval ended."""
    joined_at: datetime | None = None
    term: Term | None = None
    opening: Ratio = Ratio(1, 1)
    accepted: Rules | None = None
    fees_so_far: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    had: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    paid_in: int = 0
    paid_out: int = 0
    fees: int = 0
    ended_by: str = ""
    """Who asked for the close that ended it: its owner, or a stop."""


class Kind(Enum):
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    CLOSE = "close"


@dataclass
class Wish:
    """A request that was confirmed."""

    name: str
    kind: Kind
    stake: Stake
    amount: int = 0
    confirmed_at: datetime = NEVER
    order: int = 0
    close_if_below_minimum: bool = False
    payer: int | None = None
    """Login of who pays a deposit, where it is not the investor's own account."""
    origin: str = "owner"
    """What asked for it: its owner, or the kind of a stop."""
    state: str = "confirmed"
    """Before it pending; afterwards executed, failed, cancelled or, of a deposit that went back, returned."""
    goes_back: bool = False
    """A deposit that has to go back once its money has come."""
    reason: str = ""
    collected: bool = False
    paid: int = 0
    fee: int = 0


@dataclass
class Snapshot:
    """What the trading server showed; `balance` is that of once everything under way is done."""

    at: datetime
    balance: int
    floating: int = 0
    has_positions: bool = False
    free_money: int | None = None
    closed_lots: Fraction = Fraction(0)
    waits: str = ""
    """Why nothing but recording happens, if so."""
    cutoff: datetime = NEVER
    """Stops set later are not looked at."""


@dataclass
class Account:
    """A PAMM account: its units, its price, its investments."""

    name: str
    manager: str
    digits: int = 2
    minimum_own: int = 0
    state: str = "active"
    series: int = 1
    balance: int = 0
    """On the trading server once everything under way is done."""
    price: Ratio | None = None
    last_at: datetime | None = None
    sequence: int = 0
    flow: int = 0
    days: Fraction = Fraction(0)
    lots: Fraction = Fraction(0)
    rounding: Fraction = Fraction(0)
    exchanged: int = 0
    swept: int = 0
    stakes: dict[str, Stake] = field(default_factory=dict)
    charges: list[Charge] = field(default_factory=list)
    """Of the last rollover."""
    received: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    """By party, all fees so far."""
    equity: int = 0
    is_suspended: bool = False
    stops: list[Stop] = field(default_factory=list)
    stop_closes: list[Wish] = field(default_factory=list)
    """Those that stops asked for at the last rollover."""
    closing: list[Stake] = field(default_factory=list)
    """Investments of which somebody has asked for a close that this rollover may not carry out."""

    @property
    def stopped(self) -> set[str]:
        """Owners whose stops the last rollover reached."""
        return {wish.stake.owner for wish in self.stop_closes}

    @property
    def scale(self) -> int:
        """Minor units in the currency's unit."""
        return int(10**self.digits)

    @property
    def units(self) -> int:
        return sum(stake.units for stake in self.stakes.values())

    @property
    def ratio(self) -> Ratio:
        return self.price or Ratio(self.scale, UNIT)

    def value(self, stake: Stake) -> int:
        return round(self.ratio.of(stake.units))

    # -- a rollover

    def roll(self, seen: Snapshot, wishes: Iterable[Wish]) -> None:
        """Price, extend what accrues, then fees, withdrawals and closes, deposits."""
        self.charges, self.stop_closes = [], []
        self.balance = seen.balance
        equity = self.balance + seen.floating
        outstanding = self.units
        self._extend(seen, outstanding)
        if outstanding:
            self.price = Ratio(max(equity, 0), outstanding)
        self.sequence += 1
        self.last_at = seen.at
        self.equity = equity
        if outstanding and equity <= 0:
            if not seen.has_positions:
                self._wipe_out(equity)
            self._all_wait(wishes, "wiped_out" if self.state == "wiped_out" else "under_water")
            return
        if seen.waits:
            self._all_wait(wishes, seen.waits)
            return
        self.flow += 1
        wishes = list(wishes)
        self._reach_stops(seen, wishes)
        for stake in list(self.stakes.values()):
            if stake.state == "active" and stake.term is not None and stake.term.is_over(seen.at, self.flow):
                self._end_interval(stake, seen)
        free = seen.free_money
        ordered = sorted(wishes, key=lambda wish: (wish.confirmed_at, wish.order))
        for wish in [*ordered, *self.stop_closes]:
            if wish.kind is not Kind.DEPOSIT:
                free = self._leave(wish, seen, free)
        for wish in sorted(ordered, key=lambda wish: not wish.stake.is_own):
            if wish.kind is Kind.DEPOSIT:
                self._join(wish, seen)
        self.equity = self.balance + seen.floating

    def _reach_stops(self, seen: Snapshot, wishes: Iterable[Wish]) -> None:
        """Each that is reached asks for a close, behind all that was asked for before."""
        closing = [wish.stake for wish in wishes if wish.kind is Kind.CLOSE] + self.closing
        self.stop_closes = [
            Wish(
                f"stop of {stop.stake.name}",
                Kind.CLOSE,
                stop.stake,
                confirmed_at=seen.at,
                origin=stop.side.value,
            )
            for stop in stop_rules.reach(self, seen.at, seen.cutoff, closing)
        ]

    def _extend(self, seen: Snapshot, outstanding: int) -> None:
        if self.last_at is not None and outstanding:
            per_unit = Fraction(self.ratio.money * UNIT, self.ratio.units * self.scale)
            self.days = nearest(self.days + per_unit * _ratio(seen.at - self.last_at, DAY), FINE)
            self.lots = nearest(self.lots + seen.closed_lots * UNIT / outstanding, FINE)

    def _wipe_out(self, equity: int) -> None:
        self.state = "wiped_out"
        for stake in self.stakes.values():
            if stake.state == "active":
                stake.state = "cancelled"
                stop_rules.end_stops(self, stake)
                stake.units = stake.mark = 0
                stake.debts = []
                stake.carried.clear()
                stake.days_aside = stake.lots_aside = Fraction(0)
        self.rounding = Fraction(0)

    @staticmethod
    def _all_wait(wishes: Iterable[Wish], reason: str) -> None:
        for wish in wishes:
            wish.reason = reason

    # -- fees

    def rate(self, stake: Stake) -> Fraction:
        rules = stake.rules
        if rules.basis == "flat":
            return rules.tiers.whole(Fraction(0))
        if rules.basis == "yield":
            now, then = self.ratio, stake.opening
            reached = nearest(Fraction(now.money * then.units, now.units * then.money) - 1, YIELD)
        else:
            reached = Fraction(round(self.ratio.of(stake.lowest)))
        return rules.tiers.marginal(reached) if rules.mode == "marginal" else rules.tiers.whole(reached)

    def profit(self, stake: Stake, value: int | Fraction) -> Fraction:
        return value - Fraction(stake.mark * self.scale, UNIT)

    def growing(self, stake: Stake, seen: Snapshot) -> dict[str, Fraction]:
        """What has grown since it was last charged, in minor units, the carried fraction apart."""
        if stake.is_own:
            return {}
        rules = stake.rules
        held = Fraction(stake.units, UNIT)
        days = stake.days_aside + held * (self.days - stake.days_from)
        lots = stake.lots_aside + held * (self.lots - stake.lots_from)
        assert stake.term is not None
        part = max(Fraction(0), stake.term.part(seen.at, self.flow) - stake.subscribed)
        return {
            "management": rules.management * days / 365 * self.scale,
            "subscription": rules.subscription * part,
            "volume": rules.per_lot * lots,
        }

    def _charge_growing(self, stake: Stake, seen: Snapshot, left: int) -> int:
        """Charge what has grown and the debts, up to what is left; returns what is left then."""
        if stake.is_own:
            return left
        debts, stake.debts = stake.debts, []
        for kind, amount in self.growing(stake, seen).items():
            exact = amount + stake.carried[kind]
            due = self.down(exact)
            taken = min(due, left)
            left -= taken
            stake.carried[kind] = self.kept(exact - due)
            if taken < due:
                stake.debts.append((kind, due - taken))
            if taken or due:
                self._take(stake, Charge(stake.name, kind, taken, due - taken))
        remaining, collected = [], defaultdict[str, int](int)
        for kind, owed in debts:
            taken = min(owed, left)
            left -= taken
            collected[kind] += taken
            if taken < owed:
                remaining.append((kind, owed - taken))
        stake.debts = remaining + stake.debts
        for kind in KINDS:
            if collected[kind]:
                self._take(stake, Charge(stake.name, kind, collected[kind], collects_debt=True))
        stake.days_aside = stake.lots_aside = Fraction(0)
        stake.days_from, stake.lots_from = self.days, self.lots
        assert stake.term is not None
        stake.subscribed = nearest(max(stake.subscribed, stake.term.part(seen.at, self.flow)), FINE)
        return left

    def _charge_performance(
        self, stake: Stake, rate: Fraction, value: int, counted: int | None = None, *, closes: bool = False
    ) -> int:
        """On the profit of `counted` (the value unless the lower basis says less); returns what is left.

        `rate` is that of before this crystallisation: its other fees do not lower the tier. What a close
        carries is charged without a profit, too: parts taken out before may have left more than a minor unit.
        """
        if stake.is_own:
            return value
        counted = value if counted is None else counted
        profit = self.profit(stake, counted)
        if profit <= 0 and not closes:
            return value
        exact = rate * max(profit, Fraction(0)) + stake.carried["performance"]
        due = self.down(exact)
        taken = min(due, value, counted)
        stake.carried["performance"] = self.kept(exact - due)
        stake.mark = (counted - taken) * UNIT // self.scale
        if taken < due:
            stake.debts.append(("performance", due - taken))
        if due:
            self._take(stake, Charge(stake.name, "performance", taken, due - taken))
        return value - taken

    def _end_interval(self, stake: Stake, seen: Snapshot) -> None:
        rate = self.rate(stake)
        value, share = self.value(stake), round(Fraction(stake.units * seen.balance, self.ratio.units))
        left = self._charge_growing(stake, seen, value)
        counted = None
        if stake.rules.lower and seen.balance + seen.floating > 0:
            # Like the value, the share is rounded first; what the other fees take of it follows.
            equity = seen.balance + seen.floating
            counted = min(left, round(share - Fraction((value - left) * seen.balance, equity)))
        self._charge_performance(stake, rate, left, counted)
        assert stake.term is not None
        stake.ended_at_flow = self.flow
        if stake.accepted is not None:
            stake.rules, stake.accepted = stake.accepted, None
            self._begin_term(stake, seen)
            return
        stake.term = Term.at(stake.rules, stake.term.anchor, seen.at, self.flow, found=seen.at)
        stake.subscribed = Fraction(0)
        stake.opening, stake.lowest = self.ratio, stake.units

    def _begin_term(self, stake: Stake, seen: Snapshot) -> None:
        stake.term = Term.at(stake.rules, _anchor(stake.rules, seen.at), seen.at, self.flow)
        stake.subscribed = nearest(stake.term.part(seen.at, self.flow), FINE)
        stake.opening, stake.lowest = self.ratio, stake.units

    def down(self, exact: Fraction) -> int:
        """Down to the minor unit, dust first."""
        dust = 10 ** ((10 if self.digits >= 8 else 8) - self.digits)
        return floor(nearest(exact, dust))

    def kept(self, fraction: Fraction) -> Fraction:
        """A fraction that is carried: 24 decimals of the currency's unit."""
        return nearest(fraction / self.scale, FINE) * self.scale

    def _take(self, stake: Stake, charge: Charge, *, of_deposit: bool = False) -> None:
        """Units for the fee leave, and the money goes to whoever shares in it."""
        if not of_deposit:
            self._redeem(stake, charge.amount)
        self.balance -= charge.amount
        stake.fees += charge.amount
        charge.parts = self._split(stake, charge.kind, charge.amount)
        for party, amount in charge.parts.items():
            self.received[party] += amount
        self.charges.append(charge)

    def _split(self, stake: Stake, kind: str, amount: int) -> dict[str, int]:
        stake.fees_so_far[kind] += amount
        total = stake.fees_so_far[kind]
        rules = stake.rules
        parts: dict[str, int] = {}
        left = amount
        shares = [("broker", rules.broker_share), *zip(stake.agents, rules.agent_shares, strict=False)]
        for party, share in shares:
            due = floor(share * total) - stake.had[kind, party]
            part = min(due, left)
            left -= part
            stake.had[kind, party] += part
            if part:
                parts[party] = part
        if left:
            parts[self.manager] = parts.get(self.manager, 0) + left
        return parts

    # -- units

    def _put_aside(self, stake: Stake) -> None:
        held = Fraction(stake.units, UNIT)
        stake.days_aside = nearest(stake.days_aside + held * (self.days - stake.days_from), FINE)
        stake.lots_aside = nearest(stake.lots_aside + held * (self.lots - stake.lots_from), FINE)
        stake.days_from, stake.lots_from = self.days, self.lots

    def _redeem(self, stake: Stake, money: int) -> None:
        if not money:
            return
        gone = min(stake.units, self.ratio.units_for(money))
        stake.units -= gone
        stake.lowest = min(stake.lowest, stake.units)

    # -- leaving

    def early_exit(self, stake: Stake, seen: Snapshot) -> Fraction:
        rules = stake.rules
        if stake.is_own or stake.term is None:
            return Fraction(0)
        if rules.early_exit_until_interval:
            return Fraction(0) if stake.ended_at_flow == self.flow else rules.early_exit
        assert stake.joined_at is not None
        return rules.early_exit if seen.at < stake.joined_at + rules.lock_in_days * DAY else Fraction(0)

    def net(self, stake: Stake, seen: Snapshot) -> int:
        """What closing would pay."""
        trial, account = _trial(self, stake)
        return account._settle_all(trial, seen)

    def shown_net(self, stake: Stake) -> int:
        """The same at the last price, as pages show it: for who leaves within the present interval."""
        assert self.last_at is not None
        return self.net(replace(stake, ended_at_flow=-1), Snapshot(self.last_at, self.balance))

    def _settle_all(self, stake: Stake, seen: Snapshot) -> int:
        rate = self.rate(stake)
        left = self._charge_growing(stake, seen, self.value(stake))
        left = self._charge_performance(stake, rate, left, closes=True)
        exact = self.early_exit(stake, seen) * left + stake.carried["early_exit"]
        fee = min(left, self.down(exact)) if self.early_exit(stake, seen) else 0
        if fee:
            self._take(stake, Charge(stake.name, "early_exit", fee))
        return left - fee

    def _leave(self, wish: Wish, seen: Snapshot, free: int | None) -> int | None:
        stake = wish.stake
        if stake.state != "active":
            wish.state, wish.reason = "failed", "investment_not_active"
            return free
        if stake.is_own and not self._own_may_leave(wish):
            wish.state, wish.reason = "failed", "own_capital_would_break"
            return free
        closes = wish.kind is Kind.CLOSE
        if not closes:
            verdict = self._part_or_close(wish, seen)
            if verdict not in ("part", "close"):
                wish.state, wish.reason = "failed", verdict
                return free
            closes = verdict == "close"
        return (self._close if closes else self._take_part)(wish, seen, free)

    def _own_may_leave(self, wish: Wish) -> bool:
        stake = wish.stake
        left = 0 if wish.kind is Kind.CLOSE else self.value(stake) - wish.amount
        return left >= self.minimum_own or self.units == stake.units

    def _part_or_close(self, wish: Wish, seen: Snapshot) -> str:
        """part, close, or why neither."""
        stake = wish.stake
        net = self.net(stake, seen)
        if wish.amount >= net:
            return "close"
        plan = self.plan(stake, wish.amount, seen)
        if plan is None:
            return "more_than_available"
        if plan.left < stake.rules.minimum_remaining:
            return "close" if wish.close_if_below_minimum else "too_little_would_remain"
        return "part"

    def plan(self, stake: Stake, amount: int, seen: Snapshot) -> Part | None:
        trial, account = _trial(self, stake)
        return account._charge_part(trial, amount, seen)

    def _charge_part(self, stake: Stake, amount: int, seen: Snapshot) -> Part | None:
        """Charge and redeem what taking out `amount` net costs; None where that is more than there is."""
        rate = self.rate(stake)
        left = self._charge_growing(stake, seen, self.value(stake))
        if stake.rules.whole_on_withdrawal:
            left = self._charge_performance(stake, rate, left)
            on_whole = stake.carried["performance"]
        else:
            profit = max(Fraction(0), self.profit(stake, left))
            on_whole = Fraction(0) if stake.is_own else rate * profit + stake.carried["performance"]
        if on_whole >= left:
            return None
        leaving = self.early_exit(stake, seen)
        exit_exact = (
            amount * leaving / (1 - leaving) + stake.carried["early_exit"] if leaving else Fraction(0)
        )
        exit_fee = self.down(exit_exact)
        fee = self.down((amount + exit_fee) * on_whole / (left - on_whole))
        gross = amount + exit_fee + fee
        if gross > left:
            return None
        if leaving:
            stake.carried["early_exit"] = self.kept(exit_exact - exit_fee)
        if not stake.is_own:
            stake.carried["performance"] = self.kept(
                stake.carried["performance"] * Fraction(left - gross, left)
                + on_whole * Fraction(gross, left)
                - fee
            )
        stake.mark = round(Fraction(stake.mark * (left - gross), left))
        if fee:
            self._take(stake, Charge(stake.name, "performance", fee))
        if exit_fee:
            self._take(stake, Charge(stake.name, "early_exit", exit_fee))
        return Part(gross, exit_fee + fee, left - gross)

    def _take_part(self, wish: Wish, seen: Snapshot, free: int | None) -> int | None:
        stake = wish.stake
        if free is not None and wish.amount > free:
            wish.reason = "free_margin"
            return free
        before = stake.fees
        part = self._charge_part(stake, wish.amount, seen)
        assert part is not None
        self._redeem(stake, wish.amount)
        self._paid(wish, wish.amount, stake.fees - before)
        return None if free is None else free - wish.amount

    def _close(self, wish: Wish, seen: Snapshot, free: int | None) -> int | None:
        stake = wish.stake
        if stake.units == self.units and seen.has_positions:
            wish.reason = "positions_open"
            return free
        net = self.net(stake, seen)
        if free is not None and net > free:
            wish.reason = "free_margin"
            return free
        value, held, before = self.value(stake), stake.units, stake.fees
        paid = self._settle_all(stake, seen)
        stake.units = stake.mark = 0
        stake.state, stake.ended_by = "closed", wish.origin
        stop_rules.end_stops(self, stake)
        stake.debts = []
        stake.accepted = None
        self._exchange(value - self.ratio.of(held))
        self._paid(wish, paid, stake.fees - before)
        return None if free is None else free - paid

    def _exchange(self, beyond: Fraction) -> None:
        """What a close was paid beyond its exact part, in whole minor units from the rounding account."""
        self.rounding += beyond
        dust = 10 ** ((10 if self.digits >= 8 else 8) - self.digits)
        whole = floor(nearest(self.rounding, dust) + Fraction(1, 2))
        self.rounding = self.kept(self.rounding - whole)
        self.exchanged += whole
        self.balance += whole

    def _paid(self, wish: Wish, amount: int, fee: int) -> None:
        wish.state, wish.reason, wish.paid, wish.fee = "executed", "", amount, fee
        wish.stake.paid_out += amount
        self.balance -= amount

    # -- joining

    def _join(self, wish: Wish, seen: Snapshot) -> None:
        if self.is_suspended or wish.stake.owner in self.stopped:
            wish.goes_back = True
        if not wish.collected or wish.goes_back:
            return
        stake = wish.stake
        if not self.units and self.balance + seen.floating:
            # Nothing stands in the way where the last units have just left and took all with them.
            wish.reason = "remainder"
            return
        joining = stake.state != "active"
        if not joining:
            self._put_aside(stake)
        fee = 0
        if stake.rules.entry is not None and not stake.is_own:
            exact = stake.rules.entry.whole(Fraction(wish.amount)) * wish.amount + stake.carried["entry"]
            fee = self.down(exact)
            stake.carried["entry"] = self.kept(exact - fee)
        self.balance += wish.amount
        if fee:
            self._take(stake, Charge(stake.name, "entry", fee), of_deposit=True)
        stake.units += self.ratio.units_for(wish.amount - fee)
        stake.mark += (wish.amount - fee) * UNIT // self.scale
        stake.paid_in += wish.amount
        if joining:
            stake.state, stake.joined_at, stake.series = "active", seen.at, self.series
            stake.days_from, stake.lots_from = self.days, self.lots
            self._begin_term(stake, seen)
        wish.state, wish.reason, wish.paid, wish.fee = "executed", "", wish.amount, fee


@dataclass
class Part:
    """Of an investment: what leaves in all, the fees on it, what is left."""

    gross: int
    fees: int
    left: int


def _trial(account: Account, stake: Stake) -> tuple[Stake, Account]:
    """Copies to try something on."""
    copy = replace(
        stake,
        carried=stake.carried.copy(),
        debts=list(stake.debts),
        fees_so_far=stake.fees_so_far.copy(),
        had=stake.had.copy(),
    )
    return copy, replace(account, received=account.received.copy(), charges=[])


def _anchor(rules: Rules, moment: datetime) -> datetime:
    """Of an interval that begins to count now: the moment itself, or the calendar's last grid line (UTC)."""
    if rules.own_anchor or rules.unit == "rollovers":
        return moment
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if rules.unit == "weeks":
        return midnight - midnight.weekday() * DAY
    return midnight.replace(day=1) if rules.unit == "months" else midnight


def _end(rules: Rules, anchor: datetime, number: int) -> datetime:
    """The end number `number` after the anchor."""
    if rules.unit == "days":
        return anchor + number * rules.count * DAY
    if rules.unit == "weeks":
        return anchor + 7 * number * rules.count * DAY
    month = anchor.month - 1 + number * rules.count
    first = anchor.replace(year=anchor.year + month // 12, month=month % 12 + 1, day=1)
    following = (first + 32 * DAY).replace(day=1)
    return min(first + (anchor.day - 1) * DAY, following - DAY)


def _ratio(part: timedelta, whole: timedelta) -> Fraction:
    micro = timedelta(microseconds=1)
    return Fraction(part // micro, whole // micro)
