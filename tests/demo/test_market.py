"""What the demo's traders earn: repeatable, only while the market is open, and in their character."""

import math
import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from demo.market import BOLD, LOSING, PATIENT, RATE_SCALE, STEADY, VOLATILE, Character, hourly_rates, is_open

ATHENS = ZoneInfo("Europe/Athens")
HOURS = [datetime(2025, 11, 20, tzinfo=UTC) + timedelta(hours=number) for number in range(365 * 24)]


def rates(character: Character, seed: int = 1) -> list[int]:
    return hourly_rates(character, HOURS, ATHENS, random.Random(seed))


def test_rates_of_the_same_seed_are_the_same() -> None:
    assert rates(STEADY) == rates(STEADY)
    assert rates(STEADY) != rates(STEADY, seed=2)


def test_rates_are_zero_from_friday_midnight_to_monday_by_the_servers_clock() -> None:
    found = rates(VOLATILE)
    closed = [rate for hour, rate in zip(HOURS, found, strict=True) if not is_open(hour, ATHENS)]
    assert len(closed) > 2000
    assert not any(closed)
    assert sum(1 for rate in found if rate) > 2000


@pytest.mark.parametrize("character", [STEADY, VOLATILE, LOSING, PATIENT, BOLD])
def test_year_comes_to_the_characters_return_by_ups_and_downs(character: Character) -> None:
    logarithms = [math.log1p(rate / RATE_SCALE) for rate in rates(character)]
    assert math.expm1(sum(logarithms)) == pytest.approx(character.yearly_return, abs=0.02)
    peak = drawdown = height = 0.0
    for step in logarithms:
        height += step
        peak = max(peak, height)
        drawdown = max(drawdown, peak - height)
    assert drawdown > character.daily_volatility
    assert drawdown < 0.6
