"""The database's fence as PostgreSQL's own catalogue shows it."""

import json
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg2
import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from accounts.models import PammAccount
from brokers.fence import GLOBAL, KEPT, THIRD_PARTY, Kind, declared_tables
from brokers.scope import broker_scope
from brokers.secure import FenceIncomplete, secure_database
from tests.worlds import Pool, alice_bob_charlie, as_owner, broker_called

pytestmark = pytest.mark.django_db

FENCED = sorted(name for name, table in declared_tables().items() if table.policy)
TENANT = sorted(name for name, table in declared_tables().items() if table.kind in (Kind.TENANT, Kind.BROKER))
CHECKED = sorted(name for name, table in declared_tables().items() if table.checked_references)
NEW = 10**9
"""The key of a row that a test adds."""
HISTORY = sorted(name for name, table in declared_tables().items() if table.kind is Kind.HISTORY)
SCOPE_AS_STORED = "(NULLIF(current_setting('app.broker'::text, true), ''::text))::bigint"


def rows(query: str, *values: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())


@pytest.fixture
def owner() -> Iterator[Any]:
    """The owner's cursor; whatever it did is undone."""
    with as_owner() as cursor:
        yield cursor
        cursor.connection.rollback()


def test_table_of_schema_is_declared() -> None:
    present = {name for (name,) in rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    assert present == set(declared_tables())


def test_global_tables_are_these_and_no_others() -> None:
    assert set(GLOBAL) == {
        "brokers_hostname",
        "django_content_type",
        "django_migrations",
        "auth_permission",
        "auth_group",
        "auth_group_permissions",
    }


@pytest.mark.parametrize("table", FENCED)
def test_tenant_table_has_forced_security_and_exactly_the_policy(table: str) -> None:
    column = "id" if table == "brokers_broker" else "broker_id"
    flags = rows("SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE oid = %s::regclass", table)
    assert flags == [(True, True)]
    condition = f"({column} = {SCOPE_AS_STORED})"
    assert rows(
        "SELECT permissive, roles::text[], cmd, qual, with_check FROM pg_policies WHERE tablename = %s", table
    ) == [("PERMISSIVE", ["public"], "ALL", condition, condition)]


def test_application_role_owns_nothing_and_bypasses_nothing() -> None:
    assert rows("SELECT current_user, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user") == [
        ("pamm_app", False, False)
    ]
    assert rows("SELECT relname FROM pg_class WHERE relowner = current_user::regrole") == []
    assert rows("SELECT has_schema_privilege('public', 'CREATE')") == [(False,)]


def test_application_role_may_do_what_is_declared_and_nothing_else() -> None:
    granted: dict[str, set[str]] = {name: set() for name in declared_tables()}
    for table, privilege in rows(
        "SELECT relname, privilege_type FROM pg_class, aclexplode(relacl)"
        " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        " AND grantee IN (0, current_user::regrole)"
    ):
        granted[table].add(privilege)
    assert granted == {name: set(table.privileges) for name, table in declared_tables().items()}
    assert not any("TRUNCATE" in privileges for privileges in granted.values())
    by_column = rows(
        "SELECT relname, attname::text, privilege_type FROM pg_class"
        " JOIN pg_attribute ON attrelid = pg_class.oid,"
        " aclexplode(attacl) WHERE relnamespace = 'public'::regnamespace"
        " AND grantee IN (0, current_user::regrole)"
    )
    assert set(by_column) == {
        (name, column, "UPDATE") for name, table in declared_tables().items() for column in table.updates
    }


def test_foreign_key_between_tenant_tables_is_composite_and_never_cascades() -> None:
    found = rows(
        """
        SELECT source.relname, target.relname, confdeltype::text, confupdtype::text,
               array(SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS key(number, place)
                     JOIN pg_attribute ON attrelid = conrelid AND attnum = number ORDER BY place),
               array(SELECT attname::text FROM unnest(confkey) WITH ORDINALITY AS key(number, place)
                     JOIN pg_attribute ON attrelid = confrelid AND attnum = number ORDER BY place)
          FROM pg_constraint
          JOIN pg_class source ON source.oid = conrelid JOIN pg_class target ON target.oid = confrelid
         WHERE contype = 'f' AND connamespace = 'public'::regnamespace
        """
    )
    between_tenants = [row for row in found if row[1] in FENCED]
    assert len(between_tenants) > 40
    for source, target, on_delete, on_update, columns, referenced in between_tenants:
        assert source in FENCED, f"{source} outside every broker points into {target}"
        assert (columns[0], referenced) == ("broker_id", ["broker_id", "id"]), (source, target, columns)
        assert len(columns) == 2
        assert (on_delete, on_update) == ("a", "a"), (source, target)


def test_every_tenant_reference_of_the_models_is_held_by_the_database() -> None:
    """By a foreign key, or, of tables that a rollover fills by the hundred thousand, by a check of each
    statement.
    """
    from django.apps import apps

    from brokers.fields import TenantForeignKey, TenantOneToOneField

    keys = {
        (table, column)
        for table, column in rows(
            "SELECT relname, attname FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid"
            " JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[2]"
            " WHERE contype = 'f' AND cardinality(conkey) = 2"
        )
    }
    for table, arguments in rows(
        "SELECT relname, tgargs FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid"
        " WHERE tgname = 'references_exist' AND tgenabled = 'A'"
    ):
        columns_and_targets = bytes(arguments).decode().split("\0")[:-1]
        keys |= {(table, column) for column in columns_and_targets[::2]}
    for model in apps.get_models():
        for field in model._meta.local_fields:
            if isinstance(field, TenantForeignKey | TenantOneToOneField):
                assert (model._meta.db_table, field.column) in keys, f"{model._meta.label}.{field.name}"


@pytest.mark.parametrize("table", CHECKED)
def test_reference_checked_by_statement_must_be_to_a_row_of_the_same_broker(table: str) -> None:
    world = alice_bob_charlie()
    ours, theirs = _referenced(world.pool) | {"fees_charge": NEW}, _referenced(world.charlie_pool)
    with broker_scope(world.alpha.pk), connection.cursor() as cursor:
        if table == "fees_chargepart":
            _add_row(
                cursor, "fees_charge", id=NEW, broker_id=world.alpha.pk, **_pointing("fees_charge", ours)
            )
        for column, target in declared_tables()[table].checked_references.items():
            elsewhere = _pointing(table, ours) | {column: theirs.get(target, 77)}
            with pytest.raises(IntegrityError, match=f"{table}.{column} = "), transaction.atomic():
                _add_row(cursor, table, id=NEW, broker_id=world.alpha.pk, **elsewhere)
        _add_row(cursor, table, id=NEW, broker_id=world.alpha.pk, **_pointing(table, ours))


def test_row_referenced_by_a_checked_reference_stays() -> None:
    world = alice_bob_charlie()
    with broker_scope(world.alpha.pk), connection.cursor() as cursor:
        empty = PammAccount.objects.get(pk=world.pool.account.pk)
        empty.pk, empty.login, empty.opening_key, empty.public_id = None, 5, "empty", uuid.uuid4()
        empty.save()
        for statement in ("DELETE FROM {} WHERE id = %s", "UPDATE {} SET id = id + 1000 WHERE id = %s"):
            with pytest.raises(IntegrityError, match="is referenced by"), transaction.atomic():
                cursor.execute(statement.format("accounts_pammaccount"), [world.pool.account.pk])
        cursor.execute("DELETE FROM accounts_pammaccount WHERE id = %s", [empty.pk])
        assert cursor.rowcount == 1


def test_third_party_foreign_key_is_composite() -> None:
    for table, extension in THIRD_PARTY.items():
        for column in extension.references:
            assert rows(
                "SELECT 1 FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[2]"
                " WHERE conrelid = %s::regclass AND contype = 'f' AND attname = %s",
                table,
                column,
            )


def test_unique_key_of_tenant_table_holds_per_broker() -> None:
    """Identities are unique everywhere; whatever people choose is so per broker."""
    found = rows(
        """
        SELECT relname, array(SELECT attname::text FROM pg_attribute
                               WHERE attrelid = indrelid AND attnum = ANY (indkey::int2[]) ORDER BY attname)
          FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
         WHERE indisunique AND NOT indisprimary AND relname = ANY (%s)
        """,
        FENCED,
    )
    global_keys = {
        ("brokers_broker", ("public_id",)),
        ("brokers_broker", ("slug",)),
        ("account_emailconfirmation", ("key",)),
        # Of a person, whose id is unique everywhere.
        ("account_emailaddress", ("email", "user_id")),
        ("account_emailaddress", ("primary", "user_id")),
        ("account_emailaddress", ("user_id",)),
        ("mfa_authenticator", ("type", "user_id")),
    }
    for table, columns in found:
        is_reference = len(columns) == 1 and columns[0].endswith("_id") and columns[0] != "public_id"
        assert "broker_id" in columns or is_reference or (table, tuple(columns)) in global_keys, (
            table,
            columns,
        )


@pytest.mark.parametrize("table", HISTORY)
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET broker_id = broker_id", "DELETE FROM {}", "TRUNCATE {}"]
)
def test_history_change_by_application_is_refused(table: str, statement: str) -> None:
    with pytest.raises(DatabaseError, match="permission denied"), connection.cursor() as cursor:
        cursor.execute(statement.format(table))


