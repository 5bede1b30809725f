"""A year of hourly rollovers with every kind of fee on at once: many investors come, add, take out and leave.

What the rows say is compared with arithmetic of its own: sums of charges, parts, transfers and postings,
shares of the running sums, and the management fee as an integral in exact fractions.
"""

import math
import random
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple, TypeVar

import pytest
from django.db.models import Sum

from accounts.models import Agent, PammAccount
from allocation.models import Interval, Investment, PricePoint, UnitEntry
from brokers.models import Broker
from brokers.scope import broker_scope
from demo.market import VOLATILE
from demo.plans import Act, Stake, Step
from demo.scenario import (
    ENTRY_TIERS,
    EXAMPLE_1,
    EXAMPLE_2,
    MARGINAL,
    AccountPlan,
    AgentPlan,
    BrokerPlan,
    CeilingPlan,
    ManagerPlan,
    OfferPlan,
    Person,
    flat,
)
from demo.services import Addresses, load_demo
from fees.calc.kinds import FeeKind
from fees.calc.schedule import Basis, Schedule
from fees.calc.shares import Shares
from fees.models import Charge, ChargePart
from fees.queries import figures_of, with_figures
from investing.models import Request
from ledger.models import LedgerAccount, Posting
from offers.models import Terms
from rollover.verification import verify_account, verify_ledger
from tests.counts import cases
from tests.demo.conftest import Loader, broker_ids
from transfers.models import Leg, Transfer

Kind = LedgerAccount.Kind
K = TypeVar("K")
Unit, Anchor = Terms.IntervalUnit, Terms.IntervalAnchor

END = datetime(2026, 11, 2, 10, tzinfo=UTC)
INVESTORS = cases(push=80, soak=200)
TENTH = INVESTORS // 10
DAY = 24 * 3600 * 10**6
"""In microseconds."""
BROKER_RATE, AGENT_RATES = Decimal("0.20"), (Decimal("0.10"), Decimal("0.05"))


def offer(
    name: str,
    schedule: Schedule,
    unit: Terms.IntervalUnit,
    count: int,
    anchor: Terms.IntervalAnchor,
    *,
    subscription: str = "4.90",
    minimum: int = 250,
    weight: int = 4,
) -> OfferPlan:
    """Every kind of fee is charged by every offer; they differ in the interval and the performance fee."""
    return OfferPlan(
        name,
        schedule,
        Decimal(minimum),
        interval_unit=unit,
        interval_count=count,
        interval_anchor=anchor,
        lock_in_days=120,
        early_exit_rate=Decimal("0.015"),
        management_rate=Decimal("0.02"),
        entry_tiers=ENTRY_TIERS,
        subscription_amount=Decimal(subscription),
        volume_amount_per_lot=Decimal("0.75"),
        weight=weight,
    )


OFFERS = (
    offer("Months", flat(20), Unit.MONTHS, 1, Anchor.CALENDAR, weight=6),
    offer("Own months", EXAMPLE_1, Unit.MONTHS, 1, Anchor.OWN),
    offer("Weeks", MARGINAL, Unit.WEEKS, 2, Anchor.CALENDAR, subscription="2.40", weight=6),
    offer("Own weeks", EXAMPLE_2, Unit.WEEKS, 4, Anchor.OWN),
    offer("Own days", flat(15), Unit.DAYS, 50, Anchor.OWN),
    offer("Days", EXAMPLE_2, Unit.DAYS, 15, Anchor.CALENDAR, subscription="2.00"),
    offer("Rollovers", flat(25), Unit.ROLLOVERS, 900, Anchor.OWN),
    # What it costs is more than a small investor has: fees become debts.
    offer("Dear", flat(10), Unit.WEEKS, 2, Anchor.CALENDAR, subscription="30.00", minimum=25, weight=1),
)
SMALL = len(OFFERS) - 1

PLAN = BrokerPlan(
    slug="year",
    name="A Year",
    colour="#1f5fbf",
    time_zone="Europe/London",
    port_variable="",
    manager_login=1000,
    logins_from=100_000,
    managers=(ManagerPlan(Person("Mia", "Manager"), "Mia", "Trades for a year."),),
    clients=tuple(Person("Client", f"{number:04}") for number in range(INVESTORS)),
    agents=(
        AgentPlan(Person("Ana", "Above"), range(TENTH), ("USD",)),
        AgentPlan(Person("Bo", "Below"), range(TENTH, 5 * TENTH), ("USD",), above=0),
        # Paid in no account yet: what it earns stays payable.
        AgentPlan(Person("Cy", "Waiting"), range(5 * TENTH, 7 * TENTH), (), above=0),
    ),
    shares=Shares(BROKER_RATE, AGENT_RATES),
    staff={"admin": Person("A", "D"), "dealer": Person("D", "E"), "auditor": Person("A", "U")},
    ceilings=(CeilingPlan("USD", Decimal(30), Decimal(5)),),
    accounts=(
        AccountPlan("All fees", "", 0, "USD", VOLATILE, 365, Decimal(20_000), OFFERS, ("EURUSD", "XAUUSD")),
    ),
)


