"""Writing offers, versions of their terms, and join links.

Everything here is for the account's manager or the broker's administrator; anybody else gets `NotAllowed`.
Terms are append-only: revising adds a version, and investments keep the one they joined under.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from accounts.models import PammAccount, User
from brokers.errors import NotAllowed
from brokers.models import Broker
from fees.calc.schedule import Basis, Schedule, ScheduleInvalid
from money.rounding import YIELD_PLACES, is_whole_minor_units
from offers.errors import (
    AccountTakesNoOffers,
    AmountNotPositive,
    AmountTooLarge,
    AmountTooPrecise,
    CapacityInvalid,
    EarlyExitRateInvalid,
    EarlyExitWithoutLockIn,
    IntervalInvalid,
    JoinLinkUsed,
    LinkExpiryPast,
    LockInInvalid,
    MinimumNotInSteps,
    OfferNameInvalid,
    OfferNameTaken,
    OfferStateForbids,
    OfferTextTooLong,
    PerformanceFeeCeilingExceeded,
    PerformanceFeeContradicted,
    PerformanceFeeNotStated,
    PrivateLinkMustBeSingleUse,
    RemainingAboveFirst,
    TermsChangedMeanwhile,
    TiersInvalid,
    WholeNeedsFlatFee,
)
from offers.models import JoinLink, Offer, Terms
from offers.queries import amount_in_words, may_change_offers_of
from offers.queries import resolve_join_link as resolve_join_link
from outbox.services import record_event

LONGEST_NAME = 80
LONGEST_DESCRIPTION = 2000
LONGEST_INTERVAL = 1000
LONGEST_LOCK_IN_DAYS = 3650
AMOUNT_LIMIT = Decimal(10) ** 15


@dataclass(frozen=True, slots=True)
class TermsDraft:
    """What a version of terms is to say. Amounts in the account's currency, rates as fractions.

    `no_performance_fee` states that charging nothing is meant; without it a schedule of zeros is refused.
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
    no_performance_fee: bool = False

    @classmethod
    def of(cls, terms: Terms) -> "TermsDraft":
        """The draft that says what `terms` say."""
        schedule = Schedule.from_json(terms.performance_schedule)
        return cls(
            schedule=schedule,
            no_performance_fee=_charges_nothing(schedule),
            **{name: getattr(terms, name) for name in _COPIED},
        )

    def version_of(self, offer: Offer, version: int, by: User | None = None) -> Terms:
        """The row, not saved: what the preview shows is what would be written."""
        return Terms(
            offer=offer,
            version=version,
            performance_schedule=self.schedule.to_json(),
            created_by=by,
            **{name: getattr(self, name) for name in _COPIED},
        )


_COPIED = tuple(
    field.name for field in fields(TermsDraft) if field.name not in ("schedule", "no_performance_fee")
)


def create_offer(
    *,
    account: PammAccount,
    name: str,
    description: str = "",
    visibility: Offer.Visibility,
    approval: Offer.Approval,
    terms: TermsDraft,
    capacity_amount: Decimal | None = None,
    capacity_investors: int | None = None,
    by: User,
) -> Offer:
    """A new offer, not open yet, with the first version of its terms.

    Raises `NotAllowed`, `AccountTakesNoOffers`, `OfferNameTaken`, and the refusals of `check_terms` and of
    the offer's fields.
    """
    _require_authority(by, account)
    _require_account_open(account)
    check_terms(terms, account)
    offer = Offer(
        account=account,
        name=name.strip(),
        description=description.strip(),
        visibility=visibility,
        approval=approval,
        capacity_amount=capacity_amount,
        capacity_investors=capacity_investors,
    )
    _check_offer(offer, terms.minimum_first)
    with transaction.atomic():
        _lock_account(account)
        _require_name_free(offer)
        offer.save()
        terms.version_of(offer, 1, by).save()
    return offer


def revise_terms(*, offer: Offer, terms: TermsDraft, by: User, expected_version: int | None = None) -> Terms:
    """A new version of the terms; the current one where nothing differs. Existing investments keep theirs.

    `expected_version` is the version the editor showed. Raises `TermsChangedMeanwhile` where it is no longer
    current, `NotAllowed`, `AccountTakesNoOffers`, `OfferStateForbids` and the refusals of `check_terms`.
    """
    with transaction.atomic():
        locked = _locked(offer, by)
        _require_not_closed(locked)
        _require_account_open(locked.account)
        check_terms(terms, locked.account)
        _check_offer(locked, terms.minimum_first)
        current: Terms = locked.terms.latest("version")
        if expected_version is not None and current.version != expected_version:
            raise TermsChangedMeanwhile(version=current.version)
        if TermsDraft.of(current) == terms:
            return current
        revised = terms.version_of(locked, current.version + 1, by)
        revised.save()
        record_event(
            "terms.changed",
            subject=locked.public_id,
            account=str(locked.account.public_id),
            version=revised.version,
        )
    return revised


