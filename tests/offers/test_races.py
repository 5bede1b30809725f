"""What two people at once may not both get."""

import threading
import time

from django.db import connection, transaction

from brokers.errors import Refusal
from brokers.scope import broker_scope
from offers.models import JoinLink
from offers.services import use_join_link
from tests.worlds import alice_bob_charlie


def test_link_for_one_person_is_used_by_one_of_two_who_join_at_once(committed_db: str) -> None:
    world = alice_bob_charlie()
    outcomes: list[str] = []

    def join_too(link: JoinLink) -> None:
        with broker_scope(world.alpha.pk):
            try:
                use_join_link(link=link)
                outcomes.append("joined")
            except Refusal as refusal:
                outcomes.append(refusal.code)
        connection.close()

    with broker_scope(world.alpha.pk):
        link = JoinLink.objects.create(offer=world.pool.offer, single_use=True)
        second = threading.Thread(target=join_too, args=[link])
        with transaction.atomic():
            use_join_link(link=link)
            second.start()
            _wait_until_somebody_waits()
        second.join()
    assert outcomes == ["join_link_used"]


def _wait_until_somebody_waits() -> None:
    """Until another session stands before a lock of ours."""
    for _ in range(200):
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
        time.sleep(0.05)
    raise AssertionError("nobody waited")
