"""Joining an offer as an investor: how much from where, what it costs, done."""

import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from accounts.models import PersonalAccount, User
from accounts.queries import personal_accounts_of
from accounts.services import forget_invitation
from brokers.errors import NotFound, Refusal
from brokers.identifiers import new_public_id
from brokers.queries import broker_in_scope
from investing.errors import TermsChanged
from investing.models import Request
from investing.services import request_first_deposit
from investing.web.forms import add_refusal
from investing.web.free_money import free_money_if_known
from investing.web.schedule import next_rollover_at
from offers.errors import JoinLinkUsed
from offers.models import Offer, Terms
from offers.queries import current_terms, get_offer_for, resolve_join_link
from offers.web.examples import entry_fee, fee_examples, other_fees, tier_table
from offers.web.investor_forms import FirstDepositForm
from offers.words import terms_in_words


@login_required
@require_safe
def start_by_link(request: HttpRequest, token: str) -> HttpResponse:
    """On from sign-up to the steps of joining, with the link that opens them. A link that is over is said so
    once.
    """
    user = _person(request)
    try:
        offer = resolve_join_link(token).offer
    except Refusal:
        forget_invitation(user=user)
        raise
    return redirect(join_url(offer, token))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def join_page(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Invest: choose account and amount, look at what it costs, done. The same click twice is one request."""
    user = _person(request)
    token = request.POST.get("link") or request.GET.get("link") or None
    try:
        offer = get_offer_for(user, public_id, token)
    except JoinLinkUsed:
        if (made := _made_before(user, public_id, _key(request))) is None:
            raise
        return _sent(made)
    terms = current_terms(offer)
    accounts = _accounts_for(user, offer)
    if request.method != "POST":
        form = FirstDepositForm(
            terms=terms, personal_accounts=accounts, initial=_first_choice(accounts, request)
        )
        return _choose(request, offer, terms, form, accounts, token)
    form = FirstDepositForm(request.POST, terms=terms, personal_accounts=accounts)
    if not form.is_valid():
        return _choose(request, offer, terms, form, accounts, token)
    if request.POST.get("step") != "confirm":
        return _review(request, offer, terms, form, token)
    return _join(request, offer, terms, form, accounts, token)


def _join(
    request: HttpRequest,
    offer: Offer,
    terms: Terms,
    form: FirstDepositForm,
    accounts: Sequence[PersonalAccount],
    token: str | None,
) -> HttpResponse:
    """The reader saw one version of the terms: if there is a newer one, it is shown instead of joining under
    it.
    """
    amount = form.cleaned_data["amount"]
    if request.POST.get("terms") != str(terms.public_id):
        form.add_error(None, str(TermsChanged.message))
    if not request.POST.get("understood"):
        form.add_error(None, _("Say that you understand the risk, or do not invest."))
    if form.errors:
        return _review(request, offer, terms, form, token)
    try:
        made = request_first_deposit(
            owner=_person(request),
            offer=offer,
            terms=terms,
            personal_account=form.cleaned_data["personal_account"],
            amount=amount,
            idempotency_key=_key(request),
            join_link=resolve_join_link(token) if token else None,
        )
    except Refusal as refusal:
        if refusal.status == NotFound.status:
            raise
        add_refusal(form, refusal)
        return _choose(request, offer, terms, form, accounts, token)
    if token:
        forget_invitation(user=_person(request))
    return _sent(made)


def _made_before(user: User, offer_id: uuid.UUID, key: str) -> Request | None:
    """What the first of two clicks asked for, where it spent the link that led here."""
    return Request.objects.filter(
        created_by=user, idempotency_key=key, investment__terms__offer__public_id=offer_id
    ).first()


def _sent(made: Request) -> HttpResponse:
    return redirect(f"{reverse('investing:request', args=[made.public_id])}?sent")


def _choose(
    request: HttpRequest,
    offer: Offer,
    terms: Terms,
    form: FirstDepositForm,
    accounts: Sequence[PersonalAccount],
    token: str | None,
) -> HttpResponse:
    chosen = form["personal_account"].value()
    free = free_money_if_known(accounts)
    context = {
        "offer": offer,
        "account": offer.account,
        "terms": terms,
        "form": form,
        "choices": [
            (account, free.get(account.pk), str(account.public_id) == str(chosen)) for account in accounts
        ],
        "suggestions": _suggestions(terms),
        "token": token,
        "opens_accounts": broker_in_scope().opens_trading_accounts,
        "has_nothing_free": bool(free) and not any(amount > 0 for amount in free.values()),
    }
    return render(request, "offers/join.html", context, status=422 if form.errors else 200)


def _review(
    request: HttpRequest, offer: Offer, terms: Terms, form: FirstDepositForm, token: str | None
) -> HttpResponse:
    amount: Decimal = form.cleaned_data["amount"]
    for_joining = entry_fee(terms, amount)
    invested = amount - for_joining
    context = {
        "offer": offer,
        "account": offer.account,
        "terms": terms,
        "form": form,
        "amount": amount,
        "personal_account": form.cleaned_data["personal_account"],
        "for_joining": for_joining,
        "invested": invested,
        "other_fees": other_fees(terms),
        "examples": fee_examples(terms, invested),
        "tiers": tier_table(terms),
        "terms_in_words": terms_in_words(terms),
        "next_rollover_at": next_rollover_at(),
        "key": _key(request),
        "token": token,
    }
    return render(request, "offers/join_review.html", context, status=422 if form.errors else 200)


def _accounts_for(user: User, offer: Offer) -> list[PersonalAccount]:
    """The person's accounts that can pay into this offer: same server and currency."""
    account = offer.account
    return list(
        personal_accounts_of(user)
        .filter(currency=account.currency, server=account.server_id)
        .select_related("server")
    )


def _first_choice(accounts: Sequence[PersonalAccount], request: HttpRequest) -> dict[str, Any]:
    first = {"personal_account": str(accounts[0].public_id)} if accounts else {}
    return first | {"amount": request.GET.get("amount", "")[:30]}


def _suggestions(terms: Terms) -> list[Decimal]:
    """Round amounts at and above the minimum, for one tap."""
    base = max(terms.minimum_first, Decimal(100))
    return [base, base * 2, base * 5, base * 10]


def is_joinable(offer: Offer) -> bool:
    """Whether the offer takes new investments now."""
    account = offer.account
    return offer.state == Offer.State.OPEN and account.state == account.State.ACTIVE


def join_url(offer: Offer, token: str | None) -> str:
    """Where joining begins, with the link that opened the offer."""
    url = reverse("offers:join", args=[offer.public_id])
    return f"{url}?{urlencode({'link': token})}" if token else url


def _key(request: HttpRequest) -> str:
    """What makes the same click twice one request: made with the form and kept through its steps."""
    return request.POST.get("key", "")[:64] or str(new_public_id())


def _person(request: HttpRequest) -> User:
    """The signed-in person of a page that asks for one."""
    assert isinstance(request.user, User)
    return request.user
