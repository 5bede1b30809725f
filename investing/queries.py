"""Reads of requests: whose they are, who may decide them, and what an investment could pay now."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Exists, OuterRef, Q, QuerySet, Sum, TextField, Value
from django.db.models.functions import Cast, Concat
from django.utils.translation import gettext as _

from accounts.models import DECIDING_ROLES, STAFF_ROLES, PammAccount, User
from accounts.queries import has_role
from allocation.calc.price import Price
from allocation.calc.stops import stop_amount
from allocation.calc.units import value as value_of_units
from allocation.calc.units import values
from allocation.models import Investment
from allocation.services import last_price, lock_in_ends_at
from brokers.errors import NotFound
from fees.calc.crystallisation import Closed
from fees.queries import closing_of, fee_basis, last_moment, with_figures
from fees.services import available, minimum_remaining
from investing.models import Request, Stop
from money.exact import ZERO, exact_difference, exact_sum
from offers.models import Offer, Terms
from offers.queries import current_terms_of


def requests_of(user: User) -> QuerySet[Request]:
    """Requests for this person's own investments, latest first."""
    return _with_relations().filter(investment__owner=user).order_by("-created_at", "-id")


def requests_of_manager(user: User) -> QuerySet[Request]:
    """Requests on accounts this person manages, latest first."""
    return _with_relations().filter(account__manager__user=user).order_by("-id")


def requests_awaiting_approval(user: User) -> QuerySet[Request]:
    """Pending requests this person may decide, oldest first: dealers all, managers those their offers leave
    to them.
    """
    pending = _with_relations().filter(state=Request.State.PENDING).order_by("id")
    if has_role(user, *DECIDING_ROLES):
        return pending
    return pending.filter(
        account__manager__user=user, investment__terms__offer__approval=Offer.Approval.MANAGER
    ).exclude(investment__owner=user)


def may_decide(user: User, request: Request) -> bool:
    return requests_awaiting_approval(user).filter(pk=request.pk).exists()


def get_request_for(user: User, public_id: uuid.UUID) -> Request:
    """A request of this person's own, of an account he manages, or any for the broker's staff. Raises
    `NotFound`.
    """
    visible = Q(investment__owner=user) | Q(account__manager__user=user)
    if has_role(user, *STAFF_ROLES):
        visible = Q()
    request = _with_relations().filter(visible, public_id=public_id).first()
    if request is None:
        raise NotFound
    return request


def get_investment_for(user: User, public_id: uuid.UUID) -> Investment:
    """This person's own investment, with all that its figures and `stops_read_with` need. Raises
    `NotFound`.
    """
    own = with_figures(Investment.objects.filter(owner=user, public_id=public_id))
    stops = Stop.objects.filter(investment=OuterRef("pk"), state=Stop.State.ACTIVE).order_by("kind")
    in_short = Concat("kind", Value(" "), Cast("price", TextField()), output_field=TextField())
    own = own.annotate(active_stops=ArraySubquery(stops.annotate(in_short=in_short).values("in_short")))
    investment = own.select_related(
        "account__manager", "terms__offer__account", "accepted_terms__offer__account", "personal_account"
    ).first()
    if investment is None:
        raise NotFound
    return investment


def newer_terms(investments: Iterable[Investment]) -> dict[int, Terms]:
    """The current version of its offer by key of the investment, where its owner could accept it.

    Only active investments, and only what is newer than their own terms and than those accepted already. One
    query; reads `terms` and `accepted_terms` of each.
    """
    active = [row for row in investments if row.state == Investment.State.ACTIVE and row.terms is not None]
    if not active:
        return {}
    own: dict[int, set[int]] = {}
    for row in active:
        own.setdefault(row.terms.offer_id, set()).add((row.accepted_terms or row.terms).pk)
    # Terms are long: those that everybody here has already are not read again.
    known = [pk for versions in own.values() if len(versions) == 1 for pk in versions]
    newest = {terms.offer_id: terms for terms in current_terms_of(own).exclude(pk__in=known)}
    return {
        row.pk: newest[row.terms.offer_id]
        for row in active
        if row.terms.offer_id in newest
        and newest[row.terms.offer_id].version > (row.accepted_terms or row.terms).version
    }


@dataclass(frozen=True, slots=True)
class StopLine:
    """A stop as its owner reads it: what his present units are worth at its price, and how far that is from
    their `value` now, as a fraction.
    """

    stop: Stop
    amount: Decimal
    distance: Decimal | None


def stops_of(investments: Iterable[Investment]) -> dict[int, list[StopLine]]:
    """Active stops by key of the investment, the stop loss first. One query; reads `account` of each."""
    by_key = {row.pk: row for row in investments if row.state == Investment.State.ACTIVE}
    lines: dict[int, list[StopLine]] = {}
    stops = Stop.objects.filter(investment__in=by_key, state=Stop.State.ACTIVE).order_by("kind")
    for stop in stops:
        lines.setdefault(stop.investment_id, []).append(stop_line(stop, by_key[stop.investment_id]))
    return lines


def stops_read_with(investment: Investment) -> list[StopLine]:
    """Active stops of an investment from `get_investment_for`, the stop loss first, with kind and price only.
    No query.
    """
    found = [in_short.split() for in_short in getattr(investment, "active_stops", ())]
    return [stop_line(Stop(kind=kind, price=Decimal(price)), investment) for kind, price in found]


