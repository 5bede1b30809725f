"""The gateway of a configured trading server."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from trading.gateway import Gateway
from trading.mt5.connection import Endpoint
from trading.mt5.gateway import Mt5Gateway

if TYPE_CHECKING:
    from trading.models import TradingServer

SERVERS_KEPT = 64


@dataclass(frozen=True, slots=True)
class _Configuration:
    """All that decides how a server is reached: a changed password or certificate gets a gateway of its
    own."""

    server: int
    endpoint: Endpoint
    time_zone: str


_lock = threading.Lock()
_gateways: dict[_Configuration, Gateway] = {}


def gateway_for(server: TradingServer) -> Gateway:
    """The gateway of this server, one per process and configuration; do not close it after use.

    Threads share it, and after a fork the child connects anew. Raises `ValueError` for a kind that has no
    adapter.
    """
    if server.kind != "mt5":
        raise ValueError(f"no gateway for trading servers of kind {server.kind!r}")
    endpoint = Endpoint(
        host=server.host,
        port=server.port,
        login=server.manager_login,
        password=server.manager_password,
        certificate=server.ca_certificate,
    )
    configuration = _Configuration(server.pk, endpoint, server.time_zone)
    with _lock:
        gateway = _gateways.pop(configuration, None) or Mt5Gateway(endpoint, ZoneInfo(server.time_zone))
        _gateways[configuration] = gateway
        superseded = _gateways.pop(next(iter(_gateways))) if len(_gateways) > SERVERS_KEPT else None
    if superseded is not None:
        superseded.close()
    return gateway


def _start_afresh() -> None:
    """In a forked child: another thread of the parent may have held the lock, and the sockets are the
    parent's."""
    global _lock
    _lock = threading.Lock()
    _gateways.clear()


os.register_at_fork(after_in_child=_start_afresh)
