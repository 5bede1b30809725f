"""Statements: a page per kind, and the same as a file. One's own, or any client's for the broker's staff."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.web.paging import Page
from statements.csv_rows import csv_of
from statements.document import document_of
from statements.errors import StatementTooLong
from statements.models import FileFormat, StatementKind
from statements.pdf import pdf_of
from statements.queries import Line, Statement, complete_statement, lines_of, statement_of
from statements.web.asking import CONTENT_TYPES, Asked, asked_for, file_name
from statements.web.forms import PRESETS, days_query

PAGE_SIZE = 50
MOST_LINES_AT_ONCE = 1000
MOST_PDF_DAYS_AT_ONCE = 366
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
class FileChoice:
    """A file of the statement: downloaded at `url`, or asked for there where it `takes_long`."""

    format: FileFormat
    takes_long: bool
    url: str


@login_required
@require_safe
def statement_page(
    request: HttpRequest, kind: StatementKind, public_id: uuid.UUID | None = None
) -> HttpResponse:
    """Sums, and the lines they are of, oldest first."""
    asked = asked_for(request, kind, public_id)
    # Days and moments by the clocks of whom it is about, whoever reads it.
    with timezone.override(asked.period.zone):
        statement = statement_of(asked.subject, asked.period)
        return render(request, TEMPLATES[kind], _context(request, asked, statement))


@login_required
@require_safe
def statement_csv(
    request: HttpRequest, kind: StatementKind, public_id: uuid.UUID | None = None
) -> HttpResponse:
    """The statement as CSV. Raises `StatementTooLong`."""
    asked = asked_for(request, kind, public_id, is_file=True)
    return _file(asked, FileFormat.CSV, csv_of(*_short(asked, FileFormat.CSV)))


@login_required
@require_safe
def statement_pdf(
    request: HttpRequest, kind: StatementKind, public_id: uuid.UUID | None = None
) -> HttpResponse:
    """The statement as PDF. Raises `StatementTooLong`."""
    asked = asked_for(request, kind, public_id, is_file=True)
    with timezone.override(asked.period.zone):
        statement, portions = _short(asked, FileFormat.PDF)
        document = document_of(statement, portions, request.broker)  # type: ignore[attr-defined]
    return _file(asked, FileFormat.PDF, pdf_of(document))


def takes_long(statement: Statement, file_format: FileFormat) -> bool:
    """Whether a file is prepared in the background instead of being made while somebody waits."""
    is_long = statement.line_count > MOST_LINES_AT_ONCE
    return is_long or (file_format == FileFormat.PDF and statement.period.days > MOST_PDF_DAYS_AT_ONCE)


def _short(asked: Asked, file_format: FileFormat) -> tuple[Statement, list[Sequence[Line]]]:
    """The statement and its lines. Raises `StatementTooLong` before it reads them."""
    if takes_long(statement_of(asked.subject, asked.period), file_format):
        raise StatementTooLong
    return complete_statement(asked.subject, asked.period)


def _file(asked: Asked, file_format: FileFormat, content: bytes) -> HttpResponse:
    name = file_name(asked.subject.kind, asked.period, file_format)
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(content, content_type=CONTENT_TYPES[file_format], headers=headers)


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
        "files": [
            FileChoice(
                file_format,
                takes_long(statement, file_format),
                f"{asked.url('prepare' if takes_long(statement, file_format) else file_format)}?{query}",
            )
            for file_format in FileFormat
        ],
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