def random_flows(plan: BrokerPlan, hours: Sequence[int], chance: random.Random) -> list[list[Stake]]:
    """Everybody joins some offer at some hour and then does up to six things; who left may join another."""
    stakes = []
    for client in range(INVESTORS):
        at = int(hours[0] * chance.random() ** 1.5 * 0.8)
        while at < hours[0] - 100:
            number = chance.choices(range(len(OFFERS)), weights=[each.weight for each in OFFERS])[0]
            steps = _random_steps(number, 1 + at, hours[0] - 3, chance)
            stakes.append(Stake(client, number, steps))
            if steps[-1].act is not Act.CLOSE:
                break
            at = (steps[-1].hour or 0) + chance.randrange(2, 1500)
    return [stakes]


def _random_steps(offer_number: int, first: int, last: int, chance: random.Random) -> tuple[Step, ...]:
    steps = [Step(Act.DEPOSIT, first, _amount(offer_number, chance))]
    acts = (Act.DEPOSIT, Act.WITHDRAW)
    for _ in range(chance.randrange(7)):
        at = (steps[-1].hour or 0) + chance.randrange(2, 1800)
        if at >= last:
            break
        act = Act.CLOSE if chance.random() < 0.12 else chance.choice(acts)
        if act is Act.WITHDRAW and OFFERS[offer_number].schedule.basis is not Basis.FLAT:
            acts = (Act.WITHDRAW, Act.WITHDRAW)  # under tiers what was taken out may not come back at once
        amount = _amount(offer_number, chance) if act is Act.DEPOSIT else Decimal(0)
        share = Decimal(chance.randint(2, 60)) / 100 if act is Act.WITHDRAW else Decimal(0)
        steps.append(Step(act, at, amount, share))
        if act is Act.CLOSE:
            break
    return tuple(steps)


def _amount(offer_number: int, chance: random.Random) -> Decimal:
    if offer_number == SMALL:
        return Decimal(chance.randint(25, 90))
    return Decimal(round(30_000 * 2 ** chance.uniform(0, 6))).scaleb(-2)


class Point(NamedTuple):
    """`at` in microseconds since the first rollover; price = `equity` / `units`."""

    at: int
    equity: Decimal
    units: Decimal


@dataclass
class PriceTimes:
    """The price of each of `points` times the days to the next; what was summed once is kept."""

    points: Sequence[Point]
    _kept: dict[tuple[int, int], Fraction] = field(default_factory=dict)

    def days(self, since: int, until: int) -> Fraction:
        """From one place among the points to another."""
        if (since, until) not in self._kept:
            self._kept[since, until] = self._summed(since, until)
        return self._kept[since, until]

    def _summed(self, since: int, until: int) -> Fraction:
        by_units: dict[Decimal, Decimal] = defaultdict(Decimal)
        for point, following in pairwise(self.points[since : until + 1]):
            by_units[point.units] += point.equity * (following.at - point.at)
        shares = (Fraction(money) / Fraction(units) for units, money in by_units.items())
        return sum(shares, Fraction(0)) / DAY


def test_year_of_all_fees_adds_up_in_charges_parts_transfers_and_the_ledger(
    loader: Loader, capsys: pytest.CaptureFixture[str]
) -> None:
    started = time.monotonic()
    addresses = Addresses(loader.folder, {})
    load_demo(addresses, until=END, plans=(PLAN,), planner=random_flows, say=loader.said.append)
    loaded = time.monotonic()
    with broker_scope(broker_ids()["year.localhost"]):
        account = PammAccount.objects.get()
        assert account.sequence == 365 * 24 + 1
        _require_variety()
        by_kind = _require_sums(account)
        _require_shares()
        compared, fees = _require_management_fees(account)
        summed = time.monotonic()
        verified = verify_account(account.pk)
        differences = [*verified.differences, *verify_ledger()]
        assert not differences, "\n".join(map(str, differences[:20]))
        figures = _figures(by_kind)
    with capsys.disabled():
        print(
            f"\n{figures}\n  management fee as an integral: {fees} charges of {compared} investments"
            f"\n  loaded in {loaded - started:.1f} s, summed in {summed - loaded:.1f} s,"
            f" books verified in {time.monotonic() - summed:.1f} s"
        )


