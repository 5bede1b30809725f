"""Reads of trading servers and their groups."""

from trading.models import TradingGroup


def digits_of_currency(currency: str) -> int | None:
    """Decimals that accounts in this currency have at the broker in scope, the most where servers differ.

    None for a currency of none of its groups.
    """
    digits: int | None = (
        TradingGroup.objects.filter(currency=currency)
        .order_by("-currency_digits")
        .values_list("currency_digits", flat=True)
        .first()
    )
    return digits
