"""Charging fees: at interval ends, withdrawals and closes of one account at one rollover."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from allocation.models import Investment, UnitEntry
from allocation.services import UnitBook
from fees.calc import performance
from fees.calc.performance import Closing, Standing, Withdrawal, WithdrawalKind
from fees.calc.schedule import Basis
from fees.errors import MoreThanAvailable, NothingIsAvailable, TooLittleWouldRemain
from fees.models import Charge
from fees.queries import FeeBasis, closing_of, fee_basis
from money.exact import ZERO, exact_difference, exact_sum
from offers.models import Terms

_ENTRY_KINDS = {
    Charge.Kind.PERFORMANCE: UnitEntry.Kind.PERFORMANCE_FEE,
    Charge.Kind.EARLY_EXIT: UnitEntry.Kind.EARLY_EXIT_FEE,
}


@dataclass
class ChargeBook:
    """Fees charged at one price point, collected with their unit entries and written together.

    Every fee is taken as units at the snapshot's price, so none moves the price, and goes to the manager's
    income account.
    """

    book: UnitBook
    charges: list[Charge] = field(default_factory=list)

    @property
    def total(self) -> Decimal:
        return exact_sum(charge.amount for charge in self.charges)

    def crystallise(self, investments: Iterable[Investment]) -> None:
        """The performance fee of each at the end of its trading interval."""
        for investment in investments:
            basis = self._basis(investment)
            fee = performance.performance_fee(
                value=basis.value,
                standing=basis.standing,
                schedule=basis.schedule,
                yield_=basis.yield_,
                net_worth=basis.net_worth,
                digits=self.book.digits,
                profit_value=self._profit_value(investment, basis),
            )
            if fee.profit <= 0:
                continue
            self._charge(
                investment,
                basis,
                Charge.Kind.PERFORMANCE,
                Charge.Occasion.INTERVAL_END,
                fee.amount,
                profit=fee.profit,
                after=fee.standing_next,
                rate=fee.rate,
                unrounded=fee.unrounded,
                source=None,
            )

    def take_part(self, investment: Investment, plan: Withdrawal, *, source: uuid.UUID) -> UnitEntry:
        """Carry out a planned part withdrawal: its fees first, then the payment."""
        basis = self._basis(investment)
        if plan.fee or plan.unrounded:
            self._charge(
                investment,
                basis,
                Charge.Kind.PERFORMANCE,
                Charge.Occasion.WITHDRAWAL,
                plan.fee,
                profit=exact_difference(basis.value, basis.standing.high_water_mark),
                after=plan.standing_next,
                rate=plan.rate,
                unrounded=plan.unrounded,
                source=source,
            )
        if plan.exit_fee:
            self._charge_exit(investment, basis, Charge.Occasion.WITHDRAWAL, plan.exit_fee, source)
        investment.high_water_mark = plan.high_water_mark_next
        investment.performance_carried = plan.carried_next
        return self.book.redeem(investment, plan.net, UnitEntry.Kind.WITHDRAWAL, source=source)

    def close(self, investment: Investment, *, source: uuid.UUID) -> tuple[Closing, UnitEntry]:
        """Crystallise everything and redeem all units: pays the value less the fees."""
        basis = self._basis(investment)
        units_before = investment.units
        closing = closing_of(basis, self.book.digits)
        if closing.fee:
            self._charge(
                investment,
                basis,
                Charge.Kind.PERFORMANCE,
                Charge.Occasion.CLOSE,
                closing.fee,
                profit=closing.profit,
                after=Standing(ZERO),
                rate=closing.rate,
                unrounded=closing.unrounded,
                source=source,
            )
        if closing.exit_fee:
            self._charge_exit(investment, basis, Charge.Occasion.CLOSE, closing.exit_fee, source)
        entry = self.book.close(
            investment, closing.paid, worth=basis.value, units_before=units_before, source=source
        )
        return closing, entry

    def write(self) -> None:
        """Store the charges, in the caller's transaction, after the book they belong to."""
        Charge.objects.bulk_create(self.charges)

    def _basis(self, investment: Investment) -> FeeBasis:
        return fee_basis(investment, self.book.price, self.book.digits, self.book.point.priced_at)

    def _profit_value(self, investment: Investment, basis: FeeBasis) -> Decimal | None:
        terms, point = investment.terms, self.book.point
        if terms is None or terms.profit_basis != Terms.ProfitBasis.LOWER:
            return None
        return performance.lower_profit_value(
            value=basis.value,
            units=investment.units,
            pool_balance=exact_sum((point.server_balance, -point.owed, point.incoming)),
            pool_units=point.units,
            digits=self.book.digits,
        )

    def _charge_exit(
        self,
        investment: Investment,
        basis: FeeBasis,
        occasion: Charge.Occasion,
        amount: Decimal,
        source: uuid.UUID,
    ) -> None:
        self._charge(
            investment,
            basis,
            Charge.Kind.EARLY_EXIT,
            occasion,
            amount,
            profit=ZERO,
            after=Standing(investment.high_water_mark, investment.performance_carried),
            rate=basis.early_exit_rate,
            unrounded=amount,
            source=source,
        )

    def _charge(
        self,
        investment: Investment,
        basis: FeeBasis,
        kind: Charge.Kind,
        occasion: Charge.Occasion,
        amount: Decimal,
        *,
        profit: Decimal,
        after: Standing,
        rate: Fraction | Decimal,
        unrounded: Fraction | Decimal,
        source: uuid.UUID | None,
    ) -> None:
        account, point = self.book.account, self.book.point
        before = Standing(investment.high_water_mark, investment.performance_carried)
        if amount:
            self.book.redeem(investment, amount, _ENTRY_KINDS[kind], source=source)
        investment.high_water_mark = after.high_water_mark
        investment.performance_carried = after.carried
        self.book.touch(investment)
        self.charges.append(
            Charge(
                account=account,
                investment=investment,
                price_point=point,
                kind=kind,
                occasion=occasion,
                amount=amount,
                currency=account.currency,
                currency_digits=account.currency_digits,
                profit=profit,
                mark_before=before.high_water_mark,
                mark_after=after.high_water_mark,
                carried_before=before.carried,
                carried_after=after.carried,
                receiver_id=account.income_account_id,
                charged_at=point.priced_at,
                basis={
                    "value": str(basis.value),
                    "yield": str(basis.yield_),
                    "net_worth": str(basis.net_worth),
                    "rate": str(rate),
                    "unrounded": str(unrounded),
                    "schedule": basis.schedule.to_json(),
                    "price_equity": str(point.price_equity),
                    "price_units": str(point.price_units),
                },
            )
        )


