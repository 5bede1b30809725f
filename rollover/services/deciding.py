"""Who may decide about what rollovers found, and that he says why."""

from accounts.models import DECIDING_ROLES, User
from accounts.queries import has_role
from brokers.errors import NotAllowed
from rollover.errors import NoteMissing


def required_note(by: User, note: str) -> str:
    """The note, without blanks around it, of somebody who may decide. Raises `NotAllowed`, `NoteMissing`."""
    if not has_role(by, *DECIDING_ROLES):
        raise NotAllowed
    if not note.strip():
        raise NoteMissing(field="note")
    return note.strip()
