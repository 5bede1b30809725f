"""The database's fence: who may do what with which table. One declaration; `secure_database` applies it.

Tenant tables are found by their models. Tables of third parties and tables outside every broker are named
here, and nowhere else; a table that is neither is refused. The policy is one comparison without CASE, OR or a
way around it: anything else keeps PostgreSQL from using an index.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from django.apps import apps
from django.db.models import Model

from brokers.fields import TenantForeignKey, TenantOneToOneField
from brokers.models import Broker
from brokers.tenancy import TenantModel

SCOPE = "nullif(current_setting('app.broker', true), '')::bigint"

READ = ("SELECT",)
READ_AND_ADD = ("SELECT", "INSERT")
WITHOUT_DELETE = ("SELECT", "INSERT", "UPDATE")
EVERYTHING = ("SELECT", "INSERT", "UPDATE", "DELETE")


class Kind(Enum):
    """What a table is to the fence."""

    TENANT = "tenant"
    HISTORY = "history"
    THIRD_PARTY = "third party"
    BROKER = "broker"
    GLOBAL = "global"


@dataclass(frozen=True, slots=True)
class Table:
    """How one table is fenced. `privileges` are the application role's; it never gets TRUNCATE.

    Where `updates` is not empty it may change these columns only. `kept`: what of its rows stays, if any.
    """

    name: str
    kind: Kind
    privileges: tuple[str, ...]
    updates: tuple[str, ...] = ()
    kept: "Kept | None" = None
    checked_references: Mapping[str, str] = field(default_factory=dict)
    """Columns whose reference is checked statement by statement, with the table each points to."""

    @property
    def policy(self) -> str | None:
        """Which rows a session sees and may write; None for tables outside every broker."""
        if self.kind is Kind.GLOBAL:
            return None
        return f"{'id' if self.kind is Kind.BROKER else 'broker_id'} = {SCOPE}"


@dataclass(frozen=True, slots=True)
class Kept:
    """A table whose rows go on changing, but are never deleted.

    Columns of `decided` never change after the row was written, those of `once` only from empty. A trigger
    holds both, whoever asks. `by_column`: the application role is not even given the privilege to change
    `decided`; only where no code writes rows as a whole.
    """

    decided: tuple[str, ...] = ()
    once: tuple[str, ...] = ()
    by_column: bool = False


KEPT: dict[str, Kept] = {
    "transfers_transfer": Kept(
        decided=(
            "id", "broker_id", "public_id", "server_id", "purpose", "subject", "payee", "pool", "amount",
            "currency", "currency_digits", "created_at",
        ),
        once=("completed_at",),
        by_column=True,
    ),
    "transfers_leg": Kept(
        decided=(
            "id", "broker_id", "transfer_id", "position", "server_id", "login", "side", "owner", "amount",
            "currency", "currency_digits", "key", "pool",
        ),
        once=("first_sent_at", "applied_at", "ticket", "link_sequence"),
        by_column=True,
    ),
    "trading_order": Kept(
        decided=(
            "id", "broker_id", "public_id", "server_id", "login", "purpose", "subject", "position", "symbol",
            "side", "volume", "key", "created_at",
        ),
        by_column=True,
    ),
    "investing_request": Kept(
        decided=(
            "id", "broker_id", "public_id", "investment_id", "account_id", "kind", "amount", "currency",
            "currency_digits", "origin", "paid_by_id", "idempotency_key", "created_at", "created_by_id",
        ),
        once=("unit_entry_id", "executed_amount", "executed_fee"),
    ),
    "investing_stop": Kept(
        decided=(
            "id", "broker_id", "public_id", "investment_id", "account_id", "kind", "price", "amount",
            "currency_digits", "units", "set_at", "set_by_id", "counts_from", "after_sequence",
        ),
        once=("ended_at", "ended_by_id", "ended_after_sequence", "reached_id", "request_id"),
    ),
    "rollover_rollover": Kept(
        decided=(
            "id", "broker_id", "public_id", "account_id", "scheduled_for", "ordered_by_id", "ordered_at",
        ),
        once=("started_at", "price_point_id", "completed_at"),
    ),
    "rollover_finding": Kept(
        decided=("id", "broker_id", "public_id", "kind", "server_id", "login", "ticket", "key", "found_at")
    ),
    "allocation_investment": Kept(
        decided=("id", "broker_id", "public_id", "account_id", "owner_id", "is_own_capital", "created_at"),
    ),
    "allocation_interval": Kept(decided=("id", "broker_id", "account_id", "terms_id", "anchor_at")),
}  # fmt: skip
"""What may be lost or turned into something else would make the books unverifiable."""


@dataclass(frozen=True, slots=True)
class ThirdParty:
    """A table of a third-party app: it gets `broker_id` by default expression, unknown to Django.

    `references` maps a foreign key's column to the tenant table it points to, `unique` the name of a unique
    index that must hold per broker to its columns and condition.
    """

    references: Mapping[str, str] = field(default_factory=dict)
    unique: Mapping[str, str] = field(default_factory=dict)
    is_referenced: bool = False


THIRD_PARTY: dict[str, ThirdParty] = {
    "account_emailaddress": ThirdParty(
        references={"user_id": "accounts_user"},
        unique={"unique_verified_email": "(broker_id, email) WHERE verified"},
        is_referenced=True,
    ),
    "account_emailconfirmation": ThirdParty(references={"email_address_id": "account_emailaddress"}),
    "mfa_authenticator": ThirdParty(references={"user_id": "accounts_user"}),
    "django_session": ThirdParty(),
    "django_admin_log": ThirdParty(references={"user_id": "accounts_user"}),
}

#: Tables outside every broker; the application role may read them. The reason stands beside each.
GLOBAL: dict[str, str] = {
    "brokers_hostname": "read before any scope, to find it",
    "django_content_type": "names of models",
    "django_migrations": "what the schema is",
    "auth_permission": "Django's list of permissions; people have roles instead",
    "auth_group": "unused: people have roles",
    "auth_group_permissions": "unused: people have roles",
}


FILL_FACTORS = {
    # All investments of an account change at the end of a month: in place, where their pages have room.
    "allocation_investment": 45,
}


def declared_tables() -> dict[str, Table]:
    """Every table there may be, by name."""
    return {table.name: table for table in _declared()}


def _declared() -> Iterator[Table]:
    yield Table(Broker._meta.db_table, Kind.BROKER, ("SELECT", "UPDATE"))
    for model in apps.get_models(include_auto_created=True):
        if issubclass(model, TenantModel) and model._meta.managed and not model._meta.proxy:
            yield _tenant_table(model, KEPT.get(model._meta.db_table))
    for name in THIRD_PARTY:
        yield Table(name, Kind.THIRD_PARTY, EVERYTHING)
    for name in GLOBAL:
        yield Table(name, Kind.GLOBAL, READ)


def _tenant_table(model: type[TenantModel], kept: Kept | None) -> Table:
    name = model._meta.db_table
    if model.append_only:
        return Table(name, Kind.HISTORY, READ_AND_ADD, checked_references=_checked_references(model))
    if kept is None:
        return Table(name, Kind.TENANT, EVERYTHING)
    if not kept.by_column:
        return Table(name, Kind.TENANT, WITHOUT_DELETE, kept=kept)
    return Table(name, Kind.TENANT, READ_AND_ADD, _columns(model, but=kept.decided), kept)


def _columns(model: type[Model], *, but: tuple[str, ...]) -> tuple[str, ...]:
    columns = (str(field.column) for field in model._meta.concrete_fields)
    return tuple(column for column in columns if column not in but)


def _checked_references(model: type[TenantModel]) -> dict[str, str]:
    if model.references_are_keys:
        return {}
    return {
        str(field.column): str(field.remote_field.model._meta.db_table)
        for field in model._meta.concrete_fields
        if isinstance(field, TenantForeignKey | TenantOneToOneField)
    }
