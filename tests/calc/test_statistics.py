"""Track record figures: prices to returns and drawdown, exactly; ratios as empyrical defines them."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from allocation.calc.price import Price
from tests import vectors
from track_record.calc import statistics
from track_record.calc.statistics import MonthlyReturn, PricePoint

UNITS = Decimal(1000)


def price(per_unit: str) -> Price:
    return Price(Decimal(per_unit) * UNITS, UNITS)


def points(*rows: tuple[str, str]) -> list[PricePoint]:
    return [
        PricePoint(datetime.fromisoformat(at).replace(tzinfo=UTC), price(per_unit)) for at, per_unit in rows
    ]


def test_total_return_is_the_last_price_over_the_first() -> None:
    assert statistics.total_return([price("1"), price("0.5"), price("1.111")]) == Decimal("0.111")
    assert statistics.total_return([price("1")]) == 0
    assert statistics.total_return([price("1"), price("0")]) == -1


def test_return_since_counts_from_the_last_price_at_or_before() -> None:
    series = points(("2026-01-01", "1"), ("2026-02-01", "1.25"), ("2026-03-01", "1.5"))
    assert statistics.return_since(series, datetime(2026, 2, 15, tzinfo=UTC)) == Decimal("0.2")
    assert statistics.return_since(series, datetime(2020, 1, 1, tzinfo=UTC)) == Decimal("0.5")


def test_monthly_returns_use_local_months_and_chain_to_the_total() -> None:
    series = points(
        ("2026-01-10", "1"),
        ("2026-01-31T23:30", "1.1"),  # already February in Berlin
        ("2026-02-20", "1.2"),
        ("2026-04-05", "0.9"),
    )
    assert statistics.monthly_returns(series, ZoneInfo("Europe/Berlin")) == [
        MonthlyReturn(2026, 1, Decimal(0)),
        MonthlyReturn(2026, 2, Decimal("0.2")),
        MonthlyReturn(2026, 4, Decimal("-0.25")),
    ]
    assert statistics.monthly_returns([], UTC) == []


def test_returns_from_a_price_of_zero_are_left_out() -> None:
    assert statistics.returns([price("1"), price("0"), price("0.5"), price("1")]) == [-1, 1]


@pytest.mark.parametrize(
    ("series", "deepest"),
    [
        (["100", "150", "90"], "-0.4"),
        (["1", "0.9", "1.2", "1.14"], "-0.1"),
        (["1", "1.1", "1.2"], "0"),
        (["1", "0"], "-1"),
        ([], "0"),
    ],
)
def test_maximum_drawdown_is_the_deepest_fall_from_a_peak(series: list[str], deepest: str) -> None:
    assert statistics.maximum_drawdown([price(one) for one in series]) == Decimal(deepest)


def test_ratios_without_a_divisor_or_observations_are_none() -> None:
    tenth = Decimal("0.1")
    assert statistics.volatility([tenth], 12) is None
    assert statistics.sharpe_ratio([tenth, tenth], 12) is None
    assert statistics.sortino_ratio([tenth, tenth], 12) is None
    assert statistics.calmar_ratio([tenth, tenth], 12) is None
    assert statistics.profit_factor([Decimal(1)]) is None
    assert statistics.winning_share([]) is None
    assert statistics.annual_return([], 12) is None
    assert statistics.downside_risk([], 12) is None


def series_of(example: dict[str, Any], *keys: str) -> list[Decimal]:
    inputs = example["inputs"]
    key = next(key for key in keys if key in inputs)
    scale = 100 if key.endswith("_pct") else 1
    return [Decimal(str(one)) / scale for one in inputs[key] if one is not None]


def curve(rates: list[Decimal]) -> list[Price]:
    series = [Price.INITIAL]
    for rate in rates:
        series.append(Price(series[-1].equity * (1 + rate), Decimal(1)))
    return series


PER_PERIOD = 1
PUBLISHED: dict[str, dict[str, Callable[[dict[str, Any]], Any]]] = {
    "RSK-01": {
        "total": lambda e: statistics.total_return(curve(series_of(e, "returns_pct"))),
        "max_drawdown": lambda e: statistics.maximum_drawdown(curve(series_of(e, "returns_pct"))),
    },
    "RSK-03": {
        "annual_return": lambda e: statistics.annual_return(series_of(e, "returns_pct"), 12),
        "annual_vol": lambda e: statistics.volatility(series_of(e, "returns_pct"), 12),
        "calmar": lambda e: statistics.calmar_ratio(series_of(e, "returns_pct"), 12),
        "downside_risk": lambda e: statistics.downside_risk(series_of(e, "returns_pct"), 12),
        "sortino": lambda e: statistics.sortino_ratio(series_of(e, "returns_pct"), 12),
    },
    "RSK-05": {
        "max_drawdown": lambda e: statistics.maximum_drawdown(curve(series_of(e, "returns_pct"))),
        "sharpe": lambda e: statistics.sharpe_ratio(series_of(e, "returns_pct"), 252),
    },
    "RSK-07": {
        "sharpe": lambda e: statistics.sharpe_ratio(series_of(e, "returns_pct"), 252),
        "sortino": lambda e: statistics.sortino_ratio(series_of(e, "returns_pct"), 252),
    },
    "RSK-09": {"max_drawdown": lambda e: statistics.maximum_drawdown(curve(series_of(e, "returns_pct")))},
    "RSK-13": {
        "downside_risk": lambda e: [
            statistics.downside_risk(series_of(e, key), 52) for key in ("one_pct", "two_pct")
        ],
        "sortino": lambda e: [
            statistics.sortino_ratio(series_of(e, key), 52) for key in ("one_pct", "two_pct")
        ],
    },
    "RSK-19": {
        "annual_return": lambda e: [statistics.annual_return(series_of(e, key), 12) for key in "xy"],
        "annual_vol": lambda e: [statistics.volatility(series_of(e, key), 12) for key in "xy"],
        "sharpe": lambda e: [statistics.sharpe_ratio(series_of(e, key), PER_PERIOD) for key in "xy"],
        "downside": lambda e: [statistics.downside_risk(series_of(e, key), PER_PERIOD) for key in "xy"],
        "win_fraction": lambda e: [statistics.winning_share(series_of(e, key)) for key in "xy"],
    },
    "RSK-25": {"sortino": lambda e: statistics.sortino_ratio(series_of(e, "returns"), 252)},
    "RSK-27": {"profit_factor": lambda e: statistics.profit_factor(series_of(e, "pf"))},
    "RSK-29": {"cagr": lambda e: statistics.annual_return([Decimal("0.1")] + [Decimal(0)] * 125, 252)},
    "RSK-33": {"sortino": lambda e: statistics.sortino_ratio(series_of(e, "returns"), PER_PERIOD)},
    "RSK-37": {
        "max_drawdown": lambda e: statistics.maximum_drawdown([price(str(v)) for v in e["inputs"]["values"]])
    },
    "RSK-39": {"total_return": lambda e: statistics.total_return(curve(series_of(e, "returns")))},
}
"""The examples whose figures the platform shows; value at risk, omega and others are not among them."""

EXAMPLES = {example["id"]: example for example in vectors.load("published.json")}


@pytest.mark.parametrize(
    ("identifier", "figure"), [(i, f) for i, figures in PUBLISHED.items() for f in figures]
)
def test_published_risk_statistic_is_reproduced(identifier: str, figure: str) -> None:
    example = EXAMPLES[identifier]
    ours, printed = PUBLISHED[identifier][figure](example), example["expected"][figure]
    pairs = zip(ours, printed, strict=True) if isinstance(printed, list) else [(ours, printed)]
    for our, theirs in pairs:
        assert abs(float(our) - float(theirs)) <= float(example["tolerance"])
