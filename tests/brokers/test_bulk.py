"""Rows written by the thousand are the rows that one by one would have been written."""

import uuid
from collections.abc import Iterator
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import PammAccount
from brokers.bulk import insert_values
from brokers.scope import broker_scope
from ledger.models import Entry, LedgerAccount, Posting
from outbox.models import Event
from tests.worlds import AliceBobCharlie, alice_bob_charlie, trading_server
from trading.models import TradingServer


@pytest.fixture
def world(db: None) -> Iterator[AliceBobCharlie]:
    made = alice_bob_charlie()
    with broker_scope(made.alpha.pk):
        yield made


def events(number: int) -> list[Event]:
    return [
        Event(
            kind=f"kind {index}", subject=uuid.uuid4(), payload={"index": index}, occurred_at=timezone.now()
        )
        for index in range(number)
    ]


def test_inserted_rows_have_their_keys_in_order_and_read_back_the_same(world: AliceBobCharlie) -> None:
    rows = events(20)
    Event.objects.bulk_create(rows)
    stored = list(Event.objects.filter(pk__in=[row.pk for row in rows]).order_by("pk"))
    assert [row.pk for row in rows] == sorted(row.pk for row in rows)
    assert [(row.public_id, row.kind, row.payload, row.recorded_at) for row in stored] == [
        (row.public_id, row.kind, row.payload, row.recorded_at) for row in rows
    ]
    assert not any(row._state.adding for row in rows)


def test_rows_are_inserted_with_one_statement_however_many(world: AliceBobCharlie) -> None:
    for number in (1, 50):
        with CaptureQueriesContext(connection) as made:
            Event.objects.bulk_create(events(number))
        assert len(made) == 1


def test_no_rows_need_no_statement(world: AliceBobCharlie) -> None:
    with CaptureQueriesContext(connection) as made:
        assert Event.objects.bulk_create([]) == []
        assert insert_values(Event, ("kind",), []) == []
    assert len(made) == 0


def test_encrypted_column_is_stored_encrypted(world: AliceBobCharlie) -> None:
    made = trading_server("Other")
    made.pk, made.name, made.public_id, made.manager_password = None, "Third", uuid.uuid4(), "open sesame"
    TradingServer.objects.bulk_create([made])
    with connection.cursor() as cursor:
        cursor.execute("SELECT manager_password FROM trading_tradingserver WHERE id = %s", [made.pk])
        assert "sesame" not in cursor.fetchone()[0]
    assert TradingServer.objects.get(pk=made.pk).manager_password == "open sesame"


def test_values_of_an_encrypted_column_are_refused(world: AliceBobCharlie) -> None:
    with pytest.raises(TypeError, match="not stored as it is"):
        insert_values(TradingServer, ("manager_password",), [("open sesame",)])


def test_row_tied_to_another_that_had_no_key_yet_gets_it(world: AliceBobCharlie) -> None:
    cash, claim = (
        LedgerAccount(kind=kind, subject=uuid.uuid4(), currency="USD", currency_digits=2)
        for kind in (LedgerAccount.Kind.PAMM_CASH, LedgerAccount.Kind.POOL_CLAIM)
    )
    entry = Entry(kind="test", source="test", occurred_at=timezone.now())
    postings = [
        Posting(entry=entry, account=account, amount=Decimal(amount), currency_digits=2)
        for account, amount in ((cash, "5.00"), (claim, "-5.00"))
    ]
    Entry.objects.bulk_create([entry])
    LedgerAccount.objects.bulk_create([cash, claim])
    Posting.objects.bulk_create(postings)
    assert [(row.entry_id, row.account_id) for row in postings] == [(entry.pk, cash.pk), (entry.pk, claim.pk)]


def test_values_left_out_have_their_defaults_and_the_broker_in_scope(world: AliceBobCharlie) -> None:
    (pk,) = insert_values(
        Event, ("kind", "subject", "occurred_at"), [("kind", world.bob.public_id, timezone.now())]
    )
    row = Event.objects.get(pk=pk)
    assert (row.broker_id, row.payload, row.recorded_at.date()) == (
        world.alpha.pk, {}, timezone.now().date(),
    )  # fmt: skip


def test_row_of_another_broker_is_refused(world: AliceBobCharlie) -> None:
    account = PammAccount.objects.get(pk=world.pool.account.pk)
    account.pk, account.broker_id = None, world.beta.pk
    with pytest.raises(RuntimeError):
        PammAccount.objects.bulk_create([account])
