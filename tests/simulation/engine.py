"""A pool on the calculation's own functions alone, beside the model: no database, no server, many events.

`Course` draws one random pool: terms, people, prices and flows. Each rollover is computed twice, here by the
functions that the services call in the order in which they call them, and by the model; then every figure is
compared.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from allocation.calc import accumulators
from allocation.calc import units as unit_rules
from allocation.calc.price import Price, price_of, time_weighted_return
from fees.calc import crystallisation, performance
from fees.calc.crystallisation import FeeLine, FeeState, Situation
from fees.calc.kinds import FeeKind
from fees.calc.performance import WithdrawalKind
from fees.calc.schedule import Basis, Mode, Schedule, Tier
from fees.calc.shares import Shared, Shares, split
from fees.calc.terms import EntryFee, FeeTerms
from money.exact import ZERO, exact_difference, exact_sum
from money.rounding import rounded_accumulator
from tests.simulation.model import Account, Kind, Rules, Snapshot, Stake, Tiers, Wish

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
LOWEST_FIRST = Decimal("0.01")


@dataclass
class Holding:
    """One investment, as the services keep it."""

    terms: FeeTerms
    count: int
    agents: int
    minimum_remaining: Decimal
    units: Decimal = ZERO
    lowest: Decimal = ZERO
    state: FeeState = field(default_factory=FeeState)
    opening: Price = Price.INITIAL
    joined: bool = False
    first: int = 0
    ended_at: int = -1
    paid_part: Decimal = ZERO
    days_aside: Decimal = ZERO
    days_from: Decimal = ZERO
    lots_aside: Decimal = ZERO
    lots_from: Decimal = ZERO
    shared: dict[FeeKind, Shared] = field(default_factory=dict)
    closed: bool = False
    paid_out: Decimal = ZERO


class Pool:
    """The services' arithmetic of one PAMM account."""

    def __init__(self, digits: int) -> None:
        self.digits = digits
        self.balance = self.floating = self.carried = self.equity = ZERO
        self.days = self.lots = ZERO
        self.price = Price.INITIAL
        self.at = START
        self.flow = 0
        self.holdings: dict[str, Holding] = {}
        self.received: dict[str, Decimal] = {}

    @property
    def units(self) -> Decimal:
        return exact_sum(holding.units for holding in self.holdings.values())

    def reprice(self, at: datetime, result: Decimal, floating: Decimal, lots: Decimal) -> None:
        units = self.units
        if units:
            self.days = accumulators.value_days_after(self.days, self.price, self.at, at)
            self.lots = accumulators.lots_per_unit_after(self.lots, lots, units)
        self.balance, self.floating, self.at = exact_sum((self.balance, result)), floating, at
        self.flow += 1
        self.equity = exact_sum((self.balance, floating))
        self.price = price_of(self.equity, units, self.price)
        self.snapshot_balance, self.snapshot_units = self.balance, units

    def situation(self, holding: Holding, *, early: bool = True) -> Situation:
        share, per = performance.behind_by_balance(
            units=holding.units,
            pool_balance=self.snapshot_balance,
            pool_units=self.price.units,
            pool_equity=self.equity,
            digits=self.digits,
        )
        passed = min(Fraction(1), Fraction(self.flow - holding.first, holding.count))
        return Situation(
            value=unit_rules.value(holding.units, self.price, self.digits),
            digits=self.digits,
            rollover=self.flow,
            yield_=time_weighted_return(holding.opening, self.price),
            net_worth=performance.net_worth_basis(self.price, holding.lowest, self.digits),
            value_days=accumulators.accrued(holding.days_aside, holding.units, self.days, holding.days_from),
            lots=accumulators.accrued(holding.lots_aside, holding.units, self.lots, holding.lots_from),
            interval_part=accumulators.unpaid_part(passed, holding.paid_part),
            early_exit_rate=holding.terms.early_exit_rate
            if early and holding.ended_at != self.flow
            else ZERO,
            balance_share=share if holding.terms.lower_profit else None,
            balance_per_equity=per,
        )

    def take(self, holding: Holding, lines: tuple[FeeLine, ...]) -> None:
        for line in lines:
            if line.amount and line.kind is not FeeKind.ENTRY:
                self.redeem(holding, line.amount)
            self.balance = exact_difference(self.balance, line.amount)
            if line.amount:
                self.share(holding, line.kind, line.amount)

    def share(self, holding: Holding, kind: FeeKind, amount: Decimal) -> None:
        rates = holding.terms.shares.among(holding.agents)
        parts, after = split(amount, holding.shared.get(kind, Shared()), rates, self.digits)
        holding.shared[kind] = after
        named = [("broker", parts.broker), ("manager", parts.manager)]
        named += [(f"agent{level}", part) for level, part in enumerate(parts.agents)]
        for party, part in named:
            self.received[party] = exact_sum((self.received.get(party, ZERO), part))

    def redeem(self, holding: Holding, amount: Decimal) -> None:
        gone = unit_rules.units_for_redemption(amount, self.price, holding.units)
        holding.units = exact_difference(holding.units, gone)
        holding.lowest = min(holding.lowest, holding.units)

    def settle_accruals(self, holding: Holding) -> None:
        """What had grown is charged."""
        passed = min(Fraction(1), Fraction(self.flow - holding.first, holding.count))
        holding.days_aside = holding.lots_aside = ZERO
        holding.days_from, holding.lots_from = self.days, self.lots
        holding.paid_part = max(holding.paid_part, rounded_accumulator(passed))

    def end_interval(self, holding: Holding) -> None:
        ended = crystallisation.interval_end(holding.terms, holding.state, self.situation(holding))
        self.take(holding, ended.lines)
        self.settle_accruals(holding)
        holding.state = ended.state
        holding.opening, holding.lowest = self.price, holding.units
        holding.first, holding.paid_part, holding.ended_at = self.flow, ZERO, self.flow

    def leave(self, holding: Holding, amount: Decimal | None, closes_below: bool) -> str:
        situation = self.situation(holding)
        kind = WithdrawalKind.CLOSE
        if amount is not None:
            most = crystallisation.available(
                holding.terms, holding.state, situation, minimum_remaining=holding.minimum_remaining
            )
            kind = performance.withdrawal_kind(
                net_amount=amount,
                closing_pays=most.closing,
                largest_part=most.part,
                closes_if_too_little_remains=closes_below,
            )
        if kind is WithdrawalKind.TOO_LITTLE_WOULD_REMAIN:
            return "failed"
        if kind is WithdrawalKind.CLOSE or amount is None:
            is_last = holding.units == self.units
            if is_last and not unit_rules.last_units_may_leave(bool(self.floating)):
                return "confirmed"
            self.close(holding, situation)
            return "executed"
        plan = crystallisation.withdrawal(amount, holding.terms, holding.state, situation)
        self.take(holding, plan.lines)
        self.settle_accruals(holding)
        holding.state = plan.state
        self.redeem(holding, plan.net)
        self.pay(holding, plan.net)
        return "executed"

    def close(self, holding: Holding, situation: Situation) -> None:
        closed = crystallisation.closing(holding.terms, holding.state, situation)
        exchange = unit_rules.rounding_exchange(
            carried=self.carried,
            paid=exact_sum((closed.paid, closed.fees)),
            units=holding.units,
            price=self.price,
            digits=self.digits,
        )
        self.take(holding, closed.lines)
        holding.units, holding.closed = ZERO, True
        self.carried = exchange.carried
        self.balance = exact_sum((self.balance, exchange.amount))
        self.pay(holding, closed.paid)

    def pay(self, holding: Holding, amount: Decimal) -> None:
        holding.paid_out = exact_sum((holding.paid_out, amount))
        self.balance = exact_difference(self.balance, amount)

    def deposit(self, holding: Holding, amount: Decimal) -> None:
        joins = not holding.joined
        if joins:
            holding.joined = True
            holding.opening, holding.first = self.price, self.flow
            holding.days_from, holding.lots_from = self.days, self.lots
        else:
            situation = self.situation(holding)
            holding.days_aside = rounded_accumulator(situation.value_days)
            holding.lots_aside = rounded_accumulator(situation.lots)
            holding.days_from, holding.lots_from = self.days, self.lots
        made = crystallisation.deposit(amount, holding.terms, holding.state, self.digits, self.flow)
        self.balance = exact_sum((self.balance, amount))
        if made.line is not None:
            self.take(holding, (made.line,))
        holding.state = made.state
        holding.units = exact_sum((holding.units, unit_rules.units_for_deposit(made.invested, self.price)))
        if joins:
            holding.lowest = holding.units


