"""Agent pages are read in the world of Alice, Bob and Charlie, whom agents have come to."""

from tests.web.manager.conftest import visit, world

__all__ = ["visit", "world"]
