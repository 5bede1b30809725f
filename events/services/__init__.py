"""Writes of `events`: one action per function."""

from events.services.mails import send_due_mails
from events.services.notifications import (
    NOTIFICATIONS,
    change_preferences,
    deliver_notifications,
    mark_all_read,
    mark_read,
)

__all__ = [
    "NOTIFICATIONS",
    "change_preferences",
    "deliver_notifications",
    "mark_all_read",
    "mark_read",
    "send_due_mails",
]
