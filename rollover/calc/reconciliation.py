"""Whether a trading server's figures add up: the balance exactly, the floating result within a tolerance.

Deals count by ticket, each once. The account's state is read between two readings of its deals, so the
balance must be that of the last snapshot, plus our transfers since, plus all deals of the first reading, plus
some leading part (by ticket) of those that only the second one has. To the minor unit: no tolerance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from money.exact import exact_difference, exact_sum

FLOATING_TOLERANCE_RATE = Decimal("0.001")


@dataclass(frozen=True, slots=True)
class BalanceDeal:
    """One deal and all that it did to the balance: profit, swap, commission and fee together.

    `foreign`: a balance, charge, correction or bonus operation without our key; otherwise it is a result of
    trading. Our own transfers are not given as deals.
    """

    ticket: int
    amount: Decimal
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class BalanceMatched:
    """The balance adds up.

    `counted`: the tickets it holds, rising; `leading`: how many of them only the second reading had.

    `result` of trading and `foreign` operations are the sums of the counted deals.
    """

    leading: int
    counted: tuple[int, ...]
    result: Decimal
    foreign: Decimal


@dataclass(frozen=True, slots=True)
class BalanceNotMatched:
    """`difference`: the server's balance less what the deals of the first reading explain.

    `changed`: tickets that the two readings show differently, or that the second no longer has.
    """

    difference: Decimal
    changed: tuple[int, ...]


def check_balance(
    *,
    previous_balance: Decimal,
    transfers: Decimal,
    deals_before: Sequence[BalanceDeal],
    deals_after: Sequence[BalanceDeal],
    state_balance: Decimal,
) -> BalanceMatched | BalanceNotMatched:
    """Compare the balance with what explains it.

    `previous_balance` is the last snapshot's, `transfers` the sum of our own since then, signed as the
    account sees them. Both lists hold what has not been counted yet, as read before and after the state; the
    second normally repeats the first. Of several leading parts that fit, the shortest.
    """
    before = {deal.ticket: deal for deal in deals_before}
    after = {deal.ticket: deal for deal in deals_after}
    changed = tuple(sorted(ticket for ticket, deal in before.items() if after.get(ticket) != deal))
    counted = [before[ticket] for ticket in sorted(before)]
    explained = exact_sum((previous_balance, transfers, *(deal.amount for deal in counted)))
    difference = exact_difference(state_balance, explained)
    if changed:
        return BalanceNotMatched(difference, changed)

    missing = difference
    later = [after[ticket] for ticket in sorted(after.keys() - before.keys())]
    for leading, following in enumerate([*later, None]):
        if missing == 0:
            return _matched(leading, counted)
        if following is not None:
            counted.append(following)
            missing = exact_difference(missing, following.amount)
    return BalanceNotMatched(difference, ())


def _matched(leading: int, counted: Sequence[BalanceDeal]) -> BalanceMatched:
    return BalanceMatched(
        leading=leading,
        counted=tuple(sorted(deal.ticket for deal in counted)),
        result=exact_sum(deal.amount for deal in counted if not deal.foreign),
        foreign=exact_sum(deal.amount for deal in counted if deal.foreign),
    )


@dataclass(frozen=True, slots=True)
class FloatingCheck:
    """The server's `floating` result, used as given, and by how much the open positions say otherwise."""

    floating: Decimal
    difference: Decimal
    within_tolerance: bool


def check_floating(
    *,
    equity: Decimal,
    balance: Decimal,
    credit: Decimal,
    positions_result: Decimal,
    tolerance_rate: Decimal = FLOATING_TOLERANCE_RATE,
) -> FloatingCheck:
    """Compare equity − balance − credit with the result of the open positions (profit and swap).

    Tolerated is `tolerance_rate` of the equity's absolute amount: prices move between the two readings.
    """
    floating = exact_sum((equity, -balance, -credit))
    difference = exact_difference(floating, positions_result)
    tolerated = Fraction(tolerance_rate) * abs(Fraction(equity))
    return FloatingCheck(floating, difference, abs(Fraction(difference)) <= tolerated)
