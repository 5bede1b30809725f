"""Proof of one rollover of one account: who held what, what the market did to it, what came and went.

Everything is recomputed from unit entries and price points. Values are rounded half to even to the minor unit
(`allocation.calc.units`); sums are exact; what rounding leaves over stands in lines of its own. A check
compares two figures that came from different records, so that a changed row cannot agree with itself.

`audit_line` is the definition of a line; `AuditTally` is its fast form, which goes over all of them.
"""

import uuid
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from allocation.calc.price import Price, price_of
from allocation.calc.units import pool_equity, residual, value
from money.exact import decimal_of, exact_difference, exact_sum, scaled_int
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


class SummedEntries(NamedTuple):
    """Unit entries of one investment as the database sums them: `units_before` those of earlier rollovers,
    the rest this one's, signed as entries are (negative leaves the pool). None: there are none.

    `investment` is its primary key. `stored_units`, its own column today, is read only to be compared.
    """

    investment: int
    units_before: Decimal | None
    entries: int
    units_changed: Decimal | None
    deposited: Decimal | None
    taken_out: Decimal | None
    charged: Decimal | None
    cancelled: Decimal | None
    stored_units: Decimal | None = None


class Whose(NamedTuple):
    """Whom an investment belongs to, as an audit names it."""

    investment: uuid.UUID
    owner: str
    login: int
    is_own_capital: bool


@dataclass(frozen=True, slots=True)
class Holding:
    """One investment's unit entries, summed: `units_before` all earlier ones, the rest this rollover's.

    `deposited` enters the pool; `withdrawn` and `charged` leave it; all three are positive. `cancelled` is
    what a wiped-out series took with it.
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

    @classmethod
    def of(cls, whose: Whose, summed: SummedEntries) -> "Holding":
        return cls(
            *whose,
            entries=summed.entries,
            units_before=summed.units_before or ZERO,
            units_changed=summed.units_changed or ZERO,
            deposited=summed.deposited or ZERO,
            withdrawn=-(summed.taken_out or ZERO),
            charged=-(summed.charged or ZERO),
            cancelled=-(summed.cancelled or ZERO),
        )


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


def audit_line(holding: Holding, *, price_before: Price, price: Price, digits: int) -> AuditLine:
    """What the rollover did to one investment. `price_before` is that of the rollover before."""
    value_before = value(holding.units_before, price_before, digits)
    value_priced = value(holding.units_before, price, digits)
    units_after = exact_sum((holding.units_before, holding.units_changed))
    value_after = value(units_after, price, digits)
    return AuditLine(
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
        units_after=units_after,
        flows_fit=_flows_fit(holding, price, digits),
    )


class ScaledLine(NamedTuple):
    """The figures of an `AuditLine` as whole numbers: units in their 12th place, amounts in minor units."""

    units_before: int
    value_before: int
    share: int
    value_priced: int
    deposited: int
    withdrawn: int
    charged: int
    rounding: int
    value_after: int
    units_after: int
    flows_fit: bool


class AuditTally:
    """Sums over the lines of any number of investments, and how many of them fail what each must fulfil.

    Computes each line by the rule of `audit_line` on whole numbers, which is exact at any size. `holders` had
    units before the rollover; at `misfits` the money of the entries is not that of their units;
    `unlike_stored` have other units than their own column says.
    """

    def __init__(self, *, price_before: Price, price: Price, digits: int) -> None:
        self.digits = digits
        self.holders = self.misfits = self.unlike_stored = 0
        per_unit = price.ratio * 10**digits / 10**UNIT_PLACES
        per_unit_before = price_before.ratio * 10**digits / 10**UNIT_PLACES
        self._per_unit = per_unit.numerator, per_unit.denominator
        self._per_unit_before = per_unit_before.numerator, per_unit_before.denominator
        self._units_before = self._units_after = 0
        self._value_before = self._value_priced = self._value_after = 0
        self._deposited = self._withdrawn = self._charged = self._rounding = 0

    def add(self, summed: SummedEntries) -> ScaledLine:
        """Count one investment; its line."""
        _, before, entries, changed, deposits, payouts, fees, cancelled, stored = summed
        numerator, denominator = self._per_unit
        held = left = _scaled(before, UNIT_PLACES)
        value_before = _nearest(held * self._per_unit_before[0], self._per_unit_before[1])
        value_priced = value_after = _nearest(held * numerator, denominator)
        deposited = withdrawn = charged = rounding = 0
        flows_fit = True
        if entries:
            units = _scaled(changed, UNIT_PLACES)
            left += units
            value_after = _nearest(left * numerator, denominator)
            digits = self.digits
            deposited = _scaled(deposits, digits)
            withdrawn = -_scaled(payouts, digits)
            charged = -_scaled(fees, digits)
            flow = deposited - withdrawn - charged + _scaled(cancelled, digits)
            rounding = value_after - value_priced - flow
            # Within half a minor unit, and half of the last place of units for each entry.
            flows_fit = 2 * abs(flow * denominator - units * numerator) <= denominator + entries * numerator
            self._deposited += deposited
            self._withdrawn += withdrawn
            self._charged += charged
            self._rounding += rounding
            self.misfits += not flows_fit
        if held:
            self.holders += 1
        if stored is not None and left != _scaled(stored, UNIT_PLACES):
            self.unlike_stored += 1
        self._units_before += held
        self._units_after += left
        self._value_before += value_before
        self._value_priced += value_priced
        self._value_after += value_after
        return ScaledLine(
            held,
            value_before,
            value_priced - value_before,
            value_priced,
            deposited,
            withdrawn,
            charged,
            rounding,
            value_after,
            left,
            flows_fit,
        )

    @property
    def sums(self) -> AuditSums:
        """Exact column sums of what was added so far."""

        def amount(minor: int) -> Decimal:
            return decimal_of(minor, self.digits)

        return AuditSums(
            units_before=decimal_of(self._units_before, UNIT_PLACES),
            value_before=amount(self._value_before),
            share=amount(self._value_priced - self._value_before),
            value_priced=amount(self._value_priced),
            deposited=amount(self._deposited),
            withdrawn=amount(self._withdrawn),
            charged=amount(self._charged),
            rounding=amount(self._rounding),
            value_after=amount(self._value_after),
            units_after=decimal_of(self._units_after, UNIT_PLACES),
        )


def audit_checks(
    tally: AuditTally,
    *,
    pool: PoolFigures,
    price_before: Price,
    previous: PoolFigures | None,
    other: OtherRecords,
) -> tuple[Check, ...]:
    """Every comparison that this rollover allows, once every line is in the `tally`.

    `previous` is the price point before it, if there was one; `price_before` its price, 1 for a new series.
    """
    sums, holders = tally.sums, tally.holders
    half = minor_unit(pool.digits) / 2
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
        Check("flows", expected=ZERO, found=Decimal(tally.misfits)),
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
        checks.append(Check("stored_units", expected=ZERO, found=Decimal(tally.unlike_stored)))
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


def _scaled(number: Decimal | None, places: int) -> int:
    return scaled_int(number, places) if number else 0


def _nearest(numerator: int, denominator: int) -> int:
    """The quotient, half to even: the rounding of a value in minor units."""
    whole, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    return whole + (twice > denominator or (twice == denominator and whole & 1))
