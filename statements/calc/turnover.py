"""What a period did to an investment, and to what somebody is owed.

An investment: closing = opening + deposits - withdrawals + result - fees. The values at both ends, the flows
and the fees are read; the result is what is left, so the equation holds in every minor unit. It contains the
rounding of values and of units, less than a minor unit for each flow.

Somebody who receives parts of fees: owed at the end = owed before + earned - paid.

Amounts are in one currency; nothing here rounds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from money.exact import ZERO, exact_difference, exact_sum


@dataclass(frozen=True, slots=True)
class Turnover:
    """`deposits` as they left their owner's account, entry fees included; `withdrawals` as they were paid,
    net of fees. Both are positive, and so are `fees`, by kind.
    """

    opening: Decimal = ZERO
    deposits: Decimal = ZERO
    withdrawals: Decimal = ZERO
    fees: Mapping[str, Decimal] = field(default_factory=dict)
    closing: Decimal = ZERO

    @property
    def fee(self) -> Decimal:
        """All fees together."""
        return exact_sum(self.fees.values())

    @property
    def result(self) -> Decimal:
        """Of trading, before fees."""
        return exact_sum((self.closing, -self.opening, -self.deposits, self.withdrawals, self.fee))

    @property
    def profit(self) -> Decimal:
        """The result after fees."""
        return exact_difference(self.result, self.fee)


def turnover_in_all(turnovers: Iterable[Turnover]) -> Turnover:
    """Their sums."""
    rows = list(turnovers)
    fees: dict[str, Decimal] = {}
    for row in rows:
        for kind, amount in row.fees.items():
            fees[kind] = exact_sum((fees.get(kind, ZERO), amount))
    return Turnover(
        opening=exact_sum(row.opening for row in rows),
        deposits=exact_sum(row.deposits for row in rows),
        withdrawals=exact_sum(row.withdrawals for row in rows),
        fees=fees,
        closing=exact_sum(row.closing for row in rows),
    )


@dataclass(frozen=True, slots=True)
class Receipts:
    """What somebody earned and was paid; `owed_before` was earned earlier and had not arrived."""

    owed_before: Decimal = ZERO
    earned: Decimal = ZERO
    paid: Decimal = ZERO

    @property
    def owed_after(self) -> Decimal:
        return exact_sum((self.owed_before, self.earned, -self.paid))


@dataclass(frozen=True, slots=True)
class Split:
    """Who receives how much of fees: the broker, all agents, the manager."""

    broker: Decimal = ZERO
    agents: Decimal = ZERO
    manager: Decimal = ZERO

    @property
    def charged(self) -> Decimal:
        """What was charged: the parts of a fee sum to it."""
        return exact_sum((self.broker, self.agents, self.manager))


def split_in_all(splits: Iterable[Split]) -> Split:
    """Their sums."""
    rows = list(splits)
    return Split(
        broker=exact_sum(row.broker for row in rows),
        agents=exact_sum(row.agents for row in rows),
        manager=exact_sum(row.manager for row in rows),
    )
