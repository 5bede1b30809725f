"""Many PAMM accounts that have money to move at their next rollover, and what their books say afterwards."""

from decimal import Decimal

from accounts.models import PammAccount
from allocation.models import PricePoint
from rollover.verification import verify_account, verify_ledger, verify_with_server
from tests.circle.world import Desk

OWN_CAPITAL = Decimal("100.00")


def opened_accounts(desk: Desk, count: int) -> list[PammAccount]:
    """Accounts of as many managers, each with a confirmed deposit of its own capital."""
    return [
        desk.pamm_account(desk.client(f"manager{number}", str(OWN_CAPITAL)), str(OWN_CAPITAL))
        for number in range(count)
    ]


def differences(accounts: list[PammAccount]) -> list[str]:
    """What `verify_books` would print of these accounts, of the ledger and of the trading server."""
    found = list(verify_ledger())
    for account in accounts:
        found += [*verify_account(account.pk).differences, *verify_with_server(account.pk)]
    return [str(difference) for difference in found]


def price_points(accounts: list[PammAccount]) -> list[int]:
    """How many each account has."""
    return [PricePoint.objects.filter(account=account).count() for account in accounts]
