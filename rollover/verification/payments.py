"""Requests and payments of one account: each amount that left or joined the pool was paid once, by two legs.

Requests, transfers and legs are the changing side of the books; what they must say follows from the replay.
"""

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from accounts.models import PammAccount
from allocation.models import UnitEntry
from investing.models import Request
from money.exact import ZERO, exact_sum
from rollover.verification.differences import Findings, shown
from rollover.verification.postings import leg_postings, lines_of, named
from rollover.verification.records import (
    LegLine,
    LegRow,
    Point,
    RequestRow,
    TransferRow,
    accounts_of_payees,
    counted_transfers_of,
    leg_lines_of,
    legs_of,
    requests_of,
    transfers_of,
)
from rollover.verification.replay import Executed, Flows
from transfers.models import Leg, Side, Transfer

Purpose, State = Transfer.Purpose, Transfer.State
End = tuple[str, uuid.UUID | None]
"""Side and owner of a leg."""
Ends = tuple[End, Collection[End]]
"""Where a transfer comes from, and where it may arrive."""
Reason = tuple[str, uuid.UUID | None]
"""Purpose and, of fees, the payee."""

PURPOSES = {
    UnitEntry.Kind.DEPOSIT: Purpose.DEPOSIT,
    UnitEntry.Kind.WITHDRAWAL: Purpose.WITHDRAWAL,
    UnitEntry.Kind.CLOSE: Purpose.CLOSE,
}
ENTRY_KINDS = {
    Request.Kind.DEPOSIT: {UnitEntry.Kind.DEPOSIT},
    Request.Kind.WITHDRAWAL: {UnitEntry.Kind.WITHDRAWAL, UnitEntry.Kind.CLOSE},
    Request.Kind.CLOSE: {UnitEntry.Kind.CLOSE},
}
APPLIED_LEGS: dict[Transfer.State, list[int]] = {
    State.PLANNED: [],
    State.REFUSED: [],
    State.IN_TRANSIT: [1],
    State.COMPLETED: [1, 2],
    State.RETURNED: [1, 2],
}


