"""A person's trading accounts in the cabinet, against a real simulated trading server."""

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import PersonalAccount, User
from brokers.scope import broker_scope
from offers.models import JoinLink
from outbox.models import Event
from tests.simulator import PASSWORD as TRADING_PASSWORD
from tests.simulator import SimulatorProcess
from tests.worlds import AliceBobCharlie, person, personal_account, signed_in
from trading.models import TradingGroup, TradingServer

PAGE, TRADING_LOGIN = "/accounts/trading-accounts/", "/accounts/trading-login/"


@pytest.fixture
def server(world: AliceBobCharlie) -> Iterator[TradingServer]:
    """Broker A's, its scope entered."""
    with broker_scope(world.alpha.pk):
        yield TradingServer.objects.get()


@pytest.fixture
def dora(server: TradingServer) -> User:
    """Signed up on the public page: an investor without any trading account."""
    return person("dora@example.com")


def connect(client: Client, login: int, password: str = TRADING_PASSWORD, **more: str) -> Any:
    return client.post(PAGE, {"login": login, "password": password, **more})


def text(answer: Any) -> str:
    """The words of a page, with ordinary spaces."""
    words = unescape(re.sub(r"<[^>]+>", " ", answer.content.decode()))
    return re.sub(r"\s+", " ", words.replace("\N{NO-BREAK SPACE}", " "))


def error_at(answer: Any, field: str) -> str:
    """What the page says at a field."""
    found = re.search(rf'name="{field}".*?</div>', answer.content.decode(), flags=re.DOTALL)
    assert found is not None
    return unescape(re.sub(r"<[^>]+>", "", found.group().partition("field-error")[2]))


def owner_of(login: int) -> User | None:
    account = PersonalAccount.objects.filter(login=login).first()
    return account.user if account else None


def break_line(server: TradingServer) -> None:
    server.port = 1
    server.save()


def test_page_lists_the_readers_own_accounts_with_what_is_free(
    dora: User, server: TradingServer, simulator: SimulatorProcess
) -> None:
    for amount in ("1234.5", "0"):
        personal_account(dora, server, simulator.add_account(amount=amount))
    page = text(signed_in(dora).get(PAGE))
    first, second = PersonalAccount.objects.filter(user=dora).order_by("pk")
    assert f"{first.login} USD {server.name} 1,234.50 USD" in page
    assert f"{second.login} USD {server.name} 0.00 USD" in page
    assert "5001" not in page


def test_page_takes_the_same_statements_and_one_call_whatever_the_number_of_accounts(
    dora: User, server: TradingServer, simulator: SimulatorProcess
) -> None:
    client = signed_in(dora)
    taken = []
    for added in (1, 4):
        for _ in range(added):
            personal_account(dora, server, simulator.add_account(amount="10"))
        client.get(PAGE)
        simulator.calls(reset=True)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert text(client.get(PAGE)).count("10.00 USD") >= added
        taken.append((len(queries), simulator.calls()))
    assert taken[0] == taken[1]


def test_silent_server_is_said_and_the_accounts_are_listed_all_the_same(
    dora: User, server: TradingServer, simulator: SimulatorProcess
) -> None:
    account = personal_account(dora, server, simulator.add_account(amount="10"))
    break_line(server)
    client = signed_in(dora)
    answer = client.get(PAGE)
    assert answer.status_code == client.head(PAGE).status_code == 200
    assert f"{account.login} USD {server.name} \N{EN DASH}" in text(answer)
    assert "does not answer at the moment" in text(answer)


def test_account_is_connected_and_opens_the_cabinet_from_then_on(
    world: AliceBobCharlie, dora: User, simulator: SimulatorProcess
) -> None:
    login = simulator.add_account(amount="500")
    client = signed_in(dora)
    assert "No trading account yet" in text(client.get(PAGE))
    answer = connect(client, login)
    assert (answer.status_code, answer["Location"]) == (302, PAGE)
    page = text(client.get(PAGE))
    assert f"Trading account {login} (USD) is connected." in page
    assert "500.00 USD" in page
    account = PersonalAccount.objects.get(user=dora)
    assert (account.login, account.currency, account.currency_digits) == (login, "USD", 2)
    assert Event.objects.filter(kind="personal_account.added", subject=account.public_id).count() == 1
    door = Client(HTTP_HOST="alpha.localhost").post(
        TRADING_LOGIN, {"login": login, "password": TRADING_PASSWORD}
    )
    assert door.status_code == 302


