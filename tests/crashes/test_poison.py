"""One account that cannot be rolled over, among many: the others never notice, and it waits or is held with a
reason until what is wrong with it is put right.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal

import pytest
from django.db.models import F

from accounts.models import PammAccount
from allocation.models import Investment, PricePoint
from rollover.models import Rollover
from rollover.services import order_rollover, release_account, roll_over
from tests.circle.books import assert_books_agree
from tests.circle.world import Desk, terms
from tests.counts import cases

ACCOUNTS = cases(push=10, soak=50)


@contextmanager
def unreadable_fraction(account: PammAccount) -> Iterator[None]:
    """What is carried from fee to fee is no number: the fees that are due cannot be computed."""
    broken = Investment.objects.filter(account=account, is_own_capital=False)
    broken.update(carried={"performance": "a little"}, performance_carried=F("performance_carried"))
    yield
    broken.update(carried={})


@contextmanager
def wrong_balance(account: PammAccount) -> Iterator[None]:
    """Our books say another balance than the trading server."""
    PammAccount.objects.filter(pk=account.pk).update(last_balance=F("last_balance") + 1)
    yield
    PammAccount.objects.filter(pk=account.pk).update(last_balance=F("last_balance") - 1)


@contextmanager
def no_login(account: PammAccount) -> Iterator[None]:
    """The trading server does not know it."""
    PammAccount.objects.filter(pk=account.pk).update(login=999_999)
    yield
    PammAccount.objects.filter(pk=account.pk).update(login=account.login)


POISONS: dict[str, tuple[Callable[[PammAccount], AbstractContextManager[None]], Rollover.State, str]] = {
    "it raises": (unreadable_fraction, Rollover.State.WAITING, "internal_error"),
    "it does not add up": (wrong_balance, Rollover.State.HELD, "balance_differs"),
    "it is not there": (no_login, Rollover.State.HELD, "unknown_login"),
}


@pytest.fixture
def accounts(desk: Desk) -> list[PammAccount]:
    """Pools with an investor each, whose trading interval ends at every rollover."""
    made = []
    for number in range(ACCOUNTS):
        account = desk.pamm_account(desk.client(f"manager{number}", "1000"), "200.00", name=f"Pool {number}")
        desk.invest(
            desk.client(f"investor{number}", "1000"),
            desk.offer(account, terms((None, "0.20"), volume_amount_per_lot=Decimal(1))),
            "100.00",
        )
        made.append(account)
    assert {rollover.state for rollover in desk.roll(*made)} == {Rollover.State.COMPLETED}
    return list(PammAccount.objects.order_by("id"))


def prices() -> Counter[int]:
    return Counter(PricePoint.objects.values_list("account_id", flat=True))


@pytest.mark.parametrize("name", POISONS)
def test_poisoned_account_stops_no_other_and_a_rerun_finishes_only_it(
    desk: Desk, accounts: list[PammAccount], name: str, report: Callable[[str], None]
) -> None:
    poison, state, reason = POISONS[name]
    for position, poisoned in enumerate(accounts):
        desk.earn(poisoned, Decimal(5))
        others = [account.pk for account in accounts if account != poisoned]
        before = prices()
        ordered = order_rollover(accounts=accounts, by=desk.dealer)
        keys = [rollover.pk for rollover in ordered]
        with poison(poisoned):
            roll_over(keys)
            done = prices() - before
            assert done == Counter(others), f"position {position}"
            stuck = Rollover.objects.get(pk__in=keys, account=poisoned)
            assert (stuck.state, stuck.reason_code) == (state, reason)
        if state == Rollover.State.HELD:
            release_account(account=poisoned, by=desk.dealer, note="put right")
            keys += [rollover.pk for rollover in order_rollover(accounts=[poisoned], by=desk.dealer)]
        desk.expire_answers()
        roll_over(keys)
        assert prices() - before == Counter(account.pk for account in accounts), f"position {position}"
    assert not Rollover.objects.filter(state__in=Rollover.OPEN_STATES).exists()
    for account in accounts:
        assert_books_agree(desk, account)
    report(f"{name}: at each of {len(accounts)} positions the others rolled over, then only it")
