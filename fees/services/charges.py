"""Charging fees: at interval ends, deposits, withdrawals and closes of one account at one rollover."""

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from allocation.models import Interval, Investment, UnitEntry
from allocation.services import UnitBook
from fees.calc import crystallisation, performance
from fees.calc.bulk import IntervalEndOfMany
from fees.calc.crystallisation import Closed, FeeLine, FeeState, PartTaken
from fees.calc.explanation import explanation
from fees.calc.kinds import FeeKind
from fees.calc.performance import Available, WithdrawalKind
from fees.calc.schedule import Basis
from fees.calc.shares import Shared, split
from fees.calc.terms import FeeTerms
from fees.errors import MoreThanAvailable, NothingIsAvailable, TooLittleWouldRemain
from fees.models import Charge, ChargePart
from fees.queries import FeeBasis, Moment, TermsRead, fee_basis, fee_state, moment_of
from fees.recipients import Recipients
from fees.services.bulk import (
    BulkSums,
    Ending,
    crystallise_at_once,
    interval_end_of,
    yields_since_joining,
)
from money.exact import ZERO, decimal_of, exact_sum
from money.rounding import UNIT_PLACES
from offers.queries import schedule_of

_ENTRY_KINDS = {
    FeeKind.MANAGEMENT: UnitEntry.Kind.MANAGEMENT_FEE,
    FeeKind.SUBSCRIPTION: UnitEntry.Kind.SUBSCRIPTION_FEE,
    FeeKind.VOLUME: UnitEntry.Kind.VOLUME_FEE,
    FeeKind.PERFORMANCE: UnitEntry.Kind.PERFORMANCE_FEE,
    FeeKind.EARLY_EXIT: UnitEntry.Kind.EARLY_EXIT_FEE,
}
"""An entry fee redeems no units: it is taken out of the deposit before any are issued."""


@dataclass
class Crystallised:
    """How many charges the ends of intervals made at one price point, and what they come to."""

    charges: int = 0
    amount: Decimal = ZERO

    def add(self, charges: int, amount: Decimal) -> None:
        self.charges += charges
        self.amount = exact_sum((self.amount, amount))


