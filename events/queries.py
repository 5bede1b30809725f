"""Reads of notifications, and of how people want to be told."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import DECIDING_ROLES, Role, User
from accounts.queries import user_roles
from brokers.errors import NotFound
from events.kinds import KINDS, Group, Kind
from events.models import Mail, Notification, Preference

MOST_COUNTED = 99

_ROLES_OF_GROUP: dict[Group, frozenset[Role]] = {
    Group.MANAGING: frozenset({Role.MANAGER}),
    Group.PAYMENTS: frozenset({Role.MANAGER, Role.AGENT}),
    Group.STAFF: DECIDING_ROLES,
}


@dataclass(frozen=True, slots=True)
class Choice:
    """How somebody is told of a kind."""

    kind: Kind
    in_cabinet: bool
    by_email: bool


def notifications_of(user: User) -> QuerySet[Notification]:
    """What this person sees in the cabinet, the latest first."""
    return Notification.objects.filter(user=user, in_cabinet=True).order_by("-pk")


def unread_count(user: User) -> int:
    """How many the person has not read; one more than `MOST_COUNTED` stands for all above."""
    unread = Notification.objects.filter(user=user, in_cabinet=True, read_at__isnull=True)
    return unread.order_by()[: MOST_COUNTED + 1].count()


def get_notification_for(user: User, public_id: uuid.UUID) -> Notification:
    """The person's own. Raises `NotFound`."""
    found: Notification | None = notifications_of(user).filter(public_id=public_id).first()
    if found is None:
        raise NotFound
    return found


def groups_for(user: User) -> list[Group]:
    """The groups of kinds that somebody can be told of."""
    roles = user_roles(user)
    return [group for group in Group if group not in _ROLES_OF_GROUP or _ROLES_OF_GROUP[group] & roles]


def choices_of(user: User) -> dict[Group, list[Choice]]:
    """How somebody is told of each kind that concerns him, by group."""
    chosen = {row.kind: row for row in Preference.objects.filter(user=user)}
    groups: dict[Group, list[Choice]] = {group: [] for group in groups_for(user)}
    for kind in KINDS.values():
        if kind.group in groups:
            groups[kind.group].append(choice_of(kind, chosen.get(kind.code)))
    return groups


def choice_of(kind: Kind, preference: Preference | None) -> Choice:
    """The person's own choice, else the kind's default; both ways for what nobody can turn off."""
    if kind.is_obligatory:
        return Choice(kind, True, True)
    if preference is None:
        return Choice(kind, kind.in_cabinet, kind.by_email)
    return Choice(kind, preference.in_cabinet, preference.by_email)


def preferences_of(users: Collection[int], kinds: Collection[str]) -> dict[tuple[int, str], Preference]:
    """By person and kind, where somebody chose."""
    rows = Preference.objects.filter(user__in=users, kind__in=kinds)
    return {(row.user_id, row.kind): row for row in rows}


def mails_due() -> QuerySet[Mail]:
    """E-mails to be tried now, and those whose sender has not been heard of again."""
    return Mail.objects.filter(
        state__in=(Mail.State.WAITING, Mail.State.SENDING), due_at__lte=timezone.now()
    ).order_by("due_at")
