"""What releasing a held account would do, before anybody does it. Only reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from accounts.models import PammAccount
from allocation.calc.price import Price
from allocation.calc.units import units_for_deposit
from allocation.models import Investment
from allocation.services import last_price
from money.exact import ZERO, exact_sum
from rollover.models import Decision
from rollover.services.decisions import Choice, differences_of


@dataclass(frozen=True, slots=True)
class FoundDeposit:
    """A difference that becomes a deposit: units at the price after the results, 12 places."""

    investment: Investment
    amount: Decimal
    units: Decimal


@dataclass(frozen=True, slots=True)
class ReleaseEffect:
    """The pool before and after, in the account's currency, at the last rollover's figures.

    What the market did since comes on top at the next rollover. `to_suspense` is what the broker's suspense
    account gets (negative: pays); `undecided` what would hold the account again.
    """

    equity_before: Decimal
    equity_after: Decimal
    price_before: Price
    price_after: Price
    to_suspense: Decimal
    deposits: tuple[FoundDeposit, ...]
    undecided: int

    @property
    def shared_result(self) -> Decimal:
        """What all investors gain or lose together."""
        return exact_sum((self.equity_after, -self.equity_before))


def release_effect(account: PammAccount, choices: Sequence[Choice]) -> ReleaseEffect:
    """What these choices about a held account's differences would do. Choices about anything else are
    ignored: the release refuses them.
    """
    chosen = {choice.ticket: choice for choice in choices}
    differences = differences_of(account)
    made = [(row, chosen[row.ticket]) for row in differences if row.ticket in chosen]
    results = exact_sum(row.amount for row, choice in made if choice.kind == Decision.Kind.RESULT)
    price_before = last_price(account)
    equity_after = exact_sum((account.last_equity, results))
    price_after = Price(max(equity_after, ZERO), account.units) if account.units else price_before
    return ReleaseEffect(
        equity_before=account.last_equity,
        equity_after=equity_after,
        price_before=price_before,
        price_after=price_after,
        to_suspense=exact_sum(row.amount for row, choice in made if choice.kind == Decision.Kind.UNDONE),
        deposits=tuple(
            FoundDeposit(
                choice.investment,
                row.amount,
                ZERO if price_after.is_zero else units_for_deposit(row.amount, price_after),
            )
            for row, choice in made
            if choice.kind == Decision.Kind.DEPOSIT and choice.investment is not None
        ),
        undecided=len(differences) - len(made),
    )