@dataclass
class ChargeBook:
    """Fees charged at one price point with their parts, collected with their unit entries and written
    together.

    Every fee is taken as units at the snapshot's price, so none moves the price, and split at once among its
    recipients: `by_payee` is what each of them receives in all.
    """

    book: UnitBook
    recipients: Recipients
    charges: list[Charge] = field(default_factory=list)
    parts: list[ChargePart] = field(default_factory=list)
    by_payee: dict[uuid.UUID, Decimal] = field(default_factory=dict)
    crystallised: Crystallised = field(default_factory=Crystallised)
    _read: TermsRead = field(default_factory=TermsRead)
    _moment: Moment = field(init=False)

    def __post_init__(self) -> None:
        self._moment = moment_of(self.book.point)

    def basis(self, investment: Investment) -> FeeBasis:
        """Inputs of the investment's fees as it stands now, after what this rollover has already done."""
        return fee_basis(investment, self._moment, self._read)

    def crystallise(self, investments: Iterable[Investment]) -> None:
        """All fees that are due of each at the end of its trading interval."""
        for investment in investments:
            first = len(self.charges)
            basis = self.basis(investment)
            ended = crystallisation.interval_end(basis.terms, basis.state, basis.situation)
            self._charge(investment, basis.terms, ended.lines, Charge.Occasion.INTERVAL_END, None)
            self._leave_with(investment, basis.terms, ended.state)
            charged = self.charges[first:]
            self.crystallised.add(len(charged), exact_sum(charge.amount for charge in charged))

    def ending(self, interval: Interval, joined_yields: Mapping[int, Decimal], sums: BulkSums) -> Ending:
        """One of the account's intervals, where it ends. Without a query."""
        end = interval_end_of(self._moment, interval, self._read.of_version(interval.terms), joined_yields)
        return Ending(self.book.account.pk, self.book.digits, IntervalEndOfMany(end), sums)

    def add(self, sums: BulkSums) -> None:
        """Count charges that were written in bulk."""
        by_payee = sums.by_payee(self.recipients, self.book.digits)
        charged = exact_sum(by_payee.values())
        self.book.units_left(decimal_of(sums.units, UNIT_PLACES), charged)
        self.crystallised.add(sums.charges, charged)
        for payee, amount in by_payee.items():
            self.by_payee[payee] = exact_sum((self.by_payee.get(payee, ZERO), amount))

    def take_entry_fee(self, investment: Investment, amount: Decimal, *, source: uuid.UUID) -> Decimal:
        """The entry fee of a deposit, in whole minor units; the mark rises by what it leaves."""
        terms = self._read.of(investment)
        deposited = crystallisation.deposit(
            amount, terms, fee_state(investment), self.book.digits, self.book.point.sequence
        )
        _store_state(investment, deposited.state)
        if deposited.line is None:
            return ZERO
        self._charge(investment, terms, [deposited.line], Charge.Occasion.DEPOSIT, source)
        return deposited.line.amount

    def take_part(self, investment: Investment, plan: PartTaken, *, source: uuid.UUID) -> UnitEntry:
        """Carry out a planned part withdrawal: its fees first, then the payment."""
        terms = self._read.of(investment)
        self._charge(investment, terms, plan.lines, Charge.Occasion.WITHDRAWAL, source)
        self._leave_with(investment, terms, plan.state)
        return self.book.redeem(investment, plan.net, UnitEntry.Kind.WITHDRAWAL, source=source)

    def close(self, investment: Investment, closed: Closed, *, source: uuid.UUID) -> UnitEntry:
        """Carry out a planned close: its fees first, then all units that are left for what it pays."""
        units_before = investment.units
        self._charge(investment, self._read.of(investment), closed.lines, Charge.Occasion.CLOSE, source)
        worth = exact_sum((closed.paid, closed.fees))
        return self.book.close(investment, closed.paid, worth=worth, units_before=units_before, source=source)

    def _charge(
        self,
        investment: Investment,
        terms: FeeTerms,
        lines: Sequence[FeeLine],
        occasion: Charge.Occasion,
        source: uuid.UUID | None,
    ) -> None:
        account, point = self.book.account, self.book.point
        for line in lines:
            if line.amount and line.kind is not FeeKind.ENTRY:
                self.book.redeem(investment, line.amount, _ENTRY_KINDS[line.kind], source=source)
            charge = Charge(
                account=account,
                investment=investment,
                price_point=point,
                kind=line.kind.value,
                occasion=occasion,
                collects_debt=line.collects_debt,
                amount=line.amount,
                uncollected=line.uncollected,
                currency=account.currency,
                currency_digits=account.currency_digits,
                profit=line.profit,
                mark_before=line.mark_before,
                mark_after=line.mark_after,
                carried_before=line.carried_before,
                carried_after=line.carried_after,
                charged_at=point.priced_at,
                explanation=explanation(line, self.book.digits),
            )
            self.charges.append(charge)
            if line.amount:
                self.parts += self._split(charge, investment, terms)

    def _split(self, charge: Charge, investment: Investment, terms: FeeTerms) -> list[ChargePart]:
        """Parts above 0 of a charge, and the investment's running sums after it."""
        payees = self.recipients.payees(investment)
        parts, after = split(
            charge.amount,
            _shared(investment, charge.kind),
            terms.shares.among(len(payees.agents)),
            self.book.digits,
        )
        investment.shared = investment.shared | {
            charge.kind: {
                "charged": format(after.charged, "f"),
                "had": [format(amount, "f") for amount in after.had],
            }
        }
        party = ChargePart.Party
        rows = [
            (party.BROKER, 0, payees.broker, parts.broker),
            *(
                (party.AGENT, level, agent, amount)
                for level, (agent, amount) in enumerate(
                    zip(payees.agents, parts.agents, strict=False), start=1
                )
            ),
            (party.MANAGER, 0, payees.manager, parts.manager),
        ]
        for _, _, payee, amount in rows:
            if amount:
                self.by_payee[payee] = exact_sum((self.by_payee.get(payee, ZERO), amount))
        return [
            ChargePart(
                charge=charge,
                account=charge.account,
                price_point=charge.price_point,
                party=who,
                level=level,
                payee=payee,
                amount=amount,
                currency=charge.currency,
                currency_digits=charge.currency_digits,
            )
            for who, level, payee, amount in rows
            if amount
        ]

    def _leave_with(self, investment: Investment, terms: FeeTerms, state: FeeState) -> None:
        """What the investment carries on; what accrued is charged and begins again."""
        if state != fee_state(investment):
            _store_state(investment, state)
            self.book.touch(investment)
        if terms.accrues:
            self.book.restart_accruals(investment)


