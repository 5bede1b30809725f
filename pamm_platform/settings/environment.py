"""What the environment may say, typed. Every variable the platform reads is a field here and a line of
`.env.example`.

A missing or malformed value stops the start with a message that names the variable and never shows its value.
"""

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

FIELD_ENCRYPTION_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class MailServer:
    host: str
    port: int
    user: str
    password: str
    start_tls: bool
    implicit_tls: bool


@dataclass(frozen=True, slots=True)
class Environment:
    """Reads variables of a mapping (`os.environ` outside tests). Methods raise ImproperlyConfigured."""

    variables: Mapping[str, str]

    def text(self, name: str, default: str | None = None) -> str:
        value = self.variables.get(name, "").strip()
        if value:
            return value
        if default is None:
            raise ImproperlyConfigured(f"{name} is not set")
        return default

    def integer(self, name: str, default: int | None = None) -> int:
        value = self.text(name, None if default is None else str(default))
        try:
            return int(value)
        except ValueError:
            raise ImproperlyConfigured(f"{name} is not a whole number") from None

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.text(name, "yes" if default else "no").lower()
        if value in {"1", "true", "yes", "on"}:
            return True
        if value in {"0", "false", "no", "off"}:
            return False
        raise ImproperlyConfigured(f"{name} is neither yes nor no")

    def words(self, name: str, default: str | None = None) -> list[str]:
        """A comma-separated list, without empty items."""
        return [word.strip() for word in self.text(name, default).split(",") if word.strip()]

    def database(self, name: str, default: str | None = None) -> dict[str, Any]:
        """A `postgresql://user:password@host:port/database` URL as Django's dictionary.

        `?host=/folder` stands for a unix socket, `?sslmode=…` is passed on.
        """
        parts = urlsplit(self.text(name, default))
        if parts.scheme not in {"postgres", "postgresql"} or len(parts.path) < 2 or not parts.username:
            raise ImproperlyConfigured(f"{name} is not postgresql://user:password@host:port/database")
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        return {
            "ENGINE": "brokers.postgresql",
            "NAME": unquote(parts.path[1:]),
            "USER": unquote(parts.username),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": query.pop("host", parts.hostname or ""),
            "PORT": str(parts.port or ""),
            "CONN_MAX_AGE": 60,
            "CONN_HEALTH_CHECKS": True,
            "OPTIONS": query,
        }

    def mail_server(self, name: str) -> MailServer:
        """`smtps://user:password@host:465` (TLS from the start) or `smtp://…:587` (STARTTLS)."""
        parts = urlsplit(self.text(name))
        if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
            raise ImproperlyConfigured(f"{name} is not smtp://user:password@host:port or smtps://…")
        implicit = parts.scheme == "smtps"
        return MailServer(
            host=parts.hostname,
            port=parts.port or (465 if implicit else 587),
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            start_tls=not implicit,
            implicit_tls=implicit,
        )

    def encryption_keys(self, name: str, default: str | None = None) -> list[str]:
        """Keys for encrypted columns, 32 bytes in URL-safe base64: the first encrypts, all decrypt."""
        keys = self.words(name, default)
        for key in keys:
            try:
                length = len(base64.urlsafe_b64decode(key))
            except (binascii.Error, ValueError):
                length = 0
            if length != FIELD_ENCRYPTION_KEY_BYTES:
                raise ImproperlyConfigured(f"{name} holds a key that is not 32 bytes in URL-safe base64")
        return keys


ENVIRONMENT = Environment(os.environ)
