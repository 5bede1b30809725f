"""The server's books on disk: one SQLite file, written ahead and synced before anything is answered."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

FILE_NAME = "simulator.sqlite3"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS account (
    login INTEGER PRIMARY KEY, "group" TEXT NOT NULL, name TEXT NOT NULL, leverage INTEGER NOT NULL,
    rights INTEGER NOT NULL, balance INTEGER NOT NULL, credit INTEGER NOT NULL, password TEXT NOT NULL,
    investor_password TEXT NOT NULL, registered INTEGER NOT NULL, comment TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS deal (
    ticket INTEGER PRIMARY KEY, login INTEGER NOT NULL, time_msc INTEGER NOT NULL, dealer INTEGER NOT NULL,
    order_id INTEGER NOT NULL, position INTEGER NOT NULL, action INTEGER NOT NULL, entry INTEGER NOT NULL,
    reason INTEGER NOT NULL, symbol TEXT NOT NULL, volume INTEGER NOT NULL, volume_closed INTEGER NOT NULL,
    price INTEGER NOT NULL, profit INTEGER NOT NULL, storage INTEGER NOT NULL, commission INTEGER NOT NULL,
    fee INTEGER NOT NULL, rate_profit TEXT NOT NULL, comment TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS deal_by_login ON deal (login, time_msc);
CREATE TABLE IF NOT EXISTS position (
    ticket INTEGER PRIMARY KEY, login INTEGER NOT NULL, symbol TEXT NOT NULL, action INTEGER NOT NULL,
    volume INTEGER NOT NULL, price_open INTEGER NOT NULL, rate_margin TEXT NOT NULL, storage INTEGER NOT NULL,
    opened_msc INTEGER NOT NULL, dealer INTEGER NOT NULL, comment TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS quote (
    symbol TEXT PRIMARY KEY, bid INTEGER NOT NULL, ask INTEGER NOT NULL, time_msc INTEGER NOT NULL,
    frozen INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hidden_deal (ticket INTEGER PRIMARY KEY, shown_msc INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS modified_deal (ticket INTEGER PRIMARY KEY);
"""

_SHOWN = "ticket NOT IN (SELECT ticket FROM hidden_deal)"

_CREDIT_ACTIONS = "(3, 20)"


@dataclass(slots=True)
class Account:
    """`balance` and `credit` in minor units of the group's currency, `registered` in server seconds."""

    login: int
    group: str
    name: str
    leverage: int
    rights: int
    balance: int
    credit: int
    password: str
    investor_password: str
    registered: int
    comment: str


@dataclass(slots=True)
class Position:
    """`price_open` in points, `volume` in 1e-8 lots, `storage` in minor units, `rate_margin` as decimal
    text."""

    ticket: int
    login: int
    symbol: str
    action: int
    volume: int
    price_open: int
    rate_margin: str
    storage: int
    opened_msc: int
    dealer: int
    comment: str


class Deal(NamedTuple):
    """One row of the books; money in minor units, price in points, volumes in 1e-8 lots."""

    ticket: int
    login: int
    time_msc: int
    dealer: int
    order_id: int
    position: int
    action: int
    entry: int
    reason: int
    symbol: str
    volume: int
    volume_closed: int
    price: int
    profit: int
    storage: int
    commission: int
    fee: int
    rate_profit: str
    comment: str


