"""A call of the trading server and a commit of ours share no transaction: every way to die around them, with
every way in which the call itself can go wrong, for each kind of transfer and each of its legs.
"""

import itertools
import random
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from enum import Enum

import pytest
import time_machine
from django.db import transaction
from django.utils import timezone

from accounts.models import HouseAccount, PammAccount, PersonalAccount
from ledger.models import LedgerAccount
from ledger.queries import balance
from tests.circle.world import Desk, login_of
from tests.counts import cases
from tests.crashes.children import ChildKilled, in_child
from tests.crashes.points import CrashPoints, Word, install, kill_worker
from trading.gateway import Gateway
from trading.mt5.gateway import Mt5Gateway
from transfers.models import KEY_PREFIX, Leg, Side, Transfer
from transfers.services import Endpoint, TransferDraft, advance_transfers, plan_transfers, release_transfers

CALL = "ask trade/balance"
AMOUNT = Decimal("1.00")
PURPOSES = (Transfer.Purpose.DEPOSIT, Transfer.Purpose.WITHDRAWAL, Transfer.Purpose.FEE)
LATER = timedelta(minutes=10)
"""After which no answer is waited for any more."""
HASTE_SECONDS = 0.2
"""How long who is in haste waits for an answer."""
SECONDS = {"late": 0.3, "apply_late": 0.1}
"""How late what comes late is."""
NO_ANSWER = 9
"""The return code of a time-out: the operation may have happened."""
ROUNDS = 8


class Death(Enum):
    """Where the worker dies, around the call of one leg."""

    BEFORE_INTENT = "before the intent is written"
    BEFORE_ITS_COMMIT = "before the intent is committed"
    BEFORE_CALL = "after the intent, before the call"
    AFTER_CALL = "after the call"
    BEFORE_MARK = "before the outcome is committed"
    AFTER_MARK = "after the outcome"
    NEVER = "not at all"


class Fault(Enum):
    """What goes wrong with the call itself."""

    NONE = "nothing"
    LOST_CALL = "drop_before"
    LOST_REPLY = "drop_after"
    LATE_REPLY = "late"
    LATE_CALL = "apply_late"
    NO_SESSION = "forbid"
    NO_OUTCOME = "refuse"


@dataclass(frozen=True, slots=True)
class Case:
    purpose: Transfer.Purpose
    leg: int
    death: Death
    fault: Fault
    faults_again: int = 0
    """How often it goes wrong once more when the next worker tries."""

    def __str__(self) -> str:
        return f"{self.purpose}, leg {self.leg}: dies {self.death.value}; {self.fault.value}"


def every_case() -> Iterator[Case]:
    """Who dies before the intent stands leaves nothing behind: that the next one's call goes wrong is enough
    once.
    """
    for purpose, leg, death, fault in itertools.product(PURPOSES, (1, 2), Death, Fault):
        if death is not Death.BEFORE_ITS_COMMIT or fault is Fault.NONE:
            yield Case(purpose, leg, death, fault)


def random_cases(count: int, chance: random.Random) -> Iterator[Case]:
    everything = list(every_case())
    for _ in range(count):
        yield replace(chance.choice(everything), faults_again=chance.randrange(3))


@dataclass(frozen=True, slots=True)
class Counter:
    """Where a worker hands money over: a pool, a client and the broker, a transfer at a time."""

    desk: Desk
    account: PammAccount
    personal: PersonalAccount
    income: HouseAccount
    patient: Mt5Gateway
    hasty: Mt5Gateway

    @classmethod
    def at(cls, desk: Desk) -> "Counter":
        account = desk.pamm_account(desk.client("alice", "100000"), "50000.00")
        income = HouseAccount.objects.create(
            server=desk.server,
            purpose=HouseAccount.Purpose.INCOME,
            currency="USD",
            currency_digits=2,
            login=desk.simulator.add_account("house\\USD", "100"),
        )
        desk.roll(account)
        simulator = desk.simulator
        return cls(
            desk,
            account,
            desk.client("bob", "50000"),
            income,
            simulator.gateway(),
            simulator.gateway(answer_timeout=HASTE_SECONDS),
        )

    def advance(self, purpose: Transfer.Purpose, subject: uuid.UUID, gateway: Gateway) -> bool:
        """Take the transfer as far as it goes, writing it down first if nobody has. Whether it is through."""
        transfer = Transfer.objects.filter(subject=subject).first()
        if transfer is None:
            with transaction.atomic():
                (transfer,) = plan_transfers([self._draft(purpose, subject)])
        advance_transfers(self.desk.server, gateway, [transfer.pk])
        transfer.refresh_from_db()
        if transfer.state == Transfer.State.IN_TRANSIT and not transfer.legs.filter(position=2).exists():
            with transaction.atomic():
                release_transfers([(transfer, self._pool)])
            advance_transfers(self.desk.server, gateway, [transfer.pk])
            transfer.refresh_from_db()
        return bool(transfer.state == Transfer.State.COMPLETED)

    def login(self, purpose: Transfer.Purpose, leg: int) -> int:
        client = self.income if purpose == Transfer.Purpose.FEE else self.personal
        into_pool = purpose == Transfer.Purpose.DEPOSIT
        return login_of(self.account) if into_pool == (leg == 2) else client.login

    @property
    def _pool(self) -> Endpoint:
        return Endpoint(login_of(self.account), Side.PAMM, self.account.public_id)

    def _draft(self, purpose: Transfer.Purpose, subject: uuid.UUID) -> TransferDraft:
        personal = Endpoint(self.personal.login, Side.PERSONAL, self.personal.public_id)
        income = Endpoint(self.income.login, Side.HOUSE, self.desk.broker.public_id)
        source, destination = {
            Transfer.Purpose.DEPOSIT: (personal, None),
            Transfer.Purpose.WITHDRAWAL: (self._pool, personal),
            Transfer.Purpose.FEE: (self._pool, income),
        }[purpose]
        return TransferDraft(
            server_id=self.desk.server.pk,
            purpose=purpose,
            subject=subject,
            pool=self.account.public_id,
            amount=AMOUNT,
            currency="USD",
            currency_digits=2,
            source=source,
            destination=destination,
            payee=None if destination is None else destination.owner,
        )


