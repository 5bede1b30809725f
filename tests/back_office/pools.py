"""Pools with rollovers behind them, written as the rollover writes them, for whoever checks records.

Rollover 1 at price 1.00: Bob and Alice (own capital) join. Rollover 2 at 1.10: Bob pays a fee and takes money
out, Carol joins. Rollover 3 at a price that rounds for everybody: Carol leaves. Amounts in USD, 2 digits.

`crowded_pool` is the large one: of any size, random by a seed, and written in bulk.
"""

import random
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from django.utils import timezone

from accounts.models import Manager, Membership, PammAccount, PersonalAccount, Role, User
from allocation.calc.price import Price, price_of
from allocation.calc.units import units_for_deposit, units_for_redemption, value
from allocation.models import Investment, PricePoint, UnitEntry
from brokers.models import Broker
from fees.calc.crystallisation import FeeLine
from fees.calc.explanation import explanation
from fees.models import Charge, ChargePart
from money.exact import decimal_of
from offers.models import Offer, Terms
from rollover.models import CountedDeal, Rollover
from tests.web.charges import charged, performance_line
from tests.worlds import FLAT_TWENTY, JOINED, person, personal_account, trading_server

Kind = UnitEntry.Kind


@dataclass
class Pool:
    """The account and a clerk that writes rollovers of it."""

    account: PammAccount
    terms: Terms
    investments: dict[str, Investment]
    balance: Decimal = Decimal(0)
    flows: Decimal = Decimal(0)

    def roll_over(self, result: Decimal, flows: list[tuple[str, Kind, Decimal | None]]) -> Rollover:
        """One rollover: the market's `result` since the last, then flows; a close names no amount.

        All money of the flows before has arrived, so nothing is owed or on its way.
        """
        transferred, self.flows = self.flows, Decimal(0)
        self.balance += transferred + result
        account = self.account
        last = Price(account.last_price_equity, account.last_price_units)
        price = price_of(self.balance, account.units, last)
        sequence = PricePoint.objects.filter(account=account).count() + 1
        moment = JOINED + timedelta(hours=sequence)
        point = PricePoint.objects.create(
            account=account,
            series=1,
            sequence=sequence,
            flow_sequence=sequence,
            priced_at=moment,
            server_balance=self.balance,
            server_equity=self.balance,
            server_credit=0,
            server_margin=0,
            owed=0,
            incoming=0,
            trading_result=result,
            equity=self.balance,
            units=account.units,
            price_equity=price.equity,
            price_units=price.units,
            price=price.rounded(),
            currency_digits=2,
        )
        self._count(point, CountedDeal.Part.OURS, transferred)
        self._count(point, CountedDeal.Part.RESULT, result)
        for name, kind, amount in flows:
            self._enter(point, price, self.investments[name], kind, amount)
        account.last_price_equity, account.last_price_units = price.equity, price.units
        account.last_priced_at, account.last_equity = moment, self.balance + self.flows
        account.save()
        rollover: Rollover = Rollover.objects.create(
            account=account,
            scheduled_for=moment,
            ordered_at=moment,
            state=Rollover.State.COMPLETED,
            completed_at=moment,
            price_point=point,
        )
        return rollover

    def _enter(
        self, point: PricePoint, price: Price, investment: Investment, kind: Kind, amount: Decimal | None
    ) -> None:
        if kind is Kind.DEPOSIT:
            assert amount is not None
            units, flow = units_for_deposit(amount, price), amount
        elif amount is None:
            units, flow = -investment.units, -value(investment.units, price, 2)
        else:
            units, flow = -units_for_redemption(amount, price, investment.units), -amount
        UnitEntry.objects.create(
            account=self.account,
            investment=investment,
            price_point=point,
            kind=kind,
            units=units,
            amount=flow,
            currency_digits=2,
        )
        if kind is Kind.PERFORMANCE_FEE:
            charged(investment, performance_line(str(-flow)), point=point, broker=f"{-flow / 4:.2f}")
        investment.units += units
        if kind is Kind.CLOSE:
            investment.state = Investment.State.CLOSED
        investment.save()
        self.account.units += units
        self.flows += flow

    def _count(self, point: PricePoint, part: CountedDeal.Part, amount: Decimal) -> None:
        if amount:
            CountedDeal.objects.create(
                account=self.account,
                price_point=point,
                part=part,
                action=0,
                executed_at=point.priced_at,
                ticket=CountedDeal.objects.count() + 1,
                currency_digits=2,
                amount=amount,
            )


