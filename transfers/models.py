"""Movements of money on trading servers: written down before they are attempted, made at most once."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from brokers.fields import AmountField, PublicIdField, TenantForeignKey, whole_minor_units
from brokers.identifiers import crockford, new_public_id
from brokers.tenancy import TenantModel

KEY_PREFIX = "PM"


def new_leg_key() -> str:
    """28 letters and digits: fits the 31 characters a balance operation's comment keeps."""
    return f"{KEY_PREFIX}{crockford(new_public_id())}"


class Side(models.TextChoices):
    """Which ledger account mirrors the balance of a trading login."""

    PERSONAL = "personal_cash", _("Personal account")
    PAMM = "pamm_cash", _("PAMM account")
    HOUSE = "house_cash", _("Broker's account")


class Transfer(TenantModel):
    """Money on its way from one trading account to another: leg `out`, then leg `in`; between them it is in
    transit.

    Both legs are fixed when the transfer is planned, except that a transfer *held in transit* gets its second
    leg only when it is released (a deposit that waits for its price, or goes back to its owner; a fee whose
    receiver has no account for it yet).
    """

    class Purpose(models.TextChoices):
        DEPOSIT = "deposit", _("Deposit")
        WITHDRAWAL = "withdrawal", _("Withdrawal")
        CLOSE = "close", _("Closing payment")
        FEE = "fee", _("Fee")
        ROUNDING = "rounding", _("Rounding exchange")
        SWEEP = "sweep", _("Sweep of a remainder")
        CORRECTION = "correction", _("Undoing a foreign operation")

    class State(models.TextChoices):
        PLANNED = "planned", _("Planned")
        IN_TRANSIT = "in_transit", _("In transit")
        COMPLETED = "completed", _("Completed")
        REFUSED = "refused", _("Refused")
        RETURNED = "returned", _("Returned")

    public_id = PublicIdField()
    server = TenantForeignKey("trading.TradingServer", related_name="+")
    purpose = models.CharField(max_length=20, choices=Purpose)
    subject = models.UUIDField(
        db_index=True, help_text=_("Public id of the request, rollover or account it serves.")
    )
    payee = models.UUIDField(
        null=True,
        blank=True,
        help_text=_("Public id of whom a payment is owed to until it arrives: the payable's subject."),
    )
    pool = models.UUIDField(help_text=_("Public id of the PAMM account whose money it is."))
    amount = AmountField()
    currency = models.CharField(max_length=12)
    currency_digits = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=12, choices=State, default=State.PLANNED)
    created_at = models.DateTimeField(auto_now_add=True)
    completed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["broker", "public_id"], name="transfers_transfer_public"),
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="transfers_transfer_positive"),
            whole_minor_units("transfers_transfer_whole", "amount"),
        ]
        indexes = [
            models.Index(fields=["broker", "state", "id"], name="transfers_transfer_state"),
            models.Index(fields=["broker", "pool", "id"], name="transfers_transfer_pool"),
        ]

    def __str__(self) -> str:
        return f"{self.get_purpose_display()} {self.amount:.{self.currency_digits}f} {self.currency}"


class Leg(TenantModel):
    """One balance operation on the trading server. `key` travels in its comment and is never used for
    another.
    """

    class State(models.TextChoices):
        PLANNED = "planned", _("Planned")
        SENDING = "sending", _("Sent, answer outstanding")
        UNKNOWN = "unknown", _("Answer lost, being looked up")
        CONFLICT = "conflict", _("Found more than once, or otherwise: a person has to decide")
        APPLIED = "applied", _("Applied")
        REFUSED = "refused", _("Refused")

    transfer = TenantForeignKey(Transfer, related_name="legs")
    position = models.PositiveSmallIntegerField(help_text=_("1: out of the source; 2: into the destination."))
    server = TenantForeignKey("trading.TradingServer", related_name="+")
    login = models.BigIntegerField()
    side = models.CharField(max_length=16, choices=Side)
    owner = models.UUIDField(help_text=_("Public id of the account behind the login: the ledger's subject."))
    amount = AmountField(help_text=_("Signed: negative takes out of the login."))
    currency = models.CharField(max_length=12)
    currency_digits = models.PositiveSmallIntegerField()
    key = models.CharField(max_length=31, default=new_leg_key, editable=False)
    state = models.CharField(max_length=10, choices=State, default=State.PLANNED)
    attempts = models.PositiveSmallIntegerField(default=0)
    lookups = models.PositiveSmallIntegerField(
        default=0, help_text=_("Since it was last sent: how often complete histories did not hold it.")
    )
    first_sent_at = models.DateTimeField(null=True, blank=True)
    retry_at = models.DateTimeField(null=True, blank=True)
    applied_at = models.DateTimeField(null=True, blank=True)
    ticket = models.BigIntegerField(null=True, blank=True)
    counted = models.BooleanField(default=False, help_text=_("Its deal is part of a price point's balance."))
    pool = models.UUIDField(help_text=_("The transfer's."))
    link_sequence = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text=_("Number of the pool's rollover whose chain link covers its ledger entry."),
    )
    refusal_code = models.IntegerField(null=True, blank=True)
    refusal_text = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["broker", "key"], name="transfers_leg_key"),
            models.UniqueConstraint(fields=["broker", "transfer", "position"], name="transfers_leg_position"),
            models.UniqueConstraint(
                fields=["broker", "server", "ticket"],
                condition=models.Q(ticket__isnull=False),
                name="transfers_leg_ticket",
            ),
            # One operation in flight per login: a look-up by key can then tell what the server has done.
            models.UniqueConstraint(
                fields=["broker", "server", "login"],
                condition=models.Q(state__in=["sending", "unknown", "conflict"]),
                name="transfers_leg_one_in_flight",
            ),
            models.CheckConstraint(condition=~models.Q(amount=0), name="transfers_leg_not_zero"),
            whole_minor_units("transfers_leg_whole", "amount"),
        ]
        indexes = [
            models.Index(
                fields=["broker", "server", "login", "id"],
                condition=models.Q(state__in=["planned", "sending", "unknown", "conflict", "refused"]),
                name="transfers_leg_open",
            ),
            models.Index(
                fields=["broker", "server", "login"],
                condition=models.Q(state="applied", counted=False),
                name="transfers_leg_uncounted",
            ),
            models.Index(
                fields=["broker", "pool"],
                condition=models.Q(state="applied", link_sequence__isnull=True),
                name="transfers_leg_unlinked",
            ),
            models.Index(fields=["broker", "pool", "link_sequence"], name="transfers_leg_link"),
            models.Index(fields=["broker", "server", "applied_at"], name="transfers_leg_applied"),
        ]

    def __str__(self) -> str:
        return f"{self.key} {self.amount:.{self.currency_digits}f} {self.currency}"
