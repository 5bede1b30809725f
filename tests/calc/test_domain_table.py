"""The rules' own worked table: two investors over three interval ends, marks and fractions included."""

from decimal import Decimal
from typing import Any

import pytest

from allocation.calc.price import time_weighted_return
from fees.calc.schedule import Schedule
from tests import vectors
from tests.calc.pool import Pool

TABLE = vectors.load("domain.json")


@pytest.mark.parametrize("example", TABLE, ids=lambda example: str(example["name"]))
def test_worked_table_each_interval_end_matches_to_the_cent(example: dict[str, Any]) -> None:
    pool = Pool(digits=example["digits"])
    pool.deposit("manager", Decimal("10000.00"))
    pool.deposit("investor", Decimal(example["joins"]["deposit"]), Schedule.from_json(example["schedule"]))
    for row in example["interval_ends"]:
        _trade_to(pool, Decimal(row["price"]))
        expected = {key: Decimal(row[key]) for key in row}

        assert pool.price.rounded() == expected["price"]
        assert pool.value("investor") == expected["value"]
        assert time_weighted_return(pool.holdings["investor"].opening, pool.price) == expected["yield"]
        fee = pool.end_interval("investor")
        assert fee.amount == expected["fee"]
        assert fee.rate == Decimal(expected["rate"])
        assert fee.high_water_mark_next == expected["mark"]
        assert fee.carried_next == expected["carried"]


@pytest.mark.parametrize("example", TABLE, ids=lambda example: str(example["name"]))
def test_worked_table_investor_closes_manager_keeps_exactly_his_value(example: dict[str, Any]) -> None:
    pool = Pool(digits=example["digits"])
    pool.deposit("manager", Decimal("10000.00"))
    pool.deposit("investor", Decimal(example["joins"]["deposit"]), Schedule.from_json(example["schedule"]))
    for row in example["interval_ends"]:
        _trade_to(pool, Decimal(row["price"]))
        pool.end_interval("investor")

    closed = pool.close("investor")

    last = example["interval_ends"][-1]
    assert closed.paid == Decimal(last["mark"])
    assert closed.fee == 0
    assert pool.equity == pool.value("manager") == Decimal("11110.00")


def _trade_to(pool: Pool, price: Decimal) -> None:
    """Trade whatever whole cents bring the pool to this price; the examples' prices need no fraction."""
    target = (price * pool.units).quantize(Decimal("0.01"))
    pool.trade(target - pool.equity)
