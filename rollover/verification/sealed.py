"""The seals of a broker: the rows, the exported files, and whether the books still are what was sealed."""

import binascii
import json
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from django.db import connection

from brokers.models import Broker
from brokers.queries import broker_in_scope
from brokers.scope import current_broker_id
from rollover.models import Seal
from rollover.services.seals import (
    NOTHING,
    TABLES,
    contents_between,
    document_digest,
    extents_of,
    is_signed,
    known_keys,
    seal_storage,
)
from rollover.verification.differences import Difference, Findings
from rollover.verification.records import one_moment

SUFFIX, SIGNATURE_SUFFIX = ".json", ".json.sig"


@dataclass(frozen=True, slots=True)
class _Sealed:
    """A day's document with a good signature, from outside where it is there, else from its row."""

    day: str
    text: str

    @property
    def content(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.text)
        return parsed


def verify_seals(account: uuid.UUID | None = None) -> list[Difference]:
    """Compare all seals with the books, or those lines of them that are about one account.

    The exported files decide, so that an end that was cut off is found though its row was removed as well.
    Some statements per day that was sealed.
    """
    with one_moment():
        broker = broker_in_scope()
        findings = Findings("the broker's seals")
        days = list(_days(broker, findings))
        before: _Sealed | None = None
        for sealed in days:
            previous = None if before is None else document_digest(before.text)
            figures = [
                ("day", sealed.day, sealed.content["day"]),
                ("broker", str(broker.public_id), sealed.content["broker"]),
                ("seal before", previous, sealed.content["previous"]),
            ]
            findings.compare("Seal", sealed.day, figures)
            _compare_heads(sealed, account, findings)
            before = sealed
        if account is None:
            _compare_tables(days, findings)
    return findings.differences


def _days(broker: Broker, findings: Findings) -> Iterator[_Sealed]:
    """In order, those whose signature holds; what does not agree is reported."""
    rows = {str(seal.day): seal for seal in Seal.objects.all()}
    outside = _exported(str(broker.public_id))
    keys = known_keys() if rows or outside else {}
    for day in sorted(rows.keys() | outside.keys()):
        row, files = rows.get(day), outside.get(day)
        if row is None:
            findings.add("Seal", day, "row", "the one that was exported", None)
        if files is None:
            findings.add("Seal", day, "exported file", "one", None)
        if row is not None and files is not None:
            figures = [
                ("exported document", row.document, files[0].decode(errors="replace")),
                ("exported signature", row.signature, urlsafe_b64encode(files[1]).decode()),
            ]
            findings.compare("Seal", day, figures)
        document, signature = files or (row.document.encode(), _bytes(row.signature))  # type: ignore[union-attr]
        if not any(is_signed(document, signature, key) for key in keys.values()):
            findings.add("Seal", day, "signature", f"of one of {', '.join(keys)}", "none of these")
            continue
        yield _Sealed(day, document.decode())


def _exported(folder: str) -> dict[str, tuple[bytes, bytes]]:
    """Document and signature by day, of those that are complete."""
    storage = seal_storage()
    try:
        _, names = storage.listdir(folder)
    except FileNotFoundError:
        return {}
    complete = {name.removesuffix(SIGNATURE_SUFFIX) for name in names if name.endswith(SIGNATURE_SUFFIX)}
    found = {}
    for day in complete & {name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX)}:
        with (
            storage.open(f"{folder}/{day}{SUFFIX}") as document,
            storage.open(f"{folder}/{day}{SIGNATURE_SUFFIX}") as signature,
        ):
            found[day] = (document.read(), signature.read())
    return found


def _compare_heads(sealed: _Sealed, account: uuid.UUID | None, findings: Findings) -> None:
    heads = {
        name: head
        for name, head in sealed.content["heads"].items()
        if account is None or name == str(account)
    }
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT v.account, v.sequence, v.digest, encode(k.digest, 'hex')"
            " FROM unnest(%s::uuid[], %s::int[], %s::text[]) AS v(account, sequence, digest)"
            " LEFT JOIN accounts_pammaccount a ON a.broker_id = %s AND a.public_id = v.account"
            " LEFT JOIN rollover_chainlink k"
            " ON k.broker_id = a.broker_id AND k.account_id = a.id AND k.sequence = v.sequence"
            " WHERE k.digest IS NULL OR encode(k.digest, 'hex') <> v.digest ORDER BY v.account",
            [
                list(heads),
                [head["sequence"] for head in heads.values()],
                [head["digest"] for head in heads.values()],
                current_broker_id(),
            ],
        )
        for name, sequence, expected, found in cursor.fetchall():
            what = f"digest of account {name}, as sealed on {sealed.day}"
            findings.add("ChainLink", f"#{sequence}", what, expected, found)


def _compare_tables(days: list[_Sealed], findings: Findings) -> None:
    """What was added from each seal to the next is still all that was added."""
    if not days:
        return
    extents = [dict.fromkeys(TABLES, NOTHING), *(extents_of(sealed.content) for sealed in days)]
    for table in TABLES:
        series = [extent[table] for extent in extents]
        found = contents_between(table, [extent.last for extent in series])
        for sealed, (before, after), (rows, content) in zip(days, pairwise(series), found, strict=True):
            grown = before.grown(after.last, rows, content)
            row = f"{table} {before.last + 1} to {after.last}"
            findings.compare(
                "Seal",
                sealed.day,
                (
                    (f"rows of {row}", after.rows - before.rows, rows),
                    (f"digest of {row}", after.digest.hex(), grown.digest.hex()),
                ),
            )


def _bytes(signature: str) -> bytes:
    try:
        return urlsafe_b64decode(signature)
    except (binascii.Error, ValueError):
        return b""
