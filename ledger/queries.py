"""Reads of the books."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Q, Sum

from ledger.models import LedgerAccount, Posting
from money.exact import ZERO, exact_sum


@dataclass(frozen=True, slots=True)
class LedgerTurnover:
    """What a stretch of time did to one ledger account: `debits` positive, `credits` negative."""

    currency_digits: int
    opening: Decimal
    debits: Decimal
    credits: Decimal

    @property
    def closing(self) -> Decimal:
        return exact_sum((self.opening, self.debits, self.credits))


def balances(kind: LedgerAccount.Kind, subjects: Iterable[uuid.UUID]) -> dict[tuple[uuid.UUID, str], Decimal]:
    """Balance of each (subject, currency) in accounts of one kind; absent where nothing was ever posted."""
    rows = (
        Posting.objects.filter(account__kind=kind, account__subject__in=list(subjects))
        .values("account__subject", "account__currency")
        .annotate(balance=Sum("amount"))
    )
    return {(row["account__subject"], row["account__currency"]): row["balance"] for row in rows}


def balance(kind: LedgerAccount.Kind, subject: uuid.UUID, currency: str) -> Decimal:
    return balances(kind, [subject]).get((subject, currency), Decimal(0))


def turnovers(
    kind: LedgerAccount.Kind, subjects: Iterable[uuid.UUID], since: datetime, until: datetime
) -> dict[tuple[uuid.UUID, str], LedgerTurnover]:
    """Turnover of each (subject, currency) from `since` to just before `until`; absent where nothing was
    posted before `until`. One statement.
    """
    within = Q(entry__occurred_at__gte=since)
    rows = (
        Posting.objects.filter(
            account__kind=kind, account__subject__in=list(subjects), entry__occurred_at__lt=until
        )
        .values("account__subject", "account__currency", "account__currency_digits")
        .annotate(
            opening=Sum("amount", filter=~within),
            debits=Sum("amount", filter=within & Q(amount__gt=0)),
            credits=Sum("amount", filter=within & Q(amount__lt=0)),
        )
    )
    return {
        (row["account__subject"], row["account__currency"]): LedgerTurnover(
            row["account__currency_digits"],
            row["opening"] or ZERO,
            row["debits"] or ZERO,
            row["credits"] or ZERO,
        )
        for row in rows
    }
