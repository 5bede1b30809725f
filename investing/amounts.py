"""Whether an amount may be asked for at all."""

from decimal import Decimal

from investing.errors import AmountNotInSteps, AmountNotPositive, AmountTooLarge, AmountTooPrecise
from money.rounding import is_whole_minor_units

LARGEST_AMOUNT = Decimal(1_000_000_000)
"""What trading servers accept in one balance operation."""


def require_amount(amount: Decimal, *, currency: str, digits: int, step: Decimal | None = None) -> None:
    """Positive, finite, whole minor units, not beyond what a trading server moves at once, a multiple of
    `step`.

    Raises `AmountNotPositive`, `AmountTooPrecise`, `AmountTooLarge`, `AmountNotInSteps`.
    """
    if not amount.is_finite() or amount <= 0:
        raise AmountNotPositive(field="amount")
    if amount > LARGEST_AMOUNT:
        raise AmountTooLarge(field="amount", largest=LARGEST_AMOUNT, currency=currency)
    if not is_whole_minor_units(amount, digits):
        raise AmountTooPrecise(field="amount", currency=currency, digits=digits)
    if step and amount % step:
        raise AmountNotInSteps(field="amount", step=step, currency=currency)
