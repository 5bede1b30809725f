"""A person's own trading accounts in the cabinet: what is free on them, and connecting one that exists."""

from allauth.account.utils import get_next_redirect_url
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.errors import TradingAccountTaken, WrongTradingPassword
from accounts.models import PersonalAccount, User
from accounts.queries import personal_accounts_of
from accounts.services import link_personal_account
from accounts.web.forms import ConnectAccountForm
from accounts.web.lockout import Attempt, trading_door
from brokers.errors import Refusal
from investing.web.forms import add_refusal
from investing.web.free_money import free_money_if_known


@sensitive_post_parameters("password")
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def trading_accounts(request: HttpRequest) -> HttpResponse:
    """The reader's personal accounts, and a form to connect one; then on to `next`, if it is of this host."""
    person = _person(request)
    following = get_next_redirect_url(request)
    form = ConnectAccountForm(request.POST if request.method == "POST" else None)
    status = 422 if form.errors else 200
    if form.is_valid():
        try:
            account = _connect(request, person, form)
        except Refusal as refusal:
            add_refusal(form, refusal)
            status = refusal.status
        else:
            messages.success(request, _("Trading account %(account)s is connected.") % {"account": account})
            return HttpResponseRedirect(following or reverse("accounts:trading-accounts"))
    if form.errors:
        form.focus_error()
    accounts = list(personal_accounts_of(person).select_related("server"))
    free = free_money_if_known(accounts)
    context = {
        "form": form,
        "rows": [(account, free.get(account.pk)) for account in accounts],
        "is_server_silent": bool(accounts) and not free,
        "next": following,
    }
    return render(request, "accounts/personal_accounts.html", context, status=status)


def _connect(request: HttpRequest, person: User, form: ConnectAccountForm) -> PersonalAccount:
    """The account with that login, the person's own from now on. Sent twice, it is the same account.

    Raises `TooManyAttempts` and what `link_personal_account` raises.
    """
    server, login = form.chosen_server, form.cleaned_data["login"]
    attempt = Attempt(request, trading_door(server, login))
    try:
        account = link_personal_account(
            user=person, server=server, login=login, password=form.cleaned_data["password"], by=person
        )
    except WrongTradingPassword:
        raise
    except Refusal as refusal:
        # The password was right, or nobody looked at it.
        attempt.succeeded()
        own = personal_accounts_of(person).filter(server=server, login=login).first()
        if own is None or not isinstance(refusal, TradingAccountTaken):
            raise
        return own
    attempt.succeeded()
    return account


def _person(request: HttpRequest) -> User:
    """Who is signed in: the page is behind `login_required`."""
    assert isinstance(request.user, User)
    return request.user
