"""`python -m tools.bench.web.users`: the people at their browsers, in a process of its own.

Reads a JSON object from the terminal's input: `address` (host and port), `people`, `pause` (the longest, in
seconds; each look is followed by a random part of it), `seed` and `visits` (name, path and headers of each).
Everybody takes the next visit that nobody has made. Writes one JSON list a visit: name, status, seconds until
the answer was complete, seconds the server says it took, bytes; then the seconds of the whole.

Imports nothing of the platform.
"""

import http.client
import json
import random
import sys
import threading
import time
from typing import Any

TIMEOUT_SECONDS = 60
SERVER_SECONDS = "X-Server-Seconds"


def main() -> None:
    order: dict[str, Any] = json.load(sys.stdin)
    visits = iter(order["visits"])
    results: list[list[Any]] = []
    lock = threading.Lock()

    def person(number: int) -> None:
        chance = random.Random(f"{order['seed']}/{number}")  # noqa: S311 - repeatable on purpose
        # Not all at the same instant.
        time.sleep(chance.uniform(0, order["pause"]))
        while True:
            with lock:
                visit = next(visits, None)
            if visit is None:
                return
            result = _look(order["address"], visit)
            with lock:
                results.append(result)
            time.sleep(chance.uniform(0, order["pause"]))

    people = [threading.Thread(target=person, args=(number,)) for number in range(order["people"])]
    began = time.perf_counter()
    for each in people:
        each.start()
    for each in people:
        each.join()
    json.dump({"results": results, "seconds": time.perf_counter() - began}, sys.stdout)


def _look(address: str, visit: dict[str, Any]) -> list[Any]:
    began = time.perf_counter()
    connection = http.client.HTTPConnection(address, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", visit["path"], headers=visit["headers"])
        answer = connection.getresponse()
        size = len(answer.read())
        server = float(answer.headers.get(SERVER_SECONDS, "nan"))
        status = answer.status
    except (OSError, http.client.HTTPException) as error:
        print(f"{visit['name']}: {error!r}", file=sys.stderr)
        status, server, size = 0, float("nan"), 0
    finally:
        connection.close()
    return [visit["name"], status, time.perf_counter() - began, server, size]


if __name__ == "__main__":
    main()
