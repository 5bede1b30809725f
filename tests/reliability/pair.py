"""Two pools of one trading server that earn and pay fees at every hour: one is struck by a fault while money
comes and goes, the other must not notice.

Both live on from case to case, so that what a fault leaves behind shows in a later one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal

from accounts.models import PammAccount, PersonalAccount
from allocation.models import Investment
from brokers.scope import broker_scope
from fees.calc.schedule import Tier
from investing.models import Request
from offers.models import Offer
from rollover.models import Decision, Rollover
from rollover.services import Choice, differences_of, order_rollover, release_account, roll_over
from rollover.verification import verify_account, verify_ledger
from tests.circle.books import assert_books_agree
from tests.circle.world import Desk, login_of, terms
from tests.simulator import SimulatorProcess
from tests.worlds import broker_called
from transfers.models import Leg, Transfer

ADDED = Decimal("100.00")
TAKEN = Decimal("40.00")
EARNED = Decimal("12.34")
FEES = terms(
    (None, "0.20"),
    entry_tiers=(Tier(None, Decimal("0.01")),),
    volume_amount_per_lot=Decimal("0.50"),
)
SLICES_TO_CATCH_UP = 6
CASES_OF_A_PAIR = 25
"""Then a new one begins: every reading asks for the deals of a day, and a pair lives within one."""


@dataclass
class Pool:
    """At every hour it earns something and fees are due. To the struck one somebody adds `ADDED`, another
    takes `TAKEN`.
    """

    desk: Desk
    account: PammAccount
    saver: Investment
    spender: Investment
    income: PersonalAccount
    earned: Decimal = Decimal(0)
    """Since its last price, floating or not."""
    deposit: Request = field(init=False, repr=False)
    withdrawal: Request = field(init=False, repr=False)
    _before: tuple[Decimal, Decimal] = field(init=False, repr=False)

    @classmethod
    def opened(cls, desk: Desk, name: str) -> "Pool":
        income = desk.client(f"manager-{name}", "2000")
        account = desk.pamm_account(income, "1000.00", name=name)
        offer = desk.offer(account, FEES, approval=Offer.Approval.AUTOMATIC)
        saver = desk.invest(desk.client(f"saver-{name}", "1000000"), offer, "500.00")
        spender = desk.invest(desk.client(f"spender-{name}", "100000"), offer, "9000.00")
        return cls(desk, account, saver, spender, income)

    @property
    def login(self) -> int:
        return login_of(self.account)

    @property
    def expected(self) -> Decimal:
        """The equity that its next price has to be computed from, whatever the server says."""
        self.account.refresh_from_db()
        return self.account.last_equity + self.earned

    def earn(self) -> None:
        self.desk.earn(self.account, EARNED)
        self.earned += EARNED

    def ask(self) -> None:
        self._before = self._balances()
        self.deposit = self.desk.add_money(self.saver, str(ADDED))
        self.withdrawal = self.desk.withdraw(self.spender, str(TAKEN))

    def hold(self, floating: Decimal) -> None:
        self.desk.hold(self.account, floating)
        self.earned += floating

    def is_done(self) -> bool:
        """Nobody's request is open, and all that left has arrived."""
        self.account.refresh_from_db()
        moving = Leg.objects.filter(pool=self.account.public_id).exclude(state=Leg.State.APPLIED)
        return not (
            self.account.is_held
            or Request.objects.filter(account=self.account, state__in=Request.OPEN_STATES).exists()
            or moving.exclude(transfer__state=Transfer.State.REFUSED).exists()
        )

    def assert_paid_once(self) -> None:
        """One deposit left the saver's account, one payment reached the spender's."""
        saved, spent = self._before
        assert self._balances() == (saved - ADDED, spent + TAKEN)
        self.deposit.refresh_from_db()
        self.withdrawal.refresh_from_db()
        assert (self.deposit.executed_amount, self.withdrawal.executed_amount) == (ADDED, TAKEN)

    def _balances(self) -> tuple[Decimal, Decimal]:
        saver, spender = self.saver.personal_account, self.spender.personal_account
        return self.desk.balance(saver.login), self.desk.balance(spender.login)


