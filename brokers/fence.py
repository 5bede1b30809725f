"""The database's fence: who may do what with which table. One declaration; `secure_database` applies it.

Tenant tables are found by their models. Tables of third parties and tables outside every broker are named
here, and nowhere else; a table that is neither is refused. The policy is one comparison without CASE, OR or a
way around it: anything else keeps PostgreSQL from using an index.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from django.apps import apps

from brokers.models import Broker
from brokers.tenancy import TenantModel

SCOPE = "nullif(current_setting('app.broker', true), '')::bigint"

READ = ("SELECT",)
READ_AND_ADD = ("SELECT", "INSERT")
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
    """How one table is fenced. `privileges` are the application role's; it never gets TRUNCATE."""

    name: str
    kind: Kind
    privileges: tuple[str, ...]

    @property
    def policy(self) -> str | None:
        """Which rows a session sees and may write; None for tables outside every broker."""
        if self.kind is Kind.GLOBAL:
            return None
        return f"{'id' if self.kind is Kind.BROKER else 'broker_id'} = {SCOPE}"


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


def declared_tables() -> dict[str, Table]:
    """Every table there may be, by name."""
    return {table.name: table for table in _declared()}


def _declared() -> Iterator[Table]:
    yield Table(Broker._meta.db_table, Kind.BROKER, ("SELECT", "UPDATE"))
    for model in apps.get_models(include_auto_created=True):
        if issubclass(model, TenantModel) and model._meta.managed and not model._meta.proxy:
            kind, privileges = (
                (Kind.HISTORY, READ_AND_ADD) if model.append_only else (Kind.TENANT, EVERYTHING)
            )
            yield Table(model._meta.db_table, kind, privileges)
    for name in THIRD_PARTY:
        yield Table(name, Kind.THIRD_PARTY, EVERYTHING)
    for name in GLOBAL:
        yield Table(name, Kind.GLOBAL, READ)
