"""What investments are worth and what their fees stand at. Derived, never stored."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple, cast

from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast
from django.utils import timezone

from accounts.models import PammAccount
from allocation.calc.price import Price, time_weighted_return
from allocation.calc.units import value as value_of_units
from allocation.models import Interval, Investment, PricePoint
from allocation.services import (
    accrued_lots,
    accrued_value_days,
    last_price,
    lock_in_ends_at,
    lowest_units_of,
    unpaid_interval_part,
)
from fees.calc.crystallisation import Closed, Debt, FeeLine, FeeState, Situation, closing, fees_by_kind
from fees.calc.kinds import FeeKind
from fees.calc.performance import Standing, behind_by_balance, net_worth_basis
from fees.calc.schedule import Basis
from fees.calc.terms import NO_FEES, FeeTerms
from fees.models import Charge
from money.exact import ZERO, exact_difference, exact_sum
from offers.models import Terms
from offers.queries import fee_terms_of, schedule_of

_NOTHING, _ALIKE = Fraction(0), Fraction(1)

FIGURE_RELATIONS = ("account", "terms", "interval__opening", "joined")
"""What `figures_of` reads of an investment: select these with it, or each row costs queries."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One account at one rollover: what the fees of its investments are computed from.

    `at` is the snapshot's time, to which fees accrue; `leaving_at` decides whether a lock-in is over.
    `value_days` and `lots_per_unit` are the account's running sums; `point` is there while the rollover is
    carried out.
    """

    price: Price
    digits: int
    at: datetime
    leaving_at: datetime
    sequence: int
    flow_sequence: int
    value_days: Decimal
    lots_per_unit: Decimal
    point: PricePoint | None = None


@dataclass(frozen=True, slots=True)
class FeeBasis:
    """Everything the fees of one investment are computed from at one moment."""

    terms: FeeTerms
    state: FeeState
    situation: Situation

    @property
    def value(self) -> Decimal:
        return self.situation.value


@dataclass(frozen=True, slots=True)
class InvestmentFigures:
    """One investment at its account's last rollover. Amounts in the account's currency; rates are
    fractions.

    An interval ends at a date or after a number of rollovers. `net` is what closing would pay; `accrued` what
    it would charge, by kind (kinds without a fee are absent), `accrued_fee` in all; `profit` is against the
    money paid in, everything taken out counted; `interval_return` the time-weighted return since the trading
    interval (or the investment) began.
    """

    value: Decimal
    accrued: dict[FeeKind, Decimal]
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


class TermsRead:
    """Terms as the calculation takes them, each version read once."""

    def __init__(self) -> None:
        self._by_key: dict[int, FeeTerms] = {}

    def of(self, investment: Investment) -> FeeTerms:
        """The manager's own capital is free of fees."""
        if investment.is_own_capital or investment.terms_id is None:
            return NO_FEES
        known = self._by_key.get(investment.terms_id)
        return self.of_version(investment.terms) if known is None else known

    def of_version(self, terms: Terms) -> FeeTerms:
        known = self._by_key.get(terms.pk)
        if known is None:
            known = self._by_key[terms.pk] = fee_terms_of(terms)
        return known


def figures_of(investments: Iterable[Investment]) -> dict[int, InvestmentFigures]:
    """Figures by primary key. No query where the investments came `with_figures`, whatever their number."""
    read = TermsRead()
    return {investment.pk: _figures(investment, read) for investment in investments}


def accrued_of_accounts(accounts: Collection[PammAccount]) -> dict[int, dict[FeeKind, Decimal]]:
    """What closing every investor's investment now would charge, by account and kind; kinds without a fee are
    absent. Four statements, whatever the number of investments.

    The figures of `figures_of`, from bare rows: a page of a manager with 10,000 investors asks for this.
    """
    lines: dict[int, list[FeeLine]] = {account.pk: [] for account in accounts}
    moments = {account.pk: last_moment(account) for account in accounts}
    read = TermsRead()
    for stake in _stakes(accounts):
        # A stake has the columns of an investment that are read here, under the same names.
        basis = fee_basis(cast(Investment, stake), moments[stake.account_id], read)
        lines[stake.account_id] += closing_of(basis).lines
    return {pk: fees_by_kind(charged) for pk, charged in lines.items()}


def with_figures(investments: QuerySet[Investment]) -> QuerySet[Investment]:
    """Select with investments all that `figures_of` reads."""
    return investments.select_related(*FIGURE_RELATIONS)