def empty_pool(*, manager: Manager, income_account: PersonalAccount, name: str, login: int) -> Pool:
    account = PammAccount.objects.create(
        manager=manager,
        income_account=income_account,
        server=income_account.server,
        login=login,
        currency="USD",
        currency_digits=2,
        name=name,
        state=PammAccount.State.ACTIVE,
        units=Decimal(0),
        last_price_equity=Decimal(1),
        last_price_units=Decimal(1),
    )
    offer = Offer.objects.create(account=account, name="Standard", state=Offer.State.OPEN)
    terms = Terms.objects.create(
        offer=offer,
        version=1,
        performance_schedule=FLAT_TWENTY,
        minimum_first=100,
        minimum_further=50,
        minimum_remaining=50,
    )
    return Pool(account, terms, {})


def join(pool: Pool, name: str, owner: User, personal: PersonalAccount, **fields: Any) -> Investment:
    """An investment that has asked for its first deposit."""
    investment: Investment = Investment.objects.create(
        account=pool.account,
        owner=owner,
        personal_account=personal,
        series=1,
        state=Investment.State.ACTIVE,
        units=Decimal(0),
        joined_at=timezone.now(),
        **{"terms": pool.terms} | fields,
    )
    pool.investments[name] = investment
    return investment


def quiet_pool(*, investors: int = 1) -> tuple[Pool, list[Rollover]]:
    """1,000.00 of each investor (Bob first) under 20 % flat at the prices 1, 1.1, 0.9 and 1.2, while nothing
    is charged or moved: accrued fees of 0, 20.00, 0 and 40.00 each.
    """
    server = trading_server()
    alice, bob = (person(f"{name}@example.com", first_name=name.title()) for name in ("alice", "bob"))
    alice.memberships.create(role=Role.MANAGER)
    pool = empty_pool(
        manager=Manager.objects.create(user=alice, display_name="Alice"),
        income_account=personal_account(alice, server, 5000),
        name="Quiet",
        login=9000,
    )
    personal = personal_account(bob, server, 5001)
    names = ["bob", *(f"other {number}" for number in range(1, investors))]
    for name in names:
        join(pool, name, bob, personal, high_water_mark=Decimal(1000))
    deposits = [(name, Kind.DEPOSIT, Decimal("1000.00")) for name in names]
    rollovers = [pool.roll_over(Decimal(0), list(deposits))]
    rollovers += [pool.roll_over(Decimal(result) * investors, []) for result in (100, -200, 300)]
    pool.account.sequence = len(rollovers)
    pool.account.save()
    return pool, rollovers