def test_wrong_password_and_unknown_login_are_refused_alike_at_the_field(
    dora: User, simulator: SimulatorProcess
) -> None:
    login = simulator.add_account()
    client = signed_in(dora)
    for answer in (connect(client, login, "not the password"), connect(client, 99_999_999)):
        assert answer.status_code == 422
        assert "The trading login or its password is not correct." in error_at(answer, "password")
        assert re.search(r'name="password"[^>]* autofocus', answer.content.decode())
        assert "not the password" not in answer.content.decode()
        assert TRADING_PASSWORD not in answer.content.decode()
    assert not PersonalAccount.objects.filter(user=dora).exists()


@pytest.mark.parametrize("login", ["", "0", "-5", "ten", "99999999999999999999"])
def test_login_that_is_none_is_refused_at_the_field_and_the_server_is_not_asked(
    dora: User, simulator: SimulatorProcess, login: str
) -> None:
    client = signed_in(dora)
    simulator.calls(reset=True)
    answer = client.post(PAGE, {"login": login, "password": TRADING_PASSWORD})
    assert answer.status_code == 422
    assert error_at(answer, "login")
    assert client.post(PAGE).status_code == 422
    assert set(simulator.calls()) == {"test/calls"}


def test_account_of_somebody_else_is_refused_and_stays_his(
    world: AliceBobCharlie, dora: User, server: TradingServer, simulator: SimulatorProcess
) -> None:
    login = simulator.add_account()
    personal_account(world.bob, server, login)
    answer = connect(signed_in(dora), login)
    assert answer.status_code == 409
    assert "already belongs to somebody" in error_at(answer, "login")
    assert owner_of(login) == world.bob


def test_account_of_somebody_else_is_not_told_without_its_password(
    world: AliceBobCharlie, dora: User, server: TradingServer, simulator: SimulatorProcess
) -> None:
    login = simulator.add_account()
    personal_account(world.bob, server, login)
    answer = connect(signed_in(dora), login, "wrong")
    assert answer.status_code == 422
    assert "belongs to somebody" not in text(answer)


def test_own_account_sent_twice_is_one_account(dora: User, simulator: SimulatorProcess) -> None:
    login = simulator.add_account()
    client = signed_in(dora)
    assert [connect(client, login).status_code for _ in range(2)] == [302, 302]
    assert PersonalAccount.objects.filter(user=dora).count() == 1


@pytest.mark.parametrize("purpose", [TradingGroup.Purpose.PAMM, TradingGroup.Purpose.HOUSE])
def test_account_of_a_pool_or_of_the_broker_is_refused(
    dora: User, simulator: SimulatorProcess, purpose: TradingGroup.Purpose
) -> None:
    login = simulator.add_account(f"{purpose.value}\\USD")
    answer = connect(signed_in(dora), login)
    assert answer.status_code == 422
    assert "not a personal account" in error_at(answer, "login")
    assert owner_of(login) is None


def test_silent_server_refuses_and_counts_as_no_failure(
    dora: User, server: TradingServer, simulator: SimulatorProcess
) -> None:
    login, port = simulator.add_account(), server.port
    client = signed_in(dora)
    break_line(server)
    for _ in range(6):
        answer = connect(client, login)
        assert answer.status_code == 503
        assert "does not answer at the moment" in text(answer)
    server.port = port
    server.save()
    assert connect(client, login).status_code == 302


def test_fifth_failure_closes_the_door_even_for_the_right_password(
    dora: User, simulator: SimulatorProcess
) -> None:
    login, other = simulator.add_account(), simulator.add_account()
    client = signed_in(dora)
    for _ in range(5):
        assert connect(client, login, "wrong").status_code == 422
    closed = connect(client, login)
    assert closed.status_code == 429
    assert "Too many failed attempts. Try again in 15 minutes." in text(closed)
    assert owner_of(login) is None
    assert connect(client, other).status_code == 302


