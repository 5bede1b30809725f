"""COPY writes what Django would have written."""

import uuid
from datetime import UTC, datetime
from decimal import Decimal

from django.db import connection

from brokers.scope import broker_scope
from demo.copying import KeyRanges, copy_rows
from demo.identifiers import PastIdentifiers
from demo.owner import connected_as_owner
from outbox.models import Event
from tests.worlds import broker_called

COLUMNS = ("id", "broker_id", "public_id", "kind", "subject", "payload", "occurred_at", "recorded_at")
AT = datetime(2026, 3, 29, 0, 59, 59, 250_000, tzinfo=UTC)


def test_copied_rows_read_back_as_they_were(committed_db: str) -> None:
    broker = broker_called("alpha")
    subject, public_id = uuid.uuid4(), uuid.uuid4()
    payload = {
        "note": 'tab\there, "quotes", back\\slash, \\N, line\nbreak',
        "name": "円建て",
        "nothing": None,
    }
    with connected_as_owner(), broker_scope(broker.pk):
        keys = KeyRanges([Event])
        rows = [(keys.next(Event), broker.pk, public_id, "back\\slash\tand tab", subject, payload, AT, AT)]
        rows += [
            (keys.next(Event), broker.pk, uuid.uuid4(), "many", subject, {}, AT, AT) for _ in range(2000)
        ]
        assert copy_rows(Event, COLUMNS, iter(rows)) == 2001
        keys.give_back()
    with broker_scope(broker.pk):
        event = Event.objects.get(public_id=public_id)
        assert (event.kind, event.subject, event.payload) == ("back\\slash\tand tab", subject, payload)
        assert (event.occurred_at, event.recorded_at) == (AT, AT)
        following = Event.objects.create(kind="next", subject=subject, occurred_at=AT)
        assert following.pk == rows[-1][0] + 1


def test_application_role_is_back_after_the_owners_block(committed_db: str) -> None:
    def role() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_user")
            return str(cursor.fetchone()[0])

    assert role() == "pamm_app"
    with connected_as_owner():
        assert role() == "pamm_owner"
    assert role() == "pamm_app"


def test_past_identifiers_are_of_version_7_repeatable_and_in_the_order_of_time() -> None:
    first, again = PastIdentifiers("1/alpha"), PastIdentifiers("1/alpha")
    made = [first.at(datetime(2026, 1, 1 + day, tzinfo=UTC)) for day in range(20)]
    assert made == [again.at(datetime(2026, 1, 1 + day, tzinfo=UTC)) for day in range(20)]
    assert made == sorted(made)
    assert {identifier.version for identifier in made} == {7}
    assert len({PastIdentifiers("2").at(AT), *made}) == 21
    assert Decimal(made[0].int >> 80) / 1000 == Decimal(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
