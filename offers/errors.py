"""Refusals of offers, their terms and their join links."""

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from brokers.errors import Refusal
from fees.calc.schedule import MOST_TIERS


class OfferNameInvalid(Refusal):
    code = "offer_name_invalid"
    message = _("An offer needs a name of at most {longest} characters.")


class OfferNameTaken(Refusal):
    """Another offer of the account has the name: also what the second of two clicks meets."""

    code = "offer_name_taken"
    status = 409
    message = _("The account has an offer of this name already.")


class OfferTextTooLong(Refusal):
    code = "offer_text_too_long"
    message = _("The description has more than {longest} characters.")


class AccountTakesNoOffers(Refusal):
    code = "account_takes_no_offers"
    status = 409
    message = _("The account is {state}: it takes no new offers or terms.")


class OfferStateForbids(Refusal):
    """The offer's state does not allow the step; a closed offer allows none."""

    code = "offer_state_forbids"
    status = 409
    message = _("The offer is {state}: this cannot be done.")


class TermsChangedMeanwhile(Refusal):
    """Somebody made a newer version after the editor had been opened."""

    code = "terms_changed_meanwhile"
    status = 409
    message = _(
        "The terms were changed meanwhile (now version {version}). Look at them before changing them again."
    )


class TiersInvalid(Refusal):
    """Tiers that cannot be offered: `reason` is the code of `ScheduleInvalid`, `tier` counts from 1."""

    code = "tiers_invalid"
    message = "{explanation}"

    def __init__(self, *, field: str, reason: str, tier: int | None) -> None:
        super().__init__(field=field, reason=reason, tier=tier, explanation=tiers_fault(reason, tier))


_TIER_FAULTS: dict[str, Promise] = {
    "no_tiers": _("A performance fee needs at least one tier."),
    "too_many_tiers": _("There are more than {most} tiers."),
    "flat_has_several_tiers": _(
        "A flat fee has one rate: remove the other tiers or choose what they depend on."
    ),
    "rate_out_of_range": _("Tier {tier}: the rate must lie between 0 % and 100 %."),
    "rates_rising": _("Tier {tier}: a larger deposit may not pay a higher rate."),
    "first_tier_has_bound": _("Tier 1 begins at the bottom and has no lower bound."),
    "bound_missing": _("Tier {tier}: say from where it applies."),
    "bound_negative": _("Tier {tier}: the bound may not be negative."),
    "bounds_not_rising": _("Tier {tier}: it must begin above the tier before it."),
    "bound_too_large": _("Tier {tier}: the bound is too large."),
    "bound_too_precise": _("Tier {tier}: the bound has too many decimals."),
    "rate_too_precise": _("Tier {tier}: the rate has too many decimals."),
    "not_a_decimal": _("Tier {tier}: this is not a number."),
}


def tiers_fault(reason: str, tier: int | None) -> str:
    """What is wrong with the tiers, in words. `tier` counts from 1."""
    template = _TIER_FAULTS.get(reason)
    if template is None:
        return str(_("The tiers cannot be read."))
    return str(template).format(tier=tier, most=MOST_TIERS)


class PerformanceFeeCeilingExceeded(Refusal):
    code = "performance_fee_ceiling_exceeded"
    message = _("Tier {tier}: the broker allows a performance fee of at most {ceiling}.")


class ManagementFeeCeilingExceeded(Refusal):
    code = "management_fee_ceiling_exceeded"
    message = _("The broker allows a management fee of at most {ceiling} per year.")


class EntryFeeCeilingExceeded(Refusal):
    code = "entry_fee_ceiling_exceeded"
    message = _("Tier {tier}: the broker allows an entry fee of at most {ceiling}.")


class SubscriptionFeeCeilingExceeded(Refusal):
    code = "subscription_fee_ceiling_exceeded"
    message = _("The broker allows a subscription fee of at most {ceiling} per trading interval.")


class VolumeFeeCeilingExceeded(Refusal):
    code = "volume_fee_ceiling_exceeded"
    message = _("The broker allows a volume fee of at most {ceiling} per lot.")


class EarlyExitFeeCeilingExceeded(Refusal):
    code = "early_exit_fee_ceiling_exceeded"
    message = _("The broker allows an early exit fee of at most {ceiling}.")


class PerformanceFeeNotStated(Refusal):
    """No fee was charged and nobody said that this is meant."""

    code = "performance_fee_not_stated"
    message = _("Every rate is 0 %. Enter a rate, or say that there is no performance fee.")


