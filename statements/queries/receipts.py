"""What somebody was owed, earned and was paid in a period, from the books."""

import uuid
from dataclasses import dataclass

from ledger.models import LedgerAccount
from ledger.queries import turnovers
from statements.calc.period import Period
from statements.calc.turnover import Receipts


@dataclass(frozen=True, slots=True)
class CurrencyReceipts:
    """In one currency."""

    currency: str
    currency_digits: int
    receipts: Receipts


def receipts_of(payee: uuid.UUID, period: Period) -> list[CurrencyReceipts]:
    """By currency, those without a movement and without a balance left out. One statement.

    The ledger owes a payee what it credits to his payable account; a payment that has arrived debits it.
    """
    of_ledger = turnovers(LedgerAccount.Kind.PAYABLE, [payee], period.starts_at, period.ends_at)
    return [
        CurrencyReceipts(currency, row.currency_digits, Receipts(-row.opening, -row.credits, row.debits))
        for (_, currency), row in sorted(of_ledger.items(), key=lambda item: item[0][1])
        if row.opening or row.debits or row.credits
    ]
