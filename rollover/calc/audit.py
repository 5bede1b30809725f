"""Proof of one rollover of one account: who held what, what the market did to it, what came and went.

Everything is recomputed from unit entries and price points. Values are rounded half to even to the minor unit
(`allocation.calc.units`); sums are exact; what rounding leaves over stands in lines of its own. A check
compares two figures that came from different records, so that a changed row cannot agree with itself.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from fractions import Fraction

from allocation.calc.price import Price, price_of
from allocation.calc.units import pool_equity, residual, values
from money.exact import exact_difference, exact_sum
from money.rounding import UNIT_PLACES, minor_unit

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class PoolFigures:
    """What a price point recorded: the server's figures, the pool's equity and its units before any flow.

    Amounts in the account's currency, `digits` its decimals. `shown_price` is the stored copy with 12 places.
    """

    server_balance: Decimal
    server_equity: Decimal
    server_credit: Decimal
    owed: Decimal
    incoming: Decimal
    trading_result: Decimal
    equity: Decimal
    units: Decimal
    price: Price
    shown_price: Decimal
    digits: int

    @property
    def floating(self) -> Decimal:
        """Result of the open positions as the server gives it."""
        return exact_sum((self.server_equity, -self.server_balance, -self.server_credit))


@dataclass(frozen=True, slots=True)
class Holding:
    """One investment's unit entries, summed: `units_before` all earlier ones, the rest this rollover's.

    `deposited` enters the pool; `withdrawn` and `charged` leave it; all three are positive. `cancelled` is
    what a wiped-out series took with it. `stored_units` is the investment's own column today.
    """

    investment: uuid.UUID
    owner: str
    login: int
    is_own_capital: bool
    entries: int
    units_before: Decimal
    units_changed: Decimal
    deposited: Decimal
    withdrawn: Decimal
    charged: Decimal
    cancelled: Decimal
    stored_units: Decimal


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One investment in one rollover. `value_after` less everything before it is `rounding`."""

    holding: Holding
    units_before: Decimal
    value_before: Decimal
    share: Decimal
    value_priced: Decimal
    deposited: Decimal
    withdrawn: Decimal
    charged: Decimal
    rounding: Decimal
    value_after: Decimal
    units_after: Decimal
    flows_fit: bool


@dataclass(frozen=True, slots=True)
class AuditSums:
    """Sums over every investment, in the order of the columns."""

    units_before: Decimal
    value_before: Decimal
    share: Decimal
    value_priced: Decimal
    deposited: Decimal
    withdrawn: Decimal
    charged: Decimal
    rounding: Decimal
    value_after: Decimal
    units_after: Decimal


@dataclass(frozen=True, slots=True)
class Check:
    """Two figures that must agree, exactly or within `tolerance`. `code` names the rule."""

    code: str
    expected: Decimal
    found: Decimal
    tolerance: Decimal = ZERO

    @property
    def difference(self) -> Decimal:
        return exact_difference(self.found, self.expected)

    @property
    def holds(self) -> bool:
        return abs(self.difference) <= self.tolerance


@dataclass(frozen=True, slots=True)
class OtherRecords:
    """What the rest of the books say, to compare with.

    `units_next`: units outstanding at the next price point, or on the account where this one is the newest.
    `charges`: sum of the fees that redeemed units at this rollover: an entry fee is taken before there are
    any. `all_charges` has those too, and `parts` is what the recipients were given of them. `deals_result`,
    `deals_total`: sums of the deals it counted, of trading alone and of all parts. `is_newest` makes the
    investments' stored units comparable.
    """

    units_next: Decimal
    charges: Decimal
    all_charges: Decimal
    parts: Decimal
    deals_result: Decimal
    deals_total: Decimal
    is_newest: bool


def audit_lines(
    holdings: Sequence[Holding], *, price_before: Price, price: Price, digits: int
) -> tuple[AuditLine, ...]:
    """A line per holding, in their order. `price_before` is that of the rollover before."""
    before = values([holding.units_before for holding in holdings], price_before, digits)
    priced = values([holding.units_before for holding in holdings], price, digits)
    units_after = [exact_sum((holding.units_before, holding.units_changed)) for holding in holdings]
    after = values(units_after, price, digits)
    return tuple(
        AuditLine(
            holding=holding,
            units_before=holding.units_before,
            value_before=value_before,
            share=exact_difference(value_priced, value_before),
            value_priced=value_priced,
            deposited=holding.deposited,
            withdrawn=holding.withdrawn,
            charged=holding.charged,
            rounding=exact_difference(value_after, exact_sum((value_priced, _flow(holding)))),
            value_after=value_after,
            units_after=units_left,
            flows_fit=_flows_fit(holding, price, digits),
        )
        for holding, value_before, value_priced, units_left, value_after in zip(
            holdings, before, priced, units_after, after, strict=True
        )
    )