class PerformanceFeeContradicted(Refusal):
    code = "performance_fee_contradicted"
    message = _("There is a rate above 0 %, but the offer is said to have no performance fee.")


class WholeNeedsFlatFee(Refusal):
    code = "whole_needs_flat_fee"
    message = _("Only a flat performance fee can be charged on the whole investment at a withdrawal.")


class ManagementRateInvalid(Refusal):
    code = "management_rate_invalid"
    message = _("The management fee must be between 0 % and 100 % per year, with at most 7 decimals.")


class ShareRateInvalid(Refusal):
    code = "share_rate_invalid"
    message = _("A share must be between 0 % and 100 %, with at most 7 decimals.")


class TooManyAgentLevels(Refusal):
    code = "too_many_agent_levels"
    message = _("Agents share on at most {most} levels.")


class SharesExceedTheFee(Refusal):
    code = "shares_exceed_the_fee"
    message = _("The broker and its agents together cannot receive more than the whole fee.")


class SharesAreTheBrokers(Refusal):
    """What broker and agents receive is agreed with the broker, not written by a manager."""

    code = "shares_are_the_brokers"
    message = _("Only the broker's administrator changes what broker and agents receive of a fee.")


class AmountInvalid(Refusal):
    """An amount that is no amount of the account's currency."""

    def __init__(self, *, field: str, **fields: Any) -> None:
        super().__init__(field=field, **fields)


class AmountNotPositive(AmountInvalid):
    code = "amount_not_positive"
    message = _("The amount must be above 0.")


class AmountNegative(AmountInvalid):
    code = "amount_negative"
    message = _("The amount cannot be below 0.")


class AmountTooPrecise(AmountInvalid):
    code = "amount_too_precise"
    message = _("{currency} has {digits} decimals.")


class AmountTooLarge(AmountInvalid):
    code = "amount_too_large"
    message = _("The amount is too large.")


class RemainingAboveFirst(Refusal):
    code = "remaining_above_first"
    message = _("What must remain ({remaining}) is more than the smallest first deposit ({first}).")


class MinimumNotInSteps(AmountInvalid):
    code = "minimum_not_in_steps"
    message = _("The minimum must be a multiple of the step ({step}), or nobody could deposit just that.")


class IntervalInvalid(Refusal):
    code = "interval_invalid"
    message = _("The trading interval must last between 1 and {longest} of its units.")


class LockInInvalid(Refusal):
    code = "lock_in_invalid"
    message = _("The lock-in must last between 0 and {longest} days.")


class EarlyExitRateInvalid(Refusal):
    code = "early_exit_rate_invalid"
    message = _("The early exit fee must be at least 0 % and below 100 %, with at most 7 decimals.")


class EarlyExitWithoutLockIn(Refusal):
    code = "early_exit_without_lock_in"
    message = _("An early exit fee needs a lock-in during which it applies.")


class LockInWithoutEffect(Refusal):
    """A fee instead of a lock-in lets people out at any time, and this one ends with the interval."""

    code = "lock_in_without_effect"
    message = _("The early exit fee applies until the trading interval ends: a lock-in would have no effect.")


class CapacityInvalid(Refusal):
    code = "capacity_invalid"
    message = _("The capacity must leave room for at least one smallest first deposit.")


class LinkExpiryPast(Refusal):
    code = "link_expiry_past"
    message = _("The link would have expired already.")


class PrivateLinkMustBeSingleUse(Refusal):
    code = "private_link_must_be_single_use"
    message = _("A private offer is opened by links for one person only.")


class JoinLinkExpired(Refusal):
    """The link was valid once: its time is over or it was revoked."""

    code = "join_link_expired"
    status = 410
    message = _("This link is no longer valid. Ask whoever sent it for a new one.")


class JoinLinkUsed(JoinLinkExpired):
    code = "join_link_used"
    message = _("This link was for one person and has been used. Ask whoever sent it for a new one.")


class SimulationTooLong(Refusal):
    code = "simulation_too_long"
    message = _("With so short a trading interval, at most this many months: {most}.")


class IntervalTooShortToSimulate(Refusal):
    code = "interval_too_short_to_simulate"
    message = _("The trading interval is too short for a simulation of months.")


class SimulatedMonthImpossible(Refusal):
    code = "simulated_month_impossible"
    message = _("Month {month}: {fault}")


class SimulationOutOfRange(Refusal):
    code = "simulation_out_of_range"
    message = _("The figures become too large. Choose smaller returns.")


class SimulatedLockInNotOver(Refusal):
    code = "simulated_lock_in_not_over"
    message = _("The money is locked in for {days} days, until {ends_at}.")
