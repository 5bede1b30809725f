"""A trading server that says what is not so about one account: that account waits or is held and says why, or
is priced at the truth; all others roll over.

Each lie is told in every answer until the rollover is over, so reading again does not help.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import QuerySet

from accounts.models import PammAccount
from rollover.models import Rollover
from rollover.services import release_account, roll_over
from tests.circle.world import INDEX, INDEX_PRICE, Desk, login_of
from tests.counts import cases
from tests.reliability.pools import differences, opened_accounts
from tests.simulator import SimulatorProcess
from trading.models import ServerCondition

ROUNDS = cases(push=1, soak=14)
Lie = Callable[[SimulatorProcess, int, Decimal], object]
"""Told by a server of a login whose equity is in truth so much."""
EARNED, FLOATING = Decimal("7.00"), Decimal("10.00")
STATE, POSITION, DEAL = "user/*", "position/*", "deal/*"


def says(command: str, **fields: str | None) -> Lie:
    return lambda server, login, _: told(server, login, command, **fields)


def says_times(factor: str, field: str, *, more: str = "0") -> Lie:
    """A figure of the account's state is so many times the equity."""
    return lambda server, login, equity: told(
        server, login, STATE, **{field: str(equity * Decimal(factor) + Decimal(more))}
    )


def told(server: SimulatorProcess, login: int, command: str, **fields: str | None) -> None:
    server.arm_fault("lie", command, calls=0, login=login, fields=fields)


def rows(kind: str, command: str, **more: Any) -> Lie:
    """Rows of the account are missing (`empty`, `partial`) or stand twice (`double`)."""
    return lambda server, login, _: server.arm_fault(kind, command, calls=0, login=login, **more)


def tick(**fields: str | None) -> Lie:
    return lambda server, *_: server.lie_about_tick(INDEX, **fields)


def stale_tick(server: SimulatorProcess, *_: object) -> None:
    server.set_tick(INDEX, INDEX_PRICE + FLOATING, INDEX_PRICE + FLOATING, age_seconds=3600)


def all_deals_an_hour_ago(server: SimulatorProcess, login: int, _: Decimal) -> None:
    seconds = int(datetime.now(ZoneInfo(server.timezone)).replace(tzinfo=UTC).timestamp()) - 3600
    told(server, login, DEAL, Time=str(seconds), TimeMsc=str(seconds * 1000))


LIES: dict[str, Lie] = {
    "equity zero": says(STATE, Equity="0.00"),
    "equity negative": says_times("-1", "Equity"),
    "equity doubled": says_times("2", "Equity"),
    "equity absent": says(STATE, Equity=None),
    "equity no number": says(STATE, Equity="NaN"),
    "equity endless": says(STATE, Equity="Infinity"),
    "equity beyond measure": says(STATE, Equity="1e400"),
    "equity of half a cent": says_times("1", "Equity", more="0.005"),
    "balance zero": says(STATE, Balance="0.00"),
    "balance negative": says_times("-1", "Balance"),
    "balance doubled": says_times("2", "Balance"),
    "balance a cent more": says_times("1", "Balance", more="-9.99"),
    "balance absent": says(STATE, Balance=None),
    "credit nobody gave": says(STATE, Credit="500.00"),
    "credit negative": says(STATE, Credit="-500.00"),
    "state missing": rows("empty", STATE),
    "state twice": rows("double", STATE),
    "state twice, differently": rows("double", STATE, fields={"Equity": "2034.00", "Balance": "2034.00"}),
    "floating doubled": says(POSITION, Profit="20.00"),
    "floating zero": says(POSITION, Profit="0.00"),
    "floating absent": says(POSITION, Profit=None),
    "swap nobody charged": says(POSITION, Storage="-300.00"),
    "positions missing": rows("empty", POSITION),
    "positions twice": rows("double", POSITION),
    "deals missing": rows("empty", DEAL),
    "deals partly missing": rows("partial", DEAL),
    "deals partly missing, unsaid": rows("partial", DEAL, code=0),
    "deals twice": rows("double", DEAL),
    "deals twice, differently": rows("double", DEAL, fields={"Profit": "14.00"}),
    "deals of another result": says(DEAL, Profit="3.50"),
    "deals of no result": says(DEAL, Profit=None),
    "deals of another account": says(DEAL, Login="1"),
    "deals all of one moment": all_deals_an_hour_ago,
    "price zero": tick(Bid="0", Ask="0"),
    "price negative": tick(Bid="-5010.00", Ask="-5010.00"),
    "price crossed": tick(Bid="5010.00", Ask="5000.00"),
    "price absent": tick(Bid=None),
    "price missing": lambda server, *_: server.omit_tick(INDEX),
    "price twice, differently": lambda server, *_: server.double_tick(INDEX, Bid="2500.00"),
    "price stale": stale_tick,
}


@dataclass
class Pools:
    """Three pools; the first one is lied about, and alone has a position open."""

    desk: Desk
    struck: PammAccount
    others: list[PammAccount]

    @property
    def all(self) -> list[PammAccount]:
        return [self.struck, *self.others]

    def trade(self) -> None:
        """The first pool earns something, and has something floating."""
        self.desk.flatten(self.struck)
        self.desk.earn(self.struck, EARNED)
        self.desk.hold(self.struck, FLOATING)

    def equity(self, account: PammAccount) -> Decimal:
        """In truth."""
        return self.desk.pool_balance(account) + (FLOATING if account == self.struck else 0)

    def recover(self) -> None:
        """The truth again, and whoever was held is released; the next rollover is as any."""
        self.desk.simulator.clear_faults()
        self.desk.simulator.set_tick(INDEX, INDEX_PRICE + FLOATING, INDEX_PRICE + FLOATING)
        self.desk.expire_answers()
        ServerCondition.objects.all().delete()
        self.struck.refresh_from_db()
        if self.struck.is_held:
            release_account(account=self.struck, by=self.desk.dealer, note="the server was wrong")
        roll_over(list(unfinished().values_list("pk", flat=True)))
        self.desk.roll(self.struck)


def test_account_that_is_lied_about_is_never_priced_on_it_and_all_others_roll_over(desk: Desk) -> None:
    struck, *others = opened_accounts(desk, 3)
    pools = Pools(desk, struck, others)
    desk.roll(*pools.all)
    answers: Counter[str] = Counter()
    for name, lie in [*LIES.items()] * ROUNDS:
        pools.trade()
        truth = {account.pk: pools.equity(account) for account in pools.all}
        lie(desk.simulator, login_of(struck), truth[struck.pk])
        rolled = {rollover.account_id: rollover for rollover in desk.roll(*pools.all)}
        for account in others:
            assert answer_of(rolled[account.pk]) == (truth[account.pk], ""), name
        equity, reason = answer_of(rolled[struck.pk])
        assert equity == truth[struck.pk] if equity is not None else reason, (name, equity, reason)
        answers[reason or "priced at the truth"] += 1
        pools.recover()
        assert answer_of(Rollover.objects.filter(account=struck).latest("pk")) == (truth[struck.pk], ""), name
    print(dict(answers))
    # What a lie about times left behind is named by its row.
    assert [line for line in differences(pools.all) if ": executed_at: " not in line] == []


def answer_of(rollover: Rollover) -> tuple[Decimal | None, str]:
    """The equity it was priced at, if it was, and why it waits, is held or moves no money."""
    point = rollover.price_point
    return (None if point is None else point.server_equity), rollover.reason_code


def unfinished() -> QuerySet[Rollover]:
    return Rollover.objects.filter(state__in=Rollover.OPEN_STATES)
