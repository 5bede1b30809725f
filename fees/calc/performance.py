"""The performance fee of one investment, at interval ends, withdrawals and closes.

The mark is money, kept per investment, 12 places: deposits raise it, losses leave it where it is, a
crystallisation sets it to what the fee left. Fees are rounded down to the minor unit and their fractions
carried (24 places). All amounts are in the account's currency; `digits` is how many decimals it has. `value`
is what the fees of other kinds and debts, which are charged first, have left. `yield_` is the time-weighted
return of the interval (`time_weighted_return`), `net_worth` the figure of `net_worth_basis`; each is looked
at only by a schedule of its basis.

The fee on the whole, `F`, is the rate on the profit plus what is carried. Carried is usually below a minor
unit, but withdrawals too small to pay their part leave more there: it stays due after the profit is gone, or
taking the profit out in small steps would be free. The manager's own investment goes through here with
`FREE_OF_FEES`.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from fractions import Fraction

from allocation.calc.price import Price
from allocation.calc.units import value as value_of_units
from fees.calc.charge import Charge, charge
from fees.calc.schedule import Basis, Schedule, rate_for
from money.exact import ZERO, Quotient, exact_difference, exact_sum
from money.rounding import floor_money, minor_unit, nearest_money, rounded_carried, rounded_mark

_NO_LIMIT = Decimal("Infinity")
"""Of what a part may cost on top of it: whether the value pays for both is seen afterwards."""


class NothingAvailable(ValueError):
    """The fee that is due takes the whole value."""


class MoreThanAvailable(ValueError):
    """More was asked for than can be taken while something remains. `largest` is the net amount that can."""

    def __init__(self, largest: Decimal) -> None:
        super().__init__(f"at most {largest} can be taken")
        self.largest = largest


@dataclass(frozen=True, slots=True)
class Standing:
    """What an investment brings to its next fee: its mark (12 places), its carried fraction (24 places)."""

    high_water_mark: Decimal
    carried: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class PerformanceFee:
    """`rate` and `unrounded` (with what was carried) are exact.

    `profit` is above the mark, negative while a loss is carried forward. `uncollected` is what the value
    could not pay: a debt.
    """

    amount: Decimal
    uncollected: Decimal
    unrounded: Fraction
    rate: Fraction
    profit: Decimal
    high_water_mark_next: Decimal
    carried_next: Decimal

    @property
    def standing_next(self) -> Standing:
        return Standing(self.high_water_mark_next, self.carried_next)


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """`gross` = `net` + `fee` + `exit_fee` leaves the investment.

    Units are redeemed for it. `unrounded` is `F`, the fee on the whole before it.
    """

    net: Decimal
    fee: Decimal
    exit_fee: Decimal
    exit_carried_next: Decimal
    gross: Decimal
    unrounded: Fraction
    rate: Fraction
    high_water_mark_next: Decimal
    carried_next: Decimal

    @property
    def standing_next(self) -> Standing:
        return Standing(self.high_water_mark_next, self.carried_next)


@dataclass(frozen=True, slots=True)
class Closing:
    """`paid` + `fee` + `exit_fee` is the whole value.

    Nothing is left: the mark is 0 and the carried fraction is dropped.
    """

    paid: Decimal
    fee: Decimal
    exit_fee: Decimal
    unrounded: Fraction
    rate: Fraction
    profit: Decimal


@dataclass(frozen=True, slots=True)
class Available:
    """`part`: the largest net amount that can be withdrawn while something remains.

    `closing`: what closing pays.
    """

    part: Decimal
    closing: Decimal


class WithdrawalKind(Enum):
    PART = "part"
    CLOSE = "close"
    TOO_LITTLE_WOULD_REMAIN = "too_little_would_remain"


def after_deposit(standing: Standing, amount: Decimal) -> Standing:
    """Standing after a deposit: the mark rises by it, so it is no profit and a carried loss stays.

    `amount` is what an entry fee left of the deposit.
    """
    return replace(standing, high_water_mark=exact_sum((standing.high_water_mark, amount)))


def net_worth_basis(price: Price, lowest_units: Decimal, digits: int) -> Decimal:
    """Net worth as compared with a tier's bound.

    The worth of the fewest units held since the interval's start or joining, so that money which came late
    reaches no tier. To the nearest minor unit, like every value, so that the dust of stored units decides
    over no tier.
    """
    return value_of_units(lowest_units, price, digits)


def share_of_balance(*, units: Decimal, pool_balance: Decimal, pool_units: Decimal, digits: int) -> Decimal:
    """The same share of the pool's balance as `units` are of its units, to the nearest minor unit.

    `pool_balance` is balance less what is owed plus what is on its way in.
    """
    return nearest_money(Fraction(pool_balance) * Fraction(units) / Fraction(pool_units), digits)


def behind_by_balance(
    *, units: Decimal, pool_balance: Decimal, pool_units: Decimal, pool_equity: Decimal, digits: int
) -> tuple[Decimal | None, Fraction]:
    """What the profit basis *lower* looks at: `share_of_balance` of these units, and balance per equity.

    Nothing to look at, None and 1, for a pool without equity above 0.
    """
    if pool_equity <= 0:
        return None, Fraction(1)
    share = share_of_balance(units=units, pool_balance=pool_balance, pool_units=pool_units, digits=digits)
    return share, Fraction(pool_balance) / Fraction(pool_equity)


def performance_fee(
    *,
    value: Decimal,
    standing: Standing,
    schedule: Schedule,
    yield_: Decimal,
    net_worth: Decimal,
    digits: int,
    profit_value: Decimal | None = None,
) -> PerformanceFee:
    """Fee at an interval end.

    No fee and the mark unmoved at or below it; otherwise the next mark is what the fee left, also at a rate
    of 0.

    `profit_value`: the value the profit is counted from, where it is not `value` itself: under the profit
    basis *lower*, the smaller of the value and the same share of the balance (`share_of_balance`).
    """
    counted = value if profit_value is None else profit_value
    profit = exact_difference(counted, standing.high_water_mark)
    rate = rate_for(schedule, _basis_value(schedule, yield_, net_worth))
    if profit <= 0:
        return PerformanceFee(
            amount=ZERO,
            uncollected=ZERO,
            unrounded=Fraction(standing.carried),
            rate=rate,
            profit=profit,
            high_water_mark_next=standing.high_water_mark,
            carried_next=standing.carried,
        )
    # Not beyond what the profit is counted from either: the next mark would be negative.
    charged = charge(
        fee=rate * Fraction(profit), carried=standing.carried, available=min(value, counted), digits=digits
    )
    return PerformanceFee(
        amount=charged.amount,
        uncollected=charged.uncollected,
        unrounded=charged.unrounded,
        rate=rate,
        profit=profit,
        high_water_mark_next=rounded_mark(exact_difference(counted, charged.amount)),
        carried_next=charged.carried_next,
    )


def closing(
    *,
    value: Decimal,
    standing: Standing,
    schedule: Schedule,
    yield_: Decimal,
    net_worth: Decimal,
    digits: int,
    early_exit_rate: Decimal = ZERO,
    exit_carried: Decimal = ZERO,
) -> Closing:
    """What closing pays and charges now.

    Profit is counted from the value: closing turns the floating result into money.
    """
    rate, profit, fee_on_whole = _fee_on_whole(value, standing, schedule, yield_, net_worth)
    fee = max(min(floor_money(fee_on_whole, digits), value), ZERO)
    left = exact_difference(value, fee)
    exit_fee = exit_fee_at_close(left, early_exit_rate, exit_carried, digits).amount
    return Closing(
        paid=exact_difference(left, exit_fee),
        fee=fee,
        exit_fee=exit_fee,
        unrounded=fee_on_whole,
        rate=rate,
        profit=profit,
    )


def withdrawal(
    *,
    net_amount: Decimal,
    value: Decimal,
    standing: Standing,
    schedule: Schedule,
    yield_: Decimal,
    net_worth: Decimal,
    digits: int,
    early_exit_rate: Decimal = ZERO,
    exit_carried: Decimal = ZERO,
) -> Withdrawal:
    """Taking out part: the owner gets `net_amount`, and the part's share of the fee is crystallised.

    Mark and carried fraction shrink with the value. Several of one investment go one after the other, each
    with the standing and the value that the one before left; to ask for at least what `closing` pays is a
    close and does not come here (see `withdrawal_kind`).

    `early_exit_rate` is a fraction below 1 of what is taken after the performance fee; `exit_carried` what
    earlier ones left of a minor unit. Raises NothingAvailable where the fee takes the whole value,
    MoreThanAvailable where nothing would remain.
    """
    rate, _, fee_on_whole = _fee_on_whole(value, standing, schedule, yield_, net_worth)
    if fee_on_whole >= value:
        raise NothingAvailable("the fee that is due takes the whole value")
    leaving = _Leaving(value, fee_on_whole, early_exit_rate, exit_carried, digits)
    fee, exit_fee = leaving.fees_on(net_amount)
    gross = exact_sum((net_amount, exit_fee.amount, fee))
    if gross >= value:
        raise MoreThanAvailable(leaving.largest_part(keep=minor_unit(digits)))
    leaves = Fraction(gross) / Fraction(value)
    return Withdrawal(
        net=net_amount,
        fee=fee,
        exit_fee=exit_fee.amount,
        exit_carried_next=exit_fee.carried_next,
        gross=gross,
        unrounded=fee_on_whole,
        rate=rate,
        high_water_mark_next=rounded_mark(Fraction(standing.high_water_mark) * (1 - leaves)),
        carried_next=rounded_carried(
            Fraction(standing.carried) * (1 - leaves) + fee_on_whole * leaves - Fraction(fee)
        ),
    )


def available(
    *,
    value: Decimal,
    standing: Standing,
    schedule: Schedule,
    yield_: Decimal,
    net_worth: Decimal,
    digits: int,
    early_exit_rate: Decimal = ZERO,
    exit_carried: Decimal = ZERO,
    minimum_remaining: Decimal = ZERO,
) -> Available:
    """What can be taken out now, net of fees.

    At least `minimum_remaining` (and a minor unit) of value stays after `part`.
    """
    pays = closing(
        value=value,
        standing=standing,
        schedule=schedule,
        yield_=yield_,
        net_worth=net_worth,
        digits=digits,
        early_exit_rate=early_exit_rate,
        exit_carried=exit_carried,
    )
    if pays.unrounded >= value:
        return Available(part=ZERO, closing=pays.paid)
    keep = max(minimum_remaining, minor_unit(digits))
    leaving = _Leaving(value, pays.unrounded, early_exit_rate, exit_carried, digits)
    part = leaving.largest_part(keep=keep)
    return Available(
        part=max(min(part, exact_difference(pays.paid, minor_unit(digits))), ZERO), closing=pays.paid
    )


def withdrawal_kind(
    *,
    net_amount: Decimal,
    closing_pays: Decimal,
    largest_part: Decimal,
    closes_if_too_little_remains: bool,
) -> WithdrawalKind:
    """What a request to take out `net_amount` is: a part, a close, or refused as it would leave too little.

    `largest_part` and `closing_pays` are the figures of `fees.calc.crystallisation.available`, with the
    offer's minimum remaining amount.
    """
    if net_amount >= closing_pays:
        return WithdrawalKind.CLOSE
    if net_amount <= largest_part:
        return WithdrawalKind.PART
    return WithdrawalKind.CLOSE if closes_if_too_little_remains else WithdrawalKind.TOO_LITTLE_WOULD_REMAIN


def exit_fee_on(net_amount: Decimal, early_exit_rate: Decimal, carried: Decimal, digits: int) -> Charge:
    """Early exit fee of a part from which its owner gets `net_amount`; the rate is below 1."""
    if not early_exit_rate:
        return _no_charge(carried)
    rate = Fraction(early_exit_rate)
    fee = Fraction(net_amount) * rate / (1 - rate)
    return charge(fee=fee, carried=carried, available=_NO_LIMIT, digits=digits)


def exit_fee_at_close(left: Decimal, early_exit_rate: Decimal, carried: Decimal, digits: int) -> Charge:
    """Early exit fee of a close, of what the performance fee has `left`."""
    if not early_exit_rate:
        return _no_charge(carried)
    money, scale = left.as_integer_ratio()
    rate, rate_scale = early_exit_rate.as_integer_ratio()
    fee = Quotient(money * rate, scale * rate_scale)
    return charge(fee=fee, carried=carried, available=left, digits=digits)


def exact_fee_on_part(plan: Withdrawal, value: Decimal) -> Fraction:
    """The part's performance fee before its rounding; `value` is what the part was taken from."""
    after_fee = Fraction(plan.net) + Fraction(plan.exit_fee)
    return after_fee * plan.unrounded / (Fraction(value) - plan.unrounded)


