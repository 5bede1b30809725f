"""Nobody of the staff gets in without the second factor, by any door."""

from collections.abc import Callable

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

from accounts.middleware import OPEN_VIEWS
from accounts.models import STAFF_ROLES, Role, User
from accounts.services import grant_role
from brokers.scope import broker_scope
from tests.accounts.test_sign_in import ALPHA, LOGIN, by_email, by_trading_login, text, who
from tests.isolation.routes import routes
from tests.simulator import SimulatorProcess
from tests.worlds import (
    PASSWORD,
    AliceBobCharlie,
    broker_called,
    enrol,
    person,
    personal_account,
    signed_in,
    totp_code,
)
from trading.models import TradingServer

ENROLMENT = "/accounts/2fa/totp/activate/"
#: Pages for frames on other sites: no cookie comes so far, everybody is a stranger there.
KNOW_NOBODY = {"widgets:leaderboard", "widgets:offer"}
BROKER_ROLES = sorted(STAFF_ROLES - {Role.OPERATOR})

Door = Callable[[AliceBobCharlie, User, SimulatorProcess], Client]


def email_door(world: AliceBobCharlie, user: User, simulator: SimulatorProcess) -> Client:
    client = Client(HTTP_HOST=ALPHA)
    by_email(client, user.email)
    return client


def trading_door(world: AliceBobCharlie, user: User, simulator: SimulatorProcess) -> Client:
    login = simulator.add_account()
    with broker_scope(world.alpha.pk):
        personal_account(user, TradingServer.objects.get(), login)
    client = Client(HTTP_HOST=ALPHA)
    by_trading_login(client, login)
    return client


def old_session(world: AliceBobCharlie, user: User, simulator: SimulatorProcess) -> Client:
    """Signed in as a client, and made staff afterwards."""
    return signed_in(user, second_factor=False)


def admin_door(world: AliceBobCharlie, user: User, simulator: SimulatorProcess) -> Client:
    """Django's own sign-in form."""
    client = Client(HTTP_HOST=ALPHA)
    client.post("/admin/login/", {"username": user.email, "password": PASSWORD, "next": "/admin/"})
    return client


def staff(world: AliceBobCharlie, role: Role = Role.ADMIN) -> User:
    with broker_scope(world.alpha.pk):
        return person(f"{role}@example.com", role)


@pytest.mark.parametrize("role", BROKER_ROLES)
@pytest.mark.parametrize("door", [email_door, trading_door, old_session, admin_door])
def test_staff_without_second_factor_reaches_nothing_by_any_door(
    world: AliceBobCharlie, simulator: SimulatorProcess, door: Door, role: Role
) -> None:
    client = door(world, staff(world, role), simulator)
    for target in ("/admin/", "/", "/portfolio/", "/manage/", "/no/such/page/"):
        answer = client.get(target)
        if door is admin_door and target in {"/", "/no/such/page/"}:
            # That form does not even exist: the browser is still a visitor's.
            assert who(client, world.alpha.pk) is None
            continue
        assert answer.status_code == 302, (target, answer.status_code)
        if answer["Location"].startswith("/admin/login/"):
            answer = client.get(answer["Location"])
        assert answer["Location"].startswith((ENROLMENT, LOGIN)), (target, answer["Location"])


@pytest.mark.parametrize("door", [email_door, trading_door, old_session])
def test_staff_without_second_factor_gets_a_problem_from_the_api(
    world: AliceBobCharlie, simulator: SimulatorProcess, door: Door
) -> None:
    answer = door(world, staff(world), simulator).get("/api/v1/anything/")
    assert (answer.status_code, answer["Content-Type"]) == (403, "application/problem+json")
    assert answer.json()["code"] == "second_factor_required"


def test_only_enrolment_and_the_way_out_are_open_to_staff_without_second_factor(
    world: AliceBobCharlie,
) -> None:
    client = signed_in(staff(world), second_factor=False)
    closed = [route for route in routes() if route.name not in OPEN_VIEWS | KNOW_NOBODY]
    assert len(closed) > 100
    for route in closed:
        answer = client.get(route.address(*["1"] * len(route.parameters)))
        if answer.status_code == 404:
            continue
        assert (answer.status_code, answer.headers.get("Location")) in {(302, ENROLMENT), (403, None)}, route


