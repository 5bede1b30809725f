"""People, roles, personal accounts."""

from collections.abc import Sequence
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.errors import (
    AccountNotOpened,
    AlreadyManager,
    EmailTaken,
    LastAdministrator,
    RoleNotHere,
    TradingAccountTaken,
    TradingServerSilent,
    UnacceptablePassword,
    UnsuitableGroup,
    WrongTradingPassword,
)
from accounts.models import Manager, Membership, PersonalAccount, Role, User
from accounts.queries import (
    get_manager_for,
    get_pamm_account_for,
    has_role,
    is_staff_member,
    user_roles,
)
from accounts.services import (
    grant_role,
    link_personal_account,
    make_manager,
    new_trading_password,
    open_personal_account,
    register_client,
    register_staff,
    revoke_role,
)
from brokers.errors import NotAllowed, NotFound
from brokers.models import Broker, HostName
from brokers.queries import broker_id_of_host
from brokers.scope import broker_scope
from outbox.models import Event
from tests.simulator import PASSWORD as TRADING_PASSWORD
from tests.simulator import SimulatorProcess
from tests.worlds import PASSWORD, AliceBobCharlie, alice_bob_charlie, broker_called, person
from trading.models import TradingGroup, TradingServer


@pytest.fixture
def alpha(db: None) -> Any:
    """Inside broker A, with an administrator."""
    with broker_scope(broker_called("alpha").pk):
        yield person("admin@example.com", Role.ADMIN)


def test_client_is_registered_folded_verified_on_request_and_reported(alpha: User) -> None:
    client = register_client(
        email=" Dora@Example.COM ", password=PASSWORD, first_name="Dora", email_is_verified=True, by=alpha
    )
    assert client.email == "dora@example.com"
    assert user_roles(client) == {Role.INVESTOR}
    assert client.check_password(PASSWORD)
    assert Event.objects.filter(kind="client.registered", subject=client.public_id).exists()


def test_client_without_a_password_has_none_that_works(alpha: User) -> None:
    assert not register_client(email="d@example.com", password=None, by=alpha).has_usable_password()


def test_email_taken_at_this_broker_is_refused_and_nothing_is_left(alpha: User) -> None:
    register_client(email="d@example.com", password=PASSWORD, by=alpha)
    with pytest.raises(EmailTaken):
        register_client(email="D@example.com", password=PASSWORD, by=alpha)
    assert User.objects.filter(email="d@example.com").count() == 1


@pytest.mark.parametrize("password", ["short", "12345678901234", "password1234", ""])
def test_weak_password_is_refused(alpha: User, password: str) -> None:
    with pytest.raises(UnacceptablePassword):
        register_client(email="d@example.com", password=password, by=alpha)
    assert not User.objects.filter(email="d@example.com").exists()


def test_client_is_registered_by_administrators_only(alpha: User) -> None:
    for role in (Role.INVESTOR, Role.MANAGER, Role.AGENT, Role.DEALER, Role.AUDITOR):
        with pytest.raises(NotAllowed):
            register_client(email="d@example.com", password=PASSWORD, by=person(f"{role}@example.com", role))


def test_role_is_granted_once_and_revoked(alpha: User) -> None:
    user = person("d@example.com")
    grant_role(user=user, role=Role.DEALER, by=alpha)
    grant_role(user=user, role=Role.DEALER, by=alpha)
    assert user_roles(user) == {Role.INVESTOR, Role.DEALER}
    assert is_staff_member(user)
    revoke_role(user=user, role=Role.DEALER, by=alpha)
    assert not is_staff_member(user)
    assert Event.objects.filter(subject=user.public_id).count() == 2


def test_role_is_granted_by_administrators_only_not_even_to_oneself(alpha: User) -> None:
    dealer = person("dealer@example.com", Role.DEALER)
    with pytest.raises(NotAllowed):
        grant_role(user=dealer, role=Role.ADMIN, by=dealer)
    with pytest.raises(NotAllowed):
        revoke_role(user=alpha, role=Role.ADMIN, by=dealer)


def test_last_administrator_keeps_the_role(alpha: User) -> None:
    with pytest.raises(LastAdministrator):
        revoke_role(user=alpha, role=Role.ADMIN, by=alpha)
    grant_role(user=person("second@example.com"), role=Role.ADMIN, by=alpha)
    revoke_role(user=alpha, role=Role.ADMIN, by=alpha)
    assert not has_role(alpha, Role.ADMIN)


