"""Whoever meets whom at a PAMM account, and at whichever statement: no update is lost and nothing is done
twice.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

import pytest
from django.db.models import Sum

from accounts.models import PammAccount, PersonalAccount
from allocation.models import Investment, PricePoint, UnitEntry
from brokers.errors import Refusal
from fees.models import Charge
from investing.models import Request
from investing.services import (
    cancel_request,
    confirm_request,
    reject_request,
    request_close,
    request_further_deposit,
    request_withdrawal,
)
from ledger.models import LedgerAccount
from ledger.queries import balance
from rollover.models import Rollover
from rollover.services import order_rollover, roll_over, settle_open_transfers
from rollover.verification import verify_account, verify_ledger
from tests.circle.books import assert_books_agree
from tests.circle.world import Desk, login_of, terms
from tests.counts import cases
from tests.reliability.crew import Answer, Crew
from tests.reliability.interleaving import Arena, Call, arena

RACES = cases(push=7, soak=150)
"""Of each pair in each order."""
CROWDS = cases(push=3, soak=60)


@dataclass
class Pool:
    """An account and an investment of Bob's in it, for one race after the other."""

    desk: Desk
    account: PammAccount
    bob: PersonalAccount
    investment: Investment

    @classmethod
    def open(cls, desk: Desk) -> "Pool":
        account = desk.pamm_account(desk.client("alice", "100000"), "100.00")
        offer = desk.offer(account, terms((None, "0.20")))
        bob = desk.client("bob", "100000")
        investment = desk.invest(bob, offer, "50000.00")
        desk.roll(account)
        pool = cls(desk, account, bob, investment)
        pool.refresh()
        return pool

    def refresh(self) -> None:
        self.account.refresh_from_db()
        self.investment = Investment.objects.select_related(
            "account", "owner", "terms__offer", "personal_account"
        ).get(pk=self.investment.pk)

    def withdrawing(self, amount: Decimal) -> Call:
        return partial(
            request_withdrawal,
            investment=self.investment,
            amount=amount,
            by=self.bob.user,
            idempotency_key=str(uuid.uuid4()),
        )

    def adding(self, amount: Decimal) -> Call:
        """Waits for approval."""
        return partial(
            request_further_deposit,
            investment=self.investment,
            amount=amount,
            by=self.bob.user,
            idempotency_key=str(uuid.uuid4()),
        )

    def paid_out(self) -> Decimal:
        return self.desk.balance(self.bob.login)

    def rolling(self) -> Call:
        """A rollover that is ordered now and carried out when called."""
        (ordered,) = order_rollover(accounts=[self.account], by=self.desk.dealer)
        return partial(roll_over, [ordered.pk])

    def quiet(self) -> None:
        """Go on until nothing is open: what came too late for the raced rollover, and what is on its way."""
        for request in Request.objects.filter(kind=Request.Kind.CLOSE, state=Request.State.CONFIRMED):
            cancel_request(request=request, by=self.bob.user)
        for request in Request.objects.filter(state=Request.State.PENDING):
            cancel_request(request=request, by=self.bob.user)
        for _ in range(4):
            open_requests = Request.objects.filter(account=self.account, state__in=Request.OPEN_STATES)
            unfinished = Rollover.objects.filter(account=self.account, state__in=Rollover.OPEN_STATES)
            if not open_requests.exists() and not unfinished.exists():
                break
            self.desk.expire_answers()
            roll_over(list(unfinished.values_list("pk", flat=True)))
            self.desk.roll(self.account)
        self.refresh()

    def assert_sound(self) -> None:
        """Units of the parts are the whole's and none is negative; ledger and server say the same."""
        held = list(Investment.objects.filter(account=self.account).values_list("units", flat=True))
        entered = UnitEntry.objects.filter(account=self.account).aggregate(sum=Sum("units"))["sum"]
        assert sum(held) == entered == self.account.units
        assert min(held) >= 0
        cash = balance(LedgerAccount.Kind.PAMM_CASH, self.account.public_id, self.account.currency)
        assert cash == self.desk.pool_balance(self.account)


@dataclass(frozen=True)
class Pair:
    """Two who meet, and what must be true of their answers once the pool is quiet again."""

    one: Call
    other: Call
    judge: Callable[[Answer, Answer], None]


def withdrawal_and_rollover(pool: Pool) -> Pair:
    def judge(asked: Answer, _: Answer) -> None:
        assert isinstance(asked, Request), asked
        assert_executed_once(asked)

    return Pair(pool.withdrawing(Decimal("1.00")), pool.rolling(), judge)


def fee_and_withdrawal(pool: Pool) -> Pair:
    """The rollover ends an interval with a profit; the withdrawal crystallises what is left."""
    pool.desk.earn(pool.account, Decimal("10.00"))
    before = Charge.objects.filter(amount__gt=0).count()

    def judge(_: Answer, asked: Answer) -> None:
        assert isinstance(asked, Request), asked
        assert_executed_once(asked)
        assert Charge.objects.filter(amount__gt=0).count() == before + 1

    return Pair(pool.rolling(), pool.withdrawing(Decimal("1.00")), judge)


def cancel_and_rollover(pool: Pool) -> Pair:
    request = pool.withdrawing(Decimal("1.00"))()
    assert isinstance(request, Request)

    def judge(cancelled: Answer, _: Answer) -> None:
        if isinstance(cancelled, Refusal):
            assert cancelled.code == "request_not_pending"
            assert_executed_once(request)
        else:
            assert state_of(request) == Request.State.CANCELLED
            assert not UnitEntry.objects.filter(source=request.public_id).exists()

    return Pair(partial(cancel_request, request=request, by=pool.bob.user), pool.rolling(), judge)


