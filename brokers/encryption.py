"""Secrets at rest.

Encrypted with the first of `FIELD_ENCRYPTION_KEYS`, readable with any of them (rotation).
"""

from typing import Any

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.db import models


def _cipher() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.FIELD_ENCRYPTION_KEYS])


def encrypt(secret: str) -> str:
    return _cipher().encrypt(secret.encode()).decode()


def decrypt(token: str) -> str:
    """Raises `cryptography.fernet.InvalidToken` where no key fits."""
    return _cipher().decrypt(token.encode()).decode()


class EncryptedTextField(models.TextField[str, str]):
    """Text that PostgreSQL only ever sees encrypted. It cannot be searched or ordered by."""

    def get_prep_value(self, value: Any) -> Any:
        prepared = super().get_prep_value(value)
        return prepared if prepared in (None, "") else encrypt(prepared)

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> str | None:
        return value if value in (None, "") else decrypt(value)
