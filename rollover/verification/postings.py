"""What the ledger must hold: one entry per rollover, one per balance operation, and the sums that follow."""

import uuid
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from accounts.models import PammAccount
from ledger.models import LedgerAccount
from money.exact import ZERO, exact_sum
from rollover.models import Decision
from rollover.verification.differences import Findings
from rollover.verification.records import DecisionRow, LedgerKey, LedgerLine, LegRow, Point, SourceLine
from rollover.verification.replay import Flows
from transfers.models import Side

Kind = LedgerAccount.Kind
Lines = dict[LedgerKey, Decimal]


class RolloverPostings:
    """The entries of one account's rollovers. `house` is the subject of the broker's rounding account."""

    def __init__(self, account: PammAccount, house: uuid.UUID | None, findings: Findings) -> None:
        self.account, self.house, self.findings = account, house, findings

    def compare(
        self, point: Point, floating_change: Decimal, flows: Flows, found: list[LedgerLine]
    ) -> Decimal:
        """Compare one rollover's entry. Returns what it swept out of an account without units.

        Whether there was anybody to sweep for stands in no history, so both are right where it could be.
        """
        lines, swept = lines_of(found), ZERO
        expected = self._expected(point, floating_change, flows, swept)
        if lines != expected and point.moves_money and not point.units and point.equity:
            with_sweep = self._expected(point, floating_change, flows, point.equity)
            if lines == with_sweep:
                expected, swept = with_sweep, point.equity
        entries = sorted({line.entry for line in found})
        if lines != expected:
            row = ", ".join(map(str, entries)) or f"price-point:{point.pk}"
            self.findings.add("Entry", row, "postings", named(expected), named(lines), point)
        return swept

    def _expected(self, point: Point, floating_change: Decimal, flows: Flows, swept: Decimal) -> Lines:
        account = self.account
        pool = (Kind.POOL_CLAIM.value, account.public_id, account.currency)
        lines: defaultdict[LedgerKey, Decimal] = defaultdict(Decimal)

        def move(kind: Kind, subject: uuid.UUID | None, amount: Decimal) -> None:
            """`amount` on that account against the pool's claim."""
            if amount and subject is not None:
                key = (kind.value, subject, account.currency)
                lines[key] = exact_sum((lines[key], amount))
                lines[pool] = exact_sum((lines[pool], -amount))

        move(Kind.PAMM_CASH, account.public_id, point.trading_result)
        move(Kind.PAMM_FLOATING, account.public_id, floating_change)
        for claim, owner, amount in flows.deposits:
            move(claim, owner, amount)
        for owner, amount in flows.payouts:
            move(Kind.PAYABLE, owner, -amount)
        for payee, amount in flows.fees.items():
            move(Kind.PAYABLE, payee, -amount)
        move(Kind.HOUSE_CLAIM, self.house, flows.rounding)
        move(Kind.HOUSE_CLAIM, self.house, -swept)
        return {key: amount for key, amount in lines.items() if amount}


def leg_postings(leg: LegRow, payee: uuid.UUID | None, server: uuid.UUID) -> Lines:
    """What an applied leg posts: cash against transit; a payment that arrived is payable to `payee` no
    longer.
    """
    lines = {
        (leg.side, leg.owner, leg.currency): leg.amount,
        (Kind.IN_TRANSIT.value, server, leg.currency): -leg.amount,
    }
    if leg.position == 2 and payee is not None:
        claim = Kind.HOUSE_CLAIM if leg.side == Side.HOUSE else Kind.CLIENT_CLAIM
        lines[Kind.PAYABLE.value, payee, leg.currency] = leg.amount
        lines[claim.value, leg.owner, leg.currency] = -leg.amount
    return lines


def decision_postings(
    decision: DecisionRow, pool: uuid.UUID, suspense: uuid.UUID | None, currency: str
) -> Lines:
    """What somebody else's operation posts: cash that the broker owes, or is owed. A result is the pool's and
    is posted with the rollover that counts it.
    """
    if decision.kind == Decision.Kind.RESULT or suspense is None:
        return {}
    return {
        (Kind.PAMM_CASH.value, pool, currency): decision.amount,
        (Kind.HOUSE_CLAIM.value, suspense, currency): -decision.amount,
    }


def lines_of(found: Iterable[LedgerLine | SourceLine]) -> Lines:
    """Sums by ledger account, those of 0 left out."""
    lines: defaultdict[LedgerKey, Decimal] = defaultdict(Decimal)
    for line in found:
        if line.kind is not None and line.subject is not None and line.currency is not None:
            key = (line.kind, line.subject, line.currency)
            lines[key] = exact_sum((lines[key], line.amount or ZERO))
    return {key: amount for key, amount in lines.items() if amount}


def named(lines: Lines) -> dict[str, Decimal]:
    """Readable: kind, subject and currency in one."""
    return {f"{kind} {subject} {currency}": amount for (kind, subject, currency), amount in lines.items()}
