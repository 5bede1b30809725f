"""The schedule of a performance fee: tiers of a rate over a basis.

A tier begins at its lower bound (inclusive) and reaches up to the next one's, so there is never a gap; the
first has no bound. `whole` takes the reached tier's rate on the whole profit, `marginal` the average of the
bands' rates from 0 up to the basis, weighted by width. Rates are exact fractions and are not rounded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache

from money.rounding import YIELD_PLACES, half_even, is_whole_minor_units

MOST_TIERS = 20


class Basis(StrEnum):
    """What the tiers' bounds are measured in: nothing, a fraction (0.10 is 10 %), or money."""

    FLAT = "flat"
    YIELD = "yield"
    NET_WORTH = "net_worth"


class Mode(StrEnum):
    WHOLE = "whole"
    MARGINAL = "marginal"


class ScheduleInvalid(ValueError):
    """A schedule that cannot be offered.

    `code` is stable; `tier_index` names the tier, None where it is not about one.
    """

    def __init__(self, code: str, tier_index: int | None = None) -> None:
        super().__init__(code if tier_index is None else f"{code} (tier {tier_index})")
        self.code = code
        self.tier_index = tier_index


@dataclass(frozen=True, slots=True)
class Tier:
    """`rate` is a fraction. `lower_bound` is inclusive, in the basis' measure; None for the first tier."""

    lower_bound: Decimal | None
    rate: Decimal


@dataclass(frozen=True, slots=True)
class Schedule:
    basis: Basis
    mode: Mode
    tiers: tuple[Tier, ...]

    def validate(self, digits: int | None = None) -> None:
        """Raises ScheduleInvalid for the first fault found.

        Codes: no_tiers, too_many_tiers, flat_has_several_tiers, rate_out_of_range, first_tier_has_bound,
        bound_missing, bound_negative, bounds_not_rising, bound_too_precise (a yield beyond 9 places; money
        beyond the currency's `digits`, where given).
        """
        if not self.tiers:
            raise ScheduleInvalid("no_tiers")
        if len(self.tiers) > MOST_TIERS:
            raise ScheduleInvalid("too_many_tiers")
        if self.basis is Basis.FLAT and len(self.tiers) > 1:
            raise ScheduleInvalid("flat_has_several_tiers", 1)
        for index, tier in enumerate(self.tiers):
            if not (tier.rate.is_finite() and 0 <= tier.rate <= 1):
                raise ScheduleInvalid("rate_out_of_range", index)
        validate_bounds(self.tiers, YIELD_PLACES if self.basis is Basis.YIELD else digits)

    @classmethod
    def flat(cls, rate: Decimal) -> "Schedule":
        """One rate, whatever the profit."""
        return cls(Basis.FLAT, Mode.WHOLE, (Tier(None, rate),))

    @classmethod
    def from_json(cls, document: Mapping[str, object]) -> "Schedule":
        """The schedule that `to_json` wrote, validated.

        Raises ScheduleInvalid: the codes of `validate`, and unknown_basis, unknown_mode, tiers_not_a_list,
        tier_not_an_object, not_a_decimal (numbers come as strings: a JSON number would have been a float on
        its way).
        """
        try:
            basis = Basis(str(document.get("basis")))
        except ValueError:
            raise ScheduleInvalid("unknown_basis") from None
        try:
            mode = Mode(str(document.get("mode", Mode.WHOLE)))
        except ValueError:
            raise ScheduleInvalid("unknown_mode") from None
        rows = document.get("tiers")
        if not isinstance(rows, Sequence) or isinstance(rows, str):
            raise ScheduleInvalid("tiers_not_a_list")
        schedule = cls(basis, mode, tuple(tier_from_json(row, index) for index, row in enumerate(rows)))
        schedule.validate()
        return schedule

    def to_json(self) -> dict[str, object]:
        """JSON-safe form, decimals as strings."""
        return {
            "basis": self.basis.value,
            "mode": self.mode.value,
            "tiers": [tier_to_json(tier) for tier in self.tiers],
        }


