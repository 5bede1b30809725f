"""The bell in the header of every page: one query, and a piece that keeps itself up to date."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse_lazy
from django.utils.safestring import SafeString, mark_safe

from accounts.models import User
from allocation.web.live import live_piece
from events.queries import MOST_COUNTED, unread_count

BELL: dict[str, Any] = {"url": reverse_lazy("events:bell"), "element_id": "bell", "seconds": 30}


def bell_context(person: User) -> dict[str, Any]:
    count = unread_count(person)
    return {"unread": count, "shown": f"{MOST_COUNTED}+" if count > MOST_COUNTED else str(count)}


def bell_piece(request: HttpRequest) -> SafeString:
    """The bell of whoever is signed in, nothing for a visitor."""
    if not isinstance(request.user, User):
        return SafeString()
    piece = live_piece(request, "events/bell_count.html", bell_context(request.user), **BELL)
    return mark_safe(piece)  # noqa: S308 - made by templates
