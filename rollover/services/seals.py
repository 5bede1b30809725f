"""Seals: the heads of all chains of a broker at the end of a day, signed, and kept outside the database.

A chain shows what was changed in it, not that its end was cut off or that all of it was computed anew. A seal
does: it names the last link of every account, and digests of the append-only tables that no chain covers, is
signed with Ed25519 and exported through the storage `seals`, where the database cannot reach it. A day's seal
holds nothing that was recorded after the day, so making it again gives the same bytes.
"""

import hashlib
import json
import os
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.files.storage import Storage, storages
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from brokers.models import Broker
from brokers.queries import broker_in_scope
from brokers.scope import current_broker_id
from rollover.errors import DayCannotBeSealed
from rollover.models import Seal

FORMAT = 1
SETTLED_AFTER = timedelta(hours=1)
"""How long after its end a day is sealed: whatever was written in it has been committed by then."""


@dataclass(frozen=True, slots=True)
class Table:
    """An append-only table that no chain covers, or not at once. `recorded`: when a row was written."""

    columns: str
    recorded: str


TABLES = {
    "offers_terms": Table(
        """id public_id offer_id version performance_schedule profit_basis on_withdrawal interval_unit
        interval_count interval_anchor minimum_first minimum_further minimum_remaining amount_step
        lock_in_days early_exit_rate early_exit_until management_rate entry_tiers subscription_amount
        volume_amount_per_lot broker_share_rate agent_share_rates created_at created_by_id""",
        "created_at",
    ),
    "outbox_event": Table("id public_id kind subject payload occurred_at recorded_at", "recorded_at"),
    "rollover_decision": Table(
        """id public_id account_id ticket kind amount currency_digits deal made_at made_by_id note
        transfer_id request_id""",
        "made_at",
    ),
    "rollover_inspection": Table(
        "id server_id began_at completed_at compared_since logins deals legs found", "completed_at"
    ),
}


class Extent(NamedTuple):
    """A table up to its row `last`: how many rows of the broker there are, and the running digest over them.

    Each seal continues the digest of the one before with a digest over the rows that were added.
    """

    rows: int
    last: int
    digest: bytes

    def grown(self, last: int, rows: int, content: bytes | None) -> "Extent":
        digest = self.digest if content is None else hashlib.sha256(self.digest + content).digest()
        return Extent(self.rows + rows, last, digest)


NOTHING = Extent(0, 0, bytes(32))


def seal_is_due(now: datetime | None = None) -> bool:
    """Whether the broker in scope has a day that is over and not sealed."""
    last = _last_seal()
    return last is None or last.day < _day_over(broker_in_scope(), now or timezone.now())


def seal_books(day: date | None = None) -> Seal:
    """Seal a day of the broker in scope, by default the last that is over, and export its seal.

    Days on which nobody sealed are covered by the next one's. A day that is sealed already is exported again
    where that failed. Raises `DayCannotBeSealed` for one that is not over, or before the last that is sealed.
    """
    broker = broker_in_scope()
    newest = _day_over(broker, timezone.now())
    wanted = day or newest
    last = _last_seal()
    if last is not None:
        # The one before stands outside first: so no more than one can ever be missing there.
        export_seal(broker, last)
        if wanted == last.day or (day is None and wanted < last.day):
            return last
    if wanted > newest or (last is not None and wanted < last.day):
        raise DayCannotBeSealed(field="day", day=wanted.isoformat())
    text = _document(broker, wanted, last)
    key = signing_key()
    try:
        with transaction.atomic():
            seal = Seal.objects.create(
                day=wanted,
                document=text,
                signature=urlsafe_b64encode(key.sign(text.encode())).decode(),
                key_id=key_id(key.public_key()),
            )
    except IntegrityError:
        # Another worker sealed the same day at the same moment, to the same bytes.
        seal = Seal.objects.get(day=wanted)
    export_seal(broker, seal)
    return seal


def export_seal(broker: Broker, seal: Seal) -> None:
    """Write the document, byte for byte, and its signature (64 bytes) where `STORAGES["seals"]` says.

    The signature comes last: a document without one was cut off, and is written again. Nothing that is
    complete is ever replaced.
    """
    outside, name = seal_storage(), f"{broker.public_id}/{seal.day}.json"
    if outside.exists(f"{name}.sig"):
        return
    if outside.exists(name):
        outside.delete(name)
    outside.save(name, ContentFile(seal.document.encode()))
    outside.save(f"{name}.sig", ContentFile(urlsafe_b64decode(seal.signature)))


def seal_storage() -> Storage:
    return storages["seals"]


def signing_key() -> Ed25519PrivateKey:
    """Raises `ImproperlyConfigured` where there is neither a key nor a file that may be made for one."""
    if settings.SEAL_SIGNING_KEY:
        return Ed25519PrivateKey.from_private_bytes(urlsafe_b64decode(settings.SEAL_SIGNING_KEY))
    if not settings.SEAL_KEY_FILE:
        raise ImproperlyConfigured("SEAL_SIGNING_KEY is not set")
    return _kept_key(Path(settings.SEAL_KEY_FILE))


