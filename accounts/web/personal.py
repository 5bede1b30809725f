"""A person's own trading accounts in the cabinet: what is free on them, and connecting one that exists."""

from collections.abc import Sequence

from allauth.account.utils import get_next_redirect_url
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts.errors import OwnAccountsNotOpened, TradingAccountTaken, WrongTradingPassword
from accounts.models import PersonalAccount, User
from accounts.queries import personal_accounts_of
from accounts.services import forget_invitation, link_personal_account, open_own_account
from accounts.web.forms import ConnectAccountForm, OpenOwnAccountForm
from accounts.web.lockout import Attempt, trading_door
from brokers.errors import Refusal
from brokers.queries import broker_in_scope
from investing.web.forms import add_refusal
from investing.web.free_money import free_money_if_known

OPEN = "open"


@sensitive_post_parameters("password")
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def trading_accounts(request: HttpRequest) -> HttpResponse:
    """The reader's personal accounts, and forms to connect one or, where the broker allows it, to open one;
    then on to `next`, if it is of this host.
    """
    person = _person(request)
    following = get_next_redirect_url(request)
    accounts = list(personal_accounts_of(person).select_related("server"))
    is_sent, opens = request.method == "POST", request.POST.get("do") == OPEN
    form = ConnectAccountForm(request.POST if is_sent and not opens else None)
    opening = _opening_form(request, accounts, is_sent=is_sent and opens)
    status = 422 if form.errors or (opening is not None and opening.errors) else 200
    try:
        if opens and is_sent:
            if opening is None:
                raise OwnAccountsNotOpened
            if opening.is_valid():
                return _opened(request, person, opening, following)
        elif form.is_valid():
            account = _connect(request, person, form)
            messages.success(request, _("Trading account %(account)s is connected.") % {"account": account})
            return HttpResponseRedirect(following or reverse("accounts:trading-accounts"))
    except Refusal as refusal:
        if opens and opening is None:
            raise
        add_refusal(opening if opens and opening is not None else form, refusal)
        status = refusal.status
    if form.errors:
        form.focus_error()
    free = free_money_if_known(accounts)
    context = {
        "form": form,
        "opening": opening,
        "rows": [(account, free.get(account.pk)) for account in accounts],
        "is_server_silent": bool(accounts) and not free,
        "next": following,
    }
    return render(request, "accounts/personal_accounts.html", context, status=status)


def _opening_form(
    request: HttpRequest, accounts: Sequence[PersonalAccount], *, is_sent: bool
) -> OpenOwnAccountForm | None:
    """None where the broker opens accounts itself, or has no other currency for this person."""
    if not broker_in_scope().opens_trading_accounts:
        return None
    currency = request.GET.get("currency", "")
    form = OpenOwnAccountForm(request.POST if is_sent else None, accounts=accounts, currency=currency)
    return form if form.has_choice or is_sent else None


def _opened(
    request: HttpRequest, person: User, form: OpenOwnAccountForm, following: str | None
) -> HttpResponse:
    """The page that shows the password, this once. Raises what `open_own_account` raises."""
    account, password = open_own_account(user=person, group=form.cleaned_data["group"])
    context = {"account": account, "trading_password": password, "next": following}
    return render(request, "accounts/own_account_opened.html", context)


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


@login_required
@require_POST
def decline_invitation(request: HttpRequest) -> HttpResponse:
    """Stop reminding somebody of the offer that a join link led to."""
    forget_invitation(user=_person(request))
    return HttpResponseRedirect(reverse("offers:leaderboard"))


def _person(request: HttpRequest) -> User:
    """Who is signed in: the page is behind `login_required`."""
    assert isinstance(request.user, User)
    return request.user
