"""What an investor has: the portfolio, one investment, and the files of both."""

import uuid
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.disclosure_words import disclosure_in_words
from accounts.models import User
from allocation.models import Investment, UnitEntry
from allocation.web.live import live_answer, live_piece, signed_in_piece
from allocation.web.portfolio import Portfolio, portfolio_of
from allocation.web.timeline import requests_of, timeline_of
from brokers.web.csv_files import csv_answer
from fees.explanations import charge_text
from fees.models import Charge
from fees.queries import figures_of
from investing.models import Request
from investing.queries import get_investment_for, newer_terms, stops_read_with, withdrawal_terms
from investing.web.schedule import next_rollover_at
from investing.web.withdrawable import withdrawable
from offers.words import terms_in_words
from track_record.queries import ChartRange


@login_required
@require_safe
def portfolio_page(request: HttpRequest) -> HttpResponse:
    """All investments with totals by currency; the figures refresh themselves."""
    portfolio = portfolio_of(_person(request))
    piece = live_piece(request, **_portfolio_piece(portfolio))
    return render(request, "allocation/portfolio.html", {"portfolio": portfolio, "piece": piece})


@signed_in_piece
@require_safe
def portfolio_figures(request: HttpRequest) -> HttpResponse:
    """The part of the portfolio that moves, for polling."""
    return live_answer(request, **_portfolio_piece(portfolio_of(_person(request))))


@login_required
@require_safe
def investment_page(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """One investment: value, accrued fee, net, and everything that happened to it."""
    investment = get_investment_for(_person(request), public_id)
    account = investment.account
    terms = investment.terms
    requests = requests_of(investment)
    open_requests = [asked for asked in reversed(requests) if asked.state in Request.OPEN_STATES]
    context = {
        "investment": investment,
        "account": account,
        "offer": terms.offer if terms else None,
        "terms": terms,
        "terms_in_words": terms_in_words(terms) if terms else [],
        "offered_terms": newer_terms([investment]).get(investment.pk),
        "timeline": timeline_of(investment, requests),
        "stops": stops_read_with(investment) if investment.state == Investment.State.ACTIVE else [],
        "disclosed": disclosure_in_words(account.disclosure, account.disclosure_delay),
        "series_url": reverse("track_record_api:price-series", args=[account.public_id]),
        "ranges": ChartRange.with_labels(),
        "is_active": investment.state == Investment.State.ACTIVE,
        "piece": live_piece(request, **_investment_piece(investment, open_requests)),
    }
    return render(request, "allocation/investment.html", context)


@signed_in_piece
@require_safe
def investment_figures(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """The part of an investment that moves, for polling."""
    investment = get_investment_for(_person(request), public_id)
    open_requests = Request.objects.filter(investment=investment, state__in=Request.OPEN_STATES)
    return live_answer(request, **_investment_piece(investment, list(open_requests.order_by("id"))))


@login_required
@require_safe
def entries_csv(request: HttpRequest) -> StreamingHttpResponse:
    """Every movement of units of the person's investments, as a file; amounts with a point, times in UTC."""
    own = UnitEntry.objects.filter(investment__owner=_person(request))
    return csv_answer(
        "entries.csv",
        ["time", "account", "investment", "kind", "amount", "currency", "units", "price_per_unit", "request"],
        own.select_related("account", "investment", "price_point"),
        _entry_columns,
    )


@login_required
@require_safe
def charges_csv(request: HttpRequest) -> StreamingHttpResponse:
    """Every fee of the person's investments with its explanation, as a file; times in UTC."""
    own = Charge.objects.filter(investment__owner=_person(request))
    return csv_answer(
        "fees.csv",
        [
            "time", "account", "investment", "charge", "kind", "occasion", "collects_debt", "amount",
            "uncollected", "currency", "explanation",
        ],
        own.select_related("account", "investment"),
        _charge_columns,
    )  # fmt: skip


def _charge_columns(charge: Charge) -> list[str]:
    digits = charge.currency_digits
    return [
        charge.charged_at.isoformat(),
        charge.account.name,
        str(charge.investment.public_id),
        str(charge.public_id),
        charge.kind,
        charge.occasion,
        "yes" if charge.collects_debt else "no",
        format(charge.amount, f".{digits}f"),
        format(charge.uncollected, f".{digits}f"),
        charge.currency,
        charge_text(charge),
    ]


def _entry_columns(entry: UnitEntry) -> list[str]:
    account = entry.account
    return [
        entry.price_point.priced_at.isoformat(),
        account.name,
        str(entry.investment.public_id),
        entry.kind,
        format(round(entry.amount, entry.currency_digits), "f"),
        account.currency,
        format(entry.units, "f"),
        format(entry.price_point.price, "f"),
        str(entry.source or ""),
    ]


def _portfolio_piece(portfolio: Portfolio) -> dict[str, Any]:
    return {
        "template": "allocation/portfolio_figures.html",
        "context": {"portfolio": portfolio},
        "url": reverse("allocation:portfolio-figures"),
        "element_id": "portfolio-figures",
    }


def _investment_piece(investment: Investment, open_requests: list[Request]) -> dict[str, Any]:
    is_active = investment.state == Investment.State.ACTIVE
    room = withdrawal_terms(investment, open_requests=open_requests) if is_active else None
    return {
        "template": "allocation/investment_figures.html",
        "context": {
            "investment": investment,
            "account": investment.account,
            "figures": figures_of([investment])[investment.pk],
            "open_requests": open_requests,
            "room": room,
            "withdrawable": withdrawable(room) if room is not None else None,
            "next_rollover_at": next_rollover_at(),
            "is_active": is_active,
            "fee_explanation": _(
                "What closing the investment would charge now. "
                "All but an early exit fee falls due at the end of the interval."
            ),
        },
        "url": reverse("allocation:investment-figures", args=[investment.public_id]),
        "element_id": "investment-figures",
    }


def _person(request: HttpRequest) -> User:
    """The signed-in person of a page that asks for one."""
    assert isinstance(request.user, User)
    return request.user