@pytest.mark.parametrize("table", HISTORY)
def test_history_truncate_by_owner_is_refused(table: str, owner: Any) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="append-only"):
        owner.execute(f"TRUNCATE {table} CASCADE")


@pytest.mark.parametrize("statement", ["UPDATE offers_terms SET version = 2", "DELETE FROM offers_terms"])
def test_history_row_change_by_owner_is_refused(statement: str, owner: Any) -> None:
    _add_row(owner, "offers_terms")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="append-only"):
        owner.execute(statement)


def test_history_triggers_are_on_every_history_table() -> None:
    found = rows(
        "SELECT relname, count(*) FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid"
        " WHERE tgname IN ('history_refuses_changes', 'history_refuses_truncate') AND tgenabled = 'A'"
        " GROUP BY relname"
    )
    assert dict(found) == dict.fromkeys(HISTORY, 2)


@pytest.mark.parametrize("table", KEPT)
def test_row_that_is_kept_cannot_be_deleted_by_anybody(table: str, owner: Any) -> None:
    with pytest.raises(DatabaseError, match="permission denied"), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {table}")
    _add_row(owner, table, **FITTING.get(table, {}))
    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="keeps what was written"):
        owner.execute(f"DELETE FROM {table}")


@pytest.mark.parametrize("table", KEPT)
def test_what_was_decided_cannot_be_changed_by_the_owner(table: str, owner: Any) -> None:
    """Column by column; what changes with time does change, and what is filled in once is."""
    kept = KEPT[table]
    _drop_checks(owner, table)
    _add_row(owner, table)
    for column in (*kept.decided, *kept.once):
        owner.execute("SAVEPOINT before")
        owner.execute(
            "SELECT data_type FROM information_schema.columns WHERE table_name = %s AND column_name = %s",
            [table, column],
        )
        first, other = OTHER.get(owner.fetchone()[0], ("2", "3"))
        if column in kept.once:
            owner.execute(f"UPDATE {table} SET {column} = {first}")
            assert owner.rowcount == 1
        with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="keeps what was written: UPDATE"):
            owner.execute(f"UPDATE {table} SET {column} = {other}")
        owner.execute("ROLLBACK TO SAVEPOINT before")
    owner.execute(f"UPDATE {table} SET {kept.decided[0]} = {kept.decided[0]}")
    assert owner.rowcount == 1