def test_operator_belongs_to_the_platform_and_nobody_else_does(alpha: User) -> None:
    with pytest.raises(RoleNotHere):
        grant_role(user=alpha, role=Role.OPERATOR, by=alpha)
    with broker_scope(broker_called("platform", is_platform=True).pk):
        with pytest.raises(RoleNotHere):
            register_staff(email="x@example.com", password=PASSWORD, role=Role.ADMIN, by=None)
        operator = register_staff(email="x@example.com", password=PASSWORD, role=Role.OPERATOR, by=None)
        assert user_roles(operator) == {Role.OPERATOR}


def test_roles_of_a_person_of_another_broker_are_none(db: None) -> None:
    world = alice_bob_charlie()
    with broker_scope(world.alpha.pk):
        assert user_roles(world.charlie) == frozenset()
        assert user_roles(None) == frozenset()
    with broker_scope(world.beta.pk):
        assert Role.ADMIN in user_roles(world.charlie)


def test_roles_of_a_person_who_was_shut_out_are_none(alpha: User) -> None:
    alpha.is_active = False
    assert user_roles(alpha) == frozenset()
    assert not alpha.has_perm("accounts.view_user")


def test_manager_is_made_once(alpha: User) -> None:
    user = person("d@example.com")
    with pytest.raises(NotFound):
        get_manager_for(user)
    manager = make_manager(user=user, display_name="Dora", by=alpha)
    assert get_manager_for(user) == manager
    with pytest.raises(AlreadyManager):
        make_manager(user=user, display_name="Dora", by=alpha)
    assert Manager.objects.count() == 1


def test_pamm_account_is_found_by_its_manager_and_staff_and_by_nobody_else(db: None) -> None:
    world = alice_bob_charlie()
    account = world.pool.account
    with broker_scope(world.alpha.pk):
        auditor = person("auditor@example.com", Role.AUDITOR)
        other = person("other@example.com", Role.MANAGER)
        Manager.objects.create(user=other, display_name="Other")
        assert get_pamm_account_for(world.alice, account.public_id) == account
        assert get_pamm_account_for(auditor, account.public_id) == account
        for stranger in (world.bob, other, None, world.charlie):
            with pytest.raises(NotFound):
                get_pamm_account_for(stranger, account.public_id)


def test_trading_account_is_linked_after_its_server_verified_the_password(
    world: AliceBobCharlie, simulator: SimulatorProcess
) -> None:
    login = simulator.add_account()
    with broker_scope(world.alpha.pk):
        server = TradingServer.objects.get()
        with pytest.raises(WrongTradingPassword):
            link_personal_account(user=world.bob, server=server, login=login, password="wrong", by=world.bob)
        account = link_personal_account(
            user=world.bob, server=server, login=login, password=TRADING_PASSWORD, by=world.bob
        )
        assert (account.login, account.currency, account.currency_digits) == (login, "USD", 2)
        with pytest.raises(TradingAccountTaken):
            link_personal_account(
                user=world.alice, server=server, login=login, password=TRADING_PASSWORD, by=world.alice
            )
        with pytest.raises(NotAllowed):
            link_personal_account(
                user=world.alice, server=server, login=login, password=TRADING_PASSWORD, by=world.bob
            )


def test_trading_account_of_another_kind_of_group_is_not_linked(
    world: AliceBobCharlie, simulator: SimulatorProcess
) -> None:
    login = simulator.add_account()
    with broker_scope(world.alpha.pk):
        TradingGroup.objects.filter(name="personal\\USD").update(purpose=TradingGroup.Purpose.HOUSE)
        with pytest.raises(UnsuitableGroup):
            link_personal_account(
                user=world.bob,
                server=TradingServer.objects.get(),
                login=login,
                password=TRADING_PASSWORD,
                by=world.bob,
            )


def test_trading_account_is_opened_with_a_password_that_works(
    world: AliceBobCharlie, simulator: SimulatorProcess
) -> None:
    with broker_scope(world.alpha.pk):
        group = TradingGroup.objects.get(purpose=TradingGroup.Purpose.PERSONAL)
        account, password = open_personal_account(user=world.bob, group=group, by=world.bob)
        assert PersonalAccount.objects.filter(user=world.bob, login=account.login).exists()
    assert simulator.gateway().check_password(account.login, password)


