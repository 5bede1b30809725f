"""Pictures of prices, drawn on the server: what stands on the page before, and without, the interactive
chart, and what several accounts made of their money side by side.

Only pictures: coordinates are floats, made of the kept daily prices.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from django.utils.formats import number_format

from offers.web.axes import Tick, date_of, evenly, round_steps
from pamm_platform.templatetags.figures import signed_percent
from track_record.calc.statistics import PricePoint

WIDTH, HEIGHT, LOWER_HEIGHT = 640, 260, 70
LEFT, RIGHT, TOP, BOTTOM = 8, 74, 10, 24
MOST_POINTS = 240
MOST_DATES = 4
LEAST_SPREAD = Decimal("0.0005")
LETTERS = "ABCD"
LETTER_HEIGHT = 15.0


@dataclass(frozen=True, slots=True)
class PricePicture:
    """Everything the template draws of one account; positions in the units of the view box."""

    line: str
    area: str
    drawdown: str
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    deepest: str
    width: int = WIDTH
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM
    height: int = HEIGHT + LOWER_HEIGHT
    lower_top: int = HEIGHT
    lower_bottom: int = HEIGHT + LOWER_HEIGHT - 4


def price_picture(daily: Sequence[PricePoint], since: datetime | None) -> PricePicture | None:
    """Daily prices from `since` on, with how far each lies below the highest before it; None for fewer than
    two.
    """
    peak, below = Fraction(0), []
    for point in daily:
        peak = max(peak, point.price.ratio)
        below.append(float(point.price.ratio / peak - 1) if peak else 0.0)
    kept = [
        (point, fall) for point, fall in zip(daily, below, strict=True) if since is None or point.at >= since
    ]
    if len(kept) < 2 or kept[0][0].at == kept[-1][0].at:
        return None
    kept = evenly(kept, MOST_POINTS)
    points = [point for point, _fall in kept]
    x = _along(points[0].at, points[-1].at)
    y, y_ticks = _scale([point.price.rounded(6) for point in points], _price_in_words)
    line = [f"{x(point.at):.1f},{y(point.price.rounded(6)):.1f}" for point in points]
    deepest = min(fall for _point, fall in kept)
    reach = min(deepest, -0.001)
    lower = [f"{x(point.at):.1f},{HEIGHT + fall / reach * (LOWER_HEIGHT - 4):.1f}" for point, fall in kept]
    first, last = x(points[0].at), x(points[-1].at)
    return PricePicture(
        line=" ".join(line),
        area=f"{first:.1f},{HEIGHT - BOTTOM} {' '.join(line)} {last:.1f},{HEIGHT - BOTTOM}",
        drawdown=f"{first:.1f},{HEIGHT} {' '.join(lower)} {last:.1f},{HEIGHT}",
        x_ticks=_dates(points[0].at, points[-1].at, x),
        y_ticks=y_ticks,
        deepest=signed_percent(Decimal(deepest), 1),
    )


@dataclass(frozen=True, slots=True)
class ComparedLine:
    """One account in a picture of several; `letters` tell it from the others without colour."""

    letters: str
    name: str
    points: str
    letters_y: float

    @property
    def tone(self) -> str:
        """What its colour and its dashes go by."""
        return self.letters[0].lower()


@dataclass(frozen=True, slots=True)
class ComparedPicture:
    """Returns from one common day on."""

    lines: Sequence[ComparedLine]
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    zero_y: float
    since: datetime
    width: int = WIDTH
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM
    height: int = HEIGHT


def compared_picture(
    records: Mapping[tuple[str, str], Sequence[PricePoint]], earliest: datetime
) -> ComparedPicture | None:
    """What each account (by its letters and its name) gained since the first day on which all had a price, or
    since `earliest` if that is later. None where they have no two days in common.
    """
    since = max(earliest, *(record[0].at for record in records.values()))
    until = max(record[-1].at for record in records.values())
    curves = [_gained(record, since) for record in records.values()]
    if any(len(curve) < 2 for curve in curves):
        return None
    x = _along(since, until)
    y, y_ticks = _scale([rate for curve in curves for _at, rate in curve] + [Decimal(0)], _percent_in_words)
    return ComparedPicture(
        lines=[
            ComparedLine(
                letters, name, " ".join(f"{x(at):.1f},{y(rate):.1f}" for at, rate in curve), letters_y
            )
            for (letters, name), curve, letters_y in zip(
                records, curves, _apart([y(curve[-1][1]) for curve in curves]), strict=True
            )
        ],
        x_ticks=_dates(since, until, x),
        y_ticks=y_ticks,
        zero_y=y(Decimal(0)),
        since=since,
    )


def _percent_in_words(rate: Decimal) -> str:
    places = 0 if rate * 100 == (rate * 100).to_integral_value() else 1
    return signed_percent(rate, places)


def _gained(record: Sequence[PricePoint], since: datetime) -> list[tuple[datetime, Decimal]]:
    """The return at each price from `since` on, counted from the last price at or before it."""
    before = [point for point in record if point.at <= since]
    start = (before[-1] if before else record[0]).price
    if start.is_zero:
        return []
    later = evenly([point for point in record if point.at > since], MOST_POINTS)
    base = Decimal(1)
    return [(since, Decimal(0))] + [
        (point.at, point.price.rounded(9) / start.rounded(9) - base) for point in later
    ]


def _apart(heights: Sequence[float]) -> list[float]:
    """The heights, moved down where letters would lie upon each other."""
    placed: dict[int, float] = {}
    lowest = -LETTER_HEIGHT
    for number in sorted(range(len(heights)), key=lambda number: heights[number]):
        lowest = placed[number] = max(heights[number], lowest + LETTER_HEIGHT)
    return [placed[number] for number in range(len(heights))]


def _along(first: datetime, last: datetime) -> Callable[[datetime], float]:
    span = last - first
    return lambda at: LEFT + (at - first) / span * (WIDTH - LEFT - RIGHT)


def _scale(
    figures: Sequence[Decimal], written: Callable[[Decimal], str]
) -> tuple[Callable[[Decimal], float], list[Tick]]:
    """Where a figure stands, and the marks of the axis: round ones within what is shown."""
    low, high = min(figures), max(figures)
    room = max((high - low) * Decimal("0.06"), Decimal("0.0005"))
    low, high = low - room, high + room

    def y(figure: Decimal) -> float:
        return TOP + float((high - figure) / (high - low)) * (HEIGHT - TOP - BOTTOM)

    return y, [
        Tick(y(tick), written(tick)) for tick in round_steps(low, high, LEAST_SPREAD) if low <= tick <= high
    ]


def _dates(first: datetime, last: datetime, x: Callable[[datetime], float]) -> list[Tick]:
    days = (last - first).days
    moments = [first + (last - first) * number / (MOST_DATES - 1) for number in range(MOST_DATES)]
    return [
        Tick(x(at), date_of(at, within_days=days), is_between=bool(number % 3))
        for number, at in enumerate(moments)
    ]


def _price_in_words(price: Decimal) -> str:
    return number_format(price, decimal_pos=2 if price == round(price, 2) else 4)