class _Stake(NamedTuple):
    """The columns of an investment that its fees are computed from, and the rows it refers to."""

    account_id: int
    terms_id: int
    joined_at: datetime | None
    units: Decimal
    lowest_units: Decimal
    lowest_units_number: int
    high_water_mark: Decimal
    performance_carried: Decimal
    value_days_put_aside: Decimal
    value_days_checkpoint: Decimal
    lots_put_aside: Decimal
    lots_checkpoint: Decimal
    subscription_checkpoint: Decimal
    subscription_number: int
    carried: Mapping[str, str]
    debts: list[dict[str, Any]]
    terms: Terms
    interval: Interval | None
    joined: PricePoint | None
    is_own_capital: bool


_STAKE_COLUMNS = _Stake._fields[: _Stake._fields.index("carried")]


def _stakes(accounts: Collection[PammAccount]) -> Iterable[_Stake]:
    """Investors' active stakes. Terms and intervals are read once each, however many share them; where an
    investment joined matters only to schedules of its yield.
    """
    # As texts, most of which are empty: Django would decode each.
    texts = (Cast("carried", TextField()), Cast("debts", TextField()))
    rows = list(
        Investment.objects.filter(account__in=accounts, state=Investment.State.ACTIVE, is_own_capital=False)
        .order_by()
        .values_list("interval_id", "joined_id", *_STAKE_COLUMNS, *texts)
    )
    terms = Terms.objects.in_bulk({row[3] for row in rows})
    intervals = Interval.objects.select_related("opening").in_bulk({row[0] for row in rows} - {None})
    by_yield = {pk for pk, version in terms.items() if schedule_of(version).basis is Basis.YIELD}
    joined = PricePoint.objects.only("sequence", "price_equity", "price_units").in_bulk(
        {row[1] for row in rows if row[3] in by_yield} - {None}
    )
    for interval_id, joined_id, *columns, carried, debts in rows:
        yield _Stake._make(
            (
                *columns,
                {} if carried == "{}" else json.loads(carried),
                [] if debts == "[]" else json.loads(debts),
                terms[columns[1]],
                intervals.get(interval_id),
                joined.get(joined_id),
                False,
            )
        )


def moment_of(point: PricePoint) -> Moment:
    """The rollover that is being carried out."""
    return Moment(
        price=Price(point.price_equity, point.price_units),
        digits=point.currency_digits,
        at=point.priced_at,
        leaving_at=point.priced_at,
        sequence=point.sequence,
        flow_sequence=point.flow_sequence,
        value_days=point.value_days,
        lots_per_unit=point.lots_per_unit,
        point=point,
    )


def last_moment(account: PammAccount, leaving_at: datetime | None = None) -> Moment:
    """The account's last rollover, for somebody who leaves at it, or later at its price."""
    leaving_at = leaving_at or timezone.now()
    return Moment(
        price=last_price(account),
        digits=account.currency_digits,
        at=account.last_priced_at or leaving_at,
        leaving_at=leaving_at,
        sequence=account.sequence,
        flow_sequence=account.flow_sequence,
        value_days=account.last_value_days,
        lots_per_unit=account.last_lots_per_unit,
    )


def fee_basis(investment: Investment, moment: Moment, read: TermsRead | None = None) -> FeeBasis:
    """Inputs of all fees of the investment at that moment. No query where it came `with_figures`."""
    terms = (read or TermsRead()).of(investment)
    digits, price = moment.digits, moment.price
    value = value_of_units(investment.units, price, digits)
    if terms is NO_FEES:
        return FeeBasis(terms, fee_state(investment), Situation(value, digits, moment.sequence))
    share, per_equity = _balance_behind(investment, terms, moment)
    basis = terms.schedule.basis
    return FeeBasis(
        terms,
        fee_state(investment),
        Situation(
            value=value,
            digits=digits,
            rollover=moment.sequence,
            yield_=interval_return(investment, price) if basis is Basis.YIELD else ZERO,
            net_worth=net_worth_basis(price, lowest_units_of(investment), digits)
            if basis is Basis.NET_WORTH
            else ZERO,
            value_days=accrued_value_days(investment, moment.value_days)
            if terms.management_rate
            else _NOTHING,
            lots=accrued_lots(investment, moment.lots_per_unit) if terms.volume_amount_per_lot else _NOTHING,
            interval_part=unpaid_interval_part(investment, moment.at, moment.flow_sequence)
            if terms.subscription_amount
            else _NOTHING,
            early_exit_rate=_early_exit_rate(investment, terms, moment),
            balance_share=share,
            balance_per_equity=per_equity,
        ),
    )