def _require_variety() -> None:
    """All of it happened, often."""
    charged = Counter(Charge.objects.filter(amount__gt=0).values_list("kind", flat=True))
    assert set(charged) == set(Charge.Kind.values)
    assert min(charged.values()) >= 30, charged
    occasions = Counter(Charge.objects.values_list("occasion", flat=True))
    assert set(occasions) == set(Charge.Occasion.values)
    assert Charge.objects.filter(uncollected__gt=0).exists()
    assert Charge.objects.filter(collects_debt=True).exists()
    requests = Counter(Request.objects.filter(state=Request.State.EXECUTED).values_list("kind", flat=True))
    assert requests[Request.Kind.DEPOSIT] > INVESTORS
    assert min(requests[Request.Kind.WITHDRAWAL], requests[Request.Kind.CLOSE]) > TENTH
    assert Investment.objects.exclude(terms=None).values("owner").distinct().count() == INVESTORS
    assert set(Interval.objects.values_list("terms__offer__name", flat=True)) == {
        each.name for each in OFFERS
    }


def _require_sums(account: PammAccount) -> dict[str, Decimal]:
    """Charges = parts = transfers = postings, by kind (what is returned), by party, rollover by rollover."""
    charges = _sums(Charge.objects.values_list("kind", "amount"))
    assert charges == _sums(ChargePart.objects.values_list("charge__kind", "amount"))
    assert charges == _taken_by_kind()
    total = sum(charges.values(), Decimal(0))
    assert total == sum(Investment.objects.values_list("fees_paid", flat=True))

    parts = _sums(ChargePart.objects.values_list("payee", "amount"))
    parties = {Broker.objects.get().public_id, account.manager.public_id}
    assert set(parts) == parties | set(Agent.objects.values_list("public_id", flat=True))
    assert total == sum(parts.values())

    paid = Transfer.objects.filter(purpose=Transfer.Purpose.FEE)
    assert parts == _sums(paid.values_list("payee", "amount"))
    decided = ChargePart.objects.values_list("price_point__priced_at", "payee", "amount")
    planned = paid.values_list("created_at", "payee", "amount")
    assert _sums(((at, payee), amount) for at, payee, amount in decided) == _sums(
        ((at, payee), amount) for at, payee, amount in planned
    )

    payable = Posting.objects.filter(account__kind=Kind.PAYABLE, account__subject__in=parts)
    owed = payable.filter(entry__kind="rollover").values_list("account__subject", "amount")
    assert parts == _sums((payee, -amount) for payee, amount in owed)
    arrived = _arrived()
    still_owed = _sums(
        (payee, -amount) for payee, amount in payable.values_list("account__subject", "amount")
    )
    assert set(still_owed) == {Agent.objects.get(user__last_name="Waiting").public_id}
    assert parts == _sums([*arrived.items(), *still_owed.items()])
    held = Transfer.objects.filter(state=Transfer.State.IN_TRANSIT).values_list("payee", "amount")
    assert _sums(held) == still_owed
    return charges


def _taken_by_kind() -> dict[str, Decimal]:
    """Units redeemed for fees, and what deposits paid in beyond the units they bought."""
    taken: dict[str, Decimal] = {}
    for kind, amount in _sums(UnitEntry.objects.values_list("kind", "amount")).items():
        if kind.endswith("_fee"):
            taken[kind.removesuffix("_fee")] = -amount
        elif kind == UnitEntry.Kind.DEPOSIT:
            deposited = Transfer.objects.filter(purpose=Transfer.Purpose.DEPOSIT)
            taken["entry"] = sum(deposited.values_list("amount", flat=True)) - amount
    return taken


def _arrived() -> dict[uuid.UUID, Decimal]:
    """By payee: the claims on the trading accounts that fees arrived in."""
    payees = dict(
        Leg.objects.filter(transfer__purpose=Transfer.Purpose.FEE, position=2).values_list(
            "key", "transfer__payee"
        )
    )
    claims = Posting.objects.filter(
        account__kind__in=(Kind.CLIENT_CLAIM, Kind.HOUSE_CLAIM), entry__kind="transfer_in"
    ).values_list("entry__source", "amount")
    found = ((payees.get(key), -amount) for key, amount in claims)
    return _sums((payee, amount) for payee, amount in found if payee is not None)


