"""The hash chain: one link per PAMM account and rollover, over all its rows and over the link before.

A link's digest is SHA-256 over

    format (1 byte) · digest of the link before (32; zeros before the first) · public id of the account (16) ·
    number of the rollover (8) · number of rows (8) · SHA-256 over its blocks' digests (32)

numbers big-endian. A block is the rows of one part whose primary keys differ in their last ten bits only (so
that a million rows cost a thousand digests, and no more than a thousand are held together); its digest is
SHA-256 over them, in the order of their keys. Blocks are ordered by their part's tag, then by key. A row is
PostgreSQL's binary form of the record of tag and columns: how many columns (4 bytes), and of each its type
(4), its length (4; -1 where it is empty) and its value. So every value is length-prefixed and exact: UUIDs
are 16 bytes, times microseconds since 2000 in UTC, decimals groups of four digits with their scale, text
UTF-8. `PARTS` names tags, tables and columns.

A row that is written after the price belongs to a later link: balance operations to the first rollover after
they were applied (`Leg.link_sequence`), decisions to the one that counted them, each with its entry of the
ledger. Nothing is linked twice and no link ever changes.
"""

import hashlib
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.db import connection, transaction

from accounts.models import PammAccount
from brokers.scope import current_broker_id
from rollover.models import ChainLink

FORMAT = 1
NO_LINK = bytes(32)
BLOCK_BITS = 10
CHUNK = 2000
MOST_UNLINKED = 1_000_000
"""Rollovers of one account that are linked at once: more than a century of hours."""


