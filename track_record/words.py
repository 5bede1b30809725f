"""Each statistic in plain words: what it is called, what it means, and why it is not told where it is not."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from track_record.calc.record import FEWEST_DAYS, Missing
from track_record.models import AccountStatistics


class Kind(StrEnum):
    """How a statistic is written."""

    SIGNED = "signed"
    PERCENT = "percent"
    RATIO = "ratio"


@dataclass(frozen=True, slots=True)
class Definition:
    """`name` is that of the figure in `AccountStatistics`."""

    name: str
    kind: Kind
    label: Promise
    meaning: Promise
    more_is_better: bool = True


@dataclass(frozen=True, slots=True)
class Told:
    """A statistic of one account. Without `value`, `missing` says why."""

    definition: Definition
    value: Decimal | None
    missing: str


RETURN_1M = Definition(
    "return_1m",
    Kind.SIGNED,
    gettext_lazy("1 month"),
    gettext_lazy(
        "What one unit gained in the last month, before fees. Money that came in or went out does"
        " not change it."
    ),
)
RETURN_3M = Definition(
    "return_3m",
    Kind.SIGNED,
    gettext_lazy("3 months"),
    gettext_lazy("What one unit gained in the last three months, before fees."),
)
RETURN_12M = Definition(
    "return_12m",
    Kind.SIGNED,
    gettext_lazy("12 months"),
    gettext_lazy("What one unit gained in the last twelve months, before fees."),
)
TOTAL_RETURN = Definition(
    "total_return",
    Kind.SIGNED,
    gettext_lazy("Return since start"),
    gettext_lazy(
        "What one unit gained from the first price to the latest, before fees. It is time-"
        "weighted: money that came in or went out does not change it."
    ),
)
MAXIMUM_DRAWDOWN = Definition(
    "maximum_drawdown",
    Kind.SIGNED,
    gettext_lazy("Largest drawdown"),
    gettext_lazy(
        "The deepest fall from a highest price to a later lowest one, over all rollovers. "
        "Somebody who joined at the worst moment and left at the worst moment lost this part."
    ),
)
CURRENT_DRAWDOWN = Definition(
    "current_drawdown",
    Kind.SIGNED,
    gettext_lazy("Drawdown now"),
    gettext_lazy("How far the latest price lies below the highest so far. 0 means that it is the highest."),
)
VOLATILITY = Definition(
    "volatility",
    Kind.PERCENT,
    gettext_lazy("Volatility"),
    gettext_lazy(
        "How much the returns of single days differ from each other, scaled to a year. The "
        "higher, the rougher the ride: in two years of three the year's return lies within about "
        "this distance of its average."
    ),
    more_is_better=False,
)
SHARPE_RATIO = Definition(
    "sharpe_ratio",
    Kind.RATIO,
    gettext_lazy("Sharpe ratio"),
    gettext_lazy(
        "Yearly average return for each unit of volatility. Above 1 is good; below 0 money was "
        "lost. Interest on cash is taken as 0."
    ),
)
SORTINO_RATIO = Definition(
    "sortino_ratio",
    Kind.RATIO,
    gettext_lazy("Sortino ratio"),
    gettext_lazy(
        "Like the Sharpe ratio, but only days that lost count as risk: gains that jump do not spoil it."
    ),
)
CALMAR_RATIO = Definition(
    "calmar_ratio",
    Kind.RATIO,
    gettext_lazy("Calmar ratio"),
    gettext_lazy(
        "Yearly return divided by the largest drawdown. Above 1, an average year makes good the deepest fall."
    ),
)
PROFIT_FACTOR = Definition(
    "profit_factor",
    Kind.RATIO,
    gettext_lazy("Profit factor"),
    gettext_lazy(
        "The sum of all winning days divided by the sum of all losing days. Above 1 the gains were larger."
    ),
)
WINNING_SHARE = Definition(
    "winning_share",
    Kind.PERCENT,
    gettext_lazy("Winning days"),
    gettext_lazy(
        "Of the days on which the price changed, the part on which it rose. Says nothing about "
        "how large gains and losses were."
    ),
)

RETURNS = (RETURN_1M, RETURN_3M, RETURN_12M, TOTAL_RETURN)
RISKS = (MAXIMUM_DRAWDOWN, CURRENT_DRAWDOWN, VOLATILITY)
RATIOS = (SHARPE_RATIO, SORTINO_RATIO, CALMAR_RATIO, PROFIT_FACTOR, WINNING_SHARE)

AGE = gettext_lazy("How long the present pool has had a price. The longer, the more its figures tell.")
MONEY = gettext_lazy(
    "All the money in the account at the last rollover, the manager's own included. A "
    "strategy that works with little money need not work with much."
)
INVESTORS = gettext_lazy("People with money in the account, the manager not counted.")
OWN_MONEY = gettext_lazy(
    "What the manager has in the same pool, at the same price as everybody. It pays no fees; "
    "it gains and loses with you."
)


def told(statistics: AccountStatistics, definitions: Iterable[Definition]) -> list[Told]:
    """The figures of an account, each with its definition."""
    return [
        Told(definition, getattr(statistics, definition.name), why_missing(statistics, definition.name))
        for definition in definitions
    ]


def why_missing(statistics: AccountStatistics, name: str) -> str:
    """Why a figure is not told, in the active language; empty where it is."""
    reason = statistics.missing.get(name)
    return _in_words(Missing(reason), name) if reason else ""


def _in_words(reason: Missing, name: str) -> str:
    match reason:
        case Missing.SHORTER:
            months = int(name.removeprefix("return_").removesuffix("m"))
            return ngettext("from %(count)d month on", "from %(count)d months on", months) % {"count": months}
        case Missing.FEW_DAYS:
            return _("from %(count)d days on") % {"count": FEWEST_DAYS}
        case Missing.UNDER_A_YEAR:
            return ngettext("from %(count)d month on", "from %(count)d months on", 12) % {"count": 12}
        case Missing.NO_LOSS:
            return _("no loss so far")
        case Missing.NO_CHANGE:
            return _("no change so far")
        case Missing.FROM_ZERO:
            return _("the price was 0")
        case Missing.TOO_LARGE:
            return _("too large to tell")
