"""The book of one account at one rollover: the only code that issues and redeems units.

Everything a rollover does to the units of an account is collected in a `UnitBook`; the books of many accounts
are written together, with a constant number of statements, however many investments they touch.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property

from accounts.models import PammAccount
from allocation.calc.price import Price
from allocation.calc.units import (
    RoundingExchange,
    rounding_exchange,
    units_for_deposit,
    units_for_redemption,
)
from allocation.errors import MoreUnitsThanHeld
from allocation.models import Interval, Investment, PricePoint, UnitEntry
from allocation.services.investments import (
    WITHOUT_ACCRUALS,
    accrued_lots,
    accrued_value_days,
    note_lowest,
    restart_subscription,
)
from allocation.services.series import require_transaction
from brokers.bulk import update_rows
from money.exact import ZERO, exact_difference, exact_sum
from money.rounding import rounded_accumulator

INVESTMENT_COLUMNS = {
    "units": "numeric",
    "high_water_mark": "numeric",
    "performance_carried": "numeric",
    "value_days_put_aside": "numeric",
    "value_days_checkpoint": "numeric",
    "lots_put_aside": "numeric",
    "lots_checkpoint": "numeric",
    "subscription_checkpoint": "numeric",
    "subscription_number": "integer",
    "carried": "jsonb",
    "debts": "jsonb",
    "shared": "jsonb",
    "agents": "jsonb",
    "lowest_units": "numeric",
    "lowest_units_number": "integer",
    "paid_in": "numeric",
    "paid_out": "numeric",
    "fees_paid": "numeric",
    "state": "text",
    "end_reason": "text",
    "joined_at": "timestamptz",
    "closed_at": "timestamptz",
    "joined_id": "bigint",
    "interval_id": "bigint",
    "terms_id": "bigint",
    "accepted_terms_id": "bigint",
    "terms_accepted_at": "timestamptz",
}
INTERVAL_COLUMNS = {
    "starts_at": "timestamptz",
    "opening_id": "bigint",
    "number": "integer",
    "ends_at": "timestamptz",
    "ends_after_sequence": "integer",
}
ACCOUNT_COLUMNS = {
    "sequence": "integer",
    "flow_sequence": "integer",
    "units": "numeric",
    "last_priced_at": "timestamptz",
    "last_equity": "numeric",
    "last_price_equity": "numeric",
    "last_price_units": "numeric",
    "last_balance": "numeric",
    "last_floating": "numeric",
    "last_value_days": "numeric",
    "last_lots_per_unit": "numeric",
    "rounding_carried": "numeric",
    "is_held": "boolean",
    "hold_reason": "text",
    "hold_details": "jsonb",
}


@dataclass
class UnitBook:
    """Units issued and redeemed at one price point of an account, collected and then written together.

    The investments given to it are changed in memory; `write_books` stores them, and the intervals that they
    were the first to join. Values are in the account's currency.
    """

    account: PammAccount
    point: PricePoint
    entries: list[UnitEntry] = field(default_factory=list)
    touched: dict[int, Investment] = field(default_factory=dict)
    new_intervals: list[Interval] = field(default_factory=list)
    advanced_intervals: list[Interval] = field(default_factory=list)
    units: Decimal = ZERO
    paid_in: Decimal = ZERO
    paid_out: Decimal = ZERO
    rounding: Decimal = ZERO
    swept: Decimal = ZERO

    def __post_init__(self) -> None:
        self.units = self.account.units

    @cached_property
    def price(self) -> Price:
        return Price(self.point.price_equity, self.point.price_units)

    @property
    def digits(self) -> int:
        return self.account.currency_digits

    def issue(
        self, investment: Investment, amount: Decimal, *, source: uuid.UUID, fee: Decimal = ZERO
    ) -> UnitEntry:
        """Units for a deposit, less the entry `fee` that is taken out of it first. Raises `PriceIsZero`."""
        kept = exact_difference(amount, fee)
        issued = units_for_deposit(kept, self.price)
        entry = self._enter(investment, UnitEntry.Kind.DEPOSIT, issued, kept, source)
        investment.paid_in = exact_sum((investment.paid_in, amount))
        investment.fees_paid = exact_sum((investment.fees_paid, fee))
        self.paid_in = exact_sum((self.paid_in, amount))
        self.paid_out = exact_sum((self.paid_out, fee))
        if investment.state == Investment.State.PENDING:
            investment.state = Investment.State.ACTIVE
            investment.joined = self.point
            investment.joined_at = self.point.priced_at
        return entry

    def redeem(
        self,
        investment: Investment,
        amount: Decimal,
        kind: UnitEntry.Kind,
        *,
        source: uuid.UUID | None = None,
    ) -> UnitEntry:
        """Units for a payment or a fee out of the pool. Raises `PriceIsZero`."""
        redeemed = units_for_redemption(amount, self.price, investment.units)
        entry = self._enter(investment, kind, -redeemed, -amount, source)
        self._record_paid(investment, kind, amount)
        return entry

    def close(
        self,
        investment: Investment,
        paid: Decimal,
        *,
        worth: Decimal,
        units_before: Decimal,
        source: uuid.UUID | None,
    ) -> UnitEntry:
        """Redeem all units that the fees of the close have left, for `paid`.

        `worth` is the whole value the close exchanged, its fees included, for `units_before`: what that cost
        or gained the pool by rounding goes to the account's rounding exchange.
        """
        entry = self._enter(investment, UnitEntry.Kind.CLOSE, -investment.units, -paid, source)
        self._record_paid(investment, UnitEntry.Kind.CLOSE, paid)
        exchange = self._exchange(worth, units_before)
        self.rounding = exact_sum((self.rounding, exchange.amount))
        self.account.rounding_carried = exchange.carried
        investment.state = Investment.State.CLOSED
        investment.closed_at = self.point.priced_at
        investment.end_reason = Investment.EndReason.OWNER
        investment.high_water_mark = ZERO
        investment.performance_carried = ZERO
        investment.accepted_terms = None
        investment.terms_accepted_at = None
        for column, empty in WITHOUT_ACCRUALS.items():
            setattr(investment, column, empty)
        investment.carried = {}
        investment.debts = []
        return entry

    def restart_accruals(self, investment: Investment) -> None:
        """What accrues with time and volume begins again at this rollover: all of it has been charged."""
        investment.value_days_put_aside = investment.lots_put_aside = ZERO
        investment.value_days_checkpoint = self.point.value_days
        investment.lots_checkpoint = self.point.lots_per_unit
        restart_subscription(investment, self.point)
        self.touch(investment)

    def units_left(self, units: Decimal, paid: Decimal) -> None:
        """Count `units` that were redeemed, and written, elsewhere for fees of `paid` in all."""
        self.units = exact_difference(self.units, units)
        self.paid_out = exact_sum((self.paid_out, paid))

    def touch(self, investment: Investment) -> None:
        """Store the investment's mark, fractions and debts though its units did not change."""
        self.touched[investment.pk] = investment

    @property
    def equity_after(self) -> Decimal:
        """The pool's equity once all that was decided here has moved."""
        return exact_sum((self.point.equity, self.paid_in, -self.paid_out, self.rounding, -self.swept))

    def move_account_on(self) -> None:
        """Put the figures of this rollover on the account, in memory."""
        self.account.units = self.units
        self.account.last_priced_at = self.point.priced_at
        self.account.last_equity = self.equity_after
        self.account.last_price_equity = self.point.price_equity
        self.account.last_price_units = self.point.price_units
        self.account.last_value_days = self.point.value_days
        self.account.last_lots_per_unit = self.point.lots_per_unit

    def _exchange(self, worth: Decimal, units: Decimal) -> RoundingExchange:
        return rounding_exchange(
            carried=self.account.rounding_carried,
            paid=worth,
            units=units,
            price=self.price,
            digits=self.digits,
        )

    def _enter(
        self,
        investment: Investment,
        kind: UnitEntry.Kind,
        units: Decimal,
        amount: Decimal,
        source: uuid.UUID | None,
    ) -> UnitEntry:
        if exact_sum((investment.units, units)) < 0:
            raise MoreUnitsThanHeld(str(investment.public_id))
        if units < 0 and investment.interval is not None:
            note_lowest(investment, exact_sum((investment.units, units)))
        self._put_aside(investment)
        investment.units = exact_sum((investment.units, units))
        self.units = exact_sum((self.units, units))
        entry = UnitEntry(
            account=self.account,
            investment=investment,
            price_point=self.point,
            kind=kind,
            units=units,
            amount=amount,
            currency_digits=self.digits,
            source=source,
        )
        self.entries.append(entry)
        self.touch(investment)
        return entry

    def _put_aside(self, investment: Investment) -> None:
        """Keep what the units held so far have accrued: from here on there are more or fewer of them."""
        if investment.terms_id is None:
            return
        value_days, lots_per_unit = self.point.value_days, self.point.lots_per_unit
        investment.value_days_put_aside = rounded_accumulator(accrued_value_days(investment, value_days))
        investment.value_days_checkpoint = value_days
        investment.lots_put_aside = rounded_accumulator(accrued_lots(investment, lots_per_unit))
        investment.lots_checkpoint = lots_per_unit

    def _record_paid(self, investment: Investment, kind: UnitEntry.Kind, amount: Decimal) -> None:
        self.paid_out = exact_sum((self.paid_out, amount))
        if kind in (UnitEntry.Kind.WITHDRAWAL, UnitEntry.Kind.CLOSE):
            investment.paid_out = exact_sum((investment.paid_out, amount))
        else:
            investment.fees_paid = exact_sum((investment.fees_paid, amount))


def write_books(books: Sequence[UnitBook]) -> None:
    """Store the entries, investments, intervals and accounts of many books, in the caller's transaction.

    A constant number of statements, however many books and investments.
    """
    require_transaction()
    Interval.objects.bulk_create([interval for book in books for interval in book.new_intervals])
    update_rows([interval for book in books for interval in book.advanced_intervals], INTERVAL_COLUMNS)
    UnitEntry.objects.bulk_create([entry for book in books for entry in book.entries])
    touched = [investment for book in books for investment in book.touched.values()]
    for investment in touched:
        # An interval that began at this rollover had no key when it was joined.
        investment.interval_id = None if investment.interval is None else investment.interval.pk
    update_rows(touched, INVESTMENT_COLUMNS)
    for book in books:
        book.move_account_on()
    update_rows([book.account for book in books], ACCOUNT_COLUMNS)
