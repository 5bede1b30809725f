"""Between those who publish and those who work: carries each message over as often and in whatever order a
test wants.

A message that comes twice is what a queue may do at any time. Copies keep the task's id, as redelivered
messages do, and get a delivery tag of their own, by which the queue tells them apart.
"""

import json
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from random import Random
from types import TracebackType
from typing import Any, Self

import redis

from tests.reliability.settings import DELIVERED, PUBLISHED

GATHERING_SECONDS = 0.15
"""Messages that come within this time are shuffled with each other."""


class Carrier:
    """While the block lasts every published message is delivered `times()` times, shuffled."""

    def __init__(self, redis_url: str, times: Callable[[Random], int], seed: int) -> None:
        self._client = redis.Redis.from_url(redis_url)
        self._times, self._random = times, Random(seed)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._carry, name="carrier")
        self.published: Counter[str] = Counter()
        """Messages by the name of their task."""
        self.delivered: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()
        self._client.close()

    def _carry(self) -> None:
        while not self._stopped.wait(GATHERING_SECONDS):
            # A queue that is down for a moment is asked again.
            with suppress(redis.ConnectionError):
                self._carry_once()

    def _carry_once(self) -> None:
        arrived: list[bytes] = self._client.lpop(PUBLISHED, 10_000) or []  # type: ignore[assignment]
        copies = []
        for raw in arrived:
            message = json.loads(raw)
            name = message["headers"]["task"]
            times = self._times(self._random)
            self.published[name] += 1
            self.delivered[name] += times
            copies += [_copy(message) for _ in range(times)]
        self._random.shuffle(copies)
        if copies:
            self._client.lpush(DELIVERED, *copies)


def _copy(message: dict[str, Any]) -> str:
    properties = {**message["properties"], "delivery_tag": str(uuid.uuid4())}
    properties["delivery_info"] = {**properties["delivery_info"], "routing_key": DELIVERED}
    return json.dumps({**message, "properties": properties})
