"""Telling people of what happened, once each, and what they do with it."""

import logging
from collections.abc import Iterable, Mapping
from datetime import timedelta

from django.conf import settings
from django.db import DataError, Error, IntegrityError, transaction
from django.utils import timezone

from accounts.models import User
from events.audience import notes_of
from events.errors import NotYoursToChoose
from events.kinds import KINDS
from events.models import Mail, Notification, Preference
from events.queries import choice_of, groups_for, preferences_of
from outbox.models import Event
from outbox.services import take_events

logger = logging.getLogger(__name__)

NOTIFICATIONS = "notifications"
"""Name of the consumer in the outbox."""


def deliver_notifications(*, most: int = 200) -> int:
    """Tell everybody concerned of the next events, at most `most`; returns how many events there were.

    Cursor, notifications and e-mails to be sent are one transaction: an event is told once, or later. Of what
    happened longer ago than `NOTIFICATIONS_OLD_AFTER_HOURS` people find a notification that is read already.
    One event that cannot be told, which is a bug, does not keep the others from being told.
    """
    try:
        return _deliver(most)
    except Exception as error:
        if not _is_of_the_event(error):
            raise
    delivered = 0
    while delivered < most and (done := _deliver_one()):
        delivered += done
    return delivered


def _deliver(most: int) -> int:
    with transaction.atomic():
        events = take_events(NOTIFICATIONS, most=most)
        if events:
            _tell(events)
    return len(events)


def _deliver_one() -> int:
    """The next event, told or, where that is not possible, passed over with a trace in the log."""
    try:
        return _deliver(1)
    except Exception as error:
        if not _is_of_the_event(error):
            raise
        with transaction.atomic():
            passed = take_events(NOTIFICATIONS, most=1)
            logger.exception("told to nobody: %s", [(event.pk, event.kind) for event in passed])
        return len(passed)


def _is_of_the_event(error: Exception) -> bool:
    """Whether it would come again with this event; a database that fails is none of its doing."""
    return not isinstance(error, Error) or isinstance(error, IntegrityError | DataError)


def _tell(events: Iterable[Event]) -> None:
    notes = notes_of(list(events))
    if not notes:
        return
    now = timezone.now()
    old = now - timedelta(hours=settings.NOTIFICATIONS_OLD_AFTER_HOURS)
    people = {note.user_id for note in notes}
    addresses = dict(User.objects.filter(pk__in=people, is_active=True).values_list("pk", "email"))
    chosen = preferences_of(people, {note.kind for note in notes})
    rows, by_email = [], []
    for note in notes:
        choice = choice_of(KINDS[note.kind], chosen.get((note.user_id, note.kind)))
        if note.user_id not in addresses or not (choice.in_cabinet or choice.by_email):
            continue
        is_old = note.event.occurred_at < old
        row = Notification(
            user_id=note.user_id,
            event_id=note.event.pk,
            kind=note.kind,
            about=note.about,
            facts=note.facts,
            in_cabinet=choice.in_cabinet,
            occurred_at=note.event.occurred_at,
            read_at=note.event.occurred_at if is_old else None,
        )
        rows.append(row)
        if choice.by_email and not is_old:
            by_email.append((row, note.address or addresses[note.user_id]))
    Notification.objects.bulk_create(rows)
    Mail.objects.bulk_create(Mail(notification=row, address=address, due_at=now) for row, address in by_email)


def mark_read(*, notification: Notification) -> None:
    """The person has seen it. Twice is once."""
    rows = Notification.objects.filter(pk=notification.pk, read_at__isnull=True)
    rows.update(read_at=timezone.now())


def mark_all_read(*, user: User) -> int:
    """Everything there is for the person is read now; returns how many were not."""
    unread = Notification.objects.filter(user=user, in_cabinet=True, read_at__isnull=True)
    return unread.update(read_at=timezone.now())


def change_preferences(*, user: User, choices: Mapping[str, tuple[bool, bool]]) -> None:
    """How somebody wants to be told from now on: by kind, whether in the cabinet and whether by e-mail.

    Raises `NotYoursToChoose` for a kind that is obligatory or not for this person.
    """
    groups = groups_for(user)
    for code in choices:
        kind = KINDS.get(code)
        if kind is None or kind.is_obligatory or kind.group not in groups:
            raise NotYoursToChoose
    with transaction.atomic():
        for code, (in_cabinet, by_email) in choices.items():
            Preference.objects.update_or_create(
                user=user, kind=code, defaults={"in_cabinet": in_cabinet, "by_email": by_email}
            )
