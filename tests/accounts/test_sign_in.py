"""The doors into the cabinet, against a real simulated trading server."""

import re
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.contrib.sessions.models import Session
from django.core import mail
from django.test import Client

from accounts.models import Membership, PersonalAccount, Role, User
from brokers.scope import broker_scope
from tests.simulator import PASSWORD as TRADING_PASSWORD
from tests.simulator import SimulatorProcess
from tests.worlds import PASSWORD, AliceBobCharlie, enrol, person, personal_account, signed_in, totp_code
from trading.models import TradingServer

ALPHA, BETA = "alpha.localhost", "beta.localhost"
LOGIN, TRADING_LOGIN = "/accounts/login/", "/accounts/trading-login/"


def by_email(client: Client, email: str, password: str = PASSWORD, **more: Any) -> Any:
    return client.post(LOGIN, {"login": email, "password": password, **more})


def by_trading_login(client: Client, login: int, password: str = TRADING_PASSWORD) -> Any:
    return client.post(TRADING_LOGIN, {"login": login, "password": password})


def signed_in_as(client: Client) -> str | None:
    """Primary key of whoever the server takes the browser for."""
    cookie = client.cookies.get("sessionid")
    found: str | None = client.session.get("_auth_user_id") if cookie else None
    return found


def who(client: Client, broker_id: int) -> int | None:
    with broker_scope(broker_id):
        found = signed_in_as(client)
    return int(found) if found else None


def text(answer: Any) -> str:
    content: bytes = answer.content
    return content.decode()


@pytest.fixture
def trader(world: AliceBobCharlie, simulator: SimulatorProcess) -> tuple[User, int]:
    """A client of broker A with an account on its trading server."""
    login = simulator.add_account()
    with broker_scope(world.alpha.pk):
        user = person("trader@example.com")
        personal_account(user, TradingServer.objects.get(), login)
    return user, login


def test_email_and_password_open_the_cabinet_in_any_case_of_the_address(world: AliceBobCharlie) -> None:
    client = Client(HTTP_HOST=ALPHA)
    assert by_email(client, " Bob@Example.COM ").status_code == 302
    assert who(client, world.alpha.pk) == world.bob.pk


def test_email_of_another_broker_opens_nothing(world: AliceBobCharlie) -> None:
    client = Client(HTTP_HOST=BETA)
    answer = by_email(client, "bob@example.com")
    assert answer.status_code == 200
    assert who(client, world.beta.pk) is None


def test_same_address_at_two_brokers_is_two_people(world: AliceBobCharlie) -> None:
    with broker_scope(world.beta.pk):
        other_bob = person("bob@example.com", password="another good password")
    client = Client(HTTP_HOST=BETA)
    by_email(client, "bob@example.com")
    assert who(client, world.beta.pk) is None
    by_email(client, "bob@example.com", "another good password")
    assert who(client, world.beta.pk) == other_bob.pk


def test_session_of_one_broker_is_nobody_at_another(world: AliceBobCharlie) -> None:
    client = signed_in(world.bob)
    stolen = Client(HTTP_HOST=BETA)
    stolen.cookies["sessionid"] = client.cookies["sessionid"].value
    assert stolen.get("/portfolio/").status_code == 302
    with broker_scope(world.beta.pk):
        assert not Session.objects.exists()


def test_sign_in_changes_the_session_key(world: AliceBobCharlie) -> None:
    client = Client(HTTP_HOST=ALPHA)
    client.get(LOGIN)
    by_email(client, "nobody@example.com")
    before = client.cookies.get("sessionid")
    by_email(client, "bob@example.com")
    assert before is None or before.value != client.cookies["sessionid"].value


def test_sign_in_never_leads_to_another_host(world: AliceBobCharlie) -> None:
    for target in ("https://evil.example/", f"http://{BETA}/", "//evil.example"):
        answer = by_email(Client(HTTP_HOST=ALPHA), "bob@example.com", next=target)
        assert answer["Location"] == "/", target


def test_trading_login_opens_the_cabinet(world: AliceBobCharlie, trader: tuple[User, int]) -> None:
    user, login = trader
    client = Client(HTTP_HOST=ALPHA)
    assert by_trading_login(client, login).status_code == 302
    assert who(client, world.alpha.pk) == user.pk


def test_trading_login_shows_the_same_answer_whatever_is_wrong(
    world: AliceBobCharlie, trader: tuple[User, int], simulator: SimulatorProcess
) -> None:
    """Wrong password, unknown login, right password of an account that is nobody's here."""
    of_nobody = simulator.add_account()
    client = Client(HTTP_HOST=ALPHA)
    answers = [
        by_trading_login(client, trader[1], "not the password"),
        by_trading_login(client, 99_999_999),
        by_trading_login(client, of_nobody),
    ]
    assert {answer.status_code for answer in answers} == {422}
    shown = {re.sub(r'(value|name="csrfmiddlewaretoken")="[^"]*"', "", text(answer)) for answer in answers}
    assert all("trading login or its password is not correct" in page for page in shown)
    assert who(client, world.alpha.pk) is None


