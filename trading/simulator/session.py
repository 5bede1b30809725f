"""What one TLS connection knows: who signed in on it and which dealer requests it waits for."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass, field


def stored_hash(password: str) -> bytes:
    inner = hashlib.md5(password.encode("utf-16-le"), usedforsecurity=False).digest()
    return hashlib.md5(inner + b"WebAPI", usedforsecurity=False).digest()


def proof(hashed: bytes, challenge: bytes) -> bytes:
    return hashlib.md5(hashed + challenge, usedforsecurity=False).digest()


@dataclass(slots=True)
class DealerRequest:
    """Events not yet read by the client; `final` once the last of them is among these."""

    queued_at: float
    events: list[dict[str, object]] = field(default_factory=list)
    final: bool = False


@dataclass(slots=True)
class Session:
    manager: int = 0
    authenticated: bool = False
    challenge: bytes = b""
    challenged_at: float = 0.0
    requests: dict[str, DealerRequest] = field(default_factory=dict)

    def begin(self, manager: int) -> bytes:
        self.manager, self.authenticated = manager, False
        self.challenge, self.challenged_at = secrets.token_bytes(16), time.monotonic()
        return self.challenge

    def is_answered_by(self, answer: bytes, hashed: bytes, window: float) -> bool:
        """Whether the answer proves the password in time; a challenge is good for one attempt."""
        challenge, self.challenge = self.challenge, b""
        in_time = time.monotonic() - self.challenged_at <= window
        return bool(challenge) and in_time and secrets.compare_digest(answer, proof(hashed, challenge))
