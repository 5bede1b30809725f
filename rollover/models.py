"""The rollover: its schedule, one row per account and hour, and the deals it counted."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from brokers.fields import AmountField, PublicIdField, TenantForeignKey, TenantOneToOneField
from brokers.tenancy import HistoryModel, TenantModel


class Schedule(TenantModel):
    """When a broker's accounts roll over. One row per broker; `next_at` is claimed by conditional update."""

    every_minutes = models.PositiveIntegerField(default=60)
    next_at = models.DateTimeField(db_index=True)
    is_active = models.BooleanField(default=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["broker"], name="rollover_schedule_one")]

    def __str__(self) -> str:
        return f"every {self.every_minutes} min"


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
    """A deal of the trading server that a rollover has counted, once, by its ticket."""

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
