"""Files that take long: asked for, followed, downloaded; each by the one person who asked for it."""

import logging
import uuid
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language
from django.views.decorators.http import require_POST, require_safe
from kombu.exceptions import OperationalError

from accounts.models import User
from accounts.web.paging import page_by_id
from allocation.web.live import signed_in_piece
from brokers.errors import NotFound
from brokers.scope import current_broker_id
from statements.calc.period import Period
from statements.errors import FileNotReady
from statements.models import FileFormat, StatementFile, StatementKind
from statements.queries import zone_of
from statements.queries.files import files_of, get_file_for
from statements.services import request_file, retry_file, storage
from statements.tasks import prepare_file_task
from statements.web.asking import CONTENT_TYPES, asked_for, file_name

logger = logging.getLogger(__name__)
PAGE_SIZE = 30


@login_required
@require_POST
def prepare(request: HttpRequest, kind: StatementKind, public_id: uuid.UUID | None = None) -> HttpResponse:
    """Ask for a file of the statement on the page."""
    asked = asked_for(request, kind, public_id, is_file=True)
    wanted = request.POST.get("format", "")
    file = request_file(
        by=_person(request),
        subject=asked.subject,
        period=asked.period,
        file_format=FileFormat(wanted) if wanted in FileFormat.values else FileFormat.PDF,
        language=get_language() or "en",
    )
    _wake(file)
    return redirect("statements:file", file.public_id)


@login_required
@require_safe
def files_page(request: HttpRequest) -> HttpResponse:
    """Everything that was prepared for this person, the latest first."""
    page = page_by_id(request, files_of(_person(request)), PAGE_SIZE)
    rows = [(file, period_of(request, file)) for file in page.rows]
    return render(request, "statements/files.html", {"page": page, "rows": rows})


@login_required
@require_safe
def file_page(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """How far a file is; where to get it; what to do when it failed."""
    return render(request, "statements/file.html", _context(request, public_id))


@signed_in_piece
@require_safe
def file_progress(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """The part of the page that moves, for polling."""
    return render(request, "statements/file_progress.html", _context(request, public_id))


@login_required
@require_POST
def retry(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Ask again for a file that failed."""
    file = retry_file(by=_person(request), public_id=public_id)
    _wake(file)
    return redirect("statements:file", file.public_id)


@login_required
@require_safe
def download(request: HttpRequest, public_id: uuid.UUID) -> HttpResponseBase:
    """The file itself. Raises `FileNotReady`."""
    file = get_file_for(request.user, public_id)
    if file.state != StatementFile.State.READY:
        raise FileNotReady
    try:
        content = storage().open(file.name)
    except FileNotFoundError:
        raise NotFound from None
    period = period_of(request, file)
    return FileResponse(
        content,
        as_attachment=True,
        filename=file_name(StatementKind(file.kind), period, file.format),
        content_type=CONTENT_TYPES[FileFormat(file.format)],
    )


def period_of(request: HttpRequest, file: StatementFile) -> Period:
    zone = zone_of(file.subject, request.broker)  # type: ignore[attr-defined]
    return Period(file.first_day, file.end_day, zone)


def _context(request: HttpRequest, public_id: uuid.UUID) -> dict[str, Any]:
    file = get_file_for(request.user, public_id)
    return {
        "file": file,
        "period": period_of(request, file),
        "is_unfinished": file.state in StatementFile.UNFINISHED_STATES,
        "is_own": file.subject_id == file.requested_by_id,
        # The sheets are laid out after the last line was read: the bar stops short of its end.
        "bar_end": max(file.lines + file.lines // 4, 1),
        "progress_url": reverse("statements:file-progress", args=[file.public_id]),
    }


def _wake(file: StatementFile) -> None:
    """Tell a worker. Where the queue is away the row waits for the next tick, and so does nobody here."""
    if file.state != StatementFile.State.WAITING:
        return
    try:
        prepare_file_task.apply_async((current_broker_id(), file.pk), retry=False)
    except OperationalError:
        logger.warning("the queue did not take statement file %s: it waits for the tick", file.public_id)


def _person(request: HttpRequest) -> User:
    """The signed-in person of a page that asks for one."""
    assert isinstance(request.user, User)
    return request.user