def fee_state(investment: Investment) -> FeeState:
    """What the investment brings to its next fee, as it is stored."""
    return FeeState(
        standing=Standing(investment.high_water_mark, investment.performance_carried),
        carried={FeeKind(kind): Decimal(kept) for kind, kept in investment.carried.items()},
        debts=tuple(
            Debt(FeeKind(debt["kind"]), Decimal(debt["amount"]), debt["since"]) for debt in investment.debts
        ),
    )


def closing_of(basis: FeeBasis) -> Closed:
    """What closing pays and charges on this basis: also what is accrued."""
    return closing(basis.terms, basis.state, basis.situation)


def charges_of(investment: Investment) -> QuerySet[Charge]:
    """Charges of one investment, latest first."""
    return Charge.objects.filter(investment=investment).select_related("price_point").order_by("-id")


def rollovers_left(interval: Interval | None, account: PammAccount) -> int | None:
    """How many more rollovers that move money the interval lasts; None where it ends at a date."""
    if interval is None or interval.ends_after_sequence is None:
        return None
    return max(interval.ends_after_sequence - account.flow_sequence, 1)


def interval_return(investment: Investment, price: Price) -> Decimal:
    """Time-weighted return since the trading interval, or the investment, began; 9 places."""
    opening = investment.interval.opening if investment.interval is not None else None
    start = _later(opening, investment.joined)
    return ZERO if start is None else return_between(start.price_equity, start.price_units, price)


@lru_cache(maxsize=1024)
def return_between(equity: Decimal, units: Decimal, price: Price) -> Decimal:
    """Time-weighted return from a price point's price to `price`; 9 places, 0 from a price of 0.

    Many investments began at one price.
    """
    start = Price(equity, units)
    return ZERO if start.is_zero else time_weighted_return(start, price)


def _later(opening: PricePoint | None, joined: PricePoint | None) -> PricePoint | None:
    if opening is None or joined is None:
        return joined or opening
    return joined if joined.sequence > opening.sequence else opening


def _early_exit_rate(investment: Investment, terms: FeeTerms, moment: Moment) -> Decimal:
    """The rate of its terms before the lock-in, or the trading interval, ends, else 0.

    Intervals that end at a rollover are advanced before anybody leaves at it: then the next one begins at
    that very rollover. Whoever looks ahead from the last rollover will leave within the present interval.
    """
    if terms.early_exit_until_interval_end:
        return ZERO if _interval_ended_at(investment, moment) else terms.early_exit_rate
    ends_at = lock_in_ends_at(investment)
    return ZERO if ends_at is None or moment.leaving_at >= ends_at else terms.early_exit_rate


def _interval_ended_at(investment: Investment, moment: Moment) -> bool:
    """Whether the rollover is being carried out and an interval of the investment ended at it."""
    if moment.point is None or investment.interval is None:
        return False
    return bool(investment.interval.opening.sequence == moment.sequence)


def _balance_behind(
    investment: Investment, terms: FeeTerms, moment: Moment
) -> tuple[Decimal | None, Fraction]:
    """For terms that count profit from the lower of value and balance: the same share of the pool's balance,
    and balance per equity. Only a rollover that is carried out knows the balance.
    """
    point = moment.point
    if not terms.lower_profit or point is None:
        return None, _ALIKE
    return behind_by_balance(
        units=investment.units,
        pool_balance=pool_balance(point),
        pool_units=point.units,
        pool_equity=point.equity,
        digits=moment.digits,
    )


def pool_balance(point: PricePoint) -> Decimal:
    """The server's balance at a price point, less what was owed, plus what was on its way in."""
    return exact_sum((point.server_balance, -point.owed, point.incoming))


def _figures(investment: Investment, read: TermsRead) -> InvestmentFigures:
    account = investment.account
    moment = last_moment(account)
    basis = fee_basis(investment, moment, read)
    closed = closing_of(basis)
    profit = exact_sum((closed.paid, investment.paid_out, -investment.paid_in))
    interval = investment.interval
    return InvestmentFigures(
        value=basis.value,
        accrued=closed.by_kind,
        accrued_fee=exact_difference(basis.value, closed.paid),
        net=closed.paid,
        profit=profit,
        profit_rate=profit / investment.paid_in if investment.paid_in else None,
        interval_return=interval_return(investment, moment.price),
        high_water_mark=investment.high_water_mark,
        units=investment.units,
        price=moment.price.rounded(),
        paid_in=investment.paid_in,
        paid_out=investment.paid_out,
        fees_paid=investment.fees_paid,
        as_of=account.last_priced_at,
        next_interval_end=interval.ends_at if interval is not None else None,
        rollovers_to_interval_end=rollovers_left(interval, account),
    )
