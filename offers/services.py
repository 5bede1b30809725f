"""Writing offers, versions of their terms, and join links.

Everything here is for the account's manager or the broker's administrator; anybody else gets `NotAllowed`.
Terms are append-only: revising adds a version, and investments keep the one they joined under.
"""

from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from accounts.models import PammAccount, User
from brokers.errors import NotAllowed
from offers.drafts import TermsDraft as TermsDraft
from offers.drafts import check_amount, check_who_shares
from offers.drafts import check_terms as check_terms
from offers.errors import (
    AccountTakesNoOffers,
    CapacityInvalid,
    JoinLinkUsed,
    LinkExpiryPast,
    OfferNameInvalid,
    OfferNameTaken,
    OfferStateForbids,
    OfferTextTooLong,
    PrivateLinkMustBeSingleUse,
    TermsChangedMeanwhile,
)
from offers.models import JoinLink, Offer, Terms
from offers.queries import may_change_offers_of
from offers.queries import resolve_join_link as resolve_join_link
from outbox.services import record_event

LONGEST_NAME = 80
LONGEST_DESCRIPTION = 2000


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

    Raises `NotAllowed`, `AccountTakesNoOffers`, `OfferNameTaken`, and the refusals of `check_terms`, of
    `check_who_shares` and of the offer's fields.
    """
    _require_authority(by, account)
    _require_account_open(account)
    check_terms(terms, account)
    check_who_shares(terms, by)
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
    current, `NotAllowed`, `AccountTakesNoOffers`, `OfferStateForbids` and the refusals of `check_terms` and
    `check_who_shares`.
    """
    with transaction.atomic():
        locked = _locked(offer, by)
        _require_not_closed(locked)
        _require_account_open(locked.account)
        check_terms(terms, locked.account)
        _check_offer(locked, terms.minimum_first)
        current: Terms = locked.terms.latest("version")
        check_who_shares(terms, by, current)
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


def close_offers_of(account: PammAccount) -> None:
    """Close all offers of an account that is being closed, in the caller's transaction, its row locked.

    Who may do that is the caller's to know.
    """
    since = (Offer.State.DRAFT, Offer.State.OPEN, Offer.State.PAUSED)
    offers = Offer.objects.select_for_update(of=("self",)).select_related("account").filter(account=account)
    for offer in offers.exclude(state=Offer.State.CLOSED).order_by("id"):
        _moved(offer, Offer.State.CLOSED, since=since, event="offer.closed")


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


def _check_offer(offer: Offer, minimum_first: Decimal) -> None:
    if not offer.name or len(offer.name) > LONGEST_NAME:
        raise OfferNameInvalid(field="name", longest=LONGEST_NAME)
    if len(offer.description) > LONGEST_DESCRIPTION:
        raise OfferTextTooLong(field="description", longest=LONGEST_DESCRIPTION)
    if offer.capacity_amount is not None:
        check_amount("capacity_amount", offer.capacity_amount, offer.account)
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
