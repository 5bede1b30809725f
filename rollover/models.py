"""The rollover: its schedule, one row per account and hour, the deals it counted, whose foreign operations
are, the chain over its rows, and what the nightly comparison with the trading server found.
"""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from brokers.fields import (
    AmountField,
    PublicIdField,
    TenantForeignKey,
    TenantOneToOneField,
    whole_minor_units,
)
from brokers.tenancy import HistoryModel, TenantModel


class Schedule(TenantModel):
    """When a broker's accounts roll over. One row per broker; `next_at` is claimed by conditional update."""

    every_minutes = models.PositiveIntegerField(default=60)
    next_at = models.DateTimeField(db_index=True)
    is_active = models.BooleanField(default=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["broker"], name="rollover_schedule_one")]

    def __str__(self) -> str:
        return ngettext("every %(count)d minute", "every %(count)d minutes", self.every_minutes) % {
            "count": self.every_minutes
        }


class Rollover(TenantModel):
    """One rollover of one account. The row is the truth; a queue message only wakes a worker to look at
    it.
    """

    class State(models.TextChoices):
        DUE = "due", _("Due")
        RUNNING = "running", _("Running")
        SETTLING = "settling", _("Settling")
        COMPLETED = "completed", _("Completed")
        WAITING = "waiting", _("Waiting")
        HELD = "held", _("Held")
        SKIPPED = "skipped", _("Skipped")

    OPEN_STATES = (State.DUE, State.RUNNING, State.SETTLING, State.WAITING)

    public_id = PublicIdField()
    account = TenantForeignKey("accounts.PammAccount", related_name="rollovers")
    scheduled_for = models.DateTimeField()
    ordered_by = TenantForeignKey("accounts.User", related_name="+", null=True, blank=True)
    ordered_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State, default=State.DUE)
    dispatched_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    lease_holder = models.CharField(max_length=80, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    price_point = TenantOneToOneField("allocation.PricePoint", related_name="rollover", null=True, blank=True)
    reason_code = models.CharField(max_length=40, blank=True)
    reason = models.JSONField(default=dict, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["broker", "account", "scheduled_for"], name="rollover_rollover_once"
            ),
            models.UniqueConstraint(fields=["broker", "public_id"], name="rollover_rollover_public"),
            # An account never rolls over twice at once.
            models.UniqueConstraint(
                fields=["broker", "account"],
                condition=models.Q(state__in=["running", "settling"]),
                name="rollover_rollover_one_running",
            ),
        ]
        indexes = [
            models.Index(
                fields=["broker", "scheduled_for"],
                condition=models.Q(state__in=["due", "running", "settling", "waiting"]),
                name="rollover_rollover_open",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scheduled_for:%Y-%m-%d %H:%M}"


class CountedDeal(HistoryModel):
    """A deal of the trading server that a rollover has counted, once, by its ticket.

    A difference without any deal is counted under the negative key of the decision that says whose it is.
    """

    class Part(models.TextChoices):
        RESULT = "result", _("Trading result")
        OURS = "ours", _("Our own transfer")
        FOREIGN = "foreign", _("Foreign operation")

    account = TenantForeignKey("accounts.PammAccount", related_name="counted_deals")
    price_point = TenantForeignKey("allocation.PricePoint", related_name="counted_deals")
    ticket = models.BigIntegerField()
    part = models.CharField(max_length=8, choices=Part)
    action = models.PositiveSmallIntegerField()
    executed_at = models.DateTimeField()
    symbol = models.CharField(max_length=32, blank=True)
    volume = models.DecimalField(max_digits=20, decimal_places=8, default=0)
    price = models.DecimalField(max_digits=24, decimal_places=10, default=0)
    closed_lots = models.DecimalField(
        max_digits=20, decimal_places=8, default=0, help_text=_("Negative where a deal was cancelled.")
    )
    amount = AmountField(help_text=_("Profit, swap, commission and fee together."))
    currency_digits = models.PositiveSmallIntegerField()
    comment = models.CharField(max_length=32, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["broker", "account", "ticket"], name="rollover_counteddeal_once"),
        ]
        indexes = [
            models.Index(fields=["broker", "price_point"], name="rollover_counteddeal_point"),
            models.Index(fields=["broker", "account", "executed_at"], name="rollover_counteddeal_at"),
        ]

    def __str__(self) -> str:
        return f"{self.ticket} {self.amount}"


