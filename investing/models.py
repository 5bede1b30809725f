"""Requests: what people ask for, and the stops that ask for them. Nothing moves before a rollover."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from brokers.fields import (
    AccumulatorField,
    AmountField,
    PublicIdField,
    TenantForeignKey,
    TenantOneToOneField,
    UnitsField,
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
        STOP_LOSS = "stop_loss", _("Its stop loss was reached")
        TAKE_PROFIT = "take_profit", _("Its take profit was reached")

    OPEN_STATES = (State.PENDING, State.CONFIRMED, State.COLLECTING)
    STOP_ORIGINS = (Origin.STOP_LOSS, Origin.TAKE_PROFIT)
    RETURNING_REASONS = ("stop_reached", "account_suspended")
    """Of a deposit that is being collected: it goes back once its money has come, and never buys units."""

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


class Stop(TenantModel):
    """A price per unit at which a rollover closes an investment: its stop loss or its take profit.

    A change ends one row and begins the next, so the rows of an investment are the history of its stops.
    `amount` is what its owner entered: the value of the `units` he had then. Rollovers up to the account's
    number `after_sequence` were before it, those after `ended_after_sequence` after it.
    """

    class Kind(models.TextChoices):
        STOP_LOSS = "stop_loss", _("Stop loss")
        TAKE_PROFIT = "take_profit", _("Take profit")

    class State(models.TextChoices):
        ACTIVE = "active", _("Active")
        REPLACED = "replaced", _("Changed")
        REMOVED = "removed", _("Removed")
        REACHED = "reached", _("Reached")
        ENDED = "ended", _("Ended with the investment")

    public_id = PublicIdField()
    investment = TenantForeignKey("allocation.Investment", related_name="stops", db_index=False)
    account = TenantForeignKey("accounts.PammAccount", related_name="+", db_index=False)
    kind = models.CharField(max_length=11, choices=Kind)
    price = AccumulatorField(help_text=_("Per unit, exact."))
    # Under row-level security no index is used for numeric comparisons; bigint ones are leakproof. As
    # `allocation.calc.stops.price_key`; a parameter in here would break the table's other constraints.
    price_key = models.GeneratedField(
        expression=models.Func(
            models.F("price"),
            template="floor(least(%(expressions)s * 1000000000, 9000000000000000000))::bigint",
        ),
        output_field=models.BigIntegerField(),
        db_persist=True,
    )
    amount = AmountField()
    currency_digits = models.PositiveSmallIntegerField()
    units = UnitsField()
    state = models.CharField(max_length=8, choices=State, default=State.ACTIVE)
    set_at = models.DateTimeField(default=timezone.now)
    set_by = TenantForeignKey("accounts.User", related_name="+", db_index=False)
    counts_from = models.DateTimeField(
        help_text=_("For rollovers by the schedule: when it was set, and the broker's freeze time.")
    )
    after_sequence = models.PositiveIntegerField()
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = TenantForeignKey("accounts.User", related_name="+", null=True, blank=True, db_index=False)
    ended_after_sequence = models.PositiveIntegerField(null=True, blank=True)
    reached = TenantForeignKey(
        "allocation.PricePoint", related_name="+", null=True, blank=True, db_index=False
    )
    request = TenantOneToOneField(Request, related_name="stop", null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["broker", "public_id"], name="investing_stop_public"),
            models.UniqueConstraint(
                fields=["broker", "investment", "kind"],
                condition=models.Q(state="active"),
                name="investing_stop_one",
            ),
            models.CheckConstraint(
                condition=models.Q(price__gt=0, amount__gt=0, units__gt=0), name="investing_stop_positive"
            ),
            models.CheckConstraint(
                condition=models.Q(state="active", ended_at__isnull=True, ended_after_sequence__isnull=True)
                | (
                    ~models.Q(state="active")
                    & models.Q(ended_at__isnull=False, ended_after_sequence__isnull=False)
                ),
                name="investing_stop_ended",
            ),
            models.CheckConstraint(
                condition=models.Q(state="reached", reached__isnull=False, request__isnull=False)
                | (~models.Q(state="reached") & models.Q(reached__isnull=True, request__isnull=True)),
                name="investing_stop_reached",
            ),
            whole_minor_units("investing_stop_whole", "amount"),
        ]
        indexes = [
            models.Index(
                fields=["broker", "account", "kind", "price_key"],
                condition=models.Q(state="active"),
                name="investing_stop_due",
            ),
            models.Index(fields=["broker", "investment", "id"], name="investing_stop_history"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.amount:.{self.currency_digits}f}"

    @property
    def is_loss(self) -> bool:
        return self.kind == Stop.Kind.STOP_LOSS
