"""Ports of the demo: the wished ones, the same as last time if possible, never one that is taken."""

import errno
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path

# Variable in the environment → port wished when it is not set.
WISHED = {
    "DEMO_PORT": 8000,
    "DEMO_ALPHA_PORT": 8001,
    "DEMO_BETA_PORT": 8002,
    "DEMO_TRADING_PORT": 8443,
    "DEMO_CONSOLE_PORT": 8480,
}
STEPS = 200


def choose_ports(folder: Path, environment: Mapping[str, str] = os.environ) -> dict[str, int]:
    """A free port for each name of `WISHED`.

    A wish in the environment goes before last time's port (kept in `folder`), and that before the default. A
    taken port is stepped over upwards. Raises OSError when no port is free, ValueError when a wish is not a
    number.
    """
    remembered_file = folder / "ports.json"
    remembered = json.loads(remembered_file.read_text()) if remembered_file.exists() else {}
    chosen: dict[str, int] = {}
    for name, default in WISHED.items():
        wish = int(environment.get(name) or remembered.get(name, default))
        candidates = (port for port in range(wish, min(wish + STEPS, 65536)) if port not in chosen.values())
        port = next((candidate for candidate in candidates if is_free(candidate)), None)
        if port is None:
            raise OSError(errno.EADDRINUSE, f"no free port from {wish} on for {name}")
        chosen[name] = port
    remembered_file.write_text(json.dumps(chosen))
    return chosen


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 and, where the machine has it, of ::1."""
    for family, address in loopback_addresses():
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


def loopback_addresses() -> list[tuple[socket.AddressFamily, str]]:
    """Browsers may take `*.localhost` for either; ::1 is missing in many containers."""
    addresses = [(socket.AF_INET, "127.0.0.1")]
    if socket.has_ipv6:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("::1", 0))
            except OSError:
                return addresses
        addresses.append((socket.AF_INET6, "::1"))
    return addresses
