"""Every table × a stranger: through the ORM, raw SQL, relations, bulk writes; and without any scope."""

import contextlib
import copy
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from brokers.fence import EVERYTHING, declared_tables
from brokers.fields import TenantForeignKey, TenantOneToOneField
from brokers.models import Broker
from brokers.scope import ForeignBroker, NoBrokerScope, broker_scope
from brokers.tenancy import HistoryIsAppendOnly, HistoryModel
from tests.isolation.conftest import Rows
from tests.isolation.rows import TENANT_MODELS, THIRD_PARTY_MODELS
from tests.worlds import AliceBobCharlie

every_tenant_model = pytest.mark.parametrize("model", TENANT_MODELS, ids=lambda model: model._meta.label)
every_model = pytest.mark.parametrize(
    "model", TENANT_MODELS + THIRD_PARTY_MODELS, ids=lambda model: model._meta.label
)


def raw(statement: str, *values: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall()) if cursor.description else [cursor.rowcount]


def test_there_is_a_model_behind_every_tenant_table() -> None:
    assert len(TENANT_MODELS) >= 25
    assert len(THIRD_PARTY_MODELS) == 5


@every_model
def test_row_of_another_broker_does_not_exist(
    model: Any, world: AliceBobCharlie, alphas: Rows, betas: Rows
) -> None:
    foreign, own = alphas[model], betas[model]
    with broker_scope(world.beta.pk):
        assert not model.objects.filter(pk=foreign.pk).exists()
        assert model.objects.filter(pk=own.pk).exists()
        assert foreign.pk not in set(model.objects.values_list("pk", flat=True))
        assert model.objects.in_bulk([foreign.pk]) == {}
        with pytest.raises(model.DoesNotExist):
            model.objects.get(pk=foreign.pk)
        with pytest.raises(model.DoesNotExist):
            foreign.refresh_from_db()
        assert model.objects.raw(f'SELECT * FROM "{model._meta.db_table}"').__len__() == model.objects.count()


@every_model
def test_raw_sql_sees_own_rows_only_and_none_without_scope(
    model: Any, world: AliceBobCharlie, alphas: Rows, betas: Rows
) -> None:
    table = model._meta.db_table
    with broker_scope(world.beta.pk):
        assert {broker for (broker,) in raw(f'SELECT DISTINCT broker_id FROM "{table}"')} == {world.beta.pk}
    assert raw(f'SELECT count(*) FROM "{table}"') == [(0,)]


@every_model
def test_raw_sql_writes_no_row_for_another_broker(
    model: Any, world: AliceBobCharlie, alphas: Rows, betas: Rows
) -> None:
    table, key = model._meta.db_table, model._meta.pk.column
    columns = ", ".join(
        f'"{field.column}"'
        for field in model._meta.concrete_fields
        if field.column not in {key, "broker_id"} and not field.generated
    )
    new_key = "'smuggled'" if model._meta.pk.get_internal_type() == "CharField" else "987654321"
    statement = (
        f'INSERT INTO "{table}" ({key}, broker_id, {columns}) SELECT {new_key}, %s, {columns} FROM "{table}"'
    )
    with (
        broker_scope(world.beta.pk),
        pytest.raises(DatabaseError, match="row-level security"),
        transaction.atomic(),
    ):
        raw(statement + " LIMIT 1", world.alpha.pk)
    assert raw(statement, world.alpha.pk) == [0]


@every_model
def test_raw_sql_moves_no_row_to_another_broker(model: Any, world: AliceBobCharlie, betas: Rows) -> None:
    with (
        broker_scope(world.beta.pk),
        pytest.raises(DatabaseError, match=r"row-level security|permission denied|keeps what was written"),
        transaction.atomic(),
    ):
        raw(f'UPDATE "{model._meta.db_table}" SET broker_id = %s', world.alpha.pk)


@every_tenant_model
def test_update_and_delete_of_another_brokers_row_touch_nothing(
    model: Any, world: AliceBobCharlie, alphas: Rows, betas: Rows
) -> None:
    foreign = alphas[model]
    writes: tuple[Any, ...] = (
        lambda: model.objects.filter(pk=foreign.pk).update(broker_id=world.beta.pk),
        lambda: model.objects.filter(pk=foreign.pk).delete()[0],
        lambda: model.objects.filter(pk=foreign.pk)._raw_delete("default"),
    )
    with broker_scope(world.beta.pk):
        for write in writes:
            if set(declared_tables()[model._meta.db_table].privileges) != set(EVERYTHING):
                # `delete` finds nothing to delete and sends nothing.
                with contextlib.suppress(DatabaseError), transaction.atomic():
                    assert write() == 0
            else:
                assert write() == 0
    with broker_scope(world.alpha.pk):
        assert model.objects.filter(pk=foreign.pk).exists()


