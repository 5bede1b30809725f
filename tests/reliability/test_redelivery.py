"""Messages that come several times, in any order, to workers some of which are killed: the same books."""

from random import Random

import pytest
from django.conf import settings

from brokers.scope import broker_scope
from rollover.models import Rollover
from rollover.services import dispatch_due_rollovers, roll_over, settle_open_transfers
from rollover.tasks import roll_over_task
from tests.circle.world import Desk
from tests.counts import cases
from tests.reliability.carrier import Carrier
from tests.reliability.fleet import Fleet
from tests.reliability.pools import differences
from tests.reliability.settings import PUBLISHED
from tests.reliability.village import Digest, Village
from tests.reliability.waiting import until
from tests.worlds import broker_called

POOLS = cases(push=4, soak=20)
LIVES = cases(push=1, soak=10)
WORKERS = 3
MOST_TIMES = 5
AGAIN = 10
DELIVERIES = 300


@pytest.mark.parametrize("seed", range(LIVES))
def test_repeated_and_shuffled_messages_and_killed_workers_leave_the_books_of_single_delivery(
    desk: Desk, fleet: Fleet, seed: int
) -> None:
    expected = undisturbed_life(desk)
    chance = Random(seed)
    killed_at_work = []
    with Carrier(settings.REDIS_URL, lambda random: random.randint(1, MOST_TIMES), seed) as carrier:
        workers = fleet.start_workers(WORKERS)
        fleet.start_beats(1)

        def hour() -> None:
            """A worker is killed in the middle of it, and another one comes."""
            begun = Rollover.objects.exclude(state=Rollover.State.DUE)
            over = Rollover.objects.exclude(state__in=Rollover.OPEN_STATES)
            before = over.count()
            until(lambda: begun.count() > before, fleet)
            publish_again(desk)
            workers.pop(chance.randrange(WORKERS)).kill()
            killed_at_work.append(over.count() < before + POOLS)
            workers.extend(fleet.start_workers(1))
            until(lambda: over.count() == before + POOLS, fleet)

        village = Village(desk)
        village.live(POOLS, hour)
    fleet.kill_all()
    print(f"delivered {dict(carrier.delivered)}; killed before all was done: {killed_at_work}")
    assert any(killed_at_work)
    assert carrier.delivered.total() >= DELIVERIES
    assert village.digest() == expected
    assert differences([offer.account for offer in village.offers]) == []


def publish_again(desk: Desk) -> None:
    """The hour's rollovers, each in a message of its own and several times, as well as in their slices."""
    latest = Rollover.objects.order_by("-pk").values_list("pk", flat=True)[:POOLS]
    for rollover_id in [*latest] * AGAIN:
        roll_over_task.apply_async((desk.broker.pk, [rollover_id]), queue=PUBLISHED)


def undisturbed_life(desk: Desk) -> Digest:
    """The same life at another broker, each message delivered once, one after the other."""

    def hour() -> None:
        for slice_ in dispatch_due_rollovers():
            roll_over(slice_)
        settle_open_transfers()

    with broker_scope(broker_called("b").pk):
        village = Village(Desk.open(desk.simulator, "b"))
        village.live(POOLS, hour)
        return village.digest()