def known_keys() -> dict[str, Ed25519PublicKey]:
    """Keys that seals may be signed with, by their id: the present one's and those that it replaced."""
    former = (
        Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(text)) for text in settings.SEAL_PUBLIC_KEYS
    )
    return {key_id(key): key for key in (signing_key().public_key(), *former)}


def key_id(key: Ed25519PublicKey) -> str:
    """The first 16 hex digits of the SHA-256 of the key's 32 bytes."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def is_signed(document: bytes, signature: bytes, key: Ed25519PublicKey) -> bool:
    try:
        key.verify(signature, document)
    except InvalidSignature:
        return False
    return True


def document_digest(document: str) -> str:
    """As the next seal names it."""
    return hashlib.sha256(document.encode()).hexdigest()


def extents_of(document: Mapping[str, Any] | None) -> dict[str, Extent]:
    """By table, what a seal says of each; nothing before the first."""
    tables = {} if document is None else document["tables"]
    return {
        name: Extent(row["rows"], row["last"], bytes.fromhex(row["digest"])) if row else NOTHING
        for name, row in ((name, tables.get(name)) for name in TABLES)
    }


def contents_between(table: str, bounds: Sequence[int]) -> list[tuple[int, bytes | None]]:
    """For each pair of neighbours in `bounds`: how many rows of the broker have keys above the first, up to
    the second, and the digest over them, empty where there are none. One statement.
    """
    columns = ", ".join(f"t.{name}" for name in TABLES[table].columns.split())
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(t.id),"  # noqa: S608
            f" sha256(string_agg(sha256(record_send(ROW({columns}))), ''::bytea ORDER BY t.id))"
            " FROM unnest(%s::bigint[], %s::bigint[]) WITH ORDINALITY AS v(above, upto, place)"
            f" LEFT JOIN {table} t ON t.broker_id = %s AND t.id > v.above AND t.id <= v.upto"
            " GROUP BY v.place ORDER BY v.place",
            [list(bounds[:-1]), list(bounds[1:]), current_broker_id()],
        )
        return [(rows, None if rows == 0 else bytes(digest)) for rows, digest in cursor.fetchall()]


def _document(broker: Broker, day: date, last: Seal | None) -> str:
    until = _ends_at(broker, day)
    before = None if last is None else json.loads(last.document)
    tables = {}
    for name, extent in extents_of(before).items():
        newest = max(extent.last, _newest(name, until))
        ((rows, content),) = contents_between(name, [extent.last, newest])
        grown = extent.grown(newest, rows, content)
        tables[name] = {"rows": grown.rows, "last": grown.last, "digest": grown.digest.hex()}
    document = {
        "format": FORMAT,
        "broker": str(broker.public_id),
        "day": day.isoformat(),
        "until": until.isoformat(),
        "previous": None if last is None else document_digest(last.document),
        "heads": {
            str(account): {"sequence": sequence, "digest": bytes(digest).hex()}
            for account, sequence, digest in _heads(until)
        },
        "tables": tables,
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def _heads(until: datetime) -> list[tuple[uuid.UUID, int, bytes]]:
    """Public id of every account that had rolled over by then, and number and digest of its last link."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT a.public_id, k.sequence, k.digest FROM accounts_pammaccount a"
            " JOIN LATERAL (SELECT id FROM allocation_pricepoint"
            " WHERE broker_id = %(broker)s AND account_id = a.id AND priced_at < %(until)s"
            " ORDER BY priced_at DESC LIMIT 1) p ON true"
            " JOIN rollover_chainlink k ON k.broker_id = %(broker)s AND k.price_point_id = p.id"
            " WHERE a.broker_id = %(broker)s",
            {"broker": current_broker_id(), "until": until},
        )
        return list(cursor.fetchall())


def _newest(table: str, until: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id FROM {table} WHERE broker_id = %s AND {TABLES[table].recorded} < %s"  # noqa: S608
            " ORDER BY id DESC LIMIT 1",
            [current_broker_id(), until],
        )
        row = cursor.fetchone()
        return 0 if row is None else int(row[0])


def _last_seal() -> Seal | None:
    return Seal.objects.order_by("day").last()


def _day_over(broker: Broker, now: datetime) -> date:
    """The last day, in the broker's zone, whose end is long enough ago."""
    return (now - SETTLED_AFTER).astimezone(ZoneInfo(broker.time_zone)).date() - timedelta(days=1)


def _ends_at(broker: Broker, day: date) -> datetime:
    midnight = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(broker.time_zone))
    return midnight.astimezone(ZoneInfo("UTC"))


@lru_cache(maxsize=1)
def _kept_key(path: Path) -> Ed25519PrivateKey:
    """The key in a file of this machine, made at the first use: for development, tests and the demo."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        fresh.touch(mode=0o600)
        fresh.write_bytes(urlsafe_b64encode(os.urandom(32)))
        try:
            # Whoever is first decides; a file that is half written is never there.
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return Ed25519PrivateKey.from_private_bytes(urlsafe_b64decode(path.read_bytes()))
