"""What a version of terms is to say, and the rules that it must keep before it is written.

Rates are fractions, amounts are in the account's currency. The rules of each fee stand with its calculation
(`fees.calc`); here are the broker's ceilings, precision, and which share is whose to set.
"""

from dataclasses import dataclass, fields
from decimal import Decimal
from typing import TypedDict

from accounts.models import PammAccount, Role, User
from accounts.queries import has_role
from brokers.models import Broker
from brokers.queries import broker_in_scope
from fees.calc.schedule import Basis, Schedule, ScheduleInvalid, Tier
from fees.calc.shares import MOST_AGENT_LEVELS, Shares, SharesInvalid
from fees.calc.terms import EntryFee, FeeTerms
from money.rounding import YIELD_PLACES, is_whole_minor_units
from offers.errors import (
    AmountNegative,
    AmountNotPositive,
    AmountTooLarge,
    AmountTooPrecise,
    EarlyExitFeeCeilingExceeded,
    EarlyExitRateInvalid,
    EarlyExitWithoutLockIn,
    EntryFeeCeilingExceeded,
    IntervalInvalid,
    LockInInvalid,
    LockInWithoutEffect,
    ManagementFeeCeilingExceeded,
    ManagementRateInvalid,
    MinimumNotInSteps,
    PerformanceFeeCeilingExceeded,
    PerformanceFeeContradicted,
    PerformanceFeeNotStated,
    RemainingAboveFirst,
    ShareRateInvalid,
    SharesAreTheBrokers,
    SharesExceedTheFee,
    SubscriptionFeeCeilingExceeded,
    TiersInvalid,
    TooManyAgentLevels,
    VolumeFeeCeilingExceeded,
    WholeNeedsFlatFee,
)
from offers.models import FeeCeiling, Offer, Terms
from offers.queries import entry_fee_of, fee_terms_of, schedule_of, shares_of
from offers.words import amount_in_words, percent_in_words

LONGEST_INTERVAL = 1000
LONGEST_LOCK_IN_DAYS = 3650
AMOUNT_LIMIT = Decimal(10) ** 15


@dataclass(frozen=True, slots=True)
class TermsDraft:
    """What a version of terms is to say.

    `no_performance_fee` states that charging nothing is meant; without it a schedule of zeros is refused.
    `agent_share_rates` go by level, the nearest agent first.
    """

    schedule: Schedule
    minimum_first: Decimal
    minimum_further: Decimal
    minimum_remaining: Decimal
    amount_step: Decimal | None = None
    profit_basis: Terms.ProfitBasis = Terms.ProfitBasis.EQUITY
    on_withdrawal: Terms.OnWithdrawal = Terms.OnWithdrawal.PROPORTIONAL
    interval_unit: Terms.IntervalUnit = Terms.IntervalUnit.MONTHS
    interval_count: int = 1
    interval_anchor: Terms.IntervalAnchor = Terms.IntervalAnchor.CALENDAR
    lock_in_days: int = 0
    early_exit_rate: Decimal = Decimal(0)
    early_exit_until: Terms.EarlyExitUntil = Terms.EarlyExitUntil.LOCK_IN
    management_rate: Decimal = Decimal(0)
    entry_tiers: tuple[Tier, ...] = ()
    subscription_amount: Decimal = Decimal(0)
    volume_amount_per_lot: Decimal = Decimal(0)
    broker_share_rate: Decimal = Decimal(0)
    agent_share_rates: tuple[Decimal, ...] = ()
    no_performance_fee: bool = False

    @classmethod
    def of(cls, terms: Terms) -> "TermsDraft":
        """The draft that says what `terms` say."""
        schedule = schedule_of(terms)
        return cls(
            schedule=schedule,
            no_performance_fee=_charges_nothing(schedule),
            entry_tiers=entry_fee_of(terms).tiers,
            agent_share_rates=shares_of(terms).agent_rates,
            **{name: getattr(terms, name) for name in _COPIED},
        )

    def version_of(self, offer: Offer, version: int, by: User | None = None) -> Terms:
        """The row, not saved: what the preview shows is what would be written."""
        return Terms(
            offer=offer,
            version=version,
            performance_schedule=self.schedule.to_json(),
            entry_tiers=EntryFee(self.entry_tiers).to_json(),
            agent_share_rates=[format(rate, "f") for rate in self.agent_share_rates],
            created_by=by,
            **{name: getattr(self, name) for name in _COPIED},
        )

    @property
    def shares(self) -> Shares:
        return Shares(self.broker_share_rate, self.agent_share_rates)

    @property
    def fee_terms(self) -> FeeTerms:
        """The draft's fees as the calculation takes them."""
        return fee_terms_of(self.version_of(Offer(), 1))


