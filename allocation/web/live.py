"""A piece of a page that keeps itself up to date: polled with its ETag, sent again only when it reads
differently.
"""

import hashlib
import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.cache import patch_cache_control

POLL_SECONDS = 10

View = Callable[..., HttpResponse]


def live_piece(
    request: HttpRequest,
    template: str,
    context: dict[str, Any],
    *,
    url: str,
    element_id: str,
    seconds: int = POLL_SECONDS,
) -> str:
    """HTML of the piece inside the element that polls `url` for its next version."""
    inner = render_to_string(template, context, request)
    return _around(inner, url=url, element_id=element_id, seconds=seconds)


def live_page(
    request: HttpRequest,
    template: str,
    context: dict[str, Any],
    *,
    piece: str,
    element_id: str,
    seconds: int = POLL_SECONDS,
) -> HttpResponse:
    """A page, part of which keeps itself up to date: template `piece`, read with the page's own context.

    The piece asks at the page's own address and is answered alone, so that one gate guards both. Put
    `signed_in_piece` in the place of `login_required`.
    """
    polled: dict[str, Any] = {
        "template": piece,
        "context": context,
        "url": request.get_full_path(),
        "element_id": element_id,
        "seconds": seconds,
    }
    if request.headers.get("HX-Target") == element_id:
        return live_answer(request, **polled)
    return render(request, template, {**context, "piece": live_piece(request, **polled)})


def signed_in_piece(view: View) -> View:
    """For a polled address: who is no longer signed in gets the page anew, which then asks him to sign in.

    A redirect would be followed by the poll itself, and the sign-in page land in the portfolio.
    """

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated or request.headers.get("HX-Request") != "true":
            return login_required(view)(request, *args, **kwargs)
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})

    return answer


def live_answer(
    request: HttpRequest,
    template: str,
    context: dict[str, Any],
    *,
    url: str,
    element_id: str,
    seconds: int = POLL_SECONDS,
) -> HttpResponse:
    """Answer to a poll: 304 while the piece reads the same."""
    inner = render_to_string(template, context, request)
    etag = _etag(inner)
    if request.headers.get("If-None-Match") == etag:
        response = HttpResponse(status=304)
    else:
        response = HttpResponse(_around(inner, url=url, element_id=element_id, seconds=seconds))
    response["ETag"] = etag
    patch_cache_control(response, private=True, no_store=True)
    return response


def _around(inner: str, *, url: str, element_id: str, seconds: int) -> str:
    """The piece as it reads now, inside the element that polls."""
    wrapper = {
        "inner": inner,
        "url": url,
        "element_id": element_id,
        "seconds": seconds,
        "headers": json.dumps({"If-None-Match": _etag(inner)}),
    }
    return render_to_string("components/live.html", wrapper)


def _etag(inner: str) -> str:
    return f'"{hashlib.sha256(inner.encode()).hexdigest()[:24]}"'
