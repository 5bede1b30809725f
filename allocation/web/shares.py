"""How a person's money is spread over accounts: a ring drawn on the server, and its figures.

Only a picture: angles are floats, the shares beside it come exact.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from money.exact import ZERO, exact_sum

MOST_SLICES = 6
"""More than that nobody tells apart: the smallest stand together as one."""
GAP = 0.6


@dataclass(frozen=True, slots=True)
class Slice:
    """One account's part, or the rest (no name). `start` and `length` are percents of the ring; `letter`
    tells it from the others without colour.
    """

    name: str
    accounts: int
    amount: Decimal
    rate: Decimal
    start: str
    length: str
    letter: str
    number: int


def allocation(amounts: Sequence[tuple[str, Decimal]]) -> list[Slice]:
    """The largest first; investments in one account stand together. Empty for less than two parts or nothing
    above zero.
    """
    by_account: defaultdict[str, list[Decimal]] = defaultdict(list)
    for name, amount in amounts:
        if amount > ZERO:
            by_account[name].append(amount)
    parts = sorted(((exact_sum(held), name) for name, held in by_account.items()), reverse=True)
    whole = exact_sum(amount for amount, _name in parts)
    if len(parts) < 2:
        return []
    shown = [(name, 1, amount) for amount, name in parts[:MOST_SLICES]]
    rest = parts[MOST_SLICES:]
    if rest:
        shown.append(("", len(rest), exact_sum(amount for amount, _name in rest)))
    slices, start = [], 0.0
    for number, (name, accounts, amount) in enumerate(shown):
        rate = amount / whole
        length = float(rate) * 100
        slices.append(
            Slice(
                name=name,
                accounts=accounts,
                amount=amount,
                rate=rate,
                start=f"{-start:.2f}",
                length=f"{max(length - GAP, 0.3):.2f}",
                letter=chr(ord("A") + number),
                number=number + 1,
            )
        )
        start += length
    return slices
