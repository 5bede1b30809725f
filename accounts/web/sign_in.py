"""The second door: trading login and password, verified by the trading server, then allauth's own flow."""

from allauth.account.app_settings import AppSettings
from allauth.account.internal.flows.login import perform_login, record_authentication
from allauth.account.models import Login
from allauth.account.utils import get_next_redirect_url
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from accounts.errors import TradingServerSilent, WrongTradingPassword
from accounts.models import PersonalAccount, User
from accounts.web.forms import TradingLoginForm
from accounts.web.lockout import Attempt, trading_door
from brokers.errors import Refusal
from trading.gateway import GatewayError
from trading.gateways import gateway_for
from trading.models import TradingServer


@never_cache
@sensitive_post_parameters("password")
def trading_login(request: HttpRequest) -> HttpResponse:
    """Ask for login and password; whoever proves both continues where e-mail and password would have led."""
    if request.user.is_authenticated:
        return HttpResponseRedirect(get_next_redirect_url(request) or "/")
    form = TradingLoginForm(request.POST or None)
    status = 200
    if request.method == "POST" and form.is_valid():
        try:
            user = _verified_owner(request, form)
        except Refusal as refusal:
            form.add_error(None, str(refusal))
            status = refusal.status
        else:
            record_authentication(request, user, "trading_login", login=form.cleaned_data["login"])
            # The trading server has vouched for the person; a second factor is still asked for.
            login = Login(
                user=user,
                email_verification=AppSettings.EmailVerificationMethod.NONE,
                redirect_url=get_next_redirect_url(request),
            )
            answer: HttpResponse = perform_login(request, login)
            return answer
    return render(request, "account/trading_login.html", {"form": form}, status=status)


def _verified_owner(request: HttpRequest, form: TradingLoginForm) -> User:
    """Whose trading login it is. Raises `WrongTradingPassword`, `TooManyAttempts`, `TradingServerSilent`."""
    server, login = form.chosen_server, form.cleaned_data["login"]
    attempt = Attempt(request, trading_door(server, login))
    try:
        is_right = gateway_for(server).check_password(login, form.cleaned_data["password"])
    except GatewayError as error:
        attempt.succeeded()
        raise TradingServerSilent from error
    owner = _owner(server, login)
    # Asked of the server first in any case: how long the answer takes does not tell which logins are ours.
    if not is_right or owner is None:
        raise WrongTradingPassword
    attempt.succeeded()
    return owner


def _owner(server: TradingServer, login: int) -> User | None:
    account = PersonalAccount.objects.filter(server=server, login=login).select_related("user").first()
    return account.user if account else None