def validate_bounds(tiers: Sequence[Tier], places: int | None) -> None:
    """Raises ScheduleInvalid unless the first tier has no bound and the others' rise, none negative.

    `places`: decimals a bound may have, None where it is not known yet.
    """
    if tiers[0].lower_bound is not None:
        raise ScheduleInvalid("first_tier_has_bound", 0)
    previous: Decimal | None = None
    for index, tier in enumerate(tiers[1:], start=1):
        bound = tier.lower_bound
        if bound is None:
            raise ScheduleInvalid("bound_missing", index)
        if not (bound.is_finite() and bound >= 0):
            raise ScheduleInvalid("bound_negative", index)
        if previous is not None and bound <= previous:
            raise ScheduleInvalid("bounds_not_rising", index)
        if places is not None and not is_whole_minor_units(bound, places):
            raise ScheduleInvalid("bound_too_precise", index)
        previous = bound


def tier_to_json(tier: Tier) -> dict[str, str | None]:
    """JSON-safe form, decimals as strings."""
    return {
        "from": None if tier.lower_bound is None else format(tier.lower_bound, "f"),
        "rate": format(tier.rate, "f"),
    }


def tier_from_json(row: object, index: int) -> Tier:
    """What `tier_to_json` wrote. Raises ScheduleInvalid: tier_not_an_object, not_a_decimal."""
    if not isinstance(row, Mapping):
        raise ScheduleInvalid("tier_not_an_object", index)
    bound = row.get("from")
    return Tier(
        lower_bound=None if bound is None else _decimal_from_json(bound, index),
        rate=_decimal_from_json(row.get("rate"), index),
    )


def _decimal_from_json(text: object, index: int) -> Decimal:
    if not isinstance(text, str):
        raise ScheduleInvalid("not_a_decimal", index)
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ScheduleInvalid("not_a_decimal", index) from None
    if not number.is_finite():
        raise ScheduleInvalid("not_a_decimal", index)
    return number


FREE_OF_FEES = Schedule.flat(Decimal(0))
"""The schedule of the manager's own investment."""


def tier_reached(tiers: Sequence[Tier], basis_value: Decimal) -> int:
    """Index of the last tier whose bound the basis has reached; 0 where there is one tier."""
    reached = 0
    for index, tier in enumerate(tiers[1:], start=1):
        if tier.lower_bound is not None and tier.lower_bound <= basis_value:
            reached = index
    return reached


def rate_for(schedule: Schedule, basis_value: Decimal) -> Fraction:
    """Exact rate on the whole profit.

    `basis_value`: the yield as a fraction, already at its 9 places, or the net worth in the account's
    currency; not looked at for a flat schedule. Marginal at or below 0 is the first rate.
    """
    if schedule.mode is Mode.WHOLE or schedule.basis is Basis.FLAT:
        return Fraction(schedule.tiers[tier_reached(schedule.tiers, basis_value)].rate)
    if basis_value <= 0:
        return Fraction(schedule.tiers[0].rate)
    reached = tier_reached(schedule.tiers, basis_value)
    band = _bands(schedule)[reached]
    basis, scale = basis_value.as_integer_ratio()
    rate, offset = band.rate, band.offset
    per = offset.denominator * basis
    return Fraction(
        rate.numerator * per + offset.numerator * scale * rate.denominator, rate.denominator * per
    )


@dataclass(frozen=True, slots=True)
class _Band:
    """Within the band of a marginal schedule the rates up to a basis `b`, weighted by width, sum to
    `rate * b + offset`.
    """

    rate: Fraction
    offset: Fraction


