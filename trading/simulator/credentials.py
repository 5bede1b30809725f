"""The managers' password, known to the server and to those who sign in to it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from trading.simulator.certificate import write_private

PASSWORD_VARIABLE = "SIMULATOR_MANAGER_PASSWORD"  # noqa: S105 - the variable's name
PASSWORD_FILE = "manager-password"  # noqa: S105 - the file's name


def manager_password(folder: Path) -> str:
    """From the environment, else from the folder's private file, which is made if absent."""
    if given := os.environ.get(PASSWORD_VARIABLE):
        return given
    path = folder / PASSWORD_FILE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_private(path, f"Aa1!{secrets.token_urlsafe(9)}".encode())
    return path.read_text().strip()