class LinkOutsideTransaction(RuntimeError):
    """A link is part of its rollover's transaction, or it says nothing about it."""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one kind that belong to price point `p`: `columns` by alias, `key` their order."""

    tag: int
    columns: Mapping[str, str]
    tables: str = ""
    key: str = "t.id"

    @property
    def select(self) -> str:
        names = [f"{alias}.{name}" for alias, columns in self.columns.items() for name in columns.split()]
        return (
            f"SELECT p.id AS point, {self.tag} AS tag, {self.key} AS key,"  # noqa: S608
            f" record_send(ROW({self.tag}::int2, {', '.join(names)})) AS record"
            f" FROM {{points}} p {self.tables}"
        )


def _at_point(table: str, alias: str = "t") -> str:
    return f"JOIN {table} {alias} ON {alias}.broker_id = %(broker)s AND {alias}.price_point_id = p.id"


# A difference without a deal is counted under the negative key of its decision.
_DECISIONS = (
    "JOIN rollover_decision t ON t.broker_id = %(broker)s AND t.account_id = p.account_id"
    " AND t.kind <> 'noted'"
    " JOIN rollover_counteddeal c ON c.broker_id = %(broker)s AND c.account_id = p.account_id"
    " AND c.price_point_id = p.id AND c.ticket = coalesce(t.ticket, -t.id)"
)
_LEGS = (
    "JOIN transfers_leg t ON t.broker_id = %(broker)s AND t.pool = p.pool AND t.link_sequence = p.sequence"
)
_SOURCES = (
    "JOIN LATERAL (SELECT 'price-point:' || p.id AS source"  # noqa: S608
    f" UNION ALL SELECT t.key FROM (SELECT 1) one {_LEGS}"
    f" UNION ALL SELECT 'decision:' || t.public_id FROM (SELECT 1) one {_DECISIONS}) s ON true"
)

PARTS = (
    Part(
        1,
        {
            "p": """id account_id series sequence flow_sequence moves_money priced_at server_balance
            server_equity server_credit server_margin owed incoming trading_result equity units price_equity
            price_units price closed_lots value_days lots_per_unit currency_digits"""
        },
        key="p.id",
    ),
    Part(
        2,
        {
            "t": """id public_id account_id scheduled_for ordered_by_id ordered_at started_at
            price_point_id"""
        },
        _at_point("rollover_rollover"),
    ),
    Part(
        3,
        {
            "t": """id public_id account_id investment_id price_point_id kind units amount currency_digits
            source recorded_at"""
        },
        _at_point("allocation_unitentry"),
    ),
    Part(
        4,
        {
            "t": """id public_id investment_id account_id kind amount currency currency_digits
            close_if_below_minimum origin idempotency_key created_at created_by_id confirmed_at
            confirmed_by_id ended_at collection_id paid_by_id unit_entry_id executed_amount executed_fee"""
        },
        _at_point("allocation_unitentry", "u")
        + " JOIN investing_request t ON t.broker_id = %(broker)s AND t.unit_entry_id = u.id",
    ),
    Part(
        5,
        {
            "t": """id public_id account_id investment_id price_point_id kind occasion collects_debt amount
            uncollected currency currency_digits profit mark_before mark_after carried_before carried_after
            explanation charged_at"""
        },
        _at_point("fees_charge"),
    ),
    Part(
        6,
        {"t": "id charge_id account_id price_point_id party level payee amount currency currency_digits"},
        _at_point("fees_chargepart"),
    ),
    Part(
        7,
        {
            "t": """id account_id price_point_id ticket part action executed_at symbol volume price
            closed_lots amount currency_digits comment"""
        },
        _at_point("rollover_counteddeal"),
    ),
    Part(
        8,
        {
            "t": """id public_id account_id ticket kind amount currency_digits deal made_at made_by_id note
            transfer_id request_id"""
        },
        _DECISIONS,
    ),
    Part(
        9,
        {
            "t": """id transfer_id position server_id login side owner amount currency currency_digits key
            first_sent_at applied_at ticket pool link_sequence""",
            "m": "public_id purpose subject payee pool amount currency created_at",
        },
        _LEGS + " JOIN transfers_transfer m ON m.broker_id = %(broker)s AND m.id = t.transfer_id",
    ),
    Part(
        10,
        {
            "e": "id public_id kind source note occurred_at recorded_at",
            "t": "id account_id amount currency_digits",
            "k": "public_id kind subject currency",
        },
        f"{_SOURCES} JOIN ledger_entry e ON e.broker_id = %(broker)s AND e.source = s.source"
        " LEFT JOIN ledger_posting t ON t.broker_id = %(broker)s AND t.entry_id = e.id"
        " LEFT JOIN ledger_ledgeraccount k ON k.broker_id = %(broker)s AND k.id = t.account_id",
        # An entry that has lost its postings is a row too.
        key="coalesce(t.id, -e.id)",
    ),
)
"""By alias: p the price point, t the part's own table, u unit entry, m transfer, e ledger entry, k ledger
account.
"""

_POINTS = (
    "(SELECT p.*, a.public_id AS pool FROM allocation_pricepoint p JOIN accounts_pammaccount a"
    " ON a.broker_id = %(broker)s AND a.id = p.account_id WHERE p.broker_id = %(broker)s AND {})"
)
_CONTENTS = (
    "SELECT point, sum(rows)::bigint AS rows,"  # noqa: S608
    " sha256(string_agg(digest, ''::bytea ORDER BY tag, block)) AS digest FROM ("
    f"SELECT point, tag, key >> {BLOCK_BITS} AS block, count(*) AS rows,"
    " sha256(string_agg(record, ''::bytea ORDER BY key)) AS digest FROM ("
    + " UNION ALL ".join(part.select for part in PARTS)
    + ") every GROUP BY point, tag, block) blocks GROUP BY point"
)
_CONTENTS_OF_POINTS = _CONTENTS.format(points=_POINTS.format("p.id = ANY(%(points)s)"))
_CONTENTS_OF_ACCOUNT = (
    "SELECT p.sequence, c.rows, c.digest FROM ("  # noqa: S608
    + _CONTENTS.format(points=_POINTS.format("p.account_id = %(account)s AND p.sequence <= %(until)s"))
    + ") c JOIN allocation_pricepoint p ON p.broker_id = %(broker)s AND p.id = c.point ORDER BY p.sequence"
)


class Content(NamedTuple):
    """All rows of one rollover: how many there are, and the digest over theirs."""

    sequence: int
    rows: int
    digest: bytes


class _Unlinked(NamedTuple):
    account_id: int
    pool: uuid.UUID
    point_id: int
    sequence: int
    last: bytes | None


def record_links(account_ids: Collection[int]) -> int:
    """Append the links that are missing, of every rollover after the last link of each account, in order.

    To be called at the end of the rollovers' own transaction, with the accounts' rows locked. Four
    statements, whatever the number of accounts and rows; what is linked already stays as it is. Returns how
    many links were made. Raises `LinkOutsideTransaction`.
    """
    if not transaction.get_connection().in_atomic_block:
        raise LinkOutsideTransaction
    unlinked = _unlinked(account_ids)
    if not unlinked:
        return 0
    _assign_legs(unlinked)
    contents = _contents({row.point_id: row.sequence for row in unlinked})
    links, last, at = [], NO_LINK, 0
    for row in unlinked:
        if row.account_id != at:
            last, at = row.last or NO_LINK, row.account_id
        digest = link_digest(last, row.pool, contents[row.point_id])
        links.append(
            ChainLink(
                account_id=row.account_id,
                price_point_id=row.point_id,
                sequence=row.sequence,
                rows=contents[row.point_id].rows,
                previous=last,
                digest=digest,
            )
        )
        last = digest
    ChainLink.objects.bulk_create(links, batch_size=CHUNK)
    return len(links)


def link_digest(previous: bytes, account: uuid.UUID, content: Content) -> bytes:
    """`account` is its public id; see the module's first lines."""
    numbers = content.sequence.to_bytes(8, "big") + content.rows.to_bytes(8, "big")
    return hashlib.sha256(bytes([FORMAT]) + previous + account.bytes + numbers + content.digest).digest()