def test_staff_who_enrol_are_let_in_and_asked_for_the_code_next_time(world: AliceBobCharlie) -> None:
    user = staff(world)
    client = Client(HTTP_HOST=ALPHA)
    by_email(client, user.email)
    page = client.get(ENROLMENT)
    assert page.status_code == 200
    secret = page.context["form"].secret
    assert secret in text(page)
    assert client.post(ENROLMENT, {"code": totp_code(secret)}).status_code == 302
    assert client.get("/admin/").status_code == 200

    again = Client(HTTP_HOST=ALPHA)
    assert by_email(again, user.email)["Location"].startswith("/accounts/2fa/authenticate/")
    assert again.get("/admin/").status_code == 302
    assert who(again, world.alpha.pk) is None


def test_session_opened_before_the_enrolment_is_not_let_in_by_it(world: AliceBobCharlie) -> None:
    """Somebody who has the password only, and waits at the enrolment page, must not come in after it."""
    user = staff(world)
    thief = Client(HTTP_HOST=ALPHA)
    by_email(thief, user.email)
    with broker_scope(world.alpha.pk):
        enrol(user)
    answer = thief.get("/admin/")
    assert (answer.status_code, answer["Location"]) == (302, LOGIN)
    assert who(thief, world.alpha.pk) is None


@pytest.mark.parametrize(
    "address", [ENROLMENT, "/accounts/2fa/webauthn/add/", "/accounts/2fa/", "/accounts/email/"]
)
def test_session_opened_before_the_enrolment_cannot_add_a_factor_of_its_own(
    world: AliceBobCharlie, address: str
) -> None:
    """Whoever knows only the password would otherwise wait for the enrolment and add a key of his own."""
    user = staff(world)
    thief = Client(HTTP_HOST=ALPHA)
    by_email(thief, user.email)
    assert thief.get(address).status_code == 200
    with broker_scope(world.alpha.pk):
        enrol(user)
    answer = thief.get(address)
    assert (answer.status_code, answer["Location"]) == (302, LOGIN)
    assert who(thief, world.alpha.pk) is None


def test_second_factor_that_was_taken_away_closes_the_session(world: AliceBobCharlie) -> None:
    user = staff(world)
    client = signed_in(user)
    assert client.get("/admin/").status_code == 200
    with broker_scope(world.alpha.pk):
        Authenticator.objects.filter(user=user).delete()
    assert client.get("/admin/")["Location"] == ENROLMENT


def test_staff_cannot_give_up_their_only_factor(world: AliceBobCharlie) -> None:
    user = staff(world)
    with broker_scope(world.alpha.pk):
        secret = enrol(user)
    client = Client(HTTP_HOST=ALPHA)
    by_email(client, user.email)
    client.post("/accounts/2fa/authenticate/", {"code": totp_code(secret)})
    client.post("/accounts/2fa/totp/deactivate/")
    with broker_scope(world.alpha.pk):
        assert Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists()


def test_client_made_staff_needs_the_second_factor_from_the_next_click(world: AliceBobCharlie) -> None:
    client = signed_in(world.bob)
    assert client.get("/portfolio/").status_code == 200
    with broker_scope(world.alpha.pk):
        grant_role(user=world.bob, role=Role.AUDITOR, by=None)
    assert client.get("/portfolio/")["Location"] == ENROLMENT


def test_client_needs_no_second_factor(world: AliceBobCharlie) -> None:
    client = Client(HTTP_HOST=ALPHA)
    by_email(client, "bob@example.com")
    assert client.get("/portfolio/").status_code == 200


def test_operator_of_the_platform_needs_the_second_factor(committed_db: str) -> None:
    platform = broker_called("platform", is_platform=True)
    with broker_scope(platform.pk):
        operator = person("operator@example.com", Role.OPERATOR)
    client = Client(HTTP_HOST="platform.localhost")
    by_email(client, operator.email)
    assert client.get("/admin/")["Location"] == ENROLMENT
