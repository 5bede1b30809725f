"""Loading the demo: two brokers and their past, into the database and into the simulated server's books.

Everything of ours is one transaction. The server's books are written aside and renamed into place just before
it commits: cut off anywhere, the database is empty, and books beside an empty database are made anew.
"""

import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from django.db import connection, transaction

from accounts.models import PersonalAccount
from allocation.calc.units import value as value_of_units
from allocation.models import Investment, PricePoint, UnitEntry
from allocation.services import last_price
from brokers.models import Broker, HostName
from brokers.scope import broker_scope
from demo.cast import Cast, Site, add_demo_broker, engage, schedule_rollovers
from demo.copying import KeyRanges, copy_instances, copy_rows
from demo.errors import DemoNotLoadable
from demo.identifiers import PastIdentifiers
from demo.market import hourly_rates
from demo.owner import connected_as_owner
from demo.plans import YEN_PER_UNIT, Stake, stakes_of
from demo.pools import ROLLOVER_COLUMNS, Past, PastPool
from demo.scenario import BROKERS, SERVER_TIME_ZONE, BrokerPlan
from demo.server_books import ServerBooks
from fees.models import Charge, ChargePart
from investing.errors import LockInNotOver
from investing.models import Request, Stop
from investing.services import set_stops
from ledger.models import Entry, LedgerAccount, Posting
from ledger.services import ledger_accounts
from money.exact import exact_sum
from money.rounding import half_even
from outbox.models import Event
from outbox.services import record_event
from rollover.models import CountedDeal, Rollover
from rollover.services.chain import record_links
from track_record.services import refresh_statistics
from trading.gateway import DealAction
from trading.models import TradingServer
from trading.simulator.history import PastDeal
from transfers.models import Leg, Transfer

Progress = Callable[[str], None]
Planner = Callable[[BrokerPlan, Sequence[int], random.Random], list[list[Stake]]]
"""Who puts money where at a broker whose accounts have had so many rollovers: stakes by account."""

ONE_LOAD_AT_A_TIME = 0x44454D4F
DEFAULT_TRADING_PORT = 8443
STOPS = (
    (Stop.Kind.STOP_LOSS, 3, Decimal("0.80")),
    (Stop.Kind.TAKE_PROFIT, 4, Decimal("1.50")),
)
"""Which, of every how many investments, at which part of the present value."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the demo is reached; ports by the names that the launcher puts into the environment."""

    folder: Path
    ports: Mapping[str, int]

    @classmethod
    def from_environment(cls) -> "Addresses":
        """Raises DemoNotLoadable without SIMULATOR_FOLDER."""
        folder = os.environ.get("SIMULATOR_FOLDER")
        if not folder:
            raise DemoNotLoadable("SIMULATOR_FOLDER is not set: where should the trading server's books go?")
        names = ("DEMO_TRADING_PORT", *(plan.port_variable for plan in BROKERS))
        return cls(Path(folder), {name: int(os.environ[name]) for name in names if os.environ.get(name)})

    @property
    def trading_port(self) -> int:
        return self.ports.get("DEMO_TRADING_PORT", DEFAULT_TRADING_PORT)

    def hosts_of(self, plan: BrokerPlan) -> tuple[str, ...]:
        port = self.ports.get(plan.port_variable)
        own_port = () if port is None else (f"127.0.0.1:{port}",)
        return (f"{plan.slug}.localhost", *own_port)


def load_demo(
    addresses: Addresses,
    *,
    days: int = 365,
    seed: int = 1,
    until: datetime | None = None,
    plans: Sequence[BrokerPlan] = BROKERS,
    planner: Planner = stakes_of,
    say: Progress,
) -> bool:
    """Load the demo; whether there was anything to do. Its past ends with the last full hour up to `until`.

    `plans` are the brokers there are, `planner` says who puts money where.
    Where it is loaded already only the addresses are brought up to date. Raises DemoNotLoadable for a
    database with other brokers in it, and for one half of the demo without the other.
    """
    books = ServerBooks(addresses.folder)
    end = (until or datetime.now(UTC)).replace(minute=0, second=0, microsecond=0)
    with connected_as_owner(), transaction.atomic():
        _wait_for_others()
        present = _brokers_present()
        if present:
            _require_demo(present, books)
            _refresh_addresses(addresses, present)
            return False
        books.begin()
        say("people, accounts and offers")
        _Load(addresses, books, days, seed, end, planner, say).run(plans)
        books.put_in_place()
    return True


