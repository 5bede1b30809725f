"""What personal accounts could pay now, asked of their trading servers."""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from accounts.models import PersonalAccount
from investing.errors import TradingServerUnavailable
from money.exact import ZERO
from trading.gateway import GatewayError
from trading.gateways import gateway_for


def free_money_of(account: PersonalAccount) -> Decimal:
    """The smaller of its balance and `equity - credit - margin`, never below 0. Raises
    `TradingServerUnavailable`.
    """
    try:
        return free_money([account])[account.pk]
    except (GatewayError, KeyError):
        raise TradingServerUnavailable from None


def free_money(accounts: Iterable[PersonalAccount]) -> dict[int, Decimal]:
    """The same for many, by primary key, with one call per trading server. Raises `GatewayError`.

    Accounts that their server does not know have nothing; missing are those whose state cannot be used.
    """
    by_server: dict[int, list[PersonalAccount]] = defaultdict(list)
    for account in accounts:
        by_server[account.server_id].append(account)
    free: dict[int, Decimal] = {}
    for held in by_server.values():
        gateway = gateway_for(held[0].server)
        states = gateway.account_states({account.login for account in held})
        stateless = {account.login for account in held} - states.keys()
        unknown = gateway.unknown_logins(stateless) if stateless else set()
        for account in held:
            if account.login in states:
                free[account.pk] = states[account.login].withdrawable
            elif account.login in unknown:
                free[account.pk] = ZERO
    return free
