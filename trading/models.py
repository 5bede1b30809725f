"""Trading servers and the account groups the platform may open accounts in."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from brokers.encryption import EncryptedTextField
from brokers.fields import PublicIdField, TenantForeignKey
from brokers.tenancy import TenantModel


class TradingServer(TenantModel):
    """One trading server of a broker, reached by its Web API with a manager login used by nothing else."""

    class Kind(models.TextChoices):
        MT5 = "mt5", "MetaTrader 5"

    public_id = PublicIdField()
    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.MT5)
    host = models.CharField(max_length=253)
    port = models.PositiveIntegerField(default=443)
    manager_login = models.BigIntegerField()
    manager_password = EncryptedTextField()
    ca_certificate = models.TextField(
        blank=True, help_text=_("PEM of the server's own certificate or its authority; empty: the system's.")
    )
    time_zone = models.CharField(
        max_length=64,
        default="Europe/Athens",
        help_text=_("The zone of the server's clock, which its times are in."),
    )
    is_active = models.BooleanField(default=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["broker", "name"], name="trading_tradingserver_name"),
            models.UniqueConstraint(fields=["broker", "public_id"], name="trading_tradingserver_public"),
        ]

    def __str__(self) -> str:
        return self.name


class TradingGroup(TenantModel):
    """A group of accounts on a trading server: fixes currency and number of decimals of every account in
    it.
    """

    class Purpose(models.TextChoices):
        PERSONAL = "personal", _("Personal accounts")
        PAMM = "pamm", _("PAMM accounts")
        HOUSE = "house", _("The broker's own accounts")

    server = TenantForeignKey(TradingServer, related_name="groups")
    name = models.CharField(max_length=128)
    purpose = models.CharField(max_length=8, choices=Purpose)
    currency = models.CharField(max_length=12)
    currency_digits = models.PositiveSmallIntegerField(default=2)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["broker", "server", "name"], name="trading_tradinggroup_name"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.currency})"
