"""Events are taken in their order, none lost and none twice, although transactions commit out of order."""

import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
import pytest
from django.db import connection, transaction

from brokers.models import Broker
from brokers.scope import broker_scope
from outbox.models import Cursor, Event
from outbox.services import EventOutsideTransaction, has_news, record_event, take_events
from tests.databases import REPOSITORY
from tests.worlds import broker_called

CONSUMER = "a test"


@pytest.fixture
def alpha(committed_db: str) -> Iterator[Broker]:
    broker = broker_called("alpha")
    with broker_scope(broker.pk):
        yield broker


class Elsewhere:
    """Another connection of the application role, with a transaction of its own."""

    def __init__(self, broker: Broker) -> None:
        self.link: Any = psycopg2.connect(os.environ["DATABASE_URL"])
        self._execute("SELECT set_config('app.broker', %s, false)", [str(broker.pk)])
        self.link.commit()
        self._broker = broker

    def record(self, kind: str) -> None:
        self._execute(
            "INSERT INTO outbox_event"
            " (broker_id, public_id, kind, subject, payload, occurred_at, recorded_at)"
            " VALUES (%s, %s, %s, %s, '{}', now(), now())",
            [self._broker.pk, str(uuid.uuid4()), kind, str(uuid.uuid4())],
        )

    def _execute(self, statement: str, values: list[Any]) -> None:
        with self.link.cursor() as cursor:
            cursor.execute(statement, values)


@contextmanager
def elsewhere(broker: Broker) -> Iterator[Elsewhere]:
    made = Elsewhere(broker)
    with closing(made.link):
        yield made


def record(*kinds: str) -> None:
    for kind in kinds:
        with transaction.atomic():
            record_event(kind, subject=uuid.uuid4())


def taken(consumer: str = CONSUMER, most: int = 100) -> list[str]:
    with transaction.atomic():
        return [event.kind for event in take_events(consumer, most=most)]


def test_event_that_commits_late_is_taken_in_its_place(alpha: Broker) -> None:
    with elsewhere(alpha) as late:
        late.record("first")
        record("second")
        assert taken() == []
        record("third")
        late.link.commit()
        assert taken() + taken() == ["first", "second", "third"]
    assert taken() == []


def test_writers_that_follow_each_other_without_a_gap_do_not_stop_delivery(alpha: Broker) -> None:
    """At no moment is nobody writing; still each event is taken once its own writers have ended."""
    seen: list[str] = []
    with elsewhere(alpha) as one, elsewhere(alpha) as other:
        one.record("0")
        for turn in range(1, 8):
            following = (other, one)[turn % 2 == 0]
            following.record(str(turn))
            (one, other)[turn % 2 == 0].link.commit()
            seen += taken()
        assert seen == [str(number) for number in range(len(seen))]
        assert len(seen) >= 5
        one.link.commit()
        other.link.commit()
    assert seen + taken() + taken() == [str(number) for number in range(8)]


def test_number_of_somebody_who_gave_up_is_passed(alpha: Broker) -> None:
    with elsewhere(alpha) as loser:
        loser.record("never")
        record("after")
        assert taken() == []
        loser.link.rollback()
    assert taken() == ["after"]


def test_what_is_settled_is_taken_while_somebody_else_still_writes(alpha: Broker) -> None:
    record("settled")
    assert taken(most=1) == ["settled"]
    record("one", "two")
    assert taken(most=1) == ["one"]
    with elsewhere(alpha) as late:
        late.record("late")
        assert taken() == ["two"]
        late.link.commit()
    assert taken() == ["late"]


def test_taking_is_undone_with_what_it_led_to(alpha: Broker) -> None:
    record("one", "two")
    with transaction.atomic():
        assert len(take_events(CONSUMER, most=100)) == 2
        transaction.set_rollback(True)
    assert taken() == ["one", "two"]


def test_late_consumer_catches_up_in_slices_of_its_own(alpha: Broker) -> None:
    record(*"abcdefg")
    assert taken("early") == list("abcdefg")
    record("h")
    slices = [taken("late", most=3) for _ in range(4)]
    assert slices == [list("abc"), list("def"), list("gh"), []]
    assert taken("early") == ["h"]
    assert not has_news("late")
    assert has_news("never heard of")


def test_two_at_once_share_nothing(alpha: Broker) -> None:
    """The second comes away with nothing instead of waiting or taking the same."""
    record(*"abc")
    taken(most=1)
    found: list[str] = []

    def meanwhile() -> None:
        with broker_scope(alpha.pk):
            found.extend(taken())
        connection.close()

    with transaction.atomic():
        mine = [event.kind for event in take_events(CONSUMER, most=100)]
        thread = threading.Thread(target=meanwhile)
        thread.start()
        thread.join(timeout=20)
        assert not thread.is_alive()
    assert (mine, found) == (["b", "c"], [])
    assert taken() == []


def test_brokers_have_cursors_of_their_own(alpha: Broker) -> None:
    beta = broker_called("beta")
    record("of alpha")
    with broker_scope(beta.pk):
        record("of beta")
        assert taken() == ["of beta"]
        assert Cursor.objects.count() == 1
    assert taken() == ["of alpha"]


def test_many_writers_and_takers_at_once_lose_and_repeat_nothing(alpha: Broker) -> None:
    writers, each = 4, 40
    seen: list[int] = []

    def write(number: int) -> None:
        with broker_scope(alpha.pk):
            for turn in range(each):
                try:
                    with transaction.atomic():
                        record_event(f"{number}", subject=uuid.uuid4(), turn=turn)
                        record_event(f"{number}", subject=uuid.uuid4(), turn=turn)
                        if turn % 7 == 6:
                            raise ZeroDivisionError
                except ZeroDivisionError:
                    continue
        connection.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) or has_news(CONSUMER):
        with transaction.atomic():
            seen += [event.pk for event in take_events(CONSUMER, most=17)]
    assert seen == list(Event.objects.order_by("pk").values_list("pk", flat=True))
    assert len(seen) == writers * 2 * (each - each // 7)


def test_killed_consumer_leaves_everything_to_the_next(alpha: Broker) -> None:
    """A process that is killed between taking and committing has taken nothing."""
    record("one", "two")
    program = f"""
import django, os
django.setup()
from django.db import transaction
from brokers.scope import broker_scope
from outbox.services import take_events
with broker_scope({alpha.pk}), transaction.atomic():
    assert len(take_events({CONSUMER!r}, most=1)) == 1
    os.kill(os.getpid(), 9)
"""
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "pamm_platform.settings.test"}
    killed = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, env=environment, check=False, timeout=60
    )
    assert killed.returncode == -9
    assert taken() == ["one", "two"]


def test_nothing_is_taken_outside_a_transaction(alpha: Broker) -> None:
    with pytest.raises(EventOutsideTransaction):
        take_events(CONSUMER, most=1)
