"""Files that a worker makes: asked for, taken up once, made, kept for a while, removed."""

import logging
import uuid
from datetime import timedelta

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import Storage, storages
from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone, translation

from accounts.models import User
from brokers.models import Broker
from outbox.services import record_event
from statements.calc.period import Period
from statements.csv_rows import csv_of
from statements.document import document_of
from statements.errors import FileNotFailed, TooManyFiles
from statements.models import FileFormat, StatementFile, StatementKind
from statements.pdf import pdf_of
from statements.queries import Subject, complete_statement, subject_of, zone_of
from statements.queries.files import get_file_for

logger = logging.getLogger(__name__)
State = StatementFile.State

MOST_UNFINISHED = 3
"""Files one person may have in preparation at a time."""
MOST_ATTEMPTS = 3
"""Workers that may die over a file before it is given up."""
LEASE = timedelta(minutes=2)
KEPT_FOR = timedelta(days=7)


class ClaimLost(Exception):
    """Somebody else has taken the file up meanwhile: this worker stops."""


def request_file(
    *, by: User, subject: Subject, period: Period, file_format: FileFormat, language: str
) -> StatementFile:
    """Ask for a file. The same again, while it is prepared, answers the same file. Raises `TooManyFiles`."""
    what = {
        "requested_by": by,
        "subject": subject.user,
        "kind": subject.kind,
        "format": file_format,
        "first_day": period.first_day,
        "end_day": period.end_day,
        "language": language,
    }
    unfinished = StatementFile.objects.filter(state__in=StatementFile.UNFINISHED_STATES)
    file: StatementFile | None = unfinished.filter(**what).first()
    if file is not None:
        return file
    if unfinished.filter(requested_by=by).count() >= MOST_UNFINISHED:
        raise TooManyFiles(limit=MOST_UNFINISHED)
    try:
        with transaction.atomic():
            return StatementFile.objects.create(**what, expires_at=timezone.now() + KEPT_FOR)
    except IntegrityError:
        # The other click was quicker.
        return unfinished.get(**what)


def retry_file(*, by: User, public_id: uuid.UUID) -> StatementFile:
    """Ask again for a file that failed. Raises `NotFound`, `FileNotFailed`, `TooManyFiles`."""
    file = get_file_for(by, public_id)
    unfinished = StatementFile.objects.filter(requested_by=by, state__in=StatementFile.UNFINISHED_STATES)
    if unfinished.count() >= MOST_UNFINISHED:
        raise TooManyFiles(limit=MOST_UNFINISHED)
    now = timezone.now()
    try:
        with transaction.atomic():
            changed = StatementFile.objects.filter(pk=file.pk, state=State.FAILED).update(
                state=State.WAITING, attempts=0, lines_done=0, ended_at=None,
                requested_at=now, dispatched_at=now, expires_at=now + KEPT_FOR,
            )  # fmt: skip
    except IntegrityError:
        changed = 0  # the same is being prepared under another row
    if not changed:
        raise FileNotFailed
    file.refresh_from_db()
    return file


def files_to_take_up() -> list[int]:
    """Primary keys of files that were handed out long ago and that nobody works on: their messages, or their
    workers, are taken for lost. They count as handed out now.
    """
    now = timezone.now()
    overdue = now - timedelta(seconds=settings.STATEMENT_REDISPATCH_SECONDS)
    lost = Q(state=State.WAITING, dispatched_at__lt=overdue) | Q(state=State.RUNNING, lease_until__lt=now)
    keys = list(StatementFile.objects.filter(lost).order_by("pk").values_list("pk", flat=True))
    StatementFile.objects.filter(pk__in=keys).update(dispatched_at=now)
    return keys


def prepare_file(key: int) -> None:
    """Make a file, unless somebody else does or has. What goes wrong is told in its row."""
    file = _claimed(key)
    if file is None:
        return
    if file.attempts > MOST_ATTEMPTS:
        logger.error("statement file %s: %s workers did not finish it", file.public_id, MOST_ATTEMPTS)
        _give_up(file)
        return
    try:
        name = _store(file, _content(file))
    except ClaimLost:
        return
    except Exception:
        logger.exception("statement file %s could not be made", file.public_id)
        _give_up(file)
        return
    if not _finish(file, name):
        storage().delete(name)


def remove_expired_files() -> int:
    """Remove files, and their rows, whose time is over. Returns how many there were."""
    expired = list(StatementFile.objects.filter(expires_at__lt=timezone.now()))
    for file in expired:
        if file.name:
            storage().delete(file.name)
        file.delete()
    return len(expired)


def storage() -> Storage:
    """Where files of statements are: private, and the same for every web process and worker."""
    return storages["statements"]


def _claimed(key: int) -> StatementFile | None:
    """The file where it was free: now it is this worker's, for as long as the lease is renewed."""
    now = timezone.now()
    is_free = Q(state=State.WAITING) | Q(state=State.RUNNING, lease_until__lt=now)
    changed = StatementFile.objects.filter(is_free, pk=key).update(
        state=State.RUNNING, attempts=F("attempts") + 1, lease_until=now + LEASE, lines_done=0
    )
    if not changed:
        return None
    file: StatementFile | None = (
        StatementFile.objects.select_related("subject", "requested_by").filter(pk=key).first()
    )
    return file


def _content(file: StatementFile) -> bytes:
    """The whole file, the progress told on the way. Raises `ClaimLost`."""
    broker = Broker.objects.get()
    subject = subject_of(file.subject, StatementKind(file.kind))
    zone = zone_of(file.subject, broker)
    period = Period(file.first_day, file.end_day, zone)

    def note(done: int, lines: int) -> None:
        _note(file, lines=lines, lines_done=done)

    with translation.override(file.language), timezone.override(zone):
        statement, portions = complete_statement(subject, period, note)
        if file.format == FileFormat.CSV:
            return csv_of(statement, portions)
        return pdf_of(document_of(statement, portions, broker))


def _note(file: StatementFile, **figures: int) -> None:
    """Tell how far it is, and renew the lease. Raises `ClaimLost`."""
    if not _own(file).update(lease_until=timezone.now() + LEASE, **figures):
        raise ClaimLost


def _store(file: StatementFile, content: bytes) -> str:
    """Under a name that no other broker, file or attempt has."""
    _note(file, size=len(content))
    name = f"{file.broker.public_id}/{file.public_id}-{file.attempts}.{file.format}"
    return storage().save(name, ContentFile(content))


def _finish(file: StatementFile, name: str) -> bool:
    now = timezone.now()
    with transaction.atomic():
        changed = _own(file).update(
            state=State.READY, name=name, ended_at=now, lease_until=None, expires_at=now + KEPT_FOR
        )
        if changed:
            _tell(file, "statement.ready")
    return bool(changed)


def _give_up(file: StatementFile) -> None:
    with transaction.atomic():
        if _own(file).update(state=State.FAILED, ended_at=timezone.now(), lease_until=None):
            _tell(file, "statement.failed")


def _tell(file: StatementFile, what: str) -> None:
    record_event(
        what,
        subject=file.requested_by.public_id,
        file=str(file.public_id),
        kind=file.kind,
        format=file.format,
        first_day=file.first_day.isoformat(),
        end_day=file.end_day.isoformat(),
    )


def _own(file: StatementFile) -> QuerySet[StatementFile]:
    """The row as long as this attempt has it."""
    return StatementFile.objects.filter(pk=file.pk, state=State.RUNNING, attempts=file.attempts)
