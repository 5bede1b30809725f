"""A pool with three rollovers behind it, written as the rollover writes it, for whoever checks records.

Rollover 1 at price 1.00: Bob and Alice (own capital) join. Rollover 2 at 1.10: Bob pays a fee and takes money
out, Carol joins. Rollover 3 at a price that rounds for everybody: Carol leaves. Amounts in USD, 2 digits.
"""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from accounts.models import Manager, PammAccount, PersonalAccount, Role, User
from allocation.calc.price import Price, price_of
from allocation.calc.units import units_for_deposit, units_for_redemption, value
from allocation.models import Investment, PricePoint, UnitEntry
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
