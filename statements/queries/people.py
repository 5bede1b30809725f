"""Whose statement somebody may read, and by which clocks its days begin."""

import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db.models import Min

from accounts.models import Agent, Manager, User
from accounts.queries import Person, get_agent_for, get_manager_for, is_staff_member
from allocation.models import Investment
from brokers.errors import NotFound
from brokers.models import Broker
from fees.models import Charge, ChargePart
from statements.models import StatementKind


@dataclass(frozen=True, slots=True)
class Subject:
    """Somebody's statement of one kind. `manager` or `agent` is there where it is of that kind."""

    kind: StatementKind
    user: User
    manager: Manager | None = None
    agent: Agent | None = None

    @property
    def payee(self) -> uuid.UUID:
        """The subject of his payable accounts. Raises `ValueError` for an investor, who has none."""
        profile = self.manager or self.agent
        if profile is None:
            raise ValueError("an investor is paid into his personal accounts")
        payee: uuid.UUID = profile.public_id
        return payee


def get_subject_for(person: Person, kind: StatementKind, public_id: uuid.UUID | None = None) -> Subject:
    """A person's own statement, or the client's of that id for the broker's staff. Raises `NotFound`."""
    if not isinstance(person, User):
        raise NotFound
    if public_id is not None:
        return _client(person, kind, public_id)
    if kind == StatementKind.MANAGER:
        return Subject(kind, person, manager=get_manager_for(person))
    if kind == StatementKind.AGENT:
        return Subject(kind, person, agent=get_agent_for(person))
    return Subject(kind, person)


def subject_of(user: User, kind: StatementKind) -> Subject:
    """Somebody's statement, whoever asks. Raises `NotFound` for a kind that he has none of."""
    manager: Manager | None = (
        getattr(user, "manager_profile", None) if kind == StatementKind.MANAGER else None
    )
    agent: Agent | None = getattr(user, "agent_profile", None) if kind == StatementKind.AGENT else None
    if kind != StatementKind.INVESTOR and manager is None and agent is None:
        raise NotFound
    return Subject(kind, user, manager, agent)


def zone_of(user: User, broker: Broker) -> tzinfo:
    """The person's time zone, else the broker's."""
    for name in (user.time_zone, broker.time_zone):
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return UTC


def first_day_of(subject: Subject, zone: tzinfo) -> date | None:
    """The day of the zone with the first thing that a statement could tell; None where there is nothing."""
    earliest: datetime | None
    if subject.manager is not None:
        earliest = Charge.objects.filter(account__manager=subject.manager).aggregate(at=Min("charged_at"))[
            "at"
        ]
    elif subject.agent is not None:
        parts = ChargePart.objects.filter(payee=subject.agent.public_id)
        earliest = parts.aggregate(at=Min("charge__charged_at"))["at"]
    else:
        earliest = Investment.objects.filter(owner=subject.user).aggregate(at=Min("joined_at"))["at"]
    return None if earliest is None else earliest.astimezone(zone).date()


def _client(person: User, kind: StatementKind, public_id: uuid.UUID) -> Subject:
    """Only staff learn whether there is such a client."""
    if not is_staff_member(person):
        raise NotFound
    profiles = User.objects.select_related("manager_profile", "agent_profile")
    client = profiles.filter(public_id=public_id).first()
    if client is None:
        raise NotFound
    return subject_of(client, kind)
