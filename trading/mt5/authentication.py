"""The challenge chain of the MT5 Web API, on raw bytes. MD5 is the protocol's choice; TLS protects the
exchange."""

from __future__ import annotations

import hashlib


def _md5(content: bytes) -> bytes:
    return hashlib.md5(content, usedforsecurity=False).digest()


def password_hash(password: str) -> bytes:
    """The 16 bytes a server stores for a password: `MD5(MD5(UTF-16LE password) || "WebAPI")`."""
    return _md5(_md5(password.encode("utf-16-le")) + b"WebAPI")


def challenge_answer(stored_hash: bytes, challenge: bytes) -> bytes:
    """What proves knowledge of the password for the other side's 16 random bytes."""
    return _md5(stored_hash + challenge)
