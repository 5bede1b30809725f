"""The final state by what can be said of it aloud: names, amounts, states, and how many of each.

Keys, ids, times, tickets and counts of attempts differ from run to run and say nothing: left out, or replaced
by what they refer to. Every table of the broker is compared, so a new one is covered without being listed.
"""

import hashlib
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import psycopg2
from django.apps import apps
from django.db import models
from psycopg2 import sql

from brokers.tenancy import TenantModel
from trading.models import ORDER_KEY_PREFIX
from trading.simulator.store import FILE_NAME
from transfers.models import KEY_PREFIX

DEPTH = 3
"""How far references between new rows are followed."""

MEANINGLESS = {
    "Leg": {"key", "attempts", "lookups", "ticket", "refusal_code", "refusal_text"},
    "Rollover": {"attempts", "lease_holder", "public_id"},
    "CountedDeal": {"ticket"},
    "Order": {"key", "attempts", "position", "deal"},
    "Decision": {"ticket", "deal"},
    "PammAccount": {"last_value_days"},
    "PricePoint": {"value_days"},
    "Investment": {"value_days_checkpoint", "value_days_put_aside"},
}
"""What a crash may change: how often something was tried, numbers that the trading server gives, and what
grows with time.
"""

NOT_COMPARED = {"ServerCondition"}
"""How the trading server answered lately."""

_REFERENCES = re.compile(
    rf"[0-9a-f]{{8}}-(?:[0-9a-f]{{4}}-){{3}}[0-9a-f]{{12}}|price-point:\d+"
    rf"|(?:{KEY_PREFIX}|{ORDER_KEY_PREFIX})[0-9A-Z]{{26}}"
)

Row = tuple[str, int]
"""A table's model and the row's key."""


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    references: dict[str, str]
    times: set[str]
    left_out: set[str]

    @classmethod
    def of(cls, model: type[models.Model]) -> Self:
        fields = model._meta.concrete_fields
        binary = {field.attname for field in fields if isinstance(field, models.BinaryField)}
        return cls(
            model._meta.db_table,
            {
                field.attname: field.related_model.__name__
                for field in fields
                if isinstance(field, models.ForeignKey)
            },
            {field.attname for field in fields if isinstance(field, models.DateTimeField)},
            {"id", "public_id", "broker_id"} | binary | MEANINGLESS.get(model.__name__, set()),
        )


def _tables() -> dict[str, _Table]:
    return {
        model.__name__: _Table.of(model)
        for model in apps.get_models()
        if issubclass(model, TenantModel) and model.__name__ not in NOT_COMPARED
    }


def database_rows(url: str) -> dict[Row, str]:
    """Every row of every broker as JSON text; `url` is the owner's."""
    statement = sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT {}, id, to_jsonb({table})::text FROM {table}").format(
            sql.Literal(name), table=sql.Identifier(table.name)
        )
        for name, table in _tables().items()
    )
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return {(name, key): text for name, key, text in cursor}


class Before:
    """The rows that everything is compared with."""

    def __init__(self, rows: dict[Row, str]) -> None:
        self.rows = rows
        self.names = {name for text in rows.values() for name in _REFERENCES.findall(text)}

    def changes(self, after: dict[Row, str]) -> list[str]:
        """One line per row that is new, changed or gone, sorted."""
        return sorted(_Changes(self, after).lines())


class _Changes:
    def __init__(self, scenario: Before, after: dict[Row, str]) -> None:
        self._tables = _tables()
        self._before, self._known = scenario.rows, scenario.names
        before = scenario.rows
        self._gone = before.keys() - after.keys()
        self._rows: dict[Row, dict[str, Any]] = {
            row: json.loads(text, parse_float=Decimal)
            for row, text in after.items()
            if before.get(row) != text
        }
        self._new = self._rows.keys() - before.keys()
        self._named = {name: row for row in self._new for name in self._names(row)}

    def _names(self, row: Row) -> Iterator[str]:
        """What a text may call a row by."""
        for column in ("public_id", "key"):
            if column in self._rows[row]:
                yield self._rows[row][column]
        if row[0] == "PricePoint":
            yield f"price-point:{row[1]}"

    def lines(self) -> Iterator[str]:
        for model, key in self._gone:
            yield f"{model} {key} is gone"
        for row in self._rows:
            model, key = row
            yield f"{model} {'is new' if row in self._new else key}: {self._said(row, DEPTH)}"

    def _said(self, row: Row, depth: int) -> str:
        table = self._tables[row[0]]
        said = {
            column: self._value(table, column, value, depth)
            for column, value in self._rows[row].items()
            if column not in table.left_out and value not in (None, "")
        }
        return json.dumps(said, sort_keys=True)

    def _value(self, table: _Table, column: str, value: Any, depth: int) -> str:
        if column in table.references:
            return self._called((table.references[column], value), depth)
        if column in table.times:
            return "set"
        if isinstance(value, Decimal):
            return format(value.normalize(), "f")
        text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
        return _REFERENCES.sub(lambda found: self._in_place_of(found[0], depth), text)

    def _in_place_of(self, name: str, depth: int) -> str:
        if name in self._named:
            return self._called(self._named[name], depth)
        return name if name in self._known else "made up"

    def _called(self, row: Row, depth: int) -> str:
        """A row that was there before by its key, a new one by what it says."""
        if row not in self._new or not depth:
            return f"{row[0]} {row[1]}" if row in self._before else row[0]
        return f"{row[0]} {hashlib.blake2b(self._said(row, depth - 1).encode(), digest_size=6).hexdigest()}"


def server_books(folder: Path) -> tuple[list[str], Counter[str]]:
    """The trading server's own file: one line per account, position and deal, and how often it holds each of
    our keys.
    """
    with closing(sqlite3.connect(folder / FILE_NAME)) as books:
        accounts = books.execute("SELECT login, balance, credit FROM account").fetchall()
        positions = books.execute("SELECT login, symbol, action, volume FROM position").fetchall()
        deals = books.execute("SELECT login, action, profit, volume, dealer, comment FROM deal").fetchall()
    keys = Counter(comment for *_, comment in deals if comment.startswith(KEY_PREFIX))
    lines = [f"login {login}: balance {balance}, credit {credit}" for login, balance, credit in accounts]
    lines += [f"position of {login}: {side} {volume} {symbol}" for login, symbol, side, volume in positions]
    lines += [
        f"deal of {login}: {action} {profit} {volume}, by {dealer}, {_REFERENCES.sub('ours', comment)}"
        for login, action, profit, volume, dealer, comment in deals
    ]
    return sorted(lines), keys


def applied_keys(rows: dict[Row, str]) -> set[str]:
    """Of the legs that are applied as far as our own books know."""
    legs = (json.loads(text) for (model, _), text in rows.items() if model == "Leg")
    return {leg["key"] for leg in legs if leg["state"] == "applied"}
