"""A seeded data set: brokers, accounts, investors, and before every round its requests and due fees.

Figures follow from the row's number, so two runs load the same. What is many is written by INSERT … SELECT:
one row made by the models (with all their defaults) is repeated with the columns that differ, so a new column
needs nothing here. Below `CHECKED_UP_TO` investments the foreign keys are checked on the way; above it the
same statements run without, or loading a million would take minutes.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import connection, models
from django.utils import timezone
from psycopg2 import sql

from accounts.models import Agent, HouseAccount, Manager, PammAccount, PersonalAccount, User
from allocation.models import Interval, Investment, PricePoint, UnitEntry
from brokers.models import Broker
from brokers.scope import broker_scope
from brokers.services import add_broker
from offers.models import Offer, Terms
from tools.bench.database import Database
from tools.bench.server_double import ServerDouble
from trading.models import TradingGroup, TradingServer

CHECKED_UP_TO = 50_000
AGENTS = 20
MANAGERS = 50
INVESTMENTS_PER_CLIENT = 10
PAMM_LOGINS = 1_000_000
FIRST_TICKET = 1_000_000_000

TIERED = (
    {"basis": "yield", "mode": "whole", "tiers": [
        {"from": None, "rate": "0"}, {"from": "0.005", "rate": "0.2"}, {"from": "0.4", "rate": "0.3"},
    ]},
    {"basis": "net_worth", "mode": "marginal", "tiers": [
        {"from": None, "rate": "0.3"}, {"from": "1000", "rate": "0.25"}, {"from": "5000", "rate": "0.2"},
    ]},
)  # fmt: skip
"""Schedules of the accounts' terms, one after the other."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """`due` of an account's investments share the interval that ends in every round; `requests` in all."""

    accounts: int
    investments: int
    requests: int
    due: int

    @property
    def per_account(self) -> int:
        return self.investments // self.accounts

    def __str__(self) -> str:
        return (
            f"{self.investments:,} investments in {self.accounts:,} accounts, {self.requests:,} requests, "
            f"{self.due * self.accounts:,} fees due"
        )


@dataclass
class Loaded:
    """The measured broker. Its investments are numbered without a gap, account by account."""

    database: Database
    sizes: Sizes
    broker_id: int
    server_id: int
    accounts: list[int]
    first_investment: int
    gateway: ServerDouble
    rounds: int = 0


def load(database: Database, sizes: Sizes) -> Loaded:
    """Fill an empty database: one broker of these sizes, and another of a tenth."""
    tenth = Sizes(max(1, sizes.accounts // 10), max(10, sizes.investments // 10), 0, 1)
    _load_broker(database, "other", tenth)
    loaded = _load_broker(database, "measured", sizes)
    database.vacuum()
    return loaded


def _load_broker(database: Database, slug: str, sizes: Sizes) -> Loaded:
    with database.owner():
        broker = add_broker(slug=slug, name=slug.title(), hosts=[f"{slug}.localhost"])
        with broker_scope(broker.pk):
            return _Loader(database, broker, sizes).load()


class _Loader:
    def __init__(self, database: Database, broker: Broker, sizes: Sizes) -> None:
        self.database, self.broker, self.sizes = database, broker, sizes
        self.joined_at = timezone.now() - timedelta(days=10)

    def load(self) -> Loaded:
        # Nothing waits at the server's day change: a benchmark runs at any hour.
        self.broker.quiet_minutes = 0
        self.broker.save()
        self.server = TradingServer.objects.create(
            name="Server", host="127.0.0.1", port=1, manager_login=1, manager_password="none"
        )
        TradingGroup.objects.bulk_create(
            TradingGroup(
                server=self.server, name=f"{purpose}\\USD", purpose=purpose, currency="USD", currency_digits=2
            )
            for purpose in TradingGroup.Purpose.values
        )
        HouseAccount.objects.bulk_create(
            HouseAccount(server=self.server, login=number, purpose=purpose, currency="USD", currency_digits=2)
            for number, purpose in enumerate(HouseAccount.Purpose, start=1)
        )
        agents = self._agents()
        accounts = self._accounts()
        clients = self._clients(agents)
        first_investment = self._investments(accounts, clients)
        return Loaded(
            self.database,
            self.sizes,
            self.broker.pk,
            self.server.pk,
            [account.pk for account in accounts],
            first_investment,
            ServerDouble(
                {account.login: account.last_balance for account in accounts if account.login is not None},
                FIRST_TICKET,
            ),
        )

    def _people(self, kind: str, number: int, first_login: int) -> list[PersonalAccount]:
        users = User.objects.bulk_create(
            User(email=f"{kind}-{index}@{self.broker.slug}.example", password="!") for index in range(number)
        )
        personal: list[PersonalAccount] = PersonalAccount.objects.bulk_create(
            PersonalAccount(
                user=user, server=self.server, login=first_login + index, currency="USD", currency_digits=2
            )
            for index, user in enumerate(users)
        )
        return personal

    def _agents(self) -> list[Agent]:
        """Every other one stands above the one after it."""
        agents: list[Agent] = []
        for index, personal in enumerate(self._people("agent", AGENTS, 100)):
            parent = agents[-1] if index % 2 else None
            agents.append(Agent.objects.create(user=personal.user, parent=parent))
        return agents

    def _accounts(self) -> list[PammAccount]:
        incomes = self._people("manager", min(MANAGERS, self.sizes.accounts), 1_000)
        managers = Manager.objects.bulk_create(
            Manager(user=income.user, display_name=f"Manager {index}") for index, income in enumerate(incomes)
        )
        amounts = [self._amount(position) for position in range(self.sizes.per_account)]
        total = Decimal(sum(amounts)) / 100
        accounts: list[PammAccount] = PammAccount.objects.bulk_create(
            PammAccount(
                manager=managers[index % len(managers)],
                income_account=incomes[index % len(incomes)],
                server=self.server,
                login=PAMM_LOGINS + index,
                opening_key=f"account-{index}",
                currency="USD",
                currency_digits=2,
                name=f"Account {index}",
                state=PammAccount.State.ACTIVE,
                sequence=1,
                flow_sequence=1,
                units=total,
                created_at=self.joined_at,
                last_priced_at=self.joined_at,
                last_equity=total,
                last_balance=total,
            )
            for index in range(self.sizes.accounts)
        )
        offers = Offer.objects.bulk_create(
            Offer(account=account, name="Offer", state=Offer.State.OPEN) for account in accounts
        )
        self.terms = Terms.objects.bulk_create(
            Terms(
                offer=offer,
                version=1,
                performance_schedule=TIERED[index % len(TIERED)],
                interval_anchor=Terms.IntervalAnchor.OWN,
                minimum_first=10,
                minimum_further=10,
                minimum_remaining=10,
                broker_share_rate=Decimal("0.25"),
                agent_share_rates=["0.1", "0.05"],
            )
            for index, offer in enumerate(offers)
        )
        self.points = PricePoint.objects.bulk_create(
            PricePoint(
                account=account,
                series=1,
                sequence=1,
                flow_sequence=1,
                priced_at=self.joined_at,
                server_balance=0,
                server_equity=0,
                server_credit=0,
                server_margin=0,
                owed=0,
                incoming=0,
                trading_result=0,
                equity=0,
                units=0,
                price_equity=1,
                price_units=1,
                price=1,
                currency_digits=2,
            )
            for account in accounts
        )
        # The second of each pair ends in every round; the first goes on.
        self.intervals = Interval.objects.bulk_create(
            Interval(
                account=account,
                terms=terms,
                anchor_at=self.joined_at + timedelta(minutes=is_due),
                starts_at=self.joined_at,
                ends_at=timezone.now() + timedelta(days=3650),
                opening=point,
            )
            for account, terms, point in zip(accounts, self.terms, self.points, strict=True)
            for is_due in (0, 1)
        )
        return accounts

    @staticmethod
    def _amount(position: int) -> int:
        """Minor units of the investment at this place of its account; the first is the manager's own."""
        return 50_000_00 if position == 0 else 500_00 + position * 3_701 % 9_000_00

    def _clients(self, agents: list[Agent]) -> tuple[int, int, int]:
        """Clients with a personal account each; (first user, first personal account, how many)."""
        number = max(1, self.sizes.investments // INVESTMENTS_PER_CLIENT)
        with bulk_cursor(self.database, self.sizes.investments) as cursor:
            user = repeat_row(
                cursor,
                User(email="", password="!", broker=self.broker),
                f"generate_series(0, {number - 1}) AS number",
                {"email": f"'client-' || number || '@{self.broker.slug}.example'"},
            )
            personal = repeat_row(
                cursor,
                PersonalAccount(user_id=user, server=self.server, login=0, currency="USD", currency_digits=2),
                f"generate_series(0, {number - 1}) AS number",
                {
                    "user_id": f"{user} + number",
                    "login": "10000000 + number",
                    "introduced_by_id": f"{agents[0].pk} + number % {len(agents)}",
                },
            )
        return user, personal, number

    def _investments(self, accounts: list[PammAccount], clients: tuple[int, int, int]) -> int:
        user, personal, number = clients
        per_account = self.sizes.per_account
        agents = ", ".join(
            f"'{chain}'::jsonb" for chain in (_chain_json(agent) for agent in Agent.objects.order_by("id"))
        )
        source = (
            f"generate_series(0, {len(accounts) - 1}) AS account,"
            f" generate_series(0, {per_account - 1}) AS place,"
            f" LATERAL (SELECT account::bigint * {per_account} + place AS number,"
            " CASE WHEN place = 0 THEN 50000.00"
            " ELSE (50000 + place::bigint * 3701 % 900000) / 100.0 END AS money) AS made,"
            f" LATERAL (SELECT number % {number} AS client) AS owner"
        )
        with bulk_cursor(self.database, self.sizes.investments) as cursor:
            first = repeat_row(
                cursor,
                Investment(
                    account=accounts[0],
                    owner_id=user,
                    personal_account_id=personal,
                    series=1,
                    state=Investment.State.ACTIVE,
                    created_at=self.joined_at,
                    joined_at=self.joined_at,
                    lowest_units_number=1,
                ),
                source,
                {
                    "account_id": f"{accounts[0].pk} + account",
                    "owner_id": f"{user} + client",
                    "personal_account_id": f"{personal} + client",
                    "is_own_capital": "place = 0",
                    "terms_id": f"CASE WHEN place > 0 THEN {self.terms[0].pk} + account END",
                    "interval_id": (
                        f"CASE WHEN place > 0 THEN {self.intervals[0].pk} + account * 2"
                        f" + (place <= {self.sizes.due})::int END"
                    ),
                    "joined_id": f"{self.points[0].pk} + account",
                    "agents": (
                        "CASE WHEN place > 0"
                        f" THEN (ARRAY[{agents}])[1 + client % {AGENTS}] ELSE '[]'::jsonb END"
                    ),
                    "units": "money",
                    "lowest_units": "money",
                    "high_water_mark": "money",
                    "paid_in": "money",
                },
                order_by="account, place",
            )
            repeat_row(
                cursor,
                UnitEntry(
                    account=accounts[0],
                    investment_id=first,
                    price_point=self.points[0],
                    kind=UnitEntry.Kind.DEPOSIT,
                    units=0,
                    amount=0,
                    currency_digits=2,
                    recorded_at=self.joined_at,
                ),
                source,
                {
                    "account_id": f"{accounts[0].pk} + account",
                    "investment_id": f"{first} + number",
                    "price_point_id": f"{self.points[0].pk} + account",
                    "units": "money",
                    "amount": "money",
                },
                order_by="account, place",
            )
        return first


def _chain_json(agent: Agent) -> str:
    chain = [agent.public_id] if agent.parent is None else [agent.public_id, agent.parent.public_id]
    return "[" + ", ".join(f'"{public_id}"' for public_id in chain) + "]"


@contextmanager
def bulk_cursor(database: Database, rows: int) -> Iterator[Any]:
    """A cursor of the superuser; foreign keys are checked unless there are too many rows for that."""
    with database.superuser() as cursor:
        if rows > CHECKED_UP_TO:
            cursor.execute("SET session_replication_role = replica")
        cursor.execute("SET work_mem = '256MB'")
        yield cursor


_DATABASES_OWN = {"public_id": "uuidv7()", "key": "left(md5(random()::text), 28)"}
"""Columns whose value the model draws anew for each row."""


def repeat_row(
    cursor: Any, row: models.Model, source: str, differing: Mapping[str, str], *, order_by: str = "number"
) -> int:
    """INSERT `row` once for each row of `source`; `differing` are SQL expressions by column.

    Public ids are the database's own. Returns the first key; the others follow in the order asked for.
    """
    fields = [field for field in row._meta.concrete_fields if not field.primary_key]
    columns: list[sql.Composable] = []
    expressions: list[sql.Composable] = []
    for field in fields:
        column = str(field.column)
        columns.append(sql.Identifier(column))
        if column in differing:
            expressions.append(sql.SQL(differing[column]))
        elif column in _DATABASES_OWN:
            expressions.append(sql.SQL(_DATABASES_OWN[column]))
        else:
            value = field.get_db_prep_save(field.pre_save(row, add=True), connection)
            expressions.append(sql.SQL("{}").format(sql.Literal(value)))
    table = str(row._meta.db_table)
    cursor.execute("SELECT nextval(pg_get_serial_sequence(%s, 'id'))", [table])
    first = int(cursor.fetchone()[0])
    cursor.execute(
        sql.SQL(
            "INSERT INTO {table} (id, {columns}) OVERRIDING SYSTEM VALUE"
            " SELECT {first} - 1 + row_number() OVER (ORDER BY {order}), {expressions} FROM {source}"
        ).format(
            table=sql.Identifier(table),
            columns=sql.SQL(", ").join(columns),
            first=sql.Literal(first),
            order=sql.SQL(order_by),
            expressions=sql.SQL(", ").join(expressions),
            source=sql.SQL(source),
        )
    )
    written = int(cursor.rowcount)
    cursor.execute("SELECT setval(pg_get_serial_sequence(%s, 'id'), %s, %s)",
                   [table, first + written, False])  # fmt: skip
    return first
