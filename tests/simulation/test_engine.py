"""The calculation's own functions against the model, without a database; the model against examples."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from tests.counts import cases
from tests.simulation.engine import Course
from tests.simulation.model import Account, Kind, Ratio, Rules, Snapshot, Stake, Tiers, Wish
from tests.simulation.stop_rules import Side, Stop, price_of, set_stops, stop_price

EVENTS = cases(push=12_000, soak=1_000_000)
ROLLOVERS = 40
SHARES_OF_THE_WORK = 2
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("share", range(SHARES_OF_THE_WORK))
def test_calculation_and_model_agree_event_by_event(share: int) -> None:
    events, seed = 0, share
    while events < EVENTS // SHARES_OF_THE_WORK:
        course = Course(seed)
        assert course.play(ROLLOVERS) == []
        events += course.events
        seed += SHARES_OF_THE_WORK


def test_model_computes_the_worked_examples() -> None:
    """Those of `docs/money.md`: example 1 by yield, example 2 by net worth."""
    by_yield = Rules("yield", _tiers((None, 0), ("0.1", 20), ("0.4", 50)))
    by_worth = Rules("net_worth", _tiers((None, 50), (100_000, 40), (500_000, 30), (1_000_000, 15)))
    account = Account("pool", "manager")
    stakes = [Stake("a", "a", by_yield), Stake("b", "b", by_worth)]
    account.stakes = {stake.name: stake for stake in stakes}
    joins = [
        Wish(stake.name, Kind.DEPOSIT, stake, amount, collected=True)
        for stake, amount in zip(stakes, (500_000, 90_000), strict=True)
    ]
    account.roll(Snapshot(START, 0), joins)
    fees = []
    for hour, price in enumerate((Fraction(11, 10), Fraction(99, 100), Fraction(1111, 1000)), start=1):
        equity = round(price * Fraction(account.units, 10**10))
        account.roll(Snapshot(START + timedelta(hours=hour), equity), [])
        fees.append({charge.stake: charge.amount for charge in account.charges})
    assert fees == [{"a": 100_00, "b": 45_00}, {}, {"a": 10_80, "b": 4_72}]
    assert stakes[1].carried["performance"] == Fraction(1, 2)
    assert [stake.mark for stake in stakes] == [5443_20 * 10**10, 949_73 * 10**10]


def test_model_plays_the_worked_example_of_a_stop() -> None:
    """That of `docs/money.md`; and a price that nothing but rounding keeps from a stop reaches it."""
    stake = Stake("1", "a", Rules("flat", Tiers(((None, Fraction(0)),))))
    account = Account("pool", "manager", stakes={"1": stake})
    account.roll(Snapshot(START, 0), [Wish("1", Kind.DEPOSIT, stake, 1000_00, collected=True)])
    set_stops(account, stake, {Side.LOSS: 900_00}, START)
    (stop,) = account.stops
    assert stop.price == Fraction(9, 10)
    half = Wish("2", Kind.WITHDRAWAL, stake, 500_00, START)
    states = []
    for hour, (equity, wishes) in enumerate(
        ((1000_00, [half]), (475_00, []), (455_00, []), (400_00, [])), start=1
    ):
        account.roll(Snapshot(START + timedelta(hours=hour), equity), wishes)
        states.append((stop.state, stake.paid_out))
    assert states == [("active", 500_00)] * 3 + [("reached", 900_00)]
    thirds = Account("pool", "manager", stakes={"1": stake})
    stake.state, stake.units, thirds.price = "active", 3 * 10**12, Ratio(100, 3 * 10**12)
    for side in Side:
        price = stop_price(thirds, stake, side, 1_00)
        assert Stop(stake, side, 1_00, price, START).is_reached(price_of(thirds))


def _tiers(*rows: tuple[object, int]) -> Tiers:
    return Tiers(
        tuple((None if bound is None else Fraction(str(bound)), Fraction(rate, 100)) for bound, rate in rows)
    )
