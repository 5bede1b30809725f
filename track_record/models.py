"""What the public reads about an account's past, kept so that no page computes it from a year of hourly
prices.
"""

from decimal import Decimal
from typing import Any

from django.db import models

from brokers.fields import AmountField, TenantOneToOneField, UnitsField
from brokers.tenancy import TenantModel
from track_record.calc.ranks import NOT_TOLD


class StatisticField(models.DecimalField):  # type: ignore[type-arg]
    """A fraction (0.10 is 10 %) or a ratio, 9 places; empty where the record is too short to tell."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs |= {"max_digits": 24, "decimal_places": 9, "null": True, "blank": True}
        super().__init__(**kwargs)


class RankField(models.BigIntegerField):  # type: ignore[type-arg]
    """What the leaderboard orders by, the larger the better."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("default", NOT_TOLD)
        super().__init__(**kwargs)


RANKS = (
    "rank_return",
    "rank_return_3m",
    "rank_return_1m",
    "rank_total",
    "rank_drawdown",
    "rank_investors",
    "rank_money",
    "rank_age",
)


class AccountStatistics(TenantModel):
    """The track record of one PAMM account up to one rollover. A cache: it can be dropped and computed again.

    `daily` holds the last price of each day as `[moment, equity, units]`, oldest first, the exact ratio in
    decimal strings; the latest is the present one. `sequence`, `peak_*`, `drawdown_*` and `daily` let the
    next refresh read new prices only. `rank_*` are what the leaderboard is ordered by
    (`track_record.calc.ranks`).
    """

    account = TenantOneToOneField("accounts.PammAccount", related_name="statistics")
    series = models.PositiveSmallIntegerField()
    sequence = models.PositiveIntegerField()
    first_priced_at = models.DateTimeField()
    as_of = models.DateTimeField()

    total_return = StatisticField()
    return_1m = StatisticField()
    return_3m = StatisticField()
    return_12m = StatisticField()
    maximum_drawdown = StatisticField()
    drawdown_began_at = models.DateTimeField(null=True, blank=True, help_text="The peak before it.")
    drawdown_lowest_at = models.DateTimeField(null=True, blank=True)
    drawdown_recovered_at = models.DateTimeField(
        null=True, blank=True, help_text="Empty while the price has not been as high again."
    )
    current_drawdown = StatisticField()
    volatility = StatisticField()
    sharpe_ratio = StatisticField()
    sortino_ratio = StatisticField()
    calmar_ratio = StatisticField()
    profit_factor = StatisticField()
    winning_share = StatisticField()
    missing = models.JSONField(
        default=dict,
        help_text="Name of a statistic that is not told → why (`track_record.calc.record.Missing`).",
    )

    investors = models.PositiveIntegerField(default=0)
    own_capital = AmountField(default=0)
    money = AmountField(default=0, help_text="All that the account manages, own capital included.")

    rank_return = RankField()
    rank_return_3m = RankField()
    rank_return_1m = RankField()
    rank_total = RankField()
    rank_drawdown = RankField()
    rank_investors = RankField()
    rank_money = RankField()
    rank_age = RankField()

    peak_at = models.DateTimeField()
    peak_equity = AmountField()
    peak_units = UnitsField()
    daily = models.JSONField(default=list)
    months = models.JSONField(
        default=list, help_text="[year, month, rate as a decimal string], oldest first."
    )
    distribution = models.JSONField(
        default=list, help_text="[low, high, days] of each bar as decimal strings, null: open to that side."
    )
    unchanged_days = models.PositiveIntegerField(default=0)
    sparkline = models.JSONField(default=list, help_text="A few prices as decimal strings, oldest first.")

    class Meta:
        verbose_name_plural = "account statistics"
        indexes = [
            models.Index(fields=["broker", "as_of"], name="track_record_stats_as_of"),
            *(models.Index("broker", models.F(rank).desc(), name=f"track_record_{rank}") for rank in RANKS),
        ]

    @property
    def headline_return(self) -> Decimal | None:
        """Return of 12 months; of the whole record where that is shorter."""
        rate: Decimal | None = self.total_return if self.return_12m is None else self.return_12m
        return rate

    def __str__(self) -> str:
        return f"{self.account_id} as of {self.as_of:%Y-%m-%d %H:%M}"