_COPIED = tuple(
    field.name
    for field in fields(TermsDraft)
    if field.name not in ("schedule", "no_performance_fee", "entry_tiers", "agent_share_rates")
)


class ShareFields(TypedDict):
    broker_share_rate: Decimal
    agent_share_rates: tuple[Decimal, ...]


def share_fields(shares: Shares) -> ShareFields:
    """Arguments of a draft with these shares."""
    return {"broker_share_rate": shares.broker_rate, "agent_share_rates": shares.agent_rates}


def standard_shares() -> Shares:
    """What the broker and its agents take of every fee of a new offer."""
    broker = broker_in_scope()
    return Shares(broker.fee_share_rate, tuple(Decimal(rate) for rate in broker.agent_share_rates))


def check_terms(terms: TermsDraft, account: PammAccount) -> None:
    """Raises the first refusal this draft meets at this account, whoever writes it: tiers and fees with the
    broker's ceilings, shares, amounts, interval, lock-in.
    """
    broker = broker_in_scope()
    _check_schedule(terms, account, broker)
    _check_other_fees(terms, account, broker)
    check_shares(terms.shares)
    for name in ("minimum_first", "minimum_further", "minimum_remaining", "amount_step"):
        amount = getattr(terms, name)
        if name != "amount_step" or amount is not None:
            check_amount(name, amount, account)
    if terms.minimum_remaining > terms.minimum_first:
        raise RemainingAboveFirst(
            field="minimum_remaining",
            remaining=amount_in_words(terms.minimum_remaining, account),
            first=amount_in_words(terms.minimum_first, account),
        )
    if terms.amount_step is not None:
        for name in ("minimum_first", "minimum_further"):
            if getattr(terms, name) % terms.amount_step:
                raise MinimumNotInSteps(field=name, step=amount_in_words(terms.amount_step, account))
    if not 1 <= terms.interval_count <= LONGEST_INTERVAL:
        raise IntervalInvalid(field="interval_count", longest=LONGEST_INTERVAL)
    _check_lock_in(terms, broker)


def check_shares(shares: Shares) -> None:
    """Raises `ShareRateInvalid`, `TooManyAgentLevels`, `SharesExceedTheFee`."""
    for name, rates in (
        ("broker_share_rate", (shares.broker_rate,)),
        ("agent_share_rates", shares.agent_rates),
    ):
        if not all(_is_fraction(rate) for rate in rates):
            raise ShareRateInvalid(field=name)
    try:
        shares.validate()
    except SharesInvalid as invalid:
        if invalid.code == "too_many_levels":
            raise TooManyAgentLevels(field="agent_share_rates", most=MOST_AGENT_LEVELS) from invalid
        raise SharesExceedTheFee(field="broker_share_rate") from invalid


def check_who_shares(terms: TermsDraft, by: User, current: Terms | None = None) -> None:
    """Raises `SharesAreTheBrokers` where somebody but an administrator sets other shares than the broker's
    standard or those of the `current` version.
    """
    allowed = [standard_shares(), *([shares_of(current)] if current else [])]
    if terms.shares not in allowed and not has_role(by, Role.ADMIN):
        raise SharesAreTheBrokers(field="broker_share_rate")


def check_amount(name: str, amount: Decimal, account: PammAccount, *, may_be_zero: bool = False) -> None:
    """Raises `AmountTooLarge`, `AmountTooPrecise`, `AmountNotPositive` (or `AmountNegative`)."""
    if _too_large(amount):
        raise AmountTooLarge(field=name)
    if not is_whole_minor_units(amount, account.currency_digits):
        raise AmountTooPrecise(field=name, currency=account.currency, digits=account.currency_digits)
    if may_be_zero and amount < 0:
        raise AmountNegative(field=name)
    if amount <= 0 and not may_be_zero:
        raise AmountNotPositive(field=name)


