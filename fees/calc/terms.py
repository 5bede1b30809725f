"""Everything terms say about fees, as the calculation takes it.

Rates are fractions, amounts are in the account's currency and whole minor units.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from fees.calc.schedule import (
    FREE_OF_FEES,
    MOST_TIERS,
    Basis,
    Schedule,
    ScheduleInvalid,
    Tier,
    tier_from_json,
    tier_reached,
    tier_to_json,
    validate_bounds,
)
from fees.calc.shares import Shares
from money.exact import ZERO


@dataclass(frozen=True, slots=True)
class EntryFee:
    """Rates of a deposit, tiered by its amount: the reached tier's rate on all of it. No tiers: no fee.

    Rates never rise with the amount: splitting a deposit gains nothing.
    """

    tiers: tuple[Tier, ...] = ()

    def validate(self, digits: int | None = None) -> None:
        """Raises ScheduleInvalid for the first fault found.

        Codes of `Schedule.validate`, and rates_rising. A rate is below 1: something must be left to invest.
        """
        if not self.tiers:
            return
        if len(self.tiers) > MOST_TIERS:
            raise ScheduleInvalid("too_many_tiers")
        for index, tier in enumerate(self.tiers):
            if not (tier.rate.is_finite() and 0 <= tier.rate < 1):
                raise ScheduleInvalid("rate_out_of_range", index)
            if index and tier.rate > self.tiers[index - 1].rate:
                raise ScheduleInvalid("rates_rising", index)
        validate_bounds(self.tiers, digits)

    def tier_for(self, amount: Decimal) -> int:
        """Index of the tier that a deposit of `amount` reaches."""
        return tier_reached(self.tiers, amount)

    def rate_for(self, amount: Decimal) -> Decimal:
        return self.tiers[self.tier_for(amount)].rate if self.tiers else ZERO

    def to_json(self) -> list[dict[str, str | None]]:
        return [tier_to_json(tier) for tier in self.tiers]

    @classmethod
    def from_json(cls, rows: Sequence[object]) -> "EntryFee":
        """What `to_json` wrote, validated. Raises ScheduleInvalid as `Schedule.from_json`."""
        if not isinstance(rows, Sequence) or isinstance(rows, str):
            raise ScheduleInvalid("tiers_not_a_list")
        fee = cls(tuple(tier_from_json(row, index) for index, row in enumerate(rows)))
        fee.validate()
        return fee


NO_ENTRY_FEE = EntryFee()
MANAGER_ALONE = Shares()


@dataclass(frozen=True, slots=True)
class FeeTerms:
    """`management_rate` per year of 365 days; `subscription_amount` per trading interval;
    `volume_amount_per_lot` per lot closed in the account; `early_exit_rate` of what is withdrawn before the
    lock-in ends, or with `early_exit_until_interval_end` before the trading interval does.

    `lower_profit`: profit is counted from the smaller of value and balance. `crystallises_whole`: a
    withdrawal charges the fee on all of the profit (flat schedules only).
    """

    schedule: Schedule
    lower_profit: bool = False
    crystallises_whole: bool = False
    management_rate: Decimal = ZERO
    entry: EntryFee = NO_ENTRY_FEE
    subscription_amount: Decimal = ZERO
    volume_amount_per_lot: Decimal = ZERO
    early_exit_rate: Decimal = ZERO
    early_exit_until_interval_end: bool = False
    shares: Shares = MANAGER_ALONE

    @property
    def accrues(self) -> bool:
        """Whether any fee grows with time or volume."""
        return bool(self.management_rate or self.subscription_amount or self.volume_amount_per_lot)

    @property
    def charges_whole_on_withdrawal(self) -> bool:
        return self.crystallises_whole and self.schedule.basis is Basis.FLAT


NO_FEES = FeeTerms(FREE_OF_FEES)
"""The terms of the manager's own investment."""
