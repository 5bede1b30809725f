"""Reads of offers: which are open to whom, their current terms, and what these say to the calculation."""

import uuid
from collections.abc import Iterable
from decimal import Decimal

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from django.utils import timezone

from accounts.models import STAFF_ROLES, PammAccount, Role, User
from accounts.queries import has_role
from brokers.errors import NotFound
from fees.calc.schedule import Schedule
from fees.calc.shares import Shares
from fees.calc.terms import EntryFee, FeeTerms
from offers.errors import JoinLinkExpired, JoinLinkUsed
from offers.models import JoinLink, Offer, Terms

_PREFETCHED = "prefetched_current_terms"


def current_terms(offer: Offer) -> Terms:
    """The newest version. No query for an offer out of `with_current_terms`."""
    prefetched: list[Terms] | None = getattr(offer, _PREFETCHED, None)
    if prefetched:
        return prefetched[0]
    return Terms.objects.filter(offer=offer).select_related("offer__account").latest("version")


def with_current_terms(offers: QuerySet[Offer]) -> QuerySet[Offer]:
    """The same offers with account, manager and current terms read in one more statement for all of them."""
    return offers.select_related("account__manager").prefetch_related(
        Prefetch("terms", _newest_terms(), to_attr=_PREFETCHED)
    )


def offers_of(account: PammAccount) -> list[Offer]:
    """All offers of the account, the oldest first, with current terms. One statement."""
    newest = _newest_terms().filter(offer__account=account).select_related("offer__account__manager")
    offers = []
    for terms in newest.order_by("offer"):
        setattr(terms.offer, _PREFETCHED, [terms])
        offers.append(terms.offer)
    return offers


def current_terms_of(offers: Iterable[int]) -> QuerySet[Terms]:
    """The newest version of each of these offers (keys), with offer and account."""
    return _newest_terms().filter(offer__in=offers).select_related("offer__account")


def _newest_terms() -> QuerySet[Terms]:
    newer = Terms.objects.filter(offer=OuterRef("offer"), version__gt=OuterRef("version"))
    return Terms.objects.filter(~Exists(newer))


def offers_open_to(user: User | None) -> QuerySet[Offer]:
    """Offers that anybody may look through and join: public, open, of an active account.

    The same for every `user` so far, visitors (None) included. Offers by link and private ones are never
    listed.
    """
    return Offer.objects.filter(
        visibility=Offer.Visibility.PUBLIC, state=Offer.State.OPEN, account__state=PammAccount.State.ACTIVE
    )


def offers_seen_by(user: User | None) -> QuerySet[Offer]:
    """Every offer whose page this person may open without a link: what is public, also while it is paused,
    own ones, and for the broker's staff all.
    """
    if user is not None and has_role(user, *STAFF_ROLES):
        return Offer.objects.all()
    seen = Q(
        visibility=Offer.Visibility.PUBLIC,
        state__in=[Offer.State.OPEN, Offer.State.PAUSED],
        account__state__in=[PammAccount.State.ACTIVE, PammAccount.State.SUSPENDED],
    )
    return Offer.objects.filter(seen if user is None else seen | Q(account__manager__user=user))


def offers_managed_by(user: User) -> QuerySet[Offer]:
    """Every offer of this person's PAMM accounts, in whatever state."""
    return Offer.objects.filter(account__manager__user=user)


def get_offer_for(user: User | None, public_id: uuid.UUID, link_token: str | None = None) -> Offer:
    """The offer, where this person may see it: open to all, by a valid link, own, or staff.

    Raises `NotFound` for everybody else; `JoinLinkExpired` where a link of this very offer is over.
    """
    offer = with_current_terms(Offer.objects.filter(public_id=public_id)).first()
    if offer is None:
        raise NotFound
    if link_token is not None and resolve_join_link(link_token).offer_id == offer.pk:
        return offer
    if _is_public(offer) or (user is not None and _sees_every_state(user, offer)):
        return offer
    raise NotFound


def get_managed_offer_for(user: User, public_id: uuid.UUID) -> Offer:
    """The offer, for the account's manager and the broker's administrator. Raises `NotFound` for others."""
    offer = with_current_terms(Offer.objects.filter(public_id=public_id)).first()
    if offer is None or not may_change_offers_of(offer.account, user):
        raise NotFound
    return offer


def may_change_offers_of(account: PammAccount, user: User) -> bool:
    """Whether this person writes the account's offers: its manager or the broker's administrator."""
    return account.manager.user_id == user.pk or has_role(user, Role.ADMIN)


def resolve_join_link(token: str) -> JoinLink:
    """The valid link behind a token, with its offer and account.

    Raises `NotFound`; `JoinLinkUsed`; `JoinLinkExpired` where it is over, revoked or its offer closed.
    """
    link = JoinLink.objects.select_related("offer__account__manager").filter(token=token).first()
    if link is None:
        raise NotFound
    if link.single_use and link.used_at is not None:
        raise JoinLinkUsed
    over = link.expires_at is not None and link.expires_at <= timezone.now()
    if over or link.revoked_at is not None or link.offer.state == Offer.State.CLOSED:
        raise JoinLinkExpired
    return link


def valid_join_links(offer: Offer) -> QuerySet[JoinLink]:
    """Links that still open the offer, the newest first."""
    alive = Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now())
    unused = Q(single_use=False) | Q(used_at__isnull=True)
    return JoinLink.objects.filter(alive, unused, offer=offer, revoked_at__isnull=True).order_by("-id")


def schedule_of(terms: Terms) -> Schedule:
    return Schedule.from_json(terms.performance_schedule)


def entry_fee_of(terms: Terms) -> EntryFee:
    return EntryFee.from_json(terms.entry_tiers)


def shares_of(terms: Terms) -> Shares:
    return Shares(terms.broker_share_rate, tuple(Decimal(rate) for rate in terms.agent_share_rates))


def fee_terms_of(terms: Terms) -> FeeTerms:
    """Everything the terms say about fees, as the calculation takes it. They need not be saved."""
    return FeeTerms(
        schedule=schedule_of(terms),
        lower_profit=terms.profit_basis == Terms.ProfitBasis.LOWER,
        crystallises_whole=terms.on_withdrawal == Terms.OnWithdrawal.WHOLE,
        management_rate=terms.management_rate,
        entry=entry_fee_of(terms),
        subscription_amount=terms.subscription_amount,
        volume_amount_per_lot=terms.volume_amount_per_lot,
        early_exit_rate=terms.early_exit_rate,
        early_exit_until_interval_end=terms.early_exit_until == Terms.EarlyExitUntil.INTERVAL,
        shares=shares_of(terms),
    )


def _is_public(offer: Offer) -> bool:
    return (
        offer.visibility == Offer.Visibility.PUBLIC
        and offer.state in (Offer.State.OPEN, Offer.State.PAUSED)
        and offer.account.state in (PammAccount.State.ACTIVE, PammAccount.State.SUSPENDED)
    )


def _sees_every_state(user: User, offer: Offer) -> bool:
    return offer.account.manager.user_id == user.pk or has_role(user, *STAFF_ROLES)