HELD_IN_TRANSIT = (Purpose.DEPOSIT, Purpose.FEE)
"""Transfers that get their second leg when they are released."""


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment that a rollover decided, not of a request: rounding, sweep, and fees of one payee.

    `destination` is empty for fees: any account of the payee's.
    """

    point: Point
    amount: Decimal
    source: End
    destination: End | None = None


@dataclass
class Payments:
    """What the rollovers of one account decided to pay, and the comparison with what was written down."""

    account: PammAccount
    house: uuid.UUID | None
    findings: Findings
    decided: dict[Reason, list[Payment]] = field(default_factory=lambda: defaultdict(list))
    uncounted: Decimal = ZERO
    """Sum of the applied legs on the pool's login that no price point has counted yet."""

    def decide(self, point: Point, flows: Flows, swept: Decimal) -> None:
        pool: End = (Side.PAMM, self.account.public_id)
        house: End = (Side.HOUSE, self.house)
        for payee, amount in flows.fees.items():
            self.decided[Purpose.FEE, payee].append(Payment(point, amount, pool))
        for purpose, amount in ((Purpose.ROUNDING, flows.rounding), (Purpose.SWEEP, -swept)):
            if amount:
                source, destination = (house, pool) if amount > 0 else (pool, house)
                payment = Payment(point, abs(amount), source, destination)
                self.decided[purpose, None].append(payment)

    def compare(self, executed: dict[uuid.UUID, Executed]) -> None:
        legs: defaultdict[int, list[LegRow]] = defaultdict(list)
        for leg in legs_of(self.account):
            legs[leg.transfer_id].append(leg)
        lines: defaultdict[str, list[LegLine]] = defaultdict(list)
        for line in leg_lines_of(self.account):
            lines[line.key].append(line)
        transfers = list(transfers_of(self.account))
        payees = {transfer.pk: transfer.payee for transfer in transfers}
        ends = {**self._of_requests(transfers, executed), **self._of_rollovers(transfers)}
        for transfer in transfers:
            self._compare_transfer(transfer, legs[transfer.pk], ends.get(transfer.pk))
        for leg in (leg for held in legs.values() for leg in held):
            self._compare_ledger(leg, payees[leg.transfer_id], lines[leg.key])
        self._compare_counted(leg for held in legs.values() for leg in held)

    def _of_requests(
        self, transfers: Iterable[TransferRow], executed: dict[uuid.UUID, Executed]
    ) -> dict[int, Ends]:
        """Compare requests; the ends that the transfers of each must have, by transfer."""
        of_subject: defaultdict[uuid.UUID, list[TransferRow]] = defaultdict(list)
        for transfer in transfers:
            of_subject[transfer.subject].append(transfer)
        ends: dict[int, Ends] = {}
        unmatched = dict(executed)
        for request in requests_of(self.account):
            done = unmatched.pop(request.public_id, None)
            held = of_subject[request.public_id]
            self._compare_request(request, done, held)
            personal, pool = (Side.PERSONAL, request.personal), (Side.PAMM, self.account.public_id)
            for transfer in held:
                payee = None if transfer.purpose == Purpose.DEPOSIT else request.personal
                self.findings.compare("Transfer", transfer.public_id, [("payee", payee, transfer.payee)])
                if transfer.state == State.RETURNED or (
                    transfer.purpose == Purpose.DEPOSIT and request.state != Request.State.EXECUTED
                ):
                    ends[transfer.pk] = (personal, [personal])
                elif transfer.purpose == Purpose.DEPOSIT:
                    ends[transfer.pk] = (personal, [pool])
                else:
                    ends[transfer.pk] = (pool, [personal])
        for source, done in unmatched.items():
            self.findings.add("UnitEntry", done.entry.public_id, "request", source, None, done.point)
        return ends

    def _compare_request(
        self, request: RequestRow, done: Executed | None, transfers: list[TransferRow]
    ) -> None:
        name, compare = request.public_id, self.findings.compare
        state = Request.State.EXECUTED
        if done is None:
            if request.state == state:
                self.findings.add("Request", name, "unit entry", f"one of this {request.kind}", None)
            amounts = [request.amount] * (request.collection_id is not None)
            purposes: list[str] = [Purpose.DEPOSIT] * len(amounts)
            point = None
        else:
            point = done.point
            amounts, purposes = ([done.amount], [PURPOSES[UnitEntry.Kind(done.entry.kind)]])
            if not done.amount:
                amounts, purposes = [], []
            kinds = ENTRY_KINDS[Request.Kind(request.kind)]
            compare(
                "Request",
                name,
                (
                    ("state", state, request.state),
                    ("unit_entry", done.entry.pk, request.unit_entry_id),
                    ("executed_amount", done.amount, request.executed_amount),
                    ("executed_fee", done.fee, request.executed_fee),
                    ("kind of its unit entry", True, done.entry.kind in kinds),
                ),
                point,
            )
            if request.kind == done.entry.kind and request.amount is not None:
                compare("Request", name, [("amount", done.amount, request.amount)], point)
        compare(
            "Transfer",
            f"of request {name}",
            (
                ("amounts", _texts(amounts), _texts(transfer.amount for transfer in transfers)),
                ("purposes", _texts(purposes), _texts(transfer.purpose for transfer in transfers)),
            ),
            point,
        )

    def _of_rollovers(self, transfers: Iterable[TransferRow]) -> dict[int, Ends]:
        """Compare fees, rounding exchanges and sweeps with what was decided, in order; their ends."""
        found: defaultdict[Reason, list[TransferRow]] = defaultdict(list)
        for transfer in transfers:
            if transfer.subject == self.account.public_id:
                found[transfer.purpose, transfer.payee].append(transfer)
        reasons = sorted(found.keys() | self.decided.keys(), key=str)
        own: defaultdict[uuid.UUID | None, list[End]] = defaultdict(list)
        payees = {payee for _, payee in reasons if payee is not None}
        for receiver, side, owner in accounts_of_payees(self.account, payees):
            own[receiver].append((side, owner))
        ends: dict[int, Ends] = {}
        for purpose, payee in reasons:
            for payment, made in _paired(self.decided[purpose, payee], found[purpose, payee]):
                if made is None:
                    if payment is not None:
                        row = purpose if payee is None else f"{purpose} of {payee}"
                        self.findings.add("Transfer", row, "amount", payment.amount, None, payment.point)
                elif payment is None:
                    self.findings.add("Transfer", made.public_id, purpose, None, made.amount)
                else:
                    figures = [("amount", payment.amount, made.amount)]
                    self.findings.compare("Transfer", made.public_id, figures, payment.point)
                    arrives = own[payee] if payment.destination is None else [payment.destination]
                    ends[made.pk] = (payment.source, arrives)
        return ends

    def _compare_transfer(self, transfer: TransferRow, legs: list[LegRow], ends: Ends | None) -> None:
        compare, applied = self.findings.compare, Leg.State.APPLIED
        allowed = ([1], [1, 2]) if transfer.purpose in HELD_IN_TRANSIT else ([1, 2],)
        positions = [leg.position for leg in legs]
        moved = [leg.position for leg in legs if leg.state == applied]
        compare(
            "Transfer",
            transfer.public_id,
            (
                ("currency", self.account.currency, transfer.currency),
                ("positions of its legs", True, positions in allowed),
                (f"applied legs while {transfer.state}", APPLIED_LEGS[State(transfer.state)], moved),
            ),
        )
        for leg in legs:
            signed = transfer.amount if leg.position == 2 else -transfer.amount
            compare(
                "Leg",
                leg.key,
                (("amount", signed, leg.amount), ("currency", transfer.currency, leg.currency)),
            )
            if ends is not None:
                self._compare_end(leg, [ends[0]] if leg.position == 1 else ends[1])
            if leg.side == Side.PAMM:
                compare("Leg", leg.key, [("login", self.account.login, leg.login)])

    def _compare_end(self, leg: LegRow, allowed: Collection[End]) -> None:
        """Whose account the leg concerns; a receiver may have several."""
        end = (leg.side, leg.owner)
        if end in allowed:
            return
        names = " or ".join(f"{side} {owner}" for side, owner in allowed) or "no account"
        self.findings.compare("Leg", leg.key, [("owner", names, f"{leg.side} {leg.owner}")])

    def _compare_ledger(self, leg: LegRow, payee: uuid.UUID | None, found: list[LegLine]) -> None:
        applied = leg.state == Leg.State.APPLIED
        expected = leg_postings(leg, payee, self.account.server.public_id) if applied else {}
        lines = lines_of(found)
        if lines != expected:
            entries = ", ".join(sorted({str(line.entry) for line in found}))
            row = f"{entries or 'none'} of leg {leg.key}"
            self.findings.add("Entry", row, "postings", named(expected), named(lines))

    def _compare_counted(self, legs: Iterable[LegRow]) -> None:
        deals = counted_transfers_of(self.account)
        for leg in legs:
            if leg.owner != self.account.public_id:
                continue
            deal = deals.pop(leg.ticket, None) if leg.ticket is not None else None
            if leg.counted or deal is not None:
                self.findings.compare(
                    "CountedDeal",
                    f"{leg.ticket} of leg {leg.key}",
                    (("amount", leg.amount, deal), ("counted", True, leg.counted)),
                )
            elif leg.state == Leg.State.APPLIED:
                self.uncounted = exact_sum((self.uncounted, leg.amount))
        for ticket, amount in deals.items():
            self.findings.add("CountedDeal", ticket, "a leg with its ticket", amount, None)


def _paired(
    decided: list[Payment], found: list[TransferRow]
) -> Iterator[tuple[Payment | None, TransferRow | None]]:
    """Both in their order, by amount: one that is missing or too many does not shift all the others."""
    at = there = 0
    while at < len(decided) and there < len(found):
        amount, other = decided[at].amount, found[there].amount
        if amount != other and there + 1 < len(found) and found[there + 1].amount == amount:
            yield None, found[there]
            there += 1
        elif amount != other and at + 1 < len(decided) and decided[at + 1].amount == other:
            yield decided[at], None
            at += 1
        else:
            yield decided[at], found[there]
            at, there = at + 1, there + 1
    yield from ((payment, None) for payment in decided[at:])
    yield from ((None, transfer) for transfer in found[there:])


def _texts(figures: Iterable[object]) -> str:
    return ", ".join(shown(figure) for figure in figures) or "none"