@every_tenant_model
def test_object_of_another_broker_is_not_written(
    model: Any, world: AliceBobCharlie, alphas: Rows, betas: Rows
) -> None:
    foreign = alphas[model]
    refusals = (ForeignBroker, HistoryIsAppendOnly)
    with broker_scope(world.beta.pk):
        for write in (
            foreign.save,
            foreign.delete,
            lambda: model.objects.bulk_update([foreign], ["broker"]),
            lambda: model.objects.bulk_create([foreign]),
            lambda: model.objects.create(broker_id=world.alpha.pk),
        ):
            with pytest.raises(refusals):
                write()


@every_tenant_model
def test_query_made_in_one_scope_and_run_in_another_finds_nothing(
    model: Any, world: AliceBobCharlie, alphas: Rows, betas: Rows
) -> None:
    with broker_scope(world.alpha.pk):
        prepared = model.objects.filter(pk=alphas[model].pk)
    with broker_scope(world.beta.pk):
        assert list(prepared) == []


REFERENCES = [
    pytest.param(model, field, id=f"{model._meta.label}.{field.name}")
    for model in TENANT_MODELS
    for field in model._meta.local_fields
    if isinstance(field, TenantForeignKey | TenantOneToOneField)
]


def _may_change(model: Any, field: Any) -> bool:
    kept = declared_tables()[model._meta.db_table].kept
    return not issubclass(model, HistoryModel) and (
        kept is None or field.column not in (*kept.decided, *kept.once)
    )


CHANGEABLE = [reference for reference in REFERENCES if _may_change(*reference.values)]


@pytest.mark.parametrize(("model", "field"), CHANGEABLE)
def test_reference_to_another_brokers_row_is_refused_by_the_database(
    model: Any, field: Any, world: AliceBobCharlie, alphas: Rows, betas: Rows
) -> None:
    """What never changes cannot be tried; that its keys are composite too stands in the catalogue's tests."""
    table = model._meta.db_table
    with (
        broker_scope(world.beta.pk),
        pytest.raises(IntegrityError, match=f"{table}_{field.name}_ref|{table}_{field.column}_key"),
        transaction.atomic(),
    ):
        _point(table, field.column, at=alphas[field.related_model].pk, row=betas[model].pk)


def _point(table: str, column: str, *, at: Any, row: Any) -> None:
    raw(f'UPDATE "{table}" SET "{column}" = %s WHERE id = %s', at, row)
    raw("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.parametrize(("model", "field"), REFERENCES)
def test_relation_of_a_strayed_object_leads_nowhere(
    model: Any, field: Any, world: AliceBobCharlie, alphas: Rows
) -> None:
    with broker_scope(world.alpha.pk):
        strayed = model.objects.get(pk=alphas[model].pk)
    if getattr(strayed, field.attname) is None:
        return
    with broker_scope(world.beta.pk), pytest.raises(field.related_model.DoesNotExist):
        getattr(strayed, field.name)
    with broker_scope(None), pytest.raises(NoBrokerScope):
        getattr(strayed, field.name)


@pytest.mark.parametrize("model", [*TENANT_MODELS, Broker], ids=lambda model: model._meta.label)
def test_model_without_scope_raises(model: Any, world: AliceBobCharlie) -> None:
    doors: tuple[Any, ...] = (
        lambda: model.objects.count(),
        lambda: model.objects.exists(),
        lambda: model.objects.all(),
        lambda: model.objects.first(),
        lambda: model.objects.filter(pk=1).update(pk=1),
        lambda: model.objects.filter(pk=1).delete(),
        lambda: model.objects.create(),
        lambda: model.objects.bulk_create([model()]),
        lambda: model.objects.raw("SELECT 1"),
        lambda: model().save(),
        lambda: model._base_manager.count(),
        lambda: model._default_manager.count(),
    )
    for door in doors:
        with pytest.raises(NoBrokerScope):
            door()


@pytest.mark.parametrize("model", THIRD_PARTY_MODELS, ids=lambda model: model._meta.label)
def test_third_party_row_without_scope_is_neither_seen_nor_written(
    model: Any, world: AliceBobCharlie, alphas: Rows
) -> None:
    assert not model.objects.exists()
    row = copy.copy(alphas[model])
    row.pk = "another" if isinstance(row.pk, str) else None
    row._state.adding = True
    with pytest.raises(DatabaseError, match=r"row-level security|not-null"), transaction.atomic():
        row.save(force_insert=True)


def test_database_of_one_scope_sees_no_rows_of_many_after_rollbacks(world: AliceBobCharlie) -> None:
    """The same connection, scopes alternating, savepoints rolled back in between."""
    from accounts.models import User

    for turn in range(200):
        broker = (world.alpha, world.beta)[turn % 2]
        with broker_scope(broker.pk):
            with transaction.atomic():
                User.objects.count()
                transaction.set_rollback(turn % 3 == 0)
            assert {row for (row,) in raw("SELECT DISTINCT broker_id FROM accounts_user")} == {broker.pk}
