"""The brokers of the demo with their people, accounts and offers, before anything happened.

Rows of many apps written in bulk: their services would hash every password, ask the trading server that is
not running, and date everything today.
"""

import base64
import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path

from allauth.account.models import EmailAddress
from allauth.mfa.totp.internal.auth import TOTP
from django.contrib.auth.hashers import make_password

from accounts.models import (
    Agent,
    HouseAccount,
    Manager,
    Membership,
    PammAccount,
    PersonalAccount,
    Role,
    User,
)
from brokers.models import BrandImage, Broker
from brokers.services import add_broker, set_brand_image
from demo.identifiers import PastIdentifiers
from demo.plans import Stake
from demo.scenario import (
    CURRENCY_DIGITS,
    PASSWORD,
    SERVER_TIME_ZONE,
    TRADING_PASSWORD,
    AccountPlan,
    BrokerPlan,
    Person,
)
from offers.drafts import share_fields
from offers.models import FeeCeiling, Offer, Terms
from offers.services import TermsDraft, check_terms, create_join_link
from rollover.models import Schedule
from trading.models import TradingGroup, TradingServer
from trading.simulator.history import PastAccount

_WITHOUT_DECOMPOSITION = str.maketrans({"ı": "i", "ø": "o", "ł": "l"})
BRANDS = Path(__file__).resolve().parent / "brands"
# A page on the same machine may frame the widgets, to try that out.
WIDGET_HOSTS = ("http://localhost:8000", "https://www.example.com")
_FIRST_PAMM, _FIRST_HOUSE = 50_000, 90_000
_HOUSE_FLOAT = {"USD": Decimal(10_000), "EUR": Decimal(10_000), "JPY": Decimal(1_000_000)}


@dataclass(frozen=True, slots=True)
class Site:
    """Where the broker's pages and its trading server are reached, and by which credentials."""

    hosts: tuple[str, ...]
    trading_port: int
    manager_password: str
    certificate: str


@dataclass
class Cast:
    """One broker at the beginning of its history. Lists are in the order of the plan's."""

    plan: BrokerPlan
    broker: Broker
    server: TradingServer
    dealer: User
    managers: list[Manager] = field(default_factory=list)
    clients: list[User] = field(default_factory=list)
    personal: dict[tuple[int, str], PersonalAccount] = field(default_factory=dict)
    houses: list[HouseAccount] = field(default_factory=list)
    accounts: list[PammAccount] = field(default_factory=list)
    terms: list[list[Terms]] = field(default_factory=list)
    accounts_at_server: list[PastAccount] = field(default_factory=list)

    def personal_account(self, user: User, currency: str) -> PersonalAccount:
        return self.personal[user.pk, currency]

    def opening_balance(self, house: HouseAccount) -> Decimal:
        return _HOUSE_FLOAT[house.currency]


def add_demo_broker(plan: BrokerPlan, site: Site) -> Broker:
    return add_broker(
        slug=plan.slug, name=plan.name, hosts=site.hosts, time_zone=plan.time_zone, colour=plan.colour
    )


def engage(
    plan: BrokerPlan,
    broker: Broker,
    site: Site,
    stakes: list[list[Stake]],
    births: list[datetime],
    identifiers: PastIdentifiers,
) -> Cast:
    """Write people, accounts and offers of the broker in scope. `births`: when each PAMM account opened."""
    server = TradingServer.objects.create(
        name="Demo server",
        host="127.0.0.1",
        port=site.trading_port,
        manager_login=plan.manager_login,
        manager_password=site.manager_password,
        ca_certificate=site.certificate,
        time_zone=SERVER_TIME_ZONE,
    )
    since = min(births) - timedelta(days=7)
    _dress(plan, broker)
    staff = _staff(plan, since)
    cast = Cast(plan, broker, server, staff["dealer"])
    groups = _groups(server)
    _set_fee_rules(plan, broker)
    cast.clients = _users(plan, plan.clients, since, Role.INVESTOR)
    leaders = _users(plan, [made.person for made in plan.managers], since, Role.INVESTOR, Role.MANAGER)
    cast.managers = Manager.objects.bulk_create(
        Manager(
            user=user,
            display_name=made.display_name,
            biography=made.biography,
            created_at=since,
            public_id=identifiers.at(since),
        )
        for user, made in zip(leaders, plan.managers, strict=True)
    )
    agents = _agents(plan, since, identifiers)
    _open_personal_accounts(cast, leaders, agents, stakes, since, identifiers)
    _open_house_accounts(cast, groups, since, identifiers)
    for number, (account, birth) in enumerate(zip(plan.accounts, births, strict=True)):
        _open_pamm_account(cast, account, number, birth, identifiers)
    return cast


