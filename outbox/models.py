"""What happened, written in the transaction in which it happened; consumers read it afterwards, in order."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from brokers.fields import PublicIdField
from brokers.tenancy import HistoryModel, TenantModel


class Event(HistoryModel):
    """One fact about one subject. `payload` holds strings, numbers of things and ids, amounts as decimal
    strings.
    """

    public_id = PublicIdField()
    kind = models.CharField(max_length=64)
    subject = models.UUIDField(
        help_text=_("Public id of the account, investment, request or person it is about.")
    )
    payload = models.JSONField(default=dict)
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["broker", "subject", "id"], name="outbox_event_subject")]
        constraints = [models.UniqueConstraint(fields=["broker", "public_id"], name="outbox_event_public")]

    def __str__(self) -> str:
        return self.kind


class Cursor(TenantModel):
    """How far one consumer has read the broker's events.

    `taken`: the last event it has had. `settled`: up to here no event can appear any more. `horizon` is what
    becomes settled once the transactions in `waits_for` have ended, which had begun to write events when it
    was noted.
    """

    consumer = models.CharField(max_length=40)
    taken = models.BigIntegerField(default=0)
    settled = models.BigIntegerField(default=0)
    horizon = models.BigIntegerField(null=True)
    waits_for = models.JSONField(default=list)
    moved_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["broker", "consumer"], name="outbox_cursor_consumer")]

    def __str__(self) -> str:
        return self.consumer
