"""The simulator tells what rollovers do: one investment lives on a real trading server, and the simulator,
asked afterwards with the same prices, lots, flows and times, says the same of every step.
"""

import json
import random
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import HouseAccount, PammAccount, PersonalAccount
from accounts.services import introduce_client, make_agent
from allocation.models import Investment, UnitEntry
from brokers.errors import Refusal
from fees.calc.kinds import FeeKind
from fees.calc.schedule import Tier
from fees.calc.shares import Parts
from fees.calc.simulation import Outcome, Step, simulate
from fees.calc.terms import FeeTerms
from fees.models import Charge, ChargePart
from fees.queries import figures_of, with_figures
from investing.models import Request
from investing.services import confirm_request
from offers.queries import fee_terms_of
from offers.services import TermsDraft
from rollover.models import Rollover
from tests.circle.world import SHARES, Calendar, Desk, cents, random_terms, share_as_standard, terms
from tests.fees.simulations import ADDRESS
from tests.worlds import person, signed_in

WEEK = 7
OWN_CAPITAL = Decimal("3000.00")
EVERYTHING = terms(
    (None, "0"), ("0.02", "0.20"), ("0.10", "0.35"), basis="yield", mode="marginal",
    entry_tiers=(Tier(None, Decimal("0.02")), Tier(Decimal(2000), Decimal("0.01"))),
    management_rate=Decimal("0.02"), subscription_amount=Decimal("9.99"),
    volume_amount_per_lot=Decimal("1.75"), interval_unit="days", interval_count=4 * WEEK,
    lock_in_days=9 * WEEK, early_exit_rate=Decimal("0.015"), **SHARES,
)  # fmt: skip
SEEDS = (3, 8)


@dataclass(frozen=True, slots=True)
class Told:
    """What is said of one investment after one step; by the rows of a rollover, or by the simulator."""

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
    explanation: list[object]

    @classmethod
    def by_simulation(cls, outcome: Outcome) -> "Told":
        return cls(
            value=outcome.value,
            units=outcome.units,
            price=outcome.price,
            high_water_mark=outcome.high_water_mark,
            time_weighted_return=outcome.time_weighted_return,
            fees=outcome.fees,
            accrued=outcome.accrued,
            paid_out=outcome.paid_out,
            net_value=outcome.net_value,
            parts=outcome.parts,
            explanation=json.loads(json.dumps(outcome.explanation)),
        )

    @classmethod
    def by_answer(cls, step: Mapping[str, Any]) -> "Told":
        """By one step of the endpoint's answer."""
        reached = step["time_weighted_return"]

        def above_zero(amounts: Mapping[str, str]) -> dict[FeeKind, Decimal]:
            return {FeeKind(kind): Decimal(amount) for kind, amount in amounts.items() if Decimal(amount)}

        return cls(
            value=Decimal(step["value"]),
            units=Decimal(step["units"]),
            price=Decimal(step["price"]),
            high_water_mark=Decimal(step["high_water_mark"]),
            time_weighted_return=None if reached is None else Decimal(reached),
            fees=above_zero(step["fees"]),
            accrued=above_zero(step["accrued"]),
            paid_out=Decimal(step["paid_out"]),
            net_value=Decimal(step["net_value"]),
            parts=Parts(
                Decimal(step["parts"]["broker"]),
                tuple(Decimal(amount) for amount in step["parts"]["agents"]),
                Decimal(step["parts"]["manager"]),
            ),
            explanation=[
                {name: part for name, part in record.items() if name != "words"}
                for record in step["explanation"]
            ],
        )


