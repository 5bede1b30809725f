"""Files that were prepared for somebody."""

import uuid

from django.db.models import QuerySet

from accounts.models import User
from accounts.queries import Person, is_staff_member
from brokers.errors import NotFound
from statements.models import StatementFile


def files_of(user: User) -> QuerySet[StatementFile]:
    """What this person asked for, the latest first. Of clients only while he works for the broker."""
    files = StatementFile.objects.filter(requested_by=user).select_related("subject").order_by("-pk")
    return files if is_staff_member(user) else files.filter(subject=user)


def get_file_for(person: Person, public_id: uuid.UUID) -> StatementFile:
    """A file that this person asked for. Raises `NotFound`."""
    file = files_of(person).filter(public_id=public_id).first() if isinstance(person, User) else None
    if file is None:
        raise NotFound
    return file