def test_trading_account_the_server_does_not_open_leaves_nothing(
    world: AliceBobCharlie, simulator: SimulatorProcess
) -> None:
    with broker_scope(world.alpha.pk):
        count = PersonalAccount.objects.count()
        group = TradingGroup.objects.get(purpose=TradingGroup.Purpose.PERSONAL)
        group.name = "no such group"
        with pytest.raises(AccountNotOpened):
            open_personal_account(user=world.bob, group=group, by=world.bob)
        group.server.port = 1
        with pytest.raises((AccountNotOpened, TradingServerSilent)):
            open_personal_account(user=world.bob, group=group, by=world.bob)
        assert PersonalAccount.objects.count() == count


def test_new_trading_password_is_of_every_kind() -> None:
    for _ in range(50):
        password = new_trading_password()
        kinds = (str.islower, str.isupper, str.isdigit, lambda sign: not sign.isalnum())
        assert all(any(kind(sign) for sign in password) for kind in kinds)


def _as_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    from pamm_platform.embedded.postgres import OWNER_ROLE
    from pamm_platform.settings.environment import ENVIRONMENT

    owner = ENVIRONMENT.database("DATABASE_OWNER_URL")
    assert owner["USER"] == OWNER_ROLE
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "USER", owner["USER"])
    monkeypatch.setitem(connection.settings_dict, "PASSWORD", owner["PASSWORD"])


def _add_broker(
    *,
    slug: str = "gamma",
    hosts: Sequence[str] = ("gamma.localhost",),
    admin: str = "boss@gamma.example",
    password: str = PASSWORD,
    time_zone: str = "UTC",
) -> None:
    by_host = [f"--host={host}" for host in hosts]
    more = ["--name=Gamma", f"--admin={admin}", f"--password={password}", f"--time-zone={time_zone}"]
    call_command("add_broker", slug, *by_host, *more)


def test_broker_is_added_by_one_command(committed_db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _as_owner(monkeypatch)
    _add_broker(hosts=["gamma.localhost", "127.0.0.1:8009"], admin="Boss@gamma.example")
    monkeypatch.undo()
    connection.close()
    broker_id = broker_id_of_host("127.0.0.1:8009")
    assert broker_id is not None
    assert broker_id_of_host("GAMMA.localhost:9999") == broker_id
    assert HostName.objects.get(broker_id=broker_id, is_primary=True).host == "gamma.localhost"
    with broker_scope(broker_id):
        assert Broker.objects.get().slug == "gamma"
        assert user_roles(User.objects.get(email="boss@gamma.example")) == {Role.ADMIN}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"slug": "alpha"}, "slug_taken"),
        ({"hosts": ["alpha.localhost"]}, "host_not_usable"),
        ({"hosts": ["not a host"]}, "host_not_usable"),
        ({"time_zone": "Mars/Olympus"}, "unknown_time_zone"),
        ({"password": "short"}, "unacceptable_password"),
    ],
)
def test_broker_that_cannot_be_added_leaves_nothing(
    committed_db: str, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], code: str
) -> None:
    broker_called("alpha")
    _as_owner(monkeypatch)
    with pytest.raises(CommandError, match=code):
        _add_broker(**changes)
    monkeypatch.undo()
    connection.close()
    assert HostName.objects.count() == 1


def test_broker_is_not_added_by_the_application_role(committed_db: str) -> None:
    with pytest.raises(CommandError, match="owner"):
        _add_broker()


@pytest.mark.parametrize(
    ("role", "permitted", "refused"),
    [
        (Role.ADMIN, ["offers.change_offer", "brokers.change_broker"], ["brokers.add_broker"]),
        (
            Role.DEALER,
            ["investing.change_request", "rollover.change_rollover", "ledger.view_posting"],
            ["accounts.change_user", "brokers.change_broker", "accounts.add_membership"],
        ),
        (Role.AUDITOR, ["ledger.view_posting"], ["investing.change_request"]),
        (Role.INVESTOR, [], ["accounts.view_user"]),
        (Role.MANAGER, [], ["accounts.view_user"]),
        (Role.AGENT, [], ["accounts.view_user"]),
    ],
)
def test_role_carries_these_permissions(
    alpha: User, role: Role, permitted: list[str], refused: list[str]
) -> None:
    user = person("d@example.com", role)
    assert user.has_perms(permitted)
    assert not any(user.has_perm(permission) for permission in refused)
    assert user.is_staff == bool(permitted)


def test_membership_belongs_to_the_person_of_its_own_broker(db: None) -> None:
    world = alice_bob_charlie()
    with broker_scope(world.beta.pk):
        assert set(Membership.objects.values_list("user__email", flat=True)) == {"charlie@example.com"}
