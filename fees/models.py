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
from brokers.tenancy import HistoryModel


class Charge(HistoryModel):
    """One fee of one investment, taken as units at the price of its rollover, with everything it was computed
    from.

    `basis` holds the inputs and steps as decimal strings; recomputing it gives `amount`.
    """

    class Kind(models.TextChoices):
        PERFORMANCE = "performance", _("Performance fee")
        EARLY_EXIT = "early_exit", _("Early exit fee")

    class Occasion(models.TextChoices):
        INTERVAL_END = "interval_end", _("End of the trading interval")
        WITHDRAWAL = "withdrawal", _("Withdrawal")
        CLOSE = "close", _("Close")

    public_id = PublicIdField()
    account = TenantForeignKey("accounts.PammAccount", related_name="+")
    investment = TenantForeignKey("allocation.Investment", related_name="charges")
    price_point = TenantForeignKey("allocation.PricePoint", related_name="charges")
    kind = models.CharField(max_length=16, choices=Kind)
    occasion = models.CharField(max_length=16, choices=Occasion)
    amount = AmountField()
    currency = models.CharField(max_length=12)
    currency_digits = models.PositiveSmallIntegerField()
    profit = UnitsField(help_text=_("Above the mark, in money; marks have 12 places."))
    mark_before = UnitsField()
    mark_after = UnitsField()
    carried_before = AccumulatorField()
    carried_after = AccumulatorField()
    basis = models.JSONField()
    receiver = TenantForeignKey("accounts.PersonalAccount", related_name="+")
    charged_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["broker", "public_id"], name="fees_charge_public"),
            models.CheckConstraint(condition=models.Q(amount__gte=0), name="fees_charge_not_negative"),
            whole_minor_units("fees_charge_whole", "amount"),
        ]
        indexes = [
            models.Index(fields=["broker", "account", "charged_at"], name="fees_charge_account"),
            models.Index(fields=["broker", "investment", "id"], name="fees_charge_investment"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.amount:.{self.currency_digits}f} {self.currency}"