def two_rollovers(pool: Pool) -> Pair:
    request = pool.withdrawing(Decimal("1.00"))()
    assert isinstance(request, Request)
    rolling, before = pool.rolling(), PricePoint.objects.count()

    def judge(*_: Answer) -> None:
        assert_executed_once(request)
        assert PricePoint.objects.count() == before + 1

    return Pair(rolling, rolling, judge)


def settlement_and_rollover(pool: Pool) -> Pair:
    """Both find a payout whose answer was lost."""
    request = pool.withdrawing(Decimal("1.00"))()
    assert isinstance(request, Request)
    pool.desk.simulator.arm_fault("drop_before", login=login_of(pool.account))
    pool.desk.roll(pool.account)
    pool.desk.expire_answers()

    def judge(*_: Answer) -> None:
        assert_executed_once(request)

    return Pair(settle_open_transfers, pool.rolling(), judge)


def confirm_and_reject(pool: Pool) -> Pair:
    request = pool.adding(Decimal("100.00"))()
    assert isinstance(request, Request)
    dealer = pool.desk.dealer

    def judge(confirmed: Answer, rejected: Answer) -> None:
        refused = [answer for answer in (confirmed, rejected) if isinstance(answer, Refusal)]
        assert [refusal.code for refusal in refused] == ["request_not_pending"]
        assert state_of(request) == (
            Request.State.REJECTED if refused == [confirmed] else Request.State.EXECUTED
        )

    return Pair(
        partial(confirm_request, request=request, by=dealer),
        partial(reject_request, request=request, by=dealer, note="no"),
        judge,
    )


def deposit_and_close(pool: Pool) -> Pair:
    close = partial(
        request_close, investment=pool.investment, by=pool.bob.user, idempotency_key=str(uuid.uuid4())
    )

    def judge(*answers: Answer) -> None:
        (made,) = [answer for answer in answers if isinstance(answer, Request)]
        (refused,) = [answer for answer in answers if isinstance(answer, Refusal)]
        assert refused.code in ("already_closing", "opposite_request_open")
        assert state_of(made) == Request.State.CANCELLED

    return Pair(pool.adding(Decimal("100.00")), close, judge)


PAIRS = [
    withdrawal_and_rollover,
    fee_and_withdrawal,
    cancel_and_rollover,
    two_rollovers,
    settlement_and_rollover,
    confirm_and_reject,
    deposit_and_close,
]


@pytest.fixture
def pool(desk: Desk) -> Pool:
    return Pool.open(desk)


@pytest.fixture
def meeting(pool: Pool) -> Iterator[Arena]:
    with arena() as opened:
        yield opened


@pytest.mark.parametrize("turned", [False, True], ids=["one first", "other first"])
@pytest.mark.parametrize("pair_of", PAIRS, ids=lambda pair_of: pair_of.__name__)
def test_two_who_meet_at_any_statement_lose_nothing_and_do_nothing_twice(
    pool: Pool, meeting: Arena, pair_of: Callable[[Pool], Pair], turned: bool
) -> None:
    seen: Counter[str] = Counter()
    statements = 0
    for race in range(RACES):
        pair = pair_of(pool)
        first, second = (pair.other, pair.one) if turned else (pair.one, pair.other)
        # The first race is run one after the other, and counts the statements there are to stop at.
        stop_after = -1 if race == 0 else stops(statements)[(race - 1) % len(stops(statements))]
        met = meeting.meet(first, second, stop_after=stop_after)
        statements = max(statements, met.statements)
        seen.update(stopped=met.stopped, waited=met.waited)
        pool.quiet()
        pair.judge(*((met.second, met.first) if turned else (met.first, met.second)))
        pool.assert_sound()
    print(f"{pair_of.__name__}: {RACES} races at {statements} statements, {dict(seen)}")
    assert seen["stopped"] >= RACES // 2
    assert_books_agree(pool.desk, pool.account)
    assert [*verify_account(pool.account.pk).differences, *verify_ledger()] == []


def stops(statements: int) -> list[int]:
    """After which statements to stop: evenly over all there are, before the first and after the last too."""
    count = min(RACES - 1, statements + 1)
    return [number * statements // max(1, count - 1) for number in range(count)]


def test_sixteen_who_withdraw_more_than_there_is_get_no_more_than_there_is(desk: Desk, pool: Pool) -> None:
    with Crew(16) as crew:
        for _ in range(CROWDS):
            worth, before = pool.investment.units, pool.paid_out()
            share = (worth * Decimal("0.3")).quantize(Decimal("0.01"))
            answers = crew.at_once([pool.withdrawing(share) for _ in range(16)])
            made = [answer for answer in answers if isinstance(answer, Request)]
            assert len(made) == 3
            pool.quiet()
            assert pool.paid_out() - before == 3 * share
            pool.assert_sound()
    assert_books_agree(desk, pool.account)


def assert_executed_once(request: Request) -> None:
    request.refresh_from_db()
    assert request.state == Request.State.EXECUTED, (request.reason_code, request.reason_note)
    assert UnitEntry.objects.filter(source=request.public_id).count() == 1


def state_of(request: Request) -> str:
    state: str = Request.objects.values_list("state", flat=True).get(pk=request.pk)
    return state
