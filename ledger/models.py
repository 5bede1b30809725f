"""The ledger: accounts, entries and postings. Append-only; every entry's postings sum to zero."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from brokers.fields import AmountField, PublicIdField, TenantForeignKey, whole_minor_units
from brokers.tenancy import HistoryModel


class LedgerAccount(HistoryModel):
    """One account of the books, in one currency, about one subject.

    Debits are positive. *Cash* accounts say where money stands on the trading server; *claim* accounts say
    whose it is and are negative when somebody is owed. `subject` is the public id of the account on the
    trading server or, of a payable, of whom it is owed to: a personal account, a manager, an agent or the
    broker.
    """

    class Kind(models.TextChoices):
        PERSONAL_CASH = "personal_cash", _("Personal account, cash moved by the platform")
        PAMM_CASH = "pamm_cash", _("PAMM account, balance")
        PAMM_FLOATING = "pamm_floating", _("PAMM account, floating result")
        HOUSE_CASH = "house_cash", _("Broker's own account, cash moved by the platform")
        IN_TRANSIT = "in_transit", _("In transit")
        CLIENT_CLAIM = "client_claim", _("Claim of a client on a personal account")
        POOL_CLAIM = "pool_claim", _("Claim of all investments of a PAMM account")
        PAYABLE = "payable", _("Payable: redeemed or charged, not yet paid")
        HOUSE_CLAIM = "house_claim", _("Claim of the broker")

    public_id = PublicIdField()
    kind = models.CharField(max_length=16, choices=Kind)
    subject = models.UUIDField()
    currency = models.CharField(max_length=12)
    currency_digits = models.PositiveSmallIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["broker", "kind", "subject", "currency"], name="ledger_ledgeraccount_subject"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.currency}"


class Entry(HistoryModel):
    """One balanced movement in the books, made once: `source` is the unique reason (a leg's key, a rollover's
    step).
    """

    public_id = PublicIdField()
    kind = models.CharField(max_length=40)
    source = models.CharField(max_length=80)
    note = models.CharField(max_length=200, blank=True)
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = _("entries")
        constraints = [models.UniqueConstraint(fields=["broker", "source"], name="ledger_entry_source")]

    def __str__(self) -> str:
        return self.kind


class Posting(HistoryModel):
    """One side of an entry. Positive debits, negative credits."""

    entry = TenantForeignKey(Entry, related_name="postings")
    account = TenantForeignKey(LedgerAccount, related_name="postings")
    amount = AmountField()
    currency_digits = models.PositiveSmallIntegerField()

    class Meta:
        constraints = [whole_minor_units("ledger_posting_whole", "amount")]

    def __str__(self) -> str:
        return f"{self.amount}"