@pytest.mark.parametrize("table", [name for name, kept in KEPT.items() if kept.by_column])
def test_what_was_decided_cannot_be_changed_by_the_application(table: str) -> None:
    for column in KEPT[table].decided:
        with (
            pytest.raises(DatabaseError, match="permission denied"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(f"UPDATE {table} SET {column} = {column}")
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET state = state")


@pytest.mark.parametrize("table", TENANT)
def test_tenant_table_truncate_by_owner_is_refused(table: str, owner: Any) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="TRUNCATE refused"):
        owner.execute(f"TRUNCATE {table} CASCADE")


def test_secure_database_replaces_a_trigger_that_was_declared_otherwise(owner: Any) -> None:
    owner.execute(
        "CREATE TRIGGER kept_row_refuses_change_former BEFORE UPDATE ON transfers_leg"
        " FOR EACH ROW WHEN (old.state IS DISTINCT FROM new.state) EXECUTE FUNCTION refuse_loss()"
    )
    secure_database(owner, "pamm_app")
    owner.execute(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = 'transfers_leg'::regclass AND tgname LIKE 'kept_row%'"
    )
    names = [name for (name,) in owner.fetchall()]
    assert len(names) == 2
    assert "kept_row_refuses_change_former" not in names


def test_truncate_by_application_is_refused_everywhere() -> None:
    for table in declared_tables():
        with (
            pytest.raises(DatabaseError, match="permission denied"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(f'TRUNCATE "{table}" CASCADE')


def test_secure_database_refuses_a_table_nobody_declared(owner: Any) -> None:
    owner.execute("CREATE TABLE left_lying (id bigint)")
    with pytest.raises(FenceIncomplete, match="left_lying"):
        secure_database(owner, "pamm_app")


def test_secure_database_refuses_a_view_which_would_see_with_its_owners_eyes(owner: Any) -> None:
    owner.execute("CREATE VIEW everybody AS SELECT * FROM accounts_user")
    with pytest.raises(FenceIncomplete, match="everybody"):
        secure_database(owner, "pamm_app")


def test_secure_database_refuses_an_application_role_that_owns_tables(owner: Any) -> None:
    with pytest.raises(FenceIncomplete, match="owns tables"):
        secure_database(owner, "pamm_owner")


def test_secure_database_repairs_what_was_loosened(owner: Any) -> None:
    owner.execute("ALTER TABLE accounts_user NO FORCE ROW LEVEL SECURITY")
    owner.execute("CREATE POLICY everybody ON accounts_user USING (true)")
    owner.execute("GRANT UPDATE (name) ON offers_offer TO pamm_app")
    owner.execute("GRANT DELETE ON ledger_posting TO PUBLIC")
    secure_database(owner, "pamm_app")
    owner.execute("SELECT relforcerowsecurity FROM pg_class WHERE relname = 'accounts_user'")
    assert owner.fetchone() == (True,)
    owner.execute("SELECT policyname FROM pg_policies WHERE tablename = 'accounts_user'")
    assert owner.fetchall() == [("own_broker",)]
    owner.execute("SELECT has_table_privilege('pamm_app', 'ledger_posting', 'DELETE')")
    assert owner.fetchone() == (False,)


def test_secure_database_repeated_waits_for_no_lock(owner: Any) -> None:
    """A repeat on a running system changes nothing that needs a table's lock."""
    with broker_scope(broker_called("alpha").pk), connection.cursor() as cursor:
        for table in FENCED:
            cursor.execute(f'SELECT count(*) FROM "{table}"')
        owner.execute("SET LOCAL lock_timeout = '200ms'")
        secure_database(owner, "pamm_app")


def test_entry_that_does_not_balance_is_refused_by_the_database() -> None:
    world = alice_bob_charlie()
    with broker_scope(world.alpha.pk), pytest.raises(DatabaseError, match="do not sum to zero"):
        _post({"USD": ["1.00", "-0.99"]})


def test_entry_that_balances_over_two_currencies_only_is_refused_by_the_database() -> None:
    world = alice_bob_charlie()
    with broker_scope(world.alpha.pk), pytest.raises(DatabaseError, match="do not sum to zero"):
        _post({"USD": ["1.00"], "EUR": ["-1.00"]})


def test_entry_that_balances_in_each_currency_is_kept() -> None:
    world = alice_bob_charlie()
    with broker_scope(world.alpha.pk):
        _post({"USD": ["1.00", "-1.00"], "EUR": ["2.00", "-2.00"]})


def test_posting_added_to_a_balanced_entry_is_refused_by_the_database() -> None:
    world = alice_bob_charlie()
    with broker_scope(world.alpha.pk):
        entry = _post({"USD": ["1.00", "-1.00"]})
        with pytest.raises(DatabaseError, match="do not sum to zero"):
            _post({"USD": ["0.01"]}, entry)


def _post(amounts: dict[str, list[str]], entry: Any = None) -> Any:
    from decimal import Decimal

    from django.utils import timezone

    from ledger.models import Entry, LedgerAccount, Posting

    entry = entry or Entry.objects.create(kind="test", source="test", occurred_at=timezone.now())
    accounts = {
        currency: LedgerAccount.objects.get_or_create(
            kind=LedgerAccount.Kind.HOUSE_CASH,
            subject="00000000-0000-7000-8000-000000000001",
            currency=currency,
            currency_digits=2,
        )[0]
        for currency in amounts
    }
    Posting.objects.bulk_create(
        Posting(entry=entry, account=accounts[currency], amount=Decimal(amount), currency_digits=2)
        for currency, lines in amounts.items()
        for amount in lines
    )
    return entry


OTHER = {
    "uuid": ("'00000000-0000-7000-8000-000000000002'", "'00000000-0000-7000-8000-000000000003'"),
    "timestamp with time zone": ("'2027-01-01'", "'2028-01-01'"),
    "boolean": ("true", "false"),
    "character varying": ("'y'", "'z'"),
}
"""Two values of a type besides those of `_any_row`; of numbers 2 and 3."""


def _referenced(pool: Pool) -> dict[str, int | None]:
    """By table, the row of a pool that others refer to."""
    return {
        "accounts_pammaccount": pool.account.pk,
        "allocation_investment": pool.investment.pk,
        "allocation_pricepoint": pool.investment.joined_id,
    }


def _pointing(table: str, rows: Mapping[str, int | None]) -> dict[str, int | None]:
    return {column: rows[target] for column, target in declared_tables()[table].checked_references.items()}


FITTING = {"investing_stop": {"state": "active"}}
"""What a row of a table needs besides those values to meet its checks."""


def _drop_checks(cursor: Any, table: str) -> None:
    """Columns are changed one at a time here, whatever they have to do with each other."""
    cursor.execute(
        "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'c'", [table]
    )
    for (name,) in cursor.fetchall():
        cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')


def _add_row(cursor: Any, table: str, **values: object) -> None:
    row = _any_row(cursor, table)
    cursor.execute(
        "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
        [table],
    )
    columns = cursor.fetchone()[0]
    cursor.execute(
        f"INSERT INTO {table} ({columns})"
        f" SELECT {columns} FROM jsonb_populate_record(NULL::{table}, %s::jsonb || %s::jsonb)",
        [row, json.dumps(values)],
    )


def _any_row(cursor: Any, table: str) -> str:
    """A row of `table` as JSON: 1 where a value is obligatory."""
    cursor.execute(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_name = %s AND is_nullable = 'NO'",
        [table],
    )
    samples = {
        "uuid": "00000000-0000-7000-8000-000000000001",
        "timestamp with time zone": "2026-01-01T00:00:00Z",
        "jsonb": {},
        "boolean": True,
        "character varying": "x",
    }
    row = {name: samples.get(kind, 1) for name, kind in cursor.fetchall()}
    # One of its two ends is obligatory.
    return json.dumps(row | ({"ends_after_sequence": 1} if table == "allocation_interval" else {}))
