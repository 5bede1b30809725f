"""The tenant: a brokerage with its own host names, brand and rules."""

from typing import ClassVar

from django.core.validators import URLValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from brokers.fields import PublicIdField
from brokers.scope import current_broker_id
from brokers.tenancy import TenantModel


class OwnBrokerManager(models.Manager["Broker"]):
    """The broker in scope, and no other."""

    def get_queryset(self) -> models.QuerySet["Broker"]:
        return super().get_queryset().filter(pk=current_broker_id())


class Broker(models.Model):
    """One brokerage. Row-level security shows a session only its own broker."""

    public_id = PublicIdField(unique=True)
    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=80)
    is_platform = models.BooleanField(
        default=False, help_text=_("The operator's own tenant; trades nothing.")
    )
    is_active = models.BooleanField(default=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    language = models.CharField(max_length=12, default="en")
    primary_colour = models.CharField(max_length=7, default="#1f5fbf")
    email_sender = models.EmailField(blank=True)
    email_footer = models.TextField(
        blank=True,
        max_length=500,
        help_text=_("Below every e-mail: the company, its address, who regulates it."),
    )
    brand_images = models.JSONField(
        default=dict,
        blank=True,
        editable=False,
        help_text=_("Which pictures there are: version and size by kind. Their bytes are `BrandImage`."),
    )
    widget_hosts = models.JSONField(
        default=list,
        blank=True,
        help_text=_("Sites that may show the widgets in a frame, as https://www.example.com."),
    )
    created_at = models.DateTimeField(auto_now_add=True)

    # How clients come in.
    open_sign_up = models.BooleanField(
        default=True,
        help_text=_("Anybody may sign up. Otherwise only who holds a join link."),
    )
    opens_trading_accounts = models.BooleanField(
        default=False,
        help_text=_("Clients open their first trading account in a currency themselves."),
    )
    requires_second_factor = models.BooleanField(
        default=False,
        help_text=_("Of clients, too. Staff always need one."),
    )
    client_terms_url = models.CharField(
        max_length=300,
        blank=True,
        validators=[URLValidator(["https", "http"])],
        help_text=_("Where the broker's terms for clients are read. Whoever signs up has to accept them."),
    )

    # Rules the broker sets for all its PAMM accounts.
    freeze_minutes = models.PositiveSmallIntegerField(
        default=0,
        help_text=_("A request confirmed later than this before a rollover waits for the next one."),
    )
    quiet_minutes = models.PositiveSmallIntegerField(
        default=5,
        help_text=_("Around the server's day change nothing is priced, this many minutes either side."),
    )
    stale_tick_seconds = models.PositiveIntegerField(
        default=300, help_text=_("A position whose last tick is older than this has no live price.")
    )
    floating_tolerance = models.DecimalField(max_digits=9, decimal_places=6, default="0.001")
    sweep_limit = models.DecimalField(
        max_digits=12,
        decimal_places=2,
        default="1.00",
        help_text=_(
            "Money left in an account without units, up to this amount, goes to the rounding account."
        ),
    )

    foreign_limit = models.DecimalField(
        max_digits=12,
        decimal_places=2,
        default="10.00",
        help_text=_(
            "Operations by others on a PAMM account, up to this sum per account and day, are undone against "
            "suspense; more holds the account."
        ),
    )

    # The most an offer may charge, and who gets a share of it. Ceilings in money are `offers.FeeCeiling`.
    performance_fee_ceiling = models.DecimalField(max_digits=6, decimal_places=4, default="0.5000")
    management_fee_ceiling = models.DecimalField(
        max_digits=6, decimal_places=4, default="0.0500", help_text=_("Of the value, per year.")
    )
    entry_fee_ceiling = models.DecimalField(max_digits=6, decimal_places=4, default="0.1000")
    early_exit_fee_ceiling = models.DecimalField(max_digits=6, decimal_places=4, default="0.2000")
    fee_share_rate = models.DecimalField(
        max_digits=12,
        decimal_places=9,
        default=0,
        help_text=_("The broker's share of every fee, as new terms take it over."),
    )
    agent_share_rates = models.JSONField(
        default=list,
        blank=True,
        help_text=_("Agents' shares of every fee by level, nearest first, as decimal strings."),
    )

    objects: ClassVar[OwnBrokerManager] = OwnBrokerManager()

    class Meta:
        base_manager_name = "objects"

    def __str__(self) -> str:
        return self.name


class BrandImage(TenantModel):
    """A picture of the brand, written anew from what was uploaded (`brokers.images`); at most one of a kind.

    In the database and not among files: it is kilobytes, belongs to one broker, and comes back with a backup.
    """

    class Kind(models.TextChoices):
        LOGO = "logo", _("Logo")
        LOGO_DARK = "logo-dark", _("Logo on dark")
        ICON = "icon", _("Icon")

    kind = models.CharField(max_length=12, choices=Kind.choices)
    content = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["broker", "kind"], name="brokers_brandimage_one_of_a_kind"),
        ]

    def __str__(self) -> str:
        return self.kind


class HostName(models.Model):
    """Which broker answers on a host (`alpha.example.com`, or with port.

    `127.0.0.1:8001`). Global: read before any scope.
    """

    host = models.CharField(max_length=253, unique=True)
    broker_id = models.BigIntegerField(db_index=True)
    is_primary = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["broker_id"], condition=models.Q(is_primary=True), name="brokers_hostname_one_primary"
            )
        ]

    def __str__(self) -> str:
        return self.host
