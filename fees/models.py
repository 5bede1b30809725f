"""Fees that were charged."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from brokers.fields import (
    AccumulatorField,
    AmountField,
    PublicIdField,
    TenantForeignKey,
    UnitsField,
    whole_minor_units,
)
from brokers.tenancy import BulkHistoryModel
from fees.fields import ExplanationField


class Charge(BulkHistoryModel):
    """One fee of one investment at the price of one rollover, with everything it was computed from.

    Taken as units at that price; an entry fee is taken of the deposit before units are issued.
    `explanation` is the record of `fees.calc.explanation`: recomputing it gives `amount` and `uncollected`.
    `uncollected` becomes a debt; `collects_debt` says that this charge collects such debts. Marks and
    fractions are those of the kind's own fee before and after it.
    """

    class Kind(models.TextChoices):
        MANAGEMENT = "management", _("Management fee")
        SUBSCRIPTION = "subscription", _("Subscription fee")
        VOLUME = "volume", _("Volume fee")
        PERFORMANCE = "performance", _("Performance fee")
        ENTRY = "entry", _("Entry fee")
        EARLY_EXIT = "early_exit", _("Early exit fee")

    class Occasion(models.TextChoices):
        INTERVAL_END = "interval_end", _("End of the trading interval")
        WITHDRAWAL = "withdrawal", _("Withdrawal")
        CLOSE = "close", _("Close")
        DEPOSIT = "deposit", _("Deposit")

    public_id = PublicIdField()
    # Composite indexes below, and keys, begin with what has none of its own.
    account = TenantForeignKey("accounts.PammAccount", related_name="+", db_index=False)
    investment = TenantForeignKey("allocation.Investment", related_name="charges", db_index=False)
    price_point = TenantForeignKey("allocation.PricePoint", related_name="charges")
    kind = models.CharField(max_length=16, choices=Kind)
    occasion = models.CharField(max_length=16, choices=Occasion)
    collects_debt = models.BooleanField(default=False)
    amount = AmountField()
    uncollected = AmountField(default=0)
    currency = models.CharField(max_length=12)
    currency_digits = models.PositiveSmallIntegerField()
    profit = UnitsField(help_text=_("Above the mark, in money; marks have 12 places."))
    mark_before = UnitsField()
    mark_after = UnitsField()
    carried_before = AccumulatorField()
    carried_after = AccumulatorField()
    explanation = ExplanationField()
    charged_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["broker", "public_id"], name="fees_charge_public"),
            models.CheckConstraint(condition=models.Q(amount__gte=0), name="fees_charge_not_negative"),
            whole_minor_units("fees_charge_whole", "amount", "uncollected"),
        ]
        indexes = [
            models.Index(fields=["broker", "account", "charged_at"], name="fees_charge_account"),
            models.Index(fields=["broker", "investment", "id"], name="fees_charge_investment"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.amount:.{self.currency_digits}f} {self.currency}"


class ChargePart(BulkHistoryModel):
    """What one party receives of a charge. The parts of a charge sum to its amount.

    `payee` is the public id of the party (manager, broker, agent): the subject of its payable account.
    """

    class Party(models.TextChoices):
        BROKER = "broker", _("Broker")
        AGENT = "agent", _("Agent")
        MANAGER = "manager", _("Manager")

    charge = TenantForeignKey(Charge, related_name="parts", db_index=False)
    account = TenantForeignKey("accounts.PammAccount", related_name="+")
    price_point = TenantForeignKey("allocation.PricePoint", related_name="+", db_index=False)
    party = models.CharField(max_length=8, choices=Party)
    level = models.PositiveSmallIntegerField(default=0, help_text=_("Of an agent: 1 is the nearest."))
    payee = models.UUIDField()
    amount = AmountField()
    currency = models.CharField(max_length=12)
    currency_digits = models.PositiveSmallIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["broker", "charge", "party", "level"], name="fees_chargepart_party"
            ),
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="fees_chargepart_positive"),
            whole_minor_units("fees_chargepart_whole", "amount"),
        ]
        indexes = [
            models.Index(fields=["broker", "price_point"], name="fees_chargepart_point"),
            models.Index(fields=["broker", "payee", "id"], name="fees_chargepart_payee"),
        ]

    def __str__(self) -> str:
        return f"{self.get_party_display()} {self.amount:.{self.currency_digits}f} {self.currency}"
