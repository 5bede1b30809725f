"""Staff reach nothing without the second factor, nor do clients of a broker who wants it of them."""

from collections.abc import Callable

from allauth.account.internal.flows.login import get_authentication_records, record_authentication
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponseBase, HttpResponseForbidden, JsonResponse
from django.shortcuts import redirect
from django.urls import Resolver404, resolve
from django.utils.translation import gettext as _

from accounts.adapters import FACTORS
from accounts.models import User
from accounts.queries import needs_second_factor

#: What leads to a second factor, or out.
OPEN_VIEWS = frozenset(
    {
        "mfa_index",
        "mfa_activate_totp",
        "mfa_add_webauthn",
        "account_login",
        "account_logout",
        "account_reauthenticate",
        "account_email",
        "account_email_verification_sent",
        "account_confirm_email",
        "brokers:brand-stylesheet",
        "brokers:brand-image",
        "brokers:brand-icon",
        "brokers:choose-theme",
    }
)


#: Open only while there is no factor to show: an older session with the password alone must not add its own.
ENROLMENT_VIEWS = frozenset({"mfa_index", "mfa_activate_totp", "mfa_add_webauthn", "account_email"})


class SecondFactorMiddleware:
    """Sends who needs one to enrolment until the second factor was used in *this* session.

    That a factor exists is not enough: a session opened with the password alone, before the enrolment, would
    pass.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        user = request.user
        broker = request.broker  # type: ignore[attr-defined]
        if not isinstance(user, User) or not needs_second_factor(user, broker):
            return self.get_response(request)
        if passed_second_factor(request, user):
            return self.get_response(request)
        view = _view_name(request)
        if view in OPEN_VIEWS and not (view in ENROLMENT_VIEWS and has_second_factor(user)):
            return self.get_response(request)
        return _refused(request, user)


def passed_second_factor(request: HttpRequest, user: User) -> bool:
    """Whether this session was opened, or later confirmed, with a factor that the person still has."""
    used = {
        record.get("id") for record in get_authentication_records(request, user) if record["method"] == "mfa"
    }
    if not used:
        return False
    if user.held_factors is not None:
        return not used.isdisjoint(user.held_factors)
    still_there: bool = Authenticator.objects.filter(user=user, pk__in=used).exists()
    return still_there


def has_second_factor(user: User) -> bool:
    has_one: bool = Authenticator.objects.filter(user=user, type__in=FACTORS).exists()
    return has_one


@receiver(authenticator_added)
def enrolment_counts_as_use(
    sender: object, request: HttpRequest, user: User, authenticator: Authenticator, **kwargs: object
) -> None:
    """Whoever has just enrolled a factor has shown it."""
    if authenticator.type in FACTORS:
        record_authentication(request, user, "mfa", id=authenticator.pk, type=authenticator.type)


def _view_name(request: HttpRequest) -> str:
    try:
        return resolve(request.path_info).view_name
    except Resolver404:
        return ""


def _refused(request: HttpRequest, user: User) -> HttpResponseBase:
    if request.path.startswith("/api/"):
        problem = {
            "type": "about:blank",
            "title": _("Sign in with your second factor."),
            "status": 403,
            "code": "second_factor_required",
            "request_id": getattr(request, "request_id", None),
        }
        return JsonResponse(problem, status=403, content_type="application/problem+json")
    if request.headers.get("HX-Request") == "true":
        return HttpResponseForbidden(headers={"HX-Redirect": "/"})
    if has_second_factor(user):
        # Opened before the factor existed: sign in again, this time with it.
        from django.contrib.auth import logout

        logout(request)
        return redirect("account_login")
    return redirect("mfa_activate_totp")