def contents_of(account: PammAccount, *, until: int) -> Iterator[Content]:
    """The rows of each rollover up to that number as they stand now, in order, streamed."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(
            _CONTENTS_OF_ACCOUNT, {"broker": current_broker_id(), "account": account.pk, "until": until}
        )
        while rows := cursor.fetchmany(CHUNK):
            yield from (Content(sequence, count, bytes(digest)) for sequence, count, digest in rows)


def _unlinked(account_ids: Collection[int]) -> list[_Unlinked]:
    with connection.cursor() as cursor:
        cursor.execute(
            # Both bounds are bare columns of one subquery: row-level security lets no expression over a
            # column use an index, and of a range without an end the planner expects a third of the series.
            "SELECT a.id, a.public_id, p.id, p.sequence, l.digest FROM accounts_pammaccount a"
            " CROSS JOIN LATERAL (SELECT coalesce(max(sequence), 0) AS since,"
            " coalesce(max(sequence), 0) + %(most)s AS until FROM rollover_chainlink"
            " WHERE broker_id = %(broker)s AND account_id = a.id) k"
            " JOIN allocation_pricepoint p ON p.broker_id = %(broker)s AND p.account_id = a.id"
            " AND p.sequence > k.since AND p.sequence <= k.until"
            " LEFT JOIN rollover_chainlink l ON l.broker_id = %(broker)s AND l.account_id = a.id"
            " AND l.sequence = k.since"
            " WHERE a.broker_id = %(broker)s AND a.id = ANY(%(accounts)s) ORDER BY a.id, p.sequence",
            {"broker": current_broker_id(), "accounts": list(account_ids), "most": MOST_UNLINKED},
        )
        return [
            _Unlinked(account, pool, point, sequence, None if last is None else bytes(last))
            for account, pool, point, sequence, last in cursor.fetchall()
        ]


def _assign_legs(unlinked: Sequence[_Unlinked]) -> None:
    """Balance operations that no link covers belong to the first of these rollovers priced after them, and
    those that came after the last price to the last.
    """
    first: dict[int, _Unlinked] = {}
    last: dict[int, _Unlinked] = {}
    for row in unlinked:
        first.setdefault(row.account_id, row)
        last[row.account_id] = row
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE transfers_leg l SET link_sequence = greatest(v.first, least(v.last, coalesce("
            "(SELECT p.sequence FROM allocation_pricepoint p WHERE p.broker_id = %(broker)s"
            " AND p.account_id = v.account AND p.priced_at >= l.applied_at ORDER BY p.priced_at LIMIT 1),"
            " v.last))) FROM unnest(%(accounts)s, %(pools)s::uuid[], %(first)s, %(last)s)"
            " AS v(account, pool, first, last)"
            " WHERE l.broker_id = %(broker)s AND l.pool = v.pool AND l.state = 'applied'"
            " AND l.link_sequence IS NULL",
            {
                "broker": current_broker_id(),
                "accounts": list(first),
                "pools": [row.pool for row in first.values()],
                "first": [row.sequence for row in first.values()],
                "last": [row.sequence for row in last.values()],
            },
        )


def _contents(points: Mapping[int, int]) -> dict[int, Content]:
    """By price point; `points` are numbers of rollovers by primary key."""
    with connection.cursor() as cursor:
        cursor.execute(_CONTENTS_OF_POINTS, {"broker": current_broker_id(), "points": list(points)})
        return {
            point: Content(points[point], rows, bytes(digest)) for point, rows, digest in cursor.fetchall()
        }
