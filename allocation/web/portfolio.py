"""Everything a person has invested, with its figures and the sums by currency."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from accounts.models import User
from allocation.models import Investment
from fees.queries import InvestmentFigures, figures_of, with_figures
from investing.models import Request
from investing.queries import StopLine, newer_terms, stops_of
from money.exact import ZERO, exact_sum
from offers.models import Terms

CLOSED_SHOWN = 30


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
    """Sums over a person's active investments in one currency; `profit_rate` is of the money paid in."""

    currency: str
    currency_digits: int
    value: Decimal
    accrued_fee: Decimal
    net: Decimal
    profit: Decimal
    profit_rate: Decimal | None
    investments: int


@dataclass(frozen=True, slots=True)
class Portfolio:
    holdings: Sequence[Holding]
    closed: Sequence[Holding]
    totals: Sequence[Totals]

    @property
    def is_empty(self) -> bool:
        return not self.holdings and not self.closed


def portfolio_of(user: User) -> Portfolio:
    """Five queries, whatever the number of investments."""
    shown = (
        with_figures(Investment.objects.filter(owner=user))
        .select_related(
            "account__manager",
            "terms__offer",
            "accepted_terms",
            "interval__opening",
            "joined",
            "account__statistics",
        )
        .defer("account__statistics__daily", "account__statistics__months")
    )
    living = list(shown.filter(state__in=[Investment.State.PENDING, Investment.State.ACTIVE]).order_by("-id"))
    ended = list(shown.filter(state=Investment.State.CLOSED).order_by("-closed_at")[:CLOSED_SHOWN])
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
        totals=_totals(holdings),
    )


def _totals(holdings: Sequence[Holding]) -> list[Totals]:
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
                investments=len(figures),
            )
        )
    return lines