def _basis_value(schedule: Schedule, yield_: Decimal, net_worth: Decimal) -> Decimal:
    return net_worth if schedule.basis is Basis.NET_WORTH else yield_


def _fee_on_whole(
    value: Decimal, standing: Standing, schedule: Schedule, yield_: Decimal, net_worth: Decimal
) -> tuple[Fraction, Decimal, Fraction]:
    """Rate, profit and the exact fee on all of the profit with what is carried."""
    rate = rate_for(schedule, _basis_value(schedule, yield_, net_worth))
    profit = exact_difference(value, standing.high_water_mark)
    gained, scale = max(profit, ZERO).as_integer_ratio()
    kept, kept_scale = standing.carried.as_integer_ratio()
    per = rate.denominator * scale
    return rate, profit, Fraction(rate.numerator * gained * kept_scale + kept * per, per * kept_scale)


@dataclass(frozen=True, slots=True)
class _Leaving:
    """What taking out part costs: `fee_on_whole` is below `value`."""

    value: Decimal
    fee_on_whole: Fraction
    early_exit_rate: Decimal
    exit_carried: Decimal
    digits: int

    def fees_on(self, net_amount: Decimal) -> tuple[Decimal, Charge]:
        """Performance and early exit fee on top of a net amount, each rounded down."""
        exit_fee = exit_fee_on(net_amount, self.early_exit_rate, self.exit_carried, self.digits)
        after_fee = Fraction(net_amount) + Fraction(exit_fee.amount)
        share = self.fee_on_whole / (Fraction(self.value) - self.fee_on_whole)
        return floor_money(after_fee * share, self.digits), exit_fee

    def largest_part(self, *, keep: Decimal) -> Decimal:
        """Largest net amount, in whole minor units, whose gross leaves at least `keep` of the value."""
        most_gross = exact_difference(self.value, keep)
        if most_gross <= 0:
            return ZERO
        exact = (
            Fraction(most_gross)
            * (1 - self.fee_on_whole / Fraction(self.value))
            * (1 - Fraction(self.early_exit_rate))
        )
        step = minor_unit(self.digits)
        # Both fees are rounded down, which lets the answer exceed the exact one by at most two steps.
        part = exact_sum((floor_money(exact, self.digits), step, step, step))
        while part > 0 and self._gross(part) > most_gross:
            part = exact_difference(part, step)
        return max(part, ZERO)

    def _gross(self, net_amount: Decimal) -> Decimal:
        fee, exit_fee = self.fees_on(net_amount)
        return exact_sum((net_amount, fee, exit_fee.amount))


def _no_charge(carried: Decimal) -> Charge:
    return Charge(amount=ZERO, uncollected=ZERO, fee=Fraction(0), carried=carried, carried_next=carried)
