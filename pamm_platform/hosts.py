"""Which hosts may be asked: those of the environment and those of the brokers in the database."""

import time
from collections.abc import Iterable, Iterator


class BrokerHosts(list[str]):
    """ALLOWED_HOSTS that knows a new broker's host within seconds, without a restart.

    Django walks it for every request; the brokers' hosts are read at most once in `REFRESH_SECONDS`, and only
    when none of the environment's matched.
    """

    REFRESH_SECONDS = 10.0

    def __init__(self, of_environment: Iterable[str]) -> None:
        super().__init__(of_environment)
        self._of_brokers: list[str] = []
        self._read_at: float | None = None

    def __iter__(self) -> Iterator[str]:
        yield from super().__iter__()
        yield from self._brokers_hosts()

    def _brokers_hosts(self) -> list[str]:
        now = time.monotonic()
        if self._read_at is None or now - self._read_at > self.REFRESH_SECONDS:
            from brokers.models import HostName  # settings are read before models can be

            # Django compares without the port.
            hosts = HostName.objects.values_list("host", flat=True)
            self._of_brokers = [host.partition(":")[0] for host in hosts]
            self._read_at = now
        return self._of_brokers
