"""Reads of people and accounts."""

import uuid
from collections.abc import Iterable

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

from accounts.models import (
    DECIDING_ROLES,
    STAFF_ROLES,
    Agent,
    Manager,
    Membership,
    PammAccount,
    PersonalAccount,
    Role,
    User,
    fold_email,
)
from brokers.errors import NotFound
from brokers.models import Broker
from brokers.queries import broker_in_scope
from brokers.scope import current_broker_id
from fees.calc.shares import MOST_AGENT_LEVELS
from outbox.models import Event

Person = User | AnonymousUser


def user_roles(user: Person | None) -> frozenset[Role]:
    """The roles somebody has at the broker in scope; nobody and a person of another broker have none.

    Read once per user object: a request asks many times.
    """
    if not isinstance(user, User) or user.broker_id != current_broker_id() or not user.is_active:
        return frozenset()
    known = user.known_roles
    if known is None:
        held = Membership.objects.filter(user=user).values_list("role", flat=True)
        known = keep_roles(user, held)
    return known


def keep_roles(user: User, held: Iterable[str]) -> frozenset[Role]:
    """Make `user_roles` answer with what was read of this user object."""
    # Not in `__dict__`: the user of a request is a lazy object, which has one of its own.
    user.known_roles = roles = frozenset(Role(role) for role in held)
    return roles


def forget_roles(user: User) -> None:
    """Make `user_roles` read again, after a role was granted or revoked."""
    user.known_roles = None


def has_role(user: Person | None, *roles: Role) -> bool:
    """Whether somebody has one of `roles`."""
    return not user_roles(user).isdisjoint(roles)


def runs_account(user: User, account: PammAccount) -> bool:
    """Whether this person decides about the account itself: its manager, or the broker's administrator or
    dealer.
    """
    return account.manager.user_id == user.pk or has_role(user, *DECIDING_ROLES)


def is_staff_member(user: Person | None) -> bool:
    """Whether somebody works for the broker or the platform, so that a second factor is obligatory."""
    return has_role(user, *STAFF_ROLES)


def needs_second_factor(user: Person | None, broker: Broker | None = None) -> bool:
    """Whether nothing opens to somebody without a second factor: staff, and clients where the broker wants
    it. `broker` is the one in scope, where it has been read already.
    """
    if not isinstance(user, User):
        return False
    return is_staff_member(user) or (broker or broker_in_scope()).requires_second_factor


def latest_sign_ins(user: User, most: int) -> list[Event]:
    """The last times somebody signed in, the latest first; `payload` has the device and its address."""
    return list(Event.objects.filter(subject=user.public_id, kind="person.signed_in").order_by("-id")[:most])


def disclosure_changes(account: PammAccount, most: int = 20) -> list[tuple[Event, User | None]]:
    """The last times that more or less of an account's trades was shown, the latest first, and by whom; two
    statements.
    """
    events = Event.objects.filter(subject=account.public_id, kind="account.disclosure")
    found = list(events.order_by("-id")[:most])
    users = User.objects.filter(public_id__in={event.payload["by"] for event in found})
    people = {str(user.public_id): user for user in users}
    return [(event, people.get(event.payload["by"])) for event in found]


def personal_accounts_of(user: User) -> QuerySet[PersonalAccount]:
    return PersonalAccount.objects.filter(user=user).order_by("pk")


def agent_chain(personal_account: PersonalAccount) -> list[Agent]:
    """Who introduced the account's owner: the nearest agent, whoever introduced that one, and so on up.

    At most as many as may share a fee; one statement.
    """
    return list(
        Agent.objects.raw(
            """
            WITH RECURSIVE chain AS (
                SELECT agent.*, 1 AS level FROM accounts_agent agent
                WHERE agent.broker_id = %(broker)s AND agent.id = %(nearest)s
                UNION ALL
                SELECT above.*, chain.level + 1 FROM accounts_agent above
                JOIN chain ON above.broker_id = chain.broker_id AND above.id = chain.parent_id
                WHERE chain.level < %(levels)s
            )
            SELECT * FROM chain ORDER BY level
            """,
            {
                "broker": current_broker_id(),
                "nearest": personal_account.introduced_by_id,
                "levels": MOST_AGENT_LEVELS,
            },
        )
    )


def agents_below(agent: Agent) -> dict[int, int]:
    """Primary keys of the agents whom this one brought, directly or through others, with their levels seen
    from a client of theirs: 2 for those right below. One statement.
    """
    below = Agent.objects.raw(
        """
        WITH RECURSIVE below AS (
            SELECT agent.id, 2 AS level FROM accounts_agent agent
            WHERE agent.broker_id = %(broker)s AND agent.parent_id = %(agent)s
            UNION ALL
            SELECT further.id, below.level + 1 FROM accounts_agent further
            JOIN below ON further.broker_id = %(broker)s AND further.parent_id = below.id
            WHERE below.level < %(levels)s
        )
        SELECT * FROM below
        """,
        {"broker": current_broker_id(), "agent": agent.pk, "levels": MOST_AGENT_LEVELS},
    )
    return {row.pk: row.level for row in below}  # type: ignore[attr-defined]


def client_name(client: User) -> str:
    """What an agent reads of a client: the name that managers see too; of an address only its beginning and
    where it is: b…@example.com.
    """
    name, _, domain = client.email.partition("@")
    return client.full_name or f"{name[:1]}…@{domain}"


def get_agent_for(user: Person | None) -> Agent:
    """The person's own agent profile. Raises `NotFound` for everybody who is not an agent."""
    agent: Agent | None = None
    if isinstance(user, User) and has_role(user, Role.AGENT):
        agent = getattr(user, "agent_profile", None)
    if agent is None:
        raise NotFound
    return agent


def manager_of(user: Person | None) -> Manager | None:
    """The manager's profile of somebody who has the role."""
    if not isinstance(user, User) or not has_role(user, Role.MANAGER):
        return None
    manager: Manager | None = getattr(user, "manager_profile", None)
    return manager


def get_manager_for(user: Person | None) -> Manager:
    """The person's own manager profile. Raises `NotFound` for everybody who is not a manager."""
    manager = manager_of(user)
    if manager is None:
        raise NotFound
    return manager


def pamm_accounts_of(manager: Manager) -> QuerySet[PammAccount]:
    return PammAccount.objects.filter(manager=manager).order_by("pk")


def get_pamm_account_for(user: Person | None, public_id: uuid.UUID) -> PammAccount:
    """A PAMM account to its own manager or to the broker's staff. Raises `NotFound` for everybody else."""
    accounts = PammAccount.objects.select_related("manager")
    if not is_staff_member(user):
        manager = manager_of(user)
        accounts = accounts.filter(manager=manager) if manager else accounts.none()
    account: PammAccount | None = accounts.filter(public_id=public_id).first()
    if account is None:
        raise NotFound
    return account


def user_by_email(email: str) -> User | None:
    return User.objects.filter(email=fold_email(email)).first()
