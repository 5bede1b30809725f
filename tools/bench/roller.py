"""`python -m tools.bench.roller`: a worker of the benchmarks, in a process of its own.

It reads one JSON object per line, `{"loaded": path, "rollovers": [keys]}`, rolls these over and answers one:
seconds and the memory it holds. `path` is what `Loaded` looked like when it was handed over.
"""

import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from tools.bench.dataset import Loaded


@dataclass(frozen=True, slots=True)
class Rolled:
    """`resident`: bytes the process holds afterwards."""

    seconds: float
    resident: int


class Roller:
    """The parent's end of one worker."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def begin(self, loaded: Path, rollovers: Sequence[int]) -> None:
        _write(self._process.stdin, {"loaded": str(loaded), "rollovers": list(rollovers)})

    def finish(self) -> Rolled:
        """Waits for the answer. Raises RuntimeError where the worker has ended instead."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a worker of the benchmark ended: {self._process.wait()}")
        answer = json.loads(line)
        return Rolled(answer["seconds"], answer["resident"])


@contextmanager
def rollers(number: int) -> Iterator[list[Roller]]:
    """Workers that connect to the database Django connects to now; ended with the block."""
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tools.bench.roller"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ.copy(),
        )
        for _ in range(number)
    ]  # fmt: skip
    try:
        yield [Roller(process) for process in started]
    finally:
        for process in started:
            if process.stdin is not None:
                process.stdin.close()
            process.wait(timeout=60)


def hand_over(loaded: "Loaded", path: Path) -> Path:
    path.write_bytes(pickle.dumps(loaded))
    return path


def main() -> None:
    import django

    django.setup()
    from django.db import connection

    from tools.bench.rollovers import Clock, roll_over

    connection.ensure_connection()
    for line in sys.stdin:
        order = json.loads(line)
        loaded = pickle.loads(Path(order["loaded"]).read_bytes())  # noqa: S301 - written by our own parent
        started = time.perf_counter()
        roll_over(loaded, order["rollovers"], Clock())
        seconds = time.perf_counter() - started
        _write(sys.stdout, {"seconds": seconds, "resident": psutil.Process().memory_info().rss})


def _write(stream: IO[str] | None, message: dict[str, object]) -> None:
    assert stream is not None
    stream.write(json.dumps(message) + "\n")
    stream.flush()


if __name__ == "__main__":
    main()
