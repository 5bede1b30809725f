"""A Redis of a test's own behind a wire that the test can cut, delay or silence."""

import secrets
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import redis

from pamm_platform.embedded.home import home_for
from pamm_platform.embedded.redis import Redis

CHUNK = 65536


@dataclass
class RedisOnAWire:
    """`url` leads through the wire; `direct` does not."""

    server: Redis
    port: int
    """The server's own; it is the same after a start."""
    listener: socket.socket
    delay: float = 0.0
    """Seconds by which every piece arrives late."""
    _silent: bool = False
    _cuts: int = 0
    _closing: threading.Event = field(default_factory=threading.Event)

    @property
    def direct(self) -> str:
        return self.server.url

    @property
    def url(self) -> str:
        port = self.listener.getsockname()[1]
        return f"redis://:{self.server.password}@127.0.0.1:{port}/0"

    def kill(self) -> None:
        """SIGKILL: what was queued is gone."""
        running = self.server.running()
        assert running is not None
        running.send_signal(signal.SIGKILL)
        running.wait(10)

    def start(self) -> None:
        self.server.start()

    def empty(self) -> None:
        with redis.Redis.from_url(self.direct) as client:
            client.flushall()

    def fall_silent(self) -> None:
        """Half-open: connections stand and new ones are accepted, but nothing arrives on them, ever."""
        self._silent, self._cuts = True, self._cuts + 1

    def recover(self) -> None:
        """What is connected from now on is sound again."""
        self.delay, self._silent = 0.0, False

    def listen(self) -> None:
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._closing.set()
        self.listener.close()
        self.server.stop()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        except OSError:
            near.close()
            return
        far.settimeout(None)
        made_at = -1 if self._silent else self._cuts
        for ends in ((near, far), (far, near)):
            threading.Thread(target=self._carry, args=(*ends, made_at), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, made_at: int) -> None:
        """Until one side closes; what comes after the wire was cut is swallowed."""
        with suppress(OSError):
            while piece := source.recv(CHUNK):
                time.sleep(self.delay)
                if made_at == self._cuts:
                    target.sendall(piece)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextmanager
def redis_on_a_wire(folder: Path) -> Iterator[RedisOnAWire]:
    server = Redis(home_for(folder), secrets.token_hex(16))
    server.start()
    listener = socket.create_server(("127.0.0.1", 0))
    port = int(server.url.rpartition(":")[2].partition("/")[0])
    wire = RedisOnAWire(server, port, listener)
    wire.listen()
    try:
        yield wire
    finally:
        wire.close()
        server.home.erase()
