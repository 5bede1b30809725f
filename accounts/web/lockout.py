"""Repeated failures at a door close it for a while."""

from allauth.core.internal import ratelimit
from django.conf import settings
from django.http import HttpRequest

from accounts.errors import TooManyAttempts
from brokers.scope import current_broker_id
from trading.models import TradingServer


def trading_door(server: TradingServer, login: int) -> str:
    """The door of a trading password: the same wherever it is asked for, or each page would be a try more."""
    return f"trading:{server.pk}:{login}"


class Attempt:
    """One attempt at a door with a secret, counted as a failure until it `succeeded`.

    `door` names the secret that is tried: after too many failures it is closed for everybody for a while,
    whether it exists or not. Raises `TooManyAttempts`.
    """

    def __init__(self, request: HttpRequest, door: str) -> None:
        usage = ratelimit.consume(
            request, app="allauth.account", action="login_failed", key=f"{current_broker_id()}:{door}"
        )
        if usage is None:
            raise TooManyAttempts(minutes=settings.LOCK_OUT_MINUTES)
        self._usage = usage

    def succeeded(self) -> None:
        """Does not count. Earlier failures do: a success in between must not reset them."""
        self._usage.rollback()
