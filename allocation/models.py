"""Who owns which part of a pool: the price series, investments and their units."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from brokers.fields import (
    AccumulatorField,
    AmountField,
    PublicIdField,
    TenantForeignKey,
    UnitsField,
    whole_minor_units,
)
from brokers.tenancy import BulkHistoryModel, HistoryModel, TenantModel


class PricePoint(HistoryModel):
    """A PAMM account at one rollover: the server's figures, what was under way, and the price they give.

    Price per unit = `price_equity / price_units`, an exact ratio; `price` is its copy rounded to 12 places.
    `equity` is the pool's own (`DOMAIN` 2: less credit, less what is owed, plus what is on its way in) and
    `units` those outstanding, both before the flows of this rollover.
    """

    account = TenantForeignKey("accounts.PammAccount", related_name="price_points")
    series = models.PositiveSmallIntegerField()
    sequence = models.PositiveIntegerField(help_text=_("Counts the rollovers of the account."))
    flow_sequence = models.PositiveIntegerField(help_text=_("Counts those at which money could move."))
    moves_money = models.BooleanField(default=True)
    priced_at = models.DateTimeField()
    server_balance = AmountField()
    server_equity = AmountField()
    server_credit = AmountField()
    server_margin = AmountField()
    owed = AmountField()
    incoming = AmountField()
    trading_result = AmountField(help_text=_("Result of the deals counted at this rollover."))
    equity = AmountField()
    units = UnitsField()
    price_equity = AmountField()
    price_units = UnitsField()
    price = UnitsField()
    closed_lots = models.DecimalField(
        max_digits=20, decimal_places=8, default=0, help_text=_("Lots closed since the last rollover.")
    )
    value_days = AccumulatorField(
        default=0, help_text=_("Sum of price times days of the series, up to this rollover.")
    )
    lots_per_unit = AccumulatorField(
        default=0, help_text=_("Sum of closed lots per unit of the series, up to this rollover.")
    )
    currency_digits = models.PositiveSmallIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["broker", "account", "sequence"], name="allocation_pricepoint_seq"
            ),
            models.CheckConstraint(condition=models.Q(price_units__gt=0), name="allocation_pricepoint_ratio"),
            whole_minor_units(
                "allocation_pricepoint_whole",
                "server_balance",
                "server_equity",
                "server_credit",
                "owed",
                "incoming",
                "trading_result",
                "equity",
            ),
        ]
        indexes = [models.Index(fields=["broker", "account", "priced_at"], name="allocation_pricepoint_at")]

    def __str__(self) -> str:
        return f"#{self.sequence} {self.price}"


class Interval(TenantModel):
    """The trading interval of all investments of an account with the same terms and the same start.

    Advanced in place at its end, so that its due date is indexed on few rows and never on investments.
    `opening` is the rollover at which the present interval began: the yield is measured from its price.
    `starts_at`: from when the subscription is spread over it.
    """

    account = TenantForeignKey("accounts.PammAccount", related_name="intervals")
    terms = TenantForeignKey("offers.Terms", related_name="intervals")
    anchor_at = models.DateTimeField()
    number = models.PositiveIntegerField(default=1)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(
        null=True, help_text=_("Empty where the interval is counted in rollovers.")
    )
    ends_after_sequence = models.PositiveIntegerField(
        null=True, help_text=_("Its last rollover's `flow_sequence`.")
    )
    opening = TenantForeignKey(PricePoint, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["broker", "account", "terms", "anchor_at"], name="allocation_interval_start"
            ),
            models.CheckConstraint(
                condition=models.Q(ends_at__isnull=False) | models.Q(ends_after_sequence__isnull=False),
                name="allocation_interval_end",
            ),
        ]
        indexes = [
            models.Index(fields=["broker", "account", "ends_at"], name="allocation_interval_due"),
            models.Index(
                fields=["broker", "account", "ends_after_sequence"], name="allocation_interval_counted"
            ),
        ]

    def __str__(self) -> str:
        end = f"#{self.ends_after_sequence}" if self.ends_at is None else f"{self.ends_at:%Y-%m-%d}"
        return f"{self.number}: {self.starts_at:%Y-%m-%d} – {end}"


class Investment(TenantModel):
    """One investor's stake in one PAMM account under one version of terms.

    The manager's own stake is one too (`is_own_capital`), free of fees and without terms or interval.
    Value, accrued fee and net are derived (`allocation.queries`), never stored.
    """

    class State(models.TextChoices):
        PENDING = "pending", _("Pending")
        ACTIVE = "active", _("Active")
        CLOSED = "closed", _("Closed")
        CANCELLED = "cancelled", _("Cancelled")

    class EndReason(models.TextChoices):
        OWNER = "owner", _("Closed by its owner")
        STOP = "stop", _("Its stop loss or take profit was reached")
        ACCOUNT = "account", _("The account was closed")
        WIPED_OUT = "wiped_out", _("The account was wiped out")
        NEVER_FUNDED = "never_funded", _("The first deposit was not made")

    public_id = PublicIdField()
    account = TenantForeignKey("accounts.PammAccount", related_name="investments")
    owner = TenantForeignKey("accounts.User", related_name="investments")
    personal_account = TenantForeignKey("accounts.PersonalAccount", related_name="investments")
    terms = TenantForeignKey("offers.Terms", related_name="investments", null=True, blank=True)
    accepted_terms = TenantForeignKey(
        "offers.Terms",
        related_name="accepted_by",
        null=True,
        blank=True,
        help_text=_("The newer version its owner has accepted: begins when the trading interval ends."),
    )
    terms_accepted_at = models.DateTimeField(null=True, blank=True)
    is_own_capital = models.BooleanField(default=False)
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    series = models.PositiveSmallIntegerField()
    created_at = models.DateTimeField(default=timezone.now)
    joined_at = models.DateTimeField(null=True, blank=True)
    joined = TenantForeignKey(PricePoint, related_name="+", null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=12, choices=EndReason, blank=True)

    units = UnitsField(default=0)
    interval = TenantForeignKey(Interval, related_name="investments", null=True, blank=True)
    lowest_units = UnitsField(
        default=0, help_text=_("Fewest held since the start of interval `lowest_units_number`.")
    )
    lowest_units_number = models.PositiveIntegerField(default=0)
    high_water_mark = UnitsField(
        default=0, help_text=_("In money: the value above which profit is unpaid for.")
    )
    performance_carried = AccumulatorField(
        default=0, help_text=_("Fraction of a minor unit kept for the next fee.")
    )
    value_days_put_aside = AccumulatorField(
        default=0, help_text=_("Money times days since the last management fee, before the checkpoint.")
    )
    value_days_checkpoint = AccumulatorField(default=0)
    lots_put_aside = AccumulatorField(
        default=0, help_text=_("Closed lots since the last volume fee, before the checkpoint.")
    )
    lots_checkpoint = AccumulatorField(default=0)
    subscription_checkpoint = AccumulatorField(
        default=0, help_text=_("Part of interval `subscription_number` that is paid for or was missed.")
    )
    subscription_number = models.PositiveIntegerField(default=0)
    carried = models.JSONField(
        default=dict, blank=True, help_text=_("Fractions kept for the next fee, by kind; performance apart.")
    )
    debts = models.JSONField(
        default=list, blank=True, help_text=_("Fees that could not be collected, oldest first.")
    )
    shared = models.JSONField(
        default=dict, blank=True, help_text=_("By kind: fees so far, and what each party has had of them.")
    )
    agents = models.JSONField(
        default=list,
        blank=True,
        help_text=_("Public ids of the agents that introduced the owner when it joined, nearest first."),
    )
    paid_in = AmountField(default=0)
    paid_out = AmountField(default=0)
    fees_paid = AmountField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["broker", "public_id"], name="allocation_investment_public"),
            models.CheckConstraint(condition=models.Q(units__gte=0), name="allocation_investment_units"),
            models.CheckConstraint(
                condition=models.Q(is_own_capital=True) | models.Q(terms__isnull=False),
                name="allocation_investment_terms",
            ),
            models.CheckConstraint(
                condition=models.Q(accepted_terms__isnull=True) | models.Q(state="active"),
                name="allocation_investment_accepted",
            ),
        ]
        indexes = [
            models.Index(fields=["broker", "owner", "state"], name="allocation_investment_owner"),
        ]

    def __str__(self) -> str:
        return str(self.public_id)


class UnitEntry(BulkHistoryModel):
    """Units issued or redeemed at one rollover, and the money they stand for."""

    class Kind(models.TextChoices):
        DEPOSIT = "deposit", _("Deposit")
        WITHDRAWAL = "withdrawal", _("Withdrawal")
        CLOSE = "close", _("Close")
        MANAGEMENT_FEE = "management_fee", _("Management fee")
        SUBSCRIPTION_FEE = "subscription_fee", _("Subscription fee")
        VOLUME_FEE = "volume_fee", _("Volume fee")
        PERFORMANCE_FEE = "performance_fee", _("Performance fee")
        EARLY_EXIT_FEE = "early_exit_fee", _("Early exit fee")
        WIPE_OUT = "wipe_out", _("Wiped out")

    public_id = PublicIdField()
    account = TenantForeignKey("accounts.PammAccount", related_name="+")
    investment = TenantForeignKey(Investment, related_name="unit_entries", db_index=False)
    price_point = TenantForeignKey(PricePoint, related_name="unit_entries")
    kind = models.CharField(max_length=16, choices=Kind)
    units = UnitsField(help_text=_("Signed: negative redeems."))
    amount = AmountField(help_text=_("Signed as the units: negative leaves the pool."))
    currency_digits = models.PositiveSmallIntegerField()
    source = models.UUIDField(
        null=True, blank=True, help_text=_("Public id of the request that caused it, if any.")
    )
    recorded_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = _("unit entries")
        constraints = [
            models.UniqueConstraint(fields=["broker", "public_id"], name="allocation_unitentry_public"),
            whole_minor_units("allocation_unitentry_whole", "amount"),
        ]
        indexes = [models.Index(fields=["broker", "investment", "id"], name="allocation_unitentry_inv")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.units}"
