"""Base classes of every table that belongs to a broker.

The application's fence (the database's is row-level security).
"""

from collections.abc import Iterable
from typing import Any, ClassVar, TypeVar

from django.db import models
from django.db.models.base import ModelBase

from brokers.bulk import insert_rows
from brokers.fields import TenantForeignKey, TenantOneToOneField, TenantReference
from brokers.scope import ForeignBroker, broker_id_or_none, current_broker_id

M = TypeVar("M", bound=models.Model, covariant=True)


class TenantQuerySet(models.QuerySet[M]):
    """Rows of the broker in scope; rows it writes belong to that broker."""

    def bulk_create(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> list[Any]:
        rows = list(objs)
        for row in rows:
            _claim(row)
        if args or set(kwargs) - {"batch_size"} or any(row.pk is not None for row in rows):
            return super().bulk_create(rows, *args, **kwargs)
        size = kwargs.get("batch_size") or len(rows) or 1
        for start in range(0, len(rows), size):
            insert_rows(rows[start : start + size])
        return rows

    def bulk_update(self, objs: Iterable[Any], *args: Any, **kwargs: Any) -> int:
        rows = list(objs)
        for row in rows:
            _claim(row)
        return super().bulk_update(rows, *args, **kwargs)


class TenantManager(models.Manager[M]):
    """The only manager of a tenant model, related objects included.

    Raises `NoBrokerScope` outside a scope.
    """

    use_in_migrations = False

    def get_queryset(self) -> TenantQuerySet[M]:
        return self._rows().filter(broker_id=current_broker_id())

    def none(self) -> TenantQuerySet[M]:
        """No rows of nobody: forms may name it when they are defined, before any scope is entered."""
        return self._rows().none()

    def _rows(self) -> TenantQuerySet[M]:
        return TenantQuerySet(self.model, using=self._db)


class TenantModelBase(ModelBase):
    """Adds to every concrete tenant model what `DESIGN` asks of all of them.

    `UNIQUE (broker_id, id)`, the target of composite references; one `TenantReference` per foreign key; and
    the scoped manager for related access too.
    """

    def __new__(mcs, name: str, bases: tuple[type, ...], attrs: dict[str, Any], **kwargs: Any) -> Any:
        model: Any = super().__new__(mcs, name, bases, attrs, **kwargs)
        options = model._meta
        if options.abstract or options.proxy:
            return model
        table = options.db_table
        constraints = [
            *options.constraints,
            models.UniqueConstraint(fields=["broker", "id"], name=_identifier(table, "tenant_key")),
        ]
        for field in options.local_fields if model.references_are_keys else ():
            if isinstance(field, TenantForeignKey | TenantOneToOneField):
                constraints.append(
                    TenantReference(name=_identifier(table, f"{field.name}_ref"), field=field.name)
                )
        options.constraints = constraints
        options.original_attrs["constraints"] = constraints
        options.base_manager_name = "objects"
        options.__dict__.pop("base_manager", None)
        return model


class TenantModel(models.Model, metaclass=TenantModelBase):
    """A row of one broker. `broker` is taken from the scope and can never be another's."""

    broker = models.ForeignKey(
        "brokers.Broker", on_delete=models.PROTECT, db_constraint=False, db_index=False, related_name="+",
        default=broker_id_or_none, editable=False,
    )  # fmt: skip
    broker_id: int

    objects = TenantManager()

    #: Tables whose rows never change: the application role may only read and insert (see `secure_database`).
    append_only: ClassVar[bool] = False
    #: Whether each reference is a foreign key of the database, which checks it row by row.
    references_are_keys: ClassVar[bool] = True

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        _claim(self)
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        _claim(self)
        return super().delete(*args, **kwargs)


class HistoryModel(TenantModel):
    """An append-only row.

    Corrections are new rows. The database refuses changes too (privileges, then triggers).
    """

    append_only = True

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise HistoryIsAppendOnly(self._meta.label)
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise HistoryIsAppendOnly(self._meta.label)


class BulkHistoryModel(HistoryModel):
    """History of which one rollover may write a million rows.

    Its references are checked once for all rows of a statement, when it ends, and not row by row at commit,
    where they would cost more than all else (see `brokers.secure`). So what they point to is written before.
    """

    references_are_keys = False

    class Meta:
        abstract = True


class HistoryIsAppendOnly(RuntimeError):
    """Code tried to change or delete a row of history."""


def _claim(row: Any) -> None:
    scope = current_broker_id()
    if row.broker_id is None:
        row.broker_id = scope
    if row.broker_id != scope:
        raise ForeignBroker(f"{row._meta.label} of broker {row.broker_id} in the scope of {scope}")


def _identifier(table: str, suffix: str) -> str:
    # PostgreSQL cuts identifiers at 63 characters without a word.
    name = f"{table}_{suffix}"
    if len(name) > 63:
        raise ValueError(f"constraint name too long: {name}")
    return name
