"""What traders of different character earn hour by hour, by chance with a seed.

Chance is drawn as floating numbers and becomes whole parts of `RATE_SCALE` at once; money is computed from
those.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

RATE_SCALE = 10**8
FRIDAY = 4
YEAR_HOURS = 365 * 24


@dataclass(frozen=True, slots=True)
class Character:
    """How an account trades.

    `yearly_return` and `daily_volatility` are fractions; `patience` is the share of busy hours without a
    closed trade; `regime_days` how long good and bad phases last, `regime_strength` how much they differ.
    """

    yearly_return: float
    daily_volatility: float
    patience: float = 0.3
    regime_days: int = 18
    regime_strength: float = 1.0


STEADY = Character(0.17, 0.0032, patience=0.25, regime_strength=0.8)
VOLATILE = Character(0.46, 0.0150, patience=0.35, regime_days=24, regime_strength=1.6)
LOSING = Character(-0.23, 0.0085, regime_days=30, regime_strength=1.2)
PATIENT = Character(0.09, 0.0040, patience=0.65)
BOLD = Character(0.80, 0.0120, regime_days=10, regime_strength=1.3)


def is_open(moment: datetime, server_zone: tzinfo) -> bool:
    """Whether the currency market trades: Monday to Friday by the trading server's clock."""
    return moment.astimezone(server_zone).weekday() <= FRIDAY


def hourly_rates(
    character: Character, hours: Sequence[datetime], server_zone: tzinfo, chance: random.Random
) -> list[int]:
    """Result of the hour that ends at each of `hours`, in parts of `RATE_SCALE` of the equity.

    0 without a trade. The whole comes to the character's yearly return for the length of time there is.
    """
    hourly_volatility = character.daily_volatility / math.sqrt(16)
    drifts: list[float] = []
    drift, phase_ends = 0.0, 0
    for number, hour in enumerate(hours):
        if number >= phase_ends:
            phase_ends = number + int(24 * character.regime_days * chance.uniform(0.4, 1.6))
            drift = chance.gauss(0, 0.09) * character.regime_strength * hourly_volatility
        busy = 7 <= hour.astimezone(server_zone).hour <= 20
        idle = character.patience if busy else (1 + character.patience) / 2
        if not is_open(hour, server_zone) or chance.random() < idle:
            drifts.append(0.0)
        else:
            drifts.append(drift + _heavy_tailed(chance) * hourly_volatility)
    traded = sum(1 for rate in drifts if rate)
    if not traded:
        return [0] * len(drifts)
    wanted = math.log1p(character.yearly_return) * len(drifts) / YEAR_HOURS
    missing = (wanted - sum(math.log1p(rate) for rate in drifts)) / traded
    return [round((rate + missing) * RATE_SCALE) if rate else 0 for rate in drifts]


def _heavy_tailed(chance: random.Random) -> float:
    """A draw with unit deviation and more extremes than the normal one, cut at five deviations."""
    scale = 1.8 if chance.random() < 0.12 else 0.83
    return max(-5.0, min(5.0, chance.gauss(0, 1) * scale))
