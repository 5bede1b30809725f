"""A broker with a real trading server in its own process, and the people of a pool.

Prices are made by trading: `Desk.bring_equity_to` opens and closes a position on the PAMM account so that its
equity becomes exactly what a test wants.
"""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import time_machine
from django.utils import timezone

from accounts.models import HouseAccount, Manager, PammAccount, PersonalAccount, Role, User
from allocation.models import Investment
from brokers.models import Broker
from fees.calc.schedule import Basis, Mode, Schedule, Tier
from investing import services as investing
from investing.models import Request
from offers.models import Offer, Terms
from offers.services import TermsDraft, create_offer, open_offer
from rollover.models import Decision, Rollover
from rollover.services import order_rollover, roll_over
from tests.simulator import MANAGER_LOGIN, MANAGER_PASSWORD, SimulatorProcess
from tests.worlds import person
from trading.gateway import Filled, Gateway, Side
from trading.gateways import gateway_for
from trading.models import TradingGroup, TradingServer
from transfers.models import Leg

INDEX = "US500"
"""One lot of it earns one unit of its price: a move of 0.01 is one cent."""
INDEX_PRICE = Decimal("5000.00")
SHARES: dict[str, Any] = {
    "broker_share_rate": Decimal("0.20"),
    "agent_share_rates": (Decimal("0.10"), Decimal("0.05")),
}
"""Of terms that leave something to everybody."""
RANDOM_TIERS: dict[str, tuple[tuple[str | None, str], ...]] = {
    "flat": ((None, "0.30"),),
    "yield": ((None, "0"), ("0.015", "0.20"), ("0.06", "0.50")),
    "net_worth": ((None, "0.50"), ("400", "0.40"), ("2500", "0.15")),
}
RANDOM_ENTRY_TIERS = (Tier(None, Decimal("0.0175")), Tier(Decimal(500), Decimal("0.005")))


FIRST_DAY = date(2026, 1, 5)
"""A Monday, where calendars of tests begin."""


class Calendar:
    """Our clock and the trading server's: a test moves both on alike. Ours stands still in between."""

    def __init__(self, simulator: SimulatorProcess, traveller: time_machine.Traveller) -> None:
        self._simulator, self._traveller = simulator, traveller

    def let_pass(self, *, days: int = 0, hours: int = 0, seconds: int = 0) -> datetime:
        """Now, after that time."""
        passed = timedelta(days=days, hours=hours, seconds=seconds)
        self._simulator.advance_clock(int(passed.total_seconds()))
        self._traveller.shift(passed)
        return timezone.now()


