"""A person's notifications: the bell, the list, reading them, and how he wants to be told."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.models import User
from accounts.web.paging import page_by_id
from allocation.web.live import live_answer, signed_in_piece
from events.models import Notification
from events.queries import Choice, choices_of, get_notification_for, notifications_of
from events.services import change_preferences, mark_all_read, mark_read
from events.web.bell import BELL, bell_context
from events.wording import Message, message_of

PAGE_SIZE = 30


@dataclass(frozen=True, slots=True)
class Line:
    """One notification as the list shows it."""

    row: Notification
    message: Message


@login_required
@require_safe
def notifications_page(request: HttpRequest) -> HttpResponse:
    """All of them by day, the latest first; `?unread=1` shows what has not been read."""
    rows = notifications_of(_person(request))
    only_unread = request.GET.get("unread") == "1"
    if only_unread:
        rows = rows.filter(read_at__isnull=True)
    page = page_by_id(request, rows, PAGE_SIZE)
    context = {
        "page": page,
        "days": _days(page.rows),
        "only_unread": only_unread,
        "has_unread": any(row.read_at is None for row in page.rows),
    }
    return render(request, "events/notifications.html", context)


@signed_in_piece
@require_safe
def bell(request: HttpRequest) -> HttpResponse:
    """The bell of the header, polled: 304 while the count is the same."""
    return live_answer(request, "events/bell_count.html", bell_context(_person(request)), **BELL)


@login_required
@require_POST
def open_one(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Read it, and go to the page that explains it."""
    notification = get_notification_for(_person(request), public_id)
    mark_read(notification=notification)
    message = message_of(notification.kind, notification.facts, notification.occurred_at)
    return redirect(message.path)


@login_required
@require_POST
def read_one(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    mark_read(notification=get_notification_for(_person(request), public_id))
    return redirect("events:notifications")


@login_required
@require_POST
def read_all(request: HttpRequest) -> HttpResponse:
    if mark_all_read(user=_person(request)):
        messages.success(request, _("All notifications are marked as read."))
    return redirect("events:notifications")


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def preferences_page(request: HttpRequest) -> HttpResponse:
    """Which kinds somebody wants to be told of, where."""
    person = _person(request)
    groups = choices_of(person)
    if request.method == "POST":
        changed = {
            choice.kind.code: wanted
            for choice in _choosable(groups.values())
            if (wanted := _wanted(request, choice)) != (choice.in_cabinet, choice.by_email)
        }
        change_preferences(user=person, choices=changed)
        messages.success(request, _("Your choices are saved."))
        return redirect("events:preferences")
    return render(request, "events/preferences.html", {"groups": groups})


def _choosable(groups: Iterable[list[Choice]]) -> list[Choice]:
    return [choice for choices in groups for choice in choices if not choice.kind.is_obligatory]


def _wanted(request: HttpRequest, choice: Choice) -> tuple[bool, bool]:
    return f"cabinet-{choice.kind.code}" in request.POST, f"email-{choice.kind.code}" in request.POST


def _days(rows: Iterable[Notification]) -> list[tuple[date, list[Line]]]:
    """By the day on which somebody was told, in the order of the list."""
    lines = [Line(row, message_of(row.kind, row.facts, row.occurred_at)) for row in rows]
    by_day = groupby(lines, key=lambda line: timezone.localtime(line.row.occurred_at).date())
    return [(day, list(of_day)) for day, of_day in by_day]


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user
