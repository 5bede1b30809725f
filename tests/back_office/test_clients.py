"""Clients and their trading accounts, added in the back office."""

import re
import uuid
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.test import Client
from django.urls import reverse

from accounts.models import PersonalAccount, Role, User
from accounts.queries import user_roles
from brokers.models import Broker
from brokers.scope import broker_scope
from outbox.models import Event
from tests.back_office.conftest import signed_in
from tests.circle.world import Desk
from tests.worlds import PASSWORD, broker_called, person
from trading.models import TradingGroup

DORA = {"email": " Dora@Example.com", "first_name": "Dora", "last_name": "Dean"}
NOT_ADMINISTRATORS = [Role.DEALER, Role.AUDITOR, Role.MANAGER, Role.AGENT, Role.INVESTOR]


def add_client(client: Client, **changes: str) -> Any:
    return client.post(reverse("admin:accounts_user_add_client"), DORA | changes)


def opening(user: User) -> str:
    return reverse("admin:accounts_user_open_account", args=[user.public_id])


def personal_group(currency: str = "USD") -> TradingGroup:
    group: TradingGroup = TradingGroup.objects.get(purpose=TradingGroup.Purpose.PERSONAL, currency=currency)
    return group


def open_account(client: Client, user: User, group: int | None = None, key: str = "") -> Any:
    entered = {"group": group or personal_group().pk, "key": key or str(uuid.uuid4())}
    return client.post(opening(user), entered)


def text(answer: Any) -> str:
    page: str = answer.content.decode()
    return page


def password_on(answer: Any) -> str:
    (password,) = re.findall(r"<code>([^<]+)</code>", text(answer))
    return str(password)


@pytest.fixture
def office(desk: Desk) -> Client:
    """An administrator's browser at the broker with a trading server."""
    return signed_in(Role.ADMIN, host="a.localhost")


@pytest.fixture
def dora(desk: Desk) -> User:
    return person("dora@example.com", first_name="Dora", last_name="Dean")


def test_client_is_added_without_a_password_and_logged(admin: Client) -> None:
    page = text(admin.get(reverse("admin:accounts_user_add_client")))
    assert "No password is set." in page
    assert "password1" not in page
    assert add_client(admin).status_code == 302
    dora = User.objects.get(email="dora@example.com")
    assert (dora.full_name, dora.has_usable_password()) == ("Dora Dean", False)
    assert user_roles(dora) == {Role.INVESTOR}
    assert LogEntry.objects.filter(object_id=str(dora.pk), change_message="Registered as a client.").exists()
    assert Event.objects.filter(kind="client.registered", subject=dora.public_id).exists()


def test_client_sets_the_password_by_mail_and_signs_in(admin: Client) -> None:
    add_client(admin)
    visitor = Client(HTTP_HOST="alpha.localhost")
    visitor.post("/accounts/password/reset/", {"email": "dora@example.com"})
    link = _link_in(mail.outbox[-1].body)
    form = visitor.get(link, follow=True).request["PATH_INFO"]
    assert visitor.post(form, {"password1": PASSWORD, "password2": PASSWORD}).status_code == 302
    visitor.post("/accounts/login/", {"login": "dora@example.com", "password": PASSWORD})
    # Nobody has vouched for the address yet.
    assert "_auth_user_id" not in visitor.session
    visitor.post(_link_in(mail.outbox[-1].body))
    visitor.post("/accounts/login/", {"login": "dora@example.com", "password": PASSWORD})
    assert visitor.session["_auth_user_id"] == str(User.objects.get(email="dora@example.com").pk)


def _link_in(body: object) -> str:
    found = re.search(r"http://alpha\.localhost(/\S+)", str(body))
    assert found is not None
    return found.group(1)


def test_address_that_is_taken_is_refused_at_the_field(admin: Client) -> None:
    person("dora@example.com")
    answer = add_client(admin)
    assert answer.status_code == 200
    assert "Somebody with this e-mail address is already registered." in text(answer)
    assert User.objects.filter(email="dora@example.com").count() == 1


