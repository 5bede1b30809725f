"""What an address of a statement asks for: whose, of which period."""

import uuid
from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import reverse

from statements.calc.period import Period
from statements.models import FileFormat, StatementKind
from statements.queries import Subject, get_subject_for, zone_of
from statements.web.forms import PeriodForm

CONTENT_TYPES = {FileFormat.PDF: "application/pdf", FileFormat.CSV: "text/csv; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class Asked:
    """`public_id` is the client's, where it is not one's own."""

    subject: Subject
    form: PeriodForm
    period: Period
    public_id: uuid.UUID | None

    def url(self, what: str) -> str:
        """Address of this statement's `page`, `csv`, `pdf` or `prepare`."""
        name = f"statements:{self.subject.kind}-{what}"
        return reverse(name) if self.public_id is None else reverse(f"{name}-of", args=[self.public_id])


def asked_for(
    request: HttpRequest, kind: StatementKind, public_id: uuid.UUID | None, *, is_file: bool = False
) -> Asked:
    """Raises `NotFound` for a stranger; `PeriodUnclear` where a file's period cannot be read."""
    subject = get_subject_for(request.user, kind, public_id)
    zone = zone_of(subject.user, request.broker)  # type: ignore[attr-defined]
    form = PeriodForm(request.GET or None)
    period = form.required(subject, zone) if is_file else form.chosen(subject, zone)
    return Asked(subject, form, period, public_id)


def file_name(kind: StatementKind, period: Period, extension: str) -> str:
    """`statement-investor-2026-10-01-2026-10-31.csv`: first and last day."""
    return f"statement-{kind}-{period.first_day}-{period.last_day}.{extension}"
