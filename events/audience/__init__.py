"""Who is told of an event, and with which facts.

A function per kind of event, which gets all events of that kind in a slice together and takes a constant
number of statements. Whoever did something himself is not told of it.
"""

from collections import defaultdict
from collections.abc import Sequence

from events.audience import account_changes, investments, requests, security, staff
from events.audience.notes import TELLERS, Note
from outbox.models import Event

__all__ = ["Note", "notes_of"]

_MODULES = (requests, investments, account_changes, staff, security)


def notes_of(events: Sequence[Event]) -> list[Note]:
    """Everybody who is told of these events, in their order."""
    of_kind: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        of_kind[event.kind].append(event)
    notes = [note for kind, same in of_kind.items() if kind in TELLERS for note in TELLERS[kind](same)]
    return sorted(notes, key=lambda note: note.event.pk)
