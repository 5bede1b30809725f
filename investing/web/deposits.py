"""What new money meets in an investment that is under way: its entry fee and the tier it joins.

Figures at the last price; the rollover that invests the money, and the end of the interval, decide with
theirs.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.utils.translation import gettext as _

from accounts.models import User
from allocation.models import Investment
from brokers.errors import NotFound
from fees.calc import crystallisation
from fees.calc.schedule import Basis, Mode, Schedule, Tier, rate_for, tier_reached
from fees.queries import FeeBasis
from money.exact import exact_difference
from money.rounding import YIELD_PLACES, half_even
from offers.models import Offer
from offers.queries import current_terms, get_offer_for
from offers.web.investor import is_joinable, join_url


@dataclass(frozen=True, slots=True)
class JoinedTier:
    """The tier of a schedule that new money joins, as it stands now.

    `stands_at` is the interval's return since `since` (`by_yield`), else the net worth that counts; `rate` is
    what the whole profit would pay, 9 places. `reached` and `next` are tiers, their bounds as `stands_at`.
    """

    by_yield: bool
    is_marginal: bool
    stands_at: Decimal
    since: datetime | None
    rate: Decimal
    reached: Tier
    next: Tier | None


def joined_tier(investment: Investment, basis: FeeBasis) -> JoinedTier | None:
    """None where the fee has no tiers, and before the investment has joined."""
    schedule = basis.terms.schedule
    if investment.state != Investment.State.ACTIVE or len(schedule.tiers) < 2:
        return None
    by_yield = schedule.basis is Basis.YIELD
    stands_at = basis.situation.yield_ if by_yield else basis.situation.net_worth
    index = tier_reached(schedule.tiers, stands_at)
    return JoinedTier(
        by_yield=by_yield,
        is_marginal=schedule.mode is Mode.MARGINAL,
        stands_at=stands_at,
        since=_counted_since(investment),
        rate=half_even(rate_for(schedule, stands_at), YIELD_PLACES),
        reached=schedule.tiers[index],
        next=_tier(schedule, index + 1),
    )


def _tier(schedule: Schedule, index: int) -> Tier | None:
    return schedule.tiers[index] if index < len(schedule.tiers) else None


def _counted_since(investment: Investment) -> datetime | None:
    """When its interval began, or the investment within it."""
    began = investment.interval.opening.priced_at if investment.interval is not None else None
    moments = [moment for moment in (began, investment.joined_at) if moment is not None]
    return max(moments, default=None)


@dataclass(frozen=True, slots=True)
class JoiningAnew:
    """The way to a separate investment in an offer, under its present `version`; `url` is empty where there
    is none, and `why_not` says why.
    """

    url: str
    why_not: str
    version: int


def joining_anew(person: User, offer: Offer) -> JoiningAnew:
    """Whether this person may join the offer once more, as the join page would decide."""
    version = current_terms(offer).version
    if not is_joinable(offer):
        return JoiningAnew("", _("The offer takes no new investments now."), version)
    try:
        get_offer_for(person, offer.public_id)
    except NotFound:
        return JoiningAnew("", _("The offer can be joined by invitation only: ask for a link."), version)
    return JoiningAnew(join_url(offer, None), "", version)


@dataclass(frozen=True, slots=True)
class DepositCosts:
    """What a deposit of `amount` pays and becomes: `invested` is what the entry fee leaves of it."""

    amount: Decimal
    entry_fee: Decimal
    invested: Decimal
    mark_after: Decimal


def deposit_costs(amount: Decimal, basis: FeeBasis) -> DepositCosts:
    deposited = crystallisation.deposit(amount, basis.terms, basis.state, basis.situation.digits)
    return DepositCosts(
        amount=amount,
        entry_fee=exact_difference(amount, deposited.invested),
        invested=deposited.invested,
        mark_after=deposited.state.standing.high_water_mark,
    )
