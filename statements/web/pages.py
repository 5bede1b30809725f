"""Statements: a page per kind, and the same as a file. One's own, or any client's for the broker's staff."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.web.paging import Page
from brokers.scope import broker_scope, current_broker_id
from statements.calc.period import Period
from statements.csv_rows import csv_text
from statements.models import StatementKind
from statements.queries import (
    Statement,
    Subject,
    all_lines,
    get_subject_for,
    lines_of,
    statement_of,
    zone_of,
)
from statements.web.forms import PRESETS, PeriodForm, days_query

PAGE_SIZE = 50
TEMPLATES = {
    StatementKind.INVESTOR: "statements/investor.html",
    StatementKind.MANAGER: "statements/manager.html",
    StatementKind.AGENT: "statements/agent.html",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A period by its name."""

    label: Any
    url: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks for: whose statement, of which period."""

    subject: Subject
    form: PeriodForm
    period: Period
    public_id: uuid.UUID | None

    def url(self, what: str) -> str:
        """Address of this statement's `page`, `csv`, `pdf` or `prepare`."""
        return statement_url(self.subject.kind, what, self.public_id)


@login_required
@require_safe
def statement_page(
    request: HttpRequest, kind: StatementKind, public_id: uuid.UUID | None = None
) -> HttpResponse:
    """Sums, and the lines they are of, oldest first."""
    asked = _asked(request, kind, public_id)
    # Days and moments by the clocks of whom it is about, whoever reads it.
    with timezone.override(asked.period.zone):
        statement = statement_of(asked.subject, asked.period)
        return render(request, TEMPLATES[kind], _context(request, asked, statement))


@login_required
@require_safe
def statement_csv(
    request: HttpRequest, kind: StatementKind, public_id: uuid.UUID | None = None
) -> StreamingHttpResponse:
    """The statement as CSV, streamed."""
    asked = _asked(request, kind, public_id, is_file=True)
    statement = statement_of(asked.subject, asked.period)
    response = StreamingHttpResponse(
        _in_scope(current_broker_id(), statement), content_type="text/csv; charset=utf-8"
    )
    response["Content-Disposition"] = (
        f'attachment; filename="{file_name(asked.subject, asked.period, "csv")}"'
    )
    return response


def statement_url(kind: StatementKind, what: str, public_id: uuid.UUID | None) -> str:
    name = f"statements:{kind}-{what}"
    return reverse(name) if public_id is None else reverse(f"{name}-of", args=[public_id])


def file_name(subject: Subject, period: Period, extension: str) -> str:
    """`statement-investor-2026-10-01-2026-10-31.csv`: first and last day."""
    return f"statement-{subject.kind}-{period.first_day}-{period.last_day}.{extension}"


def _asked(
    request: HttpRequest, kind: StatementKind, public_id: uuid.UUID | None, *, is_file: bool = False
) -> Asked:
    """Raises `NotFound` for a stranger; `PeriodUnclear` where a file's period cannot be read."""
    subject = get_subject_for(request.user, kind, public_id)
    zone = zone_of(subject.user, request.broker)  # type: ignore[attr-defined]
    form = PeriodForm(request.GET or None)
    period = form.required(subject, zone) if is_file else form.chosen(subject, zone)
    return Asked(subject, form, period, public_id)


def _context(request: HttpRequest, asked: Asked, statement: Statement) -> dict[str, Any]:
    start = _start(request, statement.line_count)
    lines = lines_of(statement, start, start + PAGE_SIZE) if statement.line_count else []
    query, page_url = days_query(asked.period), asked.url("page")
    return {
        "statement": statement,
        "subject": asked.subject,
        "period": asked.period,
        "form": asked.form,
        "choices": _choices(asked, page_url),
        "lines": lines,
        "first_line": start + 1,
        "last_line": start + len(lines),
        "page": Page(
            rows=lines,
            is_first=start == 0,
            first_url=f"{page_url}?{query}",
            next_url=f"{page_url}?{query}&from={start + PAGE_SIZE}"
            if start + PAGE_SIZE < statement.line_count
            else "",
        ),
        "query": query,
        "page_url": page_url,
        "csv_url": f"{asked.url('csv')}?{query}",
        "is_own": asked.public_id is None,
    }


def _choices(asked: Asked, page_url: str) -> list[Choice]:
    current = asked.form.preset
    return [
        Choice(label, f"{page_url}?period={preset}", preset is current) for preset, label in PRESETS.items()
    ]


def _start(request: HttpRequest, line_count: int) -> int:
    """Where the screen of lines begins: a multiple of its size, within the statement."""
    asked = request.GET.get("from", "")
    start = int(asked) if asked.isdecimal() and len(asked) < 10 else 0
    last = max(line_count - 1, 0) // PAGE_SIZE * PAGE_SIZE
    return min(start // PAGE_SIZE * PAGE_SIZE, last)


def _in_scope(broker_id: int, statement: Statement) -> Iterator[str]:
    """The scope is entered anew for every piece: whoever reads the stream may have left it."""
    pieces = csv_text(statement, all_lines(statement))
    while True:
        with broker_scope(broker_id):
            piece = next(pieces, None)
        if piece is None:
            return
        yield piece
