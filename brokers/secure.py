"""Puts the declaration of `brokers.fence` into the database. Idempotent: what stands already is left alone.

Statements that lock a table (policies, triggers, keys) are sent only where something is missing, so a repeat
on a running system waits for nobody.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from brokers.fence import (
    FILL_FACTORS,
    SCOPE,
    THIRD_PARTY,
    Kept,
    Kind,
    Table,
    ThirdParty,
    declared_tables,
)

POLICY = "own_broker"
HISTORY_ROWS = "history_refuses_changes"
HISTORY_TRUNCATE = "history_refuses_truncate"
KEPT_ROWS = "kept_row_refuses_delete"
KEPT_COLUMNS = "kept_row_refuses_change"
TENANT_TRUNCATE = "tenant_refuses_truncate"
LEDGER_BALANCE = "entry_balances"
REFERENCES = "references_exist"
REFERENCED = "referenced_row_stays"

FUNCTIONS = (
    """
    CREATE OR REPLACE FUNCTION public.refuse_change_of_history() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE =
        'insufficient_privilege';
    END $$
    """,
    """
    CREATE OR REPLACE FUNCTION public.refuse_loss() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% keeps what was written: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE =
        'insufficient_privilege';
    END $$
    """,
    # The names are qualified: a temporary table of the same name would be found first. Planned anew each
    # time: a plan made for the thousands of lines of a rollover reads all postings for the two of a transfer.
    """
    CREATE OR REPLACE FUNCTION public.require_balanced_entries() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        is_unbalanced boolean;
    BEGIN
        EXECUTE
            'SELECT EXISTS (SELECT FROM (SELECT DISTINCT broker_id, entry_id FROM inserted) entry'
            ' JOIN public.ledger_posting posting'
            ' ON posting.broker_id = entry.broker_id AND posting.entry_id = entry.entry_id'
            ' JOIN public.ledger_ledgeraccount account'
            ' ON account.broker_id = posting.broker_id AND account.id = posting.account_id'
            ' GROUP BY posting.broker_id, posting.entry_id, account.currency'
            ' HAVING sum(posting.amount) <> 0)'
            INTO is_unbalanced;
        IF is_unbalanced THEN
            RAISE EXCEPTION 'the postings of an entry do not sum to zero' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$
    """,
    # Arguments: column and table of each reference. Not LIMIT 1: the planner would expect to find one soon.
    """
    CREATE OR REPLACE FUNCTION public.require_references() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        missing bigint;
    BEGIN
        FOR argument IN 0 .. TG_NARGS - 1 BY 2 LOOP
            EXECUTE format(
                'SELECT min(key) FROM (SELECT DISTINCT broker_id, %1$I AS key FROM inserted) reference'
                ' WHERE key IS NOT NULL AND NOT EXISTS (SELECT FROM public.%2$I target'
                ' WHERE target.broker_id = reference.broker_id AND target.id = reference.key)',
                TG_ARGV[argument], TG_ARGV[argument + 1]
            ) INTO missing;
            IF missing IS NOT NULL THEN
                RAISE EXCEPTION '%.% = % is not in %', TG_TABLE_NAME, TG_ARGV[argument], missing,
                    TG_ARGV[argument + 1] USING ERRCODE = 'foreign_key_violation';
            END IF;
        END LOOP;
        RETURN NULL;
    END $$
    """,
    # Arguments: table and column of each reference to this one.
    """
    CREATE OR REPLACE FUNCTION public.refuse_while_referenced() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        is_referenced boolean;
    BEGIN
        FOR argument IN 0 .. TG_NARGS - 1 BY 2 LOOP
            EXECUTE format(
                'SELECT EXISTS (SELECT FROM public.%1$I WHERE broker_id = $1 AND %2$I = $2)',
                TG_ARGV[argument], TG_ARGV[argument + 1]
            ) INTO is_referenced USING OLD.broker_id, OLD.id;
            IF is_referenced THEN
                RAISE EXCEPTION '% % is referenced by %', TG_TABLE_NAME, OLD.id, TG_ARGV[argument]
                    USING ERRCODE = 'foreign_key_violation';
            END IF;
        END LOOP;
        RETURN NULL;
    END $$
    """,
)
FUNCTION_NAMES = (
    "refuse_change_of_history", "refuse_loss", "require_balanced_entries", "require_references",
    "refuse_while_referenced",
)  # fmt: skip


class FenceIncomplete(RuntimeError):
    """Database and declaration differ in their tables, or the application role is unfit."""


def secure_database(cursor: Any, app_role: str) -> int:
    """Apply the declaration inside the caller's transaction; returns the number of tables.

    Raises `FenceIncomplete` for a table (or view) that is not declared, a declared one that is missing, and
    an application role that owns tables or may bypass row-level security.
    """
    tables = declared_tables()
    _require_complete(cursor, set(tables))
    _require_plain_role(cursor, app_role)
    role = _quoted(app_role)
    _secure_schema(cursor, role)
    for name, extension in THIRD_PARTY.items():
        _extend(cursor, name, extension)
    for table in tables.values():
        _grant(cursor, table, role)
        _fence(cursor, table)
        if table.kind is Kind.HISTORY:
            _freeze(cursor, table.name)
        elif table.kind in (Kind.TENANT, Kind.BROKER):
            event = "BEFORE TRUNCATE ON {} FOR EACH STATEMENT"
            _ensure_trigger(cursor, table.name, TENANT_TRUNCATE, event, "refuse_loss")
        if table.kept is not None:
            _keep(cursor, table.name, table.kept)
    _require_balance(cursor)
    _require_references(cursor, tables)
    _fill(cursor)
    return len(tables)


def _require_complete(cursor: Any, declared: set[str]) -> None:
    # Partitions are reached through their parent only; views would run with their owner's eyes, so they count
    # too.
    cursor.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT relispartition"
    )
    present = {name for (name,) in cursor.fetchall()}
    if unknown := present - declared:
        raise FenceIncomplete(f"not declared in brokers.fence: {', '.join(sorted(unknown))}")
    if missing := declared - present:
        raise FenceIncomplete(f"declared but not there (migrate first): {', '.join(sorted(missing))}")


def _require_plain_role(cursor: Any, role: str) -> None:
    cursor.execute(
        "SELECT rolsuper OR rolbypassrls OR rolreplication FROM pg_roles WHERE rolname = %s", [role]
    )
    row = cursor.fetchone()
    if row is None:
        raise FenceIncomplete(f"role {role} does not exist")
    cursor.execute(
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        " AND pg_has_role(%s, relowner, 'MEMBER')",
        [role],
    )
    if row[0] or cursor.fetchone()[0]:
        raise FenceIncomplete(f"role {role} owns tables or may bypass row-level security")


def _secure_schema(cursor: Any, role: str) -> None:
    cursor.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    cursor.execute(f"REVOKE ALL ON SCHEMA public FROM {role}")
    cursor.execute(f"GRANT USAGE ON SCHEMA public TO {role}")
    for objects in ("TABLES", "SEQUENCES", "FUNCTIONS", "TYPES"):
        cursor.execute(f"ALTER DEFAULT PRIVILEGES REVOKE ALL ON {objects} FROM PUBLIC")
        cursor.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON {objects} FROM {role}")
    for statement in FUNCTIONS:
        cursor.execute(statement)
    for name in FUNCTION_NAMES:
        cursor.execute(f"REVOKE ALL ON FUNCTION public.{name}() FROM PUBLIC, {role}")


def _grant(cursor: Any, table: Table, role: str) -> None:
    cursor.execute(f"REVOKE ALL ON TABLE {_quoted(table.name)} FROM PUBLIC, {role}")
    cursor.execute(f"GRANT {', '.join(table.privileges)} ON TABLE {_quoted(table.name)} TO {role}")
    if table.updates:
        columns = ", ".join(map(_quoted, table.updates))
        cursor.execute(f"GRANT UPDATE ({columns}) ON TABLE {_quoted(table.name)} TO {role}")
    cursor.execute(
        "SELECT sequence.relname FROM pg_depend JOIN pg_class sequence"
        " ON sequence.oid = objid AND relkind = 'S'"
        " WHERE classid = 'pg_class'::regclass AND refobjid = %s::regclass AND deptype IN ('a', 'i')",
        [_quoted(table.name)],
    )
    for (sequence,) in cursor.fetchall():
        cursor.execute(f"REVOKE ALL ON SEQUENCE {_quoted(sequence)} FROM PUBLIC, {role}")
        if "INSERT" in table.privileges:
            cursor.execute(f"GRANT USAGE ON SEQUENCE {_quoted(sequence)} TO {role}")


def _fence(cursor: Any, table: Table) -> None:
    if table.policy is None:
        return
    name = _quoted(table.name)
    cursor.execute(
        "SELECT relrowsecurity AND relforcerowsecurity FROM pg_class WHERE oid = %s::regclass", [name]
    )
    if not cursor.fetchone()[0]:
        cursor.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
        cursor.execute(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")
    if _policies(cursor, table.name) == [
        (POLICY, "ALL", True, ["public"], _stored(table.policy), _stored(table.policy))
    ]:
        return
    for policy, *_ in _policies(cursor, table.name):
        cursor.execute(f"DROP POLICY {_quoted(policy)} ON {name}")
    cursor.execute(f"CREATE POLICY {POLICY} ON {name} USING ({table.policy}) WITH CHECK ({table.policy})")


def _policies(cursor: Any, table: str) -> list[tuple[Any, ...]]:
    cursor.execute(
        "SELECT policyname, cmd, permissive = 'PERMISSIVE', roles::text[], qual, with_check FROM pg_policies"
        " WHERE schemaname = 'public' AND tablename = %s ORDER BY policyname",
        [table],
    )
    return list(cursor.fetchall())


def _stored(policy: str) -> str:
    """A policy as PostgreSQL writes it back."""
    column = policy.partition(" ")[0]
    return f"({column} = (NULLIF(current_setting('app.broker'::text, true), ''::text))::bigint)"


def _freeze(cursor: Any, table: str) -> None:
    for trigger, event in (
        (HISTORY_ROWS, "BEFORE UPDATE OR DELETE ON {} FOR EACH ROW"),
        (HISTORY_TRUNCATE, "BEFORE TRUNCATE ON {} FOR EACH STATEMENT"),
    ):
        _ensure_trigger(cursor, table, trigger, event, "refuse_change_of_history")


def _keep(cursor: Any, table: str, kept: Kept) -> None:
    _ensure_trigger(cursor, table, KEPT_ROWS, "BEFORE DELETE ON {} FOR EACH ROW", "refuse_loss")
    changes = [f"old.{column} IS DISTINCT FROM new.{column}" for column in map(_quoted, kept.decided)]
    changes += [
        f"(old.{column} IS NOT NULL AND old.{column} IS DISTINCT FROM new.{column})"
        for column in map(_quoted, kept.once)
    ]
    condition = " OR ".join(changes)
    # Named after what it refuses: a changed declaration makes a new one.
    name = f"{KEPT_COLUMNS}_{hashlib.sha256(condition.encode()).hexdigest()[:8]}"
    event = f"BEFORE UPDATE ON {{}} FOR EACH ROW WHEN ({condition})"
    _ensure_trigger(cursor, table, name, event, "refuse_loss")
    cursor.execute(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND starts_with(tgname, %s)"
        " AND tgname <> %s",
        [_quoted(table), f"{KEPT_COLUMNS}_", name],
    )
    for (former,) in cursor.fetchall():
        cursor.execute(f"DROP TRIGGER {_quoted(former)} ON {_quoted(table)}")


def _require_balance(cursor: Any) -> None:
    event = "AFTER INSERT ON {} REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT"
    _ensure_trigger(cursor, "ledger_posting", LEDGER_BALANCE, event, "require_balanced_entries")


def _require_references(cursor: Any, tables: Mapping[str, Table]) -> None:
    """What foreign keys are elsewhere, for tables whose references are checked statement by statement."""
    pointing: dict[str, list[str]] = {}
    for table in tables.values():
        if table.checked_references:
            event = "AFTER INSERT ON {} REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT"
            arguments = [name for pair in table.checked_references.items() for name in pair]
            _ensure_trigger(cursor, table.name, REFERENCES, event, "require_references", arguments)
        for column, target in table.checked_references.items():
            pointing.setdefault(target, []).extend((table.name, column))
    for target, arguments in pointing.items():
        # No row of history ever goes or changes, and none that is kept.
        if tables[target].kind is not Kind.HISTORY and tables[target].kept is None:
            _ensure_trigger(
                cursor, target, REFERENCED, "AFTER DELETE ON {} FOR EACH ROW", "refuse_while_referenced",
                arguments,
            )  # fmt: skip
            _ensure_trigger(
                cursor, target, f"{REFERENCED}_key",
                "AFTER UPDATE OF broker_id, id ON {} FOR EACH ROW"
                " WHEN ((OLD.broker_id, OLD.id) IS DISTINCT FROM (NEW.broker_id, NEW.id))",
                "refuse_while_referenced", arguments,
            )  # fmt: skip


def _fill(cursor: Any) -> None:
    for table, percent in FILL_FACTORS.items():
        option = f"fillfactor={percent}"
        cursor.execute(
            "SELECT %s = ANY(reloptions) FROM pg_class WHERE oid = %s::regclass", [option, _quoted(table)]
        )
        if not cursor.fetchone()[0]:
            cursor.execute(f"ALTER TABLE {_quoted(table)} SET ({option})")


def _ensure_trigger(
    cursor: Any, table: str, trigger: str, event: str, function: str, arguments: Sequence[str] = ()
) -> None:
    cursor.execute(
        "SELECT tgenabled = 'A', tgargs FROM pg_trigger WHERE tgrelid = %s::regclass AND tgname = %s",
        [_quoted(table), trigger],
    )
    found = cursor.fetchone()
    if found is not None and bytes(found[1]) != b"".join(name.encode() + b"\0" for name in arguments):
        cursor.execute(f"DROP TRIGGER {trigger} ON {_quoted(table)}")
        found = None
    if found is None:
        written = ", ".join(f"'{name}'" for name in arguments)
        cursor.execute(
            f"CREATE TRIGGER {trigger} {event.format(_quoted(table))}"
            f" EXECUTE FUNCTION public.{function}({written})"
        )
    if found is None or not found[0]:
        # ALWAYS: also where a session plays the replica.
        cursor.execute(f"ALTER TABLE {_quoted(table)} ENABLE ALWAYS TRIGGER {trigger}")


def _extend(cursor: Any, table: str, extension: ThirdParty) -> None:
    name = _quoted(table)
    cursor.execute(
        "SELECT 1 FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attname = 'broker_id' AND NOT attisdropped",
        [name],
    )
    if cursor.fetchone() is None:
        cursor.execute(f"ALTER TABLE {name} ADD COLUMN broker_id bigint NOT NULL DEFAULT {SCOPE}")
        cursor.execute(f"CREATE INDEX {_quoted(f'{table}_broker')} ON {name} (broker_id)")
    if extension.is_referenced and not _constraint_exists(cursor, table, f"{table}_tenant_key"):
        cursor.execute(
            f"ALTER TABLE {name} ADD CONSTRAINT {_quoted(f'{table}_tenant_key')} UNIQUE (broker_id, id)"
        )
    for column, target in extension.references.items():
        _tie(cursor, table, column, target)
    for index, columns in extension.unique.items():
        cursor.execute(
            "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexname = %s", [index]
        )
        found = cursor.fetchone()
        if found is None or "(broker_id, " not in found[0]:
            cursor.execute(f"DROP INDEX IF EXISTS {_quoted(index)}")
            cursor.execute(f"CREATE UNIQUE INDEX {_quoted(index)} ON {name} {columns}")


def _tie(cursor: Any, table: str, column: str, target: str) -> None:
    """Replace a single-column foreign key, which could point at another broker's row, by a composite one."""
    name, constraint = _quoted(table), f"{table}_{column}_ref"
    if not _constraint_exists(cursor, table, constraint):
        cursor.execute(
            f"ALTER TABLE {name} ADD CONSTRAINT {_quoted(constraint)}"
            f" FOREIGN KEY (broker_id, {_quoted(column)}) REFERENCES {_quoted(target)} (broker_id, id)"
            " DEFERRABLE INITIALLY DEFERRED"
        )
    cursor.execute(
        "SELECT conname FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]"
        " WHERE conrelid = %s::regclass AND contype = 'f' AND cardinality(conkey) = 1 AND attname = %s",
        [name, column],
    )
    for (single,) in cursor.fetchall():
        cursor.execute(f"ALTER TABLE {name} DROP CONSTRAINT {_quoted(single)}")


def _constraint_exists(cursor: Any, table: str, constraint: str) -> bool:
    cursor.execute(
        "SELECT 1 FROM pg_constraint WHERE conrelid = %s::regclass AND conname = %s",
        [_quoted(table), constraint],
    )
    return cursor.fetchone() is not None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
