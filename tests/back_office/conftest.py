"""People of broker alpha's staff, signed in with their second factor."""

import time
from collections.abc import Callable, Iterator

import pytest
from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.mfa.models import Authenticator
from django.test import Client

from accounts.models import Role
from brokers.models import Broker
from brokers.scope import broker_scope
from tests.circle.conftest import desk, market
from tests.worlds import broker_called, person

__all__ = ["desk", "market"]

SignIn = Callable[..., Client]


@pytest.fixture
def alpha(db: None) -> Iterator[Broker]:
    """The broker, its scope entered."""
    broker = broker_called("alpha")
    with broker_scope(broker.pk):
        yield broker


def signed_in(*roles: Role, host: str = "alpha.localhost") -> Client:
    """A browser at `host` in which somebody with these roles has used the second factor."""
    user = person(f"{'-'.join(roles)}@staff.example.com", *roles)
    factor = Authenticator.objects.create(user=user, type=Authenticator.Type.TOTP, data={"secret": "unused"})
    client = Client(HTTP_HOST=host)
    client.force_login(user)
    session = client.session
    session[AUTHENTICATION_METHODS_SESSION_KEY] = [
        {"method": "mfa", "type": "totp", "id": factor.pk, "at": time.time()}
    ]
    session["account_authentication_methods_user"] = str(user.pk)
    session.save()
    return client


@pytest.fixture
def admin(alpha: Broker) -> Client:
    return signed_in(Role.ADMIN)


@pytest.fixture
def dealer(alpha: Broker) -> Client:
    return signed_in(Role.DEALER)


@pytest.fixture
def auditor(alpha: Broker) -> Client:
    return signed_in(Role.AUDITOR)