@dataclass
class Life:
    """One investment in Alice's pool from its first rollover on, week by week."""

    desk: Desk
    calendar: Calendar
    account: PammAccount
    investment: Investment
    steps: list[Step] = field(default_factory=list)
    lived: list[Told] = field(default_factory=list)

    @classmethod
    def begin(cls, calendar: Calendar, desk: Desk, draft: TermsDraft, amount: str) -> "Life":
        """Bob joins in the pool's first rollover; two agents stand above him."""
        alice, bob = desk.client("alice", "10000"), desk.client("bob", "50000")
        HouseAccount.objects.create(
            server=desk.server, purpose=HouseAccount.Purpose.INCOME, currency="USD", currency_digits=2,
            login=desk.simulator.add_account("house\\USD", "0"),
        )  # fmt: skip
        upper = make_agent(user=person("upper@a.example"), by=None)
        lower = make_agent(user=desk.client("lower", "0").user, parent=upper, by=None)
        introduce_client(personal_account=bob, agent=lower, by=None)
        account = desk.pamm_account(alice, str(OWN_CAPITAL))
        share_as_standard(desk, draft)
        offer = desk.offer(account, draft)
        bob = PersonalAccount.objects.get(pk=bob.pk)
        life = cls(desk, calendar, account, desk.invest(bob, offer, amount))
        life.roll_over()
        return life

    def week(
        self, *trades: str, floating: str | None = None, add: str = "", take: str = "", close: bool = False
    ) -> None:
        """A week later: results of trades, one that stays open, at most one flow, and the rollover."""
        self.calendar.let_pass(days=WEEK)
        self.desk.flatten(self.account)
        for result in trades:
            self.desk.earn(self.account, Decimal(result))
        if floating is not None:
            self.desk.hold(self.account, Decimal(floating))
        if add:
            confirm_request(request=self.desk.add_money(self.present(), add), by=self.desk.dealer)
        elif take:
            self.desk.withdraw(self.present(), take, close_if_below_minimum=True)
        elif close:
            self.desk.close(self.present())
        self.roll_over()

    def roll_over(self) -> None:
        """Roll over, and keep what it was as a step and what it did as rows."""
        before = self.present()
        (rollover,) = self.desk.roll(self.account)
        assert rollover.state == Rollover.State.COMPLETED, (rollover.reason_code, rollover.reason)
        point, after = rollover.price_point, self.present()
        assert point is not None
        flows = Request.objects.filter(
            investment=after, state=Request.State.EXECUTED, ended_at=point.priced_at
        ).select_related("unit_entry")
        by_kind = {
            flow.unit_entry.kind: flow.executed_amount for flow in flows if flow.unit_entry is not None
        }
        paid_out = by_kind.get(UnitEntry.Kind.CLOSE) or by_kind.get(UnitEntry.Kind.WITHDRAWAL) or Decimal(0)
        is_first = not self.steps
        ended = not is_first and _interval_number(after) > _interval_number(before)
        self.steps.append(
            Step(
                at=point.priced_at,
                equity=None if is_first else point.equity,
                balance=None if is_first else point.server_balance - point.owed + point.incoming,
                lots=point.closed_lots,
                interval_end=ended,
                withdraw=by_kind.get(UnitEntry.Kind.WITHDRAWAL),
                close=UnitEntry.Kind.CLOSE in by_kind,
                deposit=by_kind.get(UnitEntry.Kind.DEPOSIT),
            )
        )
        charges = Charge.objects.filter(investment=after, price_point=point).order_by("id")
        shares: defaultdict[tuple[str, int], Decimal] = defaultdict(Decimal)
        for part in ChargePart.objects.filter(charge__in=charges):
            shares[part.party, part.level] += part.amount
        fees: defaultdict[FeeKind, Decimal] = defaultdict(Decimal)
        for charge in charges:
            fees[FeeKind(charge.kind)] += charge.amount
        figures = figures_of([after])[after.pk]
        is_active = after.state == Investment.State.ACTIVE
        self.lived.append(
            Told(
                value=figures.value,
                units=after.units,
                price=point.price,
                high_water_mark=after.high_water_mark,
                # Where the interval ends, or the investment does, its return is of the one that begins.
                time_weighted_return=None if ended or not is_active else figures.interval_return,
                fees={kind: amount for kind, amount in fees.items() if amount},
                accrued=figures.accrued if is_active else {},
                paid_out=paid_out,
                net_value=figures.net if is_active else Decimal(0),
                parts=Parts(
                    shares["broker", 0],
                    tuple(shares["agent", level] for level in (1, 2)),
                    shares["manager", 0],
                ),
                explanation=[charge.explanation for charge in charges],
            )
        )

    def present(self) -> Investment:
        return with_figures(
            Investment.objects.select_related("owner", "terms__offer", "personal_account__server")
        ).get(pk=self.investment.pk)

    @property
    def is_over(self) -> bool:
        return self.steps[-1].close

    @property
    def fee_terms(self) -> FeeTerms:
        investment = self.present()
        assert investment.terms is not None
        return fee_terms_of(investment.terms)

    @property
    def lock_in_ends_at(self) -> datetime:
        investment = self.present()
        assert investment.terms is not None
        return self.steps[0].at + timedelta(days=investment.terms.lock_in_days)

    @property
    def interval_ends_at(self) -> datetime:
        """When the trading interval ends that is under way after the last step."""
        interval = self.present().interval
        assert interval is not None
        ends_at: datetime | None = interval.ends_at
        if ends_at is not None:
            return ends_at
        rollovers = (interval.ends_after_sequence or 0) - interval.opening.flow_sequence
        starts_at: datetime = interval.starts_at
        return starts_at + timedelta(days=WEEK * rollovers)


