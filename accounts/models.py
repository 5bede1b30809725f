"""People and accounts.

Users and roles, personal accounts, managers, PAMM accounts, the broker's own accounts.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from brokers.fields import (
    AccumulatorField,
    AmountField,
    PublicIdField,
    TenantForeignKey,
    TenantOneToOneField,
    whole_minor_units,
)
from brokers.tenancy import TenantManager, TenantModel


class Role(models.TextChoices):
    INVESTOR = "investor", _("Investor")
    MANAGER = "manager", _("Manager")
    AGENT = "agent", _("Agent")
    ADMIN = "admin", _("Broker administrator")
    DEALER = "dealer", _("Dealer")
    AUDITOR = "auditor", _("Auditor")
    OPERATOR = "operator", _("Platform operator")


STAFF_ROLES = frozenset({Role.ADMIN, Role.DEALER, Role.AUDITOR, Role.OPERATOR})
DECIDING_ROLES = frozenset({Role.ADMIN, Role.DEALER})
"""Who may approve, order and release; auditors look on."""

LEAST_DISCLOSURE_DELAY, MOST_DISCLOSURE_DELAY = timedelta(hours=1), timedelta(days=365)
USUAL_DISCLOSURE_DELAY = timedelta(days=7)


class UserManager(TenantManager["User"]):
    """Users of the broker in scope."""

    def get_by_natural_key(self, email: str) -> "User":
        return self.get(email=fold_email(email))

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=fold_email(email), **fields)
        user.set_password(password)
        user.save()
        return user


def fold_email(email: str) -> str:
    """E-mail addresses are stored folded: under row-level security only plain equality uses an index."""
    return email.strip().lower()


class User(AbstractBaseUser, TenantModel):
    """A person at one broker. The same address at two brokers is two people."""

    public_id = PublicIdField()
    email = models.EmailField(_("e-mail"))
    first_name = models.CharField(_("first name"), max_length=80, blank=True)
    last_name = models.CharField(_("last name"), max_length=80, blank=True)
    is_active = models.BooleanField(default=True)
    language = models.CharField(max_length=12, blank=True)
    time_zone = models.CharField(max_length=64, blank=True)
    date_joined = models.DateTimeField(default=timezone.now)
    invitation = models.CharField(
        max_length=40,
        blank=True,
        help_text=_("Token of the join link this person signed up by, until it has led to an investment."),
    )

    session_generation = models.PositiveIntegerField(
        default=0, help_text=_("One more signs this person out everywhere.")
    )

    #: Read along with the person, for as long as this object lives; None where they have not been read.
    known_roles: "frozenset[Role] | None" = None
    held_factors: list[int] | None = None

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["broker", "email"], name="accounts_user_email"),
            models.UniqueConstraint(fields=["broker", "public_id"], name="accounts_user_public"),
        ]

    def __str__(self) -> str:
        return self.full_name or self.email

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.email = fold_email(self.email)
        super().save(*args, **kwargs)

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """What every session of this person has to know: changes with the password, and with each sign-out
        everywhere.
        """
        known = f"{self.password}:{self.session_generation}"
        return salted_hmac("accounts.User.session", known, secret=secret, algorithm="sha256").hexdigest()

    @property
    def full_name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()

    @property
    def is_staff(self) -> bool:
        """Whether Django's admin opens its door: a role of the broker's staff, read from the memberships."""
        from accounts.queries import is_staff_member

        return is_staff_member(self)

    #: Nobody stands above the roles.
    is_superuser = False

    def has_perm(self, permission: str, obj: object = None) -> bool:
        from accounts.permissions import is_permitted
        from accounts.queries import user_roles

        return self.is_active and is_permitted(user_roles(self), permission)

    def has_perms(self, permissions: Iterable[str], obj: object = None) -> bool:
        return all(self.has_perm(permission, obj) for permission in permissions)

    def has_module_perms(self, app_label: str) -> bool:
        return self.has_perm(f"{app_label}.view_anything")


class Membership(TenantModel):
    """A role somebody has."""

    user = TenantForeignKey(User, related_name="memberships")
    role = models.CharField(_("role"), max_length=10, choices=Role)
    granted_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["broker", "user", "role"], name="accounts_membership_role"),
        ]

    def __str__(self) -> str:
        return self.get_role_display()


class TradingAccount(TenantModel):
    """What every account on a trading server has in common."""

    public_id = PublicIdField()
    server = TenantForeignKey("trading.TradingServer", related_name="+")
    login = models.BigIntegerField()
    currency = models.CharField(max_length=12)
    currency_digits = models.PositiveSmallIntegerField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        abstract = True


class PersonalAccount(TradingAccount):
    """A client's own account.

    Where deposits come from and payouts go to. Its login and password open the cabinet.
    """

    user = TenantForeignKey(User, related_name="personal_accounts")
    introduced_by = TenantForeignKey(
        "accounts.Agent", related_name="introduced_accounts", null=True, blank=True
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["broker", "server", "login"], name="accounts_personalaccount_login"
            ),
            models.UniqueConstraint(fields=["broker", "public_id"], name="accounts_personalaccount_public"),
        ]

    def __str__(self) -> str:
        return f"{self.login} ({self.currency})"


class Agent(TenantModel):
    """An introducing broker. `parent` introduced this agent and stands one level above in every chain."""

    public_id = PublicIdField()
    user = TenantOneToOneField(User, related_name="agent_profile")
    parent = TenantForeignKey("self", related_name="children", null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["broker", "public_id"], name="accounts_agent_public"),
            models.CheckConstraint(
                condition=~models.Q(parent=models.F("id")), name="accounts_agent_not_own_parent"
            ),
        ]

    def __str__(self) -> str:
        return str(self.user)


class HouseAccount(TradingAccount):
    """One of the broker's own accounts on a trading server, one per purpose and currency."""

    class Purpose(models.TextChoices):
        ROUNDING = "rounding", _("Rounding")
        SUSPENSE = "suspense", _("Suspense")
        INCOME = "income", _("Fee income")

    purpose = models.CharField(max_length=10, choices=Purpose)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["broker", "server", "purpose", "currency"], name="accounts_houseaccount_purpose"
            ),
            models.UniqueConstraint(fields=["broker", "server", "login"], name="accounts_houseaccount_login"),
        ]

    def __str__(self) -> str:
        return f"{self.get_purpose_display()} ({self.currency})"