def pool_with_history(*, others: int = 0) -> tuple[Pool, list[Rollover]]:
    """The pool of this module, with as many other investors of 10.01 each as asked for."""
    server = trading_server()
    alice, bob, carol = (
        person(f"{name}@example.com", first_name=name.title()) for name in ("alice", "bob", "carol")
    )
    alice.memberships.create(role=Role.MANAGER)
    alice_account = personal_account(alice, server, 5000)
    pool = empty_pool(
        manager=Manager.objects.create(user=alice, display_name="Alice"),
        income_account=alice_account,
        name="Steady",
        login=9000,
    )
    join(pool, "alice", alice, alice_account, is_own_capital=True, terms=None)
    join(pool, "bob", bob, personal_account(bob, server, 5001))
    carol_account = personal_account(carol, server, 5002)
    join(pool, "carol", carol, carol_account)
    names = [f"other {number}" for number in range(others)]
    for name in names:
        join(pool, name, carol, carol_account)
    first = pool.roll_over(
        Decimal(0),
        [
            ("alice", Kind.DEPOSIT, Decimal("333.33")),
            ("bob", Kind.DEPOSIT, Decimal("1000.00")),
            *((name, Kind.DEPOSIT, Decimal("10.01")) for name in names),
        ],
    )
    second = pool.roll_over(
        Decimal("133.33"),
        [
            ("bob", Kind.PERFORMANCE_FEE, Decimal("20.00")),
            ("bob", Kind.WITHDRAWAL, Decimal("200.00")),
            ("carol", Kind.DEPOSIT, Decimal("77.77")),
        ],
    )
    third = pool.roll_over(Decimal("-141.17"), [("carol", Kind.CLOSE, None)])
    return pool, [first, second, third]


