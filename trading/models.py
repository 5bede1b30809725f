"""Trading servers, the account groups the platform may open accounts in, and orders it places itself."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from brokers.encryption import EncryptedTextField
from brokers.fields import PublicIdField, TenantForeignKey, TenantOneToOneField
from brokers.identifiers import crockford, new_public_id
from brokers.tenancy import TenantModel

ORDER_KEY_PREFIX = "PO"


def new_order_key() -> str:
    """28 letters and digits, told from those of balance operations by their prefix."""
    return f"{ORDER_KEY_PREFIX}{crockford(new_public_id())}"


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


class ServerCondition(TenantModel):
    """How a trading server has answered lately: a circuit breaker that all workers share.

    After several failures in a row nobody asks the server until `retry_at`; then one worker tries it, and the
    others follow once it has answered.
    """

    server = TenantOneToOneField(TradingServer, related_name="condition")
    failures = models.PositiveIntegerField(default=0, help_text=_("In a row, since the last answer."))
    failing_since = models.DateTimeField(null=True, blank=True)
    retry_at = models.DateTimeField(null=True, blank=True, help_text=_("Until then nobody asks it."))
    last_answer_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return f"{self.server}: {self.failures}"


class Order(TenantModel):
    """A market order that the platform places itself: a row before it is a call, looked up by its key.

    Closes (part of) one open position. What was filled may be less than asked for.
    """

    class State(models.TextChoices):
        PLANNED = "planned", _("Planned")
        SENDING = "sending", _("Sent, answer outstanding")
        UNKNOWN = "unknown", _("Answer lost, being looked up")
        FILLED = "filled", _("Filled")
        REFUSED = "refused", _("Refused")

    class Purpose(models.TextChoices):
        WITHDRAWALS = "withdrawals", _("Closing in proportion to withdrawals")
        CLOSING = "closing", _("Closing the account")

    public_id = PublicIdField()
    server = TenantForeignKey(TradingServer, related_name="+")
    login = models.BigIntegerField()
    purpose = models.CharField(max_length=12, choices=Purpose)
    subject = models.UUIDField(db_index=True, help_text=_("Public id of the rollover it serves."))
    position = models.BigIntegerField(help_text=_("Ticket of the position that it closes or reduces."))
    symbol = models.CharField(max_length=32)
    side = models.CharField(max_length=4, choices=[("buy", _("Buy")), ("sell", _("Sell"))])
    volume = models.DecimalField(max_digits=20, decimal_places=8, help_text=_("Lots."))
    key = models.CharField(max_length=31, default=new_order_key, editable=False)
    state = models.CharField(max_length=10, choices=State, default=State.PLANNED)
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    first_sent_at = models.DateTimeField(null=True, blank=True)
    retry_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    filled_volume = models.DecimalField(max_digits=20, decimal_places=8, default=0)
    price = models.DecimalField(max_digits=24, decimal_places=10, null=True, blank=True)
    deal = models.BigIntegerField(null=True, blank=True)
    refusal_code = models.IntegerField(null=True, blank=True)
    refusal_text = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["broker", "public_id"], name="trading_order_public"),
            models.UniqueConstraint(fields=["broker", "key"], name="trading_order_key"),
            models.UniqueConstraint(fields=["broker", "subject", "position"], name="trading_order_once"),
            models.CheckConstraint(condition=models.Q(volume__gt=0), name="trading_order_volume"),
        ]
        indexes = [
            models.Index(
                fields=["broker", "server", "login"],
                condition=models.Q(state__in=["planned", "sending", "unknown"]),
                name="trading_order_open",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_side_display()} {self.volume.normalize():f} {self.symbol}"