class _Load:
    """One load, inside its transaction."""

    def __init__(
        self,
        addresses: Addresses,
        books: ServerBooks,
        days: int,
        seed: int,
        end: datetime,
        planner: Planner,
        say: Progress,
    ) -> None:
        self.addresses, self.books, self.days, self.seed, self.end = addresses, books, days, seed, end
        self.planner, self.say = planner, say
        self.keys = KeyRanges(_COPIED)
        self.deals: list[PastDeal] = []
        self.tickets: list[int] = []
        self.balances: dict[int, Decimal] = {}

    def run(self, plans: Sequence[BrokerPlan]) -> None:
        password, certificate = self.books.credentials()
        pasts: list[tuple[Cast, Past]] = []
        for plan in plans:
            site = Site(self.addresses.hosts_of(plan), self.addresses.trading_port, password, certificate)
            broker = add_demo_broker(plan, site)
            with broker_scope(broker.pk):
                pasts.append(self._live(plan, broker, site))
        self.say(f"{len(self.deals)} deals into the trading server's books")
        self._write_server([cast for cast, _ in pasts])
        for cast, past in pasts:
            with broker_scope(cast.broker.pk):
                self._write_rest(cast, past)
        self.keys.give_back()
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        for cast, _ in pasts:
            with broker_scope(cast.broker.pk):
                self.say(f"{cast.broker.name}: chains of their books")
                for account in cast.accounts:
                    record_links([account.pk])
                _set_some_stops()
                self.say(f"{cast.broker.name}: track records")
                refresh_statistics(cast.accounts)

    def _live(self, plan: BrokerPlan, broker: Broker, site: Site) -> tuple[Cast, Past]:
        """Everything that happened at one broker; price points and rollovers are written as they are made."""
        chance = self._chance(plan.slug)
        ages = [min(account.age_days, self.days) for account in plan.accounts]
        hours = [[self.end - timedelta(hours=back) for back in range(24 * age, -1, -1)] for age in ages]
        stakes = self.planner(plan, [len(each) for each in hours], chance)
        past = Past(self.keys, PastIdentifiers(f"{self.seed}/{plan.slug}"), self.deals)
        cast = engage(plan, broker, site, stakes, [each[0] for each in hours], past.identifiers)
        pools = [
            PastPool(cast, number, stakes[number], hours[number], past, f"{self.seed}/{plan.slug}/{number}")
            for number in range(len(plan.accounts))
        ]
        self._open_balances(cast, pools, min(each[0] for each in hours) - timedelta(days=1), chance)
        for number, pool in enumerate(pools):
            rates = hourly_rates(
                plan.accounts[number].character, hours[number], ZoneInfo(SERVER_TIME_ZONE), chance
            )
            pool.run(rates)
            past.write_points()
            copy_rows(Rollover, ROLLOVER_COLUMNS, past.rollovers)
            self.say(f"{broker.name}: {pool.account.name}, {len(past.rollovers)} rollovers")
            self.balances[pool.account.login or 0] = pool.balance
            past.rollovers.clear()
        schedule_rollovers(self.end + timedelta(minutes=1))
        record_event("demo.loaded", subject=broker.public_id, days=self.days, seed=self.seed)
        return cast, past

    def _open_balances(self, cast: Cast, pools: list[PastPool], at: datetime, chance: random.Random) -> None:
        """What stood on personal and house accounts before the platform moved anything."""
        needed: dict[PersonalAccount, Decimal] = {}
        for pool in pools:
            for personal, amount in pool.opening_money.items():
                needed[personal] = exact_sum((needed.get(personal, Decimal(0)), amount))
        opening = {house.login: cast.opening_balance(house) for house in cast.houses}
        for personal in cast.personal.values():
            step = 1000 * (YEN_PER_UNIT if personal.currency == "JPY" else 1)
            spare = step * chance.randint(4, 30)
            opening[personal.login] = needed.get(personal, Decimal(0)) // step * step + step + spare
        for login, amount in sorted(opening.items()):
            self.deals.append(PastDeal(login, at, DealAction.BALANCE, amount, comment="Deposit"))

    def _write_server(self, casts: list[Cast]) -> None:
        """The server numbers deals in the order of time: that order decides every ticket."""
        order = sorted(range(len(self.deals)), key=lambda place: self.deals[place].at)
        accounts = [account for cast in casts for account in cast.accounts_at_server]
        loaded = self.books.write(accounts, [self.deals[place] for place in order])
        self.tickets = [0] * len(order)
        for ticket, place in enumerate(order, start=loaded.first_ticket):
            self.tickets[place] = ticket
        for login, balance in self.balances.items():
            if loaded.balances[login] != balance:
                raise RuntimeError(
                    f"{login}: the server's books say {loaded.balances[login]}, ours {balance}"
                )

    def _write_rest(self, cast: Cast, past: Past) -> None:
        self.say(
            f"{cast.broker.name}: {len(past.counted)} counted deals, {len(past.drafts)} entries of the ledger"
        )
        for leg, deal in past.legs:
            leg.ticket = self.tickets[deal]
        copy_instances(Investment, past.investments)
        copy_instances(UnitEntry, past.entries)
        copy_instances(Charge, past.charges)
        copy_instances(ChargePart, past.parts)
        copy_instances(Transfer, past.transfers)
        copy_instances(Leg, (leg for leg, _ in past.legs))
        copy_instances(Request, past.requests)
        copy_rows(CountedDeal, _COUNTED_COLUMNS, self._counted_rows(past))
        self._write_ledger(cast, past)
        copy_rows(Event, _EVENT_COLUMNS, self._event_rows(cast, past))

    def _counted_rows(self, past: Past) -> Iterator[tuple[object, ...]]:
        for account, place, part, point in past.counted:
            deal = self.deals[place]
            yield (
                self.keys.next(CountedDeal),
                account.broker_id,
                account.pk,
                point,
                self.tickets[place],
                part.value,
                int(deal.action),
                deal.at,
                deal.symbol,
                deal.volume,
                deal.price,
                # Each of these trades closes a position as a whole.
                deal.volume if part is CountedDeal.Part.RESULT else 0,
                deal.profit,
                account.currency_digits,
                deal.comment,
            )

    def _write_ledger(self, cast: Cast, past: Past) -> None:
        accounts = ledger_accounts({key for draft in past.drafts for key, amount in draft.lines if amount})
        broker, identifiers = cast.broker.pk, past.identifiers
        entries: list[tuple[object, ...]] = []
        postings: list[tuple[object, ...]] = []
        for draft in past.drafts:
            entry = self.keys.next(Entry)
            at = draft.occurred_at
            entries.append((entry, broker, identifiers.at(at), draft.kind, draft.source, draft.note, at, at))
            postings += [
                (self.keys.next(Posting), broker, entry, _key_of(accounts[key]), amount, key.currency_digits)
                for key, amount in draft.lines
                if amount
            ]
        copy_rows(Entry, _ENTRY_COLUMNS, entries)
        copy_rows(Posting, _POSTING_COLUMNS, postings)

    def _event_rows(self, cast: Cast, past: Past) -> Iterator[tuple[object, ...]]:
        for kind, subject, payload, at in sorted(past.events, key=lambda event: event[3]):
            yield (cast.broker.pk, past.identifiers.at(at), kind, subject, payload, at, at)

    def _chance(self, name: str) -> random.Random:
        return random.Random(f"{self.seed}/{name}")  # noqa: S311 - repeatable on purpose


