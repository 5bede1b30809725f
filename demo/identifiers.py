"""Public identifiers of things that happened in the past: repeatable, and in the order of their moments."""

import random
import uuid
from datetime import UTC, datetime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PastIdentifiers:
    """UUIDv7 of given moments. The same seed and the same calls answer the same identifiers."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose

    def at(self, moment: datetime) -> uuid.UUID:
        since = moment - _EPOCH
        milliseconds = (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000
        chance = self._random.getrandbits(74)
        upper = (milliseconds << 16) | (7 << 12) | (chance >> 62)
        lower = (2 << 62) | (chance & (2**62 - 1))
        return uuid.UUID(int=(upper << 64) | lower)
