"""The bell, the list of notifications, reading them, and choosing how to be told."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from events.models import Notification, Preference
from events.queries import unread_count
from investing.models import Request
from outbox.models import Event
from tests.events.conftest import happened
from tests.web.investor.conftest import Visit
from tests.web.investor.reading import text_of
from tests.worlds import AliceBobCharlie, person

HTMX = {"HX-Request": "true"}


def _request(world: AliceBobCharlie) -> Request:
    made: Request = Request.objects.create(
        investment=world.pool.investment,
        account=world.pool.account,
        kind="deposit",
        amount=Decimal("1250.50"),
        currency="USD",
        currency_digits=2,
        idempotency_key=f"key-{Request.objects.count()}",
        created_by=world.bob,
    )
    return made


@pytest.fixture
def told(world: AliceBobCharlie) -> Notification:
    """Bob's deposit was approved."""
    happened("request.confirmed", _request(world).public_id, by="somebody")
    found: Notification = Notification.objects.get(user=world.bob)
    return found


def _many(world: AliceBobCharlie, number: int) -> None:
    event = Event.objects.latest("pk")
    facts = Notification.objects.latest("pk").facts
    Notification.objects.bulk_create(
        Notification(
            user=world.bob,
            event=event,
            kind="request_confirmed",
            about=f"00000000-0000-7000-8000-{place:012}",
            facts=facts,
            occurred_at=timezone.now() - timedelta(hours=place),
        )
        for place in range(number)
    )


def test_list_tells_what_happened_and_where_to_look(told: Notification, bob: Client) -> None:
    page = text_of(bob.get("/notifications/"))
    assert "Deposit approved" in page
    assert "Your deposit of 1,250.50 USD into “Pool 9000” was approved." in page
    answer = bob.post(f"/notifications/{told.public_id}/open/")
    assert answer.status_code == 302
    assert answer["Location"] == f"/requests/{Request.objects.get().public_id}/"
    assert bob.get(answer["Location"]).status_code == 200
    told.refresh_from_db()
    assert told.read_at is not None


def test_reading_takes_a_post(told: Notification, bob: Client) -> None:
    for address in (f"{told.public_id}/open/", f"{told.public_id}/read/", "read/"):
        assert bob.get(f"/notifications/{address}").status_code == 405
    told.refresh_from_db()
    assert told.read_at is None


def test_one_is_marked_as_read_and_then_all(world: AliceBobCharlie, told: Notification, bob: Client) -> None:
    _many(world, 3)
    assert bob.post(f"/notifications/{told.public_id}/read/").status_code == 302
    first = Notification.objects.get(pk=told.pk).read_at
    assert unread_count(world.bob) == 3
    bob.post(f"/notifications/{told.public_id}/read/")
    assert "Mark all as read" in text_of(bob.get("/notifications/"))
    bob.post("/notifications/read/")
    assert unread_count(world.bob) == 0
    bob.get("/notifications/")
    assert "Mark all as read" not in text_of(bob.get("/notifications/"))
    assert Notification.objects.get(pk=told.pk).read_at == first


def test_all_means_all_of_ones_own(world: AliceBobCharlie, told: Notification, visit: Visit) -> None:
    eve = visit(person("eve@example.com"))
    assert eve.post("/notifications/read/").status_code == 302
    assert eve.post(f"/notifications/{told.public_id}/open/").status_code == 404
    assert eve.post(f"/notifications/{told.public_id}/read/").status_code == 404
    assert "Deposit approved" not in text_of(eve.get("/notifications/"))
    assert unread_count(world.bob) == 1


def test_bell_counts_what_is_unread_on_every_page(
    world: AliceBobCharlie, told: Notification, bob: Client
) -> None:
    assert "1 unread notification" in bob.get("/portfolio/").content.decode()
    _many(world, 120)
    page = bob.get("/portfolio/").content.decode()
    assert "99+ unread notifications" in page
    bob.post("/notifications/read/")
    assert "unread notification" not in bob.get("/portfolio/").content.decode()
    assert 'id="bell"' not in Client(SERVER_NAME="alpha.localhost").get("/").content.decode()


