"""One seed's broker: its accounts, people and what happens to them, on the real services, and beside them the
model.

`Simulation.hour` lets time pass, lets people and markets act, orders rollovers and carries them out until
nothing is under way; `Simulation.compare` then says every figure in which the platform and the model differ.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import HouseAccount, PammAccount, PersonalAccount
from accounts.services import introduce_client, make_agent
from allocation.models import Investment
from brokers.errors import Refusal
from fees.calc.schedule import Tier
from fees.models import Charge
from fees.queries import figures_of, with_figures
from investing import services as investing
from investing.models import Request
from offers.models import Offer, Terms
from offers.services import TermsDraft, revise_terms
from rollover.models import CountedDeal, Decision, Rollover, Schedule
from rollover.services import (
    Choice,
    differences_of,
    dispatch_due_rollovers,
    order_rollover,
    release_account,
    roll_over,
    settle_open_transfers,
)
from rollover.verification import verify_account, verify_ledger, verify_with_server
from tests.circle.world import INDEX, INDEX_PRICE, Calendar, Desk, login_of, random_terms, share_as_standard
from tests.simulation import model
from tests.simulation.interruptions import Crash, forget_connections, watched
from tests.simulation.model import Account, Kind, Rules, Snapshot, Stake, Tiers, Wish
from tests.simulation.model import Charge as ExpectedCharge
from tests.simulation.stops import Stops
from tests.worlds import person
from transfers.models import Leg, Transfer

DIGITS = 2
CLIENTS = 6
ENOUGH_FOR_A_LOT = Decimal(100)
"""What a position binds, and the commission."""
ACCOUNTS = 2


@dataclass(frozen=True)
class Troubles:
    """What goes wrong: `storms` of the hours; in these, at each moment of a worker's turn, a worker dies with
    the chance `crashes`, and another gets his turn in between with `others`.

    `calm_workers` take their turns in between in calm hours, too.
    """

    storms: float = 0.6
    crashes: float = 0.02
    others: float = 0.02
    calm_workers: float = 0.0


LATE = 0.03
"""Seconds of the simulated server's own time, which no seed moves."""
STORMY_TURNS = 8
MOST_TURNS = 30
FAULTS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("drop_before", "trade/balance", {}),
    ("drop_before", "trade/balance", {}),
    ("drop_after", "trade/balance", {}),
    ("drop_after", "trade/balance", {}),
    ("apply_late", "trade/balance", {"seconds": LATE}),
    ("forbid", "trade/balance", {}),
    ("forbid", "user/account/*", {}),
    ("drop_before", "deal/*", {}),
    ("drop_before", "user/account/*", {}),
    ("empty", "deal/*", {}),
    ("partial", "deal/*", {"code": 14}),
    ("refuse", "trade/balance", {"code": 10019}),
    ("refuse", "deal/*", {"code": 9}),
    ("refuse", "user/account/*", {"code": 12}),
    ("double", "deal/*", {}),
    ("lie", "user/account/*", {"fields": {"Equity": "0.01"}}),
    ("lie", "user/account/*", {"fields": {"Balance": "1.00", "Equity": "1.00"}}),
)
"""Kind, command, what else it takes. None of them changes what is true."""


class Unsettled(Exception):
    """Something is still under way after every turn: what."""


def minor(amount: Decimal) -> int:
    """In cents; the amount is whole ones."""
    whole = int(amount.scaleb(DIGITS))
    assert Decimal(whole).scaleb(-DIGITS) == amount, amount
    return whole


def rules_of(draft: TermsDraft) -> Rules:
    """The model's form of an offer's terms."""
    schedule = draft.schedule
    in_money = schedule.basis == "net_worth"

    def tiers(rows: tuple[Tier, ...], money: bool) -> Tiers:
        scale = 10**DIGITS if money else 1
        return Tiers(
            tuple(
                (None if row.lower_bound is None else Fraction(row.lower_bound) * scale, Fraction(row.rate))
                for row in rows
            )
        )

    return Rules(
        basis=str(schedule.basis.value),
        tiers=tiers(schedule.tiers, in_money),
        mode=str(schedule.mode.value),
        lower=draft.profit_basis == Terms.ProfitBasis.LOWER,
        whole_on_withdrawal=draft.on_withdrawal == Terms.OnWithdrawal.WHOLE,
        unit=str(draft.interval_unit),
        count=draft.interval_count,
        own_anchor=draft.interval_anchor == Terms.IntervalAnchor.OWN,
        minimum_remaining=minor(draft.minimum_remaining),
        lock_in_days=draft.lock_in_days,
        early_exit=Fraction(draft.early_exit_rate),
        early_exit_until_interval=draft.early_exit_until == Terms.EarlyExitUntil.INTERVAL,
        management=Fraction(draft.management_rate),
        entry=tiers(draft.entry_tiers, True) if draft.entry_tiers else None,
        subscription=minor(draft.subscription_amount),
        per_lot=minor(draft.volume_amount_per_lot),
        broker_share=Fraction(draft.broker_share_rate),
        agent_shares=tuple(Fraction(rate) for rate in draft.agent_share_rates),
    )


