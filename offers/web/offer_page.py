"""One offer: its account's track record, what it costs, the way in."""

import uuid
from decimal import Decimal
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from accounts.models import User
from accounts.web.invitation import invitation_url, sign_up_url
from allocation.web.live import live_page
from brokers.queries import broker_in_scope
from offers.models import Offer
from offers.queries import current_terms, get_offer_for, resolve_join_link
from offers.web.examples import entry_fee, fee_examples, fee_in_short, other_fees, tier_table
from offers.web.histogram import histogram
from offers.web.investor import is_joinable, join_url
from offers.web.monthly import best_and_worst_month, monthly_table
from offers.web.own_money import own_share
from offers.web.price_picture import price_picture
from offers.words import terms_in_words
from rollover.web.latest_trades import latest_trades
from track_record import words
from track_record.models import AccountStatistics
from track_record.queries import ChartRange, daily_points, deepest_drawdown, statistics_of

EXAMPLE_CAPITAL = Decimal(1000)
# Anybody may leave this page open, and a price is of minutes ago at best.
POLL_SECONDS = 30


@require_safe
def offer_page(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """An offer that this person may see without a link."""
    return _page(request, get_offer_for(_signed_in(request), public_id))


@require_safe
def by_link_page(request: HttpRequest, token: str) -> HttpResponse:
    """The offer that a join link opens."""
    return _page(
        request, get_offer_for(_signed_in(request), resolve_join_link(token).offer.public_id, token), token
    )


def _page(request: HttpRequest, offer: Offer, token: str | None = None) -> HttpResponse:
    user = _signed_in(request)
    account, terms = offer.account, current_terms(offer)
    # The sentences of the terms name the account's currency: it is here already.
    terms.offer = offer
    statistics = statistics_of(account)
    series_url = reverse("track_record_api:price-series", args=[account.public_id])
    trades_url = reverse("trades:offer", args=[offer.public_id])
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
        "series_url": f"{series_url}?{urlencode({'link': token})}" if token else series_url,
        "latest": latest_trades(account),
        "trades_url": f"{trades_url}?{urlencode({'link': token})}" if token else trades_url,
        "is_own": user is not None and account.manager.user_id == user.pk,
        "is_joinable": is_joinable(offer),
        "join_url": join_url(offer, token),
        "sign_up_url": _sign_up_url(offer, token) if user is None else "",
        "token": token,
        "meaning": words,
    }
    if statistics is not None:
        context |= _record(statistics, _chosen_range(request))
    response = live_page(
        request,
        "offers/offer.html",
        context,
        piece="offers/offer_figures.html",
        element_id="offer-figures",
        seconds=POLL_SECONDS,
    )
    # Trades that are hidden from now on are not shown by any cache either.
    patch_cache_control(response, private=True, no_store=True)
    return response


def _sign_up_url(offer: Offer, token: str | None) -> str:
    """Sign up, then join. Empty where only join links let new clients in, and this is none."""
    if token:
        return sign_up_url(invitation_url(token))
    return sign_up_url(join_url(offer, None)) if broker_in_scope().open_sign_up else ""


def _record(statistics: AccountStatistics, chosen: ChartRange) -> dict[str, object]:
    """What the page shows of the past. `picture` is of the chosen range: without JavaScript its buttons are
    links.
    """
    share = own_share(statistics)
    return {
        "returns": words.told(statistics, words.RETURNS),
        "risks": words.told(statistics, words.RISKS),
        "ratios": words.told(statistics, words.RATIOS),
        "deepest": deepest_drawdown(statistics),
        "histogram": histogram(statistics),
        "months": monthly_table(statistics),
        "best_and_worst": best_and_worst_month(statistics),
        "own_share": share,
        "own_points": f"{float(share) * 100:.2f}" if share is not None else "",
        "ranges": ChartRange.with_labels(),
        "chosen_range": chosen.value,
        "picture": price_picture(daily_points(statistics), chosen.since(statistics.as_of)),
    }


def _chosen_range(request: HttpRequest) -> ChartRange:
    try:
        return ChartRange(request.GET.get("range", ""))
    except ValueError:
        return ChartRange.YEAR


def _signed_in(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None
