"""Public identifiers: what leaves the platform is never a sequence."""

import uuid

from uuid_utils.compat import uuid7

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_public_id() -> uuid.UUID:
    """A UUIDv7: ordered by time, tells nothing about how many there are."""
    return uuid7()


def crockford(identifier: uuid.UUID) -> str:
    """The 26 characters of a UUID in Crockford's base 32 (the text form of a ULID).

    Letters and digits only.
    """
    number = identifier.int
    digits = []
    for _ in range(26):
        number, remainder = divmod(number, 32)
        digits.append(_CROCKFORD[remainder])
    return "".join(reversed(digits))