def withdrawal_kind(
    investment: Investment,
    net_amount: Decimal,
    basis: FeeBasis,
    digits: int,
    *,
    closes_if_too_little_remains: bool,
) -> WithdrawalKind:
    """Whether taking out `net_amount` is a part or a close. Raises `TooLittleWouldRemain`,
    `NothingIsAvailable`.
    """
    minimum = minimum_remaining(investment)
    room = available(investment, basis, digits)
    kind = performance.withdrawal_kind(
        net_amount=net_amount,
        closing_pays=room.closing,
        largest_part=room.part,
        closes_if_too_little_remains=closes_if_too_little_remains,
    )
    if kind is WithdrawalKind.TOO_LITTLE_WOULD_REMAIN:
        raise TooLittleWouldRemain(
            field="amount", minimum=minimum, largest=room.part, currency=investment.account.currency
        )
    return kind


def available(investment: Investment, basis: FeeBasis, digits: int) -> performance.Available:
    """What can be taken out of the investment now, net of fees, its minimum remaining amount kept."""
    if crystallises_whole(investment, basis):
        return performance.available_after_crystallising_all(
            value=basis.value,
            standing=basis.standing,
            schedule=basis.schedule,
            digits=digits,
            early_exit_rate=basis.early_exit_rate,
            minimum_remaining=minimum_remaining(investment),
        )
    return performance.available(
        value=basis.value,
        standing=basis.standing,
        schedule=basis.schedule,
        yield_=basis.yield_,
        net_worth=basis.net_worth,
        digits=digits,
        early_exit_rate=basis.early_exit_rate,
        minimum_remaining=minimum_remaining(investment),
    )


def crystallises_whole(investment: Investment, basis: FeeBasis) -> bool:
    """Whether any withdrawal charges all of the profit first: an offer setting of flat schedules."""
    whole = investment.terms is not None and investment.terms.on_withdrawal == Terms.OnWithdrawal.WHOLE
    return whole and basis.schedule.basis is Basis.FLAT


def minimum_remaining(investment: Investment) -> Decimal:
    return investment.terms.minimum_remaining if investment.terms is not None else ZERO


def plan_withdrawal(investment: Investment, net_amount: Decimal, basis: FeeBasis, digits: int) -> Withdrawal:
    """Fees and marks of taking out `net_amount`. Raises `NothingIsAvailable`, `MoreThanAvailable`."""
    try:
        if crystallises_whole(investment, basis):
            return performance.withdrawal_after_crystallising_all(
                net_amount=net_amount,
                value=basis.value,
                standing=basis.standing,
                schedule=basis.schedule,
                digits=digits,
                early_exit_rate=basis.early_exit_rate,
            )
        return performance.withdrawal(
            net_amount=net_amount,
            value=basis.value,
            standing=basis.standing,
            schedule=basis.schedule,
            yield_=basis.yield_,
            net_worth=basis.net_worth,
            digits=digits,
            early_exit_rate=basis.early_exit_rate,
        )
    except performance.NothingAvailable:
        raise NothingIsAvailable from None
    except performance.MoreThanAvailable as refusal:
        raise MoreThanAvailable(
            field="amount", largest=refusal.largest, currency=investment.account.currency
        ) from None