def crystallise_intervals_of_many(
    ending: Sequence[tuple[ChargeBook, Sequence[Interval]]], *, excluding: Collection[int] = ()
) -> None:
    """What `ChargeBook.crystallise` does, for every investment of intervals that end, of many accounts and
    however many, written at once.

    All but those `excluding` (keys) names and those whose owners have accepted newer terms, which
    `crystallise` has to take. A constant number of statements for each chunk of investments.
    """
    if not any(intervals for _, intervals in ending):
        return
    by_yield = [
        interval
        for _, intervals in ending
        for interval in intervals
        if schedule_of(interval.terms).basis is Basis.YIELD
    ]
    moments = {charges.book.account.pk: moment_of(charges.book.point) for charges, _ in ending}
    yields = yields_since_joining(by_yield, moments)
    sums = [BulkSums() for _ in ending]
    crystallise_at_once(
        [(charges.book, charges.recipients) for charges, _ in ending],
        {
            interval.pk: charges.ending(interval, yields.get(interval.pk, {}), of_account)
            for (charges, intervals), of_account in zip(ending, sums, strict=True)
            for interval in intervals
        },
        excluding,
    )
    for (charges, _), of_account in zip(ending, sums, strict=True):
        charges.add(of_account)


def write_charges(books: Sequence[ChargeBook]) -> None:
    """Store charges and parts of many accounts, in the caller's transaction, after their books."""
    Charge.objects.bulk_create([charge for book in books for charge in book.charges])
    ChargePart.objects.bulk_create([part for book in books for part in book.parts])


def _store_state(investment: Investment, state: FeeState) -> None:
    investment.high_water_mark = state.standing.high_water_mark
    investment.performance_carried = state.standing.carried
    investment.carried = {kind.value: format(kept, "f") for kind, kept in state.carried.items()}
    investment.debts = [
        {"kind": debt.kind.value, "amount": format(debt.amount, "f"), "since": debt.since}
        for debt in state.debts
    ]


def _shared(investment: Investment, kind: str) -> Shared:
    row = investment.shared.get(kind)
    if row is None:
        return Shared()
    return Shared(Decimal(row["charged"]), tuple(Decimal(amount) for amount in row["had"]))


def withdrawal_kind(
    investment: Investment, net_amount: Decimal, basis: FeeBasis, *, closes_if_too_little_remains: bool
) -> WithdrawalKind:
    """Whether taking out `net_amount` is a part or a close. Raises `TooLittleWouldRemain`,
    `NothingIsAvailable`.
    """
    room = available(investment, basis)
    kind = performance.withdrawal_kind(
        net_amount=net_amount,
        closing_pays=room.closing,
        largest_part=room.part,
        closes_if_too_little_remains=closes_if_too_little_remains,
    )
    if kind is WithdrawalKind.TOO_LITTLE_WOULD_REMAIN:
        raise TooLittleWouldRemain(
            field="amount",
            minimum=minimum_remaining(investment),
            largest=room.part,
            currency=investment.account.currency,
        )
    return kind


def available(investment: Investment, basis: FeeBasis) -> Available:
    """What can be taken out of the investment now, net of fees, its minimum remaining amount kept."""
    return crystallisation.available(
        basis.terms, basis.state, basis.situation, minimum_remaining=minimum_remaining(investment)
    )


def minimum_remaining(investment: Investment) -> Decimal:
    return investment.terms.minimum_remaining if investment.terms is not None else ZERO


def plan_withdrawal(investment: Investment, net_amount: Decimal, basis: FeeBasis) -> PartTaken:
    """Fees and marks of taking out `net_amount`. Raises `NothingIsAvailable`, `MoreThanAvailable`."""
    try:
        return crystallisation.withdrawal(net_amount, basis.terms, basis.state, basis.situation)
    except performance.NothingAvailable:
        raise NothingIsAvailable from None
    except performance.MoreThanAvailable as refusal:
        raise MoreThanAvailable(
            field="amount", largest=refusal.largest, currency=investment.account.currency
        ) from None
