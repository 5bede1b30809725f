"""The editor's picture: what an investor keeps of each gross return, drawn on the server as SVG geometry.

Only a picture: coordinates are floats, the figures behind them come exact from `fees.calc.schedule`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from accounts.models import PammAccount
from fees.calc.schedule import Basis, Cliff, NetAgainstGross, Schedule, cliffs, net_against_gross
from money.exact import exact_difference
from offers.words import amount_in_words, percent_in_words

LOWEST, HIGHEST, STEP = Decimal("-0.50"), Decimal("1.50"), Decimal("0.01")
JUST_BELOW = Decimal("0.000000001")
WIDTH, HEIGHT = 440, 300
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 12, 34
SAMPLE_RETURNS = tuple(map(Decimal, ("-0.50", "-0.20", "0", "0.05", "0.10", "0.20", "0.50", "1.00", "1.50")))


@dataclass(frozen=True, slots=True)
class Mark:
    """A tick of an axis or a cliff: where it stands and what is written there."""

    position: float
    label: str


@dataclass(frozen=True, slots=True)
class CliffInWords:
    """A cliff as a person reads it. `regained` is empty where the loss is never made good."""

    at: str
    rate_below: str
    rate_from: str
    regained: str


@dataclass(frozen=True, slots=True)
class Line:
    """One schedule in the picture. `letter` tells it from the other, also without colour; empty where it is
    alone.
    """

    name: str
    letter: str
    points: str
    end_y: float
    cliff_marks: Sequence[Mark]
    cliffs: Sequence[CliffInWords]


@dataclass(frozen=True, slots=True)
class SampleRow:
    """What each schedule leaves of one gross return."""

    gross_return: Decimal
    points: Sequence[NetAgainstGross]

    @property
    def difference(self) -> Decimal | None:
        """How much more the second leaves than the first; None for one alone."""
        if len(self.points) == 1:
            return None
        first, second = self.points
        return exact_difference(second.net_return, first.net_return)


@dataclass(frozen=True, slots=True)
class Curve:
    """Everything the template draws; positions in the units of the view box. `capital` is told where a
    schedule depends on it.
    """

    lines: Sequence[Line]
    gross_points: str
    zero_x: float
    zero_y: float
    x_marks: Sequence[Mark]
    y_marks: Sequence[Mark]
    samples: Sequence[SampleRow]
    capital: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def curve(schedule: Schedule, account: PammAccount, capital: Decimal) -> Curve:
    """From −50 % to +150 % in one interval, for somebody who starts at the mark with `capital` (> 0)."""
    return _curve([("", "", schedule)], account, capital)


def curve_of_two(
    first: tuple[str, Schedule], second: tuple[str, Schedule], account: PammAccount, capital: Decimal
) -> Curve:
    """Two schedules, by name, in one picture of the same range, A and B."""
    return _curve([(first[0], "A", first[1]), (second[0], "B", second[1])], account, capital)


def _curve(schedules: Sequence[tuple[str, str, Schedule]], account: PammAccount, capital: Decimal) -> Curve:
    tick_returns = [LOWEST, Decimal(0), Decimal("0.5"), Decimal(1), HIGHEST]
    by_schedule = [
        net_against_gross(schedule, SAMPLE_RETURNS, capital=capital) for _name, _letter, schedule in schedules
    ]
    depends = any(schedule.basis is Basis.NET_WORTH for _name, _letter, schedule in schedules)
    return Curve(
        lines=[_line(name, letter, schedule, account, capital) for name, letter, schedule in schedules],
        gross_points=f"{_x(LOWEST):.1f},{_y(LOWEST):.1f} {_x(HIGHEST):.1f},{_y(HIGHEST):.1f}",
        zero_x=_x(Decimal(0)),
        zero_y=_y(Decimal(0)),
        x_marks=[Mark(_x(gross), percent_in_words(gross)) for gross in tick_returns],
        y_marks=[Mark(_y(net), percent_in_words(net)) for net in tick_returns],
        samples=[SampleRow(points[0].gross_return, points) for points in zip(*by_schedule, strict=True)],
        capital=amount_in_words(capital, account) if depends else "",
    )


def _line(name: str, letter: str, schedule: Schedule, account: PammAccount, capital: Decimal) -> Line:
    found = cliffs(schedule, capital=capital)
    returns = sorted({*_steps(), *_around(schedule, found, capital)})
    points = net_against_gross(schedule, returns, capital=capital)
    return Line(
        name=name,
        letter=letter,
        points=" ".join(f"{_x(point.gross_return):.1f},{_y(point.net_return):.1f}" for point in points),
        end_y=_y(points[-1].net_return),
        cliff_marks=[
            Mark(_x(gross), _bound_in_words(schedule, cliff.at, account))
            for cliff in found
            if LOWEST < (gross := _gross_at(schedule, cliff.at, capital)) < HIGHEST
        ],
        cliffs=[_in_words(schedule, cliff, account) for cliff in found],
    )


def _steps() -> list[Decimal]:
    return [LOWEST + STEP * number for number in range(int((HIGHEST - LOWEST) / STEP) + 1)]


def _around(schedule: Schedule, found: Sequence[Cliff], capital: Decimal) -> list[Decimal]:
    """Both sides of each cliff, so that it is drawn as a drop and not as a slope."""
    edges = [_gross_at(schedule, cliff.at, capital) for cliff in found]
    return [side for edge in edges if LOWEST < edge < HIGHEST for side in (edge - JUST_BELOW, edge)]


def _gross_at(schedule: Schedule, bound: Decimal, capital: Decimal) -> Decimal:
    return bound / capital - 1 if schedule.basis is Basis.NET_WORTH else bound


def _in_words(schedule: Schedule, cliff: Cliff, account: PammAccount) -> CliffInWords:
    return CliffInWords(
        at=_bound_in_words(schedule, cliff.at, account),
        rate_below=percent_in_words(cliff.rate_below),
        rate_from=percent_in_words(cliff.rate_from),
        regained="" if cliff.regained_at is None else _bound_in_words(schedule, cliff.regained_at, account),
    )


def _bound_in_words(schedule: Schedule, bound: Decimal, account: PammAccount) -> str:
    if schedule.basis is Basis.YIELD:
        return percent_in_words(round(bound, 4))
    return amount_in_words(round(bound, account.currency_digits), account)


def _x(gross: Decimal) -> float:
    return LEFT + float((gross - LOWEST) / (HIGHEST - LOWEST)) * (WIDTH - LEFT - RIGHT)


def _y(net: Decimal) -> float:
    return TOP + float((HIGHEST - net) / (HIGHEST - LOWEST)) * (HEIGHT - TOP - BOTTOM)