@dataclass
class Pool:
    """A PAMM account of the seed: the platform's row, the model's account, what the market did since."""

    row: PammAccount
    model: Account
    offers: list[Offer] = field(default_factory=list)
    closed_lots: Fraction = Fraction(0)
    charged: dict[int, list[ExpectedCharge]] = field(default_factory=dict)
    """By number of the rollover, those of this hour."""

    @property
    def login(self) -> int:
        return login_of(self.row)


class Simulation:
    """See the module. What people and markets do is drawn of `chance`, what goes wrong of `luck`."""

    def __init__(
        self, desk: Desk, calendar: Calendar, seed: int, troubles: Troubles, *, with_stops: bool
    ) -> None:
        self.desk, self.calendar, self.troubles = desk, calendar, troubles
        self.chance = random.Random(seed)
        self.luck = random.Random(f"luck {seed}")
        self.stops = Stops(self, seed) if with_stops else None
        self.balances: dict[int, int] = {}
        """By login: what stands on personal and house accounts."""
        self.paid_now: defaultdict[int, int] = defaultdict(int)
        """By login: what came in at the present hour."""
        self.wishes: dict[int, Wish] = {}
        self.rules: dict[int, Rules] = {}
        """By primary key of the terms."""
        self.payees: dict[str, int | None] = {}
        """Login of whoever shares in fees; None while he has none."""
        self.events = 0
        # Of the present hour: whether something goes wrong, deposits are refused, calls are carried out late.
        self.storm = self.had_storm = self.refuses = self.is_late = False
        self.strange: dict[int, tuple[Pool, int]] = {}
        """Operations by others that no rollover has counted: by ticket."""
        self.is_live, self.index = True, INDEX_PRICE
        self.schedule = Schedule.objects.create(next_at=timezone.now() + timedelta(days=1000))
        desk.broker.freeze_minutes = self.chance.choice((0, 0, 0, 1))
        self.log: list[str] = []
        self.clients: list[PersonalAccount] = []
        self.pools: list[Pool] = []
        self._people()
        for number in range(ACCOUNTS):
            self._open(number)

    # -- setting up

    def _people(self) -> None:
        desk = self.desk
        for house in HouseAccount.objects.filter(currency="USD"):
            self.balances[house.login] = 1000_00
            if house.purpose == HouseAccount.Purpose.SUSPENSE:
                self.suspense = house.login
        income = desk.simulator.add_account("house\\USD", "0")
        HouseAccount.objects.create(
            server=desk.server,
            purpose=HouseAccount.Purpose.INCOME,
            currency="USD",
            currency_digits=DIGITS,
            login=income,
        )
        self.balances[income] = 0
        self.payees["broker"] = income
        upper = make_agent(user=person("upper@a.example"), by=None)
        self.lower_account = self._personal("lower", "0")
        lower = make_agent(user=self.lower_account.user, parent=upper, by=None)
        self.payees[str(upper.public_id)] = None
        self.payees[str(lower.public_id)] = self.lower_account.login
        self.agents: dict[int, tuple[str, ...]] = {}
        for number in range(CLIENTS):
            client = self._personal(f"client{number}", "5000")
            agent = self.chance.choice((lower, lower, upper, None))
            introduce_client(personal_account=client, agent=agent, by=None)
            chain = {lower.pk: (lower, upper), upper.pk: (upper,)}.get(agent.pk if agent else 0, ())
            self.agents[client.pk] = tuple(str(one.public_id) for one in chain)
            self.clients.append(client)

    def _personal(self, name: str, amount: str) -> PersonalAccount:
        account = self.desk.client(name, amount)
        self.balances[account.login] = minor(Decimal(amount))
        return account

    def _open(self, number: int) -> None:
        income = self._personal(f"manager{number}", "20000")
        row = self.desk.pamm_account(income, "1000.00", name=f"Pool {number}")
        self.payees[str(row.manager.public_id)] = income.login
        pool = Pool(
            row, Account(str(row.pk), str(row.manager.public_id), DIGITS, minor(row.minimum_own_capital))
        )
        self.drafts = [random_terms(self.chance) for _ in range(4)]
        if self.stops is not None:
            self.drafts = self.stops.drafts(self.drafts)
        share_as_standard(self.desk, self.drafts[0])
        for index, draft in enumerate(self.drafts):
            offer = self.desk.offer(row, draft, name=f"Offer {index}")
            self._known(offer.terms.latest("version"), draft)
            pool.offers.append(offer)
        self.pools.append(pool)
        own = Investment.objects.get(account=row, is_own_capital=True)
        self.note_request(pool, Request.objects.get(investment=own))

    def _known(self, terms: Terms, draft: TermsDraft) -> Rules:
        return self.rules.setdefault(terms.pk, rules_of(draft))

    def note_request(self, pool: Pool, request: Request) -> None:
        """A request the platform has taken: the model has it from the moment it is confirmed."""
        request.refresh_from_db()
        investment = request.investment
        stake = pool.model.stakes.get(str(investment.pk))
        if stake is None:
            stake = Stake(
                str(investment.pk),
                str(investment.owner_id),
                self.rules[investment.terms_id] if investment.terms_id else model.FREE,
                is_own=investment.is_own_capital,
                agents=self.agents.get(investment.personal_account_id, ()),
            )
            pool.model.stakes[stake.name] = stake
        if request.state in (Request.State.PENDING, Request.State.CONFIRMED):
            self.wishes[request.pk] = Wish(
                str(request.pk),
                Kind(request.kind),
                stake,
                minor(request.amount) if request.amount is not None else 0,
                request.confirmed_at or model.NEVER,
                request.pk,
                request.close_if_below_minimum,
                payer=request.paid_by.login if request.paid_by is not None else None,
                state=str(request.state),
            )

    # -- an hour

    def hour(self) -> None:
        self.let_pass(hours=self.chance.choice((1, 1, 2, 5, 24, 31)))
        if self.chance.random() < 0.1:
            self.pass_to_midnight()
        for pool in self.pools:
            for _ in range(self.chance.randrange(0, 5)):
                self.somebody_acts(pool)
            if self.stops is not None:
                self.stops.act(pool)
            self.trade(pool)
            if pool.model.units and self.chance.random() < 0.1:
                self.strange_hand(pool)
        if self.chance.random() < 0.1:
            # The session is over: nobody has given a price for long.
            self.is_live = False
            self.desk.simulator.set_tick(INDEX, self.index, self.index, age_seconds=600)
            self.note("the last price is an old one")
        self.let_pass(seconds=self.chance.choice((1, 2, 3, 4, 90)))
        self.roll()

    def pass_to_midnight(self) -> None:
        """Shortly before or after the trading server's day changes."""
        local = timezone.now().astimezone(ZoneInfo(self.desk.server.time_zone))
        midnight = local.replace(hour=0, minute=0, second=0) + timedelta(days=1)
        self.let_pass(seconds=int((midnight - local).total_seconds()) + self.chance.randrange(-600, 600))

    def strange_hand(self, pool: Pool) -> None:
        """Somebody at the broker puts money into a PAMM account by hand, or takes it out."""
        most = self.chance.choice((3_00, 6_00, 150_00))
        amount = self.chance.choice((-1, 1)) * self.chance.randrange(1, most)
        ticket = self.desk.simulator.adjust_as_dealer(pool.login, _money(amount))
        self.strange[ticket] = (pool, amount)
        self.note(f"strange hand {ticket}: {_money(amount)} in {pool.model.name}")

    def let_pass(self, *, hours: int = 0, seconds: int = 0) -> None:
        if self.is_late:
            # In the time of all look-ups a server has carried out what it accepted; only ours flies.
            self.desk.simulator.finish_late_calls()
        self.calendar.let_pass(hours=hours, seconds=seconds)

    def somebody_acts(self, pool: Pool) -> None:
        act = self.chance.choice(
            (
                self.join,
                self.join,
                self.join,
                self.add,
                self.take,
                self.take,
                self.leave,
                self.renew,
                self.own,
                self.cancel,
            )
        )
        self.events += 1
        self.let_pass(seconds=1)
        try:
            act(pool)
        except Refusal:
            return
        self.note(f"{act.__name__} in {pool.model.name}")

    def amount(self, most: int) -> str:
        return str(Decimal(self.chance.randrange(1000, most * 100)) / 100)

    def join(self, pool: Pool) -> None:
        client, offer = self.chance.choice(self.clients), self.chance.choice(pool.offers)
        investment = self.desk.invest(client, offer, self.amount(self.chance.choice((30, 800, 6000))))
        self.note_request(pool, Request.objects.get(investment=investment))

    def join_with(self, pool: Pool, client: PersonalAccount, offer: Offer, amount: int) -> None:
        investment = self.desk.invest(client, offer, str(_money(amount)))
        self.note_request(pool, Request.objects.get(investment=investment))

    def add(self, pool: Pool) -> None:
        request = self.desk.add_money(self.investment(pool), self.amount(400))
        if request.state == Request.State.PENDING:
            investing.confirm_request(request=request, by=self.desk.dealer)
        self.note_request(pool, request)

    def take(self, pool: Pool) -> None:
        investment = self.investment(pool)
        self.note_request(
            pool,
            self.desk.withdraw(
                investment, self.amount(500), close_if_below_minimum=self.chance.random() < 0.5
            ),
        )

    def leave(self, pool: Pool) -> None:
        self.note_request(pool, self.desk.close(self.investment(pool)))

    def own(self, pool: Pool) -> None:
        """The manager adds to his own capital or takes of it."""
        own = self.active(pool).filter(is_own_capital=True).first()
        if own is None:
            raise Refusal
        flow = self.desk.add_money if self.chance.random() < 0.5 else self.desk.withdraw
        self.note_request(pool, flow(own, self.amount(300)))

    def renew(self, pool: Pool) -> None:
        investment = self.investment(pool)
        self.revise(pool, investment, self.chance.choice(self.drafts))

    def revise(self, pool: Pool, investment: Investment, draft: TermsDraft) -> None:
        """Its offer gets newer terms, and its owner agrees."""
        assert investment.terms is not None
        newer = revise_terms(offer=investment.terms.offer, terms=draft, by=pool.row.manager.user)
        rules = self._known(newer, draft)
        investing.accept_terms(investment=investment, terms=newer, by=investment.owner)
        pool.model.stakes[str(investment.pk)].accepted = rules

    def cancel(self, pool: Pool) -> None:
        """Somebody takes a request back that no rollover has begun."""
        request = (
            Request.objects.filter(account=pool.row, state=Request.State.CONFIRMED).order_by("pk").first()
        )
        if request is None or request.investment.is_own_capital:
            raise Refusal
        investing.cancel_request(request=request, by=request.investment.owner)
        wish = self.wishes[request.pk]
        wish.state, wish.reason = "cancelled", "cancelled"
        self.never_joined(wish)

    def active(self, pool: Pool) -> QuerySet[Investment]:
        return (
            Investment.objects.filter(account=pool.row, state=Investment.State.ACTIVE)
            .select_related("owner", "terms__offer", "account", "personal_account__server")
            .order_by("pk")
        )

    def investment(self, pool: Pool) -> Investment:
        active = list(self.active(pool).filter(is_own_capital=False))
        if not active:
            raise Refusal
        return self.chance.choice(active)

    def trade(self, pool: Pool) -> None:
        """Close what is open, earn or lose something, now and then leave the position open."""
        self.flatten(pool)
        # In a storm the money that the model knows of may still be on its way.
        if not pool.model.units or self.desk.balance(pool.login) < ENOUGH_FOR_A_LOT:
            return
        change = self.chance.randrange(-900, 1000)
        move = pool.model.balance * change // 10000
        if self.stops is not None:
            move = self.stops.aimed(pool, pool.model.balance + move) - pool.model.balance
        if not move:
            return
        amount = Decimal(move).scaleb(-DIGITS)
        self.spare_others(pool, INDEX_PRICE + min(amount, Decimal(0)))
        self.desk.hold(pool.row, amount)
        self.is_live, self.index = True, INDEX_PRICE + amount
        if self.chance.random() > 0.2:
            self.flatten(pool)
        self.events += 1

    def spare_others(self, pool: Pool, lowest: Decimal) -> None:
        """Close positions of other pools that would be stopped out on the way: the model knows no margin."""
        for other in self.pools:
            if other is not pool and self.desk.gateway.positions([other.login])[other.login]:
                state = self.desk.gateway.account_states([other.login])[other.login]
                if state.equity + lowest - self.index < ENOUGH_FOR_A_LOT:
                    self.flatten(other)

    def flatten(self, pool: Pool) -> None:
        """Close all positions: the floating result becomes the balance's."""
        state = self.desk.gateway.account_states([pool.login])[pool.login]
        open_now = self.desk.gateway.positions([pool.login])[pool.login]
        if not open_now:
            return
        pool.model.balance += minor(state.equity - state.balance - state.credit)
        pool.closed_lots += sum(Fraction(position.volume) for position in open_now)
        self.desk.flatten(pool.row)

    # -- a rollover

    def roll(self) -> None:
        """Order a rollover of every account and carry it out until nothing is under way, whatever happens."""
        self.storm = self.had_storm = self.luck.random() < self.troubles.storms
        self.refuses = self.is_late = False
        if self.storm:
            self.arm_faults()
        rows = list(PammAccount.objects.filter(pk__in=[pool.row.pk for pool in self.pools], is_held=False))
        if self.chance.random() < 0.5:
            order_rollover(accounts=rows, by=self.desk.dealer)
        else:
            Schedule.objects.filter(pk=self.schedule.pk).update(next_at=timezone.now())
            dispatch_due_rollovers()
        self.carry_out()
        self.paid_now.clear()
        for pool in self.pools:
            pool.charged = {}
            for rollover in self.new_points(pool):
                if self.stops is not None:
                    self.stops.hear_of_suspension(pool)
                self.follow(pool, rollover)
                pool.charged[pool.model.sequence] = pool.model.charges
            if self.stops is not None:
                self.stops.hear_of_suspension(pool)

    def carry_out(self) -> None:
        for turn in range(MOST_TURNS):
            if turn == STORMY_TURNS:
                self.storm = False
                self.desk.simulator.clear_faults()
            if turn and self.is_settled():
                break
            self.turn(crashes=self.storm)
            if self.storm:
                self.let_pass(seconds=self.luck.choice((0, 2, 5, 20)))
            elif turn >= STORMY_TURNS:
                # What was refused is tried again at last after half an hour.
                self.let_pass(seconds=20 if turn % 5 else 2000)
            self.release()
        else:
            raise Unsettled(self.what_is_open())
        self.storm = False
        self.desk.simulator.clear_faults()

    def is_settled(self) -> bool:
        return not self.what_is_open()

    def what_is_open(self) -> list[str]:
        rollovers = Rollover.objects.filter(state__in=Rollover.OPEN_STATES)
        legs = Leg.objects.exclude(state=Leg.State.APPLIED).exclude(transfer__state=Transfer.State.REFUSED)
        held = PammAccount.objects.filter(is_held=True).exclude(hold_reason="wiped_out")
        return [
            *(f"rollover {row.pk} {row.state} {row.reason_code}" for row in rollovers),
            *(
                f"leg {leg.key} {leg.state} {leg.refusal_text}: {leg.amount} on {leg.login} "
                f"with {self.desk.balance(leg.login)} for {leg.transfer.purpose}, tried {leg.attempts} times"
                for leg in legs
            ),
            *(f"account {row.pk} held: {row.hold_reason} {row.hold_details}" for row in held),
        ]

    def turn(self, *, crashes: bool, depth: int = 0) -> None:
        """A worker does something of what there is to do, and perhaps dies of it."""
        keys = list(
            Rollover.objects.filter(state__in=Rollover.OPEN_STATES)
            .order_by("pk")
            .values_list("pk", flat=True)
        )
        self.luck.shuffle(keys)
        if keys and self.luck.random() < 0.3:
            keys = keys[: self.luck.randrange(1, len(keys) + 1)]
        settles = not keys or self.luck.random() < 0.25
        try:
            with watched(partial(self.at, crashes, depth)):
                if settles:
                    settle_open_transfers()
                else:
                    roll_over(keys)
        except Crash as crash:
            self.note(f"killed {crash}")
            forget_connections()
            if depth == 0:
                self.let_pass(seconds=int(settings.ROLLOVER_LEASE_SECONDS) + 1)

    def at(self, crashes: bool, depth: int, moment: str) -> None:
        """What may happen at a moment of a worker's turn."""
        self.events += 1
        luck = self.luck.random()
        if crashes and luck < self.troubles.crashes:
            raise Crash(moment)
        # Inside a transaction another hand would not see what this one has written.
        interrupts = depth == 0 and not connection.in_atomic_block and "commit" not in moment
        if crashes and interrupts and self.stops is not None:
            self.stops.at(moment)
        others = self.troubles.others if crashes else self.troubles.calm_workers
        if interrupts and self.luck.random() < others:
            self.note(f"another worker's turn {moment}")
            # Between intent and call no worker may sleep longer than all look-ups take: nothing could tell it
            # from a dead one, and the trading server does not refuse a key it has seen.
            is_sending = moment.startswith("before trade") or "auth/" in moment
            if crashes and self.luck.random() < 0.3 and not is_sending:
                self.let_pass(seconds=int(settings.ROLLOVER_LEASE_SECONDS) + 1)
            self.turn(crashes=crashes, depth=1)

    def arm_faults(self) -> None:
        for _ in range(self.luck.randrange(0, 3)):
            kind, command, more = self.luck.choice(FAULTS)
            skip, calls = self.luck.randrange(4), self.luck.choice((1, 1, 1, 2, 4))
            self.is_late |= kind == "apply_late"
            self.refuses |= (kind, command) == ("refuse", "trade/balance")
            self.note(f"fault {kind} {command} after {skip}, {calls} times")
            # Whatever a personal account is said to hold can only be believed.
            login = self.luck.choice(self.pools).login if kind == "lie" else 0
            self.desk.simulator.arm_fault(kind, command, skip=skip, calls=calls, login=login, **more)
        if self.luck.random() < 0.1:
            self.desk.simulator.hide_idle_states()
            self.note("accounts without positions have no state")
        if self.luck.random() < 0.1:
            self.desk.simulator.shift_time_zone(60)
            self.note("the server's clock is an hour ahead of its zone")
        if self.luck.random() < 0.2:
            self.desk.simulator.delay_deals(self.luck.randrange(1, 10))
            self.note("deals are shown late")

    def release(self) -> None:
        """The dealer lets held accounts go on once the server behaves again, and says whose the differences
        are.
        """
        if self.storm:
            return
        for row in PammAccount.objects.filter(is_held=True).exclude(hold_reason="wiped_out").order_by("pk"):
            # What only an answer said that was not true needs no word: it is gone.
            choices = [
                self.choice(difference.ticket)
                for difference in differences_of(row)
                if difference.ticket is not None and difference.ticket in self.strange
            ]
            said = ", ".join(f"{choice.ticket} {choice.kind}" for choice in choices)
            self.note(f"release {row.pk}: {row.hold_reason}: {said}")
            self.desk.simulator.clear_faults()
            release_account(account=row, by=self.desk.dealer, note="looked at", choices=choices)
            (pool,) = (pool for pool in self.pools if pool.row.pk == row.pk)
            for request in Request.objects.filter(account=row, origin=Request.Origin.RECONCILIATION):
                if request.pk not in self.wishes:
                    self.note_request(pool, request)
            row.refresh_from_db()
            # Two rollovers of an account never have the same moment.
            self.let_pass(seconds=1)
            order_rollover(accounts=[row], by=self.desk.dealer)

    def choice(self, ticket: int) -> Choice:
        """What the dealer says of one difference."""
        pool, amount = self.strange[ticket]
        kinds = [Decision.Kind.RESULT, Decision.Kind.UNDONE, Decision.Kind.DEPOSIT]
        takes_money = PammAccount.objects.get(pk=pool.row.pk).state == PammAccount.State.ACTIVE
        kind = self.luck.choice(kinds[: 3 if amount > 0 and takes_money else 2])
        if kind == Decision.Kind.DEPOSIT:
            for investment in self.active(pool):
                busy = Request.objects.filter(
                    investment__owner=investment.owner, state__in=Request.OPEN_STATES
                )
                if not busy.exists():
                    return Choice(ticket, kind, investment)
            kind = Decision.Kind.UNDONE
        return Choice(ticket, kind)

    def note(self, what: str) -> None:
        self.log.append(f"{timezone.now():%d %H:%M:%S} {what}")

    def new_points(self, pool: Pool) -> list[Rollover]:
        found = Rollover.objects.filter(account=pool.row, price_point__sequence__gt=pool.model.sequence)
        return list(found.select_related("price_point").order_by("price_point__sequence"))

    def follow(self, pool: Pool, rollover: Rollover) -> None:
        """The model's own rollover of the account."""
        account, point = pool.model, rollover.price_point
        assert point is not None
        cutoff = rollover.ordered_at
        if rollover.ordered_by_id is None:
            cutoff = rollover.scheduled_for - timedelta(minutes=self.desk.broker.freeze_minutes)
        self.settle_strange(pool, rollover)
        wishes = [
            wish
            for wish in self.wishes.values()
            if wish.stake.name in account.stakes and wish.state == "confirmed" and wish.confirmed_at <= cutoff
        ]
        self.collect(wishes, account)
        executed = set(Request.objects.filter(unit_entry__price_point=point).values_list("pk", flat=True))
        state = self.desk.gateway.account_states([pool.login])[pool.login]
        positions = self.desk.gateway.positions([pool.login])[pool.login]
        before = account.exchanged
        received = account.received.copy()
        floating = minor(state.equity - state.balance - state.credit)
        free = max(0, min(account.balance, account.balance + floating - minor(state.margin)))
        now = [wish for wish in wishes if wish.state == "confirmed"]
        waits = self.why_nothing_moves(point.priced_at, bool(positions))
        if self.had_storm and not waits:
            # What the server refused or did not answer in time comes with the next rollover.
            now = [wish for wish in now if wish.kind is not Kind.DEPOSIT or wish.order in executed]
        if self.stops is not None:
            account.closing = self.stops.closing(account)
        account.roll(
            Snapshot(
                point.priced_at,
                account.balance,
                floating,
                bool(positions),
                free,
                pool.closed_lots,
                waits,
                cutoff,
            ),
            now,
        )
        closes = account.stop_closes
        if self.stops is not None:
            self.stops.adopt_closes(pool)
            self.stops.give_back(pool, strictly=not (self.had_storm or waits))
        pool.closed_lots = Fraction(0)
        rounding = HouseAccount.objects.get(purpose=HouseAccount.Purpose.ROUNDING, currency="USD").login
        self.balances[rounding] -= account.exchanged - before
        for wish in [*wishes, *closes]:
            if wish.state == "executed" and wish.kind is not Kind.DEPOSIT:
                self.credit(self.login_of_stake(wish.stake), wish.paid)
        for party, amount in account.received.items():
            login = self.payees[party]
            if login is not None:
                self.credit(login, amount - received[party])

    def credit(self, login: int, amount: int) -> None:
        self.balances[login] += amount
        self.paid_now[login] += amount

    def why_nothing_moves(self, at: datetime, has_positions: bool) -> str:
        """Why this rollover only records: an old price where something is open, or the server's midnight."""
        broker = self.desk.broker
        if has_positions and not self.is_live:
            return "no_live_price"
        local = at.astimezone(ZoneInfo(self.desk.server.time_zone))
        since = timedelta(hours=local.hour, minutes=local.minute, seconds=local.second)
        near = min(since, timedelta(days=1) - since)
        return "quiet_window" if near < timedelta(minutes=broker.quiet_minutes) else ""

    def settle_strange(self, pool: Pool, rollover: Rollover) -> None:
        """What became of operations by others that this rollover has counted."""
        counted = CountedDeal.objects.filter(price_point=rollover.price_point, ticket__in=self.strange)
        for ticket in counted.values_list("ticket", flat=True):
            _, amount = self.strange.pop(ticket)
            decision = Decision.objects.get(account=pool.row, ticket=ticket)
            if decision.made_by_id is None:
                self.require_small(decision)
            if decision.kind == Decision.Kind.RESULT:
                pool.model.balance += amount
            else:
                self.balances[self.suspense] += amount

    def require_small(self, decision: Decision) -> None:
        """Without a person only so much is undone on an account and day."""
        day = decision.made_at.date()
        undone = Decision.objects.filter(account=decision.account, made_by=None, made_at__date=day)
        assert sum(abs(one.amount) for one in undone) <= self.desk.broker.foreign_limit, decision

    def collect(self, wishes: list[Wish], account: Account) -> None:
        """The money of deposits leaves the personal accounts, oldest confirmation first."""
        own = any(stake.is_own and stake.state == "active" for stake in account.stakes.values())
        own = own or any(wish.stake.is_own for wish in wishes)
        deposits = [wish for wish in wishes if wish.kind is Kind.DEPOSIT and not wish.collected]
        failed = dict(
            Request.objects.filter(
                pk__in=[wish.order for wish in deposits], state=Request.State.FAILED
            ).values_list("pk", "reason_code")
        )
        promised: defaultdict[int, int] = defaultdict(int)
        for wish in sorted(deposits, key=lambda wish: (wish.confirmed_at, wish.order)):
            if not own:
                wish.reason = "own_capital_missing"
                continue
            login = wish.payer or self.login_of_stake(wish.stake)
            reason = failed.get(wish.order)
            # What this hour's rollovers pay may come before or after what they collect.
            surely = self.balances[login] - self.paid_now[login] - promised[login]
            if (reason == "refused_by_trading_server" and self.refuses) or (
                reason == "personal_balance_too_low" and surely < wish.amount
            ):
                wish.state, wish.reason = "failed", reason
                self.never_joined(wish)
                promised[login] += wish.amount if self.refuses else 0
                continue
            self.balances[login] -= wish.amount
            wish.collected = True

    def never_joined(self, wish: Wish) -> None:
        """Its first deposit has come to nothing, and there is no other."""
        others = (
            other
            for other in self.wishes.values()
            if other.stake is wish.stake and other.state == "confirmed"
        )
        if wish.stake.state == "pending" and wish.kind is Kind.DEPOSIT and not any(others):
            wish.stake.state = "cancelled"

    def login_of_stake(self, stake: Stake) -> int:
        return int(
            Investment.objects.values_list("personal_account__login", flat=True).get(pk=int(stake.name))
        )

    # -- comparing

    def compare(self) -> list[str]:
        """Every figure in which the platform and the model differ."""
        found: list[str] = []
        for pool in self.pools:
            found += self._compare_pool(pool)
        states = self.desk.gateway.account_states(self.balances)
        for login, expected in self.balances.items():
            differs = _differs(f"balance of {login}", states[login].balance, _money(expected))
            found += [*differs, *self._statement(login)] if differs else []
        return found

    def _statement(self, login: int) -> Iterator[str]:
        """What moved an account's balance, here and there, for whoever reads of a difference."""
        now = timezone.now()
        for deal in self.desk.gateway.deals([login], now - timedelta(days=60), now + timedelta(days=1))[
            login
        ]:
            yield f"  deal {deal.ticket} {deal.at:%d %H:%M:%S} {deal.amount} {deal.comment}"
        for leg in Leg.objects.filter(login=login).order_by("pk"):
            yield (
                f"  leg {leg.key} {leg.state} {leg.amount} {leg.ticket}, tried {leg.attempts} times: "
                f"{leg.transfer.purpose} {leg.transfer.state}"
            )

    def _compare_pool(self, pool: Pool) -> Iterator[str]:
        account = pool.model
        row = PammAccount.objects.get(pk=pool.row.pk)
        name = f"account {row.pk}"
        yield from _differs(f"{name} units", row.units, _units(account.units))
        yield from _differs(f"{name} equity", row.last_equity, _money(account.equity))
        yield from _differs(f"{name} server balance", self.desk.balance(pool.login), _money(account.balance))
        for key, figures in figures_of(with_figures(self.active(pool))).items():
            stake = account.stakes[str(key)]
            what = f"{name} investment {key}"
            if stake.state != "active":
                continue
            yield from _differs(f"{what} value", figures.value, _money(account.value(stake)))
            yield from _differs(f"{what} net", figures.net, _money(account.shown_net(stake)))
        for investment in Investment.objects.filter(account=row):
            stake = account.stakes[str(investment.pk)]
            what = f"{name} investment {investment.pk}"
            yield from _differs(f"{what} state", investment.state, stake.state)
            yield from _differs(f"{what} units", investment.units, _units(stake.units))
            yield from _differs(f"{what} mark", investment.high_water_mark, Decimal(stake.mark).scaleb(-12))
            yield from _differs(f"{what} paid in", investment.paid_in, _money(stake.paid_in))
            yield from _differs(f"{what} paid out", investment.paid_out, _money(stake.paid_out))
            yield from _differs(f"{what} fees", investment.fees_paid, _money(stake.fees))
            if stake.state != "active":
                continue
            carried = {"performance": investment.performance_carried, **investment.carried}
            for kind in {*carried, *stake.carried}:
                has = Fraction(carried.get(kind, 0)) * 10**DIGITS
                if abs(has - stake.carried[kind]) > Fraction(1, 10**12):
                    yield f"{what} carried {kind}: {float(has)} but {float(stake.carried[kind])} expected"
            owed: defaultdict[str, int] = defaultdict(int)
            for kind, amount in stake.debts:
                owed[kind] += amount
            has_owed: defaultdict[str, int] = defaultdict(int)
            for debt in investment.debts:
                has_owed[debt["kind"]] += minor(Decimal(debt["amount"]))
            yield from _differs(f"{what} debts", dict(has_owed), dict(owed))
        yield from self._compare_charges(pool)
        if self.stops is not None:
            yield from self.stops.compare(pool)
        for request in Request.objects.filter(account=row):
            wish = self.wishes.get(request.pk)
            if wish is None:
                continue
            what = f"{name} request {request.pk} ({request.kind})"
            state = "confirmed" if request.state == Request.State.COLLECTING else str(request.state)
            if wish.state == "returned" and state in ("cancelled", "failed"):
                continue
            for line in _differs(f"{what} state", state, wish.state):
                yield f"{line} ({request.reason_code or wish.reason})"
            if not self.had_storm and not wish.goes_back:
                yield from _differs(f"{what} reason", request.reason_code, wish.reason)
            if wish.state == "executed":
                yield from _differs(f"{what} amount", request.executed_amount, _money(wish.paid))
                yield from _differs(f"{what} fee", request.executed_fee, _money(wish.fee))

    def _compare_charges(self, pool: Pool) -> Iterator[str]:
        """Charges and their parts, of every rollover of this hour."""
        broker = str(self.desk.broker.public_id)
        for sequence, charges in pool.charged.items():
            expected = [
                (
                    charge.stake,
                    charge.kind,
                    charge.collects_debt,
                    _money(charge.amount),
                    _money(charge.uncollected),
                    sorted(
                        (broker if party == "broker" else party, _money(part))
                        for party, part in charge.parts.items()
                    ),
                )
                for charge in charges
                if charge.amount or charge.uncollected
            ]
            found = Charge.objects.filter(account=pool.row, price_point__sequence=sequence)
            for charge in found.exclude(amount=0, uncollected=0).prefetch_related("parts").order_by("pk"):
                has = (
                    str(charge.investment_id),
                    charge.kind,
                    charge.collects_debt,
                    charge.amount,
                    charge.uncollected,
                    sorted((str(part.payee), part.amount) for part in charge.parts.all()),
                )
                if has in expected:
                    expected.remove(has)
                    continue
                stake = pool.model.stakes[str(charge.investment_id)]
                yield f"charge {has} was not expected"
                yield f"  it says {charge.explanation}"
                yield f"  {stake.rules}, {stake.term}, {stake.subscribed}"
            yield from (f"charge {row} is missing" for row in expected)

    def depart(self) -> None:
        """Leave nothing open behind: the trading server would value it at every price from now on."""
        self.desk.simulator.clear_faults()
        for pool in self.pools:
            self.desk.flatten(pool.row)

    def verify(self) -> list[str]:
        """What the platform's own verification finds."""
        found = [str(difference) for difference in verify_ledger()]
        for pool in self.pools:
            found += [str(difference) for difference in verify_account(pool.row.pk).differences]
            found += [str(difference) for difference in verify_with_server(pool.row.pk)]
        return found


def _money(amount: int) -> Decimal:
    return Decimal(amount).scaleb(-DIGITS)


def _units(amount: int) -> Decimal:
    return Decimal(amount).scaleb(-12)


def _differs(what: str, has: object, expected: object) -> list[str]:
    return [] if has == expected else [f"{what}: {has} but {expected} expected"]
