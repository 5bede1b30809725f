"""More of what a manager has: investors, requests, charges, rollovers, accounts."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import count

from django.utils import timezone

from accounts.models import PammAccount
from allocation.models import Investment, PricePoint
from fees.models import Charge
from investing.models import Request
from rollover.models import Rollover
from tests.web.charges import charged, performance_line
from tests.worlds import JOINED, AliceBobCharlie, Pool, person, personal_account, pool

_numbers = count(1)


def investor(of: Pool, amount: str = "500") -> Investment:
    """Somebody new with `amount` units in the pool, joined at price 1."""
    number = next(_numbers)
    user = person(f"investor{number}@example.com", first_name=f"Investor{number}")
    units = Decimal(amount)
    account = of.account
    investment: Investment = Investment.objects.create(
        account=account, owner=user, personal_account=personal_account(user, account.server, 60000 + number),
        terms=of.terms, series=1, joined=of.investment.joined, joined_at=JOINED,
        state=Investment.State.ACTIVE, units=units, lowest_units=units, lowest_units_number=1,
        high_water_mark=units,
        interval=of.investment.interval, paid_in=units,
    )  # fmt: skip
    account.units += units
    account.last_equity += units
    account.save()
    return investment


def deposit_request(investment: Investment, amount: str = "200.00") -> Request:
    """A further deposit that waits for approval."""
    account = investment.account
    made: Request = Request.objects.create(
        investment=investment, account=account, kind=Request.Kind.DEPOSIT, amount=Decimal(amount),
        currency=account.currency, currency_digits=account.currency_digits,
        idempotency_key=f"key-{next(_numbers)}", created_by=investment.owner,
        expires_at=timezone.now() + timedelta(days=7),
    )  # fmt: skip
    return made


def charge(of: Pool, investment: Investment, amount: str, days_ago: int = 0, *, broker: str = "0") -> Charge:
    """A performance fee that was charged; `broker` of it is the broker's, the rest the manager's."""
    return charged(investment, performance_line(amount), days_ago=days_ago, broker=broker)


def priced_at(of: Pool, price: str, days_ago: int = 0) -> None:
    """One more rollover of the pool, at this price."""
    account = of.account
    account.refresh_from_db()
    account.sequence += 2
    units = account.units
    equity = (units * Decimal(price)).quantize(Decimal("0.01"))
    at = timezone.now() - timedelta(days=days_ago)
    point = PricePoint.objects.create(
        account=account, series=1, sequence=account.sequence, flow_sequence=account.sequence, priced_at=at,
        server_balance=equity, server_equity=equity, server_credit=0, server_margin=0, owed=0, incoming=0,
        trading_result=0, equity=equity, units=units, price_equity=equity, price_units=units,
        price=Decimal(price), currency_digits=2,
    )  # fmt: skip
    Rollover.objects.create(
        account=account, scheduled_for=at, ordered_at=at, state=Rollover.State.COMPLETED, price_point=point
    )
    account.last_price_equity, account.last_price_units = equity, units
    account.last_equity, account.last_priced_at = equity, at
    account.save()


def more_accounts(world: AliceBobCharlie, logins: Sequence[int]) -> list[PammAccount]:
    """Further accounts of Alice, each with Bob's money in it, a charge and a rollover."""
    made = []
    for login in logins:
        another = pool(
            manager=world.alice_manager, income_account=world.pool.account.income_account, investor=world.bob,
            personal_account=world.bob_account, login=login,
        )  # fmt: skip
        priced_at(another, "1.2", days_ago=2)
        priced_at(another, "1.5")
        charge(another, another.investment, "10.00")
        deposit_request(another.investment)
        made.append(another.account)
    return made