def _interval_number(investment: Investment) -> int:
    return 0 if investment.interval is None else investment.interval.number


def assert_simulated_as_lived(life: Life) -> None:
    """Every step, by the calculation; and the endpoint says what the calculation does.

    For the endpoint a trading interval ends with its last step at the latest: only who leaves at the end of
    one has lived as it says.
    """

    def simulated(interval_ends_at: datetime | None) -> list[Told]:
        outcomes = simulate(
            life.fee_terms,
            life.steps,
            digits=2,
            pool_equity=OWN_CAPITAL,
            lock_in_ends_at=life.lock_in_ends_at,
            interval_ends_at=interval_ends_at,
        )
        return [Told.by_simulation(outcome) for outcome in outcomes]

    for step, lived, told in zip(life.steps, life.lived, simulated(life.interval_ends_at), strict=True):
        for name in Told.__slots__:
            if name != "time_weighted_return" or lived.time_weighted_return is not None:
                assert getattr(told, name) == getattr(lived, name), (name, step)
    answer = signed_in(life.present().owner).post(ADDRESS, body_of(life), content_type="application/json")
    assert answer.status_code == 200, answer.content
    assert [Told.by_answer(step) for step in answer.json()["steps"]] == simulated(None)


def body_of(life: Life) -> dict[str, Any]:
    """The request to the endpoint: terms and steps as texts."""
    fees = life.fee_terms
    schedule = fees.schedule

    def tiers(rows: tuple[Tier, ...]) -> list[dict[str, str | None]]:
        return [
            {
                "from": None if tier.lower_bound is None else format(tier.lower_bound, "f"),
                "rate": format(tier.rate, "f"),
            }
            for tier in rows
        ]

    def written(step: Step) -> dict[str, Any]:
        amounts = {name: getattr(step, name) for name in ("equity", "balance", "deposit", "withdraw")}
        happens = {name: True for name in ("interval_end", "close") if getattr(step, name)}
        return {
            "at": step.at.isoformat(),
            "lots": format(step.lots, "f"),
            **{name: format(amount, ".2f") for name, amount in amounts.items() if amount is not None},
            **happens,
        }

    return {
        "currency": "USD",
        "terms": {
            "performance": {
                "basis": schedule.basis.value,
                "mode": schedule.mode.value,
                "profit_basis": "lower" if fees.lower_profit else "equity",
                "on_withdrawal": "whole" if fees.crystallises_whole else "proportional",
                "tiers": tiers(schedule.tiers),
            },
            "management_rate": format(fees.management_rate, "f"),
            "entry_tiers": tiers(fees.entry.tiers),
            "subscription_amount": format(fees.subscription_amount, ".2f"),
            "volume_amount_per_lot": format(fees.volume_amount_per_lot, ".2f"),
            "early_exit_rate": format(fees.early_exit_rate, "f"),
            "early_exit_until": "interval" if fees.early_exit_until_interval_end else "lock_in",
            "shares": {
                "broker_rate": format(fees.shares.broker_rate, "f"),
                "agents": [format(rate, "f") for rate in fees.shares.agent_rates],
            },
        },
        "steps": [written(step) for step in life.steps],
        "pool_equity": format(OWN_CAPITAL, ".2f"),
        "lock_in_ends_at": life.lock_in_ends_at.isoformat(),
    }


