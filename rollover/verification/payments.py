"""Requests and payments of one account: each amount that left or joined the pool was paid once, by two legs.

Requests, transfers and legs are the changing side of the books; what they must say follows from the replay,
and for what others did to the account from the decisions about it.
"""

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property

from accounts.models import HouseAccount, PammAccount
from allocation.models import UnitEntry
from investing.models import Request
from money.exact import ZERO, exact_sum
from rollover.models import CountedDeal, Decision
from rollover.verification.differences import Findings, shown
from rollover.verification.postings import Lines, decision_postings, leg_postings, lines_of, named
from rollover.verification.records import (
    DecisionRow,
    JudgedDeal,
    LegRow,
    Point,
    RequestRow,
    SourceLine,
    TransferRow,
    Until,
    accounts_of_payees,
    counted_transfers_of,
    decisions_of,
    house_account_of,
    judged_deals_of,
    legs_of,
    requests_of,
    source_lines_of,
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
    """What the rollovers of one account decided to pay, and the comparison with what was written down.

    With `until` as of that moment: what came later is left out, and states of today are not compared.
    """

    account: PammAccount
    house: uuid.UUID | None
    findings: Findings
    until: Until | None = None
    decided: dict[Reason, list[Payment]] = field(default_factory=lambda: defaultdict(list))
    uncounted: Decimal = ZERO
    """Applied legs on the pool's login, and operations undone, that no price point has counted yet."""
    in_transit: Decimal = ZERO
    payable: Decimal = ZERO
    """What was decided, and has not arrived: negative."""

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
        lines: defaultdict[str, list[SourceLine]] = defaultdict(list)
        for line in source_lines_of(self.account):
            lines[line.source].append(line)
        decisions = [row for row in decisions_of(self.account) if self._is_past(row.made_at)]
        transfers = self._transfers(decisions)
        ends = {
            **self._of_requests(transfers, executed),
            **self._of_rollovers(transfers),
            **self._of_decisions(transfers, decisions, lines),
        }
        for transfer in transfers:
            held = legs.pop(transfer.pk, [])
            self._compare_transfer(transfer, held, ends.get(transfer.pk))
            for leg in held:
                self._compare_leg(leg, transfer.payee, lines[leg.key])
            self._add_up(transfer, held)
        self._report_strangers(legs)
        self._compare_decided(decisions, judged_deals_of(self.account))

    def _transfers(self, decisions: Iterable[DecisionRow]) -> list[TransferRow]:
        """Those that had been decided by then. Payments are written down a moment after their price."""
        found = list(transfers_of(self.account))
        if self.until is None:
            return found
        corrections = {decision.transfer_id for decision in decisions}
        priced = self.until.next_priced_at

        def is_past(transfer: TransferRow) -> bool:
            if transfer.purpose == Purpose.CORRECTION:
                return transfer.pk in corrections
            if transfer.purpose == Purpose.DEPOSIT:
                return self._is_past(transfer.created_at)
            return priced is None or transfer.created_at < priced

        return [transfer for transfer in found if is_past(transfer)]

    def _is_past(self, moment: datetime) -> bool:
        return self.until is None or moment <= self.until.at

    def _has_applied(self, leg: LegRow) -> bool:
        if leg.state != Leg.State.APPLIED:
            return False
        return self.until is None or (leg.applied_at is not None and leg.applied_at <= self.until.at)

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
            held = of_subject.pop(request.public_id, [])
            self._compare_request(request, done, held)
            personal, pool = (Side.PERSONAL, request.personal), (Side.PAMM, self.account.public_id)
            paid_from = personal if request.paid_by is None else (Side.HOUSE, request.paid_by)
            for transfer in held:
                payee = None if transfer.purpose == Purpose.DEPOSIT else request.personal
                self.findings.compare("Transfer", transfer.public_id, [("payee", payee, transfer.payee)])
                if transfer.purpose != Purpose.DEPOSIT:
                    ends[transfer.pk] = (pool, [personal])
                elif done is None and self.until is not None:
                    # Where it went was decided later.
                    ends[transfer.pk] = (paid_from, [pool, paid_from])
                elif transfer.state == State.RETURNED or request.state != Request.State.EXECUTED:
                    ends[transfer.pk] = (paid_from, [paid_from])
                else:
                    ends[transfer.pk] = (paid_from, [pool])
        for source, done in unmatched.items():
            self.findings.add("UnitEntry", done.entry.public_id, "request", source, None, done.point)
        of_subject.pop(self.account.public_id, None)
        for transfer in (transfer for held in of_subject.values() for transfer in held):
            known = "the account or a request of it"
            self.findings.add("Transfer", transfer.public_id, "subject", known, transfer.subject)
        return ends

    def _compare_request(
        self, request: RequestRow, done: Executed | None, transfers: list[TransferRow]
    ) -> None:
        name, compare = request.public_id, self.findings.compare
        state = Request.State.EXECUTED
        if done is None:
            if self.until is not None:
                collected = bool(transfers)
            else:
                collected = request.collection_id is not None
                if request.state == state:
                    self.findings.add("Request", name, "unit entry", f"one of this {request.kind}", None)
            amounts = [request.amount] * collected
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
            if transfer.subject == self.account.public_id and transfer.purpose != Purpose.CORRECTION:
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

    def _of_decisions(
        self,
        transfers: Iterable[TransferRow],
        decisions: Iterable[DecisionRow],
        lines: Mapping[str, list[SourceLine]],
    ) -> dict[int, Ends]:
        """Compare what undoes somebody else's operations with the decisions about them; their ends."""
        corrections = {row.pk: row for row in transfers if row.purpose == Purpose.CORRECTION}
        suspense = house_account_of(self.account, HouseAccount.Purpose.SUSPENSE)
        pool, house = (Side.PAMM, self.account.public_id), (Side.HOUSE, suspense)
        ends: dict[int, Ends] = {}
        for decision in decisions:
            found = lines.get(f"decision:{decision.public_id}", [])
            self._compare_postings(
                f"decision {decision.public_id}",
                decision_postings(decision, self.account.public_id, suspense, self.account.currency),
                found,
            )
            if decision.kind == Decision.Kind.RESULT:
                continue
            made = corrections.pop(decision.transfer_id or 0, None)
            amount = None if made is None else made.amount
            self.findings.compare(
                "Decision",
                decision.public_id,
                (
                    ("amount of the transfer that undoes it", abs(decision.amount), amount),
                    (
                        "a deposit made of it",
                        decision.kind == Decision.Kind.DEPOSIT,
                        decision.request is not None,
                    ),
                ),
            )
            if made is not None:
                ends[made.pk] = (pool, [house]) if decision.amount > 0 else (house, [pool])
        for made in corrections.values():
            self.findings.add("Transfer", made.public_id, "decision", "one that it carries out", None)
        return ends

    def _compare_decided(self, decisions: Iterable[DecisionRow], judged: dict[int, JudgedDeal]) -> None:
        """What was counted and is neither trading nor ours was decided about, and counted as decided."""
        until = None if self.until is None else self.until.sequence
        found = {key: deal for key, deal in judged.items() if until is None or deal.sequence <= until}
        for decision in decisions:
            deal = found.pop(decision.counted_under, None)
            if deal is None:
                if decision.kind != Decision.Kind.RESULT:
                    self.uncounted = exact_sum((self.uncounted, decision.amount))
                continue
            is_result = decision.kind == Decision.Kind.RESULT
            part = CountedDeal.Part.RESULT if is_result else CountedDeal.Part.FOREIGN
            self.findings.compare(
                "CountedDeal",
                deal.ticket,
                (("amount", decision.amount, deal.amount), ("part", part, deal.part)),
            )
        for deal in found.values():
            self.findings.add("CountedDeal", deal.ticket, "decision whose it is", "one", None)

    def _compare_transfer(self, transfer: TransferRow, legs: list[LegRow], ends: Ends | None) -> None:
        compare = self.findings.compare
        allowed = ([1], [1, 2]) if transfer.purpose in HELD_IN_TRANSIT else ([1, 2],)
        positions = [leg.position for leg in legs]
        figures: list[tuple[str, object, object]] = [
            ("currency", self.account.currency, transfer.currency),
            ("positions of its legs", True, positions in allowed),
        ]
        if self.until is None:
            moved = [leg.position for leg in legs if leg.state == Leg.State.APPLIED]
            expected = APPLIED_LEGS[State(transfer.state)]
            figures.append((f"applied legs while {transfer.state}", expected, moved))
        compare("Transfer", transfer.public_id, figures)
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

    def _compare_leg(self, leg: LegRow, payee: uuid.UUID | None, found: list[SourceLine]) -> None:
        """Its postings, and that the deal of one on the pool's login was counted once."""
        applied = leg.state == Leg.State.APPLIED
        expected = leg_postings(leg, payee, self.account.server.public_id) if applied else {}
        self._compare_postings(f"leg {leg.key}", expected, found)
        if leg.owner != self.account.public_id:
            return
        deal = self._counted_transfers.pop(leg.ticket, None) if leg.ticket is not None else None
        if deal is not None or (leg.counted and self.until is None):
            self.findings.compare(
                "CountedDeal",
                f"{leg.ticket} of leg {leg.key}",
                (("amount", leg.amount, deal), ("counted", True, leg.counted)),
            )
        elif self._has_applied(leg):
            self.uncounted = exact_sum((self.uncounted, leg.amount))

    def _compare_postings(self, of: str, expected: Lines, found: list[SourceLine]) -> None:
        lines = lines_of(found)
        if lines != expected:
            entries = ", ".join(sorted({str(line.entry) for line in found}))
            row = f"{entries or 'none'} of {of}"
            self.findings.add("Entry", row, "postings", named(expected), named(lines))

    def _add_up(self, transfer: TransferRow, legs: Iterable[LegRow]) -> None:
        applied = {leg.position for leg in legs if self._has_applied(leg)}
        if applied == {1}:
            self.in_transit = exact_sum((self.in_transit, transfer.amount))
        if transfer.payee is not None and 2 not in applied:
            self.payable = exact_sum((self.payable, -transfer.amount))

    def _report_strangers(self, legs: Mapping[int, list[LegRow]]) -> None:
        """Legs without a transfer of this account, and counted deals without a leg."""
        for leg in (leg for held in legs.values() for leg in held):
            if self.until is None or self._has_applied(leg):
                self.findings.add("Leg", leg.key, "transfer of this account", "one", None)
        for ticket, amount in self._counted_transfers.items():
            self.findings.add("CountedDeal", ticket, "a leg with its ticket", amount, None)

    @cached_property
    def _counted_transfers(self) -> dict[int, Decimal]:
        until = None if self.until is None else self.until.sequence
        return counted_transfers_of(self.account, until=until)


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