def change_offer(
    *,
    offer: Offer,
    name: str,
    description: str,
    visibility: Offer.Visibility,
    approval: Offer.Approval,
    capacity_amount: Decimal | None,
    capacity_investors: int | None,
    by: User,
) -> Offer:
    """Everything about an offer that is not terms.

    Raises `NotAllowed`, `OfferStateForbids` and the refusals of the fields.
    """
    with transaction.atomic():
        locked = _locked(offer, by)
        _require_not_closed(locked)
        locked.name, locked.description = name.strip(), description.strip()
        locked.visibility, locked.approval = visibility, approval
        locked.capacity_amount, locked.capacity_investors = capacity_amount, capacity_investors
        _check_offer(locked, locked.terms.latest("version").minimum_first)
        _require_name_free(locked)
        locked.save()
    return locked


def open_offer(*, offer: Offer, by: User) -> Offer:
    """Let investors join. An open one stays as it is.

    Raises `NotAllowed`, `AccountTakesNoOffers`, `OfferStateForbids`.
    """
    with transaction.atomic():
        locked = _locked(offer, by)
        _require_account_open(locked.account)
        return _moved(
            locked, Offer.State.OPEN, since=(Offer.State.DRAFT, Offer.State.PAUSED), event="offer.opened"
        )


def pause_offer(*, offer: Offer, by: User) -> Offer:
    """Nobody joins until it is opened again; who is in stays. Raises `NotAllowed`, `OfferStateForbids`."""
    with transaction.atomic():
        return _moved(_locked(offer, by), Offer.State.PAUSED, since=(Offer.State.OPEN,), event="offer.paused")


def close_offer(*, offer: Offer, by: User) -> Offer:
    """Nobody joins any more, for good; who is in stays. Raises `NotAllowed`."""
    since = (Offer.State.DRAFT, Offer.State.OPEN, Offer.State.PAUSED)
    with transaction.atomic():
        return _moved(_locked(offer, by), Offer.State.CLOSED, since=since, event="offer.closed")


def create_join_link(
    *, offer: Offer, expires_at: datetime | None = None, single_use: bool = False, by: User
) -> JoinLink:
    """A link that opens the offer to whoever has it.

    Raises `NotAllowed`, `OfferStateForbids`, `LinkExpiryPast`, `PrivateLinkMustBeSingleUse`.
    """
    with transaction.atomic():
        locked = _locked(offer, by)
        _require_not_closed(locked)
        if expires_at is not None and expires_at <= timezone.now():
            raise LinkExpiryPast(field="expires_at")
        if locked.visibility == Offer.Visibility.PRIVATE and not single_use:
            raise PrivateLinkMustBeSingleUse(field="single_use")
        link: JoinLink = JoinLink.objects.create(offer=locked, expires_at=expires_at, single_use=single_use)
    return link


def revoke_join_link(*, link: JoinLink, by: User) -> JoinLink:
    """The link opens nothing any more. Raises `NotAllowed`."""
    with transaction.atomic():
        _locked(link.offer, by)
        JoinLink.objects.filter(pk=link.pk, revoked_at__isnull=True).update(revoked_at=timezone.now())
        link.refresh_from_db()
    return link


def use_join_link(*, link: JoinLink) -> JoinLink:
    """Somebody joins by this link: the first use is noted, and a single-use link is over with it.

    To be called inside the transaction that joins, so that a refused deposit spends nothing. Raises
    `JoinLinkUsed` for the second of two people who join at once, and what `resolve_join_link` raises.
    """
    valid = resolve_join_link(link.token)
    first_use = JoinLink.objects.filter(pk=valid.pk, used_at__isnull=True).update(used_at=timezone.now())
    if valid.single_use and not first_use:
        raise JoinLinkUsed
    valid.refresh_from_db(fields=["used_at"])
    return valid


def check_terms(terms: TermsDraft, account: PammAccount) -> None:
    """Raises the first refusal this draft meets at this account: tiers, fee, amounts, interval, lock-in."""
    _check_schedule(terms, account)
    for name in ("minimum_first", "minimum_further", "minimum_remaining", "amount_step"):
        amount = getattr(terms, name)
        if name != "amount_step" or amount is not None:
            _check_amount(name, amount, account)
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
    _check_lock_in(terms)


