"""Public widgets: one offer's card and the leaderboard, to be shown in a frame on other sites.

They know nobody: `WidgetMiddleware` has taken the cookies away before anything could read them, so the answer
depends on the address alone and may be kept by everybody.
"""

import hashlib
import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

from csp.constants import SELF
from csp.decorators import csp_replace
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation
from django.utils.cache import get_conditional_response, patch_cache_control
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.http import require_safe

from brokers.errors import NotFound
from brokers.models import Broker
from offers.queries import current_terms, offers_open_to, with_current_terms
from offers.web.examples import fee_in_short
from track_record.queries import LeaderboardRow, leaderboard, statistics_of

KEPT_SECONDS = 300
THEMES = ("light", "dark", "auto")
MOST_ROWS, ROWS = 20, 5

View = Callable[..., HttpResponse]


def widget(view: View) -> View:
    """A page for a frame: in the language and theme of its address, cacheable, framed only where the broker
    says.
    """

    @require_safe
    @xframe_options_exempt
    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        broker: Broker = request.broker  # type: ignore[attr-defined]
        with translation.override(_language(request, broker)):
            made = view(request, *args, **kwargs)
        etag = f'"{hashlib.sha256(made.content).hexdigest()[:24]}"'
        made["ETag"] = etag
        found = get_conditional_response(request, etag=etag, response=made) or made
        patch_cache_control(found, public=True, max_age=KEPT_SECONDS)
        return _framed_on(broker, found)

    return answer


@widget
def offer_widget(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """The card of one offer that anybody may join."""
    offer = (
        with_current_terms(offers_open_to(None).filter(public_id=public_id))
        .select_related("account__manager")
        .first()
    )
    if offer is None:
        raise NotFound
    terms = current_terms(offer)
    row = LeaderboardRow(offer, offer.account, terms, statistics_of(offer.account))
    context = _context(request) | {"row": row, "fee": fee_in_short(terms)}
    return render(request, "track_record/widget_offer.html", context)


@widget
def leaderboard_widget(request: HttpRequest) -> HttpResponse:
    """The best offers by return; `count` of them."""
    wanted = request.GET.get("count", "")
    count = min(int(wanted), MOST_ROWS) if wanted.isdecimal() and len(wanted) < 4 else ROWS
    context = _context(request) | {"rows": leaderboard(None).rows[: max(count, 1)]}
    return render(request, "track_record/widget_leaderboard.html", context)


def _framed_on(broker: Broker, answer: HttpResponse) -> HttpResponse:
    """The decorator is for policies known beforehand; here each broker has its own."""
    decorate = csp_replace({"frame-ancestors": [SELF, *broker.widget_hosts]})
    return decorate(lambda request: answer)(None)  # type: ignore[arg-type, return-value]


def _context(request: HttpRequest) -> dict[str, Any]:
    theme = request.GET.get("theme", "")
    return {
        "theme": theme if theme in THEMES else "auto",
        "site": f"{request.scheme}://{request.get_host()}",
        "broker": request.broker,  # type: ignore[attr-defined]
    }


def _language(request: HttpRequest, broker: Broker) -> str:
    """That of the address, else the broker's: never the browser's, for which the answer is not kept apart."""
    wanted = request.GET.get("lang", "")
    for code in (wanted, broker.language):
        if translation.check_for_language(code):
            return code
    return "en"
