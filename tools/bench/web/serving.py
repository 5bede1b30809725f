"""gunicorn as the image starts it, with another application and address."""

import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from pamm_platform.demo.supervisor import Program, Supervisor
from tests.databases import REPOSITORY

SETTINGS = "tools.bench.web.settings"
BEGINS = "CMD "
REPLACED = ("--bind=", "--access-logfile=")


def production_options() -> list[str]:
    """Of the command that the Dockerfile ends with."""
    lines = (REPOSITORY / "Dockerfile").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(BEGINS)]
    _gunicorn, _application, *options = json.loads(line.removeprefix(BEGINS))
    return [option for option in options if not option.startswith(REPLACED)]


def production_environment(folder: Path, redis_url: str) -> dict[str, str]:
    """What production's settings demand; secrets of this run, addresses that nothing is sent to."""
    key = "ZGV2ZWxvcG1lbnQtb25seS1ub3QtYS1zZWNyZXQtMDA="
    return {
        "DJANGO_SETTINGS_MODULE": SETTINGS,
        "REDIS_URL": redis_url,
        "SECRET_KEY": "a-benchmark-has-no-secrets-" * 3,
        "FIELD_ENCRYPTION_KEYS": key,
        "SEAL_SIGNING_KEY": key,
        "SEAL_FOLDER": str(folder / "seals"),
        "STATEMENT_FOLDER": str(folder / "statements"),
        "BENCH_STATIC_FOLDER": str(folder / "static"),
        "ALLOWED_HOSTS": "localhost",
        "BEHIND_TLS_PROXY": "yes",
        "EMAIL_URL": "smtp://nobody:nothing@127.0.0.1:1",
        "DEFAULT_FROM_EMAIL": "bench@example.com",
        "LOG_LEVEL": "WARNING",
    }


def collect_static_files() -> None:
    """As while an image is built: pages name files by their digests."""
    command = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity=0"]
    subprocess.run(command, cwd=REPOSITORY, check=True)


def serve(folder: Path, stack: ExitStack, module: str, environment: Mapping[str, str] = os.environ) -> str:
    """Start `module` until the stack ends; the address it answers at. Raises ProgramFailed."""
    port = _free_port()
    options = [f"--bind=127.0.0.1:{port}", *production_options()]
    command = [sys.executable, "-m", "gunicorn", f"{module}:application", *options]
    name = module.rpartition(".")[2]
    supervisor = Supervisor(folder / name, REPOSITORY)
    stack.callback(supervisor.stop_all)
    supervisor.start(Program(name, command, environment, is_ready=lambda: _answers(port)))
    return f"127.0.0.1:{port}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    """With whatever status: its workers are up."""
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
