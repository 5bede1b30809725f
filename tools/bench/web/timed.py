"""A WSGI application that says how long it took, in a header of each answer."""

import time
from collections.abc import Callable, Iterable
from typing import Any

HEADER = "X-Server-Seconds"


class Timed:
    """Django begins an answer when the page has been made: queueing before and sending after are left out."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        began = time.perf_counter()

        def timed(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            seconds = time.perf_counter() - began
            return start_response(status, [*headers, (HEADER, f"{seconds:.6f}")], *rest)

        return self._application(environ, timed)
