"""Web, worker, beat and trading server as programs a supervisor can start; for the demo and for tests."""

import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from pamm_platform.demo.ports import loopback_addresses
from pamm_platform.demo.supervisor import Program

CELERY = (sys.executable, "-m", "celery", "--app=pamm_platform")


def web(environment: Mapping[str, str], ports: Sequence[int], workers: int = 2) -> Program:
    """gunicorn on all of `ports`, of every loopback address; ready when its health page says so."""
    addresses = [f"[{address}]" if ":" in address else address for _, address in loopback_addresses()]
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "pamm_platform.wsgi",
        f"--workers={workers}",
        "--log-level=warning",
        *(f"--bind={address}:{port}" for address in addresses for port in ports),
    ]
    return Program("web", command, environment, is_ready=lambda: is_healthy(ports[0]))


def worker(environment: Mapping[str, str], processes: int = 2) -> Program:
    options = [f"--concurrency={processes}", "--without-gossip", "--without-mingle", "--loglevel=WARNING"]
    return Program("worker", [*CELERY, "worker", *options], environment)


def beat(environment: Mapping[str, str], schedule: Path) -> Program:
    """`schedule` is the file beat keeps its ticks in; it is replaced when unreadable."""
    return Program(
        "beat", [*CELERY, "beat", f"--schedule={schedule}", "--pidfile=", "--loglevel=WARNING"], environment
    )


def simulator(
    environment: Mapping[str, str], folder: Path, port: int, console_port: int | None = None
) -> Program:
    """The trading server; with `console_port`, its page for faults and books on the loopback address."""
    command = [sys.executable, "-m", "trading.simulator", f"--data-dir={folder}", f"--port={port}"]
    if console_port is not None:
        command.append(f"--console-port={console_port}")
    return Program("simulator", command, environment, is_ready=lambda: _listens(port))


def is_healthy(port: int) -> bool:
    """Whether the web server at this port of 127.0.0.1 reaches its database and queue."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
