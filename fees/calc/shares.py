"""Who receives a fee: the broker's share, the agents' by level, the manager the rest.

Shares are taken on the running sum of the fees of one investment and kind, so that many small fees starve
nobody: a party's part is its rate of all of them, rounded down to the minor unit, less what it has had. Where
the parts would exceed the fee (full shares, and a manager who had the minor units before), the later ones get
the rest with the next fee. The manager's part is the remainder, so the parts always sum to the fee.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from money.exact import ZERO, exact_difference, exact_sum
from money.rounding import floor_money

MOST_AGENT_LEVELS = 10


class SharesInvalid(ValueError):
    """Shares that cannot be agreed. `code`: rate_out_of_range, too_many_levels, more_than_everything."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Shares:
    """Fractions of each fee; `agent_rates` by level, the nearest agent first."""

    broker_rate: Decimal = ZERO
    agent_rates: tuple[Decimal, ...] = ()

    def validate(self) -> None:
        """Raises SharesInvalid."""
        if len(self.agent_rates) > MOST_AGENT_LEVELS:
            raise SharesInvalid("too_many_levels")
        rates = (self.broker_rate, *self.agent_rates)
        if not all(rate.is_finite() and 0 <= rate <= 1 for rate in rates):
            raise SharesInvalid("rate_out_of_range")
        if exact_sum(rates) > 1:
            raise SharesInvalid("more_than_everything")

    def among(self, agents: int) -> tuple[Decimal, ...]:
        """Rates of the parties there are: the broker, then as many levels as the investor has `agents`."""
        return (self.broker_rate, *self.agent_rates[:agents])


@dataclass(frozen=True, slots=True)
class Shared:
    """Fees of one investment and kind so far, and what each party has had of them: broker, agents by
    level.
    """

    charged: Decimal = ZERO
    had: tuple[Decimal, ...] = ()


@dataclass(frozen=True, slots=True)
class Parts:
    """`broker` + `agents` (by level) + `manager` is the fee."""

    broker: Decimal
    agents: tuple[Decimal, ...]
    manager: Decimal


def split(amount: Decimal, before: Shared, rates: Sequence[Decimal], digits: int) -> tuple[Parts, Shared]:
    """Parts of a fee and the running sums after it.

    `rates` as of `Shares.among`: the broker's, then one for each agent there is. Amounts in whole minor
    units.
    """
    charged = exact_sum((before.charged, amount))
    left = amount
    parts: list[Decimal] = []
    had: list[Decimal] = []
    for index, rate in enumerate(rates):
        had_before = before.had[index] if index < len(before.had) else ZERO
        due = exact_difference(floor_money(Fraction(rate) * Fraction(charged), digits), had_before)
        part = max(min(due, left), ZERO)
        left = exact_difference(left, part)
        parts.append(part)
        had.append(exact_sum((had_before, part)))
    return Parts(parts[0], tuple(parts[1:]), left), Shared(charged, tuple(had))