def test_bell_answers_a_poll_only_when_the_count_is_another(
    world: AliceBobCharlie, told: Notification, bob: Client
) -> None:
    page = bob.get("/portfolio/").content.decode()
    found = re.search(r'hx-get="/notifications/bell/".*?If-None-Match&quot;: &quot;\\&quot;(\w+)', page)
    assert found is not None
    same = {"If-None-Match": f'"{found[1]}"', **HTMX}
    answer = bob.get("/notifications/bell/", headers=same)
    assert (answer.status_code, answer.content) == (304, b"")
    _many(world, 1)
    answer = bob.get("/notifications/bell/", headers=same)
    assert answer.status_code == 200
    assert "2 unread notifications" in answer.content.decode()
    signed_out = Client(SERVER_NAME="alpha.localhost").get("/notifications/bell/", headers=HTMX)
    assert (signed_out.status_code, signed_out["HX-Refresh"]) == (204, "true")


def test_bell_takes_one_query_and_the_list_the_same_at_any_number(
    world: AliceBobCharlie, told: Notification, bob: Client
) -> None:
    def statements(address: str) -> list[str]:
        with CaptureQueriesContext(connection) as queries:
            assert bob.get(address).status_code == 200
        return [query["sql"] for query in queries]

    for address in ("/notifications/", "/notifications/preferences/", "/portfolio/"):
        statements(address)
        assert len([sql for sql in statements(address) if "events_notification" in sql]) <= 2
    few = len(statements("/notifications/"))
    _many(world, 40)
    assert len(statements("/notifications/")) == few <= 12
    assert len(statements("/notifications/preferences/")) <= 12


def test_pages_go_on_below_the_last_one_seen(world: AliceBobCharlie, told: Notification, bob: Client) -> None:
    _many(world, 40)
    first = bob.get("/notifications/").content.decode()
    (address,) = set(re.findall(r'href="(/notifications/\?before=\d+)"', first))
    second = bob.get(address).content.decode()
    ids = [set(re.findall(r"/notifications/([0-9a-f-]{36})/open/", page)) for page in (first, second)]
    assert [len(found) for found in ids] == [30, 11]
    assert not ids[0] & ids[1]


def test_unread_only_is_a_list_of_its_own(world: AliceBobCharlie, told: Notification, bob: Client) -> None:
    assert "Deposit approved" in text_of(bob.get("/notifications/?unread=1"))
    bob.post("/notifications/read/")
    page = text_of(bob.get("/notifications/?unread=1"))
    assert "Nothing unread" in page
    assert "Deposit approved" not in page
    assert "Deposit approved" in text_of(bob.get("/notifications/"))


def test_nothing_yet_says_what_will_be_here(world: AliceBobCharlie, bob: Client) -> None:
    assert "Nothing has happened yet" in text_of(bob.get("/notifications/"))


def test_choices_are_kept_and_only_those_that_differ(world: AliceBobCharlie, bob: Client) -> None:
    page = bob.get("/notifications/preferences/").content.decode()
    on = set(re.findall(r'name="([\w-]+)"[^>]* checked(?! disabled)[^>]*>', page))
    assert "email-request_confirmed" in on
    assert "email-fee_charged" not in on
    wanted = (on - {"email-request_confirmed"}) | {"email-fee_charged"}
    bob.post("/notifications/preferences/", dict.fromkeys(wanted, "on"))
    chosen = {(row.kind, row.in_cabinet, row.by_email) for row in Preference.objects.all()}
    assert chosen == {("request_confirmed", True, False), ("fee_charged", True, True)}
    again = bob.get("/notifications/preferences/").content.decode()
    assert set(re.findall(r'name="([\w-]+)"[^>]* checked(?! disabled)[^>]*>', again)) == wanted


def test_security_stays_on_whatever_is_sent(world: AliceBobCharlie, bob: Client) -> None:
    bob.post("/notifications/preferences/", {})
    assert not Preference.objects.filter(kind="password_changed").exists()
    happened("security.password_changed", world.bob.public_id, device="Firefox", ip="192.0.2.7")
    assert unread_count(world.bob) == 1


def test_each_role_chooses_among_its_own(world: AliceBobCharlie, bob: Client, visit: Visit) -> None:
    investor = text_of(bob.get("/notifications/preferences/"))
    manager = text_of(visit(world.alice).get("/notifications/preferences/"))
    assert "Accounts you manage" not in investor
    assert "Accounts you manage" in manager
    assert "The broker's work" not in manager
    assert "Security" in investor
