"""A scenario played under terms, dated from today, and what a page shows of it.

The calculation is `fees.calc.simulation`, the one a rollover uses; here are only dates, words and pictures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from allocation.services import trading_interval
from brokers.queries import broker_in_scope
from fees.calc.intervals import TradingInterval, begins_at, end_number
from fees.calc.kinds import FeeKind
from fees.calc.scenario import Course, Month, Scenario, course
from fees.calc.simulation import StepImpossible
from fees.calc.terms import FeeTerms
from fees.errors import step_fault
from fees.explanations import FeeOfKind, Sentence, explanation_in_words, fee_title, fees_by_kind
from money.exact import ZERO, exact_difference
from offers.drafts import AMOUNT_LIMIT
from offers.errors import (
    IntervalTooShortToSimulate,
    SimulatedLockInNotOver,
    SimulatedMonthImpossible,
    SimulationOutOfRange,
    SimulationTooLong,
)
from offers.models import Terms
from offers.queries import fee_terms_of
from offers.web.course_chart import CourseChart, course_chart
from rollover.models import Schedule as RolloverSchedule

MOST_INTERVALS = 750
"""Ends of trading intervals on one page: two years of daily ones."""
MOST_EXPLAINED_A_MONTH = 15
MINUTES_BETWEEN_ROLLOVERS = 60


@dataclass(frozen=True, slots=True)
class Calendar:
    """From when, and by whose clocks, trading intervals are counted."""

    starts_at: datetime
    zone: tzinfo
    between_rollovers: timedelta

    @classmethod
    def from_today(cls) -> "Calendar":
        """From the last midnight by the broker's clocks."""
        zone = ZoneInfo(broker_in_scope().time_zone)
        today = timezone.now().astimezone(zone).date()
        minutes = RolloverSchedule.objects.values_list("every_minutes", flat=True).first()
        return cls(
            datetime.combine(today, time(), tzinfo=zone),
            zone,
            timedelta(minutes=minutes or MINUTES_BETWEEN_ROLLOVERS),
        )

    def interval_end(self, interval: TradingInterval, number: int) -> datetime:
        """The `number`-th end of an interval for who joins at the start, as if a rollover came at once."""
        end = end_number(interval, self.starts_at, number, self.zone)
        return end or self.starts_at + self.between_rollovers * interval.count * number

    def interval_ends(self, interval: TradingInterval, until: Sequence[datetime]) -> list[datetime]:
        """Every end until the last of the months in `until`, and the next one.

        Raises `SimulationTooLong`, `IntervalTooShortToSimulate`.
        """
        ends = [self.interval_end(interval, 1)]
        while ends[-1] <= until[-1]:
            if len(ends) > MOST_INTERVALS:
                most = sum(month <= ends[-1] for month in until)
                if not most:
                    raise IntervalTooShortToSimulate(field="months")
                raise SimulationTooLong(field="months", most=most)
            ends.append(self.interval_end(interval, len(ends) + 1))
        return ends


@dataclass(frozen=True, slots=True)
class ExplainedFee:
    """One fee of one step, in words."""

    title: str
    at: datetime
    sentences: Sequence[Sentence]