def _check_schedule(terms: TermsDraft, account: PammAccount) -> None:
    schedule = terms.schedule
    for number, tier_of_schedule in enumerate(schedule.tiers, start=1):
        if _too_large(tier_of_schedule.lower_bound):
            raise TiersInvalid(reason="bound_too_large", tier=number)
    try:
        schedule.validate(account.currency_digits)
    except ScheduleInvalid as invalid:
        tier = None if invalid.tier_index is None else invalid.tier_index + 1
        raise TiersInvalid(reason=invalid.code, tier=tier) from invalid
    ceiling = Broker.objects.get().performance_fee_ceiling
    for number, tier_of_schedule in enumerate(schedule.tiers, start=1):
        if not is_whole_minor_units(tier_of_schedule.rate, YIELD_PLACES):
            raise TiersInvalid(reason="rate_too_precise", tier=number)
        if tier_of_schedule.rate > ceiling:
            raise PerformanceFeeCeilingExceeded(
                tier=number, ceiling_percent=format((ceiling * 100).normalize(), "f")
            )
    if _charges_nothing(schedule) != terms.no_performance_fee:
        refusal = PerformanceFeeContradicted if terms.no_performance_fee else PerformanceFeeNotStated
        raise refusal(field="no_performance_fee")
    if terms.on_withdrawal == Terms.OnWithdrawal.WHOLE and schedule.basis is not Basis.FLAT:
        raise WholeNeedsFlatFee(field="on_withdrawal")


def _charges_nothing(schedule: Schedule) -> bool:
    return all(tier.rate == 0 for tier in schedule.tiers)


def _check_amount(name: str, amount: Decimal, account: PammAccount) -> None:
    if _too_large(amount):
        raise AmountTooLarge(field=name)
    if not is_whole_minor_units(amount, account.currency_digits):
        raise AmountTooPrecise(field=name, currency=account.currency, digits=account.currency_digits)
    if amount <= 0:
        raise AmountNotPositive(field=name)


def _too_large(amount: Decimal | None) -> bool:
    return amount is not None and amount.is_finite() and abs(amount) >= AMOUNT_LIMIT


def _check_lock_in(terms: TermsDraft) -> None:
    if not 0 <= terms.lock_in_days <= LONGEST_LOCK_IN_DAYS:
        raise LockInInvalid(field="lock_in_days", longest=LONGEST_LOCK_IN_DAYS)
    rate = terms.early_exit_rate
    if not (is_whole_minor_units(rate, YIELD_PLACES) and 0 <= rate < 1):
        raise EarlyExitRateInvalid(field="early_exit_rate")
    if rate and not terms.lock_in_days:
        raise EarlyExitWithoutLockIn(field="early_exit_rate")


def _check_offer(offer: Offer, minimum_first: Decimal) -> None:
    if not offer.name or len(offer.name) > LONGEST_NAME:
        raise OfferNameInvalid(field="name", longest=LONGEST_NAME)
    if len(offer.description) > LONGEST_DESCRIPTION:
        raise OfferTextTooLong(field="description", longest=LONGEST_DESCRIPTION)
    if offer.capacity_amount is not None:
        _check_amount("capacity_amount", offer.capacity_amount, offer.account)
        if offer.capacity_amount < minimum_first:
            raise CapacityInvalid(field="capacity_amount")
    if offer.capacity_investors is not None and not 1 <= offer.capacity_investors < 2**31:
        raise CapacityInvalid(field="capacity_investors")


def _require_name_free(offer: Offer) -> None:
    # Two clicks at once cannot both find the name free: the account's row is locked before.
    others = Offer.objects.filter(account_id=offer.account_id, name=offer.name).exclude(pk=offer.pk)
    if others.exclude(state=Offer.State.CLOSED).exists():
        raise OfferNameTaken(field="name")


def _require_authority(by: User, account: PammAccount) -> None:
    if not may_change_offers_of(account, by):
        raise NotAllowed


def _require_account_open(account: PammAccount) -> None:
    if account.state not in (PammAccount.State.DRAFT, PammAccount.State.ACTIVE):
        raise AccountTakesNoOffers(state=account.get_state_display().lower())


def _require_not_closed(offer: Offer) -> None:
    if offer.state == Offer.State.CLOSED:
        raise OfferStateForbids(state=offer.get_state_display().lower())


def _locked(offer: Offer, by: User) -> Offer:
    """The row as it is now, ours until the transaction ends: versions are numbered one after the other.

    The account's row first, as whoever joins does: the other order would wait for each other for ever.
    """
    _lock_account(offer.account)
    locked: Offer = (
        Offer.objects.select_for_update(of=("self",)).select_related("account__manager").get(pk=offer.pk)
    )
    _require_authority(by, locked.account)
    return locked


def _lock_account(account: PammAccount) -> None:
    PammAccount.objects.select_for_update(no_key=True).get(pk=account.pk)


def _moved(offer: Offer, state: Offer.State, *, since: tuple[Offer.State, ...], event: str) -> Offer:
    if offer.state == state:
        return offer
    if offer.state not in since:
        raise OfferStateForbids(state=offer.get_state_display().lower())
    offer.state = state
    offer.save(update_fields=["state"])
    record_event(event, subject=offer.public_id, account=str(offer.account.public_id))
    return offer
