"""The oracle: what must be true of the books after every step, written against the law and not the code under
test.
"""

from collections import Counter
from datetime import timedelta
from decimal import Decimal

from django.db.models import Sum
from django.utils import timezone

from accounts.models import PammAccount
from allocation.models import Investment, UnitEntry
from ledger.models import LedgerAccount, Posting
from ledger.queries import balance
from tests.circle.world import Desk, login_of
from transfers.models import Leg


def assert_books_agree(desk: Desk, account: PammAccount) -> None:
    """Units, ledger and trading server say the same of this account, with nothing under way."""
    account.refresh_from_db()
    held = Investment.objects.filter(account=account).aggregate(units=Sum("units"))["units"] or Decimal(0)
    assert account.units == held
    for investment in Investment.objects.filter(account=account):
        entered = UnitEntry.objects.filter(investment=investment).aggregate(units=Sum("units"))["units"]
        assert investment.units == (entered or Decimal(0)), investment
    assert sum(Posting.objects.values_list("amount", flat=True)) == 0
    on_server = desk.pool_balance(account)
    kinds = LedgerAccount.Kind
    assert balance(kinds.PAMM_CASH, account.public_id, account.currency) == on_server
    floating = balance(kinds.PAMM_FLOATING, account.public_id, account.currency)
    assert balance(kinds.POOL_CLAIM, account.public_id, account.currency) == -account.last_equity
    assert account.last_equity == on_server + floating
    assert balance(kinds.IN_TRANSIT, desk.server.public_id, account.currency) == 0
    assert not Leg.objects.exclude(state=Leg.State.APPLIED).filter(login=login_of(account)).exists()
    assert_each_leg_stands_once_in_the_servers_books(desk, account)
    payables = Posting.objects.filter(account__kind=kinds.PAYABLE).aggregate(sum=Sum("amount"))["sum"]
    assert not payables


def assert_each_leg_stands_once_in_the_servers_books(desk: Desk, account: PammAccount) -> None:
    """Every applied leg is one deal with its key, ticket and amount; no other deal has the key."""
    legs = list(Leg.objects.filter(transfer__legs__login=login_of(account)).distinct())
    logins = {leg.login for leg in legs}
    now = timezone.now()
    books = desk.gateway.deals(logins, account.created_at - timedelta(days=1), now + timedelta(days=1))
    found: Counter[tuple[str, int | None, int, Decimal]] = Counter(
        (deal.comment, deal.ticket, deal.login, deal.amount) for deals in books.values() for deal in deals
    )
    applied = [leg for leg in legs if leg.state == Leg.State.APPLIED]
    for leg in applied:
        assert found[leg.key, leg.ticket, leg.login, leg.amount] == 1
    keys = Counter(comment for comment, *_ in found.elements())
    assert all(keys[leg.key] == 1 for leg in applied)
    assert all(keys[leg.key] == 0 for leg in legs if leg.state == Leg.State.PLANNED and not leg.attempts)