class Manager(TenantModel):
    """A client who trades other people's money, as the public sees him."""

    public_id = PublicIdField()
    user = TenantOneToOneField(User, related_name="manager_profile")
    display_name = models.CharField(max_length=80)
    biography = models.TextField(blank=True, max_length=4000)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["broker", "public_id"], name="accounts_manager_public")
        ]

    def __str__(self) -> str:
        return self.display_name


class PammAccount(TradingAccount):
    """A trading-server account that pools the manager's and the investors' money.

    `series` counts the pool's lives: a wiped-out pool starts again as another series. The figures of the last
    rollover stand here so that no page reads the price series for them; `allocation` alone writes them.
    """

    class State(models.TextChoices):
        DRAFT = "draft", _("Draft")
        ACTIVE = "active", _("Active")
        SUSPENDED = "suspended", _("Suspended")
        CLOSING = "closing", _("Closing")
        CLOSED = "closed", _("Closed")

    class Disclosure(models.TextChoices):
        HIDDEN = "hidden", _("Hidden")
        DELAYED = "delayed", _("Delayed")
        OPEN = "open", _("Open")

    class MarginPolicy(models.TextChoices):
        WAIT = "wait", _("Wait until the margin allows it")
        CLOSE_IN_PROPORTION = "close_in_proportion", _("Close positions in proportion")

    login = models.BigIntegerField(  # type: ignore[assignment]
        null=True, blank=True, help_text=_("Empty until the trading server has opened it.")
    )
    opening_key = models.CharField(max_length=64, help_text=_("Idempotency key of the order to open it."))
    manager = TenantForeignKey(Manager, related_name="pamm_accounts")
    income_account = TenantForeignKey(
        PersonalAccount,
        related_name="+",
        help_text=_("Where the manager's fees are paid and own capital comes from."),
    )
    name = models.CharField(max_length=80)
    description = models.TextField(blank=True, max_length=4000)
    state = models.CharField(max_length=10, choices=State, default=State.DRAFT)
    disclosure = models.CharField(max_length=8, choices=Disclosure, default=Disclosure.HIDDEN)
    disclosure_delay = models.DurationField(
        default=USUAL_DISCLOSURE_DELAY,
        help_text=_("How long after it was closed a trade stays unseen where they are shown delayed."),
    )
    minimum_own_capital = AmountField(default=0)
    leverage = models.PositiveSmallIntegerField(default=100)
    margin_policy = models.CharField(
        max_length=20,
        choices=MarginPolicy,
        default=MarginPolicy.WAIT,
        help_text=_("What happens where open positions bind the money of due withdrawals."),
    )

    series = models.PositiveSmallIntegerField(default=1)
    sequence = models.PositiveIntegerField(default=0, help_text=_("Rollovers so far."))
    flow_sequence = models.PositiveIntegerField(
        default=0, help_text=_("Those of them at which money could move.")
    )
    units = models.DecimalField(max_digits=36, decimal_places=12, default=0)
    last_priced_at = models.DateTimeField(null=True, blank=True)
    last_equity = AmountField(
        default=0, help_text=_("The pool's equity after the flows of the last rollover.")
    )
    last_price_equity = AmountField(
        default=1, help_text=_("Price per unit = last_price_equity / last_price_units.")
    )
    last_price_units = models.DecimalField(max_digits=36, decimal_places=12, default=1)
    last_balance = AmountField(default=0, help_text=_("The server's balance at the last snapshot."))
    last_floating = AmountField(default=0)
    last_value_days = AccumulatorField(
        default=0, help_text=_("Price times days since the series began, up to the last rollover.")
    )
    last_lots_per_unit = AccumulatorField(
        default=0, help_text=_("Lots closed per unit since the series began, up to the last rollover.")
    )
    rounding_carried = models.DecimalField(max_digits=52, decimal_places=24, default=0)
    is_held = models.BooleanField(default=False)
    hold_reason = models.CharField(max_length=40, blank=True)
    hold_details = models.JSONField(default=dict, blank=True, help_text=_("What differs, deal by deal."))
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["broker", "server", "login"], name="accounts_pammaccount_login"),
            models.UniqueConstraint(fields=["broker", "public_id"], name="accounts_pammaccount_public"),
            models.UniqueConstraint(
                fields=["broker", "manager", "opening_key"], name="accounts_pammaccount_once"
            ),
            models.CheckConstraint(condition=models.Q(units__gte=0), name="accounts_pammaccount_units"),
            whole_minor_units("accounts_pammaccount_whole", "minimum_own_capital"),
            models.CheckConstraint(
                condition=models.Q(
                    disclosure_delay__gte=LEAST_DISCLOSURE_DELAY, disclosure_delay__lte=MOST_DISCLOSURE_DELAY
                ),
                name="accounts_pammaccount_delay",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def shows_positions(self) -> bool:
        """Whether whoever sees the account may see what is open in it."""
        return self.disclosure == self.Disclosure.OPEN


class OpenPositions(TenantModel):
    """What was open in an account when its last rollover was done, so that no page asks the trading server.

    Only of accounts that show their positions: hiding them deletes the row. A passing picture that no money
    follows from, so neither history nor part of the chain. `positions`: texts of symbol, side, lots,
    opened_at, price_open, price and result (profit and swap); `equity` is the pool's at that moment.
    """

    account = TenantOneToOneField(PammAccount, related_name="open_positions")
    seen_at = models.DateTimeField()
    equity = AmountField()
    currency_digits = models.PositiveSmallIntegerField()
    positions = models.JSONField(default=list)

    class Meta:
        constraints = [
            whole_minor_units("accounts_openpositions_whole", "equity"),
        ]

    def __str__(self) -> str:
        return f"{self.seen_at:%Y-%m-%d %H:%M}"