def test_failures_at_the_sign_in_and_here_are_counted_together(
    world: AliceBobCharlie, dora: User, simulator: SimulatorProcess
) -> None:
    login = simulator.add_account()
    visitor, client = Client(HTTP_HOST="alpha.localhost"), signed_in(dora)
    for _ in range(3):
        assert visitor.post(TRADING_LOGIN, {"login": login, "password": "wrong"}).status_code == 422
    for _ in range(2):
        assert connect(client, login, "wrong").status_code == 422
    assert connect(client, login).status_code == 429
    assert visitor.post(TRADING_LOGIN, {"login": login, "password": "wrong"}).status_code == 429


def test_refusal_after_the_right_password_counts_as_no_failure(
    world: AliceBobCharlie, dora: User, server: TradingServer, simulator: SimulatorProcess
) -> None:
    login = simulator.add_account()
    personal_account(world.bob, server, login)
    client = signed_in(dora)
    assert {connect(client, login).status_code for _ in range(6)} == {409}


def test_server_of_another_broker_is_no_choice(
    world: AliceBobCharlie, dora: User, server: TradingServer, simulator: SimulatorProcess
) -> None:
    """With two servers of his own broker the reader says which."""
    with broker_scope(world.beta.pk):
        foreign = TradingServer.objects.get().public_id
    second = TradingServer.objects.create(
        name="Second", host="127.0.0.1", port=1, manager_login=1, manager_password="secret"
    )
    login = simulator.add_account()
    client = signed_in(dora)
    assert str(foreign) not in client.get(PAGE).content.decode()
    assert connect(client, login, server=str(foreign)).status_code == 422
    assert connect(client, login, server=str(second.public_id)).status_code == 503
    assert owner_of(login) is None
    assert connect(client, login, server=str(server.public_id)).status_code == 302


def test_visitor_is_led_to_the_sign_in_and_connects_nothing(
    world: AliceBobCharlie, server: TradingServer, simulator: SimulatorProcess
) -> None:
    login = simulator.add_account()
    visitor = Client(HTTP_HOST="alpha.localhost")
    assert visitor.get(PAGE)["Location"] == f"/accounts/login/?next={PAGE}"
    assert connect(visitor, login).status_code == 302
    assert owner_of(login) is None


def test_other_broker_shows_nothing_of_it(
    world: AliceBobCharlie, dora: User, simulator: SimulatorProcess
) -> None:
    login = simulator.add_account()
    connect(signed_in(dora), login)
    assert str(login) not in text(signed_in(world.charlie).get(PAGE))


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "http://beta.localhost/",
        "javascript:alert(1)",
        "/\\evil.example",
    ],
)
def test_connecting_never_leads_to_another_host(dora: User, simulator: SimulatorProcess, target: str) -> None:
    client = signed_in(dora)
    assert target not in unescape(client.get(PAGE, {"next": target}).content.decode())
    assert connect(client, simulator.add_account(), next=target)["Location"] == PAGE


@pytest.mark.parametrize("with_link", [False, True])
def test_reader_without_an_account_connects_one_and_comes_back_to_the_offer(
    world: AliceBobCharlie, dora: User, simulator: SimulatorProcess, with_link: bool
) -> None:
    offer = world.pool.offer
    client = signed_in(dora)
    join = f"/offers/{offer.public_id}/join/" + ("?link=a-token" if with_link else "")
    if with_link:
        JoinLink.objects.create(offer=offer, token="a-token")
    page = client.get(join).content.decode()
    found = re.search(r'class="btn btn-primary" href="([^"]*trading-accounts[^"]*)"', page)
    assert found is not None
    form = client.get(unescape(found.group(1))).content.decode()
    # The first `next` is that of the theme switch, the last that of the languages.
    (_theme, following, _language) = re.findall(r'name="next" value="([^"]*)"', form)
    login = simulator.add_account(amount="500")
    back = connect(client, login, next=unescape(following))["Location"]
    assert back == join
    assert f"Personal account {login}" in text(client.get(back))


def test_page_is_in_the_menu_of_the_account(dora: User) -> None:
    assert f'href="{PAGE}"' in signed_in(dora).get("/portfolio/").content.decode()


def test_password_is_hidden_from_error_reports(dora: User, simulator: SimulatorProcess) -> None:
    request = connect(signed_in(dora), simulator.add_account(), "wrong").wsgi_request
    assert request.sensitive_post_parameters == ("password",)


def test_relative_target_of_somebody_signed_in_is_no_error_at_the_trading_door(dora: User) -> None:
    assert signed_in(dora).get(TRADING_LOGIN, {"next": "somewhere"})["Location"] == "somewhere"