def test_life_with_every_kind_of_fee_is_as_simulated(calendar: Calendar, desk: Desk) -> None:
    life = Life.begin(calendar, desk, EVERYTHING, "5000.00")
    life.week("312.34")
    life.week("-80.01", "95.55", add="2500.00")
    life.week("41.17", floating="66.66")
    life.week("120.00")
    life.week("77.77", take="700.00")
    life.week("-15.15", floating="-203.03")
    life.week()
    life.week("400.40")
    life.week("30.30", take="1234.56")
    life.week("-55.00")
    life.week("99.09")
    life.week("222.22", close=True)
    assert [step.interval_end for step in life.steps] == [index in (4, 8, 12) for index in range(13)]
    assert set(Charge.objects.filter(amount__gt=0).values_list("kind", flat=True)) == set(FeeKind)
    assert_simulated_as_lived(life)


def test_life_in_debt_is_as_simulated(calendar: Calendar, desk: Desk) -> None:
    """Fees that the value cannot pay become debts, are collected from what comes in, and end with it."""
    dear = terms(
        (None, "0.20"), profit_basis="lower", management_rate=Decimal("0.05"),
        subscription_amount=Decimal("90.00"), volume_amount_per_lot=Decimal("21.00"), interval_count=2,
        **SHARES,
    )  # fmt: skip
    life = Life.begin(calendar, desk, dear, "120.00")
    for _ in range(4):
        life.week("10.00", "-9.00")
    assert life.present().debts
    life.week("5.00", add="2500.00")
    life.week("800.00", floating="200.00")
    life.week("10.00", take="20.00")
    life.week("3.00", close=True)
    assert Charge.objects.filter(collects_debt=True).exists()
    assert_simulated_as_lived(life)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_life_is_as_simulated(calendar: Calendar, desk: Desk, seed: int) -> None:
    chance = random.Random(seed)
    draft = random_terms(chance, day=WEEK)
    life = Life.begin(calendar, desk, draft, str(cents(chance, 500, 6000)))
    for _ in range(chance.randrange(8, 14)):
        live_a_week(life, chance)
        if life.is_over:
            break
    while not life.is_over:
        life.week(str(cents(chance, -100, 100)), close=True)
    assert_simulated_as_lived(life)


def live_a_week(life: Life, chance: random.Random) -> None:
    trades = [str(cents(chance, -250, 300)) for _ in range(chance.randrange(4))]
    floating = str(cents(chance, -200, 200)) if chance.random() < 0.3 else None
    flows: list[dict[str, str]] = [
        {},
        {},
        {"add": str(cents(chance, 50, 1500))},
        {"take": str(cents(chance, 20, 900))},
    ]
    try:
        life.week(*trades, floating=floating, **chance.choice(flows))  # type: ignore[arg-type]
    except Refusal:
        # Too much, or too early: the week goes by without the flow.
        life.roll_over()