def test_trading_login_of_one_broker_is_nobody_at_another(
    world: AliceBobCharlie, trader: tuple[User, int]
) -> None:
    client = Client(HTTP_HOST=BETA)
    assert by_trading_login(client, trader[1]).status_code == 422
    assert who(client, world.beta.pk) is None


def test_trading_login_of_a_person_with_a_second_factor_asks_for_it(
    world: AliceBobCharlie, trader: tuple[User, int]
) -> None:
    user, login = trader
    with broker_scope(world.alpha.pk):
        secret = enrol(user)
    client = Client(HTTP_HOST=ALPHA)
    assert by_trading_login(client, login)["Location"].startswith("/accounts/2fa/authenticate/")
    assert who(client, world.alpha.pk) is None
    client.post("/accounts/2fa/authenticate/", {"code": totp_code(secret)})
    assert who(client, world.alpha.pk) == user.pk


def test_trading_login_of_a_person_who_was_shut_out_opens_nothing(
    world: AliceBobCharlie, trader: tuple[User, int]
) -> None:
    user, login = trader
    with broker_scope(world.alpha.pk):
        user.is_active = False
        user.save()
    client = Client(HTTP_HOST=ALPHA)
    by_trading_login(client, login)
    by_email(client, user.email)
    assert who(client, world.alpha.pk) is None


def test_silent_trading_server_is_said_and_counts_as_no_failure(
    world: AliceBobCharlie, trader: tuple[User, int]
) -> None:
    with broker_scope(world.alpha.pk):
        server = TradingServer.objects.get()
        port, server.port = server.port, 1
        server.save()
    client = Client(HTTP_HOST=ALPHA)
    for _ in range(7):
        answer = by_trading_login(client, trader[1])
        assert answer.status_code == 503
    with broker_scope(world.alpha.pk):
        server.port = port
        server.save()
    assert by_trading_login(client, trader[1]).status_code == 302


def test_fifth_failure_closes_the_email_door_even_for_the_right_password(world: AliceBobCharlie) -> None:
    client = Client(HTTP_HOST=ALPHA)
    for _ in range(5):
        assert "is not correct" in text(by_email(client, "bob@example.com", "wrong"))
    assert "Too many failed attempts" in text(by_email(client, "bob@example.com"))
    assert who(client, world.alpha.pk) is None
    by_email(client, "alice@example.com")
    assert who(client, world.alpha.pk) == world.alice.pk


def test_email_door_closes_for_an_address_that_does_not_exist_just_the_same(world: AliceBobCharlie) -> None:
    client = Client(HTTP_HOST=ALPHA)
    pages = [text(by_email(client, "nobody@example.com", "wrong")) for _ in range(6)]
    assert "is not correct" in pages[4]
    assert "Too many failed attempts" in pages[5]


def test_closed_door_of_one_broker_stays_open_at_another(world: AliceBobCharlie) -> None:
    with broker_scope(world.beta.pk):
        person("bob@example.com")
    alpha, beta = Client(HTTP_HOST=ALPHA), Client(HTTP_HOST=BETA)
    for _ in range(6):
        by_email(alpha, "bob@example.com", "wrong")
    assert by_email(beta, "bob@example.com").status_code == 302


def test_fifth_failure_closes_the_trading_door_even_for_the_right_password(
    world: AliceBobCharlie, trader: tuple[User, int]
) -> None:
    client = Client(HTTP_HOST=ALPHA)
    for _ in range(5):
        assert by_trading_login(client, trader[1], "wrong").status_code == 422
    closed = by_trading_login(client, trader[1])
    assert closed.status_code == 429
    assert "Too many failed attempts. Try again in 15 minutes." in text(closed)
    assert who(client, world.alpha.pk) is None


def test_success_in_between_does_not_reset_the_count(
    world: AliceBobCharlie, trader: tuple[User, int]
) -> None:
    for _ in range(4):
        by_trading_login(Client(HTTP_HOST=ALPHA), trader[1], "wrong")
    assert by_trading_login(Client(HTTP_HOST=ALPHA), trader[1]).status_code == 302
    assert by_trading_login(Client(HTTP_HOST=ALPHA), trader[1], "wrong").status_code == 422
    assert by_trading_login(Client(HTTP_HOST=ALPHA), trader[1], "wrong").status_code == 429


