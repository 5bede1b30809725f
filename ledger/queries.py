"""Reads of the books."""

import uuid
from collections.abc import Iterable
from decimal import Decimal

from django.db.models import Sum

from ledger.models import LedgerAccount, Posting


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