@lru_cache(maxsize=256)
def _bands(schedule: Schedule) -> tuple[_Band, ...]:
    """One for each tier: the sum goes on at each bound where it was, at the next rate."""
    bands: list[_Band] = []
    for tier in schedule.tiers:
        begins, rate = Fraction(tier.lower_bound or 0), Fraction(tier.rate)
        offset = bands[-1].offset + begins * (bands[-1].rate - rate) if bands else Fraction(0)
        bands.append(_Band(rate, offset))
    return tuple(bands)


def _upper_bounds(schedule: Schedule) -> list[Decimal | None]:
    return [tier.lower_bound for tier in schedule.tiers[1:]] + [None]


@dataclass(frozen=True, slots=True)
class Cliff:
    """A bound at which a little more profit leaves the investor with less.

    `regained_at`: where the net is again what it was just below the bound, in the basis' measure, rounded to
    9 places; None where it never is, or where that depends on a capital that was not given.
    """

    at: Decimal
    rate_below: Decimal
    rate_from: Decimal
    regained_at: Decimal | None


def cliffs(schedule: Schedule, capital: Decimal | None = None) -> tuple[Cliff, ...]:
    """Every cliff of the schedule, rising. Only whole mode has any, where the rate rises.

    `capital`: the mark, in money, of the investor looking at a net-worth schedule. With it, bounds at or
    below the mark, where there is no profit yet, are left out. A yield schedule needs none.
    """
    if schedule.mode is Mode.MARGINAL:
        return ()
    start = Fraction(0) if schedule.basis is Basis.YIELD else None if capital is None else Fraction(capital)
    found = []
    for index in range(1, len(schedule.tiers)):
        below, tier = schedule.tiers[index - 1], schedule.tiers[index]
        bound = tier.lower_bound
        if bound is None or tier.rate <= below.rate or (start is not None and bound <= start):
            continue
        regained = None if start is None else _regained_at(schedule, index, start)
        found.append(
            Cliff(
                bound, below.rate, tier.rate, None if regained is None else half_even(regained, YIELD_PLACES)
            )
        )
    return tuple(found)


def _regained_at(schedule: Schedule, index: int, start: Fraction) -> Fraction | None:
    """First basis at or above the bound of tier `index` whose net is what it was just below.

    Profit counts from `start`.
    """
    bound = Fraction(schedule.tiers[index].lower_bound or 0)
    net_profit = (bound - start) * (1 - Fraction(schedule.tiers[index - 1].rate))
    upper_bounds = _upper_bounds(schedule)
    for tier, upper_bound in zip(schedule.tiers[index:], upper_bounds[index:], strict=True):
        if tier.rate == 1:
            continue
        candidate = max(start + net_profit / (1 - Fraction(tier.rate)), Fraction(tier.lower_bound or 0))
        if upper_bound is None or candidate < upper_bound:
            return candidate
    return None


@dataclass(frozen=True, slots=True)
class NetAgainstGross:
    """One point of the editor's curve: returns as fractions, and the `rate` taken of the profit, 9 places."""

    gross_return: Decimal
    net_return: Decimal
    rate: Decimal


def net_against_gross(
    schedule: Schedule, gross_returns: Sequence[Decimal], *, capital: Decimal
) -> tuple[NetAgainstGross, ...]:
    """What one interval leaves of each gross return to an investor who starts at his mark with `capital` (>
    0) and moves no money.

    Before rounding to minor units: a curve, not a charge.
    """
    points = []
    for gross in gross_returns:
        basis_value = gross
        if schedule.basis is Basis.NET_WORTH:
            basis_value = half_even(Fraction(capital) * (1 + Fraction(gross)), YIELD_PLACES)
        rate = rate_for(schedule, basis_value) if gross > 0 else Fraction(0)
        points.append(
            NetAgainstGross(
                gross_return=gross,
                net_return=half_even(Fraction(gross) * (1 - rate), YIELD_PLACES),
                rate=half_even(rate, YIELD_PLACES),
            )
        )
    return tuple(points)
