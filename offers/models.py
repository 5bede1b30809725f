"""Offers: the conditions under which an investor joins a PAMM account, and their immutable versions."""

import secrets

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from brokers.fields import AmountField, PublicIdField, RateField, TenantForeignKey, whole_minor_units
from brokers.tenancy import HistoryModel, TenantModel


class Offer(TenantModel):
    """A named way into a PAMM account. What it costs stands in its terms, of which the last is current."""

    class Visibility(models.TextChoices):
        PUBLIC = "public", _("Public")
        LINK = "link", _("By link")
        PRIVATE = "private", _("Private")

    class Approval(models.TextChoices):
        AUTOMATIC = "automatic", _("Automatic")
        MANAGER = "manager", _("By the manager")
        BROKER = "broker", _("By the broker")

    class State(models.TextChoices):
        DRAFT = "draft", _("Draft")
        OPEN = "open", _("Open")
        PAUSED = "paused", _("Paused")
        CLOSED = "closed", _("Closed")

    public_id = PublicIdField()
    account = TenantForeignKey("accounts.PammAccount", related_name="offers")
    name = models.CharField(max_length=80)
    description = models.TextField(blank=True, max_length=2000)
    visibility = models.CharField(max_length=8, choices=Visibility, default=Visibility.PUBLIC)
    approval = models.CharField(max_length=10, choices=Approval, default=Approval.MANAGER)
    state = models.CharField(max_length=8, choices=State, default=State.DRAFT)
    capacity_amount = AmountField(
        null=True, blank=True, help_text=_("Most money all its investments may be worth.")
    )
    capacity_investors = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["broker", "public_id"], name="offers_offer_public")]

    def __str__(self) -> str:
        return self.name


class Terms(HistoryModel):
    """One version of an offer's terms. Never changes: an investment keeps the version it joined under until
    its owner accepts a newer one.

    `performance_schedule` is the JSON form of `fees.calc.schedule.Schedule` (amounts and rates as decimal
    strings).
    """

    class ProfitBasis(models.TextChoices):
        EQUITY = "equity", _("Equity")
        LOWER = "lower", _("The lower of equity and balance")

    class OnWithdrawal(models.TextChoices):
        PROPORTIONAL = "proportional", _("The withdrawn part")
        WHOLE = "whole", _("The whole investment")

    class IntervalUnit(models.TextChoices):
        ROLLOVERS = "rollovers", _("Rollovers")
        DAYS = "days", _("Days")
        WEEKS = "weeks", _("Weeks")
        MONTHS = "months", _("Months")

    class IntervalAnchor(models.TextChoices):
        CALENDAR = "calendar", _("The calendar")
        OWN = "own", _("The investment's own start")

    class EarlyExitUntil(models.TextChoices):
        LOCK_IN = "lock_in", _("The lock-in ends")
        INTERVAL = "interval", _("The trading interval ends")

    public_id = PublicIdField()
    offer = TenantForeignKey(Offer, related_name="terms")
    version = models.PositiveIntegerField()
    performance_schedule = models.JSONField()
    profit_basis = models.CharField(max_length=8, choices=ProfitBasis, default=ProfitBasis.EQUITY)
    on_withdrawal = models.CharField(max_length=14, choices=OnWithdrawal, default=OnWithdrawal.PROPORTIONAL)
    interval_unit = models.CharField(max_length=10, choices=IntervalUnit, default=IntervalUnit.MONTHS)
    interval_count = models.PositiveSmallIntegerField(default=1)
    interval_anchor = models.CharField(max_length=8, choices=IntervalAnchor, default=IntervalAnchor.CALENDAR)
    minimum_first = AmountField()
    minimum_further = AmountField()
    minimum_remaining = AmountField()
    amount_step = AmountField(null=True, blank=True)
    lock_in_days = models.PositiveSmallIntegerField(default=0)
    early_exit_rate = RateField(default=0)
    early_exit_until = models.CharField(
        max_length=8,
        choices=EarlyExitUntil,
        default=EarlyExitUntil.LOCK_IN,
        help_text=_("Until when the early exit fee is due."),
    )
    management_rate = RateField(default=0, help_text=_("Of the value, per year of 365 days."))
    entry_tiers = models.JSONField(
        default=list, blank=True, help_text=_("Rates of each deposit, tiered by its amount; empty: none.")
    )
    subscription_amount = AmountField(default=0, help_text=_("Per trading interval."))
    volume_amount_per_lot = AmountField(default=0, help_text=_("Per lot closed in the account."))
    broker_share_rate = RateField(default=0, help_text=_("The broker's share of every fee."))
    agent_share_rates = models.JSONField(
        default=list, blank=True, help_text=_("Agents' shares of every fee by level, nearest first.")
    )
    created_at = models.DateTimeField(default=timezone.now)
    created_by = TenantForeignKey("accounts.User", related_name="+", null=True, blank=True)

    class Meta:
        verbose_name_plural = _("terms")
        constraints = [
            models.UniqueConstraint(fields=["broker", "offer", "version"], name="offers_terms_version"),
            models.UniqueConstraint(fields=["broker", "public_id"], name="offers_terms_public"),
        ]

    def __str__(self) -> str:
        # Without the offer: its key would tell how much all brokers together do, its name costs a query.
        return f"v{self.version}"


class FeeCeiling(TenantModel):
    """The most an offer may charge of the fees that are amounts of money, in one currency; empty: no
    ceiling.
    """

    public_id = PublicIdField()
    currency = models.CharField(max_length=12)
    currency_digits = models.PositiveSmallIntegerField()
    subscription_amount = AmountField(null=True, blank=True, help_text=_("Per trading interval."))
    volume_amount_per_lot = AmountField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["broker", "currency"], name="offers_feeceiling_currency"),
            models.UniqueConstraint(fields=["broker", "public_id"], name="offers_feeceiling_public"),
            whole_minor_units("offers_feeceiling_whole", "subscription_amount", "volume_amount_per_lot"),
        ]

    def __str__(self) -> str:
        return self.currency


def _new_token() -> str:
    return secrets.token_urlsafe(18)


class JoinLink(TenantModel):
    """A link that opens an offer to whoever has it."""

    public_id = PublicIdField()
    offer = TenantForeignKey(Offer, related_name="join_links")
    token = models.CharField(max_length=40, default=_new_token)
    expires_at = models.DateTimeField(null=True, blank=True)
    single_use = models.BooleanField(default=False)
    used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["broker", "token"], name="offers_joinlink_token")]

    def __str__(self) -> str:
        return self.token[:6]
