"""What a page costs on the line: bytes as they came, compressed, with their headers."""

from typing import Any

from playwright.sync_api import Page as Tab

KILOBYTE = 1024


class Scale:
    """Weighs what one tab loads since `begin`; answers out of the browser's cache weigh nothing."""

    def __init__(self, tab: Tab) -> None:
        self._addresses: dict[str, str] = {}
        self._weights: dict[str, int] = {}
        self._session = tab.context.new_cdp_session(tab)
        self._session.on("Network.responseReceived", self._note_address)
        self._session.on("Network.loadingFinished", self._note_weight)
        self._session.send("Network.enable")

    def begin(self, *, empty_cache: bool) -> None:
        if empty_cache:
            self._session.send("Network.clearBrowserCache")
        self._addresses.clear()
        self._weights.clear()

    def heaviest(self) -> list[str]:
        """Everything that was loaded, the heaviest first."""
        by_weight = sorted(self._weights.items(), key=lambda pair: -pair[1])
        return [f"{weight} {self._addresses[number]}" for number, weight in by_weight if weight]

    def kilobytes(self, *, files: bool = True) -> float:
        """All of it; without the files that every page shares where `files` is not set."""
        shared = ("/static/", "/brand")
        return (
            sum(
                weight
                for number, weight in self._weights.items()
                if files or not any(part in self._addresses[number] for part in shared)
            )
            / KILOBYTE
        )

    def _note_address(self, event: dict[str, Any]) -> None:
        self._addresses[event["requestId"]] = event["response"]["url"]

    def _note_weight(self, event: dict[str, Any]) -> None:
        # What was asked for before `begin` is not weighed.
        if event["requestId"] in self._addresses:
            self._weights[event["requestId"]] = int(event["encodedDataLength"])
