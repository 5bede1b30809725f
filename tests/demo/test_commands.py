"""What the launcher runs: where the demo is reached and as whom one signs in."""

import io

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import validate_totp_code
from allauth.mfa.utils import decrypt
from django.core.management import CommandError, call_command

from accounts.models import STAFF_ROLES, Membership, User
from brokers.scope import broker_scope
from demo.management.commands.demo_accounts import Command as DemoAccounts
from demo.management.commands.load_demo import Command as LoadDemo
from demo.scenario import PASSWORD, TRADING_PASSWORD
from tests.demo.conftest import Loader, broker_ids


def test_printed_accounts_open_the_demo(loader: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    loader.load(days=3, DEMO_ALPHA_PORT=8001, DEMO_BETA_PORT=8002)
    monkeypatch.setenv("DEMO_PORT", "8000")
    printed = io.StringIO()
    call_command(DemoAccounts(), "--codes", stdout=printed)
    text = printed.getvalue()
    for address in (
        "http://alpha.localhost:8000/",
        "http://127.0.0.1:8001/",
        "http://beta.localhost:8000/",
        "/join/",
    ):
        assert address in text
    assert PASSWORD in text
    assert TRADING_PASSWORD in text
    for broker_id in broker_ids().values():
        with broker_scope(broker_id):
            staff = Membership.objects.filter(role__in=STAFF_ROLES).values_list("user", flat=True)
            assert len(staff) == 3
            for user in User.objects.filter(pk__in=staff):
                secret = decrypt(Authenticator.objects.get(user_id=user.pk).data["secret"])
                line = next(line for line in text.splitlines() if user.email in line)
                assert secret in line
                assert validate_totp_code(secret, line.split()[-1])
            assert all(user.check_password(PASSWORD) for user in User.objects.all()[:3])


def test_accounts_of_a_database_without_the_demo_are_none(committed_db: str) -> None:
    with pytest.raises(CommandError, match="not loaded"):
        call_command(DemoAccounts())


def test_load_without_a_folder_for_the_server_says_so(
    committed_db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SIMULATOR_FOLDER", raising=False)
    with pytest.raises(CommandError, match="SIMULATOR_FOLDER"):
        call_command(LoadDemo())


@pytest.mark.parametrize("arguments", [("--days", "1"), ("--until", "2026-11-01T12:00")])
def test_load_with_a_span_that_cannot_be_says_so(arguments: tuple[str, str]) -> None:
    with pytest.raises(CommandError, match=arguments[0]):
        call_command(LoadDemo(), *arguments)
