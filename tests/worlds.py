"""People and accounts that tests start from.

Alice manages and Bob invests at broker A; Charlie, at broker B, must see nothing of it: he is an investor, a
manager and an administrator there. Brokers and host names are the owner's to write, so they are committed
over the owner's connection, once per database; all else is written as the application role, in the test's own
transaction.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg2
from django.db import connection, models
from django.test import Client
from psycopg2 import sql
from psycopg2.extras import register_uuid

from accounts.models import Manager, Membership, PammAccount, PersonalAccount, Role, User
from accounts.queries import is_staff_member
from allocation.models import Interval, Investment, PricePoint, UnitEntry
from brokers.models import Broker, HostName
from brokers.scope import broker_scope
from offers.models import Offer, Terms
from trading.models import TradingGroup, TradingServer

PASSWORD = "a long and good password"
FLAT_TWENTY = {"basis": "flat", "mode": "whole", "tiers": [{"from": None, "rate": "0.20"}]}
JOINED = datetime(2026, 1, 1, tzinfo=UTC)

register_uuid()  # type: ignore[no-untyped-call]


@contextmanager
def as_owner() -> Iterator[Any]:
    """A cursor of the tables' owner, whom no policy holds, in the test's database; committed at the end."""
    with (
        closing(psycopg2.connect(os.environ["DATABASE_OWNER_URL"])) as owner,
        owner,
        owner.cursor() as cursor,
    ):
        cursor.execute("SELECT current_database()")
        assert cursor.fetchone() == (connection.settings_dict["NAME"],)
        yield cursor


def broker_called(slug: str, *, host: str | None = None, is_platform: bool = False) -> Broker:
    """The broker of that slug, made if need be; it answers on `host`, else on `<slug>.localhost`."""
    with as_owner() as cursor:
        cursor.execute("SELECT id FROM brokers_broker WHERE slug = %s", [slug])
        found = cursor.fetchone()
        if found is None:
            broker_id = _insert(cursor, Broker(slug=slug, name=slug.title(), is_platform=is_platform))
            _insert(cursor, HostName(host=host or f"{slug}.localhost", broker_id=broker_id, is_primary=True))
        else:
            (broker_id,) = found
    with broker_scope(broker_id):
        return Broker.objects.get()


def person(email: str, *roles: Role, password: str = PASSWORD, **fields: Any) -> User:
    """Somebody at the broker in scope, an investor unless roles are named; e-mail verified."""
    from allauth.account.models import EmailAddress

    user = User.objects.create_user(email, password, **fields)
    Membership.objects.bulk_create(Membership(user=user, role=role) for role in roles or (Role.INVESTOR,))
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


def enrol(user: User) -> str:
    """Give somebody an authenticator app; returns its secret. Codes: `allauth.mfa.totp.internal.auth`."""
    from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

    secret: str = generate_totp_secret()
    TOTP.activate(user, secret)
    return secret


def totp_code(secret: str) -> str:
    """The code an authenticator app shows now."""
    from allauth.mfa.totp.internal.auth import (
        format_hotp_value,
        hotp_value,
        yield_hotp_counters_from_time,
    )

    now = list(yield_hotp_counters_from_time())
    code: str = format_hotp_value(hotp_value(secret, now[len(now) // 2]))
    return code


def signed_in(user: User, *, second_factor: bool = True) -> Client:
    """A browser in which somebody is signed in at the broker's own host, staff with their second factor."""
    from allauth.mfa.models import Authenticator

    broker_id = user.broker_id
    assert broker_id is not None
    with broker_scope(broker_id):
        host = HostName.objects.get(broker_id=broker_id, is_primary=True).host
        client = Client(HTTP_HOST=host)
        client.force_login(user)
        if second_factor and is_staff_member(user):
            factor = Authenticator.objects.filter(user=user).first()
            if factor is None:
                enrol(user)
                factor = Authenticator.objects.get(user=user)
            session = client.session
            session["account_authentication_methods"] = [{"method": "mfa", "at": 0, "id": factor.pk}]
            session["account_authentication_methods_user"] = str(user.pk)
            session.save()
    return client


def trading_server(name: str = "Server", **fields: Any) -> TradingServer:
    """A server row that nothing answers for, with a group of each purpose in USD (2 digits)."""
    server = TradingServer.objects.create(
        **{"name": name, "host": "127.0.0.1", "port": 1, "manager_login": 1, "manager_password": "secret"}
        | fields
    )
    TradingGroup.objects.bulk_create(
        TradingGroup(
            server=server, name=f"{purpose}\\USD", purpose=purpose, currency="USD", currency_digits=2
        )
        for purpose in TradingGroup.Purpose.values
    )
    return server