class Decision(HistoryModel):
    """Whose a foreign operation is, or a difference that no deal explains (`ticket` empty).

    Made by the platform where it is small enough to be undone, otherwise by a person, with a note. `amount`
    is what it did to the account's balance. Counted by the next rollover.
    """

    class Kind(models.TextChoices):
        UNDONE = "undone", _("Undone against suspense")
        RESULT = "result", _("The investors' result")
        DEPOSIT = "deposit", _("Deposit of an investment")
        NOTED = "noted", _("Noted: nothing to move")

    public_id = PublicIdField()
    account = TenantForeignKey("accounts.PammAccount", related_name="decisions")
    ticket = models.BigIntegerField(null=True, blank=True)
    kind = models.CharField(max_length=8, choices=Kind)
    amount = AmountField()
    currency_digits = models.PositiveSmallIntegerField()
    deal = models.JSONField(default=dict, blank=True, help_text=_("The operation as the server showed it."))
    made_at = models.DateTimeField(default=timezone.now)
    made_by = TenantForeignKey(
        "accounts.User", related_name="+", null=True, blank=True, help_text=_("Empty: by its size.")
    )
    note = models.CharField(max_length=300, blank=True)
    transfer = TenantForeignKey("transfers.Transfer", related_name="+", null=True, blank=True)
    request = TenantForeignKey("investing.Request", related_name="+", null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["broker", "public_id"], name="rollover_decision_public"),
            models.UniqueConstraint(
                fields=["broker", "account", "ticket"],
                condition=models.Q(ticket__isnull=False) & ~models.Q(kind="noted"),
                name="rollover_decision_once",
            ),
            models.CheckConstraint(
                condition=models.Q(made_by__isnull=False) | models.Q(kind="undone"),
                name="rollover_decision_by_whom",
            ),
            whole_minor_units("rollover_decision_whole", "amount"),
        ]
        indexes = [models.Index(fields=["broker", "account", "made_at"], name="rollover_decision_made")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.amount:.{self.currency_digits}f}"


class ChainLink(HistoryModel):
    """A digest over every row of one rollover of one account, and over the link before it."""

    account = TenantForeignKey("accounts.PammAccount", related_name="chain")
    price_point = TenantOneToOneField("allocation.PricePoint", related_name="chain_link")
    sequence = models.PositiveIntegerField()
    rows = models.PositiveIntegerField()
    previous = models.BinaryField(help_text=_("Digest of the link before; zeros before the first."))
    digest = models.BinaryField(help_text=_("SHA-256."))

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["broker", "account", "sequence"], name="rollover_chainlink_sequence"
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.sequence} {bytes(self.digest).hex()[:12]}"


class Seal(HistoryModel):
    """The heads of all chains at the end of a day, signed, and exported outside the database."""

    day = models.DateField()
    document = models.TextField(help_text=_("What was signed, byte for byte."))
    signature = models.CharField(max_length=128)
    key_id = models.CharField(max_length=64)
    sealed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["broker", "day"], name="rollover_seal_day")]

    def __str__(self) -> str:
        return f"{self.day}"


class Inspection(HistoryModel):
    """One nightly comparison of all balance operations of a trading server with our own books."""

    server = TenantForeignKey("trading.TradingServer", related_name="+")
    began_at = models.DateTimeField()
    completed_at = models.DateTimeField(default=timezone.now)
    compared_since = models.DateTimeField()
    logins = models.PositiveIntegerField()
    deals = models.PositiveIntegerField()
    legs = models.PositiveIntegerField()
    found = models.PositiveIntegerField(help_text=_("Differences, those of earlier nights included."))

    class Meta:
        indexes = [models.Index(fields=["broker", "server", "began_at"], name="rollover_inspection_at")]

    def __str__(self) -> str:
        return f"{self.server} {self.began_at:%Y-%m-%d}"


class Finding(TenantModel):
    """A difference between the trading server's books and ours, found at night; open until a person has
    settled it.
    """

    class Kind(models.TextChoices):
        MISSING_DEAL = "missing_deal", _("Our operation is not in the server's books")
        CHANGED_DEAL = "changed_deal", _("A counted deal has changed")
        VANISHED_DEAL = "vanished_deal", _("A counted deal has disappeared")
        UNKNOWN_KEY = "unknown_key", _("An operation in our name that our books do not hold")
        DUPLICATE_KEY = "duplicate_key", _("One of our operations stands there more than once")
        FOREIGN = "foreign", _("An operation by somebody else")

    class State(models.TextChoices):
        OPEN = "open", _("Open")
        SETTLED = "settled", _("Settled")

    public_id = PublicIdField()
    kind = models.CharField(max_length=16, choices=Kind)
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    server = TenantForeignKey("trading.TradingServer", related_name="+")
    account = TenantForeignKey("accounts.PammAccount", related_name="findings", null=True, blank=True)
    login = models.BigIntegerField()
    ticket = models.BigIntegerField(default=0, help_text=_("0: the server shows no deal."))
    key = models.CharField(max_length=31, blank=True)
    expected = models.JSONField(default=dict, blank=True)
    found = models.JSONField(default=dict, blank=True)
    found_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now, help_text=_("Last seen."))
    settled_at = models.DateTimeField(null=True, blank=True)
    settled_by = TenantForeignKey("accounts.User", related_name="+", null=True, blank=True)
    note = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["broker", "public_id"], name="rollover_finding_public"),
            models.UniqueConstraint(
                fields=["broker", "server", "kind", "login", "ticket", "key"], name="rollover_finding_once"
            ),
        ]
        indexes = [
            models.Index(
                fields=["broker", "found_at"],
                condition=models.Q(state="open"),
                name="rollover_finding_open",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.login} {self.ticket or self.key}"
