"""Tiers in dollars that nobody may offer, for the performance fee and the entry fee alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from fees.calc.schedule import Tier


@dataclass(frozen=True, slots=True)
class BadTiers:
    """`code` with the fee's `{kind}`; `tier` counts from 1, None where the fault is of all tiers."""

    name: str
    rows: Sequence[tuple[str | None, str]]
    code: str
    tier: int | None
    words: str

    @property
    def tiers(self) -> tuple[Tier, ...]:
        return tuple(
            Tier(None if bound is None else Decimal(bound), Decimal(rate)) for bound, rate in self.rows
        )


_INVALID = "tiers_invalid"
BAD_TIERS = [
    BadTiers("overlap", [(None, "0.05"), ("100", "0.04"), ("100", "0.03")], _INVALID, 3, "begin above"),
    BadTiers("unsorted", [(None, "0.05"), ("200", "0.04"), ("100", "0.03")], _INVALID, 3, "begin above"),
    BadTiers("rate above 1", [(None, "1.01")], _INVALID, 1, "between 0 % and 100 %"),
    BadTiers("negative rate", [(None, "0.05"), ("100", "-0.01")], _INVALID, 2, "between 0 % and 100 %"),
    BadTiers("negative bound", [(None, "0.05"), ("-100", "0.05")], _INVALID, 2, "negative"),
    BadTiers("no bound", [(None, "0.05"), (None, "0.05")], _INVALID, 2, "from where"),
    BadTiers("rate too precise", [(None, "0.0123456789")], _INVALID, 1, "too many decimals"),
    BadTiers("currency precision", [(None, "0.05"), ("10.001", "0.05")], _INVALID, 2, "too many decimals"),
    BadTiers("bound too large", [(None, "0.05"), ("1" + "0" * 16, "0.05")], _INVALID, 2, "too large"),
    BadTiers(
        "21 tiers",
        [(None, "0.05"), *((str(number), "0.05") for number in range(1, 21))],
        _INVALID,
        None,
        "more than 20",
    ),
    BadTiers("above the ceiling", [(None, "0.51")], "{kind}_fee_ceiling_exceeded", 1, "at most"),
]
