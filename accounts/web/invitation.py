"""A join link on its way through sign-up: from the offer it opens to the steps of joining."""

from urllib.parse import urlencode, urlsplit

from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest
from django.urls import Resolver404, resolve, reverse

from brokers.errors import Refusal
from offers.queries import resolve_join_link

START = "offers:start-by-link"


def invitation_url(token: str) -> str:
    """Where joining begins for whoever is signed in."""
    return reverse(START, args=[token])


def sign_up_url(following: str) -> str:
    """Of the sign-up page, which leads on to `following`."""
    return f"{reverse('account_signup')}?{urlencode({REDIRECT_FIELD_NAME: following})}"


def invitation_of(request: HttpRequest) -> str:
    """Token of the valid join link that the visitor is on the way to; empty without one."""
    following = request.POST.get(REDIRECT_FIELD_NAME) or request.GET.get(REDIRECT_FIELD_NAME) or ""
    try:
        match = resolve(urlsplit(following).path)
        if match.view_name != START:
            return ""
        return resolve_join_link(match.kwargs["token"]).token
    except (Resolver404, Refusal, ValueError):
        return ""
