"""The picture of a simulated investment: what is his, what fees took, what he put in, month by month.

Only a picture: coordinates are floats, the figures behind them come exact from `fees.calc.scenario`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

from django.utils import timezone
from django.utils.formats import date_format, number_format

from accounts.models import PammAccount
from fees.calc.scenario import Course, Month
from offers.web.axes import Tick, round_steps
from pamm_platform.templatetags.figures import MINUS

WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 76, 14, 12, 28
MOST_DATES = 4


@dataclass(frozen=True, slots=True)
class CourseChart:
    """Everything the template draws; positions in the units of the view box."""

    before_fees: str
    kept: str
    between: str
    put_in: str
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def course_chart(played: Course, account: PammAccount) -> CourseChart:
    """The months of a course from joining to its end."""
    months = played.months
    figures = [amount for month in months for amount in (month.before_fees, month.kept, month.put_in_so_far)]
    ticks = round_steps(min(figures), max(figures), least=max(abs(max(figures)) / 100, Decimal("0.01")))
    low, high = min(ticks[0], min(figures)), max(ticks[-1], max(figures))
    first, last = months[0].at, months[-1].at

    def x(at: datetime) -> float:
        return LEFT + (at - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y(amount: Decimal) -> float:
        return TOP + float((high - amount) / (high - low)) * (HEIGHT - TOP - BOTTOM)

    def line(amount_of: Callable[[Month], Decimal]) -> list[str]:
        return [f"{x(month.at):.1f},{y(amount_of(month)):.1f}" for month in months]

    before_fees, kept = line(lambda month: month.before_fees), line(lambda month: month.kept)
    shown = months[:: max(1, -(-(len(months) - 1) // MOST_DATES))]
    return CourseChart(
        before_fees=" ".join(before_fees),
        kept=" ".join(kept),
        between=" ".join([*before_fees, *reversed(kept)]),
        put_in=" ".join(_as_stairs(line(lambda month: month.put_in_so_far))),
        x_ticks=[
            Tick(
                x(month.at),
                date_format(timezone.localtime(month.at), "YEAR_MONTH_FORMAT"),
                is_between=bool(number % 2),
            )
            for number, month in enumerate(shown)
        ],
        y_ticks=[Tick(y(tick), _written(tick, account)) for tick in ticks],
    )


def _written(tick: Decimal, account: PammAccount) -> str:
    """An amount of the axis, cents only where there are any."""
    digits = 0 if tick == tick.to_integral_value() else account.currency_digits
    text = number_format(abs(tick), decimal_pos=digits, force_grouping=True)
    return f"{MINUS}{text}" if tick < 0 else text


def _as_stairs(points: Sequence[str]) -> list[str]:
    """Money put in stays until more is: the line turns at right angles."""
    turned = [points[0]]
    for before, after in pairwise(points):
        turned += [f"{after.partition(',')[0]},{before.partition(',')[2]}", after]
    return turned