class Course:
    """One random pool, its people and its hours."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.digits = self.chance.choice((0, 2, 2, 2, 8))
        self.pool = Pool(self.digits)
        self.account = Account("pool", "manager", self.digits)
        self.events = 0
        self.made = 0

    def play(self, rollovers: int) -> list[str]:
        """What differs after the first rollover that leaves a difference."""
        at = START
        for number in range(rollovers):
            at += timedelta(seconds=self.chance.choice((3600, 3600, 86400, 2_592_000)))
            try:
                self.rollover(at)
                if self.account.state == "wiped_out":
                    break
                found = list(self.differences())
            except Exception as error:
                error.add_note(f"seed {self.seed}, rollover {number}")
                raise
            if found:
                return [f"seed {self.seed}, rollover {number}, {self.digits} digits", *found]
        return []

    def rollover(self, at: datetime) -> None:
        chance, pool, account = self.chance, self.pool, self.account
        equity = int(pool.balance.scaleb(self.digits))
        result = equity * chance.randrange(-1200, 1400) // 10000 if pool.units else 0
        floating = (
            equity * chance.randrange(-500, 500) // 10000 if pool.units and chance.random() < 0.3 else 0
        )
        lots = Decimal(chance.randrange(0, 400)) / 100
        pool.reprice(at, self.money(result), self.money(floating), lots)
        seen = Snapshot(at, account.balance + result, floating, bool(floating), closed_lots=Fraction(lots))
        if unit_rules.pool_condition(pool.equity, pool.units, bool(floating)) not in (
            unit_rules.PoolCondition.SOUND,
            unit_rules.PoolCondition.EMPTY,
        ):
            pool.flow -= 1
            account.roll(seen, [])
            self.events += 1
            return
        wishes = self.wishes()
        due = [
            name
            for name, holding in pool.holdings.items()
            if holding.joined and not holding.closed and pool.flow >= holding.first + holding.count
        ]
        for name in due:
            pool.end_interval(pool.holdings[name])
        outgoing = [wish for wish in wishes if wish.kind is not Kind.DEPOSIT]
        incoming = [wish for wish in wishes if wish.kind is Kind.DEPOSIT]
        states = []
        for wish in outgoing:
            holding = pool.holdings[wish.stake.name]
            amount = self.money(wish.amount) if wish.kind is Kind.WITHDRAWAL else None
            states.append(
                pool.leave(holding, amount, wish.close_if_below_minimum) if not holding.closed else "failed"
            )
        for wish in incoming:
            if pool.units or unit_rules.first_units_allowed(exact_sum((pool.balance, pool.floating))):
                pool.deposit(pool.holdings[wish.stake.name], self.money(wish.amount))
        account.roll(seen, wishes)
        assert [wish.state for wish in outgoing] == states, (self.seed, states, outgoing)
        self.events += 1 + len(wishes) + len(due) + len(account.charges)

    def wishes(self) -> list[Wish]:
        """Nobody puts in and takes out at once."""
        drawn = [self.wish(number) for number in range(self.chance.randrange(0, 5))]
        into = {wish.stake.name for wish in drawn if wish.kind is Kind.DEPOSIT}
        return [wish for wish in drawn if wish.kind is Kind.DEPOSIT or wish.stake.name not in into]

    def wish(self, order: int) -> Wish:
        chance, pool = self.chance, self.pool
        held = [name for name, holding in pool.holdings.items() if holding.units]
        choice = chance.random()
        scale = 10**self.digits
        if not held or choice < 0.4:
            name = self.joins() if not held or chance.random() < 0.6 else chance.choice(held)
            amount = chance.randrange(1, chance.choice((30, 1000, 20000)) * scale)
            return Wish(
                str(order),
                Kind.DEPOSIT,
                self.account.stakes[name],
                amount + scale,
                order=order,
                collected=True,
            )
        stake = self.account.stakes[chance.choice(held)]
        if choice < 0.5:
            return Wish(str(order), Kind.CLOSE, stake, order=order)
        most = max(2, self.account.value(stake) * 12 // 10)
        return Wish(
            str(order), Kind.WITHDRAWAL, stake, chance.randrange(1, most), order=order,
            close_if_below_minimum=chance.random() < 0.5,
        )  # fmt: skip

    def joins(self) -> str:
        """Somebody new, under terms of his own."""
        chance, scale = self.chance, 10**self.digits
        self.made += 1
        name = f"investment {self.made}"
        basis = chance.choice(("flat", "yield", "net_worth"))
        bounds = {"flat": (), "yield": ("0.02", "0.10"), "net_worth": ("500", "4000")}[basis]
        rates = [Decimal(chance.randrange(0, 100)) / 100 for _ in range(len(bounds) + 1)]
        tiers = tuple(
            Tier(None if index == 0 else Decimal(bounds[index - 1]), rate) for index, rate in enumerate(rates)
        )
        entry = chance.choice(((), (Tier(None, Decimal("0.0175")), Tier(Decimal(500), Decimal("0.005")))))
        terms = FeeTerms(
            schedule=Schedule(Basis(basis), Mode(chance.choice(("whole", "marginal"))), tiers),
            lower_profit=chance.random() < 0.5,
            crystallises_whole=basis == "flat" and chance.random() < 0.5,
            management_rate=Decimal(chance.randrange(0, 500)) / 10000,
            entry=EntryFee(entry),
            subscription_amount=self.money(chance.randrange(0, 30 * scale)),
            volume_amount_per_lot=self.money(chance.randrange(0, 9 * scale)),
            early_exit_rate=Decimal(chance.choice((0, 0, 175))) / 10000,
            early_exit_until_interval_end=True,
            shares=Shares(Decimal("0.2"), (Decimal("0.1"), Decimal("0.05"))),
        )
        count, agents = chance.randrange(1, 5), chance.randrange(0, 3)
        least = chance.choice((0, 10 * scale))
        self.pool.holdings[name] = Holding(terms, count, agents, self.money(least))
        self.account.stakes[name] = Stake(
            name,
            name,
            self.rules(terms, count, least),
            agents=tuple(f"agent{level}" for level in range(agents)),
        )
        return name

    def rules(self, terms: FeeTerms, count: int, least: int) -> Rules:
        scale = 10**self.digits

        def tiers(rows: tuple[Tier, ...], by: int) -> Tiers:
            return Tiers(
                tuple(
                    (None if row.lower_bound is None else Fraction(row.lower_bound) * by, Fraction(row.rate))
                    for row in rows
                )
            )

        return Rules(
            basis=terms.schedule.basis.value,
            tiers=tiers(terms.schedule.tiers, scale if terms.schedule.basis is Basis.NET_WORTH else 1),
            mode=terms.schedule.mode.value,
            lower=terms.lower_profit,
            whole_on_withdrawal=terms.crystallises_whole,
            count=count,
            minimum_remaining=least,
            early_exit=Fraction(terms.early_exit_rate),
            early_exit_until_interval=True,
            management=Fraction(terms.management_rate),
            entry=tiers(terms.entry.tiers, scale) if terms.entry.tiers else None,
            subscription=int(terms.subscription_amount * scale),
            per_lot=int(terms.volume_amount_per_lot * scale),
            broker_share=Fraction(terms.shares.broker_rate),
            agent_shares=tuple(Fraction(rate) for rate in terms.shares.agent_rates),
        )

    def money(self, amount: int) -> Decimal:
        return Decimal(amount).scaleb(-self.digits)

    def differences(self) -> Iterator[str]:
        pool, account = self.pool, self.account
        if pool.balance != self.money(account.balance):
            yield f"balance {pool.balance} but {self.money(account.balance)} expected"
        for name, stake in account.stakes.items():
            holding = pool.holdings[name]
            pairs = {
                "units": (holding.units, Decimal(stake.units).scaleb(-12)),
                "paid out": (holding.paid_out, self.money(stake.paid_out)),
            }
            if stake.state == "active":
                pairs["mark"] = (holding.state.standing.high_water_mark, Decimal(stake.mark).scaleb(-12))
                pairs["debts"] = (
                    exact_sum(debt.amount for debt in holding.state.debts),
                    self.money(sum(owed for _, owed in stake.debts)),
                )
            for what, (has, expected) in pairs.items():
                if has != expected:
                    yield f"{name} {what}: {has} but {expected} expected; {stake.rules}"
        for party, received in account.received.items():
            if pool.received.get(party, ZERO) != self.money(received):
                yield f"{party} received {pool.received.get(party)} but {self.money(received)} expected"