@pytest.mark.parametrize("missing", ["email", "first_name", "last_name"])
def test_client_without_an_address_or_a_name_is_not_added(admin: Client, missing: str) -> None:
    assert add_client(admin, **{missing: ""}).status_code == 200
    assert not User.objects.filter(email="dora@example.com").exists()


@pytest.mark.parametrize("role", NOT_ADMINISTRATORS)
def test_client_is_added_by_administrators_only(alpha: Broker, role: Role) -> None:
    somebody = signed_in(role)
    assert add_client(somebody).status_code in {302, 403}
    assert somebody.get(reverse("admin:accounts_user_add_client")).status_code in {302, 403}
    assert not User.objects.filter(email="dora@example.com").exists()


def test_account_is_opened_and_its_password_shown_once_and_kept_nowhere(
    desk: Desk, office: Client, dora: User, caplog: pytest.LogCaptureFixture
) -> None:
    page = text(office.get(opening(dora)))
    assert "personal\\USD" in page
    assert "house\\USD" not in page
    assert "pamm\\USD" not in page
    with caplog.at_level("DEBUG"):
        answer = open_account(office, dora)
    account = PersonalAccount.objects.get(user=dora)
    password = password_on(answer)
    assert str(account.login) in text(answer)
    assert "no-store" in answer["Cache-Control"]
    assert desk.gateway.check_password(account.login, password)
    assert password not in caplog.text
    assert not any(password in str(row) for row in Event.objects.values())
    (entry,) = LogEntry.objects.filter(object_id=str(dora.pk))
    assert entry.change_message == f"Trading account {account.login} (USD) opened."
    for address in (opening(dora), reverse("admin:accounts_user_change", args=[dora.public_id])):
        assert password not in text(office.get(address))


def test_form_sent_again_opens_no_second_account(desk: Desk, office: Client, dora: User) -> None:
    key = str(uuid.uuid4())
    assert open_account(office, dora, key=key).status_code == 200
    again = open_account(office, dora, key=key)
    assert again.status_code == 302
    assert "already" in text(office.get(again["Location"]))
    assert PersonalAccount.objects.filter(user=dora).count() == 1
    assert open_account(office, dora).status_code == 200
    assert PersonalAccount.objects.filter(user=dora).count() == 2


def test_group_of_another_purpose_or_broker_is_no_choice(desk: Desk, office: Client, dora: User) -> None:
    house = TradingGroup.objects.filter(purpose=TradingGroup.Purpose.HOUSE).latest("pk").pk
    with broker_scope(broker_called("beta").pk):
        Desk.open(desk.simulator, "beta")
        foreign = personal_group().pk
    for group in (house, foreign):
        answer = open_account(office, dora, group=group)
        assert answer.status_code == 200
        assert "Select a valid choice" in text(answer)
    assert not PersonalAccount.objects.filter(user=dora).exists()


def test_silent_or_refusing_server_is_said_and_nothing_is_left(
    desk: Desk, office: Client, dora: User
) -> None:
    desk.simulator.arm_fault("forbid", "user/add")
    answer = open_account(office, dora)
    desk.simulator.clear_faults()
    assert answer.status_code == 302
    assert "trading server" in text(office.get(answer["Location"]))
    assert not PersonalAccount.objects.filter(user=dora).exists()
    assert not LogEntry.objects.filter(object_id=str(dora.pk)).exists()


@pytest.mark.parametrize("role", NOT_ADMINISTRATORS)
def test_account_is_opened_by_administrators_only(desk: Desk, dora: User, role: Role) -> None:
    somebody = signed_in(role, host="a.localhost")
    assert open_account(somebody, dora).status_code in {302, 403}
    assert not PersonalAccount.objects.filter(user=dora).exists()


def test_client_of_another_broker_does_not_exist(desk: Desk, dora: User) -> None:
    with broker_scope(broker_called("beta").pk):
        stranger = signed_in(Role.ADMIN, host="beta.localhost")
    assert stranger.get(opening(dora)).status_code == 404
    assert stranger.post(opening(dora), {"key": str(uuid.uuid4())}).status_code == 404
