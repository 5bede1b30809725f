"""What is looked for on every page and every few seconds is found by an index, under row-level security."""

from typing import Any

from django.db import connection
from django.db.models import QuerySet

from brokers.scope import broker_scope
from events.models import Notification
from events.queries import mails_due, notifications_of
from outbox.models import Event
from tests.events.cases import request_of_bob
from tests.events.conftest import happened
from tests.worlds import alice_bob_charlie, as_owner

PAST = 20_000


def _copies(table: str, changed: dict[str, str], number: int = PAST) -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_name = %s AND column_name <> 'id'",
            [table],
        )
        columns = [name for (name,) in cursor.fetchall()]
    values = ", ".join(changed.get(name, f"t.{name}") for name in columns)
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values}"
        f" FROM (SELECT * FROM {table} LIMIT 1) t, generate_series(1, {number}) g"
    )


def test_ticks_and_bell_are_led_by_an_index(committed_db: str) -> None:
    world = alice_bob_charlie()
    with broker_scope(world.alpha.pk):
        happened("request.confirmed", request_of_bob(world).public_id, by="somebody")
        public = {"public_id": "gen_random_uuid()"}
        with as_owner() as owner:
            owner.execute(_copies("outbox_event", public))
            told = {"about": "gen_random_uuid()", "read_at": "now()"}
            owner.execute(_copies("events_notification", public | told))
            read = (
                "(SELECT id FROM events_notification WHERE read_at IS NOT NULL"
                " ORDER BY id OFFSET g - 1 LIMIT 1)"
            )
            sent = {"state": "'sent'", "due_at": "NULL", "notification_id": read}
            owner.execute(_copies("events_mail", public | sent, 1000))
            owner.execute("ANALYZE")
        newest = Event.objects.latest("pk").pk
        unread = Notification.objects.filter(user=world.bob, in_cabinet=True, read_at__isnull=True)
        looked_for: dict[str, QuerySet[Any]] = {
            "events_mail_due": mails_due(),
            "events_notification_unread": unread.order_by(),
            "events_notification_list": notifications_of(world.alice)[:30],
            "outbox_event": Event.objects.filter(pk__gt=newest - 5, pk__lte=newest).order_by("pk")[:200],
        }
        for name, rows in looked_for.items():
            plan = rows.explain()
            assert name in plan, plan
            assert "Index" in plan, plan
            assert "Seq Scan" not in plan, plan