def _require_shares() -> None:
    """The broker has had its rate of all fees of an investment and kind, rounded down once; so has each
    agent, but for a cent where the last fee was too small for everybody; the manager has had the rest.
    """
    charged = _sums(
        ((investment, kind), amount)
        for investment, kind, amount in Charge.objects.values_list("investment", "kind", "amount")
    )
    had: dict[tuple[int, str], dict[tuple[str, int], Decimal]] = defaultdict(dict)
    for investment, kind, party, level, amount in (
        ChargePart.objects.values_list("charge__investment", "charge__kind", "party", "level")
        .annotate(Sum("amount"))
        .order_by()
    ):
        had[investment, kind][party, level] = amount
    agents = dict(Investment.objects.values_list("pk", "agents"))
    for (investment, kind), amount in charged.items():
        parts = had[investment, kind]
        assert parts.pop(("broker", 0), 0) == _rounded_down(BROKER_RATE * amount)
        for level, _ in enumerate(agents[investment], start=1):
            due = _rounded_down(AGENT_RATES[level - 1] * amount)
            assert 0 <= due - parts.pop(("agent", level), Decimal(0)) <= Decimal("0.01")
        assert set(parts) == {("manager", 0)}
    assert {len(chain) for chain in agents.values()} == {0, 1, 2}


def _rounded_down(amount: Decimal) -> Decimal:
    return Decimal(math.floor(amount * 100)) / 100


def _require_management_fees(account: PammAccount) -> tuple[int, int]:
    """Every management fee is the integral of value over time since the one before, its fraction carried.

    How many investments were compared, and how many charges.
    """
    rows = PricePoint.objects.order_by("sequence").values_list("priced_at", "price_equity", "price_units")
    begin = rows[0][0]
    price_times = PriceTimes(
        [Point((at - begin) // timedelta(microseconds=1), equity, units) for at, equity, units in rows]
    )
    units: dict[int, dict[int, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for key, sequence, change in UnitEntry.objects.values_list(
        "investment", "price_point__sequence", "units"
    ):
        units[key][sequence - 1] += change
    charged: dict[int, dict[int, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for key, sequence, amount, uncollected in Charge.objects.filter(
        kind=Charge.Kind.MANAGEMENT, collects_debt=False
    ).values_list("investment", "price_point__sequence", "amount", "uncollected"):
        charged[key][sequence - 1] += amount + uncollected
    investments = list(with_figures(Investment.objects.exclude(terms=None)))
    figures = figures_of(investments)
    compared = 0
    for investment in investments:
        due = _management_fees(investment, price_times, units[investment.pk], charged[investment.pk])
        stated = [charged[investment.pk][place] for place in sorted(charged[investment.pk])]
        if investment.state == Investment.State.ACTIVE and not investment.debts:
            stated.append(figures[investment.pk].accrued.get(FeeKind.MANAGEMENT, Decimal(0)))
            assert due == stated, investment
        else:
            assert due[: len(stated)] == stated, investment
        compared += len(stated) > 3
    assert compared >= 20
    return compared, sum(map(len, charged.values()))


def _management_fees(
    investment: Investment,
    price_times: PriceTimes,
    changes: dict[int, Decimal],
    charged: Iterable[int],
) -> list[Decimal]:
    """Fees at the rollovers where some were charged, and at the last; exact until each is rounded down."""
    assert investment.terms is not None
    rate = Fraction(investment.terms.management_rate) / 365
    fees: list[Decimal] = []
    carried = Fraction(0)
    held = Decimal(0)
    last = len(price_times.points) - 1
    stops, ends = sorted({*changes, *charged, last}), {*charged, last}
    for since, until in pairwise(stops):
        held += changes.get(since, Decimal(0))
        carried += rate * Fraction(held) * price_times.days(since, until)
        if until in ends:
            cents = math.floor(round(carried, 8) * 100)
            fees.append(Decimal(cents) / 100)
            carried -= Fraction(cents, 100)
    return fees


def _sums(rows: Iterable[tuple[K, Decimal]]) -> dict[K, Decimal]:
    sums: dict[K, Decimal] = {}
    for key, amount in rows:
        sums[key] = sums.get(key, Decimal(0)) + amount
    return {key: amount for key, amount in sums.items() if amount}


def _figures(by_kind: dict[str, Decimal]) -> str:
    counts = ", ".join(
        f"{model.objects.count()} {model._meta.verbose_name_plural}"
        for model in (PricePoint, Investment, Charge, ChargePart, Transfer)
    )
    kinds = ", ".join(f"{kind} {amount:.2f}" for kind, amount in by_kind.items())
    parts = (
        ChargePart.objects.values_list("party", "level").annotate(Sum("amount")).order_by("party", "level")
    )
    parties = ", ".join(f"{party}{level or ''} {amount:.2f}" for party, level, amount in parts)
    return f"  {counts}\n  fees {sum(by_kind.values()):.2f} USD: {kinds}\n  by party: {parties}"
