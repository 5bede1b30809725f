"""Who is told of sign-ins, passwords and second factors: the person alone."""

import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence

from events.audience.notes import Facts, Note, note, tells
from events.audience.reading import user_ids
from outbox.models import Event

_SECURITY = {
    "security.password_changed": "password_changed",
    "security.password_set": "password_changed",
    "security.password_reset": "password_changed",
    "security.email_changed": "email_changed",
    "security.email_deleted": "email_changed",
    "security.totp_activated": "second_factor_added",
    "security.webauthn_added": "second_factor_added",
    "security.totp_deactivated": "second_factor_removed",
    "security.webauthn_removed": "second_factor_removed",
    "security.recovery_codes_generated": "recovery_codes_made",
}


@tells(*_SECURITY)
def _security(events: Sequence[Event]) -> Iterator[Note]:
    users = user_ids(events)
    for event in events:
        if event.subject in users:
            yield note(
                event,
                users[event.subject],
                _SECURITY[event.kind],
                _facts_of_device(event),
                address=event.payload.get("address", ""),
            )


@tells("person.signed_in")
def _signed_in(events: Sequence[Event]) -> Iterator[Note]:
    """Only from a device that the person has not been seen with, once one is known."""
    users = user_ids(events)
    earlier: dict[uuid.UUID, list[tuple[int, str]]] = defaultdict(list)
    for pk, subject, payload in Event.objects.filter(
        kind="person.signed_in", subject__in=users, pk__lte=max(event.pk for event in events)
    ).values_list("pk", "subject", "payload"):
        earlier[subject].append((pk, payload.get("device", "")))
    for event in events:
        before = [device for pk, device in earlier[event.subject] if pk < event.pk]
        if event.subject in users and before and event.payload.get("device", "") not in before:
            yield note(event, users[event.subject], "signed_in", _facts_of_device(event))


def _facts_of_device(event: Event) -> Facts:
    return {"device": event.payload.get("device", ""), "ip": event.payload.get("ip", "")}