def _check_schedule(terms: TermsDraft, account: PammAccount, broker: Broker) -> None:
    schedule = terms.schedule
    _check_tiers("schedule", schedule, account)
    ceiling = broker.performance_fee_ceiling
    for number, tier in enumerate(schedule.tiers, start=1):
        if tier.rate > ceiling:
            raise PerformanceFeeCeilingExceeded(
                field="schedule", tier=number, ceiling=percent_in_words(ceiling)
            )
    if _charges_nothing(schedule) != terms.no_performance_fee:
        refusal = PerformanceFeeContradicted if terms.no_performance_fee else PerformanceFeeNotStated
        raise refusal(field="no_performance_fee")
    if terms.on_withdrawal == Terms.OnWithdrawal.WHOLE and schedule.basis is not Basis.FLAT:
        raise WholeNeedsFlatFee(field="on_withdrawal")


def _check_tiers(field: str, tiered: Schedule | EntryFee, account: PammAccount) -> None:
    for number, tier in enumerate(tiered.tiers, start=1):
        if _too_large(tier.lower_bound):
            raise TiersInvalid(field=field, reason="bound_too_large", tier=number)
    try:
        tiered.validate(account.currency_digits)
    except ScheduleInvalid as invalid:
        number_or_none = None if invalid.tier_index is None else invalid.tier_index + 1
        raise TiersInvalid(field=field, reason=invalid.code, tier=number_or_none) from invalid
    for number, tier in enumerate(tiered.tiers, start=1):
        if not is_whole_minor_units(tier.rate, YIELD_PLACES):
            raise TiersInvalid(field=field, reason="rate_too_precise", tier=number)


def _charges_nothing(schedule: Schedule) -> bool:
    return all(tier.rate == 0 for tier in schedule.tiers)


def _check_other_fees(terms: TermsDraft, account: PammAccount, broker: Broker) -> None:
    if not _is_fraction(terms.management_rate):
        raise ManagementRateInvalid(field="management_rate")
    if terms.management_rate > broker.management_fee_ceiling:
        raise ManagementFeeCeilingExceeded(
            field="management_rate", ceiling=percent_in_words(broker.management_fee_ceiling)
        )
    _check_tiers("entry_tiers", EntryFee(terms.entry_tiers), account)
    for number, tier in enumerate(terms.entry_tiers, start=1):
        if tier.rate > broker.entry_fee_ceiling:
            raise EntryFeeCeilingExceeded(
                field="entry_tiers", tier=number, ceiling=percent_in_words(broker.entry_fee_ceiling)
            )
    _check_fee_amounts(terms, account)


def _check_fee_amounts(terms: TermsDraft, account: PammAccount) -> None:
    ceiling = FeeCeiling.objects.filter(currency=account.currency).first()
    for name, refusal in (
        ("subscription_amount", SubscriptionFeeCeilingExceeded),
        ("volume_amount_per_lot", VolumeFeeCeilingExceeded),
    ):
        amount = getattr(terms, name)
        check_amount(name, amount, account, may_be_zero=True)
        most = getattr(ceiling, name, None)
        if most is not None and amount > most:
            raise refusal(field=name, ceiling=amount_in_words(most, account))


def _check_lock_in(terms: TermsDraft, broker: Broker) -> None:
    if not 0 <= terms.lock_in_days <= LONGEST_LOCK_IN_DAYS:
        raise LockInInvalid(field="lock_in_days", longest=LONGEST_LOCK_IN_DAYS)
    rate = terms.early_exit_rate
    if not _is_fraction(rate) or rate == 1:
        raise EarlyExitRateInvalid(field="early_exit_rate")
    if rate > broker.early_exit_fee_ceiling:
        raise EarlyExitFeeCeilingExceeded(
            field="early_exit_rate", ceiling=percent_in_words(broker.early_exit_fee_ceiling)
        )
    if not rate:
        return
    if terms.early_exit_until == Terms.EarlyExitUntil.INTERVAL:
        if terms.lock_in_days:
            raise LockInWithoutEffect(field="lock_in_days")
    elif not terms.lock_in_days:
        raise EarlyExitWithoutLockIn(field="early_exit_rate")


def _is_fraction(rate: Decimal) -> bool:
    """From 0 to 1, with no more places than a rate is stored with."""
    return is_whole_minor_units(rate, YIELD_PLACES) and 0 <= rate <= 1


def _too_large(amount: Decimal | None) -> bool:
    return amount is not None and amount.is_finite() and abs(amount) >= AMOUNT_LIMIT
