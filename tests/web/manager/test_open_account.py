"""Opening an account: asked, shown once more, opened on a real trading server, once."""

import html
import re

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Manager, PammAccount, PersonalAccount, Role
from investing.models import Request
from tests.circle.conftest import desk, market
from tests.circle.world import Desk
from tests.web.manager.reading import text_of

__all__ = ["desk", "market"]

ADDRESS = "/manage/accounts/open/"


@pytest.fixture
def income_account(desk: Desk) -> PersonalAccount:
    account = desk.client("alice", "10000", Role.INVESTOR, Role.MANAGER)
    Manager.objects.create(user=account.user, display_name="Alice")
    return account


@pytest.fixture
def alice(income_account: PersonalAccount) -> Client:
    client = Client(SERVER_NAME="a.localhost")
    client.force_login(income_account.user)
    return client


def _typed(client: Client, paid_from: PersonalAccount, **changes: str) -> dict[str, str]:
    key = re.search(r'name="key" value="([^"]+)"', client.get(ADDRESS).content.decode())
    assert key is not None
    return {
        "name": "Macro", "description": "", "income_account": str(paid_from.public_id),
        "own_capital": "4000", "minimum_own_capital": "", "leverage": "50", "disclosure": "hidden",
        "key": key.group(1),
    } | changes  # fmt: skip


def test_account_is_reviewed_then_opened_once_however_often_it_is_clicked(
    desk: Desk, income_account: PersonalAccount, alice: Client
) -> None:
    typed = _typed(alice, income_account)
    review = text_of(alice.post(ADDRESS, typed | {"step": "review"}))
    assert "4,000.00 USD" in review
    assert not PammAccount.objects.exists()
    first, second = (alice.post(ADDRESS, typed | {"step": "open"}) for _ in range(2))
    account = PammAccount.objects.get()
    password = html.unescape(re.findall("<code>(.+)</code>", first.text)[0])
    assert account.login is not None
    assert desk.gateway.check_password(account.login, password)
    assert first["Cache-Control"] == "private, no-store"
    assert second["Location"] == reverse("accounts:managed-account", args=[account.public_id])
    assert (account.state, account.leverage, account.login is not None) == (
        PammAccount.State.ACTIVE,
        50,
        True,
    )
    request = Request.objects.get()
    assert request.state == Request.State.CONFIRMED
    assert request.amount == 4000
    page = text_of(alice.get(second["Location"]))
    assert "Deposit 4,000.00 USD: confirmed" in page


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"own_capital": "10000.01"}, "10,000 USD free"),
        ({"own_capital": "0"}, "above zero"),
        ({"own_capital": "-5"}, "above zero"),
        ({"own_capital": "0.001"}, "2 decimals"),
        ({"minimum_own_capital": "4000.01"}, "Own capital must be at least"),
        ({"own_capital": "much"}, "Enter a number."),
        ({"name": ""}, "This field is required."),
        ({"leverage": "3"}, "Select a valid choice"),
        ({"income_account": "0190a3b1-0000-7000-8000-000000000000"}, "Select a valid choice"),
        ({"key": "x"}, "Open this page again"),
    ],
)
def test_account_that_breaks_a_rule_is_not_opened(
    desk: Desk, income_account: PersonalAccount, alice: Client, changes: dict[str, str], message: str
) -> None:
    answer = alice.post(ADDRESS, _typed(alice, income_account, **changes) | {"step": "open"})
    assert answer.status_code == 422
    assert message in text_of(answer)
    assert not PammAccount.objects.filter(state=PammAccount.State.ACTIVE).exists()
    assert not Request.objects.exists()


def test_account_of_another_client_cannot_pay(
    desk: Desk, income_account: PersonalAccount, alice: Client
) -> None:
    other = desk.client("bob", "10000")
    answer = alice.post(
        ADDRESS, _typed(alice, income_account, income_account=str(other.public_id)) | {"step": "open"}
    )
    assert answer.status_code == 422
    assert not PammAccount.objects.exists()