@contextmanager
def calendar_from_first_day(simulator: SimulatorProcess) -> Iterator[Calendar]:
    """Until a test moves on it is `FIRST_DAY`, half past the present hour: whole hours later it is never
    midnight, when nothing moves.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    start = datetime.combine(FIRST_DAY, time(now.hour, 30), UTC)
    with time_machine.travel(start, tick=False) as traveller:
        simulator.advance_clock(int((start - now).total_seconds()))
        try:
            yield Calendar(simulator, traveller)
        finally:
            simulator.advance_clock(int((now - timezone.now()).total_seconds()))


@dataclass
class Desk:
    """Broker A's side of the world: its server, its staff, and hands to trade with."""

    broker: Broker
    simulator: SimulatorProcess
    server: TradingServer
    dealer: User
    gateway: Gateway
    _orders: int = field(default=0)

    @classmethod
    def open(cls, simulator: SimulatorProcess, slug: str = "a") -> "Desk":
        """To be called inside the scope of `broker_called(slug)`."""
        broker = Broker.objects.get()
        server = connected(simulator)
        dealer = person("dealer@a.example", Role.DEALER)
        return cls(broker, simulator, server, dealer, gateway_for(server))

    def client(self, name: str, amount: str, *roles: Role, currency: str = "USD") -> PersonalAccount:
        """A person with a personal account that holds `amount`."""
        user = person(f"{name}@{self.broker.slug}.example", *roles, first_name=name.title())
        digits = 0 if currency == "JPY" else 2
        login = self.simulator.add_account(f"personal\\{currency}", amount)
        account: PersonalAccount = PersonalAccount.objects.create(
            user=user, server=self.server, login=login, currency=currency, currency_digits=digits
        )
        return account

    def pamm_account(self, income: PersonalAccount, own_capital: str, **fields: object) -> PammAccount:
        manager = Manager.objects.filter(user=income.user).first() or Manager.objects.create(
            user=income.user, display_name=income.user.full_name
        )
        opened = investing.open_pamm_account(
            manager=manager,
            income_account=income,
            name=str(fields.pop("name", "Pool")),
            own_capital=Decimal(own_capital),
            minimum_own_capital=Decimal(
                str(fields.pop("minimum_own_capital", "100.00" if income.currency_digits else "100"))
            ),
            by=income.user,
            idempotency_key=str(fields.pop("key", uuid.uuid4())),
            **fields,  # type: ignore[arg-type]
        )
        return opened.account

    def offer(self, account: PammAccount, terms: TermsDraft, **fields: object) -> Offer:
        by = account.manager.user
        settings: dict[str, object] = {
            "name": "Offer",
            "visibility": Offer.Visibility.PUBLIC,
            "approval": Offer.Approval.MANAGER,
            **fields,
        }
        offer = create_offer(account=account, terms=terms, by=by, **settings)  # type: ignore[arg-type]
        return open_offer(offer=offer, by=by)

    def invest(self, personal: PersonalAccount, offer: Offer, amount: str) -> Investment:
        """Ask to join and have the dealer confirm."""
        request = investing.request_first_deposit(
            owner=personal.user,
            offer=offer,
            terms=offer.terms.latest("version"),
            personal_account=personal,
            amount=Decimal(amount),
            idempotency_key=str(uuid.uuid4()),
        )
        if request.state == Request.State.PENDING:
            investing.confirm_request(request=request, by=self.dealer)
        investment: Investment = request.investment
        return investment

    def withdraw(self, investment: Investment, amount: str, **fields: bool) -> Request:
        return investing.request_withdrawal(
            investment=investment,
            amount=Decimal(amount),
            by=investment.owner,
            idempotency_key=str(uuid.uuid4()),
            **fields,
        )

    def add_money(self, investment: Investment, amount: str) -> Request:
        return investing.request_further_deposit(
            investment=investment,
            amount=Decimal(amount),
            by=investment.owner,
            idempotency_key=str(uuid.uuid4()),
        )

    def close(self, investment: Investment) -> Request:
        return investing.request_close(
            investment=investment, by=investment.owner, idempotency_key=str(uuid.uuid4())
        )

    def roll(self, *accounts: PammAccount) -> list[Rollover]:
        """Order rollovers by hand and carry them out here, after what is still to be done of earlier ones: on
        a busy machine an answer may come too late for its rollover.
        """
        unfinished = Rollover.objects.filter(account__in=accounts, state__in=Rollover.OPEN_STATES)
        roll_over(list(unfinished.values_list("pk", flat=True)))
        ordered = order_rollover(accounts=_fresh(accounts), by=self.dealer)
        roll_over([rollover.pk for rollover in ordered])
        return list(
            Rollover.objects.filter(pk__in=[rollover.pk for rollover in ordered]).select_related("account")
        )

    def earn(self, account: PammAccount, amount: Decimal) -> None:
        """Trade the account so that it earns (or loses) exactly `amount`, in dollars, positions closed."""
        self.hold(account, amount)
        self.flatten(account)

    def hold(self, account: PammAccount, amount: Decimal) -> None:
        """Leave a position open whose floating result is `amount`."""
        self.simulator.set_tick(INDEX, INDEX_PRICE, INDEX_PRICE)
        self._order(account, Side.BUY)
        self.simulator.set_tick(INDEX, INDEX_PRICE + amount, INDEX_PRICE + amount)

    def flatten(self, account: PammAccount) -> None:
        login = login_of(account)
        for position in self.gateway.positions([login])[login]:
            side = Side.SELL if position.side is Side.BUY else Side.BUY
            self._order(account, side, position=position.ticket, volume=position.volume)

    def bring_equity_to(self, account: PammAccount, equity: Decimal) -> None:
        """Trade so that the server's equity of the account is `equity`."""
        self.earn(account, equity - self.balance(login_of(account)))

    def bring_price_to(self, account: PammAccount, price: Decimal) -> None:
        """Trade so that price per unit becomes `price`, as near as whole minor units allow."""
        account.refresh_from_db()
        target = round(account.units * price, account.currency_digits)
        self.bring_equity_to(account, target)

    def pool_balance(self, account: PammAccount) -> Decimal:
        """The server's balance of a PAMM account."""
        return self.balance(login_of(account))

    def balance(self, login: int) -> Decimal:
        return self.simulator.balance(login)

    def earn_without_units(self, account: PammAccount, amount: Decimal) -> None:
        """A result in an account that has no units yet: somebody's operation, taken as a result."""
        self.accept(account, self.simulator.adjust_as_dealer(login_of(account), amount), amount)

    def accept(self, account: PammAccount, ticket: int, amount: Decimal) -> None:
        """Take a foreign operation as the investors' result, as a person would of a held account."""
        Decision.objects.create(
            account=account,
            ticket=ticket,
            kind=Decision.Kind.RESULT,
            amount=amount,
            currency_digits=account.currency_digits,
            made_by=self.dealer,
            note="a test's",
        )

    def bind_margin(self, account: PammAccount, *, leave: Decimal = Decimal(15)) -> None:
        """Open a position that binds all of the balance but `leave` as margin, at no floating result."""
        self.simulator.set_tick(INDEX, INDEX_PRICE, INDEX_PRICE)
        lots = (self.balance(login_of(account)) - leave) / (INDEX_PRICE / account.leverage)
        self._order(account, Side.BUY, volume=lots.quantize(Decimal("0.1")))

    def sink(self, account: PammAccount) -> None:
        """Bring the pool 100 below zero, a position open; the server's credit keeps it from a stop-out."""
        login = login_of(account)
        self.simulator.adjust_as_dealer(login, "50000", action=3)
        self.hold(account, -self.balance(login) - 100)

    def surface(self, account: PammAccount) -> None:
        """Close a sunk account's position without a loss."""
        self.simulator.set_tick(INDEX, INDEX_PRICE, INDEX_PRICE)
        self.flatten(account)

    def wipe_out(self, account: PammAccount) -> None:
        """Lose more than there is, nothing left open."""
        self.sink(account)
        self.flatten(account)

    def age_ticks(self, *, seconds: int) -> None:
        """Make the index's last price an old one."""
        self.simulator.set_tick(INDEX, INDEX_PRICE, INDEX_PRICE, age_seconds=seconds)

    def expire_answers(self) -> None:
        """Let the time pass after which a balance operation without an answer may be sent again."""
        Leg.objects.filter(state=Leg.State.UNKNOWN).update(retry_at=timezone.now())
        Rollover.objects.update(lease_until=None)

    def _order(
        self, account: PammAccount, side: Side, position: int | None = None, volume: Decimal = Decimal(1)
    ) -> None:
        self._orders += 1
        outcome = self.gateway.place_market_order(
            login_of(account), INDEX, side, volume, f"test{self._orders}", position=position
        )
        assert isinstance(outcome, Filled), outcome


