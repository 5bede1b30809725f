"""The campaigns can see what they look for: programs with the four classic faults fail in them."""

from collections.abc import Callable
from decimal import Decimal
from random import Random

from django.conf import settings

from money.splitting import largest_remainder
from tests.circle.world import Desk
from tests.reliability import naive
from tests.reliability.carrier import Carrier
from tests.reliability.crew import Crew
from tests.reliability.fleet import Fleet
from tests.reliability.settings import PUBLISHED
from tests.reliability.waiting import until

ROUNDS, CREW = 20, 16


def added_by_a_crew(call: Callable[[], object]) -> int:
    before = naive.in_purse()
    with Crew(CREW) as crew:
        for _ in range(ROUNDS):
            crew.at_once([call] * CREW)
    return naive.in_purse() - before


def test_crew_sees_updates_lost_where_a_row_is_read_without_a_lock(desk: Desk) -> None:
    naive.make_tables()
    kept = added_by_a_crew(naive.add_one_without_lock)
    print(f"{1 - kept / (ROUNDS * CREW):.0%} of the updates lost")
    assert kept < ROUNDS * CREW / 2
    assert added_by_a_crew(naive.add_one_with_lock) == ROUNDS * CREW


def test_carrier_sees_payments_made_several_times_where_nothing_guards_a_task(
    desk: Desk, fleet: Fleet
) -> None:
    naive.make_tables()
    with Carrier(settings.REDIS_URL, lambda random: random.randint(1, 5), seed=1) as carrier:
        (worker,) = fleet.start_workers(1, include="tests.reliability.naive")
        for number in range(20):
            naive.pay.apply_async((number,), queue=PUBLISHED)
        until(lambda: carrier.delivered.total() == worker.times_done(naive.pay.name) > 0, fleet)
    print(f"{naive.payments()} payments for 20 requests")
    assert naive.payments() == carrier.delivered[naive.pay.name] >= 40


def test_lost_answers_show_calls_made_twice_where_nothing_is_written_down_before(desk: Desk) -> None:
    login, chance = desk.simulator.add_account(), Random(20261120)
    for _ in range(20):
        if chance.random() < 0.4:
            desk.simulator.arm_fault("drop_after", login=login)
        naive.move_until_answered(desk.gateway, login, Decimal("1.00"))
    made = desk.balance(login)
    print(f"{made} moved for 20.00")
    assert made > Decimal("24.00")


def test_float_shares_do_not_sum_to_what_was_shared() -> None:
    chance = Random(20261120)
    weights = [chance.randrange(1, 10**9) for _ in range(2_000)]
    total = chance.randrange(10**9, 10**10)
    exact = largest_remainder(total, weights)
    floating = [
        round(part * 100) for part in naive.float_shares(total / 100, [weight / 100 for weight in weights])
    ]
    wrong = sum(one != other for one, other in zip(exact, floating, strict=True))
    print(f"{wrong} of {len(weights)} shares wrong, together by {sum(floating) - total} cents")
    assert sum(exact) == total != sum(floating)
    assert wrong