def test_fifth_wrong_code_closes_the_second_factor(world: AliceBobCharlie) -> None:
    with broker_scope(world.alpha.pk):
        secret = enrol(world.bob)
    client = Client(HTTP_HOST=ALPHA)
    by_email(client, "bob@example.com")
    for _ in range(5):
        client.post("/accounts/2fa/authenticate/", {"code": "000000"})
    answer = client.post("/accounts/2fa/authenticate/", {"code": totp_code(secret)})
    assert "Too many failed attempts" in text(answer)
    assert who(client, world.alpha.pk) is None


def test_code_that_was_used_is_not_taken_again(world: AliceBobCharlie) -> None:
    with broker_scope(world.alpha.pk):
        secret = enrol(world.bob)
    code = totp_code(secret)
    for expected in (world.bob.pk, None):
        client = Client(HTTP_HOST=ALPHA)
        by_email(client, "bob@example.com")
        client.post("/accounts/2fa/authenticate/", {"code": code})
        assert who(client, world.alpha.pk) == expected


def test_visitor_signs_up_confirms_the_address_and_is_an_investor(world: AliceBobCharlie) -> None:
    client = Client(HTTP_HOST=ALPHA)
    sent = {"first_name": "Dora", "email": "Dora@Example.com", "password1": PASSWORD}
    answer = client.post("/accounts/signup/", sent)
    assert answer.status_code == 302
    assert who(client, world.alpha.pk) is None
    (message,) = mail.outbox
    assert message.to == ["dora@example.com"]
    link = re.search(r"http://\S+", str(message.body))
    assert link is not None
    client.post(link.group().removeprefix(f"http://{ALPHA}"))
    by_email(client, "dora@example.com")
    with broker_scope(world.alpha.pk):
        dora = User.objects.get(email="dora@example.com")
        assert [membership.role for membership in Membership.objects.filter(user=dora)] == [Role.INVESTOR]
        assert EmailAddress.objects.get(user=dora).verified
    assert who(client, world.alpha.pk) == dora.pk


def test_sign_up_with_a_known_address_looks_the_same_and_makes_nobody(world: AliceBobCharlie) -> None:
    def sign_up(email: str) -> tuple[int, str]:
        sent = {"first_name": "Dora", "email": email, "password1": PASSWORD}
        answer = Client(HTTP_HOST=ALPHA).post("/accounts/signup/", sent)
        return answer.status_code, answer["Location"]

    assert sign_up("bob@example.com") == sign_up("new@example.com")
    with broker_scope(world.alpha.pk):
        assert User.objects.filter(email="bob@example.com").count() == 1


def test_password_reset_of_an_unknown_address_looks_the_same(world: AliceBobCharlie) -> None:
    def reset(email: str) -> tuple[int, str]:
        answer = Client(HTTP_HOST=ALPHA).post("/accounts/password/reset/", {"email": email})
        return answer.status_code, answer["Location"]

    assert reset("bob@example.com") == reset("nobody@example.com") == reset("charlie@example.com")


def test_link_to_reset_a_password_is_worthless_at_another_broker(world: AliceBobCharlie) -> None:
    Client(HTTP_HOST=ALPHA).post("/accounts/password/reset/", {"email": "bob@example.com"})
    link = re.search(r"http://alpha\.localhost(/\S+)", str(mail.outbox[-1].body))
    assert link is not None
    page = Client(HTTP_HOST=BETA).get(link.group(1), follow=True)
    assert 'name="password1"' not in text(page)
    assert 'name="password1"' in text(Client(HTTP_HOST=ALPHA).get(link.group(1), follow=True))


def test_secret_of_the_second_factor_is_stored_encrypted(world: AliceBobCharlie) -> None:
    from django.db import connection

    with broker_scope(world.alpha.pk), connection.cursor() as cursor:
        secret = enrol(world.bob)
        cursor.execute("SELECT data::text FROM mfa_authenticator")
        (stored,) = cursor.fetchone()
    assert secret not in stored


def test_passkey_belongs_to_the_host_of_its_broker(world: AliceBobCharlie) -> None:
    answer = Client(HTTP_HOST=ALPHA).get("/accounts/2fa/webauthn/login/", HTTP_ACCEPT="application/json")
    assert answer.json()["request_options"]["publicKey"]["rpId"] == ALPHA


def test_personal_account_of_another_broker_with_the_same_login_is_not_found(
    world: AliceBobCharlie, trader: tuple[User, int]
) -> None:
    with broker_scope(world.beta.pk):
        assert not PersonalAccount.objects.filter(login=trader[1]).exists()


def test_door_pages_are_shown(world: AliceBobCharlie) -> None:
    client = Client(HTTP_HOST=ALPHA)
    for address in (LOGIN, TRADING_LOGIN, "/accounts/signup/", "/accounts/password/reset/"):
        page = client.get(address)
        assert page.status_code == 200, address
        assert "csrfmiddlewaretoken" in text(page)
        assert 'class="form-control' in text(page)