def connected(simulator: SimulatorProcess, name: str = "Simulated") -> TradingServer:
    """The simulated server as one of the broker's, with groups and house accounts."""
    # Tests run at any hour and set prices by hand.
    server = TradingServer.objects.create(
        name=name,
        host=simulator.host,
        port=simulator.port,
        manager_login=MANAGER_LOGIN,
        manager_password=MANAGER_PASSWORD,
        ca_certificate=simulator.certificate,
        time_zone=simulator.timezone,
    )
    for currency, digits in (("USD", 2), ("EUR", 2), ("JPY", 0)):
        for purpose in TradingGroup.Purpose.values:
            TradingGroup.objects.create(
                server=server,
                name=f"{purpose}\\{currency}",
                purpose=purpose,
                currency=currency,
                currency_digits=digits,
            )
        for purpose in (HouseAccount.Purpose.ROUNDING, HouseAccount.Purpose.SUSPENSE):
            HouseAccount.objects.create(
                server=server,
                purpose=purpose,
                currency=currency,
                currency_digits=digits,
                login=simulator.add_account(f"house\\{currency}", "1000"),
            )
    return server


def terms(
    *tiers: tuple[str | None, str], basis: str = "flat", mode: str = "whole", **fields: object
) -> TermsDraft:
    """Terms with these tiers, an interval of one rollover each unless told otherwise, and small minimums."""
    schedule = Schedule(
        Basis(basis),
        Mode(mode),
        tuple(Tier(None if bound is None else Decimal(bound), Decimal(rate)) for bound, rate in tiers),
    )
    values: dict[str, object] = {
        "schedule": schedule,
        "interval_unit": "rollovers",
        "interval_count": 1,
        "interval_anchor": "own",
        "minimum_first": Decimal("10"),
        "minimum_further": Decimal("10"),
        "minimum_remaining": Decimal("10"),
    }
    return TermsDraft(**{**values, **fields})  # type: ignore[arg-type]


