"""What two people at once may not both get."""

import threading
import time
from collections.abc import Callable

from django.db import connection, transaction

from brokers.errors import Refusal
from brokers.scope import broker_scope, current_broker_id
from offers.models import JoinLink, Offer, Terms
from offers.services import create_offer, revise_terms, use_join_link
from tests.offers.drafts import draft
from tests.worlds import alice_bob_charlie


def _outcome_of_the_second(first: Callable[[], object], second: Callable[[], object]) -> str:
    """What the second is told that runs while the first has not committed yet."""
    outcomes: list[str] = []
    broker_id = current_broker_id()

    def run_second() -> None:
        with broker_scope(broker_id):
            try:
                second()
                outcomes.append("done")
            except Refusal as refusal:
                outcomes.append(refusal.code)
        connection.close()

    thread = threading.Thread(target=run_second)
    with transaction.atomic():
        first()
        thread.start()
        wait_until_somebody_waits()
    thread.join()
    return outcomes[0]


def test_link_for_one_person_is_used_by_one_of_two_who_join_at_once(committed_db: str) -> None:
    world = alice_bob_charlie()
    with broker_scope(world.alpha.pk):
        link = JoinLink.objects.create(offer=world.pool.offer, single_use=True)

        def join() -> None:
            use_join_link(link=link)

        assert _outcome_of_the_second(join, join) == "join_link_used"


def test_offer_of_one_name_is_created_by_one_of_two_clicks_at_once(committed_db: str) -> None:
    world = alice_bob_charlie()
    with broker_scope(world.alpha.pk):

        def click() -> None:
            create_offer(
                account=world.pool.account, name="Growth", visibility=Offer.Visibility.PUBLIC,
                approval=Offer.Approval.MANAGER, terms=draft(), by=world.alice,
            )  # fmt: skip

        assert _outcome_of_the_second(click, click) == "offer_name_taken"
        assert Offer.objects.filter(name="Growth").count() == 1


def test_versions_made_at_once_are_numbered_one_after_the_other(committed_db: str) -> None:
    world = alice_bob_charlie()
    with broker_scope(world.alpha.pk):

        def lock_in_for(days: int) -> Callable[[], object]:
            return lambda: revise_terms(
                offer=world.pool.offer, terms=draft(lock_in_days=days), by=world.alice
            )

        assert _outcome_of_the_second(lock_in_for(1), lock_in_for(2)) == "done"
        versions = Terms.objects.filter(offer=world.pool.offer).order_by("version")
        assert list(versions.values_list("version", "lock_in_days")) == [(1, 0), (2, 1), (3, 2)]


def wait_until_somebody_waits() -> None:
    """Until another session stands before a lock of ours."""
    for _ in range(200):
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
        time.sleep(0.05)
    raise AssertionError("nobody waited")
