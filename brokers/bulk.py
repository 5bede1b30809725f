"""Writing many rows of one table in one statement: one array per column.

What Django does for each value of each row on the way to a bulk insert (expressions, placeholders, checks of
relations) took more than half of a rollover's time in Python; here it is done once per column.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection, models
from django.utils import timezone

from brokers.fields import (
    AccumulatorField,
    AmountField,
    PublicIdField,
    RateField,
    TenantForeignKey,
    TenantOneToOneField,
    UnitsField,
)
from brokers.scope import current_broker_id


def update_rows(rows: Sequence[models.Model], columns: Mapping[str, str]) -> None:
    """Write these columns of rows of one tenant table, in the caller's transaction, with one statement.

    `columns`: by name, the database's type. Unlike `bulk_update` its text does not grow with the rows.
    """
    if not rows:
        return
    table = connection.ops.quote_name(rows[0]._meta.db_table)
    names = ", ".join(columns)
    arrays = ", ".join(f"%s::{kind}[]" for kind in columns.values())
    assignments = ", ".join(f"{name} = v.{name}" for name in columns)
    # psycopg2 would take a column of lists for an array with more dimensions.
    values: list[list[Any]] = [
        [json.dumps(getattr(row, name)) if kind == "jsonb" else getattr(row, name) for row in rows]
        for name, kind in columns.items()
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} t SET {assignments}"  # noqa: S608 - our own tables and columns
            f" FROM unnest(%s::bigint[], {arrays}) AS v(id, {names}) WHERE t.broker_id = %s AND t.id = v.id",
            [[row.pk for row in rows], *values, current_broker_id()],
        )


_STORED_AS_THEY_ARE = frozenset(
    {
        models.BigIntegerField,
        models.BooleanField,
        models.CharField,
        models.DateTimeField,
        models.DecimalField,
        models.ForeignKey,
        models.IntegerField,
        models.PositiveIntegerField,
        models.PositiveSmallIntegerField,
        models.TextField,
        models.UUIDField,
        AccumulatorField,
        AmountField,
        PublicIdField,
        RateField,
        TenantForeignKey,
        TenantOneToOneField,
        UnitsField,
    }
)
"""Kinds of columns whose value in Python is the one the database takes. All others are asked (encrypted text,
JSON, bytes): a kind that is missing here costs time, one too many would store what nobody can read back.
"""


def insert_rows(rows: Sequence[models.Model]) -> None:
    """Insert new rows of one tenant table, with one statement, and give them their keys. They have none yet,
    and all are of the broker in scope.
    """
    if not rows:
        return
    model, now = type(rows[0]), timezone.now()
    columns: dict[str, Sequence[Any]] = {}
    for field in _insertable(model):
        if _is_dated(field):
            for row in rows:
                setattr(row, field.attname, now)
        columns[field.attname] = _values(rows, field)
    for row, pk in zip(rows, _insert(model, columns), strict=True):
        row.pk = pk
        row._state.adding = False
        row._state.db = connection.alias


def insert_values(
    model: type[models.Model], names: Sequence[str], rows: Sequence[Sequence[Any]]
) -> list[int]:
    """Insert rows of the broker in scope, given as values of the named fields (`account_id`, not `account`);
    the others have their defaults. Returns the keys. For what is written by the thousand and not looked at.
    """
    if not rows:
        return []
    now, number = timezone.now(), len(rows)
    columns: dict[str, Sequence[Any]] = {}
    given = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    for field in _insertable(model):
        if field.attname == "broker_id":
            columns["broker_id"] = [current_broker_id()] * number
        elif field.attname in given:
            if type(field) not in _STORED_AS_THEY_ARE:
                raise TypeError(f"{field} is not stored as it is: give rows instead")
            columns[field.attname] = given[field.attname]
        elif _is_dated(field):
            columns[field.attname] = [now] * number
        else:
            own = range(number) if callable(field.default) else (0,)
            defaults = [field.get_db_prep_save(field.get_default(), connection) for _ in own]
            columns[field.attname] = defaults if callable(field.default) else defaults * number
    return _insert(model, columns)


def _is_dated(field: Any) -> bool:
    return getattr(field, "auto_now_add", False) or getattr(field, "auto_now", False)


def _insertable(model: type[models.Model]) -> list[Any]:
    return [field for field in model._meta.concrete_fields if not field.primary_key]


def _insert(model: type[models.Model], columns: Mapping[str, Sequence[Any]]) -> list[int]:
    table, quoted = model._meta.db_table, connection.ops.quote_name
    fields = _insertable(model)
    values: list[Any] = [columns[field.attname] for field in fields]
    names = ", ".join(quoted(field.column) for field in fields)
    arrays = ", ".join(f"%s::{field.db_type(connection)}[]" for field in fields)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {quoted(table)} ({names}) SELECT * FROM unnest({arrays}) RETURNING id",  # noqa: S608
            values,
        )
        return [key for (key,) in cursor.fetchall()]


def _values(rows: Sequence[models.Model], field: Any) -> list[Any]:
    name = field.attname
    if type(field) not in _STORED_AS_THEY_ARE:
        return [field.get_db_prep_save(field.pre_save(row, add=True), connection) for row in rows]
    values = [getattr(row, name) for row in rows]
    if field.is_relation and None in values:
        # Tied to a row that had no key yet.
        for place, row in enumerate(rows):
            if values[place] is None and (related := field.get_cached_value(row, default=None)) is not None:
                values[place] = related.pk
                setattr(row, name, related.pk)
    return values