def random_terms(chance: Random, *, day: int = 1) -> TermsDraft:
    """Terms with some of all kinds of fees; intervals in days last a multiple of `day`."""

    def perhaps(least: int, most: int) -> Decimal:
        """Hundredths, or nothing."""
        return Decimal(chance.randrange(least, most)) / 100 if chance.random() < 0.7 else Decimal(0)

    basis = chance.choice(("flat", "yield", "net_worth"))
    unit, count = chance.choice((("rollovers", 1), ("rollovers", 1), ("days", day)))
    early_exit, until = perhaps(1, 400) / 100, chance.choice(list(Terms.EarlyExitUntil))
    locks = early_exit and until == Terms.EarlyExitUntil.LOCK_IN
    return terms(
        *RANDOM_TIERS[basis],
        basis=basis,
        mode=chance.choice(("whole", "marginal")),
        profit_basis=chance.choice(("equity", "lower")),
        on_withdrawal=chance.choice(("proportional", "whole")) if basis == "flat" else "proportional",
        management_rate=perhaps(1, 500) / 100,
        entry_tiers=chance.choice(((), RANDOM_ENTRY_TIERS)),
        subscription_amount=perhaps(1, 3000),
        volume_amount_per_lot=perhaps(1, 900),
        interval_unit=unit,
        interval_count=count * chance.randrange(1, 5),
        lock_in_days=chance.randrange(20, 90) if locks else 0,
        early_exit_rate=early_exit,
        early_exit_until=until,
        **SHARES,
    )


def cents(chance: Random, least: int, most: int) -> Decimal:
    """An amount between two whole ones, never 0."""
    return Decimal(chance.randrange(least * 100, most * 100) or 1) / 100


def share_as_standard(desk: Desk, draft: TermsDraft) -> None:
    """Make the shares of the draft the broker's own: others are an administrator's to set."""
    desk.broker.fee_share_rate = draft.broker_share_rate
    desk.broker.agent_share_rates = [str(rate) for rate in draft.agent_share_rates]
    desk.broker.save()


def _fresh(accounts: Sequence[PammAccount]) -> list[PammAccount]:
    return list(PammAccount.objects.filter(pk__in=[account.pk for account in accounts]))


def login_of(account: PammAccount) -> int:
    assert account.login is not None
    return account.login