def schedule_rollovers(first_at: datetime) -> None:
    """Every minute from `first_at` on, for the broker in scope."""
    Schedule.objects.create(every_minutes=1, next_at=first_at)


def email_of(person: Person, slug: str) -> str:
    letters = unicodedata.normalize(
        "NFKD", f"{person.first_name}.{person.last_name}".translate(_WITHOUT_DECOMPOSITION)
    )
    return "".join(
        letter for letter in letters.lower() if letter.isascii() and (letter.isalnum() or letter == ".")
    ) + (f"@{slug}.example")


def totp_secret(email: str) -> str:
    """The same at every load: an authenticator enrolled once goes on working after `make demo-reset`."""
    return base64.b32encode(hashlib.sha256(f"pamm demo {email}".encode()).digest()[:20]).decode()


def _dress(plan: BrokerPlan, broker: Broker) -> None:
    """Give the broker its logos and icon, and let new clients open trading accounts."""
    for kind in BrandImage.Kind:
        picture = BRANDS / plan.slug / f"{kind}.png"
        if picture.exists():
            set_brand_image(broker=broker, kind=kind, uploaded=picture.read_bytes())
    broker.email_footer = plan.email_footer
    broker.widget_hosts = list(WIDGET_HOSTS)
    broker.opens_trading_accounts = True
    broker.save(update_fields=["email_footer", "widget_hosts", "opens_trading_accounts"])


def _set_fee_rules(plan: BrokerPlan, broker: Broker) -> None:
    broker.fee_share_rate = plan.shares.broker_rate
    broker.agent_share_rates = [str(rate) for rate in plan.shares.agent_rates]
    broker.save()
    FeeCeiling.objects.bulk_create(
        FeeCeiling(
            currency=ceiling.currency,
            currency_digits=CURRENCY_DIGITS[ceiling.currency],
            subscription_amount=ceiling.subscription_amount,
            volume_amount_per_lot=ceiling.volume_amount_per_lot,
        )
        for ceiling in plan.ceilings
    )


def _agents(plan: BrokerPlan, since: datetime, identifiers: PastIdentifiers) -> list[Agent]:
    users = _users(plan, [agent.person for agent in plan.agents], since, Role.AGENT)
    agents: list[Agent] = []
    for user, agent in zip(users, plan.agents, strict=True):
        above = None if agent.above is None else agents[agent.above]
        public_id = identifiers.at(since)
        agents.append(Agent.objects.create(user=user, parent=above, created_at=since, public_id=public_id))
    return agents


def _staff(plan: BrokerPlan, since: datetime) -> Mapping[str, User]:
    staff = {}
    for role, person in plan.staff.items():
        email = f"{role}@{plan.slug}.example"
        staff[role] = _users(plan, [person], since, Role(role), email=email)[0]
        TOTP.activate(staff[role], totp_secret(email))
    return staff


def _users(
    plan: BrokerPlan,
    people: Sequence[Person],
    since: datetime,
    *roles: Role,
    email: str = "",
) -> list[User]:
    users: list[User] = User.objects.bulk_create(
        User(
            email=email or email_of(person, plan.slug),
            first_name=person.first_name,
            last_name=person.last_name,
            password=_password_hash(),
            date_joined=since,
        )
        for person in people
    )
    Membership.objects.bulk_create(Membership(user=user, role=role) for user in users for role in roles)
    EmailAddress.objects.bulk_create(
        EmailAddress(user=user, email=user.email, verified=True, primary=True) for user in users
    )
    return users


@cache
def _password_hash() -> str:
    """One for everybody: the hasher is slow on purpose."""
    return make_password(PASSWORD)


def _groups(server: TradingServer) -> dict[tuple[str, str], TradingGroup]:
    groups = TradingGroup.objects.bulk_create(
        TradingGroup(
            server=server,
            name=f"{purpose}\\{currency}",
            purpose=purpose,
            currency=currency,
            currency_digits=digits,
        )
        for purpose in TradingGroup.Purpose.values
        for currency, digits in CURRENCY_DIGITS.items()
    )
    return {(group.purpose, group.currency): group for group in groups}


