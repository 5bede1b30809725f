"""Loading rows by COPY, as the tables' owner: under row-level security COPY FROM is refused."""

import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import count, islice
from typing import Any

from django.db import connection, models
from psycopg2 import sql

LINES_AT_ONCE = 500


class KeyRanges:
    """Primary keys known before their rows: counted here from the sequences, which `give_back` moves on.

    Only where nobody else writes: the keys are not drawn one by one.
    """

    def __init__(self, tables: Iterable[type[models.Model]]) -> None:
        # Asked for now: while COPY takes rows in, nothing else can be asked.
        self._counters: dict[type[models.Model], Iterator[int]] = {
            model: count(self._ask("nextval({})", model)) for model in tables
        }

    def next(self, model: type[models.Model]) -> int:
        return next(self._counters[model])

    def give_back(self) -> None:
        """Let each sequence go on behind the keys that were used."""
        for model, counter in self._counters.items():
            self._ask(f"setval({{}}, {next(counter)}, false)", model)

    def _ask(self, call: str, model: type[models.Model]) -> int:
        table = model._meta.db_table
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {call.format('pg_get_serial_sequence(%s, %s)')}", [table, "id"])
            (number,) = cursor.fetchone()
        return int(number)


def copy_rows(model: type[models.Model], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Append rows, given as values of the named fields (`account_id`, not `account`); how many there were."""
    fields = {field.attname: str(field.column) for field in model._meta.concrete_fields}
    lines = _Lines(rows)
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(model._meta.db_table),
        sql.SQL(", ").join(sql.Identifier(fields[name]) for name in columns),
    )
    with connection.cursor() as cursor:
        cursor.cursor.copy_expert(statement.as_string(cursor.cursor), lines)
    return lines.count


def copy_instances(model: type[models.Model], instances: Iterable[models.Model]) -> int:
    """Append model instances with all their columns; nothing is filled in for them."""
    columns = [field.attname for field in model._meta.concrete_fields]
    return copy_rows(model, columns, ([getattr(row, name) for name in columns] for row in instances))


class _Lines:
    """Rows as the text that COPY reads, made while the server takes it in."""

    def __init__(self, rows: Iterable[Sequence[Any]]) -> None:
        self.count = 0
        self._rows = iter(rows)
        self._rest = ""

    def read(self, size: int) -> str:
        while len(self._rest) < size:
            rows = list(islice(self._rows, LINES_AT_ONCE))
            if not rows:
                break
            self.count += len(rows)
            self._rest += "".join(["\t".join(map(_text, row)) + "\n" for row in rows])
        answer, self._rest = self._rest[:size], self._rest[size:]
        return answer


def _text(value: Any) -> str:
    write = _WRITERS.get(type(value))
    return write(value) if write is not None else _escaped(str(value))


def _escaped(text: str) -> str:
    if text.isalnum():
        return text
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


_WRITERS: dict[type, Callable[[Any], str]] = {
    type(None): lambda value: "\\N",
    bool: lambda value: "t" if value else "f",
    int: str,
    Decimal: str,
    uuid.UUID: str,
    str: _escaped,
    datetime: datetime.isoformat,
    dict: lambda value: _escaped(json.dumps(value)),
    list: lambda value: _escaped(json.dumps(value)),
}
