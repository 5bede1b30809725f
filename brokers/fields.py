"""Column types every tenant table shares."""

from typing import Any, TypeVar

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement
from django.db.models.constraints import BaseConstraint

from brokers.identifiers import new_public_id

SetType = TypeVar("SetType", contravariant=True)
GetType = TypeVar("GetType", covariant=True)


class TenantForeignKey(models.ForeignKey):  # type: ignore[type-arg]
    """A reference to a row of the same broker.

    The database holds it by a composite foreign key `(broker_id, x_id)` (see `TenantReference`), since its
    own checks bypass row-level security: a single-column key would let one broker's row point at another's.
    """

    def __init__(self, to: Any, on_delete: Any = models.PROTECT, **kwargs: Any) -> None:
        kwargs["db_constraint"] = False
        super().__init__(to, on_delete, **kwargs)


class TenantOneToOneField(models.OneToOneField):  # type: ignore[type-arg]
    """`TenantForeignKey` that at most one row may hold."""

    def __init__(self, to: Any, on_delete: Any = models.PROTECT, **kwargs: Any) -> None:
        kwargs["db_constraint"] = False
        super().__init__(to, on_delete, **kwargs)


class TenantReference(BaseConstraint):
    """`FOREIGN KEY (broker_id, <field>_id) REFERENCES <table> (broker_id, id)`, checked at commit."""

    def __init__(self, *, name: str, field: str) -> None:
        super().__init__(name=name)
        self.field = field

    def _statement(self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> Statement:
        quote = schema_editor.quote_name
        reference = model._meta.get_field(self.field)
        target = reference.remote_field.model  # type: ignore[union-attr]
        return Statement(
            "ALTER TABLE %(table)s ADD CONSTRAINT %(name)s FOREIGN KEY (broker_id, %(column)s)"
            " REFERENCES %(target)s (broker_id, id) DEFERRABLE INITIALLY DEFERRED",
            table=quote(model._meta.db_table),
            name=quote(self.name),
            column=quote(reference.column),  # type: ignore[union-attr, arg-type]
            target=quote(target._meta.db_table),
        )

    def constraint_sql(self, model: Any, schema_editor: Any) -> None:  # type: ignore[override]
        # The key it points to may be made later in the same migration, so it always comes last.
        schema_editor.deferred_sql.append(self._statement(model, schema_editor))

    create_sql = constraint_sql  # type: ignore[assignment]

    def remove_sql(self, model: Any, schema_editor: Any) -> str:
        quote = schema_editor.quote_name
        return f"ALTER TABLE {quote(model._meta.db_table)} DROP CONSTRAINT {quote(self.name)}"

    def validate(self, *args: Any, **kwargs: Any) -> None:
        """Left to the database: it is checked at commit."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TenantReference) and (self.name, self.field) == (other.name, other.field)

    __hash__ = None  # type: ignore[assignment]

    def deconstruct(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        path, args, kwargs = super().deconstruct()
        kwargs["field"] = self.field
        return path, tuple(args), kwargs


class PublicIdField(models.UUIDField):  # type: ignore[type-arg]
    """The identifier used outside: URLs, API, files."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("default", new_public_id)
        kwargs.setdefault("editable", False)
        super().__init__(**kwargs)


class AmountField(models.DecimalField[SetType, GetType]):
    """An amount of money.

    Whole minor units of the row's currency, which a CHECK holds (`whole_minor_units`).
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("max_digits", 28)
        kwargs.setdefault("decimal_places", 8)
        super().__init__(**kwargs)


class UnitsField(models.DecimalField[SetType, GetType]):
    """Units of a pool, 12 places."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("max_digits", 36)
        kwargs.setdefault("decimal_places", 12)
        super().__init__(**kwargs)


class AccumulatorField(models.DecimalField[SetType, GetType]):
    """A running sum or a carried fraction, 24 places."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("max_digits", 52)
        kwargs.setdefault("decimal_places", 24)
        super().__init__(**kwargs)


class RateField(models.DecimalField[SetType, GetType]):
    """A fraction: 0.20 is 20 %."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("max_digits", 12)
        kwargs.setdefault("decimal_places", 9)
        super().__init__(**kwargs)


def whole_minor_units(name: str, *fields: str) -> models.CheckConstraint:
    """The CHECK that each of `fields` is a whole number of minor units of the row's `currency_digits`."""
    condition = models.Q()
    for field in fields:
        condition &= models.Q(
            **{field: models.Func(models.F(field), models.F("currency_digits"), function="round")}
        )
    return models.CheckConstraint(condition=condition, name=name)
