"""Reads of offers: which are open to whom, their current terms, and what terms say in plain words."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import STAFF_ROLES, PammAccount, Role, User
from accounts.queries import has_role
from brokers.errors import NotFound
from fees.calc.schedule import Basis, Mode, Schedule
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


def terms_in_words(terms: Terms) -> list[str]:
    """What the terms mean for an investor: one sentence each, in the active language.

    Reads `terms.offer.account` for the currency; the terms need not be saved.
    """
    return [sentence for subject in terms_by_subject(terms) for sentence in subject.sentences]


@dataclass(frozen=True, slots=True)
class SubjectInWords:
    """What terms say about one subject, sentence by sentence."""

    title: str
    sentences: list[str]


def terms_by_subject(terms: Terms) -> list[SubjectInWords]:
    """The sentences of `terms_in_words` by what they are about: the same subjects, in one order, for any
    terms.
    """
    account = terms.offer.account
    return [
        SubjectInWords(_("Performance fee"), _fee_in_words(schedule_of(terms), account)),
        SubjectInWords(_("Trading interval"), _crystallisation_in_words(terms)),
        SubjectInWords(_("Amounts"), _amounts_in_words(terms, account)),
        SubjectInWords(_("Lock-in"), _lock_in_in_words(terms)),
    ]


def interval_in_words(terms: Terms) -> str:
    """The length of the trading interval: '1 month', '2 weeks'."""
    count = terms.interval_count
    match terms.interval_unit:
        case Terms.IntervalUnit.ROLLOVERS:
            return ngettext("{count} rollover", "{count} rollovers", count).format(count=count)
        case Terms.IntervalUnit.DAYS:
            return ngettext("{count} day", "{count} days", count).format(count=count)
        case Terms.IntervalUnit.WEEKS:
            return ngettext("{count} week", "{count} weeks", count).format(count=count)
        case _:
            return ngettext("{count} month", "{count} months", count).format(count=count)


def _fee_in_words(schedule: Schedule, account: PammAccount) -> list[str]:
    if all(tier.rate == 0 for tier in schedule.tiers):
        return [_("There is no performance fee.")]
    if schedule.basis is Basis.FLAT:
        rate = percent_in_words(schedule.tiers[0].rate)
        return [_("The performance fee is {rate} of new profit.").format(rate=rate), _carried_forward()]
    if schedule.basis is Basis.YIELD:
        lead = _("The performance fee depends on the return of the trading interval: {tiers}.")
    else:
        lead = _("The performance fee depends on what the investment is worth: {tiers}.")
    if schedule.mode is Mode.WHOLE:
        mode = _("The rate that is reached applies to the whole profit.")
    else:
        mode = _("Each rate applies to its own band only; the profit is charged at their average.")
    return [lead.format(tiers=_tiers_in_words(schedule, account)), mode, _carried_forward()]


def _carried_forward() -> str:
    return _(
        "Losses are carried forward: no fee before the investment is worth more than after its last fee."
    )


def _tiers_in_words(schedule: Schedule, account: PammAccount) -> str:
    def bound_in_words(bound: Decimal) -> str:
        return percent_in_words(bound) if schedule.basis is Basis.YIELD else amount_in_words(bound, account)

    first, *others = schedule.tiers
    if not others:
        return _("{rate} throughout").format(rate=percent_in_words(first.rate))
    lowest = _("{rate} below {bound}").format(
        bound=bound_in_words(others[0].lower_bound or Decimal(0)), rate=percent_in_words(first.rate)
    )
    rest = [
        _("{rate} from {bound}").format(
            bound=bound_in_words(tier.lower_bound or Decimal(0)), rate=percent_in_words(tier.rate)
        )
        for tier in others
    ]
    return ", ".join([lowest, *rest])


def _crystallisation_in_words(terms: Terms) -> list[str]:
    if terms.interval_unit == Terms.IntervalUnit.ROLLOVERS:
        lasts = _("A trading interval lasts {length}; fees are charged at its end.")
    elif terms.interval_anchor == Terms.IntervalAnchor.CALENDAR:
        lasts = _("A trading interval lasts {length}, counted on the calendar; fees are charged at its end.")
    else:
        lasts = _(
            "A trading interval lasts {length}, counted from your joining; fees are charged at its end."
        )
    words = [lasts.format(length=interval_in_words(terms))]
    if terms.profit_basis == Terms.ProfitBasis.LOWER:
        words.append(_("Profit of open positions waits until they are closed; their losses count at once."))
    if terms.on_withdrawal == Terms.OnWithdrawal.WHOLE:
        words.append(_("A withdrawal charges the fee on the whole investment."))
    else:
        words.append(_("A withdrawal charges the fee on the part that is withdrawn."))
    return words


def _amounts_in_words(terms: Terms, account: PammAccount) -> list[str]:
    words = [
        _("The first deposit is at least {first}, each further one at least {further}.").format(
            first=amount_in_words(terms.minimum_first, account),
            further=amount_in_words(terms.minimum_further, account),
        ),
        _("A withdrawal that would leave less than {remaining} has to close the investment.").format(
            remaining=amount_in_words(terms.minimum_remaining, account)
        ),
    ]
    if terms.amount_step is not None:
        words.append(
            _("Deposits go in steps of {step}.").format(step=amount_in_words(terms.amount_step, account))
        )
    return words


def _lock_in_in_words(terms: Terms) -> list[str]:
    days = terms.lock_in_days
    if days == 0:
        return [_("There is no lock-in: money can be withdrawn at any rollover.")]
    if terms.early_exit_rate == 0:
        return [
            ngettext(
                "Nothing can be withdrawn during the first day.",
                "Nothing can be withdrawn during the first {days} days.",
                days,
            ).format(days=days)
        ]
    return [
        ngettext(
            "Withdrawing during the first day costs {rate} of what is withdrawn.",
            "Withdrawing during the first {days} days costs {rate} of what is withdrawn.",
            days,
        ).format(days=days, rate=percent_in_words(terms.early_exit_rate))
    ]


def percent_in_words(rate: Decimal) -> str:
    """A fraction as a percentage without superfluous zeros: 0.125 is '12.5 %'. Stays on one line."""
    return f"{number_format(format((rate * 100).normalize(), 'f'))}\N{NARROW NO-BREAK SPACE}%"


def amount_in_words(amount: Decimal, account: PammAccount) -> str:
    """An amount with its currency; cents only where there are any."""
    digits = 0 if amount == amount.to_integral_value() else account.currency_digits
    figure = number_format(amount, decimal_pos=digits, force_grouping=True)
    return f"{figure}\N{NO-BREAK SPACE}{account.currency}"


def _is_public(offer: Offer) -> bool:
    return (
        offer.visibility == Offer.Visibility.PUBLIC
        and offer.state in (Offer.State.OPEN, Offer.State.PAUSED)
        and offer.account.state in (PammAccount.State.ACTIVE, PammAccount.State.SUSPENDED)
    )


def _sees_every_state(user: User, offer: Offer) -> bool:
    return offer.account.manager.user_id == user.pk or has_role(user, *STAFF_ROLES)