def personal_account(user: User, server: TradingServer, login: int) -> PersonalAccount:
    return PersonalAccount.objects.create(
        user=user, server=server, login=login, currency="USD", currency_digits=2
    )


@dataclass(frozen=True, slots=True)
class Pool:
    """A PAMM account that has run for a while, with an offer and one investor's money in it."""

    account: PammAccount
    offer: Offer
    terms: Terms
    investment: Investment


def pool(
    *,
    manager: Manager,
    income_account: PersonalAccount,
    investor: User,
    personal_account: PersonalAccount,
    login: int,
) -> Pool:
    """Open public offer at 20 % flat; the investor put in 1,000.00 at price 1.

    Books and server know nothing of it.
    """
    money = {"currency_digits": 2}
    account = PammAccount.objects.create(
        manager=manager,
        income_account=income_account,
        server=income_account.server,
        login=login,
        currency="USD",
        name=f"Pool {login}",
        opening_key=f"pool-{login}",
        state=PammAccount.State.ACTIVE,
        units=Decimal(1000),
        last_equity=Decimal(1000),
        last_priced_at=JOINED,
        **money,
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
    point = PricePoint.objects.create(
        account=account,
        series=1,
        sequence=1,
        flow_sequence=1,
        priced_at=JOINED,
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
        **money,
    )
    interval = Interval.objects.create(
        account=account,
        terms=terms,
        anchor_at=JOINED,
        starts_at=JOINED,
        ends_at=datetime(2026, 2, 1, tzinfo=UTC),
        opening=point,
    )
    investment = Investment.objects.create(
        account=account,
        owner=investor,
        personal_account=personal_account,
        terms=terms,
        series=1,
        joined=point,
        state=Investment.State.ACTIVE,
        joined_at=JOINED,
        units=1000,
        lowest_units=1000,
        lowest_units_number=1,
        high_water_mark=1000,
        interval=interval,
        paid_in=1000,
    )
    UnitEntry.objects.create(
        account=account,
        investment=investment,
        price_point=point,
        kind=UnitEntry.Kind.DEPOSIT,
        units=1000,
        amount=1000,
        **money,
    )
    return Pool(account, offer, terms, investment)


@dataclass(frozen=True, slots=True)
class AliceBobCharlie:
    """The two brokers, their people and a pool at each."""

    alpha: Broker
    beta: Broker
    alice: User
    alice_manager: Manager
    bob: User
    bob_account: PersonalAccount
    pool: Pool
    charlie: User
    charlie_manager: Manager
    charlie_account: PersonalAccount
    charlie_pool: Pool


def alice_bob_charlie() -> AliceBobCharlie:
    """Make the world. Enters and leaves the scopes itself; the test enters the one it works in."""
    alpha, beta = broker_called("alpha"), broker_called("beta")
    with broker_scope(alpha.pk):
        server = trading_server()
        alice = person("alice@example.com", Role.INVESTOR, Role.MANAGER)
        alice_manager = Manager.objects.create(user=alice, display_name="Alice")
        bob = person("bob@example.com")
        bob_account = personal_account(bob, server, 5001)
        alice_pool = pool(
            manager=alice_manager,
            income_account=personal_account(alice, server, 5000),
            investor=bob,
            personal_account=bob_account,
            login=9000,
        )
    with broker_scope(beta.pk):
        server = trading_server()
        charlie = person("charlie@example.com", Role.INVESTOR, Role.MANAGER, Role.ADMIN)
        charlie_manager = Manager.objects.create(user=charlie, display_name="Charlie")
        charlie_account = personal_account(charlie, server, 5000)
        charlie_pool = pool(
            manager=charlie_manager,
            income_account=charlie_account,
            investor=charlie,
            personal_account=charlie_account,
            login=9000,
        )
    return AliceBobCharlie(
        alpha,
        beta,
        alice,
        alice_manager,
        bob,
        bob_account,
        alice_pool,
        charlie,
        charlie_manager,
        charlie_account,
        charlie_pool,
    )


def _insert(cursor: Any, row: models.Model) -> int:
    fields: list[Any] = [field for field in row._meta.concrete_fields if not field.primary_key]
    values = [field.get_db_prep_save(field.pre_save(row, add=True), connection) for field in fields]
    cursor.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING id").format(
            sql.Identifier(row._meta.db_table),
            sql.SQL(", ").join(sql.Identifier(field.column) for field in fields),
            sql.SQL(", ").join(sql.Placeholder() * len(fields)),
        ),
        values,
    )
    (primary_key,) = cursor.fetchone()
    return int(primary_key)