def audit_sums(lines: Sequence[AuditLine]) -> AuditSums:
    """Exact column sums."""
    names = [column.name for column in fields(AuditSums)]
    return AuditSums(**{name: exact_sum(getattr(line, name) for line in lines) for name in names})


def audit_checks(
    lines: Sequence[AuditLine],
    sums: AuditSums,
    *,
    pool: PoolFigures,
    price_before: Price,
    previous: PoolFigures | None,
    other: OtherRecords,
) -> tuple[Check, ...]:
    """Every comparison that this rollover allows.

    `previous` is the price point before it, if there was one; `price_before` its price, 1 for a new series.
    """
    half = minor_unit(pool.digits) / 2
    holders = sum(1 for line in lines if line.units_before)
    expected_price = price_of(pool.equity, pool.units, price_before)
    checks = [
        Check(
            "pool_equity",
            expected=pool_equity(
                equity=pool.server_equity, credit=pool.server_credit, owed=pool.owed, incoming=pool.incoming
            ),
            found=pool.equity,
        ),
        Check("units_before", expected=pool.units, found=sums.units_before),
        Check("price", expected=expected_price.rounded(), found=pool.price.rounded()),
        Check("shown_price", expected=pool.price.rounded(), found=pool.shown_price),
        Check("flows", expected=ZERO, found=Decimal(sum(1 for line in lines if not line.flows_fit))),
        Check("units_after", expected=other.units_next, found=sums.units_after),
        Check("charges", expected=other.charges, found=sums.charged),
        Check("parts", expected=other.all_charges, found=other.parts),
        Check("deals", expected=pool.trading_result, found=other.deals_result),
    ]
    if pool.units:
        # Below 0 nothing is worth anything: the values are 0, the residual is the whole loss. Without units
        # what stands in the account is nobody's: all of it is residual until it is swept.
        checks.append(
            Check(
                "values", expected=max(pool.equity, ZERO), found=sums.value_priced, tolerance=half * holders
            )
        )
    if other.is_newest:
        checks.append(
            Check(
                "stored_units",
                expected=ZERO,
                found=Decimal(sum(1 for line in lines if line.units_after != line.holding.stored_units)),
            )
        )
    if previous is not None:
        checks.append(
            Check(
                "balance",
                expected=exact_sum((previous.server_balance, other.deals_total)),
                found=pool.server_balance,
            )
        )
        # Below 0 values stop at 0, so what was shared out is not the whole result.
        if pool.units and pool.equity > 0 and (previous.equity > 0 or previous.units == 0):
            checks.append(
                Check(
                    "result",
                    expected=exact_sum((pool.trading_result, pool.floating, -previous.floating)),
                    found=sums.share,
                    # Each holder's two values are rounded once each; the rest is the pool's own residual.
                    tolerance=half * (2 * holders + 1),
                )
            )
    return tuple(checks)


def pool_residual(pool: PoolFigures, sums: AuditSums) -> Decimal:
    """Pool equity less all values: what rounding leaves, or the whole loss of a pool below 0."""
    return residual(pool.equity, [sums.value_priced])


def _flow(holding: Holding) -> Decimal:
    return exact_sum((holding.deposited, -holding.withdrawn, -holding.charged, -holding.cancelled))


def _flows_fit(holding: Holding, price: Price, digits: int) -> bool:
    """Whether the money of this rollover's entries is that of their units at its price.

    A close pays a value rounded to the minor unit; every entry's units are rounded at their last place.
    """
    if not holding.entries:
        return True
    exact = Fraction(holding.units_changed) * price.ratio
    dust = holding.entries * price.ratio * Fraction(1, 2 * 10**UNIT_PLACES)
    return abs(Fraction(_flow(holding)) - exact) <= Fraction(minor_unit(digits)) / 2 + dust
