"""Hash chain and seals: the form of a digest, computed here once more, and what is linked and sealed when.

That changed books are found is in `tests/circle/test_verify_books.py`.
"""

import hashlib
import json
import struct
import subprocess
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection, models
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from allocation.models import PricePoint, UnitEntry
from brokers.models import Broker
from brokers.tenancy import HistoryModel
from outbox.services import record_event
from rollover.errors import DayCannotBeSealed
from rollover.models import ChainLink, Rollover, Seal
from rollover.services.chain import PARTS, LinkOutsideTransaction, record_links
from rollover.services.seals import TABLES, seal_books, seal_is_due, seal_storage
from rollover.tasks import seal_broker_task
from rollover.verification import verify_seals
from tests.worlds import JOINED, AliceBobCharlie
from transfers.models import Leg, Side, Transfer

DIGIT_GROUP = 10000
POSTGRES_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
TYPES = {"bigint": 20, "smallint": 21, "integer": 23, "boolean": 16, "numeric": 1700, "uuid": 2950}
TIME, TEXT = 1184, 1043


def number(value: Decimal, places: int) -> bytes:
    """Groups of four decimal digits around the point, without leading or trailing zeros."""
    whole, _, fraction = f"{abs(value):.{places}f}".partition(".")
    whole = whole.zfill(-(-len(whole) // 4) * 4)
    fraction = fraction.ljust(-(-len(fraction) // 4) * 4, "0")
    groups = [int((whole + fraction)[at : at + 4]) for at in range(0, len(whole + fraction), 4)]
    weight = len(whole) // 4 - 1
    while groups and not groups[0]:
        groups, weight = groups[1:], weight - 1
    while groups and not groups[-1]:
        groups = groups[:-1]
    sign = 0x4000 if value < 0 else 0
    return struct.pack(f">hhHH{len(groups)}h", len(groups), weight if groups else 0, sign, places, *groups)


def field_in_binary(field: models.Field[Any, Any], value: Any) -> tuple[int, bytes]:
    """Type and value of a column, as the module's first lines describe them."""
    kind = str(field.db_type(connection)).partition("(")[0]
    if isinstance(value, bool):
        return TYPES["boolean"], bytes([value])
    if isinstance(value, int):
        size = {"bigint": 8, "integer": 4, "smallint": 2}[kind]
        return TYPES[kind], value.to_bytes(size, "big", signed=True)
    if isinstance(value, Decimal):
        return TYPES["numeric"], number(value, field.decimal_places)  # type: ignore[attr-defined]
    if isinstance(value, UUID):
        return TYPES["uuid"], value.bytes
    if isinstance(value, datetime):
        return TIME, struct.pack(">q", (value - POSTGRES_EPOCH) // timedelta(microseconds=1))
    return {"timestamp with time zone": TIME, "varchar": TEXT}.get(kind) or TYPES[kind], (
        b"" if value is None else str(value).encode()
    )


def block_digest(tag: int, *rows: models.Model) -> bytes:
    """Of rows whose keys differ in their last ten bits only."""
    assert len({row.pk >> 10 for row in rows}) == 1
    return hashlib.sha256(b"".join(row_in_binary(row, tag) for row in rows)).digest()


def row_in_binary(row: models.Model, tag: int) -> bytes:
    (columns,) = (part.columns for part in PARTS if part.tag == tag)
    (names,) = columns.values()
    fields = {field.attname: field for field in row._meta.concrete_fields}
    record = struct.pack(">Iih", 21, 2, tag)
    for name in names.split():
        value = getattr(row, name)
        oid, binary = field_in_binary(fields[name], value)
        record += struct.pack(">Ii", oid, -1 if value is None else len(binary)) + binary
    return struct.pack(">i", 1 + len(names.split())) + record


def next_point(point: PricePoint) -> PricePoint:
    """A rollover later, in figures that nothing follows from."""
    point.refresh_from_db()
    point.pk, point._state.adding = None, True
    point.sequence, point.priced_at = point.sequence + 1, point.priced_at + timedelta(hours=1)
    point.equity = Decimal("-1234567.89")
    point.save()
    return point


@pytest.fixture
def rolled(world: AliceBobCharlie) -> PricePoint:
    """The first price point of Alice's pool, with the rollover that made it and some unit entries."""
    point = PricePoint.objects.get()
    for pk in (1022, 1023, 1024):
        UnitEntry.objects.create(
            pk=pk, account=point.account, investment=world.pool.investment, price_point=point,
            kind=UnitEntry.Kind.DEPOSIT, units=Decimal("-0.000000000012"), amount=-pk, currency_digits=2,
        )  # fmt: skip
    Rollover.objects.create(
        account=point.account, scheduled_for=JOINED, ordered_at=JOINED, started_at=JOINED, price_point=point
    )
    return point


def test_link_is_what_its_description_says(rolled: PricePoint) -> None:
    assert record_links([rolled.account_id]) == 1
    link = ChainLink.objects.get()
    entries = list(UnitEntry.objects.order_by("id"))
    blocks = [
        block_digest(1, rolled),
        block_digest(2, Rollover.objects.get()),
        # A round number of keys begins another block.
        block_digest(3, *entries[:-1]),
        block_digest(3, entries[-1]),
    ]
    content = hashlib.sha256(b"".join(blocks)).digest()
    head = b"\x01" + bytes(32) + rolled.account.public_id.bytes + struct.pack(">QQ", 1, len(entries) + 2)
    assert (link.rows, bytes(link.previous)) == (len(entries) + 2, bytes(32))
    assert bytes(link.digest) == hashlib.sha256(head + content).digest()
    second = next_point(rolled)
    record_links([rolled.account_id])
    head = b"\x01" + bytes(link.digest) + rolled.account.public_id.bytes + struct.pack(">QQ", 2, 1)
    content = hashlib.sha256(block_digest(1, second)).digest()
    assert bytes(ChainLink.objects.latest("id").digest) == hashlib.sha256(head + content).digest()


def test_missing_links_are_appended_in_order_and_none_is_made_twice(rolled: PricePoint) -> None:
    for _ in range(3):
        next_point(rolled)
    assert record_links([rolled.account_id]) == 4
    before = list(ChainLink.objects.order_by("id").values_list("sequence", "previous", "digest"))
    assert [sequence for sequence, _, _ in before] == [1, 2, 3, 4]
    assert [bytes(previous) for _, previous, _ in before[1:]] == [bytes(row[2]) for row in before[:-1]]
    assert record_links([rolled.account_id]) == 0
    next_point(rolled)
    assert record_links([rolled.account_id]) == 1
    assert list(ChainLink.objects.order_by("id").values_list("sequence", "previous", "digest"))[:4] == before


def test_operation_belongs_to_the_first_rollover_after_it_and_stays_there(rolled: PricePoint) -> None:
    account = rolled.account
    transfer = Transfer.objects.create(
        server=account.server, purpose=Transfer.Purpose.FEE, subject=account.public_id,
        pool=account.public_id, amount=5, currency="USD", currency_digits=2,
    )  # fmt: skip

    def leg(position: int, hours: float | None, **fields: object) -> Leg:
        at = None if hours is None else JOINED + timedelta(hours=hours)
        made: Leg = Leg.objects.create(
            transfer=transfer, position=position, server=account.server, login=position, side=Side.HOUSE,
            owner=account.public_id, pool=account.public_id, amount=5, currency="USD", currency_digits=2,
            state=Leg.State.PLANNED if hours is None else Leg.State.APPLIED, ticket=position, applied_at=at,
        )  # fmt: skip
        return made

    first, second, late, planned = leg(1, -1), leg(2, 0.5), leg(3, 9), leg(4, None)
    next_point(rolled)
    record_links([account.pk])
    for row in (first, second, late, planned):
        row.refresh_from_db()
    assert [row.link_sequence for row in (first, second, late, planned)] == [1, 2, 2, None]
    rows = list(ChainLink.objects.order_by("sequence").values_list("rows", flat=True))
    Leg.objects.filter(pk=planned.pk).update(state=Leg.State.APPLIED, applied_at=JOINED)
    next_point(rolled)
    record_links([account.pk])
    planned.refresh_from_db()
    assert planned.link_sequence == 3
    assert list(ChainLink.objects.order_by("sequence").values_list("rows", flat=True))[:2] == rows


def test_many_accounts_are_linked_with_as_many_statements_as_one(rolled: PricePoint) -> None:
    def asked(accounts: list[int]) -> int:
        with CaptureQueriesContext(connection) as queries:
            record_links(accounts)
        return len(queries)

    pool = rolled.account
    others = []
    for number in range(5):
        pool.pk, pool._state.adding, pool.public_id = None, True, UUID(int=number)
        pool.login, pool.opening_key = 70000 + number, f"other-{number}"
        pool.save()
        rolled.pk, rolled._state.adding, rolled.account, rolled.sequence = None, True, pool, 1
        rolled.save()
        others.append(pool.pk)
    assert asked(others) == asked([PricePoint.objects.earliest("id").account_id]) <= 4
    assert ChainLink.objects.count() == 6


def test_link_outside_a_transaction_is_refused(committed_db: str) -> None:
    with pytest.raises(LinkOutsideTransaction):
        record_links([1])


LEFT_OUT = {
    "rollover_rollover": """state dispatched_at lease_until lease_holder attempts completed_at reason_code
    reason""",
    "investing_request": """state expires_at reason_code reason_note blocks_deposits_until
    blocks_deposits_through""",
    "transfers_leg": "state attempts lookups retry_at counted refusal_code refusal_text",
    "transfers_transfer": "id server_id currency_digits state completed_at",
    "ledger_posting": "entry_id",
    "ledger_ledgeraccount": "id currency_digits",
}
"""What changes later, or stands in the row beside it."""


def test_every_column_of_the_linked_and_sealed_tables_is_covered_or_left_out_by_name() -> None:
    covered: dict[str, set[str]] = {}
    for part in PARTS:
        for alias, columns in part.columns.items():
            table = {"p": "allocation_pricepoint"}.get(alias) or table_of(part.tables, alias)
            covered.setdefault(table, set()).update(columns.split())
    covered |= {name: set(table.columns.split()) | covered.get(name, set()) for name, table in TABLES.items()}
    models_by_table = {model._meta.db_table: model for model in apps.get_models()}
    for name, names in covered.items():
        every = {field.column for field in models_by_table[name]._meta.concrete_fields} - {"broker_id"}
        left_out = set(LEFT_OUT.get(name, "").split())
        assert names | left_out == every, (name, names | left_out, every)
    history = {model._meta.db_table for model in apps.get_models() if issubclass(model, HistoryModel)} - {
        "rollover_chainlink",
        "rollover_seal",
    }
    assert history <= set(covered)


def table_of(tables: str, alias: str) -> str:
    """`… JOIN table alias ON …`, the last of that alias."""
    words = tables.split()
    return [words[at - 1] for at, word in enumerate(words) if word == alias and words[at + 1] == "ON"][-1]


# seals


@pytest.fixture
def outside(settings: Settings, tmp_path: Path) -> Path:
    """Where seals are exported."""
    settings.STORAGES = {
        **settings.STORAGES,
        "seals": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path / "seals"},
        },
    }
    return tmp_path / "seals"


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    with time_machine.travel(moment, tick=False):
        yield


def days_later(days: int, *, hours: int = 12) -> datetime:
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    return today + timedelta(days=days, hours=hours)


def test_seal_names_heads_and_tables_and_anybody_can_check_it(
    rolled: PricePoint, outside: Path, tmp_path: Path
) -> None:
    record_links([rolled.account_id])
    record_event("test.happened", subject=rolled.account.public_id)
    with at(days_later(1)):
        seal = seal_books()
    document = json.loads(seal.document)
    link = ChainLink.objects.get()
    assert document["heads"] == {
        str(rolled.account.public_id): {"sequence": 1, "digest": bytes(link.digest).hex()}
    }
    assert document["day"] == str(seal.day) == str(days_later(0).date())
    assert document["tables"]["outbox_event"]["rows"] >= 1
    folder = outside / str(Broker.objects.get().public_id)
    assert (folder / f"{seal.day}.json").read_text() == seal.document
    checked = subprocess.run(
        ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public_key(tmp_path), "-rawin",
         "-in", folder / f"{seal.day}.json", "-sigfile", folder / f"{seal.day}.json.sig"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Signature Verified Successfully" in checked.stdout
    assert verify_seals() == []


def public_key(folder: Path) -> Path:
    path = folder / "key.pem"
    with path.open("w") as out:
        call_command("seal_books", "--public-key", stdout=out)
    names, _, pem = path.read_text().partition("\n")
    identifier, short = names.split()
    assert hashlib.sha256(urlsafe_b64decode(short)).hexdigest().startswith(identifier)
    path.write_text(pem)
    return path


def test_day_is_sealed_once_an_hour_after_it_is_over(rolled: PricePoint, outside: Path) -> None:
    with at(days_later(1, hours=2)):
        seal_books()
    with at(days_later(2, hours=0) + timedelta(minutes=59)):
        assert not seal_is_due()
    with at(days_later(2, hours=1)):
        assert seal_is_due()
        first = seal_books()
        assert not seal_is_due()
        assert seal_books() == first
    # Days on which nobody sealed are covered by the next.
    with at(days_later(9)):
        seal_broker_task(Broker.objects.get().pk)
    assert [seal.day - first.day for seal in Seal.objects.order_by("day")] == [
        timedelta(days=-1), timedelta(0), timedelta(days=7),
    ]  # fmt: skip
    assert verify_seals() == []


def test_day_ends_in_the_brokers_zone(rolled: PricePoint, outside: Path) -> None:
    Broker.objects.update(time_zone="Pacific/Auckland")
    with at(datetime(2026, 6, 30, 12, 59, tzinfo=UTC)):
        assert seal_books().day == date(2026, 6, 29)
    with at(datetime(2026, 6, 30, 13, 0, tzinfo=UTC)):
        seal = seal_books()
    assert seal.day == date(2026, 6, 30)
    assert json.loads(seal.document)["until"] == "2026-06-30T12:00:00+00:00"


def test_day_that_is_not_over_or_lies_before_the_last_is_not_sealed(
    rolled: PricePoint, outside: Path
) -> None:
    with at(days_later(1)):
        sealed = seal_books()
        for day in (timezone.now().date(), sealed.day - timedelta(days=1)):
            with pytest.raises(DayCannotBeSealed):
                seal_books(day)
        with pytest.raises(CommandError, match="is not over yet"):
            call_command("seal_books", "--broker", "alpha", "--day", str(timezone.now().date()))
    assert Seal.objects.count() == 1


def test_seal_of_a_former_key_counts_while_it_is_known(
    rolled: PricePoint, outside: Path, settings: Settings
) -> None:
    settings.SEAL_SIGNING_KEY = urlsafe_b64encode(bytes([1] * 32)).decode()
    with at(days_later(1)):
        seal_books()
    settings.SEAL_SIGNING_KEY = urlsafe_b64encode(bytes([2] * 32)).decode()
    with at(days_later(2)):
        seal_books()
    assert [difference.what for difference in verify_seals()] == ["signature", "seal before"]
    former = Ed25519PrivateKey.from_private_bytes(bytes([1] * 32)).public_key()
    raw = former.public_bytes(Encoding.Raw, PublicFormat.Raw)
    settings.SEAL_PUBLIC_KEYS = [urlsafe_b64encode(raw).decode()]
    assert verify_seals() == []


@pytest.mark.parametrize("lost", ["json", "json.sig", "both"])
def test_export_that_was_cut_off_is_made_again_to_the_same_bytes(
    rolled: PricePoint, outside: Path, lost: str
) -> None:
    with at(days_later(1)):
        seal = seal_books()
    folder = outside / str(Broker.objects.get().public_id)
    document, signature = folder / f"{seal.day}.json", folder / f"{seal.day}.json.sig"
    before = document.read_bytes(), signature.read_bytes()
    signature.unlink()
    if lost == "json":
        document.write_text("{half")
    elif lost == "both":
        document.unlink()
    assert [difference.what for difference in verify_seals()] == ["exported file"]
    with at(days_later(1)):
        assert seal_books() == seal
    assert (document.read_bytes(), signature.read_bytes()) == before
    assert seal_storage().exists(f"{folder.name}/{document.name}")
    assert verify_seals() == []
