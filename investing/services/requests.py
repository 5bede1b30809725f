"""Asking, confirming, rejecting, cancelling. No money moves here: the rollover does that.

Everything a person can be told at once is checked when he asks; what depends on the executing rollover (its
price, its margin) is checked again there.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from decimal import Decimal
from functools import wraps
from typing import ParamSpec

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from accounts.models import STAFF_ROLES, HouseAccount, PammAccount, PersonalAccount, User
from accounts.queries import agent_chain, has_role
from allocation.models import Investment
from allocation.services import lock_in_ends_at
from brokers.errors import NotAllowed, NotFound, Refusal
from fees.calc.performance import WithdrawalKind
from fees.calc.schedule import Basis
from fees.errors import MoreThanAvailable
from fees.queries import TermsRead, fee_basis, last_moment
from fees.services import plan_withdrawal, withdrawal_kind
from investing.amounts import require_amount
from investing.errors import (
    AccountNotActive,
    AccountSuspended,
    AlreadyClosing,
    AmountBelowMinimum,
    CurrencyDiffers,
    IdempotencyKeyReused,
    InvestmentNotActive,
    LockInNotOver,
    NoPlaceLeft,
    OfferNotOpen,
    OppositeRequestOpen,
    OverCapacity,
    OverPersonalBalance,
    OwnCapitalWouldBreak,
    OwnOffer,
    ReasonMissing,
    RequestNotPending,
    StaleConfirmation,
    TakenOutEarly,
    TermsChanged,
)
from investing.models import Request
from investing.queries import capacity_used, investors_of, may_decide, open_requests
from investing.services.money_at_server import free_money_of
from money.exact import exact_difference, exact_sum
from offers.models import JoinLink, Offer, Terms
from offers.queries import current_terms, get_offer_for
from offers.services import use_join_link
from outbox.services import record_event
from transfers.models import Side, Transfer
from transfers.services import Endpoint, release_transfers

PENDING_FOR = timedelta(days=7)
"""How long a request waits for approval before it expires."""

Asked = ParamSpec("Asked")


def _once(ask: Callable[Asked, Request]) -> Callable[Asked, Request]:
    """The same click at the same moment is one request.

    The faster twin leaves the slower no room: its capacity is used, its link spent, its investment closing.
    Whoever is refused beside a request of his own key is answered with that one.
    """

    @wraps(ask)
    def asked_once(*args: Asked.args, **given: Asked.kwargs) -> Request:
        try:
            return ask(*args, **given)
        except (IntegrityError, Refusal):
            by = given.get("by") or given.get("owner")
            assert isinstance(by, User)
            twins = Request.objects.filter(created_by=by, idempotency_key=str(given["idempotency_key"]))
            if not twins.exists():
                raise
            return ask(*args, **given)

    return asked_once


@_once
def request_first_deposit(
    *,
    owner: User,
    offer: Offer,
    terms: Terms,
    personal_account: PersonalAccount,
    amount: Decimal,
    idempotency_key: str,
    join_link: JoinLink | None = None,
) -> Request:
    """Ask to join an offer with `amount`, under the version of its terms the owner saw.

    The same key with the same content answers the first request again. Raises the refusals of
    `investing.errors` and `NotFound` for an offer or personal account that is not the owner's to use.
    """
    content = _Content(Request.Kind.DEPOSIT, amount, terms=terms, personal_account=personal_account)
    if (earlier := _earlier(owner, idempotency_key, content)) is not None:
        return earlier
    offer = get_offer_for(owner, offer.public_id, join_link.token if join_link is not None else None)
    account = offer.account
    if personal_account.user_id != owner.pk:
        raise NotFound
    if account.manager.user_id == owner.pk:
        raise OwnOffer
    if offer.state != Offer.State.OPEN:
        raise OfferNotOpen
    if current_terms(offer).pk != terms.pk:
        raise TermsChanged
    _require_same_currency(personal_account, account)
    require_amount(amount, currency=account.currency, digits=account.currency_digits, step=terms.amount_step)
    _require_at_least(amount, terms.minimum_first, account)
    _require_on_server(personal_account, amount)

    def make() -> Request:
        lock_account(account)
        locked = Offer.objects.select_for_update(of=("self",)).select_related("account").get(pk=offer.pk)
        if locked.state != Offer.State.OPEN:
            raise OfferNotOpen
        _require_capacity(locked, amount, owner)
        _require_no_opposite(account, owner, Request.Kind.DEPOSIT)
        _require_not_taken_out_early(account, owner)
        if join_link is not None:
            use_join_link(link=join_link)
        investment = Investment.objects.create(
            account=account,
            owner=owner,
            personal_account=personal_account,
            terms=terms,
            series=account.series,
            agents=[str(agent.public_id) for agent in agent_chain(personal_account)],
        )
        return _create(
            investment, Request.Kind.DEPOSIT, amount, owner, idempotency_key, approval=offer.approval
        )

    with transaction.atomic():
        return make()


@_once
def request_further_deposit(
    *, investment: Investment, amount: Decimal, by: User, idempotency_key: str
) -> Request:
    """Ask to add money to an investment. Refusals as `request_first_deposit`."""
    content = _Content(Request.Kind.DEPOSIT, amount, investment=investment)
    if (earlier := _earlier(by, idempotency_key, content)) is not None:
        return earlier
    _require_owner(investment, by)
    account, terms = investment.account, investment.terms
    require_amount(
        amount,
        currency=account.currency,
        digits=account.currency_digits,
        step=terms.amount_step if terms is not None else None,
    )
    if terms is not None:
        _require_at_least(amount, terms.minimum_further, account)
        if terms.offer.state not in (Offer.State.OPEN, Offer.State.PAUSED):
            raise OfferNotOpen
    _require_on_server(investment.personal_account, amount)

    def make() -> Request:
        lock_account(account)
        locked = lock_investment(investment)
        if terms is not None:
            offer = (
                Offer.objects.select_for_update(of=("self",)).select_related("account").get(pk=terms.offer_id)
            )
            _require_capacity(offer, amount, by)
        _require_no_opposite(account, by, Request.Kind.DEPOSIT)
        _require_not_taken_out_early(account, by)
        approval = terms.offer.approval if terms is not None else Offer.Approval.AUTOMATIC
        return _create(locked, Request.Kind.DEPOSIT, amount, by, idempotency_key, approval=approval)

    with transaction.atomic():
        return make()


@_once
def request_withdrawal(
    *,
    investment: Investment,
    amount: Decimal,
    by: User,
    idempotency_key: str,
    close_if_below_minimum: bool = False,
) -> Request:
    """Ask to take out `amount` net of fees. Needs nobody's consent; executed at the next rollover's price.

    To ask for what closing would pay, or more than can be taken while the minimum remains (with
    `close_if_below_minimum`), is a close.
    """
    content = _Content(Request.Kind.WITHDRAWAL, amount, investment=investment)
    if (earlier := _earlier(by, idempotency_key, content)) is not None:
        return earlier
    _require_owner(investment, by)
    account = investment.account
    require_amount(amount, currency=account.currency, digits=account.currency_digits)

    def make() -> Request:
        lock_account(account, leaving=True)
        locked = lock_investment(investment)
        _require_active(locked)
        require_lock_in_over(locked)
        _require_no_opposite(account, by, Request.Kind.WITHDRAWAL)
        promised = _promised(locked)
        basis = fee_basis(locked, last_moment(account))
        kind = withdrawal_kind(
            locked,
            exact_sum((amount, promised)),
            basis,
            closes_if_too_little_remains=close_if_below_minimum,
        )
        if kind is WithdrawalKind.PART:
            plan = plan_withdrawal(locked, exact_sum((amount, promised)), basis)
            _require_own_capital(locked, left=exact_difference(basis.value, plan.gross))
        else:
            _require_not_above_closing(locked, exact_sum((amount, promised)), basis.value)
            _require_own_capital(locked, left=Decimal(0))
        return _create(
            locked,
            Request.Kind.WITHDRAWAL,
            amount,
            by,
            idempotency_key,
            approval=Offer.Approval.AUTOMATIC,
            close_if_below_minimum=close_if_below_minimum,
        )

    with transaction.atomic():
        return make()


@_once
def request_close(*, investment: Investment, by: User, idempotency_key: str) -> Request:
    """Ask to end an investment: at the next rollover everything is crystallised and paid."""
    content = _Content(Request.Kind.CLOSE, None, investment=investment)
    if (earlier := _earlier(by, idempotency_key, content)) is not None:
        return earlier
    _require_owner(investment, by)
    account = investment.account

    def make() -> Request:
        lock_account(account, leaving=True)
        locked = lock_investment(investment)
        _require_active(locked)
        require_lock_in_over(locked)
        _require_no_opposite(account, by, Request.Kind.CLOSE)
        _require_own_capital(locked, left=Decimal(0))
        return _create(
            locked, Request.Kind.CLOSE, None, by, idempotency_key, approval=Offer.Approval.AUTOMATIC
        )

    with transaction.atomic():
        return make()


def deposit_found_money(
    *, investment: Investment, amount: Decimal, paid_by: HouseAccount, by: User, idempotency_key: str
) -> Request:
    """A confirmed deposit of money that stood in the account already and is the broker's to give, in the
    caller's transaction: it comes from `paid_by` at the next rollover. No minimum or capacity is asked about.

    Raises `OppositeRequestOpen`, `AccountSuspended`.
    """
    account = investment.account
    if account.state == PammAccount.State.SUSPENDED:
        raise AccountSuspended
    _require_no_opposite(account, investment.owner, Request.Kind.DEPOSIT)
    return _create(
        investment,
        Request.Kind.DEPOSIT,
        amount,
        by,
        idempotency_key,
        approval=Offer.Approval.AUTOMATIC,
        origin=Request.Origin.RECONCILIATION,
        paid_by=paid_by,
    )


def confirm_request(*, request: Request, by: User, expected_amount: Decimal | None = None) -> Request:
    """Approve a pending deposit: the next rollover executes it. Confirming twice is confirming once.

    `expected_amount` is what the approver saw. Raises `NotAllowed`, `RequestNotPending`, `StaleConfirmation`,
    `OverCapacity`, `AccountNotActive`, `AccountSuspended`.
    """
    with transaction.atomic():
        locked = _lock_request(request)
        if locked.state in (Request.State.CONFIRMED, Request.State.COLLECTING, Request.State.EXECUTED):
            return locked
        if locked.state != Request.State.PENDING:
            raise RequestNotPending(state=locked.get_state_display())
        if not may_decide(by, locked):
            raise NotAllowed
        if expected_amount is not None and expected_amount != locked.amount:
            raise StaleConfirmation
        if locked.account.state == PammAccount.State.SUSPENDED:
            raise AccountSuspended
        if locked.account.state != PammAccount.State.ACTIVE:
            raise AccountNotActive
        terms = locked.investment.terms
        if terms is not None:
            offer = (
                Offer.objects.select_for_update(of=("self",)).select_related("account").get(pk=terms.offer_id)
            )
            _require_room(offer, locked.amount or Decimal(0), leaving_out=locked)
        _confirm(locked, by)
        locked.save()
    return locked


def reject_request(*, request: Request, by: User, note: str) -> Request:
    """Decline a pending request, with a reason the owner reads. Raises `NotAllowed`, `RequestNotPending`,
    `ReasonMissing`.
    """
    if not note.strip():
        raise ReasonMissing(field="note")
    with transaction.atomic():
        locked = _lock_request(request)
        if locked.state != Request.State.PENDING:
            raise RequestNotPending(state=locked.get_state_display())
        if not may_decide(by, locked):
            raise NotAllowed
        _end(locked, Request.State.REJECTED, reason_code="rejected", note=note.strip())
        record_event("request.rejected", subject=locked.public_id, note=note.strip(), by=str(by.public_id))
    return locked


def cancel_request(*, request: Request, by: User) -> Request:
    """Take a request back before a rollover collects it; or call money back that waits in transit for a
    price.

    Raises `NotFound` for strangers, `RequestNotPending`.
    """
    with transaction.atomic():
        locked = _lock_request(request)
        if locked.investment.owner_id != by.pk and not has_role(by, *STAFF_ROLES):
            raise NotFound
        if locked.state in (Request.State.PENDING, Request.State.CONFIRMED):
            _end(locked, Request.State.CANCELLED, reason_code="cancelled")
        elif not _call_back(locked):
            raise RequestNotPending(state=locked.get_state_display())
        record_event("request.cancelled", subject=locked.public_id, by=str(by.public_id))
    return locked


def expire_requests() -> int:
    """End what has waited too long for approval. Returns how many."""
    expired = 0
    due = Request.objects.filter(state=Request.State.PENDING, expires_at__lte=timezone.now())
    for request in due.order_by("id")[:500]:
        with transaction.atomic():
            locked = _lock_request(request)
            if locked.state != Request.State.PENDING:
                continue
            _end(locked, Request.State.EXPIRED, reason_code="expired")
            record_event("request.expired", subject=locked.public_id)
            expired += 1
    return expired


def fail_request(request: Request, *, reason_code: str, note: str = "") -> None:
    """End a request that the rollover could not carry out, in the caller's transaction. Nothing of it has
    happened.
    """
    _end(request, Request.State.FAILED, reason_code=reason_code, note=note)
    record_event("request.failed", subject=request.public_id, reason=reason_code, note=note)


class _Content:
    """What must be the same for two requests with one idempotency key to be one."""

    def __init__(
        self,
        kind: Request.Kind,
        amount: Decimal | None,
        *,
        investment: Investment | None = None,
        terms: Terms | None = None,
        personal_account: PersonalAccount | None = None,
    ) -> None:
        self.kind, self.amount = kind, amount
        self.investment, self.terms, self.personal_account = investment, terms, personal_account

    def matches(self, request: Request) -> bool:
        made_for = request.investment
        return (
            request.kind == self.kind
            and request.amount == self.amount
            and (self.investment is None or made_for.pk == self.investment.pk)
            and (self.terms is None or made_for.terms_id == self.terms.pk)
            and (self.personal_account is None or made_for.personal_account_id == self.personal_account.pk)
        )


def _earlier(by: User, key: str, content: _Content) -> Request | None:
    request = (
        Request.objects.select_related("investment", "account")
        .filter(created_by=by, idempotency_key=key)
        .first()
    )
    if request is not None and not content.matches(request):
        raise IdempotencyKeyReused
    return request


def _create(
    investment: Investment,
    kind: Request.Kind,
    amount: Decimal | None,
    by: User,
    key: str,
    *,
    approval: str,
    close_if_below_minimum: bool = False,
    origin: Request.Origin = Request.Origin.OWNER,
    paid_by: HouseAccount | None = None,
) -> Request:
    account, now = investment.account, timezone.now()
    request = Request(
        investment=investment,
        account=account,
        kind=kind,
        amount=amount,
        currency=account.currency,
        currency_digits=account.currency_digits,
        close_if_below_minimum=close_if_below_minimum,
        origin=origin,
        paid_by=paid_by,
        idempotency_key=key,
        created_by=by,
        created_at=now,
    )
    if approval == Offer.Approval.AUTOMATIC or investment.is_own_capital:
        _confirm(request, None)
    else:
        request.expires_at = now + PENDING_FOR
    request.save()
    record_event(
        "request.created",
        subject=request.public_id,
        kind=kind,
        amount=str(amount) if amount is not None else None,
        currency=account.currency,
        investment=str(investment.public_id),
        state=request.state,
    )
    return request


def _confirm(request: Request, by: User | None) -> None:
    request.state = Request.State.CONFIRMED
    request.confirmed_at = timezone.now()
    request.confirmed_by = by
    request.expires_at = None
    record_event(
        "request.confirmed", subject=request.public_id, by=str(by.public_id) if by is not None else None
    )


def _end(request: Request, state: Request.State, *, reason_code: str, note: str = "") -> None:
    request.state = state
    request.ended_at = timezone.now()
    request.reason_code = reason_code
    request.reason_note = note[:300]
    request.save()
    investment = request.investment
    if investment.state == Investment.State.PENDING and request.kind == Request.Kind.DEPOSIT:
        others = Request.objects.filter(investment=investment, state__in=Request.OPEN_STATES).exclude(
            pk=request.pk
        )
        if not others.exists():
            Investment.objects.filter(pk=investment.pk, state=Investment.State.PENDING).update(
                state=Investment.State.CANCELLED,
                end_reason=Investment.EndReason.NEVER_FUNDED,
                closed_at=request.ended_at,
            )


def end_deposits_of(account: PammAccount, *, reason_code: str) -> None:
    """End the deposits of an account that takes no more, in the caller's transaction, its row locked: what
    stands in transit goes back. One that a rollover is collecting at this moment is ended by a rollover, also
    where the account takes deposits again by then.
    """
    deposits = Request.objects.filter(
        account=account, kind=Request.Kind.DEPOSIT, state__in=Request.OPEN_STATES
    )
    for request in deposits.order_by("id"):
        locked = _lock_request(request)
        if locked.state in (Request.State.PENDING, Request.State.CONFIRMED):
            _end(locked, Request.State.CANCELLED, reason_code=reason_code)
        elif not _call_back(locked):
            locked.reason_code = reason_code
            locked.save(update_fields=["reason_code"])
            continue
        record_event("request.cancelled", subject=locked.public_id, reason=reason_code)


def cancel_for_stop(stopped: Mapping[int, Collection[int]]) -> None:
    """End deposits of `stopped` owners (by account), into whatever investment of theirs, in the caller's
    transaction. Those that the rollover has collected already are ended by it.
    """
    theirs = Q()
    for account, owners in stopped.items():
        theirs |= Q(account=account, investment__owner__in=owners)
    deposits = (
        Request.objects.select_for_update(of=("self",))
        .select_related("investment")
        .filter(
            theirs,
            kind=Request.Kind.DEPOSIT,
            state__in=(Request.State.PENDING, Request.State.CONFIRMED),
        )
        .order_by("id")
    )
    for request in deposits:
        _end(request, Request.State.CANCELLED, reason_code="stop_reached")
        record_event("request.cancelled", subject=request.public_id, reason="stop_reached")


def _call_back(request: Request) -> bool:
    """Send money that stands in transit back where it came from. Whether there was any to call back."""
    if request.state != Request.State.COLLECTING or request.collection_id is None or not request.reason_code:
        return False
    collection = Transfer.objects.select_for_update().get(pk=request.collection_id)
    if collection.state != Transfer.State.IN_TRANSIT or collection.legs.filter(position=2).exists():
        return False
    release_transfers([(collection, source_of(request))])
    _end(request, Request.State.CANCELLED, reason_code="called_back")
    return True


def source_of(request: Request) -> Endpoint:
    """The account a deposit is taken from, and goes back to."""
    if request.paid_by is not None:
        return Endpoint(request.paid_by.login, Side.HOUSE, request.paid_by.public_id)
    personal = request.investment.personal_account
    return Endpoint(personal.login, Side.PERSONAL, personal.public_id)


def lock_account(account: PammAccount, *, leaving: bool = False) -> None:
    """Raises `AccountNotActive`. `leaving`: what only takes money out goes on while it is suspended."""
    state = PammAccount.objects.select_for_update().values_list("state", flat=True).get(pk=account.pk)
    if state == PammAccount.State.ACTIVE or (leaving and state == PammAccount.State.SUSPENDED):
        return
    raise AccountSuspended if state == PammAccount.State.SUSPENDED else AccountNotActive


def lock_investment(investment: Investment) -> Investment:
    locked: Investment = (
        Investment.objects.select_for_update(of=("self",))
        .select_related("account", "terms__offer", "interval__opening", "joined", "owner", "personal_account")
        .get(pk=investment.pk)
    )
    if locked.state not in (Investment.State.ACTIVE, Investment.State.PENDING):
        raise InvestmentNotActive
    closing = Request.objects.filter(
        investment=locked, kind=Request.Kind.CLOSE, state__in=Request.OPEN_STATES
    )
    if closing.exists():
        raise AlreadyClosing
    return locked


def _lock_request(request: Request) -> Request:
    locked: Request | None = (
        Request.objects.select_for_update(of=("self",))
        .select_related("investment__terms", "investment__personal_account", "account__manager", "paid_by")
        .filter(pk=request.pk)
        .first()
    )
    if locked is None:
        raise NotFound
    return locked


def _require_owner(investment: Investment, by: User) -> None:
    if investment.owner_id != by.pk:
        raise NotFound


def _require_active(investment: Investment) -> None:
    if investment.state != Investment.State.ACTIVE:
        raise InvestmentNotActive


def _require_same_currency(personal_account: PersonalAccount, account: PammAccount) -> None:
    if personal_account.currency != account.currency or personal_account.server_id != account.server_id:
        raise CurrencyDiffers(
            field="personal_account", personal=personal_account.currency, pamm=account.currency
        )


def _require_at_least(amount: Decimal, minimum: Decimal, account: PammAccount) -> None:
    if amount < minimum:
        raise AmountBelowMinimum(field="amount", minimum=minimum, currency=account.currency)


def _require_on_server(personal_account: PersonalAccount, amount: Decimal) -> None:
    promised = Request.objects.filter(
        investment__personal_account=personal_account,
        kind=Request.Kind.DEPOSIT,
        state__in=(Request.State.PENDING, Request.State.CONFIRMED),
    ).values_list("amount", flat=True)
    free = exact_difference(free_money_of(personal_account), exact_sum(value for value in promised if value))
    if amount > free:
        raise OverPersonalBalance(
            field="amount",
            login=personal_account.login,
            available=max(free, Decimal(0)),
            currency=personal_account.currency,
        )


def _require_capacity(offer: Offer, amount: Decimal, owner: User) -> None:
    if offer.capacity_investors is not None:
        investors = investors_of(offer)
        if owner.pk not in investors and len(investors) >= offer.capacity_investors:
            raise NoPlaceLeft
    _require_room(offer, amount)


def _require_room(offer: Offer, amount: Decimal, *, leaving_out: Request | None = None) -> None:
    if offer.capacity_amount is None:
        return
    left = exact_difference(offer.capacity_amount, capacity_used(offer, leaving_out=leaving_out))
    if amount > left:
        raise OverCapacity(field="amount", left=max(left, Decimal(0)), currency=offer.account.currency)


def require_lock_in_over(investment: Investment) -> None:
    ends_at = lock_in_ends_at(investment)
    if ends_at is None or timezone.now() >= ends_at:
        return
    if investment.terms is not None and investment.terms.early_exit_rate:
        return
    raise LockInNotOver(ends_at=date_format(timezone.localtime(ends_at), "DATETIME_FORMAT"))


def _require_no_opposite(account: PammAccount, owner: User, kind: Request.Kind) -> None:
    """One client has no deposit and withdrawal on one account open at the same time: nobody buys a tier with
    a flow.
    """
    if kind == Request.Kind.DEPOSIT:
        opposite = open_requests(account, owner).exclude(kind=Request.Kind.DEPOSIT)
        other = _("withdrawal")
    else:
        opposite = open_requests(account, owner).filter(kind=Request.Kind.DEPOSIT)
        other = _("deposit")
    if opposite.exists():
        raise OppositeRequestOpen(other=other)


def _require_not_taken_out_early(account: PammAccount, owner: User) -> None:
    blocked = Request.objects.filter(
        account=account, investment__owner=owner, state=Request.State.EXECUTED
    ).filter(
        Q(blocks_deposits_until__gt=timezone.now()) | Q(blocks_deposits_through__gt=account.flow_sequence)
    )
    latest = blocked.order_by("-blocks_deposits_until", "-blocks_deposits_through").first()
    if latest is None:
        return
    until = latest.blocks_deposits_until
    ends = (
        date_format(timezone.localtime(until), "DATETIME_FORMAT")
        if until is not None
        else _("{count} more rollovers").format(
            count=(latest.blocks_deposits_through or 0) - account.flow_sequence
        )
    )
    raise TakenOutEarly(ends=ends)


def is_tiered(investment: Investment) -> bool:
    """Whether the tier its fee reaches depends on a yield or a net worth."""
    return TermsRead().of(investment).schedule.basis is not Basis.FLAT


def _promised(investment: Investment) -> Decimal:
    amounts = Request.objects.filter(
        investment=investment, kind=Request.Kind.WITHDRAWAL, state__in=Request.OPEN_STATES
    ).values_list("amount", flat=True)
    return exact_sum(amount for amount in amounts if amount)


def _require_not_above_closing(investment: Investment, amount: Decimal, value: Decimal) -> None:
    if amount > value:
        raise MoreThanAvailable(field="amount", largest=value, currency=investment.account.currency)


def _require_own_capital(investment: Investment, *, left: Decimal) -> None:
    account = investment.account
    if not investment.is_own_capital or (left >= account.minimum_own_capital and left > 0):
        return
    others = Investment.objects.filter(
        account=account, is_own_capital=False, state__in=(Investment.State.ACTIVE, Investment.State.PENDING)
    )
    if others.exists():
        raise OwnCapitalWouldBreak(
            field="amount", minimum=account.minimum_own_capital, currency=account.currency
        )
