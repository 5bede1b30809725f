"""The oracle: what must be true of the books after every step, written against the law and not the code under
test.
"""

from collections import Counter
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from django.db.models import QuerySet, Sum
from django.utils import timezone

from accounts.models import PammAccount
from allocation.models import Investment, UnitEntry
from fees.models import Charge, ChargePart
from ledger.models import LedgerAccount, Posting
from ledger.queries import balance
from tests.circle.world import Desk, login_of
from transfers.models import Leg, Transfer
from transfers.queries import held_fees


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
    held = held_fees().aggregate(sum=Sum("amount"))["sum"] or Decimal(0)
    assert balance(kinds.IN_TRANSIT, desk.server.public_id, account.currency) == held
    assert not Leg.objects.exclude(state=Leg.State.APPLIED).filter(login=login_of(account)).exists()
    assert_each_leg_stands_once_in_the_servers_books(desk, account)
    payables = Posting.objects.filter(account__kind=kinds.PAYABLE).aggregate(sum=Sum("amount"))["sum"]
    assert (payables or 0) == -held


def assert_every_fee_is_split_and_paid(account: PammAccount) -> None:
    """The account's charges are their parts, and each party was paid its parts, or is owed them."""
    charged = Charge.objects.filter(account=account).aggregate(sum=Sum("amount"))["sum"] or Decimal(0)
    parts = _by_payee(ChargePart.objects.filter(account=account))
    fees = Transfer.objects.filter(purpose=Transfer.Purpose.FEE, subject=account.public_id)
    assert sum(parts.values()) == charged
    assert _by_payee(fees) == parts
    owed = Posting.objects.filter(account__kind=LedgerAccount.Kind.PAYABLE, account__subject__in=list(parts))
    assert -(owed.filter(amount__lt=0).aggregate(sum=Sum("amount"))["sum"] or Decimal(0)) == charged
    for charge in Charge.objects.filter(account=account).annotate(split=Sum("parts__amount")):
        assert charge.amount == (charge.split or 0), charge


def _by_payee(rows: QuerySet[ChargePart] | QuerySet[Transfer]) -> dict[UUID | None, Decimal]:
    return {row["payee"]: row["sum"] for row in rows.values("payee").annotate(sum=Sum("amount"))}


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
