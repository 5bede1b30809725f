"""What people are told of events: notifications, the e-mails that go with them, and who wants which."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from brokers.fields import PublicIdField, TenantForeignKey, TenantOneToOneField
from brokers.tenancy import TenantModel


class Notification(TenantModel):
    """One person is told of one event. The words are made from `kind` and `facts` when it is read, in the
    reader's language.

    `facts` holds strings: names, amounts as decimal strings, public ids that the link is made of.
    """

    public_id = PublicIdField()
    # The indexes and keys below begin with the broker and with these.
    user = TenantForeignKey("accounts.User", related_name="+", db_index=False)
    event = TenantForeignKey("outbox.Event", related_name="+", db_index=False)
    kind = models.CharField(max_length=40)
    about = models.UUIDField(help_text=_("Public id of what it tells of, where an event tells of several."))
    facts = models.JSONField(default=dict)
    in_cabinet = models.BooleanField(default=True)
    occurred_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)
    read_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["broker", "public_id"], name="events_notification_public"),
            models.UniqueConstraint(
                fields=["broker", "event", "user", "kind", "about"], name="events_notification_once"
            ),
        ]
        indexes = [
            models.Index(
                fields=["broker", "user", "id"],
                condition=models.Q(in_cabinet=True),
                name="events_notification_list",
            ),
            models.Index(
                fields=["broker", "user"],
                condition=models.Q(in_cabinet=True, read_at__isnull=True),
                name="events_notification_unread",
            ),
        ]

    def __str__(self) -> str:
        return self.kind


class Preference(TenantModel):
    """How somebody wants to be told of one kind, where it differs from the kind's own default."""

    user = TenantForeignKey("accounts.User", related_name="+", db_index=False)
    kind = models.CharField(max_length=40)
    in_cabinet = models.BooleanField()
    by_email = models.BooleanField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["broker", "user", "kind"], name="events_preference_once")
        ]

    def __str__(self) -> str:
        return self.kind


class Mail(TenantModel):
    """The e-mail of a notification: written before it is sent, sent at most once.

    *Sending* is whoever has it in hand, until `claimed_until`. Where that passes, nobody knows whether the
    mail server had taken it: it is given up rather than sent twice.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        SENDING = "sending", _("Being sent")
        SENT = "sent", _("Sent")
        GIVEN_UP = "given_up", _("Given up")

    public_id = PublicIdField()
    notification = TenantOneToOneField(Notification, related_name="mail")
    address = models.EmailField(_("e-mail"))
    state = models.CharField(max_length=8, choices=State, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(null=True, help_text=_("When it is tried next; empty once it has ended."))
    claimed_until = models.DateTimeField(null=True)
    reason = models.CharField(max_length=300, blank=True, help_text=_("Why it was not sent."))
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("e-mail")
        verbose_name_plural = _("e-mails")
        constraints = [models.UniqueConstraint(fields=["broker", "public_id"], name="events_mail_public")]
        indexes = [
            models.Index(
                fields=["broker", "due_at"],
                condition=models.Q(state__in=["waiting", "sending"]),
                name="events_mail_due",
            ),
        ]

    def __str__(self) -> str:
        return self.address