def _open_personal_accounts(
    cast: Cast,
    leaders: list[User],
    agents: list[Agent],
    stakes: list[list[Stake]],
    since: datetime,
    ids: PastIdentifiers,
) -> None:
    """One in dollars for everybody, and one in each currency a person invests or manages in."""
    wanted: dict[tuple[int, str], User] = {}
    for user in cast.clients + leaders:
        wanted[user.pk, "USD"] = user
    for account, made in zip(cast.plan.accounts, stakes, strict=True):
        wanted[leaders[account.manager].pk, account.currency] = leaders[account.manager]
        for stake in made:
            wanted[cast.clients[stake.client].pk, account.currency] = cast.clients[stake.client]
    introduced: dict[int, Agent] = {}
    for agent, planned in zip(agents, cast.plan.agents, strict=True):
        wanted |= {(agent.user_id, currency): agent.user for currency in planned.currencies}
        introduced |= {cast.clients[client].pk: agent for client in planned.clients}
    rows = PersonalAccount.objects.bulk_create(
        PersonalAccount(
            user=user,
            server=cast.server,
            login=cast.plan.logins_from + number,
            currency=currency,
            currency_digits=CURRENCY_DIGITS[currency],
            created_at=since,
            public_id=ids.at(since),
            introduced_by=introduced.get(user.pk),
        )
        for number, ((_, currency), user) in enumerate(
            sorted(wanted.items(), key=lambda item: item[0]), start=1
        )
    )
    for row in rows:
        cast.personal[row.user_id, row.currency] = row
        _at_server(cast, row.login, f"personal\\{row.currency}", row.user.full_name, since)


def _open_house_accounts(
    cast: Cast, groups: Mapping[tuple[str, str], TradingGroup], since: datetime, ids: PastIdentifiers
) -> None:
    wanted = [(purpose, currency) for currency in CURRENCY_DIGITS for purpose in HouseAccount.Purpose]
    cast.houses = HouseAccount.objects.bulk_create(
        HouseAccount(
            server=cast.server,
            login=cast.plan.logins_from + _FIRST_HOUSE + number,
            purpose=purpose,
            created_at=since,
            currency=currency,
            currency_digits=CURRENCY_DIGITS[currency],
            public_id=ids.at(since),
        )
        for number, (purpose, currency) in enumerate(wanted, start=1)
    )
    for house in cast.houses:
        group = groups[TradingGroup.Purpose.HOUSE, house.currency]
        _at_server(cast, house.login, group.name, f"{cast.plan.name} {house.purpose}", since)


def _open_pamm_account(
    cast: Cast, plan: AccountPlan, number: int, birth: datetime, identifiers: PastIdentifiers
) -> None:
    manager = cast.managers[plan.manager]
    account: PammAccount = PammAccount.objects.create(
        manager=manager,
        income_account=cast.personal_account(manager.user, plan.currency),
        server=cast.server,
        login=cast.plan.logins_from + _FIRST_PAMM + number + 1,
        currency=plan.currency,
        name=plan.name,
        currency_digits=CURRENCY_DIGITS[plan.currency],
        description=plan.description,
        disclosure=plan.disclosure,
        minimum_own_capital=plan.own_capital / 2,
        opening_key=f"demo-{number + 1}",
        created_at=birth,
        state=PammAccount.State.ACTIVE,
        public_id=identifiers.at(birth),
    )
    # Defaults are whole numbers until they have been read back.
    account.refresh_from_db(
        fields=[
            "units",
            "last_equity",
            "last_price_equity",
            "last_price_units",
            "last_balance",
            "last_floating",
            "last_value_days",
            "last_lots_per_unit",
            "rounding_carried",
        ]
    )
    cast.accounts.append(account)
    _at_server(cast, account.login or 0, f"pamm\\{plan.currency}", plan.name, birth)
    versions = []
    for made in plan.offers:
        offer = Offer.objects.create(
            account=account,
            name=made.name,
            description=made.description,
            visibility=made.visibility,
            approval=made.approval,
            state=Offer.State.OPEN,
            created_at=birth,
            public_id=identifiers.at(birth),
        )
        draft = TermsDraft(
            schedule=made.schedule,
            minimum_first=made.minimum,
            minimum_further=made.minimum / 5,
            minimum_remaining=made.minimum / 5,
            interval_unit=made.interval_unit,
            interval_count=made.interval_count,
            interval_anchor=made.interval_anchor,
            lock_in_days=made.lock_in_days,
            early_exit_rate=made.early_exit_rate,
            management_rate=made.management_rate,
            entry_tiers=made.entry_tiers,
            subscription_amount=made.subscription_amount,
            volume_amount_per_lot=made.volume_amount_per_lot,
            **share_fields(cast.plan.shares),
        )
        check_terms(draft, account)
        terms = draft.version_of(offer, 1, manager.user)
        terms.created_at, terms.public_id = birth, identifiers.at(birth)
        terms.save()
        if made.visibility is Offer.Visibility.LINK:
            create_join_link(offer=offer, by=manager.user)
        versions.append(terms)
    cast.terms.append(versions)


def _at_server(cast: Cast, login: int, group: str, name: str, since: datetime) -> None:
    cast.accounts_at_server.append(
        PastAccount(login, group, name, since, TRADING_PASSWORD, f"{TRADING_PASSWORD}-look")
    )
