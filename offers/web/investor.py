"""Offers as an investor sees them: the leaderboard, one offer, and joining it."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from accounts.models import PersonalAccount, User
from accounts.queries import personal_accounts_of
from brokers.errors import NotFound, Refusal
from brokers.identifiers import new_public_id
from investing.errors import TermsChanged
from investing.models import Request
from investing.services import request_first_deposit
from investing.web.forms import add_refusal
from investing.web.free_money import free_money_if_known
from investing.web.schedule import next_rollover_at
from offers.errors import JoinLinkUsed
from offers.models import Offer, Terms
from offers.queries import current_terms, get_offer_for, resolve_join_link
from offers.web.examples import entry_fee, fee_examples, fee_in_short, other_fees, tier_table
from offers.web.investor_forms import FirstDepositForm, LeaderboardForm
from offers.web.monthly import monthly_table
from offers.words import terms_in_words
from track_record.models import AccountStatistics
from track_record.queries import ChartRange, Sort, age_in_days, currencies_offered, leaderboard, statistics_of

EXAMPLE_CAPITAL = Decimal(1000)


@dataclass(frozen=True, slots=True)
class Page:
    """Where the neighbours of a page of results are."""

    is_first: bool
    first_url: str
    next_url: str | None


@require_safe
def leaderboard_page(request: HttpRequest) -> HttpResponse:
    """Every offer open to the reader, best first, with filters."""
    user = _signed_in(request)
    form = LeaderboardForm(request.GET, currencies=currencies_offered(user))
    form.is_valid()
    cursor = request.GET.get("after")
    found = leaderboard(user, form.filters(), form.order(), cursor)
    context = {
        "form": form,
        "cards": [(row, fee_in_short(row.terms), bool(other_fees(row.terms))) for row in found.rows],
        "page": Page(
            is_first=cursor is None,
            first_url=_with_parameters(request, after=None),
            next_url=_with_parameters(request, after=found.next_cursor) if found.next_cursor else None,
        ),
        "sorts_by_default": form.order() is Sort.RETURN,
    }
    return render(request, "offers/leaderboard.html", context)


@require_safe
def offer_page(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """One offer: its track record, what it costs, the way in."""
    return _offer_page(request, get_offer_for(_signed_in(request), public_id))


@require_safe
def by_link_page(request: HttpRequest, token: str) -> HttpResponse:
    """The offer that a join link opens."""
    return _offer_page(
        request, get_offer_for(_signed_in(request), resolve_join_link(token).offer.public_id, token), token
    )


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


def _offer_page(request: HttpRequest, offer: Offer, token: str | None = None) -> HttpResponse:
    user = _signed_in(request)
    account, terms = offer.account, current_terms(offer)
    statistics = statistics_of(account)
    series_url = reverse("track_record_api:price-series", args=[account.public_id])
    capital = max(EXAMPLE_CAPITAL, terms.minimum_first)
    for_joining = entry_fee(terms, capital)
    context = {
        "offer": offer,
        "account": account,
        "terms": terms,
        "terms_in_words": terms_in_words(terms),
        "fee": fee_in_short(terms),
        "other_fees": other_fees(terms),
        "tiers": tier_table(terms),
        "examples": fee_examples(terms, capital - for_joining),
        "for_joining": for_joining,
        "example_capital": capital,
        "statistics": statistics,
        "figures": _figures_with_meaning(statistics) if statistics else [],
        "own_share": _own_share(statistics, account.last_equity) if statistics else None,
        "age": age_in_days(statistics) if statistics else 0,
        "months": monthly_table(statistics) if statistics else [],
        "ranges": ChartRange.with_labels(),
        "series_url": f"{series_url}?{urlencode({'link': token})}" if token else series_url,
        "is_own": user is not None and account.manager.user_id == user.pk,
        "is_joinable": is_joinable(offer),
        "join_url": join_url(offer, token),
        "token": token,
    }
    return render(request, "offers/offer.html", context)


@dataclass(frozen=True, slots=True)
class FigureWithMeaning:
    """A statistic and what it means. `kind` says how it is written: signed, percent or ratio."""

    label: str
    value: Decimal | None
    kind: str
    meaning: str


def _figures_with_meaning(statistics: AccountStatistics) -> list[FigureWithMeaning]:
    return [
        FigureWithMeaning(str(label), getattr(statistics, name), kind, str(meaning))
        for name, kind, label, meaning in _FIGURES
    ]


_FIGURES = (
    ("total_return", "signed", gettext_lazy("Return since start"),
     gettext_lazy("Growth of one unit since the first price, before fees. Flows do not change it.")),
    ("maximum_drawdown", "signed", gettext_lazy("Largest drawdown"),
     gettext_lazy("The deepest fall from a highest price to a later lowest one, over all rollovers.")),
    ("current_drawdown", "signed", gettext_lazy("Drawdown now"),
     gettext_lazy("How far the latest price lies below the highest so far.")),
    ("volatility", "percent", gettext_lazy("Volatility"),
     gettext_lazy("How much daily returns vary, scaled to one year. Higher means a rougher ride.")),
    ("sharpe_ratio", "ratio", gettext_lazy("Sharpe ratio"),
     gettext_lazy("Yearly return per unit of volatility. Below 0 the account lost money.")),
    ("sortino_ratio", "ratio", gettext_lazy("Sortino ratio"),
     gettext_lazy("Like Sharpe, but only falls count as risk.")),
    ("calmar_ratio", "ratio", gettext_lazy("Calmar ratio"),
     gettext_lazy("Yearly return divided by the largest drawdown.")),
    ("profit_factor", "ratio", gettext_lazy("Profit factor"),
     gettext_lazy("Sum of the daily gains divided by the sum of the daily losses.")),
    ("winning_share", "percent", gettext_lazy("Winning days"),
     gettext_lazy("Share of the days with a change on which the price rose.")),
)  # fmt: skip


def _own_share(statistics: AccountStatistics, equity: Decimal) -> Decimal | None:
    return statistics.own_capital / equity if equity > 0 else None


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


def _with_parameters(request: HttpRequest, **changes: str | None) -> str:
    parameters = {name: value for name, value in request.GET.items() if value and name not in changes}
    parameters |= {name: value for name, value in changes.items() if value is not None}
    return f"{request.path}?{urlencode(parameters)}" if parameters else request.path


def _signed_in(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None


def _person(request: HttpRequest) -> User:
    """The signed-in person of a page that asks for one."""
    assert isinstance(request.user, User)
    return request.user