def stop_line(stop: Stop, investment: Investment) -> StopLine:
    """No query where the investment came with its account."""
    account = investment.account
    amount = stop_amount(stop.price, investment.units, account.currency_digits)
    value = value_of_units(investment.units, last_price(account), account.currency_digits)
    return StopLine(stop, amount, exact_difference(amount, value) / value if value else None)


def closing_at_stop(investment: Investment, price: Decimal) -> Closed:
    """What closing would pay and charge today if the price were the stop's. No query where the investment
    came `with_figures`.
    """
    moment = replace(last_moment(investment.account), price=Price(price, Decimal(1)))
    return closing_of(fee_basis(investment, moment))


def open_requests(account: PammAccount, owner: User) -> QuerySet[Request]:
    return Request.objects.filter(account=account, investment__owner=owner, state__in=Request.OPEN_STATES)


@dataclass(frozen=True, slots=True)
class WithdrawalTerms:
    """What the withdraw and close forms show, at the last rollover's price; the executing one's decides.

    `available` is the largest part that can be taken while the investment goes on; `closing_pays` is value
    less fee.
    """

    value: Decimal
    accrued_fee: Decimal
    available: Decimal
    closing_pays: Decimal
    minimum_remaining: Decimal
    lock_in_ends_at: datetime | None
    open_withdrawals: Decimal


def withdrawal_terms(
    investment: Investment, *, open_requests: Iterable[Request] | None = None
) -> WithdrawalTerms:
    """Two queries at most, where the investment came `with_figures`. `open_requests` are all of its own,
    where they have been read already.
    """
    basis = fee_basis(investment, last_moment(investment.account))
    room = available(investment, basis)
    if open_requests is None:
        open_requests = Request.objects.filter(
            investment=investment, kind=Request.Kind.WITHDRAWAL, state__in=Request.OPEN_STATES
        )
    promised = exact_sum(
        request.amount
        for request in open_requests
        if request.kind == Request.Kind.WITHDRAWAL and request.amount is not None
    )
    return WithdrawalTerms(
        value=basis.value,
        accrued_fee=basis.value - room.closing,
        available=room.part,
        closing_pays=room.closing,
        minimum_remaining=minimum_remaining(investment),
        lock_in_ends_at=lock_in_ends_at(investment),
        open_withdrawals=promised,
    )


def capacity_used(offer: Offer, *, leaving_out: Request | None = None) -> Decimal:
    """What its investments are worth at the last price, with all deposits that are still to come. Three
    queries.
    """
    price, digits = last_price(offer.account), offer.account.currency_digits
    units = list(
        Investment.objects.filter(terms__offer=offer, state=Investment.State.ACTIVE).values_list(
            "units", flat=True
        )
    )
    coming = Request.objects.filter(
        investment__terms__offer=offer, kind=Request.Kind.DEPOSIT, state__in=Request.OPEN_STATES
    )
    if leaving_out is not None:
        coming = coming.exclude(pk=leaving_out.pk)
    promised = coming.aggregate(total=Sum("amount"))["total"] or ZERO
    return exact_sum((*values(units, price, digits), promised))


def investors_of(offer: Offer) -> set[int]:
    """Owners of its investments that are active or still to be funded."""
    living = (Investment.State.ACTIVE, Investment.State.PENDING)
    return set(
        Investment.objects.filter(terms__offer=offer, state__in=living).values_list("owner_id", flat=True)
    )


def waiting_reason(request: Request) -> str:
    """Why a request has not been executed yet, in plain words; empty for one that has ended."""
    if request.state == Request.State.PENDING:
        terms = request.investment.terms
        if terms is not None and terms.offer.approval == Offer.Approval.MANAGER:
            return _("Waits for the manager's approval.")
        return _("Waits for the broker's approval.")
    if request.state not in (Request.State.CONFIRMED, Request.State.COLLECTING):
        return ""
    reasons = {
        "positions_open": _(
            "Waits until the manager has closed the open positions: yours are the last units."
        ),
        "free_margin": _("Waits until the account has enough free margin to pay you."),
        "under_water": _("Waits: the account is worth nothing while its positions are open."),
        "own_capital_missing": _("Waits until the manager's own capital has arrived."),
        "quiet_window": _(
            "Waits: prices around the trading server's day change are not fair to those who stay."
        ),
        "no_live_price": _("Waits until every open position has a live price."),
        "account_held": _("Waits: the broker is checking the account."),
        "transfer_under_way": (
            moving := _("Waits for the trading server to confirm the movement of the money.")
        ),
        "remainder": _("Waits one rollover: a remainder in the account is cleared first."),
        "others_first": _("Waits until all investors have been paid: the manager's own capital leaves last."),
        **dict.fromkeys(Request.RETURNING_REASONS, moving),
    }
    return reasons.get(request.reason_code, _("Waits for the next rollover."))


def own_capital_present(account_reference: OuterRef) -> Q:
    """Condition: the account's own capital is invested, or on its way in at this rollover."""
    invested = Investment.objects.filter(
        account=account_reference, is_own_capital=True, state=Investment.State.ACTIVE, units__gt=0
    )
    coming = Request.objects.filter(
        account=account_reference,
        investment__is_own_capital=True,
        kind=Request.Kind.DEPOSIT,
        state=Request.State.COLLECTING,
    )
    return Q(Exists(invested) | Exists(coming))


def _with_relations() -> QuerySet[Request]:
    return Request.objects.select_related("investment__owner", "investment__terms__offer", "account__manager")
