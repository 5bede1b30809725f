"""What an offer would cost, told by examples that the fee calculation itself works out."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from allocation.calc.price import Price, time_weighted_return
from fees.calc.performance import Standing, performance_fee
from fees.calc.schedule import Basis, Schedule
from money.exact import exact_difference
from money.rounding import nearest_money
from offers.models import Terms

EXAMPLE_RETURNS = (Decimal("-0.10"), Decimal("0.05"), Decimal("0.20"), Decimal("0.50"))


@dataclass(frozen=True, slots=True)
class FeeExample:
    """One trading interval: what `capital` grew to before fees, the fee at its end, and what is left."""

    capital: Decimal
    gross_return: Decimal
    becomes: Decimal
    fee: Decimal
    keeps: Decimal


def fee_examples(
    terms: Terms, capital: Decimal, gross_returns: Sequence[Decimal] = EXAMPLE_RETURNS
) -> list[FeeExample]:
    """For somebody who joins with `capital` (> 0) and moves no money until the first interval ends."""
    schedule = Schedule.from_json(terms.performance_schedule)
    digits = terms.offer.account.currency_digits
    return [_example(schedule, capital, gross, digits) for gross in gross_returns]


def fee_in_short(terms: Terms) -> tuple[Decimal, Decimal]:
    """Lowest and highest rate of the performance fee, as fractions."""
    rates = [tier.rate for tier in Schedule.from_json(terms.performance_schedule).tiers]
    return min(rates), max(rates)


@dataclass(frozen=True, slots=True)
class TierRow:
    """One tier for a table. Bounds are fractions or money by the basis; None is no bound."""

    from_bound: Decimal | None
    to_bound: Decimal | None
    rate: Decimal


@dataclass(frozen=True, slots=True)
class TierTable:
    """The tiers of a schedule, and whether their bounds are money (else yields)."""

    rows: list[TierRow]
    is_money: bool


def tier_table(terms: Terms) -> TierTable | None:
    """The tiers as a table; None for a flat fee, which needs none."""
    schedule = Schedule.from_json(terms.performance_schedule)
    if schedule.basis is Basis.FLAT:
        return None
    upper = [tier.lower_bound for tier in schedule.tiers[1:]] + [None]
    rows = [
        TierRow(tier.lower_bound, end, tier.rate) for tier, end in zip(schedule.tiers, upper, strict=True)
    ]
    return TierTable(rows, schedule.basis is Basis.NET_WORTH)


def _example(schedule: Schedule, capital: Decimal, gross_return: Decimal, digits: int) -> FeeExample:
    becomes = nearest_money(capital * (1 + gross_return), digits)
    fee = performance_fee(
        value=becomes,
        standing=Standing(high_water_mark=capital),
        schedule=schedule,
        yield_=time_weighted_return(Price(capital, Decimal(1)), Price(becomes, Decimal(1))),
        net_worth=becomes,
        digits=digits,
    ).amount
    return FeeExample(capital, gross_return, becomes, fee, exact_difference(becomes, fee))