_COPIED = (
    PricePoint,
    Rollover,
    CountedDeal,
    Investment,
    UnitEntry,
    Charge,
    ChargePart,
    Request,
    Transfer,
    Leg,
    Entry,
    Posting,
)
_COUNTED_COLUMNS = (
    "id",
    "broker_id",
    "account_id",
    "price_point_id",
    "ticket",
    "part",
    "action",
    "executed_at",
    "symbol",
    "volume",
    "price",
    "closed_lots",
    "amount",
    "currency_digits",
    "comment",
)
_ENTRY_COLUMNS = ("id", "broker_id", "public_id", "kind", "source", "note", "occurred_at", "recorded_at")
_POSTING_COLUMNS = ("id", "broker_id", "entry_id", "account_id", "amount", "currency_digits")
_EVENT_COLUMNS = ("broker_id", "public_id", "kind", "subject", "payload", "occurred_at", "recorded_at")


def _key_of(account: LedgerAccount) -> int:
    return int(account.pk)


def _set_some_stops() -> None:
    """Some investors have a stop loss or a take profit, where nothing locks them in."""
    living = Investment.objects.filter(state=Investment.State.ACTIVE, is_own_capital=False, units__gt=0)
    for number, investment in enumerate(living.select_related("account", "owner").order_by("pk")):
        account = investment.account
        value = value_of_units(investment.units, last_price(account), account.currency_digits)
        wanted = {
            kind: half_even(value * share, account.currency_digits)
            for kind, every, share in STOPS
            if number % every == 0
        }
        with suppress(LockInNotOver), transaction.atomic():
            set_stops(investment=investment, amounts=wanted, by=investment.owner)


def _wait_for_others() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ONE_LOAD_AT_A_TIME])


def _brokers_present() -> dict[str, int]:
    """Keys by slug, of every broker: the owner sees them all."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT slug, id FROM brokers_broker")
        return dict(cursor.fetchall())


def _require_demo(present: Mapping[str, int], books: ServerBooks) -> None:
    for slug, broker_id in present.items():
        with broker_scope(broker_id):
            if not Event.objects.filter(kind="demo.loaded").exists():
                raise DemoNotLoadable(
                    f"the database holds broker {slug}, which is not the demo's: nothing was loaded"
                )
    if not books.are_in_place:
        raise DemoNotLoadable(
            f"the database holds the demo, but {books.folder} not the trading server's books: "
            "make demo-reset starts over"
        )


def _refresh_addresses(addresses: Addresses, present: Mapping[str, int]) -> None:
    """Ports that were taken are stepped over: hosts and the trading server's port follow."""
    keys = [present[plan.slug] for plan in BROKERS]
    HostName.objects.filter(broker_id__in=keys, host__startswith="127.0.0.1:").delete()
    for plan in BROKERS:
        broker_id = present[plan.slug]
        for host in addresses.hosts_of(plan):
            HostName.objects.get_or_create(host=host, defaults={"broker_id": broker_id})
        with broker_scope(broker_id):
            TradingServer.objects.filter(host="127.0.0.1").update(port=addresses.trading_port)