def crowded_pool(
    *, investments: int, rollovers: int = 200, fees: int | None = None, seed: int = 1
) -> Rollover:
    """A rollover to audit that is not the newest: it has `investments` lines and `fees` charges (a tenth).

    Everybody is an owner of his own. They joined over the rollovers up to the audited one; one in fifty more
    had left before it. Some paid in again or took out, at the audited rollover too, and every fifth of the
    time performance fees were charged, the last of them there. The market moved at random; every result came
    as some deals. What happened after the audited rollover is of the same kind. Within a broker's scope.
    """
    crowd = _Crowd(random.Random(seed), seed)
    audited = max(rollovers - max(rollovers // 20, 2), 2)
    crowd.join(investments + investments // 50)
    leaving_early = crowd.stakes[investments:]
    feast = max(audited // 5, 1)
    for sequence in range(1, rollovers + 1):
        crowd.price(sequence, result=crowd.result())
        if sequence == audited or (sequence % feast == 0 and sequence < audited):
            crowd.charge(investments // 10 if fees is None else fees)
        if sequence == audited - 1:
            crowd.close(leaving_early)
        crowd.move_some(max(investments // 500, 1), closes=sequence >= audited)
        if sequence <= audited:
            crowd.pay_in_first(sequence, until=audited)
    crowd.write()
    return Rollover.objects.select_related("account").get(
        account=crowd.account, price_point__sequence=audited
    )


@dataclass(slots=True)
class _Stake:
    """An investment on its way through the history."""

    row: Investment
    joins_at: float
    units: Decimal = Decimal(0)
    has_closed: bool = False


@dataclass
class _Crowd:
    """The clerk of `crowded_pool`: keeps what happened in memory and writes it in bulk."""

    chance: random.Random
    number: int
    stakes: list[_Stake] = field(default_factory=list)
    points: list[PricePoint] = field(default_factory=list)
    entries: list[UnitEntry] = field(default_factory=list)
    charges: list[tuple[Charge, Decimal]] = field(default_factory=list)
    deals: list[CountedDeal] = field(default_factory=list)
    balance: Decimal = Decimal(0)
    flows: Decimal = Decimal(0)
    units: Decimal = Decimal(0)
    last: Price = Price.INITIAL

    def __post_init__(self) -> None:
        server = trading_server(f"Server of crowd {self.number}")
        alice = person(f"alice-{self.number}@crowd.example.com", Role.MANAGER)
        self.income_account = personal_account(alice, server, 5000)
        manager = Manager.objects.create(user=alice, display_name="Alice")
        pool = empty_pool(
            manager=manager, income_account=self.income_account, name=f"Crowd {self.number}", login=9000
        )
        self.account, self.terms = pool.account, pool.terms
        self.broker_id: uuid.UUID = Broker.objects.get().public_id

    def join(self, count: int) -> None:
        owners = User.objects.bulk_create(
            User(
                email=f"investor-{number}@crowd-{self.number}.example.com",
                password="!",
                first_name=f"Investor {number}",
                last_name=self.chance.choice(("Okafor", "Müller", "García", "Øst", "王")),
            )
            for number in range(count)
        )
        Membership.objects.bulk_create(Membership(user=owner, role=Role.INVESTOR) for owner in owners)
        accounts = PersonalAccount.objects.bulk_create(
            PersonalAccount(
                user=owner,
                server=self.income_account.server,
                login=100_000 + number,
                currency="USD",
                currency_digits=2,
            )
            for number, owner in enumerate(owners)
        )
        rows = Investment.objects.bulk_create(
            Investment(
                account=self.account,
                owner=owner,
                personal_account=personal,
                terms=self.terms,
                series=1,
                state=Investment.State.ACTIVE,
                joined_at=JOINED,
            )
            for owner, personal in zip(owners, accounts, strict=True)
        )
        self.stakes = [_Stake(row, self.chance.random() * 0.98) for row in rows]

    def result(self) -> Decimal:
        """Of the market: within a hundredth of the pool, in cents."""
        return decimal_of(self.chance.randint(-100, 110) * int(self.balance) // 100, 2)

    def price(self, sequence: int, *, result: Decimal) -> None:
        transferred, self.flows = self.flows, Decimal(0)
        self.balance += transferred + result
        price = self.last = price_of(self.balance, self.units, self.last)
        self.points.append(
            PricePoint(
                account=self.account,
                series=1,
                sequence=sequence,
                flow_sequence=sequence,
                priced_at=JOINED + timedelta(hours=sequence),
                server_balance=self.balance,
                server_equity=self.balance,
                server_credit=0,
                server_margin=0,
                owed=0,
                incoming=0,
                trading_result=result,
                equity=self.balance,
                units=self.units,
                price_equity=price.equity,
                price_units=price.units,
                price=price.rounded(),
                currency_digits=2,
            )
        )
        self._count(CountedDeal.Part.OURS, transferred)
        for _ in range(9 if result else 0):
            part = decimal_of(self.chance.randint(-50_000, 50_000), 2)
            result -= part
            self._count(CountedDeal.Part.RESULT, part)
        self._count(CountedDeal.Part.RESULT, result)

    def pay_in_first(self, sequence: int, *, until: int) -> None:
        """The first deposits of those whose time has come."""
        part = sequence / until
        for stake in self.stakes:
            if not stake.units and not stake.has_closed and stake.joins_at <= part:
                self._enter(stake, Kind.DEPOSIT, decimal_of(self.chance.randint(10_000, 5_000_000), 2))

    def move_some(self, count: int, *, closes: bool) -> None:
        """Further deposits and withdrawals, a close among them where they are allowed."""
        for stake in self._some(count):
            self._enter(stake, Kind.DEPOSIT, decimal_of(self.chance.randint(5_000, 500_000), 2))
        for stake in self._some(count):
            self._enter(stake, Kind.WITHDRAWAL, self._part_of(stake, 10))
        if closes:
            self.close(self._some(max(count // 10, 1)))

    def charge(self, count: int) -> None:
        for stake in self._some(count):
            fee = self._part_of(stake, 200)
            self._enter(stake, Kind.PERFORMANCE_FEE, fee)
            self.charges.append((self._charge(stake.row, fee), fee))

    def close(self, stakes: Iterable[_Stake]) -> None:
        for stake in stakes:
            if stake.units:
                self._enter(stake, Kind.CLOSE, None)
            stake.has_closed = True

    def write(self) -> None:
        points = PricePoint.objects.bulk_create(self.points)
        moment: datetime = points[-1].priced_at
        UnitEntry.objects.bulk_create(self.entries)
        CountedDeal.objects.bulk_create(self.deals)
        charges = [charge for charge, _ in self.charges]
        Charge.objects.bulk_create(charges)
        ChargePart.objects.bulk_create(_parts(self.charges, self.account, self.broker_id))
        Rollover.objects.bulk_create(
            Rollover(
                account=self.account,
                scheduled_for=point.priced_at,
                ordered_at=point.priced_at,
                state=Rollover.State.COMPLETED,
                completed_at=point.priced_at,
                price_point=point,
            )
            for point in points
        )
        for stake in self.stakes:
            stake.row.units = stake.units
            stake.row.state = Investment.State.CLOSED if stake.has_closed else Investment.State.ACTIVE
        Investment.objects.bulk_update(
            (stake.row for stake in self.stakes), ["units", "state"], batch_size=1000
        )
        account = self.account
        account.sequence = account.flow_sequence = len(points)
        account.units = self.units
        account.last_price_equity, account.last_price_units = self.last.equity, self.last.units
        account.last_priced_at, account.last_equity = moment, self.balance + self.flows
        account.save()

    def _some(self, count: int) -> list[_Stake]:
        holding = [stake for stake in self.stakes if stake.units]
        return self.chance.sample(holding, min(count, len(holding)))

    def _part_of(self, stake: _Stake, parts: int) -> Decimal:
        return max(value(stake.units / parts, self.last, 2), Decimal("0.01"))

    def _enter(self, stake: _Stake, kind: Kind, amount: Decimal | None) -> None:
        if kind is Kind.DEPOSIT:
            assert amount is not None
            units, flow = units_for_deposit(amount, self.last), amount
        elif amount is None:
            units, flow = -stake.units, -value(stake.units, self.last, 2)
        else:
            units, flow = -units_for_redemption(amount, self.last, stake.units), -amount
        self.entries.append(
            UnitEntry(
                account=self.account,
                investment=stake.row,
                price_point=self.points[-1],
                kind=kind,
                units=units,
                amount=flow,
                currency_digits=2,
            )
        )
        stake.units += units
        self.units += units
        self.flows += flow

    def _count(self, part: CountedDeal.Part, amount: Decimal) -> None:
        if amount:
            point = self.points[-1]
            self.deals.append(
                CountedDeal(
                    account=self.account,
                    price_point=point,
                    part=part,
                    action=0,
                    executed_at=point.priced_at,
                    ticket=self.number * 1_000_000 + len(self.deals) + 1,
                    symbol="EURUSD",
                    currency_digits=2,
                    amount=amount,
                )
            )

    def _charge(self, investment: Investment, fee: Decimal) -> Charge:
        line, record = _performance_record(str(fee))
        return Charge(
            account=self.account,
            investment=investment,
            price_point=self.points[-1],
            kind=line.kind.value,
            occasion=Charge.Occasion.INTERVAL_END,
            amount=fee,
            currency="USD",
            currency_digits=2,
            profit=line.profit,
            mark_before=line.mark_before,
            mark_after=line.mark_after,
            carried_before=line.carried_before,
            carried_after=line.carried_after,
            explanation=record,
            charged_at=self.points[-1].priced_at,
        )


@cache
def _performance_record(fee: str) -> tuple[FeeLine, dict[str, Any]]:
    line = performance_line(fee)
    return line, explanation(line, 2)


def _parts(
    charges: Iterable[tuple[Charge, Decimal]], account: PammAccount, broker: uuid.UUID
) -> Iterator[ChargePart]:
    """A quarter to the broker, the rest to the manager."""
    for charge, fee in charges:
        of_broker = (fee / 4).quantize(Decimal("0.01"))
        for party, payee, amount in (
            (ChargePart.Party.BROKER, broker, of_broker),
            (ChargePart.Party.MANAGER, account.manager.public_id, fee - of_broker),
        ):
            if amount:
                yield ChargePart(
                    charge=charge,
                    account=account,
                    price_point=charge.price_point,
                    party=party,
                    payee=payee,
                    amount=amount,
                    currency="USD",
                    currency_digits=2,
                )
