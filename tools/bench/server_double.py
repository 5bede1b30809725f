"""The far end of the network: what a trading server would answer for the loaded accounts, from memory.

It stands where the network ends, so a benchmark measures the platform and nobody else. Balances follow the
deals it makes up and the balance operations it is given, and every figure it answers adds up.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any

from django.utils import timezone

from trading.gateway import (
    Account,
    AccountState,
    Adjustment,
    AdjustmentSearch,
    Applied,
    Deal,
    DealAction,
    DealEntry,
    Found,
    Gateway,
    GatewayUnavailable,
    Group,
    NotFound,
    OrderFound,
    OrderOutcome,
    OrderSearch,
    Position,
    Refused,
    ServerTime,
    Symbol,
    Tick,
    refuse_inside_transaction,
)

CENT = Decimal("0.01")
ROUNDS_SHOWN = 3
"""For how many rounds deals stay in the answers: a rollover asks for a day, a round stands for an hour."""


class ServerDouble(Gateway):
    """A trading server with nothing open and no clock change, in one currency of two decimals."""

    def __init__(self, balances: Mapping[int, Decimal], first_ticket: int = 1) -> None:
        self.balances = dict(balances)
        self._traded = tuple(balances)
        self.adjustments = 0
        self._deals: dict[int, list[Deal]] = {}
        self._tickets = count(first_ticket)
        self._rounds: list[int] = []

    def trade(self, rate: Decimal) -> None:
        """Every loaded account closes one position that earns `rate` of its balance."""
        self._forget()
        for login in self._traded:
            result = (self.balances[login] * rate).quantize(CENT)
            if result:
                self._book(login, DealAction.SELL, result)

    def _forget(self) -> None:
        self._rounds.append(next(self._tickets))
        oldest = self._rounds[-ROUNDS_SHOWN:][0]
        for login, deals in self._deals.items():
            self._deals[login] = [deal for deal in deals if deal.ticket >= oldest]

    def move(self, login: int, amount: Decimal, key: str) -> int:
        """One balance operation with `key` as its comment; returns the ticket of its deal."""
        return self._book(login, DealAction.BALANCE, amount, key).ticket

    def _book(self, login: int, action: DealAction, amount: Decimal, comment: str = "") -> Deal:
        at = timezone.now()
        traded = action is not DealAction.BALANCE
        deal = Deal(
            ticket=next(self._tickets),
            login=login,
            action=action,
            entry=DealEntry.OUT if traded else DealEntry.IN,
            at=at,
            server_seconds=int(at.timestamp()),
            symbol="EURUSD" if traded else "",
            volume=Decimal(1) if traded else Decimal(0),
            volume_closed=Decimal(1) if traded else Decimal(0),
            contract_size=Decimal(100_000),
            price=Decimal("1.08123") if traded else Decimal(0),
            profit=amount,
            storage=Decimal(0),
            commission=Decimal(0),
            fee=Decimal(0),
            order=0,
            position=0,
            dealer=0 if traded else 1,
            comment=comment,
        )
        self._deals.setdefault(login, []).append(deal)
        self.balances[login] = self.balances.get(login, Decimal(0)) + amount
        return deal

    def account_states(self, logins: Collection[int]) -> dict[int, AccountState]:
        refuse_inside_transaction()
        return {
            login: AccountState(
                login=login,
                currency_digits=2,
                balance=self.balances[login],
                credit=Decimal(0),
                equity=self.balances[login],
                margin=Decimal(0),
                margin_free=self.balances[login],
                profit=Decimal(0),
                storage=Decimal(0),
            )
            for login in logins
            if login in self.balances
        }

    def positions(self, logins: Collection[int]) -> dict[int, tuple[Position, ...]]:
        refuse_inside_transaction()
        return dict.fromkeys(logins, ())

    def deals(self, logins: Collection[int], since: datetime, until: datetime) -> dict[int, tuple[Deal, ...]]:
        refuse_inside_transaction()
        return {
            login: tuple(deal for deal in self._deals.get(login, ()) if since <= deal.at <= until)
            for login in logins
        }

    def adjust_balance(
        self,
        login: int,
        amount: Decimal,
        key: str,
        *,
        check_margin: bool = True,
        deadline: float | None = None,
    ) -> Adjustment:
        refuse_inside_transaction()
        self.adjustments += 1
        return Applied(self.move(login, amount, key))

    def find_adjustment(self, login: int, key: str, amount: Decimal, since: datetime) -> AdjustmentSearch:
        refuse_inside_transaction()
        for deal in self._deals.get(login, ()):
            if deal.comment == key:
                return Found(deal.ticket, deal.at, deal.server_seconds)
        return NotFound(timezone.now())

    def last_ticks(self, symbols: Sequence[str], *, group: str | None = None) -> Mapping[str, Tick]:
        return {symbol: Tick(symbol, Decimal(1), Decimal(1), timezone.now()) for symbol in symbols}

    def server_time(self) -> ServerTime:
        now = timezone.now()
        return ServerTime(now, int(now.timestamp()))

    def groups(self) -> tuple[Group, ...]:
        return ()

    def symbols(self) -> tuple[Symbol, ...]:
        return ()

    def account(self, login: int) -> Account | None:
        balance = self.balances.get(login)
        return None if balance is None else Account(login, "", "", 100, 1, balance, Decimal(0))

    def accounts(self, logins: Collection[int]) -> dict[int, Account]:
        return {login: found for login in logins if (found := self.account(login)) is not None}

    def create_account(self, **wanted: Any) -> Refused:
        return Refused(1, "no accounts are opened here")

    def check_password(self, login: int, password: str) -> bool:
        return False

    def forbid_trading(self, login: int) -> None:
        raise GatewayUnavailable("nothing is changed here")

    def place_market_order(self, login: int, symbol: str, *order: Any, **more: Any) -> OrderOutcome:
        return Refused(1, "nothing is traded here")

    def find_order(self, login: int, key: str, since: datetime) -> OrderSearch:
        return OrderFound(())

    def close(self) -> None:
        """Nothing is open."""
