"""Files of statements that take too long to make while somebody waits."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from brokers.fields import PublicIdField, TenantForeignKey
from brokers.tenancy import TenantModel


class StatementKind(models.TextChoices):
    """What somebody's statement is about: the money he invested, his income as a manager or as an agent."""

    INVESTOR = "investor", _("Investor")
    MANAGER = "manager", _("Manager")
    AGENT = "agent", _("Agent")


class FileFormat(models.TextChoices):
    PDF = "pdf", _("PDF")
    CSV = "csv", _("CSV")


class StatementFile(TenantModel):
    """A statement that a worker makes, for the one person who asked for it.

    The row is the truth: whoever finds it *waiting*, or *running* with its lease over, may take it up. `name`
    is the file's in the storage. After `expires_at` the file is removed, and then the row.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        RUNNING = "running", _("Being prepared")
        READY = "ready", _("Ready")
        FAILED = "failed", _("Failed")

    UNFINISHED_STATES = (State.WAITING, State.RUNNING)

    public_id = PublicIdField()
    requested_by = TenantForeignKey("accounts.User", related_name="statement_files")
    subject = TenantForeignKey("accounts.User", related_name="+", help_text=_("Whose statement it is."))
    kind = models.CharField(max_length=8, choices=StatementKind)
    format = models.CharField(max_length=4, choices=FileFormat)
    first_day = models.DateField()
    end_day = models.DateField(help_text=_("The first day after the period."))
    language = models.CharField(max_length=12)
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    lines = models.PositiveIntegerField(default=0, help_text=_("How many the statement has."))
    lines_done = models.PositiveIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    name = models.CharField(max_length=200, blank=True)
    size = models.PositiveIntegerField(default=0, help_text=_("In bytes."))
    requested_at = models.DateTimeField(default=timezone.now)
    dispatched_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(help_text=_("When file and row are removed."))

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["broker", "public_id"], name="statements_file_public"),
            # The same click twice is one file.
            models.UniqueConstraint(
                fields=[
                    "broker", "requested_by", "subject", "kind", "format", "first_day", "end_day", "language",
                ],
                condition=models.Q(state__in=["waiting", "running"]),
                name="statements_file_once",
            ),
            models.CheckConstraint(
                condition=models.Q(first_day__lt=models.F("end_day")), name="statements_file_period"
            ),
        ]  # fmt: skip
        indexes = [
            models.Index(fields=["broker", "requested_by", "id"], name="statements_file_person"),
            models.Index(fields=["broker", "expires_at"], name="statements_file_expiry"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.first_day} {self.format}"