@dataclass(frozen=True, slots=True)
class Row:
    """One month of the table, its fees by kind. `unexplained`: how many more there were of the same."""

    month: Month
    fees: Sequence[FeeOfKind]
    explained: Sequence[ExplainedFee]
    unexplained: int

    @property
    def flow(self) -> Decimal:
        """Paid in, less paid out."""
        return exact_difference(self.month.paid_in, self.month.paid_out)


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a page shows. `lock_in_ends_at`: None without."""

    course: Course
    terms: Terms
    lock_in_ends_at: datetime | None
    chart: CourseChart

    @property
    def fees(self) -> list[FeeOfKind]:
        """Every fee of the terms, also one that came to nothing."""
        possible = _kinds_of(fee_terms_of(self.terms))
        amounts = self.course.fees
        return fees_by_kind(
            {kind: amounts.get(kind, ZERO) for kind in FeeKind if kind in possible or kind in amounts}
        )

    @property
    def rows(self) -> list[Row]:
        return [self._row(month) for month in self.course.months]

    @property
    def leaves_early(self) -> bool:
        return FeeKind.EARLY_EXIT in self.course.fees

    @property
    def would_have_to_close(self) -> int | None:
        """The first month whose withdrawal leaves less than the terms ask to remain; None where none does."""
        for month in self.course.months:
            is_open = not month.end.is_closed
            if month.paid_out and is_open and month.end.value < self.terms.minimum_remaining:
                return month.number
        return None

    def _row(self, month: Month) -> Row:
        currency = self.terms.offer.account.currency
        charged = [(outcome.at, record) for outcome in month.charged for record in outcome.explanation]
        explained = [
            ExplainedFee(
                title=fee_title(record["kind"], collects_debt=record["collects_debt"]),
                at=at,
                sentences=explanation_in_words(record, currency),
            )
            for at, record in charged[:MOST_EXPLAINED_A_MONTH]
        ]
        fees = fees_by_kind({kind: amount for kind, amount in month.fees.items() if amount})
        return Row(month, fees, explained, unexplained=len(charged) - len(explained))


def _kinds_of(terms: FeeTerms) -> set[FeeKind]:
    """Kinds that are charged of everybody sooner or later; leaving early is one's own choice."""
    charged = {
        FeeKind.MANAGEMENT: terms.management_rate,
        FeeKind.SUBSCRIPTION: terms.subscription_amount,
        FeeKind.VOLUME: terms.volume_amount_per_lot,
        FeeKind.PERFORMANCE: any(tier.rate for tier in terms.schedule.tiers),
        FeeKind.ENTRY: any(tier.rate for tier in terms.entry.tiers),
    }
    return {kind for kind, is_charged in charged.items() if is_charged}


def simulated(terms: Terms, scenario: Scenario, calendar: Calendar) -> Simulation:
    """The scenario under the terms, which need not be saved.

    Raises `SimulationTooLong`, `IntervalTooShortToSimulate`, `SimulatedLockInNotOver`,
    `SimulatedMonthImpossible`, `SimulationOutOfRange`.
    """
    account = terms.offer.account
    month_ends = scenario.month_ends(calendar.starts_at, calendar.zone)
    interval_ends = calendar.interval_ends(trading_interval(terms), month_ends)
    lock_in_ends_at = calendar.starts_at + timedelta(days=terms.lock_in_days)
    _require_lock_in_over(terms, scenario, month_ends, lock_in_ends_at)
    try:
        played = course(
            fee_terms_of(terms),
            scenario,
            starts_at=calendar.starts_at,
            month_ends=month_ends,
            interval_ends=interval_ends,
            lock_in_ends_at=lock_in_ends_at,
            interval_began_at=begins_at(trading_interval(terms), calendar.starts_at, calendar.zone),
            digits=account.currency_digits,
        )
    except StepImpossible as impossible:
        steps = scenario.steps(calendar.starts_at, month_ends, interval_ends)
        at = steps[impossible.index].at
        raise SimulatedMonthImpossible(
            field="rate",
            month=sum(end < at for end in month_ends) + 1,
            fault=step_fault(impossible),
        ) from impossible
    if any(month.before_fees >= AMOUNT_LIMIT for month in played.months):
        raise SimulationOutOfRange(field="rate")
    return Simulation(
        course=played,
        terms=terms,
        lock_in_ends_at=lock_in_ends_at if terms.lock_in_days else None,
        chart=course_chart(played, account),
    )


def _require_lock_in_over(
    terms: Terms, scenario: Scenario, month_ends: Sequence[datetime], ends_at: datetime
) -> None:
    """Without an early exit fee nobody gets out before the lock-in is over."""
    if terms.early_exit_rate:
        return
    words = date_format(timezone.localtime(ends_at), "DATE_FORMAT")
    if scenario.monthly_flow < 0 and len(month_ends) > 1 and month_ends[0] < ends_at:
        raise SimulatedLockInNotOver(field="take", days=terms.lock_in_days, ends_at=words)
    if scenario.closes and month_ends[-1] < ends_at:
        raise SimulatedLockInNotOver(field="ending", days=terms.lock_in_days, ends_at=words)


def recipients_of(played: Course) -> list[tuple[str, Decimal]]:
    """Who gets how much of the fees charged, for the manager."""
    parts = played.parts
    return [
        (_("Manager"), parts.manager),
        (_("Broker"), parts.broker),
        *((_("Agent, level %(level)s") % {"level": n}, part) for n, part in enumerate(parts.agents, 1)),
    ]
