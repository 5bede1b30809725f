"""The charges of one rollover, compared: columns, explanation and the parts of their recipients."""

import uuid
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from accounts.models import PammAccount
from fees.calc.crystallisation import FeeLine
from fees.calc.explanation import ExplanationInvalid, explanation, recomputed
from fees.calc.shares import Shared, split
from fees.models import Charge, ChargePart
from money.exact import ZERO, exact_sum
from rollover.verification.differences import Findings
from rollover.verification.records import ChargeRow, PartRow, Point
from rollover.verification.stakes import Stake

Party = ChargePart.Party
Part = tuple[str, int, uuid.UUID, Decimal]
"""Party, level, payee and amount."""
_MISSING = object()


class ExpectedCharges:
    """Every fee that must have been charged at `point` is expected once; what is left over was too many.

    `broker`: its public id, as a party. `by_payee`: what the expected fees owe to each party.
    """

    def __init__(
        self,
        account: PammAccount,
        broker: uuid.UUID,
        point: Point,
        charges: Iterable[ChargeRow],
        parts: Iterable[PartRow],
        findings: Findings,
    ) -> None:
        self.account, self.broker, self.point, self.findings = account, broker, point, findings
        self.by_payee: dict[uuid.UUID, Decimal] = {}
        self._charges: dict[tuple[int, str, str, bool], deque[ChargeRow]] = defaultdict(deque)
        self._parts: dict[int, list[PartRow]] = defaultdict(list)
        for charge in charges:
            key = (charge.investment_id, charge.kind, charge.occasion, charge.collects_debt)
            self._charges[key].append(charge)
        for part in parts:
            self._parts[part.charge_id].append(part)

    def expect(self, stake: Stake, line: FeeLine, occasion: Charge.Occasion) -> None:
        """Compare the next charge of this kind and occasion; the stake's running sums move on."""
        parts = self._split(stake, line) if line.amount else []
        for _, _, payee, amount in parts:
            self.by_payee[payee] = exact_sum((self.by_payee.get(payee, ZERO), amount))
        stake.fees_paid = exact_sum((stake.fees_paid, line.amount))
        found = self._charges[stake.row.pk, line.kind.value, occasion.value, line.collects_debt]
        if not found:
            what = f"{line.kind}, {occasion}"
            row = f"of investment {stake.row.public_id}"
            self.findings.add("Charge", row, what, line.amount, None, self.point)
            return
        charge = found.popleft()
        self._compare(charge, line)
        self._compare_parts(charge, parts, self._parts.pop(charge.pk, []))

    def report_left_over(self) -> None:
        for charges in self._charges.values():
            for charge in charges:
                what = f"{charge.kind}, {charge.occasion}"
                self.findings.add("Charge", charge.public_id, what, None, charge.amount, self.point)
                self._parts.pop(charge.pk, None)
        for parts in self._parts.values():
            for part in parts:
                row = f"{part.party} {part.level} of charge {part.charge_id}"
                self.findings.add(
                    "ChargePart", row, "a charge of this rollover", None, part.amount, self.point
                )

    def _split(self, stake: Stake, line: FeeLine) -> list[Part]:
        """Parts above 0, by the rates of its terms and the agents it joined with."""
        agents = [uuid.UUID(agent) for agent in stake.row.agents]
        rates = stake.fees.shares.among(len(agents))
        before = stake.shared.get(line.kind, Shared())
        parts, stake.shared[line.kind] = split(line.amount, before, rates, self.account.currency_digits)
        rows: list[Part] = [(Party.BROKER, 0, self.broker, parts.broker)]
        rows += [
            (Party.AGENT, level, agent, amount)
            for level, (agent, amount) in enumerate(zip(agents, parts.agents, strict=False), start=1)
        ]
        rows.append((Party.MANAGER, 0, self.account.manager.public_id, parts.manager))
        return [row for row in rows if row[-1]]

    def _compare(self, charge: ChargeRow, line: FeeLine) -> None:
        account = self.account
        self.findings.compare(
            "Charge",
            charge.public_id,
            (
                ("amount", line.amount, charge.amount),
                ("uncollected", line.uncollected, charge.uncollected),
                ("currency", account.currency, charge.currency),
                ("currency_digits", account.currency_digits, charge.currency_digits),
                ("profit", line.profit, charge.profit),
                ("mark_before", line.mark_before, charge.mark_before),
                ("mark_after", line.mark_after, charge.mark_after),
                ("carried_before", line.carried_before, charge.carried_before),
                ("carried_after", line.carried_after, charge.carried_after),
                ("charged_at", self.point.priced_at, charge.charged_at),
                *(
                    (f"explanation {place}", expected, found)
                    for place, expected, found in _differing(
                        explanation(line, account.currency_digits), charge.explanation
                    )
                ),
            ),
            self.point,
        )
        self._compare_with_own_explanation(charge)

    def _compare_with_own_explanation(self, charge: ChargeRow) -> None:
        """What the charge's own record says must lead to its amount, whatever anything else says."""
        try:
            record = recomputed(charge.explanation)
        except ExplanationInvalid as invalid:
            self.findings.add(
                "Charge", charge.public_id, "explanation recomputed", "a record", invalid, self.point
            )
            return
        figures: list[tuple[str, object, object]] = [
            ("amount by its explanation", Decimal(record["amount"]), charge.amount),
            ("uncollected by its explanation", Decimal(record["uncollected"]), charge.uncollected),
        ]
        figures += [
            (f"explanation recomputed: {place}", expected, found)
            for place, expected, found in _differing(record, charge.explanation)
        ]
        self.findings.compare("Charge", charge.public_id, figures, self.point)

    def _compare_parts(self, charge: ChargeRow, parts: list[Part], found: list[PartRow]) -> None:
        held = {(part.party, part.level): part for part in found}
        for party, level, payee, amount in parts:
            row = f"{party} {level} of charge {charge.public_id}"
            part = held.pop((party, level), None)
            if part is None:
                self.findings.add("ChargePart", row, "amount", amount, None, self.point)
                continue
            self.findings.compare(
                "ChargePart",
                row,
                (
                    ("payee", payee, part.payee),
                    ("amount", amount, part.amount),
                    ("currency", self.account.currency, part.currency),
                    ("currency_digits", self.account.currency_digits, part.currency_digits),
                ),
                self.point,
            )
        for (party, level), part in held.items():
            row = f"{party} {level} of charge {charge.public_id}"
            self.findings.add("ChargePart", row, "amount", None, part.amount, self.point)


def _differing(expected: Any, found: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The innermost figures in which two records differ, each with its place: `steps.2.result`."""
    if isinstance(expected, dict) and isinstance(found, dict):
        names: Iterable[Any] = dict.fromkeys((*expected, *found))
        pairs = [(name, expected.get(name, _MISSING), found.get(name, _MISSING)) for name in names]
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = [(at, *both) for at, both in enumerate(zip(expected, found, strict=True))]
    else:
        if expected != found:
            yield place, None if expected is _MISSING else expected, None if found is _MISSING else found
        return
    for name, one, other in pairs:
        yield from _differing(one, other, f"{place}.{name}" if place else str(name))
