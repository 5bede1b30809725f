"""The leaderboard: every offer open to the reader, best first, and the choice of some to compare."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.models import User
from offers.web.comparison import MOST_OFFERS, chosen_offers
from offers.web.examples import fees_in_words
from offers.web.investor_forms import LeaderboardForm
from track_record.queries import LeaderboardRow, Sort, currencies_offered, leaderboard, offers_to_compare


@dataclass(frozen=True, slots=True)
class Page:
    """Where the neighbours of a page of results are."""

    is_first: bool
    first_url: str
    next_url: str | None


@require_safe
def leaderboard_page(request: HttpRequest) -> HttpResponse:
    """Offers with filters, order and pages. What was chosen for a comparison stands in the address, so it
    survives all of them.
    """
    user = request.user if isinstance(request.user, User) else None
    form = LeaderboardForm(request.GET, currencies=currencies_offered(user))
    form.is_valid()
    cursor = request.GET.get("after")
    found = leaderboard(user, form.filters(), form.order(), cursor)
    chosen = chosen_offers(request.GET)
    context = {
        "form": form,
        "cards": [(row, fees_in_words(row.terms)) for row in found.rows],
        "page": Page(
            is_first=cursor is None,
            first_url=_with_parameters(request, after=None),
            next_url=_with_parameters(request, after=found.next_cursor) if found.next_cursor else None,
        ),
        "chosen": chosen,
        "chosen_elsewhere": _chosen_elsewhere(user, chosen, found.rows),
        "most_offers": MOST_OFFERS,
        "sorts_by_default": form.order() is Sort.RETURN,
    }
    return render(request, "offers/leaderboard.html", context)


def _chosen_elsewhere(
    user: User | None, chosen: Sequence[uuid.UUID], shown: Sequence[LeaderboardRow]
) -> list[LeaderboardRow]:
    """Chosen offers that this page does not show: they are named, and can be left out again."""
    on_page = {row.offer.public_id for row in shown}
    elsewhere = [public_id for public_id in chosen if public_id not in on_page]
    return offers_to_compare(user, elsewhere) if elsewhere else []


def _with_parameters(request: HttpRequest, **changes: str | None) -> str:
    parameters = [
        (name, value)
        for name, values in request.GET.lists()
        for value in values
        if value and name not in changes
    ]
    parameters += [(name, value) for name, value in changes.items() if value is not None]
    return f"{request.path}?{urlencode(parameters)}" if parameters else request.path