@dataclass
class Pair:
    desk: Desk
    struck: Pool
    other: Pool
    is_sound: bool = True
    """Whether the last case ended with books that agree; otherwise the next begins with a new pair."""

    @classmethod
    def opened(cls, desk: Desk) -> "Pair":
        pair = cls(desk, Pool.opened(desk, "struck"), Pool.opened(desk, "other"))
        desk.roll(pair.struck.account, pair.other.account)
        return pair

    @property
    def simulator(self) -> SimulatorProcess:
        return self.desk.simulator

    def begin_hour(self) -> None:
        for pool in (self.other, self.struck):
            pool.earn()
        self.struck.ask()

    def roll(self) -> Rollover:
        """Both in one slice. The struck one's rollover, priced at the equity the pool has, if at all; the
        other's is over.
        """
        expected = {pool.account.pk: pool.expected for pool in (self.struck, self.other)}
        rolled = self._rolled()
        for pool in (self.struck, self.other):
            rollover = rolled.get(pool.account.pk)
            if rollover is not None and rollover.price_point is not None:
                assert rollover.price_point.equity == expected[pool.account.pk]
                pool.earned = Decimal(0)
        others = rolled[self.other.account.pk]
        assert others.state == Rollover.State.COMPLETED, (others.state, others.reason_code)
        return rolled[self.struck.account.pk]

    def roll_in_vain(self) -> None:
        """Where the server as a whole cannot be asked: both wait."""
        reached = {(rollover.state, rollover.reason_code) for rollover in self._rolled().values()}
        assert reached == {(Rollover.State.WAITING, "trading_server_unavailable")}

    def assert_held(self, rollover: Rollover, reason: str) -> None:
        """Nothing was priced, and everything stands where it stood or is in transit."""
        self.struck.account.refresh_from_db()
        assert (rollover.state, rollover.reason_code) == (Rollover.State.HELD, reason)
        assert (self.struck.account.is_held, self.struck.account.hold_reason) == (True, reason)
        assert rollover.price_point is None

    def release(self, *choices: Choice) -> None:
        self.struck.account.refresh_from_db()
        release_account(account=self.struck.account, by=self.desk.dealer, note="seen to it", choices=choices)

    def catch_up(self) -> None:
        """What the next rollovers have to make of it once the server behaves: all done, once, and every book
        says so. What a dealer did by hand is undone.
        """
        self.simulator.clear_faults()
        for _ in range(SLICES_TO_CATCH_UP):
            self.struck.account.refresh_from_db()
            if self.struck.account.hold_reason == "foreign_operation":
                found = differences_of(self.struck.account)
                self.release(*(Choice(row.ticket, Decision.Kind.UNDONE) for row in found))
            elif self.struck.account.is_held:
                self.release()
            self.desk.expire_answers()
            self.roll()
            unfinished = Rollover.objects.filter(state__in=Rollover.OPEN_STATES)
            if self.struck.is_done() and self.other.is_done() and not unfinished.exists():
                break
        self.struck.assert_paid_once()
        self.assert_books_agree()

    def assert_books_agree(self) -> None:
        assert self.struck.is_done()
        assert self.other.is_done()
        assert_books_agree(self.desk, self.struck.account)
        self.is_sound = True

    def assert_history_agrees(self) -> None:
        """Everything that happened to both, computed again from its records."""
        for pool in (self.struck, self.other):
            assert_books_agree(self.desk, pool.account)
            assert [str(found) for found in verify_account(pool.account.pk).differences] == []
        assert [str(found) for found in verify_ledger()] == []

    def _rolled(self) -> dict[int, Rollover]:
        """By account, what is open already, else one ordered now."""
        order_rollover(accounts=PammAccount.objects.filter(is_held=False), by=self.desk.dealer)
        unfinished = Rollover.objects.filter(state__in=Rollover.OPEN_STATES)
        keys = list(unfinished.values_list("pk", flat=True))
        roll_over(keys)
        rolled = Rollover.objects.filter(pk__in=keys).select_related("price_point")
        return {rollover.account_id: rollover for rollover in rolled}


class Stage:
    """One pair after the other, each at a broker of its own."""

    def __init__(self, market: SimulatorProcess) -> None:
        self._market = market
        self._pair: Pair | None = None
        self._cases = self._pairs = 0

    @contextmanager
    def pair(self) -> Iterator[Pair]:
        if self._pair is None or not self._pair.is_sound or self._cases >= CASES_OF_A_PAIR:
            self.end()
            self._cases, self._pairs = 0, self._pairs + 1
            slug = f"stage{self._pairs}"
            with broker_scope(broker_called(slug).pk):
                self._pair = Pair.opened(Desk.open(self._market, slug))
        self._cases += 1
        self._pair.is_sound = False
        with broker_scope(self._pair.desk.broker.pk):
            yield self._pair
        self._market.clear_faults()

    def end(self) -> None:
        """The pair's whole history has to agree, unless its last case failed or left the server's books
        wrong.
        """
        if self._pair is not None and self._pair.is_sound:
            with broker_scope(self._pair.desk.broker.pk):
                self._pair.assert_history_agrees()