class Store:
    """One process at a time; a second one on the same folder fails with `sqlite3.OperationalError`.

    Everything written since the last `commit` is one transaction: after a crash it is there whole or not at
    all.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(folder / FILE_NAME, isolation_level=None, timeout=2)
        for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL", "cache_size=-32000"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.executescript(_SCHEMA)
        self.modified_deals = {row[0] for row in self._connection.execute("SELECT ticket FROM modified_deal")}

    def close(self) -> None:
        self.commit()
        self._connection.close()

    def abandon(self) -> None:
        """Close without what was not committed."""
        self._connection.close()

    def commit(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("COMMIT")

    # reads

    def accounts(self) -> list[Account]:
        return [Account(*row) for row in self._connection.execute("SELECT * FROM account")]

    def positions(self) -> list[Position]:
        return [Position(*row) for row in self._connection.execute("SELECT * FROM position ORDER BY ticket")]

    def quotes(self) -> list[tuple[str, int, int, int, int]]:
        return self._connection.execute("SELECT symbol, bid, ask, time_msc, frozen FROM quote").fetchall()

    def meta(self, name: str) -> str | None:
        row = self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def last_deal(self) -> int:
        """The highest ticket ever given, also where that deal was deleted."""
        return max(self._whole("SELECT coalesce(max(ticket), 0) FROM deal"), int(self.meta("last_deal") or 0))

    def last_order(self) -> int:
        return self._whole("SELECT coalesce(max(max(order_id), max(position)), 0) FROM deal")

    def deal(self, ticket: int) -> Deal | None:
        query = f"SELECT * FROM deal WHERE ticket = ? AND {_SHOWN}"  # noqa: S608 - nothing of a caller
        row = self._connection.execute(query, (ticket,)).fetchone()
        return None if row is None else Deal(*row)

    def deal_count(self, login: int, first_msc: int, last_msc: int) -> int:
        return self._whole(
            f"SELECT count(*) FROM deal WHERE login = ? AND time_msc BETWEEN ? AND ? AND {_SHOWN}",  # noqa: S608
            login,
            first_msc,
            last_msc,
        )

    def deals(
        self, login: int, first_msc: int, last_msc: int, *, offset: int = 0, limit: int = -1
    ) -> list[Deal]:
        """Deals of one login by time, both ends inclusive."""
        rows = self._connection.execute(
            f"SELECT * FROM deal WHERE login = ? AND time_msc BETWEEN ? AND ? AND {_SHOWN}"  # noqa: S608
            " ORDER BY time_msc, ticket LIMIT ? OFFSET ?",
            (login, first_msc, last_msc, limit, offset),
        )
        return [Deal(*row) for row in rows]

    def newest_deals(self, login: int, limit: int) -> list[tuple[Deal, bool]]:
        """The last deals of a login by ticket, newest first, each with whether it is still hidden."""
        rows = self._connection.execute(
            "SELECT *, ticket IN (SELECT ticket FROM hidden_deal) FROM deal WHERE login = ?"
            " ORDER BY ticket DESC LIMIT ?",
            (login, limit),
        )
        return [(Deal(*row[:-1]), bool(row[-1])) for row in rows]

    def hides_deals_due(self, now_msc: int) -> bool:
        return bool(self._whole("SELECT count(*) FROM hidden_deal WHERE shown_msc <= ?", now_msc))

    def booked_money(self, login: int) -> tuple[int, int]:
        """Balance and credit as the sum of the login's deals that the history shows, minor units."""
        total = "coalesce(sum(CASE WHEN action {} THEN profit + storage + commission + fee END), 0)"
        columns = f"{total.format(f'NOT IN {_CREDIT_ACTIONS}')}, {total.format(f'IN {_CREDIT_ACTIONS}')}"
        query = f"SELECT {columns} FROM deal WHERE login = ? AND {_SHOWN}"  # noqa: S608 - nothing of a caller
        row = self._connection.execute(query, (login,)).fetchone()
        return row[0], row[1]

    # writes; durable with the next commit

    def put_account(self, account: Account) -> None:
        self._put("account", [_columns(account)])

    def put_accounts(self, accounts: Iterable[Account]) -> None:
        self._put("account", map(_columns, accounts))

    def put_position(self, position: Position) -> None:
        self._put("position", [_columns(position)])

    def drop_position(self, ticket: int) -> None:
        self._begin()
        self._connection.execute("DELETE FROM position WHERE ticket = ?", (ticket,))

    def add_deals(self, deals: Iterable[Deal]) -> None:
        self._begin()
        marks = ", ".join("?" * len(Deal._fields))
        self._connection.executemany(f"INSERT INTO deal VALUES ({marks})", deals)  # noqa: S608

    def replace_deal(self, deal: Deal) -> None:
        self._put("deal", [deal])
        self._put("modified_deal", [(deal.ticket,)])
        self.modified_deals.add(deal.ticket)

    def drop_deal(self, ticket: int) -> None:
        self.put_meta("last_deal", str(self.last_deal()))
        self._connection.execute("DELETE FROM deal WHERE ticket = ?", (ticket,))

    def hide_deal(self, ticket: int, until_msc: int) -> None:
        self._put("hidden_deal", [(ticket, until_msc)])

    def show_deals(self, *, due_msc: int | None = None, login: int = 0) -> None:
        """End the hiding of deals: of those that are due, or of all (of one login)."""
        self._begin()
        if due_msc is not None:
            self._connection.execute("DELETE FROM hidden_deal WHERE shown_msc <= ?", (due_msc,))
        elif login:
            self._connection.execute(
                "DELETE FROM hidden_deal WHERE ticket IN (SELECT ticket FROM deal WHERE login = ?)", (login,)
            )
        else:
            self._connection.execute("DELETE FROM hidden_deal")

    def put_quotes(self, quotes: Iterable[tuple[str, int, int, int, int]]) -> None:
        self._put("quote", quotes)

    def put_meta(self, name: str, value: str) -> None:
        self._put("meta", [(name, value)])

    def _put(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        self._begin()
        rows = list(rows)
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            query = f"INSERT OR REPLACE INTO {table} VALUES ({marks})"  # noqa: S608 - our own table names
            self._connection.executemany(query, rows)

    def _begin(self) -> None:
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN")

    def _whole(self, query: str, *parameters: object) -> int:
        return int(self._connection.execute(query, parameters).fetchone()[0])


def _columns(row: Account | Position) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in row.__slots__)
