"""Requests: what people ask for. Nothing moves before a rollover."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from brokers.fields import (
    AmountField,
    PublicIdField,
    TenantForeignKey,
    TenantOneToOneField,
    whole_minor_units,
)
from brokers.tenancy import TenantModel


class Request(TenantModel):
    """A deposit, a withdrawal of an amount, or a close, of one investment."""

    class Kind(models.TextChoices):
        DEPOSIT = "deposit", _("Deposit")
        WITHDRAWAL = "withdrawal", _("Withdrawal")
        CLOSE = "close", _("Close")

    class State(models.TextChoices):
        PENDING = "pending", _("Awaiting approval")
        CONFIRMED = "confirmed", _("Confirmed")
        COLLECTING = "collecting", _("Being executed")
        EXECUTED = "executed", _("Executed")
        REJECTED = "rejected", _("Rejected")
        CANCELLED = "cancelled", _("Cancelled")
        EXPIRED = "expired", _("Expired")
        FAILED = "failed", _("Failed")

    class Origin(models.TextChoices):
        OWNER = "owner", _("Asked for by the owner")
        ACCOUNT_CLOSING = "account_closing", _("The account is closed")
        RECONCILIATION = "reconciliation", _("Money found in the account")

    OPEN_STATES = (State.PENDING, State.CONFIRMED, State.COLLECTING)

    public_id = PublicIdField()
    investment = TenantForeignKey("allocation.Investment", related_name="requests")
    account = TenantForeignKey("accounts.PammAccount", related_name="requests")
    kind = models.CharField(max_length=10, choices=Kind)
    amount = AmountField(null=True, blank=True, help_text=_("Empty for a close."))
    currency = models.CharField(max_length=12)
    currency_digits = models.PositiveSmallIntegerField()
    close_if_below_minimum = models.BooleanField(
        default=False, help_text=_("A withdrawal that would leave too little may close the investment.")
    )
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    origin = models.CharField(max_length=16, choices=Origin, default=Origin.OWNER)
    idempotency_key = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = TenantForeignKey("accounts.User", related_name="+")
    expires_at = models.DateTimeField(null=True, blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    confirmed_by = TenantForeignKey("accounts.User", related_name="+", null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    reason_code = models.CharField(
        max_length=40, blank=True, help_text=_("Why it waits, failed or was rejected.")
    )
    reason_note = models.CharField(max_length=300, blank=True)
    collection = TenantOneToOneField(
        "transfers.Transfer", related_name="+", null=True, blank=True, help_text=_("The money of a deposit.")
    )
    paid_by = TenantForeignKey(
        "accounts.HouseAccount",
        related_name="+",
        null=True,
        blank=True,
        help_text=_("The broker's account a deposit comes from, instead of the personal account."),
    )
    unit_entry = TenantOneToOneField("allocation.UnitEntry", related_name="request", null=True, blank=True)
    blocks_deposits_until = models.DateTimeField(
        null=True,
        blank=True,
        help_text=_("Taken out under tiers before the interval's end: comes back only after it."),
    )
    blocks_deposits_through = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text=_("The same for intervals counted in rollovers: the account's `flow_sequence`."),
    )
    executed_amount = AmountField(null=True, blank=True)
    executed_fee = AmountField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["broker", "public_id"], name="investing_request_public"),
            # The same click twice is one request.
            models.UniqueConstraint(
                fields=["broker", "created_by", "idempotency_key"], name="investing_request_once"
            ),
            models.CheckConstraint(
                condition=models.Q(kind="close", amount__isnull=True) | models.Q(amount__gt=0),
                name="investing_request_amount",
            ),
            whole_minor_units("investing_request_whole", "amount"),
        ]
        indexes = [
            models.Index(
                fields=["broker", "account", "confirmed_at"],
                condition=models.Q(state__in=["confirmed", "collecting"]),
                name="investing_request_due",
            ),
            models.Index(fields=["broker", "state", "id"], name="investing_request_state"),
        ]

    def __str__(self) -> str:
        amount = "" if self.amount is None else f" {self.amount:.{self.currency_digits}f} {self.currency}"
        return f"{self.get_kind_display()}{amount}"