@pytest.fixture
def counter(desk: Desk) -> Counter:
    return Counter.at(desk)


def point_of(death: Death, leg: int, said: Sequence[Word]) -> int | None:
    """Of an undisturbed worker's words."""
    call = [point for point, word in enumerate(said) if word.text == CALL][leg - 1]
    marked = next(point for point in range(call, len(said)) if said[point].kind == "COMMIT")
    intent = max(point for point in range(call) if said[point].kind == "BEGIN")
    return {
        Death.BEFORE_INTENT: intent,
        Death.BEFORE_ITS_COMMIT: call - 1,
        Death.BEFORE_CALL: call,
        Death.AFTER_CALL: call + 1,
        Death.BEFORE_MARK: marked,
        Death.AFTER_MARK: marked + 1,
        Death.NEVER: None,
    }[death]


def work_once(counter: Counter, case: Case, subject: uuid.UUID, point: int | None) -> list[Word]:
    """In a child that dies at that point, if it comes to it; what it said, if it does not."""
    points = CrashPoints(point, kill_worker)

    def work() -> list[Word]:
        install(points)
        gateway = counter.hasty if case.fault is Fault.LATE_REPLY else counter.patient
        counter.advance(case.purpose, subject, gateway)
        return points.passed

    with suppress(ChildKilled):
        return in_child(work)
    return []


def carry_on(counter: Counter, case: Case, subject: uuid.UUID) -> None:
    """As somebody else, who looks at once, and then again and again as time passes."""
    gateway = counter.hasty if case.fault is Fault.LATE_REPLY else counter.patient
    with time_machine.travel(timezone.now()) as clock:
        for turn in range(ROUNDS):
            if turn <= case.faults_again and turn:
                arm(counter, case)
            through = counter.advance(case.purpose, subject, gateway)
            if case.fault is Fault.LATE_CALL:
                time.sleep(SECONDS[case.fault.value])
            if through:
                return
            clock.shift(LATER)
    pytest.fail(f"{case}: {Leg.objects.filter(transfer__subject=subject).values()}")


def arm(counter: Counter, case: Case) -> None:
    counter.desk.simulator.clear_faults()
    if case.fault is not Fault.NONE:
        counter.desk.simulator.arm_fault(
            case.fault.value,
            login=counter.login(case.purpose, case.leg),
            seconds=SECONDS.get(case.fault.value, 0),
            code=NO_ANSWER if case.fault is Fault.NO_OUTCOME else None,
        )


def test_transfer_is_made_once_however_the_worker_and_the_call_end(
    counter: Counter, report: Callable[[str], None]
) -> None:
    undisturbed = {
        purpose: work_once(counter, Case(purpose, 1, Death.NEVER, Fault.NONE), uuid.uuid4(), None)
        for purpose in PURPOSES
    }
    balances = {
        login: counter.desk.balance(login)
        for login in (login_of(counter.account), counter.personal.login, counter.income.login)
    }
    chance = random.Random(4)
    everything = [*every_case()]
    everything += random_cases(cases(push=0, soak=5000 - len(everything)), chance)
    for case in everything:
        subject = uuid.uuid4()
        arm(counter, case)
        work_once(counter, case, subject, point_of(case.death, case.leg, undisturbed[case.purpose]))
        carry_on(counter, case, subject)
        for leg, amount in ((1, -AMOUNT), (2, AMOUNT)):
            login = counter.login(case.purpose, leg)
            balances[login] += amount
            assert counter.desk.balance(login) == balances[login], case
    assert_each_key_once(counter, list(balances))
    assert balance(LedgerAccount.Kind.IN_TRANSIT, counter.desk.server.public_id, "USD") == 0
    report(f"{len(everything)} deaths and faults around a call: none lost, none doubled")


def assert_each_key_once(counter: Counter, logins: list[int]) -> None:
    """Both ways: every leg is one deal, and every deal of ours is a leg."""
    now = timezone.now()
    deals = counter.patient.deals(logins, now - timedelta(days=1), now + timedelta(days=1))
    keys = [deal.comment for found in deals.values() for deal in found if deal.comment[:2] == KEY_PREFIX]
    legs = Leg.objects.filter(login__in=logins)
    assert sorted(keys) == sorted(legs.values_list("key", flat=True))
    assert not legs.exclude(state=Leg.State.APPLIED).exists()
