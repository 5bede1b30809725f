"""What personal accounts could pay now, where their trading server says so."""

from collections.abc import Iterable
from decimal import Decimal

from accounts.models import PersonalAccount
from investing.services.money_at_server import free_money
from trading.gateway import GatewayError


def free_money_if_known(accounts: Iterable[PersonalAccount]) -> dict[int, Decimal]:
    """By primary key; empty while a server does not answer: a page shows no figure then, and the service asks
    again.
    """
    try:
        return free_money(accounts)
    except GatewayError:
        return {}
