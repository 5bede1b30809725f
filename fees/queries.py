"""What investments are worth and what their fees stand at. Derived, never stored."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import PammAccount
from allocation.calc.price import Price, time_weighted_return
from allocation.calc.units import value as value_of_units
from allocation.models import Interval, Investment, PricePoint
from allocation.services import last_price, lock_in_ends_at, lowest_units_of
from fees.calc.performance import Closing, Standing, closing, net_worth_basis
from fees.calc.schedule import FREE_OF_FEES, Schedule
from fees.models import Charge
from money.exact import ZERO, exact_difference, exact_sum

FIGURE_RELATIONS = ("account", "terms", "interval__opening", "joined")
"""What `figures_of` reads of an investment: select these with it, or each row costs queries."""


@dataclass(frozen=True, slots=True)
class FeeBasis:
    """What a performance fee of one investment is computed from at one price."""

    value: Decimal
    standing: Standing
    schedule: Schedule
    yield_: Decimal
    net_worth: Decimal
    early_exit_rate: Decimal


@dataclass(frozen=True, slots=True)
class InvestmentFigures:
    """One investment at its account's last rollover. Amounts in the account's currency; rates are
    fractions.

    An interval ends at a date or after a number of rollovers. `net` is what closing would pay; `profit` is
    against the money paid in, everything taken out counted; `interval_return` the time-weighted return since
    the trading interval (or the investment) began.
    """

    value: Decimal
    accrued_fee: Decimal
    net: Decimal
    profit: Decimal
    profit_rate: Decimal | None
    interval_return: Decimal
    high_water_mark: Decimal
    units: Decimal
    price: Decimal
    paid_in: Decimal
    paid_out: Decimal
    fees_paid: Decimal
    as_of: datetime | None
    next_interval_end: datetime | None
    rollovers_to_interval_end: int | None


def figures_of(investments: Iterable[Investment]) -> dict[int, InvestmentFigures]:
    """Figures by primary key. No query where the investments came `with_figures`, whatever their number."""
    return {investment.pk: _figures(investment) for investment in investments}


def with_figures(investments: QuerySet[Investment]) -> QuerySet[Investment]:
    """Select with investments all that `figures_of` reads."""
    return investments.select_related(*FIGURE_RELATIONS)


def fee_basis(investment: Investment, price: Price, digits: int, at: datetime) -> FeeBasis:
    """Inputs of the investment's fees at `price`, for leaving at `at`."""
    schedule = schedule_of(investment)
    return FeeBasis(
        value=value_of_units(investment.units, price, digits),
        standing=Standing(investment.high_water_mark, investment.performance_carried),
        schedule=schedule,
        yield_=_interval_return(investment, price),
        net_worth=net_worth_basis(price, lowest_units_of(investment), digits),
        early_exit_rate=early_exit_rate(investment, at),
    )


def early_exit_rate(investment: Investment, at: datetime) -> Decimal:
    """The rate of its terms before the lock-in ends, else 0."""
    ends_at = lock_in_ends_at(investment)
    if investment.terms is None or ends_at is None or at >= ends_at:
        return ZERO
    rate: Decimal = investment.terms.early_exit_rate
    return rate


def schedule_of(investment: Investment) -> Schedule:
    """The frozen schedule of its terms; the manager's own capital is free of fees."""
    if investment.is_own_capital or investment.terms is None:
        return FREE_OF_FEES
    return Schedule.from_json(investment.terms.performance_schedule)


def charges_of(investment: Investment) -> QuerySet[Charge]:
    """Charges of one investment, latest first."""
    return Charge.objects.filter(investment=investment).select_related("price_point").order_by("-id")


def charges_of_account(account: PammAccount) -> QuerySet[Charge]:
    """Charges of one account, latest first, with investment and owner."""
    return (
        Charge.objects.filter(account=account)
        .select_related("price_point", "investment__owner")
        .order_by("-charged_at", "-id")
    )


def closing_of(basis: FeeBasis, digits: int) -> Closing:
    """What closing pays and charges on this basis."""
    return closing(
        value=basis.value,
        standing=basis.standing,
        schedule=basis.schedule,
        yield_=basis.yield_,
        net_worth=basis.net_worth,
        digits=digits,
        early_exit_rate=basis.early_exit_rate,
    )


def rollovers_left(interval: Interval | None, account: PammAccount) -> int | None:
    """How many more rollovers that move money the interval lasts; None where it ends at a date."""
    if interval is None or interval.ends_after_sequence is None:
        return None
    return max(interval.ends_after_sequence - account.flow_sequence, 1)


def interval_start_price(investment: Investment) -> Price | None:
    """Exact price at which the present interval began for this investment: its own joining, if later."""
    opening = investment.interval.opening if investment.interval is not None else None
    start = _later(opening, investment.joined)
    return Price(start.price_equity, start.price_units) if start is not None else None


def _later(opening: PricePoint | None, joined: PricePoint | None) -> PricePoint | None:
    if opening is None or joined is None:
        return joined or opening
    return joined if joined.sequence > opening.sequence else opening


def _interval_return(investment: Investment, price: Price) -> Decimal:
    start = interval_start_price(investment)
    return ZERO if start is None or start.is_zero else time_weighted_return(start, price)


def _figures(investment: Investment) -> InvestmentFigures:
    account = investment.account
    price, digits = last_price(account), account.currency_digits
    basis = fee_basis(investment, price, digits, timezone.now())
    net = closing_of(basis, digits).paid
    fee = exact_difference(basis.value, net)
    profit = exact_sum((net, investment.paid_out, -investment.paid_in))
    interval = investment.interval
    return InvestmentFigures(
        value=basis.value,
        accrued_fee=fee,
        net=net,
        profit=profit,
        profit_rate=profit / investment.paid_in if investment.paid_in else None,
        interval_return=basis.yield_,
        high_water_mark=investment.high_water_mark,
        units=investment.units,
        price=price.rounded(),
        paid_in=investment.paid_in,
        paid_out=investment.paid_out,
        fees_paid=investment.fees_paid,
        as_of=account.last_priced_at,
        next_interval_end=interval.ends_at if interval is not None else None,
        rollovers_to_interval_end=rollovers_left(interval, account),
    )
