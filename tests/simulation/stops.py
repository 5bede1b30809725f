"""What the random broker's people do about stop loss and take profit, and its staff about suspensions.

Drawn of a stream of its own: without it a seed lives the life that it lived before there were stops.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from math import gcd
from typing import TYPE_CHECKING

from django.utils import timezone

from accounts.models import PammAccount
from allocation.models import Investment
from brokers.errors import Refusal
from investing import services as investing
from investing.models import Request
from investing.models import Stop as StopRow
from offers.services import TermsDraft
from tests.simulation import stop_rules
from tests.simulation.model import Account, Kind, Stake, Wish
from tests.simulation.stop_rules import Side

if TYPE_CHECKING:
    from tests.simulation.world import Pool, Simulation

WHOLE = 300_00
"""What is a whole number of these stands to a pool of them like small numbers: a price can be hit exactly."""
NEAR = 8
"""Percent off the present value, within which stops are set."""
SUDDEN = 0.004
"""How often staff suspends an account at a moment of a worker's turn, in a storm."""


class Stops:
    """The part of a simulation that has to do with stops and suspensions."""

    def __init__(self, simulation: Simulation, seed: int) -> None:
        self.world = simulation
        self.chance = random.Random(f"stops {seed}")
        self.sudden = random.Random(f"sudden {seed}")
        self.aims: dict[str, int] = {}
        """By name of the account, the equity that the market brings it to."""
        self.suspended_after: dict[str, int] = {}
        """By name of the account, its rollovers before staff suspended it and the model has not heard."""
        self.found: list[str] = []
        """What differed where no comparison at the end would see it."""

    # -- what people do

    def drafts(self, drafts: list[TermsDraft]) -> list[TermsDraft]:
        """Some offers lock money in and let nobody buy himself out."""
        if self.chance.random() < 0.5:
            place = self.chance.randrange(1, len(drafts))
            drafts[place] = self.locked(drafts[place])
        return drafts

    def locked(self, draft: TermsDraft) -> TermsDraft:
        days = self.chance.choice((1, 2, 3, 10))
        return replace(draft, lock_in_days=days, early_exit_rate=Decimal(0))

    def act(self, pool: Pool) -> None:
        if not pool.model.units and not pool.model.sequence and self.chance.random() < 0.6:
            self._try(self.join_in_whole_numbers, pool)
        acts = (
            *[self.protect] * 8, self.protect_both, self.remove, *[self.ask_for_more] * 3, self.confirm,
            *[self.lock] * 3, self.suspend, *[self.resume] * 3,
        )  # fmt: skip
        for _ in range(self.chance.randrange(0, 6)):
            self._try(self.chance.choice(acts), pool)
        if pool.model.units and self.chance.random() < 0.5:
            self._try(self.aim, pool)

    def _try(self, act, pool: Pool) -> None:  # type: ignore[no-untyped-def]
        self.world.events += 1
        self.world.let_pass(seconds=1)
        try:
            act(pool)
        except Refusal as refusal:
            self.world.note(f"{act.__name__} in {pool.model.name} refused: {refusal.code}")
            return
        self.world.note(f"{act.__name__} in {pool.model.name}")

    def stake(self, pool: Pool) -> tuple[Investment, Stake]:
        """Any that is active, now and then the manager's own."""
        active = list(self.world.active(pool))
        if not active:
            raise Refusal
        others = [one for one in active if not one.is_own_capital]
        investment = self.chance.choice(others if others and self.chance.random() < 0.95 else active)
        return investment, pool.model.stakes[str(investment.pk)]

    def protect(self, pool: Pool) -> None:
        investment, stake = self.stake(pool)
        side = self.chance.choice(list(Side))
        self.set(pool, investment, {side: self.near(pool.model.value(stake), side)})

    def protect_both(self, pool: Pool) -> None:
        investment, stake = self.stake(pool)
        value = pool.model.value(stake)
        gone = self.chance.choice((None, *Side))
        self.set(pool, investment, {side: None if side is gone else self.near(value, side) for side in Side})

    def near(self, value: int, side: Side) -> int:
        """An amount not far from the value; now and then right at it, or on the wrong side."""
        off = self.chance.choice((self.chance.randrange(1, max(2, value * NEAR // 100)),) * 6 + (1, 0, -1))
        return max(1, value - off if side is Side.LOSS else value + off)

    def set(self, pool: Pool, investment: Investment, amounts: dict[Side, int | None]) -> None:
        account = pool.model
        stake = account.stakes[str(investment.pk)]
        typed = {
            StopRow.Kind(side.value): None if amount is None else Decimal(amount).scaleb(-account.digits)
            for side, amount in amounts.items()
        }
        expected = stop_rules.why_not(
            account, stake, amounts, timezone.now(), closes=stake in self.closing(account)
        )
        what = f"stops {amounts} on investment {stake.name} worth {account.value(stake)}"
        try:
            investing.set_stops(investment=investment, amounts=typed, by=investment.owner)
        except Refusal as refusal:
            if refusal.code not in expected:
                self.found.append(f"{what} refused: {refusal.code} but {expected or 'taken'} expected")
            raise
        if expected:
            self.found.append(f"{what} taken but {expected} expected")
        stop_rules.set_stops(account, stake, amounts, timezone.now())
        self.world.note(what)

    def closing(self, account: Account) -> list[Stake]:
        """Investments of which somebody has asked for a close that has not ended."""
        return [
            wish.stake
            for wish in self.world.wishes.values()
            if wish.kind is Kind.CLOSE
            and wish.state == "confirmed"
            and account.stakes.get(wish.stake.name) is wish.stake
        ]

    def remove(self, pool: Pool) -> None:
        active = [stop for stop in pool.model.stops if stop.state == "active"]
        if not active:
            raise Refusal
        stop = self.chance.choice(active)
        investment = Investment.objects.select_related("owner", "account").get(pk=int(stop.stake.name))
        investing.remove_stop(investment=investment, kind=StopRow.Kind(stop.side.value), by=investment.owner)
        stop.state = "removed"

    def lock(self, pool: Pool) -> None:
        """Somebody with a stop agrees to terms that will lock him in for longer."""
        with_stops = {stop.stake.name for stop in pool.model.stops if stop.state == "active"}
        found = [one for one in self.world.active(pool) if str(one.pk) in with_stops]
        if not found:
            raise Refusal
        investment = self.chance.choice(found)
        draft = self.locked(self.chance.choice(self.world.drafts))
        self.world.revise(pool, investment, draft)

    def ask_for_more(self, pool: Pool) -> None:
        """A deposit that nobody has confirmed yet."""
        investment, _ = self.stake(pool)
        amount = str(self.chance.randrange(10, 300))
        self.world.note_request(pool, self.world.desk.add_money(investment, amount))

    def confirm(self, pool: Pool) -> None:
        request = Request.objects.filter(account=pool.row, state=Request.State.PENDING).order_by("pk").first()
        if request is None:
            raise Refusal
        request = investing.confirm_request(request=request, by=self.world.desk.dealer)
        wish = self.world.wishes[request.pk]
        assert request.confirmed_at is not None
        wish.state, wish.confirmed_at = "confirmed", request.confirmed_at

    # -- prices that hit a stop

    def join_in_whole_numbers(self, pool: Pool) -> None:
        """Two join so that one holds a whole number of `WHOLE`, and so does the pool, at the first price."""
        free = [
            offer for offer in pool.offers if self.world.rules[offer.terms.latest("version").pk].entry is None
        ]
        if not free:
            raise Refusal
        first, second = self.chance.sample(self.world.clients, 2)
        whole = self.chance.choice((1, 2, 3, 4, 7)) * WHOLE
        self.world.join_with(pool, first, self.chance.choice(free), whole)
        total = sum(self.invested(wish) for wish in self.deposits(pool.model))
        missing = -total % WHOLE
        if missing < 10_00:
            missing += WHOLE
        self.world.join_with(pool, second, self.chance.choice(free), missing)

    @staticmethod
    def invested(wish: Wish) -> int:
        entry = wish.stake.rules.entry
        if entry is None or wish.stake.is_own:
            return wish.amount
        return wish.amount - int(entry.whole(Fraction(wish.amount)) * wish.amount)

    def aim(self, pool: Pool) -> None:
        """Somebody sets a stop that a whole amount of equity hits exactly, and the market goes there, or a
        minor unit short of it or beyond. Where no amount does, near one that is there already.
        """
        account = pool.model
        exact = self.exact(pool)
        if exact is None:
            there = [stop for stop in account.stops if stop.state == "active"]
            if not there:
                raise Refusal
            stop = self.chance.choice(there)
            equity = round(stop.price * account.scale * Fraction(account.units, 10**12))
        else:
            investment, side, amount, equity = exact
            self.set(pool, investment, {side: amount})
        self.aims[account.name] = equity + self.chance.choice((-1, 0, 0, 0, 1))

    def exact(self, pool: Pool) -> tuple[Investment, Side, int, int] | None:
        """Investment, side, amount and the equity at which its value is exactly that, drawn of all."""
        found: list[tuple[Investment, Side, int, int]] = []
        account = pool.model
        for investment in self.world.active(pool).filter(is_own_capital=False):
            stake = account.stakes[str(investment.pk)]
            value, step = account.value(stake), stake.units // gcd(stake.units, account.units)
            if not stake.units or step > value * NEAR // 100:
                continue
            side, steps = self.chance.choice(list(Side)), value * NEAR // 100 // step
            off = self.chance.randrange(1, steps + 1)
            amount = (value // step - off if side is Side.LOSS else value // step + off) * step
            found.append((investment, side, amount, amount * account.units // stake.units))
        return self.chance.choice(found) if found else None

    def aimed(self, pool: Pool, equity: int) -> int:
        """The equity that the market brings the pool to: the one aimed at, or as drawn."""
        return self.aims.pop(pool.model.name, equity)

    # -- suspending

    def suspend(self, pool: Pool) -> None:
        if not pool.model.units or pool.model.is_suspended:
            raise Refusal
        self._suspend(pool)
        self.hear_of_suspension(pool, strictly=True)

    def resume(self, pool: Pool) -> None:
        if not pool.model.is_suspended:
            raise Refusal
        investing.resume_account(account=pool.row, by=self.world.desk.dealer, note="settled")
        pool.model.is_suspended = False

    def at(self, moment: str) -> None:
        """Staff may suspend an account while a worker is at it."""
        if self.sudden.random() >= SUDDEN:
            return
        pool = self.sudden.choice(self.world.pools)
        if pool.model.units and not pool.model.is_suspended and pool.model.name not in self.suspended_after:
            self._suspend(pool)
            self.world.note(f"suspends {pool.model.name} {moment}")

    def _suspend(self, pool: Pool) -> None:
        row = investing.suspend_account(account=pool.row, by=self.world.desk.dealer, note="look into it")
        self.suspended_after[pool.model.name] = PammAccount.objects.get(pk=row.pk).sequence

    def hear_of_suspension(self, pool: Pool, *, strictly: bool = False) -> None:
        """From here on the model's account is suspended, if the platform's was before its next rollover."""
        after = self.suspended_after.get(pool.model.name)
        if after is None or after > pool.model.sequence:
            return
        del self.suspended_after[pool.model.name]
        pool.model.is_suspended = True
        for wish in self.deposits(pool.model):
            wish.goes_back = True
        self.give_back(pool, strictly=strictly)

    # -- what goes back

    def deposits(self, account: Account) -> list[Wish]:
        """Those under way into the account."""
        return [
            wish
            for wish in self.world.wishes.values()
            if wish.kind is Kind.DEPOSIT
            and wish.state in ("pending", "confirmed")
            and account.stakes.get(wish.stake.name) is wish.stake
        ]

    def give_back(self, pool: Pool, *, strictly: bool) -> None:
        """Deposits that have to go back are back, unless (not `strictly`) their money is still on its way."""
        for wish in self.deposits(pool.model):
            if wish.stake.owner in pool.model.stopped:
                wish.goes_back = True
            if not wish.goes_back:
                continue
            request = Request.objects.get(pk=wish.order)
            may_stay = not strictly or request.collection_id is None
            if request.state == Request.State.COLLECTING and may_stay:
                continue
            wish.state = "returned"
            self.world.note(f"deposit {wish.order} goes back")
            if wish.collected:
                self.world.credit(wish.payer or self.world.login_of_stake(wish.stake), wish.amount)
            self.world.never_joined(wish)

    # -- comparing

    def adopt_closes(self, pool: Pool) -> None:
        """The platform's requests for the closes that the model's stops have asked for."""
        for wish in pool.model.stop_closes:
            self.world.note(f"{wish.origin} of {wish.stake.name} reached: {wish.state} {wish.reason}")
            request = Request.objects.filter(
                investment=int(wish.stake.name),
                kind=Request.Kind.CLOSE,
                origin=wish.origin,
                created_at=wish.confirmed_at,
            ).first()
            if request is None:
                self.found.append(f"a {wish.origin} of investment {wish.stake.name} was not reached")
                continue
            wish.order = request.pk
            self.world.wishes[request.pk] = wish

    def compare(self, pool: Pool) -> Iterator[str]:
        yield from self.found
        account, name = pool.model, f"account {pool.row.pk}"
        row = PammAccount.objects.get(pk=pool.row.pk)
        state = PammAccount.State.SUSPENDED if account.is_suspended else PammAccount.State.ACTIVE
        if row.state != state:
            yield f"{name} is {row.state} but {state} expected"
        expected: dict[tuple[str, str], list[object]] = {}
        for stop in account.stops:
            figures = (stop.state, stop.amount, stop.price, stop.reached_at)
            expected.setdefault((stop.stake.name, stop.side.value), []).append(figures)
        has: dict[tuple[str, str], list[object]] = {}
        for found in StopRow.objects.filter(account=row).select_related("reached").order_by("id"):
            amount = int(found.amount.scaleb(account.digits))
            reached = None if found.reached is None else found.reached.sequence
            figures = (str(found.state), amount, Fraction(found.price), reached)
            has.setdefault((str(found.investment_id), str(found.kind)), []).append(figures)
        for key in sorted({*expected, *has}):
            if has.get(key) != expected.get(key):
                yield f"{name} stops {key}: {has.get(key)} but {expected.get(key)} expected"
        closes = Request.objects.filter(account=row, origin__in=Request.STOP_ORIGINS)
        for request in closes.exclude(pk__in=self.world.wishes):
            yield f"{name} request {request.pk}: a {request.origin} that was not reached"
        ended = Investment.objects.filter(account=row, state=Investment.State.CLOSED)
        for key_, reason in ended.values_list("pk", "end_reason"):
            by_stop = account.stakes[str(key_)].ended_by != "owner"
            if (reason == Investment.EndReason.STOP) != by_stop:
                yield f"{name} investment {key_} ended by {reason}, by a stop expected: {by_stop}"
