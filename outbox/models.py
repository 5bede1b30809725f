"""What happened, written in the transaction in which it happened; delivery reads it afterwards."""

from django.db import models

from brokers.fields import PublicIdField
from brokers.tenancy import HistoryModel


class Event(HistoryModel):
    """One fact about one subject. `payload` holds strings, numbers of things and ids, amounts as decimal
    strings.
    """

    public_id = PublicIdField()
    kind = models.CharField(max_length=64)
    subject = models.UUIDField(
        help_text="Public id of the account, investment, request or person it is about."
    )
    payload = models.JSONField(default=dict)
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["broker", "subject", "id"], name="outbox_event_subject")]
        constraints = [models.UniqueConstraint(fields=["broker", "public_id"], name="outbox_event_public")]

    def __str__(self) -> str:
        return self.kind
