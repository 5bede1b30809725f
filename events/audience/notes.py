"""Who is told what: one person, one event."""

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from outbox.models import Event

Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Note:
    """One person is to be told. `about` tells apart what one event says of several things of his; `address`
    is where the e-mail goes, if not to his own.
    """

    event: Event
    user_id: int
    kind: str
    facts: Facts
    about: uuid.UUID
    address: str = ""


Teller = Callable[[Sequence[Event]], Iterable[Note]]
TELLERS: dict[str, Teller] = {}
"""By kind of event."""


def tells(*kinds: str) -> Callable[[Teller], Teller]:
    """Register the function that says who is told of events of these kinds."""

    def register(teller: Teller) -> Teller:
        TELLERS.update(dict.fromkeys(kinds, teller))
        return teller

    return register


def note(
    event: Event,
    user_id: int,
    kind: str,
    facts: Facts,
    *,
    about: uuid.UUID | None = None,
    address: str = "",
) -> Note:
    """Told of what the event is about, unless `about` says otherwise."""
    return Note(event, user_id, kind, facts, about or event.subject, address)
