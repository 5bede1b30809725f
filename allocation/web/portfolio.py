"""Everything a person has invested, with its figures and the sums by currency."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import attrgetter

from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from allocation.models import Investment
from allocation.web.shares import Slice, allocation
from fees.queries import InvestmentFigures, figures_of, with_figures
from investing.models import Request
from investing.queries import StopLine, newer_terms, stops_of
from money.exact import ZERO, exact_sum
from offers.models import Terms
from statements.calc.period import ONE_DAY, Period
from statements.queries.investor import turnover_by_currency
from track_record.models import AccountStatistics

CLOSED_SHOWN = 30
NOT_SHOWN = [
    f"account__statistics__{field.attname}"
    for field in AccountStatistics._meta.concrete_fields
    if field.attname not in {"id", "account_id", "broker_id", "sparkline"}
]
"""Of an account's statistics, of which there are many and long ones, only the small curve is drawn."""
LIVING = (Investment.State.PENDING, Investment.State.ACTIVE)


@dataclass(frozen=True, slots=True)
class Holding:
    """One investment, what it is worth, what is under way for it (oldest first), newer terms on offer and its
    stops.
    """

    investment: Investment
    figures: InvestmentFigures
    open_requests: Sequence[Request]
    offered_terms: Terms | None = None
    stops: Sequence[StopLine] = ()


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over a person's active investments in one currency; `profit_rate` is of the money paid in.

    `today`: what the day has brought so far after the fees charged in it, those that were closed today
    included: the line a statement of the day would have.
    """

    currency: str
    currency_digits: int
    value: Decimal
    accrued_fee: Decimal
    net: Decimal
    profit: Decimal
    profit_rate: Decimal | None
    today: Decimal
    investments: int
    allocation: Sequence[Slice]


@dataclass(frozen=True, slots=True)
class Portfolio:
    holdings: Sequence[Holding]
    closed: Sequence[Holding]
    totals: Sequence[Totals]

    @property
    def is_empty(self) -> bool:
        return not self.holdings and not self.closed


def portfolio_of(user: User) -> Portfolio:
    """Seven queries, whatever the number of investments."""
    shown = (
        with_figures(Investment.objects.filter(owner=user))
        .select_related("terms__offer", "accepted_terms", "account__statistics")
        .defer(*NOT_SHOWN)
    )
    closed = Investment.objects.filter(owner=user, state=Investment.State.CLOSED)
    last_closed = closed.order_by("-closed_at").values("pk")[:CLOSED_SHOWN]
    found = list(shown.filter(Q(state__in=LIVING) | Q(pk__in=last_closed)).order_by("-id"))
    living = [row for row in found if row.state in LIVING]
    ended = sorted(
        (row for row in found if row.closed_at is not None), key=attrgetter("closed_at"), reverse=True
    )
    figures = figures_of([*living, *ended])
    open_requests: dict[int, list[Request]] = {}
    for request in Request.objects.filter(investment__owner=user, state__in=Request.OPEN_STATES).order_by(
        "id"
    ):
        open_requests.setdefault(request.investment_id, []).append(request)
    offered, stops = newer_terms(living), stops_of(living)
    holdings = [
        Holding(
            row, figures[row.pk], open_requests.get(row.pk, []), offered.get(row.pk), stops.get(row.pk, ())
        )
        for row in living
    ]
    return Portfolio(
        holdings=holdings,
        closed=[Holding(row, figures[row.pk], []) for row in ended],
        totals=_totals(holdings, _today(found)),
    )


def _today(investments: Sequence[Investment]) -> dict[str, Decimal]:
    """By currency what the reader's day has brought so far, after fees charged."""
    today = timezone.localdate()
    period = Period(today, today + ONE_DAY, timezone.get_current_timezone())
    moved = [
        row
        for row in investments
        if row.joined_at is not None and (row.closed_at is None or row.closed_at >= period.starts_at)
    ]
    return {total.currency: total.turnover.profit for total in turnover_by_currency(moved, period)}


def _totals(holdings: Sequence[Holding], today: Mapping[str, Decimal]) -> list[Totals]:
    active = [holding for holding in holdings if holding.investment.state == Investment.State.ACTIVE]
    currencies = {holding.investment.account.currency: holding.investment.account for holding in active}
    lines = []
    for currency, account in sorted(currencies.items()):
        figures = [holding.figures for holding in active if holding.investment.account.currency == currency]
        profit = exact_sum(line.profit for line in figures)
        paid_in = exact_sum(line.paid_in for line in figures)
        lines.append(
            Totals(
                currency=currency,
                currency_digits=account.currency_digits,
                value=exact_sum(line.value for line in figures),
                accrued_fee=exact_sum(line.accrued_fee for line in figures),
                net=exact_sum(line.net for line in figures),
                profit=profit,
                profit_rate=profit / paid_in if paid_in > ZERO else None,
                today=today.get(currency, ZERO),
                investments=len(figures),
                allocation=allocation(
                    [
                        (holding.investment.account.name, holding.figures.net)
                        for holding in active
                        if holding.investment.account.currency == currency
                    ]
                ),
            )
        )
    return lines
