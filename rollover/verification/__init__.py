"""Independent recomputation of the books from what can only be appended.

Prices, units, marks, charges, payments and postings of an account are computed again, rollover by rollover,
and compared with every row that says the same. The rules come from `allocation.calc` and `fees.calc`; the
state between them is kept here and shares nothing with the services that wrote the rows. Only reads.

The same replay answers what had accrued at any rollover of the past (`accrued`).
"""

from rollover.verification.accrued import AccruedFees, accrued_at, accrued_of_account_at
from rollover.verification.books import Verified, verify_account, verify_ledger
from rollover.verification.differences import Difference
from rollover.verification.sealed import verify_seals
from rollover.verification.server import verify_with_server
from rollover.verification.statement import Statement

__all__ = [
    "AccruedFees",
    "Difference",
    "Statement",
    "Verified",
    "accrued_at",
    "accrued_of_account_at",
    "verify_account",
    "verify_ledger",
    "verify_seals",
    "verify_with_server",
]
