"""The only code that records money.

Sum zero per currency is checked here before writing and by a statement-level trigger in the database.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from brokers.bulk import insert_values
from ledger.errors import EntryDoesNotBalance, EntryOutsideTransaction
from ledger.models import Entry, LedgerAccount, Posting


@dataclass(frozen=True, slots=True)
class AccountKey:
    """What identifies a ledger account before it has a row."""

    kind: LedgerAccount.Kind
    subject: uuid.UUID
    currency: str
    currency_digits: int


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry to be recorded. `lines` are (account, signed amount in its currency), positive debits."""

    kind: str
    source: str
    occurred_at: datetime
    lines: Sequence[tuple[AccountKey, Decimal]]
    note: str = ""


def record_entries(drafts: Iterable[Draft]) -> list[Entry]:
    """Write entries and postings with a constant number of statements; zero lines are left out, empty entries
    skipped.

    Raises `EntryDoesNotBalance`; `EntryOutsideTransaction`; `IntegrityError` where a `source` was recorded
    before.
    """
    if not transaction.get_connection().in_atomic_block:
        raise EntryOutsideTransaction
    kept = [(draft, lines) for draft in drafts if (lines := _lines(draft))]
    accounts = ledger_accounts({key for _, lines in kept for key, _ in lines})
    entries: list[Entry] = Entry.objects.bulk_create(
        Entry(kind=draft.kind, source=draft.source, occurred_at=draft.occurred_at, note=draft.note)
        for draft, _ in kept
    )
    insert_values(
        Posting,
        ("entry_id", "account_id", "amount", "currency_digits"),
        [
            (entry.pk, accounts[key].pk, amount, key.currency_digits)
            for entry, (_, lines) in zip(entries, kept, strict=True)
            for key, amount in lines
        ],
    )
    return entries


def ledger_accounts(keys: Iterable[AccountKey]) -> dict[AccountKey, LedgerAccount]:
    """The rows behind `keys`, opened where missing. Two statements at most."""
    wanted = set(keys)
    if not wanted:
        return {}
    found = _existing(wanted)
    missing = sorted(wanted - found.keys(), key=lambda key: (key.kind, str(key.subject), key.currency))
    if missing:
        LedgerAccount.objects.bulk_create(
            (
                LedgerAccount(
                    kind=key.kind,
                    subject=key.subject,
                    currency=key.currency,
                    currency_digits=key.currency_digits,
                )
                for key in missing
            ),
            ignore_conflicts=True,
        )
        found = _existing(wanted)
    return found


def _existing(keys: set[AccountKey]) -> dict[AccountKey, LedgerAccount]:
    rows = LedgerAccount.objects.filter(subject__in={key.subject for key in keys})
    by_identity = {(row.kind, row.subject, row.currency): row for row in rows}
    return {
        key: row
        for key in keys
        if (row := by_identity.get((key.kind.value, key.subject, key.currency))) is not None
    }


def _lines(draft: Draft) -> list[tuple[AccountKey, Decimal]]:
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for key, amount in draft.lines:
        sums[key.currency] += amount
    if any(sums.values()):
        raise EntryDoesNotBalance(f"{draft.kind} {draft.source}: {dict(sums)}")
    return [(key, amount) for key, amount in draft.lines if amount]
